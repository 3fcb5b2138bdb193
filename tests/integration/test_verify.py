"""``hfclone verify`` and ``status`` on real checkouts, with the hub gone."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.command import Command, git
from tests.hub import Executable, Hub, LivingRepo


@pytest.fixture
def checkout(hub: Hub, tiny_repo: LivingRepo, hfclone: Command, tmp_path: Path) -> Path:
    """A checkout of the tiny repo whose hub is down."""
    dest = tmp_path / "tiny"
    assert hfclone("acme/tiny", dest).code == 0
    hub.down()
    return dest


def spoil(path: Path) -> None:
    """Other bytes under the old mtime, as a dying disk has it."""
    stat = path.stat()
    with path.open("r+b") as file:
        file.write(b"\x00\xff")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def found_by(hfclone: Command, dest: Path, *more: object) -> dict[str, str]:
    outcome = hfclone("verify", dest, "--json", *more)
    data = json.loads(outcome.stdout)
    assert outcome.code == (5 if data["wrong"] else 0)
    assert data["ok"] is not bool(data["wrong"])
    return {each["path"]: each["problem"] for each in data["wrong"]}


def test_all_is_well(hfclone: Command, checkout: Path) -> None:
    outcome = hfclone("verify", checkout)
    assert (outcome.code, outcome.stdout) == (0, "")
    data = json.loads(hfclone("verify", checkout, "--json").stdout)
    assert (data["ok"], data["files"], data["objects"]) == (True, 13, 3)
    assert data["read_bytes"] > 440_000
    assert git(checkout, "status", "--porcelain") == ""


DAMAGE: list[tuple[str, Callable[[Path], object], str]] = [
    ("model.safetensors", lambda path: path.write_bytes(b"edited"), "changed"),
    ("model.safetensors", spoil, "damaged"),
    ("config.json", lambda path: path.write_bytes(b'{"a": 2}\n'), "changed"),
    ("config.json", spoil, "damaged"),
    ("sub/same.bin", Path.unlink, "missing"),
    ("sub/ünï.txt", Path.unlink, "missing"),
    ("sub/dir", shutil.rmtree, "missing"),
    ("run.sh", lambda path: path.chmod(0o644), "mode"),
    ("model.safetensors", lambda path: path.chmod(0o755), "mode"),
    ("README.md", lambda path: (path.unlink(), path.symlink_to("config.json")), "kind"),
    ("README.md", lambda path: (path.unlink(), path.mkdir()), "kind"),
    ("link.json", lambda path: (path.unlink(), path.write_bytes(b"config.json")), "kind"),
    ("link.json", lambda path: (path.unlink(), path.symlink_to("run.sh")), "changed"),
    ("new.txt", lambda path: path.write_bytes(b"x"), "extra"),
    ("sub/deep/new.txt", lambda path: (path.parent.mkdir(), path.write_bytes(b"x")), "extra"),
]


@pytest.mark.parametrize(("name", "harm", "problem"), DAMAGE)
def test_each_damage_has_its_name(
    hfclone: Command, checkout: Path, name: str, harm: Callable[[Path], object], problem: str
) -> None:
    harm(checkout / name)
    assert found_by(hfclone, checkout) == {("sub/dir/w.bin" if name == "sub/dir" else name): problem}
    outcome = hfclone("verify", checkout)
    assert outcome.code == 5
    assert outcome.stdout.startswith(problem)
    assert "1 file(s)" in outcome.error


def test_staged_and_ignored_files(hfclone: Command, checkout: Path) -> None:
    """What is staged is not the commit's; what is ignored is nobody's business."""
    (checkout / "staged.txt").write_bytes(b"x")
    git(checkout, "add", "staged.txt")
    (checkout / ".git" / "info").mkdir(exist_ok=True)
    (checkout / ".git" / "info" / "exclude").write_text("*.log\n")
    (checkout / "a.log").write_bytes(b"x")
    assert found_by(hfclone, checkout) == {"staged.txt": "extra"}


def test_a_touched_file_is_well(hfclone: Command, checkout: Path) -> None:
    for path in (checkout / "model.safetensors", checkout / "config.json"):
        path.touch()
    assert found_by(hfclone, checkout) == {}


def test_line_ends_are_gits(hub: Hub, hfclone: Command, tmp_path: Path) -> None:
    """What git itself has converted is no change; what it would not store back is."""
    hub.repo("acme/ends", {".gitattributes": b"*.txt text eol=crlf\n", "a.txt": b"one\ntwo\n", "b.bin": b"one\ntwo\n"})
    dest = tmp_path / "ends"
    assert hfclone("acme/ends", dest).code == 0
    assert (dest / "a.txt").read_bytes() == b"one\r\ntwo\r\n"
    assert found_by(hfclone, dest) == {}
    (dest / "b.bin").write_bytes(b"one\r\ntwo\r\n")
    assert found_by(hfclone, dest) == {"b.bin": "changed"}


def test_pointers_are_told_unless_left_out(hub: Hub, tiny_repo: LivingRepo, hfclone: Command, tmp_path: Path) -> None:
    dest = tmp_path / "tiny"
    assert hfclone("acme/tiny", dest, "--include", "model.*").code == 0
    hub.down()
    assert found_by(hfclone, dest) == {}  # as it was made
    assert found_by(hfclone, dest, "--include", "*") == {"sub/dir/w.bin": "pointer", "sub/same.bin": "pointer"}
    assert found_by(hfclone, dest, "--include", "model.*") == {}
    assert found_by(hfclone, dest, "--exclude", "sub/*") == {}


def loosen(checkout: Path) -> None:
    """Let every object of git's be a file of its own."""
    for pack in (checkout / ".git" / "objects" / "pack").glob("*.pack"):
        data = pack.read_bytes()
        pack.with_suffix(".idx").unlink()
        pack.unlink()
        subprocess.run(["git", "unpack-objects", "-q"], cwd=checkout, input=data, check=True)
    for file in (checkout / ".git" / "objects").glob("??/*"):
        file.chmod(0o644)


