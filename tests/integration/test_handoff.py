"""``hfclone export`` and ``import``: other programs fetch, and what they have fetched is taken in."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from hfclone.cli.reports import exported_lines
from hfclone.export import Format, formatted, listing
from hfclone.flows.export import list_missing
from hfclone.settings import read_settings
from tests.e2e.command import Command, assert_checkout, git, placed, sha256, tree_of
from tests.hub import Hub, Lfs, LivingRepo, answers, mirror, streams

ODD = {
    b"plain.bin": 1,
    b"sub/100% #1.bin": 2,
    "sub/ünï 文.bin".encode(): 3,
    b"a'b;$(x) &c.bin": 4,
    b'quo"te.bin': 5,
    b"new\nline\n  out=evil.bin": 6,
    b"-o.bin": 7,
    b"no-utf8-\xff.bin": 8,
    b"sub/[1-3]{a,b}.bin": 9,
    b"back\\slash.bin": 10,
}
SIZE = 70_000
FETCHERS: dict[str, Callable[[str], list[str]]] = {
    "aria2": lambda file: ["aria2c", "--no-conf", "-q", "-i", file],
    "metalink": lambda file: ["aria2c", "--no-conf", "-q", "-M", file],
    "curl": lambda file: ["curl", "-q", "-sS", "-K", file],
    "wget": lambda file: ["wget", "--no-config", "-q", "-c", "-i", file],
}


@pytest.fixture
def odd_repo(hub: Hub) -> LivingRepo:
    """Objects under names that are options, escapes, quotes or lines to one program or another."""
    return hub.repo("acme/odd", {"README.md": "odd\n", **{path: Lfs(SIZE + seed, seed) for path, seed in ODD.items()}})


@pytest.fixture
def odd(hub: Hub, odd_repo: LivingRepo, hfclone: Command) -> Path:
    """A checkout of it that lacks all of its objects."""
    assert hfclone("acme/odd", "--exclude", "*").code == 0
    return hfclone.cwd / "odd"


@pytest.fixture
def tiny(hub: Hub, tiny_repo: LivingRepo, hfclone: Command) -> Path:
    assert hfclone("acme/tiny", "--exclude", "*").code == 0
    return hfclone.cwd / "tiny"


def empty(hfclone: Command, name: str = "elsewhere") -> Path:
    folder = hfclone.cwd / name
    folder.mkdir()
    return folder


def run(words: list[str], folder: Path, hfclone: Command) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words, cwd=folder, env=hfclone.environ, capture_output=True, text=True, timeout=60, check=False
    )


def object_of(repo: LivingRepo, size: int) -> Path:
    return repo.object_path(next(oid for oid, have in repo.objects.items() if have == size))


# --- export ------------------------------------------------------------------------------------


@pytest.mark.parametrize("made_for", FETCHERS)
def test_what_a_real_program_fetches_is_imported(
    hub: Hub, odd_repo: LivingRepo, odd: Path, hfclone: Command, made_for: str
) -> None:
    """Whatever the names: each object is fetched once, nothing leaves the directory, all is right in the end."""
    folder = empty(hfclone)
    listed = hfclone("export", odd, "--format", made_for, "-o", folder / "list")
    assert listed.code == 0, listed.stderr
    assert f"10 objects of 700 kB missing in {odd}" in listed.stderr
    around = tree_of(hfclone.base, without=["cwd/elsewhere"])
    since = len(hub.log)
    done = run(FETCHERS[made_for]("list"), folder, hfclone)
    assert done.returncode == 0, done.stderr
    assert tree_of(hfclone.base, without=["cwd/elsewhere"]) == around
    assert hub.log.wait_quiet()  # the program may have read what the hub has yet to write down
    assert hub.log.bytes_sent(kind="cdn", since=since) == sum(SIZE + seed for seed in ODD.values())
    assert not any(entry.token for entry in hub.log.entries[since:])
    (folder / "list").unlink()
    assert sorted(sha256(path) for path in folder.rglob("*") if path.is_file()) == sorted(odd_repo.objects)
    if made_for in ("aria2", "metalink", "curl"):
        assert (folder / "sub/100% #1.bin").is_file()
        assert (folder / "sub/ünï 文.bin").is_file()
    since = len(hub.log)
    outcome = hfclone("import", folder, "--into", odd)
    assert outcome.code == 0, outcome.stderr
    assert outcome.stdout.count("object    ") == 10
    assert "no object is missing" in outcome.stderr
    assert len(hub.log) == since, "an import asks nobody"
    assert git(odd, "status", "--porcelain", "--ignored") == ""
    assert hfclone("verify", odd).code == 0


def test_what_is_had_by_ranges_alone(hub: Hub, odd: Path, hfclone: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """As is a very large file: whose list does not warn can have it, and curl, which begins anew each time."""
    monkeypatch.setattr(listing, "MOST_UNRANGED", SIZE + 3)
    hub.faults.add(answers.NeedsRange(SIZE + 3), kind="cdn")
    made = list_missing(odd, read_settings({}, environ=hfclone.environ))
    for name, words in FETCHERS.items():
        folder, made_for = empty(hfclone, name), Format(name)
        (folder / "list").write_bytes(formatted(made.listing, made_for))
        done = run(words("list"), folder, hfclone)
        (folder / "list").unlink()
        sizes = sorted(path.stat().st_size - SIZE for path in folder.rglob("*") if path.is_file())
        able = made_for in (Format.METALINK, Format.CURL)
        assert sizes == (sorted(ODD.values()) if able else [1, 2, 3]), name
        assert (done.returncode == 0) is able
        said = list(exported_lines(made, made_for, "how"))
        assert sum("7 objects of more than" in line for line in said) == (made_for is not Format.METALINK)


def test_wget_with_folders_as_we_say_it(hub: Hub, odd: Path, hfclone: Command) -> None:
    folder = empty(hfclone)
    listed = hfclone("export", odd, "--format", "wget", "-o", folder / "list")
    hint = next(line for line in listed.stderr.splitlines() if "wget -c" in line).partition(": ")[2]
    done = run(["sh", "-c", hint.replace("wget ", "wget --no-config -q ", 1)], folder, hfclone)
    assert done.returncode == 0, done.stderr
    assert (folder / "plain.bin").is_file(), (hint, sorted(folder.rglob("*")))
    assert (folder / "sub").is_dir()


def test_endpoints_by_priority_without_a_token(hub: Hub, tiny: Path, tiny_repo: LivingRepo, hfclone: Command) -> None:
    front = hub.mirror("mirror", mirror.files_only())
    env = {"HF_TOKEN": "hf_secret", "HFCLONE_MIRROR": front.url, "HFCLONE_TRUST_MIRROR": front.url}
    since = len(hub.log)
    for made_for in ("aria2", "metalink", "curl", "urls", "wget", "idm"):
        outcome = hfclone("export", tiny, "--format", made_for, env=env)
        assert outcome.code == 0, outcome.stderr
        urls = [f"{base}/acme/tiny/resolve/{tiny_repo.commit}/model.safetensors" for base in (front.url, hub.url)]
        assert urls[0] in outcome.stdout
        assert (urls[1] in outcome.stdout) == (made_for in ("aria2", "metalink"))
        if urls[1] in outcome.stdout:
            assert outcome.stdout.index(urls[0]) < outcome.stdout.index(urls[1])
        assert "hf_secret" not in outcome.stdout + outcome.stderr
        assert outcome.stdout.count("w.bin") + outcome.stdout.count("same.bin") == outcome.stdout.count("model.safe")
    assert len(hub.log) == since, "nobody is asked"
    assert hfclone("export", tiny, "--format", "idm").stdout.count("\n>\n") == 2  # text mode folds CRLF


def test_signed_addresses_need_no_token(hub: Hub, tiny_repo: LivingRepo, tiny: Path, hfclone: Command) -> None:
    """For a private repo: on request, with their end said."""
    hosted = hub.site.find("model", "acme/tiny")
    assert hosted is not None
    hub.tokens.add("hf_secret")
    hosted.private, hosted.members = True, {"hf_secret"}
    folder = empty(hfclone)
    env = {"HF_TOKEN": "hf_secret"}
    outcome = hfclone("export", tiny, "--format", "curl", "--signed", "-o", folder / "list", env=env)
    assert outcome.code == 0, outcome.stderr
    text = (folder / "list").read_text()
    assert "/resolve/" not in text
    assert "hf_secret" not in text
    assert "the addresses are good until 20" in outcome.stderr
    assert "good until 20" in text.splitlines()[0]
    assert (folder / "list").stat().st_mode & 0o077 == 0
    since = len(hub.log)
    done = run(FETCHERS["curl"]("list"), folder, hfclone)
    assert done.returncode == 0, done.stderr
    assert {entry.kind for entry in hub.log.entries[since:]} == {"cdn"}
    assert hfclone("import", folder, "--into", tiny).code == 0
    assert_checkout(tiny, tiny_repo.commit, f"{hub.url}/acme/tiny")


def test_a_host_that_is_no_hub_has_only_signed_addresses(hub: Hub, tiny_repo: LivingRepo, hfclone: Command) -> None:
    host = hub.mirror("host")
    hfclone.git(hfclone.cwd, "clone", "-q", f"{host.url}/acme/tiny", "plain", env={"GIT_LFS_SKIP_SMUDGE": "1"})
    env = {"HF_ENDPOINT": "http://127.0.0.1:9"}
    outcome = hfclone("export", "plain", "--format", "urls", env=env)
    assert (outcome.code, "--signed" in outcome.error) == (2, True), outcome.stderr
    outcome = hfclone("export", "plain", "--format", "urls", "--signed", env=env)
    assert outcome.code == 0, outcome.stderr
    assert len(outcome.stdout.splitlines()) == 2


def test_only_what_is_missing_and_wanted(hub: Hub, tiny_repo: LivingRepo, tiny: Path, hfclone: Command) -> None:
    assert hfclone("fetch", tiny, "--include", "sub/*").code == 0
    assert "w.bin" not in hfclone("export", tiny, "--format", "urls").stdout
    assert hfclone("export", tiny, "--format", "urls", "--exclude", "*.safetensors").stdout == ""
    assert hfclone("export", tiny, "--format", "urls", "-o", os.devnull).code == 2
    assert hfclone("fetch", tiny).code == 0
    outcome = hfclone("export", tiny, "--format", "metalink")
    assert (outcome.code, "0 objects of 0 B missing" in outcome.stderr) == (0, True)


# --- import ------------------------------------------------------------------------------------


def test_whatever_it_is_called(hub: Hub, tiny_repo: LivingRepo, tiny: Path, hfclone: Command) -> None:
    folder = empty(hfclone)
    shutil.copyfile(object_of(tiny_repo, 300_000), folder / "model (1).safetensors")
    (folder / "wrong").write_bytes(b"x" * 70_000)
    (folder / "unrelated.txt").write_text("x")
    outcome = hfclone("import", folder, "--into", tiny, "--json")
    assert outcome.code == 0, outcome.stderr
    made = json.loads(outcome.stdout)
    source = str(folder / "model (1).safetensors")
    assert made["objects"] == [{"path": "model.safetensors", "source": source, "size": 300_000}]
    assert [(Path(one["source"]).name, "sha256" in one["reason"]) for one in made["unused"]] == [("wrong", True)]
    assert (made["missing"], made["missing_bytes"]) == (1, 70_000)
    assert "1 object of 70.0 kB missing still: 'hfclone fetch" in outcome.stderr
    assert len(list(folder.iterdir())) == 3, "nothing is taken away unasked"
    assert placed(tiny) == {"model.safetensors"}
    assert git(tiny, "status", "--porcelain") == ""
    since = len(hub.log)
    assert hfclone("fetch", tiny).code == 0
    assert hub.log.bytes_sent(kind="cdn", since=since) == 70_000
    assert_checkout(tiny, tiny_repo.commit, f"{hub.url}/acme/tiny")


def test_what_is_of_no_use_is_an_error(hub: Hub, tiny_repo: LivingRepo, tiny: Path, hfclone: Command) -> None:
    folder = empty(hfclone)
    (folder / "wrong").write_bytes(b"x" * 300_000)
    (folder / "small").write_bytes(b"x")
    (folder / "empty").mkdir()
    good = object_of(tiny_repo, 70_000)
    outcome = hfclone("import", good, *(folder / name for name in ("wrong", "small", "empty")), "--into", tiny)
    assert outcome.code == 2
    assert outcome.stdout.startswith("object    sub/dir/w.bin")
    for word in ("its sha256 is", "its size, 1 bytes", "nothing in it"):
        assert word in outcome.stdout
    assert str(folder / "wrong") in outcome.error
    assert str(good) not in outcome.error
    assert placed(tiny) == {"sub/dir/w.bin", "sub/same.bin"}
    again = hfclone("import", good, "--into", tiny)
    assert (again.code, again.stdout) == (0, ""), "its object is in place already"
    assert hfclone("import", "nowhere", "--into", tiny).code == 2


def test_a_file_is_moved_for_those_who_ask(hub: Hub, tiny_repo: LivingRepo, tiny: Path, hfclone: Command) -> None:
    folder = empty(hfclone)
    shutil.copyfile(object_of(tiny_repo, 300_000), folder / "a")
    shutil.copyfile(object_of(tiny_repo, 70_000), folder / "b")
    (folder / "wrong").write_bytes(b"x" * 70_000)
    (folder / "link").symlink_to(folder / "wrong")
    inode = (folder / "a").stat().st_ino
    outcome = hfclone("import", folder, "--move", "--into", tiny)
    assert outcome.code == 0, outcome.stderr
    assert sorted(path.name for path in folder.iterdir()) == ["link", "wrong"]
    assert (tiny / "model.safetensors").stat().st_ino == inode
    assert_checkout(tiny, tiny_repo.commit, f"{hub.url}/acme/tiny")


@pytest.mark.parametrize("wrong", [False, True])
def test_a_beginning_is_kept(
    hub: Hub, tiny_repo: LivingRepo, tiny: Path, hfclone: Command, wrong: bool
) -> None:  # a parameter of the test
    """As far as it goes. If it was wrong, that comes out, it is fetched again, and nobody is blamed."""
    whole = object_of(tiny_repo, 300_000)
    begun = empty(hfclone) / f"x.{whole.name}.incomplete"
    begun.write_bytes(whole.read_bytes()[:200_000])
    if wrong:
        with begun.open("r+b") as file:
            file.seek(150_000)
            file.write(b"wrong")
    outcome = hfclone("import", begun, "--into", tiny)
    assert outcome.code == 0, outcome.stderr
    assert f"partial   model.safetensors  (200 kB from {begun})" in outcome.stdout
    assert placed(tiny) == set()
    assert git(tiny, "status", "--porcelain") == ""
    since = len(hub.log)
    outcome = hfclone("fetch", tiny, "--include", "*.safetensors", "--progress", "json")
    assert outcome.code == 0, outcome.stderr
    assert hub.log.bytes_sent(kind="cdn", since=since) == (300_000 if wrong else 100_000)
    faults = [(event["endpoint"], event["error"]["code"]) for event in outcome.events if event["event"] == "faulted"]
    assert faults == ([(f"{hub.url[7:]}, a-file-here", "hash-mismatch")] if wrong else [])
    assert [row["failures"] for row in outcome.event("report")["endpoints"]] == [0]
    assert placed(tiny) == {"model.safetensors"}


def test_what_aria2_has_left(hub: Hub, tiny_repo: LivingRepo, tiny: Path, hfclone: Command) -> None:
    """A download of aria2's that was cut: only what its control file names is taken, and that is right."""
    folder = empty(hfclone)
    assert hfclone("export", tiny, "--format", "metalink", "-o", folder / "list").code == 0
    hub.faults.add(streams.ResetAfter(170_000), on="cdn")
    options = ["--max-tries=1", "--file-allocation=trunc", "-x1", "-j1"]
    done = run([*FETCHERS["metalink"]("list"), *options], folder, hfclone)
    assert done.returncode != 0
    hub.faults.clear()
    outcome = hfclone("import", folder, "--into", tiny, "--json")
    assert outcome.code == 0, outcome.stderr
    made = json.loads(outcome.stdout)
    assert [one["path"] for one in made["partials"]] == ["model.safetensors"]
    kept = made["partials"][0]["size"]
    assert 100_000 < kept < 300_000
    since = len(hub.log)
    assert hfclone("fetch", tiny).code == 0
    assert hub.log.bytes_sent(kind="cdn", since=since) == 300_000 - kept
    assert_checkout(tiny, tiny_repo.commit, f"{hub.url}/acme/tiny")


