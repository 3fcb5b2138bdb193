"""``hfclone lock`` and ``sync``: the same checkouts again, whoever serves them and whatever moves."""

from __future__ import annotations

import base64
import json
import shutil
from pathlib import Path

import pytest

from tests.e2e.command import Command, Outcome, assert_checkout, git, placed, tree_of
from tests.hub import Hub, Lfs, LivingRepo, Symlink, answers, streams
from tests.hub.fixtures import make_tiny

OBJECTS = {"model.safetensors", "sub/dir/w.bin", "sub/same.bin"}
SOON = ("--give-up-after", "2s")


def locked(hfclone: Command, *repos: str, name: str = "hfclone.lock") -> Path:
    outcome = hfclone("lock", *repos, "-o", name)
    assert outcome.code == 0, outcome.stderr
    assert "locked" in outcome.stderr
    return hfclone.cwd / name


def told(outcome: Outcome) -> list[list[str]]:
    """Problem and path of each line."""
    return [line.split()[:2] for line in outcome.stdout.splitlines()]


def test_the_lockfile(hub: Hub, tiny_repo: LivingRepo, hfclone: Command) -> None:
    hub.repo("acme/data", {"r.csv": "1\n", "big.parquet": Lfs(5_000, seed=5)}, repo_type="dataset")
    before = len(hub.log.entries)
    file = locked(hfclone, "acme/tiny", "datasets/acme/data")
    assert not [entry for entry in hub.log.entries[before:] if entry.kind in ("cdn", "batch", "resolve")]
    text = file.read_bytes()
    assert hub.url.encode() not in text
    data = json.loads(text)
    assert [(each["repo_type"], each["repo_id"]) for each in data["repos"]] == [
        ("dataset", "acme/data"),
        ("model", "acme/tiny"),
    ]
    tiny = data["repos"][1]
    assert (tiny["commit"], tiny["revision"]) == (tiny_repo.commit, "main")
    assert base64.b64decode(tiny["commit_object"]) == tiny_repo.git("cat-file", "commit", tiny_repo.commit)
    assert tiny["tree"] == tiny_repo.git("rev-parse", f"{tiny_repo.commit}^{{tree}}").decode().strip()
    paths = [row["path"] for row in tiny["files"]]
    assert paths == sorted(paths, key=str.encode)
    assert len(paths) == 13
    assert locked(hfclone, "datasets/acme/data", "acme/tiny", name="again").read_bytes() == text
    front = hub.mirror()
    assert hfclone("lock", "acme/tiny", "datasets/acme/data", "-o", "-", "--mirror", front.url).stdout.encode() == text


def test_what_cannot_be_locked(hub: Hub, tiny_repo: LivingRepo, hfclone: Command) -> None:
    outcome = hfclone("lock", "acme/tiny", "acme/tiny@v1.0")
    assert (outcome.code, "named twice" in outcome.error) == (2, True)
    assert hfclone("lock", "acme/tiny", "acme/none").code == 3
    assert hfclone("lock").code == 2
    assert hfclone("lock", f"{hub.url}/acme/tiny/blob/main/config.json").code == 2
    assert list(hfclone.cwd.iterdir()) == []


def test_sync(hub: Hub, tiny_repo: LivingRepo, hfclone: Command, tmp_path: Path) -> None:
    data = hub.repo("acme/data", {"r.csv": "1\n", "big.parquet": Lfs(5_000, seed=5)}, repo_type="dataset")
    locked(hfclone, "acme/tiny", "datasets/acme/data")
    commit, data_commit = tiny_repo.commit, data.commit
    tiny_repo.add_commit({"config.json": "moved\n", "model.safetensors": Lfs(10, seed=4)})
    outcome = hfclone("sync", "--locked", tmp_path / "all")
    assert outcome.code == 0, outcome.stderr
    assert_checkout(tmp_path / "all" / "tiny", commit, f"{hub.url}/acme/tiny")
    assert_checkout(tmp_path / "all" / "data", data_commit, f"{hub.url}/datasets/acme/data")
    assert placed(tmp_path / "all" / "tiny") == OBJECTS
    assert not [entry for entry in hub.log.entries if "/revision/" in entry.path and "sync" in entry.path]
    before = tree_of(tmp_path / "all" / "tiny", without=(".git",))
    hub.down()
    assert hfclone("sync", "--locked", tmp_path / "all").code == 0  # there is nothing to ask for
    assert tree_of(tmp_path / "all" / "tiny", without=(".git",)) == before


@pytest.fixture
def odd_repo(hub: Hub) -> LivingRepo:
    repo = hub.repo(
        "acme/odd",
        {
            b"caf\xe9.txt": "e\n",
            b"caf\xe9.bin": Lfs(4_000, seed=8),
            "deep/er/link": Symlink(b"../a"),
            "deep/er.txt": "x\n",
            "deep-er": "y\n",
            "large.txt": "z" * 1_500_000,
        },
    )
    repo.add_commit({"second.txt": "2\n"})
    return repo