def test_gits_own_objects_are_read(hfclone: Command, checkout: Path) -> None:
    loosen(checkout)
    tree, blob = git(checkout, "rev-parse", "HEAD^{tree}", "HEAD:config.json").split()
    objects = checkout / ".git" / "objects"
    (objects / blob[:2] / blob[2:]).unlink()
    assert found_by(hfclone, checkout) == {f".git/objects/{blob[:2]}/{blob[2:]}": "git"}
    (objects / tree[:2] / tree[2:]).write_bytes(b"no tree")
    assert found_by(hfclone, checkout) == {".git": "git"}


def test_a_git_object_of_another_content(hfclone: Command, checkout: Path) -> None:
    """A pointer that was forged on the disk: git itself reads it without a word."""
    loosen(checkout)
    pointer, other = git(checkout, "rev-parse", "HEAD:model.safetensors", "HEAD:sub/same.bin").split()
    objects = checkout / ".git" / "objects"
    shutil.copy(objects / other[:2] / other[2:], objects / pointer[:2] / pointer[2:])
    shutil.copy(checkout / "sub" / "same.bin", checkout / "model.safetensors")
    assert found_by(hfclone, checkout)[f".git/objects/{pointer[:2]}/{pointer[2:]}"] == "git"


def test_in_a_directory_of_the_checkout(hfclone: Command, checkout: Path) -> None:
    hfclone.cwd = checkout / "sub"
    done = hfclone("verify")
    assert (done.code, done.stdout) == (0, "")
    head = git(checkout, "rev-parse", "HEAD").strip()
    assert re.fullmatch(
        rf"all as commit {head} has it: \d+ files, 3 large objects among them; \d+ kB read\n", done.stderr
    ), done
    assert hfclone("verify", "-q").stderr == ""
    assert f"checkout  {checkout}\n" in hfclone("status").stdout


def test_what_is_no_checkout(hfclone: Command, tmp_path: Path) -> None:
    for command in ("verify", "status", "pull", "fetch"):
        assert hfclone(command, tmp_path / "nothing").code == 6
        (tmp_path / command).mkdir()
        outcome = hfclone(command, tmp_path / command)
        assert (outcome.code, "it holds no .git" in outcome.error) == (6, True)
    git(tmp_path, "init", "-q", "born")
    assert hfclone("verify", tmp_path / "born").code == 6


def test_paths_that_are_no_text(hub: Hub, hfclone: Command, tmp_path: Path) -> None:
    names = [b"caf\xe9.txt", b"new\nline", b'"quoted"\t\\', b"\x1b[2J"]
    hub.repo("acme/odd", {name: Executable(b"x\n") for name in names})
    dest = tmp_path / "odd"
    assert hfclone("acme/odd", dest).code == 0
    assert found_by(hfclone, dest) == {}
    for name in names:
        Path(os.fsdecode(os.fsencode(dest) + b"/" + name)).write_bytes(b"y\n")
    assert {os.fsencode(path) for path in found_by(hfclone, dest)} == set(names)
    shown = hfclone("verify", dest).stdout
    assert "\x1b" not in shown
    assert len(shown.splitlines()) == len(names)


# --- repair ------------------------------------------------------------------------------------