def test_a_beginning_that_contradicts_what_is_held(
    hub: Hub, tiny_repo: LivingRepo, tiny: Path, hfclone: Command
) -> None:
    whole = object_of(tiny_repo, 300_000).read_bytes()
    folder = empty(hfclone)
    (folder / "model.safetensors").write_bytes(whole[:100_000])
    assert hfclone("import", folder, "--into", tiny).code == 0
    (folder / "model.safetensors").write_bytes(b"x" * 200_000)
    outcome = hfclone("import", folder, "--into", tiny)
    assert (outcome.code, "differs from what is held" in outcome.stdout) == (2, True)
    (folder / "model.safetensors").write_bytes(whole[:250_000])
    assert "(150 kB from" in hfclone("import", folder, "--into", tiny).stdout
    since = len(hub.log)
    assert hfclone("fetch", tiny, "--include", "model*").code == 0
    assert hub.log.bytes_sent(kind="cdn", since=since) == 50_000


def test_a_hub_cache_with_what_it_has_begun(hub: Hub, tiny_repo: LivingRepo, tiny: Path, hfclone: Command) -> None:
    blobs = hfclone.cwd / "cache" / "models--acme--tiny" / "blobs"
    blobs.mkdir(parents=True)
    large, small = object_of(tiny_repo, 300_000), object_of(tiny_repo, 70_000)
    shutil.copyfile(small, blobs / small.name)
    (blobs / f"{large.name}.incomplete").write_bytes(large.read_bytes()[:123_000])
    outcome = hfclone("import", hfclone.cwd / "cache", "--into", tiny)
    assert outcome.code == 0, outcome.stderr
    assert "object    sub/dir/w.bin" in outcome.stdout
    assert "partial   model.safetensors  (123 kB" in outcome.stdout