def test_rebuilt_with_gits_protocol_dead(hub: Hub, odd_repo: LivingRepo, hfclone: Command, tmp_path: Path) -> None:
    locked(hfclone, "acme/odd")
    hub.manners.git = False
    before = len(hub.log.entries)
    outcome = hfclone("sync", "--locked", tmp_path / "all")
    assert outcome.code == 0, outcome.stderr
    dest = tmp_path / "all" / "odd"
    assert_checkout(dest, odd_repo.commit, f"{hub.url}/acme/odd")
    assert git(dest, "rev-parse", "HEAD^{tree}") == odd_repo.git("rev-parse", "HEAD^{tree}").decode().strip()
    assert (dest / ".git" / "shallow").read_text() == f"{odd_repo.commit}\n"
    assert git(dest, "log", "--format=%H") == odd_repo.commit
    served = [entry for entry in hub.log.entries[before:] if entry.kind == "git" and entry.status == 200]
    assert served == []
    hub.manners.git = True
    git(dest, "fetch", "-q", "--unshallow", "origin")
    assert git(dest, "log", "--format=%H").splitlines()[0] == odd_repo.commit
    assert git(dest, "fsck", "--full", "--strict", "--no-dangling") == ""


def test_an_update_with_git_dead(hub: Hub, odd_repo: LivingRepo, hfclone: Command, tmp_path: Path) -> None:
    """An existing checkout, shallow or full, goes to the locked commit, and back."""
    old = locked(hfclone, "acme/odd", name="old")
    commit = odd_repo.commit
    hfclone.git(tmp_path, "clone", "-q", f"{hub.url}/acme/odd", "odd", env={"GIT_LFS_SKIP_SMUDGE": "1"})
    new_commit = odd_repo.add_commit({"deep/er.txt": None, "third.txt": "3\n", "new.bin": Lfs(3_000, seed=3)})
    new = locked(hfclone, "acme/odd", name="new")
    hub.manners.git = False
    for lockfile, at in ((new, new_commit), (old, commit), (new, new_commit)):
        outcome = hfclone("sync", "--locked", "--lockfile", lockfile, tmp_path)
        assert outcome.code == 0, outcome.stderr
        assert git(tmp_path / "odd", "rev-parse", "HEAD") == at
        assert git(tmp_path / "odd", "status", "--porcelain") == ""
    assert git(tmp_path / "odd", "fsck", "--full", "--strict", "--no-dangling") == ""


def test_a_mirror_with_other_small_files_is_refused(
    hub: Hub, tiny_repo: LivingRepo, hfclone: Command, tmp_path: Path
) -> None:
    locked(hfclone, "acme/tiny")
    front = hub.mirror()
    front.manners.git = False
    front.faults.add(streams.WrongBytes(), path="config.json")
    only = ("--mirror", front.url, "--only-mirrors", *SOON)
    outcome = hfclone("sync", tmp_path / "all", *only)
    assert outcome.code == 5
    assert "config.json is not what the lockfile pins" in outcome.error
    assert "127.0.0.1" in outcome.error
    assert not (tmp_path / "all" / "tiny" / "config.json").exists()
    # With the hub behind it, the mirror's bytes are left where they are.
    outcome = hfclone("sync", "--locked", tmp_path / "all", "--mirror", front.url)
    assert outcome.code == 0, outcome.stderr
    assert_checkout(tmp_path / "all" / "tiny", tiny_repo.commit, f"{hub.url}/acme/tiny")


def test_a_mirror_with_other_objects_is_refused(
    hub: Hub, tiny_repo: LivingRepo, hfclone: Command, tmp_path: Path
) -> None:
    locked(hfclone, "acme/tiny")
    front = hub.mirror("mirror")
    front.manners.batch = False
    front.manners.resolve_bytes = True
    front.faults.add(streams.WrongBytes(), kind="resolve", path="model.safetensors")
    outcome = hfclone("sync", tmp_path / "all", "--mirror", front.url, "--only-mirrors", *SOON)
    assert outcome.code == 5
    assert "model.safetensors" in outcome.error
    assert (tmp_path / "all" / "tiny" / "model.safetensors").stat().st_size < 1024


def test_a_mirror_with_another_tree_is_refused(hub: Hub, hfclone: Command, tmp_path: Path) -> None:
    """Another repo under the name: nothing of it comes through."""
    repo = hub.repo("acme/one", {"a.txt": "a\n", "b.txt": "b\n", "c.txt": "c\n", "w.bin": Lfs(3_000, seed=1)})
    locked(hfclone, "acme/one")
    commit = repo.commit
    with Hub(tmp_path / "other") as other:
        other.repo("acme/one", {"a.txt": "evil\n", "b.txt": "evil\n", "c.txt": "evil\n", "w.bin": Lfs(3_000, seed=2)})
        outcome = hfclone("sync", tmp_path / "all", "--mirror", other.url, "--only-mirrors", *SOON)
        assert outcome.code in (3, 4, 5)
        left = tree_of(tmp_path / "all" / "one", without=(".git",)) if (tmp_path / "all" / "one").exists() else {}
        assert left == {}
    hub.manners.git = False
    assert hfclone("sync", "--locked", tmp_path / "all").code == 0
    assert git(tmp_path / "all" / "one", "rev-parse", "HEAD") == commit