def test_repair_fetches_just_that(hub: Hub, hfclone: Command, checkout: Path) -> None:
    spoil(checkout / "sub/dir/w.bin")
    spoil(checkout / "config.json")
    (checkout / "sub/same.bin").unlink()
    (checkout / "sub/ünï.txt").unlink()
    (checkout / "run.sh").chmod(0o644)
    hub.up()
    before = len(hub.log.entries)
    outcome = hfclone("verify", checkout, "--repair")
    assert (outcome.code, outcome.stdout) == (0, ""), outcome.stderr
    asked = [entry for entry in hub.log.entries[before:] if entry.kind == "cdn"]
    assert sum(entry.bytes_sent for entry in asked) == 70_000  # both paths hold one object
    assert found_by(hfclone, checkout) == {}
    assert git(checkout, "status", "--porcelain") == ""


def test_repair_touches_no_edit(hub: Hub, hfclone: Command, checkout: Path) -> None:
    (checkout / "model.safetensors").write_bytes(b"mine")
    (checkout / "README.md").write_bytes(b"mine")
    (checkout / "new.txt").write_bytes(b"mine")
    spoil(checkout / "sub/dir/w.bin")
    hub.up()
    outcome = hfclone("verify", checkout, "--repair", "--json")
    assert outcome.code == 5
    left = {each["path"]: each["problem"] for each in json.loads(outcome.stdout)["wrong"]}
    assert left == {"model.safetensors": "changed", "README.md": "changed", "new.txt": "extra"}
    for name in ("model.safetensors", "README.md", "new.txt"):
        assert (checkout / name).read_bytes() == b"mine"


def test_repair_of_a_missing_git_object(hub: Hub, hfclone: Command, checkout: Path) -> None:
    blob = git(checkout, "rev-parse", "HEAD:config.json")
    loosen(checkout)
    (checkout / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    assert set(found_by(hfclone, checkout).values()) == {"git"}
    hub.up()
    assert hfclone("verify", checkout, "--repair").code == 0
    assert git(checkout, "fsck", "--full", "--strict", "--no-dangling") == ""


# --- status ------------------------------------------------------------------------------------


def status_of(hfclone: Command, dest: Path) -> dict[str, object]:
    outcome = hfclone("status", dest, "--json")
    assert outcome.code == 0, outcome.stderr
    data = json.loads(outcome.stdout)
    for kind in ("objects", "files"):
        data[kind] = {state: count for state, count in data[kind].items() if count}
    return dict(data)


def test_status_counts(hub: Hub, hfclone: Command, checkout: Path) -> None:
    data = status_of(hfclone, checkout)
    assert data["objects"] == {"present": 3}
    assert data["files"] == {"present": 10}
    assert (data["complete"], data["branch"], data["partial_bytes"]) == (True, "main", 0)
    assert data["origin"] == f"{hub.url}/acme/tiny"
    assert data["commit"] == git(checkout, "rev-parse", "HEAD")
    (checkout / "model.safetensors").touch()
    (checkout / "sub/same.bin").unlink()
    (checkout / "sub/dir/w.bin").write_bytes(b"x")
    (checkout / "config.json").write_bytes(b'{"a": 2}\n')
    (checkout / "README.md").touch()
    (checkout / "link.json").unlink()
    (checkout / "run.sh").chmod(0o644)
    data = status_of(hfclone, checkout)
    assert data["objects"] == {"unverified": 1, "missing": 1, "edited": 1}
    assert data["files"] == {"present": 7, "missing": 1, "edited": 2}
    assert data["complete"] is False


def test_status_opens_no_large_file(hfclone: Command, checkout: Path) -> None:
    large = checkout / "model.safetensors"
    os.utime(large, (1, 1))
    large.chmod(0)
    before = large.stat().st_atime_ns
    assert status_of(hfclone, checkout)["objects"] == {"present": 2, "unverified": 1}
    assert large.stat().st_atime_ns == before


def test_status_of_a_clone_by_git(hub: Hub, tiny_repo: LivingRepo, hfclone: Command, tmp_path: Path) -> None:
    env = {"GIT_LFS_SKIP_SMUDGE": "1"}
    hfclone.git(tmp_path, "clone", "-q", f"{hub.url}/acme/tiny", "plain", env=env)
    data = status_of(hfclone, tmp_path / "plain")
    assert data["objects"] == {"pointer": 3}
    assert data["files"] == {"present": 10}
    git(tmp_path / "plain", "checkout", "-q", "--detach")
    text = hfclone("status", tmp_path / "plain").stdout
    assert "(detached)" in text
    assert "objects   3: 3 pointer\n" in text