def test_pointers_and_pages_are_no_beginnings(hub: Hub, tiny_repo: LivingRepo, tiny: Path, hfclone: Command) -> None:
    assert hfclone("acme/tiny", "other", "--exclude", "*").code == 0
    (hfclone.cwd / "other" / "sub" / "dir" / "model.safetensors").write_text("<html>log in</html>")
    outcome = hfclone("import", "other", "--into", tiny)
    assert (outcome.code, "partial" in outcome.stdout) == (2, False)


def test_a_browsers_file_under_its_final_name(hub: Hub, tiny_repo: LivingRepo, tiny: Path, hfclone: Command) -> None:
    """Dropped into the checkout: the next run verifies and keeps it, and git is clean."""
    shutil.copyfile(object_of(tiny_repo, 300_000), tiny / "model.safetensors")
    since = len(hub.log)
    outcome = hfclone("acme/tiny")
    assert outcome.code == 0, outcome.stderr
    assert hub.log.bytes_sent(kind="cdn", since=since) == 70_000
    assert_checkout(tiny, tiny_repo.commit, f"{hub.url}/acme/tiny")
    assert os.access(tiny / "model.safetensors", os.W_OK)


def test_import_speaks_of_no_fetching(tiny: Path, hfclone: Command) -> None:
    """Neither of what would come over the line, nor of the disk that it would take."""
    (hfclone.cwd / "nothing").mkdir()
    said = hfclone("import", "nothing", "--into", "tiny").stderr
    assert "to fetch" not in said
    assert "disk:" not in said
    assert re.search(r"^\d large objects, .*; missing: .* in \d objects$", said, re.MULTILINE), said


def test_the_command_for_a_list_runs_anywhere(tiny: Path, hfclone: Command) -> None:
    """It is meant for another directory than the one that the list is in."""
    said = hfclone("export", "tiny", "--format", "aria2", "-o", "my list").stderr
    assert f"in a directory of its own: aria2c -i '{hfclone.cwd}/my list'\n" in said


def test_with_progress_as_json_all_of_stdout_is(tiny: Path, hfclone: Command) -> None:
    """One stream, one form; where a file would be mixed with it, that is refused."""
    assert hfclone("lock", "acme/tiny").code == 0
    (tiny / "extra").touch()
    commands = (
        ("verify", tiny),
        ("status", tiny),
        ("ls", "acme/tiny"),
        ("import", tiny, "--into", tiny),
        ("sync", "--locked"),
    )
    for command in commands:
        lines = hfclone(*command, "--progress", "json").stdout.splitlines()
        assert lines
        assert all(json.loads(line)["v"] == 1 for line in lines), command
    for command in (("lock", "acme/tiny", "-o", "-"), ("export", tiny, "--format", "urls")):
        refused = hfclone(*command, "--progress", "json")
        assert (refused.code, json.loads(refused.stdout)["code"]) == (2, "bad-option")