def test_locked_refuses_what_differs(hub: Hub, tiny_repo: LivingRepo, hfclone: Command, tmp_path: Path) -> None:
    locked(hfclone, "acme/tiny")
    dest = tmp_path / "tiny"
    assert hfclone("sync", tmp_path).code == 0
    (dest / "config.json").write_bytes(b"mine")
    (dest / "new.txt").write_bytes(b"mine")
    assert hfclone("sync", tmp_path).code == 0  # an edit that is not in the way is its user's business
    outcome = hfclone("sync", "--locked", tmp_path)
    assert outcome.code == 5
    assert [line.split()[:2] for line in outcome.stdout.splitlines()] == [
        ["changed", "config.json"],
        ["extra", "new.txt"],
    ]


def test_chosen_objects(tiny_repo: LivingRepo, hfclone: Command, tmp_path: Path) -> None:
    assert hfclone("lock", "acme/tiny", "--exclude", "sub/*").code == 0
    rows = json.loads((hfclone.cwd / "hfclone.lock").read_text())["repos"][0]["files"]
    assert [row["path"] for row in rows if row.get("selected") is False] == ["sub/dir/w.bin", "sub/same.bin"]
    outcome = hfclone("sync", "--locked", tmp_path)
    assert outcome.code == 0, outcome.stderr
    assert placed(tmp_path / "tiny") == {"model.safetensors"}


def test_two_repos_of_one_name(hub: Hub, hfclone: Command, tmp_path: Path) -> None:
    make_tiny(hub, "x/base")
    hub.repo("x/base", {"r.txt": "r\n"}, repo_type="dataset")
    locked(hfclone, "x/base", "datasets/x/base")
    assert hfclone("sync", "--locked", tmp_path / "all").code == 0
    assert sorted(path.name for path in (tmp_path / "all").iterdir()) == ["datasets--x--base", "x--base"]


def test_a_lockfile_that_is_none(tiny_repo: LivingRepo, hfclone: Command, tmp_path: Path) -> None:
    outcome = hfclone("sync", tmp_path / "all")
    assert (outcome.code, "hfclone.lock is no lockfile" in outcome.error) == (2, True)
    file = locked(hfclone, "acme/tiny")
    file.write_text(file.read_text().replace('"mode":"100755"', '"mode":"100644"'))
    for command in (("sync", tmp_path / "all"), ("verify", "--lockfile", "hfclone.lock", tmp_path)):
        outcome = hfclone(*command)
        assert (outcome.code, "repos[0].files: they make tree" in outcome.error) == (2, True)
    assert not (tmp_path / "all").exists()


# --- verify with a lockfile --------------------------------------------------------------------


def test_verify_with_a_lockfile(hub: Hub, tiny_repo: LivingRepo, hfclone: Command, tmp_path: Path) -> None:
    file = locked(hfclone, "acme/tiny")
    dest = tmp_path / "tiny"
    assert hfclone("acme/tiny", dest).code == 0
    hub.down()
    assert hfclone("verify", dest, "--lockfile", file).code == 0
    copy = tmp_path / "copy"
    shutil.copytree(dest, copy, symlinks=True, ignore=shutil.ignore_patterns(".git"))
    assert hfclone("verify", copy, "--lockfile", file).code == 0
    (copy / "sub" / "100% #1?.txt").write_bytes(b"x")
    (copy / "more").write_bytes(b"x")
    outcome = hfclone("verify", copy, "--lockfile", file, "--json")
    wrong = [(each["path"], each["problem"]) for each in json.loads(outcome.stdout)["wrong"]]
    assert (outcome.code, wrong) == (5, [("more", "extra"), ("sub/100% #1?.txt", "changed")])
    assert hfclone("verify", copy).code == 6


def test_verify_tells_another_commit(hub: Hub, tiny_repo: LivingRepo, hfclone: Command, tmp_path: Path) -> None:
    file = locked(hfclone, "acme/tiny")
    dest = tmp_path / "tiny"
    tiny_repo.add_commit({"config.json": "moved\n"})
    assert hfclone("acme/tiny", dest).code == 0
    outcome = hfclone("verify", dest, "--lockfile", file)
    assert outcome.code == 5
    assert [line.split()[:2] for line in outcome.stdout.splitlines()] == [
        ["commit", ".git/HEAD"],
        ["changed", "config.json"],
    ]
    other = hub.repo("acme/other", {"a": "a\n"})
    assert other.commit
    locked(hfclone, "acme/other", name="other.lock")
    outcome = hfclone("verify", dest, "--lockfile", "other.lock")
    assert (outcome.code, "holds no repo with the origin" in outcome.error) == (2, True)


def test_what_may_pass_is_waited_for(hub: Hub, tiny_repo: LivingRepo, hfclone: Command, tmp_path: Path) -> None:
    locked(hfclone, "acme/tiny")
    hub.manners.git = False
    hub.faults.add(answers.Status(503), kind="raw", times=4)
    hub.faults.add(answers.Status(503), kind="resolve", times=2)
    outcome = hfclone("sync", "--locked", tmp_path)
    assert outcome.code == 0, outcome.stderr
