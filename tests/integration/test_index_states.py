"""What a user has told git's index, against every command: their work stays, is named, and stops nothing.

A removal, a rename and a sparse checkout are a user's word on what they want; what the repo changes there, too, ends a
run before anything is touched. The rule is git's own: git-read-tree(1), "Two Tree Merge".
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from tests.e2e.command import Command, git, sha256, tree_of
from tests.hub import Hub, Lfs, LivingRepo

SKIP = {"GIT_LFS_SKIP_SMUDGE": "1"}
LARGE = "model.safetensors"
SMALL = "config.json"


def _stage_conflict(dest: Path) -> None:
    """As ``git stash pop`` and ``git checkout -m`` leave it: unmerged, and no merge under way."""
    entry = git(dest, "rev-parse", f":{SMALL}")
    rows = "".join(f"100644 {entry} {stage}\t{SMALL}\n" for stage in (1, 2, 3))
    _git_with(dest, f"0 {'0' * 40}\t{SMALL}\n{rows}", "update-index", "--index-info")
    (dest / SMALL).write_text("<<<<<<< mine\n")


def _git_with(dest: Path, stdin: str, *args: str) -> None:
    import subprocess

    subprocess.run(["git", *args], cwd=dest, input=stdin, text=True, check=True, capture_output=True)


def _edit(dest: Path, path: str = SMALL) -> None:
    (dest / path).write_text("mine\n")


def _staged_edit_removed(dest: Path) -> None:
    _edit(dest)
    git(dest, "add", SMALL)
    (dest / SMALL).unlink()


def _staged_edit(dest: Path) -> None:
    _edit(dest)
    git(dest, "add", SMALL)


def _add(dest: Path, *more: str) -> None:
    (dest / "mine.txt").write_text("mine\n")
    git(dest, "add", *more, "mine.txt")


def _flagged(flag: str) -> Callable[[Path], None]:
    def flagged(dest: Path) -> None:
        git(dest, "update-index", flag, SMALL)
        _edit(dest)

    return flagged


def _staged_edit_left_out(dest: Path) -> None:
    """As a sparse checkout does it to a file whose edit is staged: the index alone has it."""
    _staged_edit(dest)
    git(dest, "update-index", "--skip-worktree", SMALL)
    (dest / SMALL).unlink()


@dataclass(frozen=True)
class State:
    """How the user left the index. ``path`` is what they touched, ``kept`` what a run has to name."""

    make: Callable[[Path], object]
    path: str = SMALL
    kept: tuple[str, ...] = ()
    verify: tuple[str, ...] = ()
    """What ``verify`` finds: problem and path."""
    name: str = ""
    lacking: frozenset[str] = field(default_factory=frozenset)
    """Large files that nothing is fetched for."""


STATES = {
    "small file removed": State(lambda d: git(d, "rm", "-q", SMALL), SMALL, (SMALL,), (f"removed {SMALL}",)),
    "large file removed": State(
        lambda d: git(d, "rm", "-q", "-f", LARGE), LARGE, (LARGE,), (f"removed {LARGE}",), lacking=frozenset({LARGE})
    ),
    "removed from the index alone": State(lambda d: git(d, "rm", "-q", "--cached", SMALL), SMALL, (SMALL,)),
    "large file removed from the index alone": State(
        lambda d: git(d, "rm", "-q", "--cached", "-f", LARGE), LARGE, (LARGE,), lacking=frozenset({LARGE})
    ),
    "small file renamed": State(
        lambda d: git(d, "mv", SMALL, "renamed.json"), SMALL, (SMALL,), (f"removed {SMALL}", "extra renamed.json")
    ),
    "large file renamed": State(
        lambda d: git(d, "mv", LARGE, "renamed.bin"), LARGE, (LARGE,),
        (f"removed {LARGE}", "extra renamed.bin"), lacking=frozenset({LARGE}),
    ),
    "directory removed": State(
        lambda d: git(d, "rm", "-q", "-r", "-f", "sub/dir"), "sub/dir/w.bin", ("sub/dir/w.bin",),
        ("removed sub/dir/w.bin",), lacking=frozenset({"sub/dir/w.bin"}),
    ),
    "edit staged": State(_staged_edit, SMALL, (SMALL,), (f"changed {SMALL}",)),
    "edit staged, file removed": State(_staged_edit_removed, SMALL, (SMALL,), (f"removed {SMALL}",)),
    "edit staged, file left out": State(_staged_edit_left_out, SMALL, (SMALL,)),
    "file added": State(_add, "mine.txt", (), ("extra mine.txt",)),
    "intent to add": State(lambda d: _add(d, "-N"), "mine.txt", (), ("extra mine.txt",)),
    "sparse checkout by cone": State(
        lambda d: git(d, "sparse-checkout", "set", "--cone", "docs"), "sub/same.bin",
        lacking=frozenset({"sub/dir/w.bin", "sub/same.bin"}),
    ),
    "sparse checkout without a large file": State(
        lambda d: git(d, "sparse-checkout", "set", "--no-cone", "/*", f"!/{LARGE}"), LARGE,
        lacking=frozenset({LARGE}),
    ),
    "skip-worktree by hand": State(_flagged("--skip-worktree"), SMALL, (SMALL,), (f"changed {SMALL}",)),
    "assume-unchanged": State(_flagged("--assume-unchanged"), SMALL, (SMALL,), (f"changed {SMALL}",)),
    "conflict": State(_stage_conflict, SMALL, (SMALL,), (f"changed {SMALL}",)),
}  # fmt: skip


@dataclass
class Place:
    """A complete checkout of which the user has changed the index."""

    hub: Hub
    repo: LivingRepo
    hfclone: Command
    dest: Path
    state: State
    asked: int = 0
    index: str = ""
    files: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Note how it is."""
        self.note()

    def note(self) -> None:
        """Note how it is."""
        self.index, self.files = self.index_now(), self.files_now()
        self.asked = len(self.hub.log.entries)

    def index_now(self) -> str:
        """What the index says, flags included; and what differs."""
        return git(self.dest, "ls-files", "-s", "-v") + "\n" + git(self.dest, "status", "--porcelain")

    def files_now(self) -> dict[str, str]:
        """The files."""
        return tree_of(self.dest, without=(".git",))

    def fetched(self) -> int:
        """Bytes of objects that were sent since."""
        return sum(entry.bytes_sent for entry in self.hub.log.entries[self.asked :] if entry.kind == "cdn")

    def run(self, *args: object) -> dict[str, object]:
        """A run that ends well; its report."""
        done = self.hfclone(*args, "--progress", "json")
        assert done.code == 0, done.stderr + done.stdout
        return done.event("report")

    def is_as_before(self) -> None:
        """Nothing was touched."""
        assert self.files_now() == self.files
        assert self.index_now() == self.index


@pytest.fixture(params=STATES)
def place(request: pytest.FixtureRequest, hub: Hub, tiny_repo: LivingRepo, hfclone: Command, tmp_path: Path) -> Place:
    dest = tmp_path / "tiny"
    assert hfclone("acme/tiny", dest).code == 0
    state = replace(STATES[request.param], name=request.param)
    state.make(dest)
    return Place(hub, tiny_repo, hfclone, dest, state)


def test_the_same_commit_again(place: Place) -> None:
    """Clone, pull and fetch: nothing is fetched, nothing is touched, the user's work is named."""
    for args in (("acme/tiny", place.dest), ("pull", place.dest), ("fetch", place.dest)):
        report = place.run(*args)
        assert report["kept"] == list(place.state.kept)
        place.is_as_before()
        assert place.fetched() == 0


def test_a_commit_that_changes_other_files(place: Place) -> None:
    commit = place.repo.add_commit(
        {"README.md": "theirs\n", "new.txt": "n\n", "new.bin": Lfs(9_000, seed=9), "new/w.bin": Lfs(9_000, seed=8)}
    )
    before, differing = git(place.dest, "diff-index", "HEAD"), git(place.dest, "status", "--porcelain")
    report = place.run("pull", place.dest)
    assert report["kept"] == list(place.state.kept)
    assert git(place.dest, "rev-parse", "HEAD") == commit
    assert git(place.dest, "diff-index", "HEAD") == before
    assert git(place.dest, "status", "--porcelain") == differing
    out = "sparse" in place.state.name and "cone" in place.state.name
    assert place.fetched() == (9_000 if out else 18_000)
    new = {"README.md", "new.txt", "new.bin", *(() if out else ("new", "new/w.bin"))}
    assert place.files_now().keys() == place.files.keys() | new


def test_a_commit_that_changes_the_same_file(place: Place) -> None:
    """Named, and nothing is touched; where git was told to leave the path out, the index follows and no file comes."""
    path = place.state.path
    content: Lfs | str = Lfs(9_000, seed=9) if path == LARGE or path.endswith(".bin") else "theirs\n"
    commit = place.repo.add_commit({path: content, "other.txt": "o\n"}, message="m")
    head = git(place.dest, "rev-parse", "HEAD")
    done = place.hfclone("pull", place.dest, "--progress", "json")
    if place.state.kept or path == "mine.txt":
        assert done.code == 6
        assert path in done.error
        assert git(place.dest, "rev-parse", "HEAD") == head
        place.is_as_before()
        return
    assert done.code == 0, done.stderr
    assert git(place.dest, "rev-parse", "HEAD") == commit
    assert git(place.dest, "status", "--porcelain") == ""
    assert not (place.dest / path).exists()
    assert place.fetched() == 0


@pytest.mark.parametrize(("mine", "theirs"), [("new", "new/theirs.txt"), ("new/mine.txt", "new")])
def test_what_is_only_staged_is_in_the_way_of_a_directory_and_of_a_file(
    hub: Hub, tiny_repo: LivingRepo, hfclone: Command, tmp_path: Path, mine: str, theirs: str
) -> None:
    """Nothing of it stands in the work tree: git's index alone has it, and has no room for both."""
    dest = tmp_path / "tiny"
    assert hfclone("acme/tiny", dest).code == 0
    entry = git(dest, "rev-parse", f":{SMALL}")
    git(dest, "update-index", "--add", "--cacheinfo", f"100644,{entry},{mine}")
    place = Place(hub, tiny_repo, hfclone, dest, State(lambda _dest: None))
    tiny_repo.add_commit({theirs: "theirs\n", "other.txt": "o\n"})
    done = hfclone("pull", dest)
    assert (done.code, mine in done.error) == (6, True), done.stderr
    place.is_as_before()


def test_verify_status_and_repair(place: Place) -> None:
    """What a user removed is told apart from what is lost; what they leave out is no fault; a repair keeps both."""
    found = place.hfclone("verify", place.dest)
    assert [" ".join(row.split()[:2]) for row in found.stdout.splitlines()] == list(place.state.verify)
    assert found.code == (5 if place.state.verify else 0)
    assert place.hfclone("verify", place.dest, "--repair").code == found.code
    place.is_as_before()
    status = json.loads(place.hfclone("status", place.dest, "--json").stdout)
    assert (status["objects"]["missing"], status["objects"]["pointer"]) == (0, 0)
    assert place.fetched() == 0


def test_export_and_import(place: Place, tmp_path: Path) -> None:
    """Neither asks for what the user does not want."""
    done = place.hfclone("export", place.dest, "--format", "urls")
    assert (done.code, done.stdout) == (0, ""), done.stderr
    objects = tmp_path / "objects"
    objects.mkdir()
    (objects / "any").write_bytes(b"of no use")
    assert place.hfclone("import", objects, "--into", place.dest).code == 2
    place.is_as_before()


def test_backup_takes_the_place_back(place: Place) -> None:
    """``verify --repair --backup`` puts the commit's in place; what was there is beside it, staged contents too."""
    if not place.state.verify or place.state.path == "mine.txt":
        return
    done = place.hfclone("verify", place.dest, "--repair", "--backup")
    left = [row for row in done.stdout.splitlines() if not row.startswith("extra")]
    assert left == [], done.stdout
    tracked = git(place.dest, "diff-index", "--name-only", "HEAD").split()
    assert [path for path in tracked if not path.startswith("renamed")] == []
    if "mine" in place.files.get(SMALL, "") or (place.state.kept == (SMALL,) and place.state.path == SMALL):
        assert sha256(place.dest / SMALL) == sha256_of_text('{"a": 1}\n')


def sha256_of_text(text: str) -> str:
    import hashlib

    return hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize("state", [n for n in STATES if "conflict" not in n])
def test_fetch_of_a_clone_by_git(hub: Hub, tiny_repo: LivingRepo, hfclone: Command, tmp_path: Path, state: str) -> None:
    """``hfclone fetch`` leaves what ``git lfs pull`` leaves: the same files, the same index, the same status."""
    ours, theirs = (tmp_path / name for name in ("ours", "theirs"))
    for dest in (ours, theirs):
        hfclone.git(tmp_path, "clone", "-q", f"{hub.url}/acme/tiny", dest.name, env=SKIP)
        STATES[state].make(dest)
    assert hfclone("fetch", ours).code == 0
    hfclone.git(theirs, "lfs", "install", "--local")
    hfclone.git(theirs, "lfs", "pull")
    lacking = STATES[state].lacking  # git-lfs writes these all the same
    found = [
        tree_of(dest, without=(".git", *lacking, *(str(Path(path).parent) for path in lacking if "/" in path)))
        for dest in (ours, theirs)
    ]
    assert found[0] == found[1]
    if not lacking:
        for question in (("ls-files", "-s", "-v"), ("status", "--porcelain")):
            assert git(ours, *question) == git(theirs, *question)


def test_a_cone_of_a_large_repo(hub: Hub, hfclone: Command, tmp_path: Path) -> None:
    """A clone without a checkout, a cone, ``fetch``: what lies outside is neither fetched nor written, also later."""
    folders = {f"{name}/{number}.bin": Lfs(20_000, seed=number) for name, number in (("a", 1), ("b", 2), ("c", 3))}
    repo = hub.repo("acme/huge", {"README.md": "huge\n", "a/x.txt": "x\n", "b/x.txt": "x\n", **folders})
    hfclone.git(tmp_path, "clone", "-q", "--no-checkout", f"{hub.url}/acme/huge", "huge", env=SKIP)
    dest = tmp_path / "huge"
    git(dest, "sparse-checkout", "set", "--cone", "b")
    assert hfclone("fetch", dest).code == 0
    files = {"README.md", ".gitattributes", "b", "b/x.txt", "b/2.bin"}
    assert tree_of(dest, without=(".git",)).keys() == files
    assert git(dest, "status", "--porcelain") == ""
    assert hub.log.bytes_sent(kind="cdn") == 20_000
    repo.add_commit({"a/1.bin": Lfs(20_000, seed=11), "b/2.bin": Lfs(20_000, seed=12), "d/4.bin": Lfs(20_000, seed=14)})
    assert hfclone("pull", dest).code == 0
    assert tree_of(dest, without=(".git",)).keys() == files
    assert git(dest, "status", "--porcelain") == ""
    assert hub.log.bytes_sent(kind="cdn") == 40_000
    git(dest, "sparse-checkout", "add", "d")
    dry = hfclone("acme/huge", dest, "--dry-run", "--progress", "json")
    assert dry.event("plan")["fetch_bytes"] == 20_000, dry.stdout
    assert hfclone("fetch", dest).code == 0
    assert tree_of(dest, without=(".git",)).keys() == {*files, "d", "d/4.bin"}
    assert hub.log.bytes_sent(kind="cdn") == 60_000
    assert hfclone("verify", dest).code == 0


def test_a_failing_checkout_says_why(hfclone: Command, hub: Hub, tmp_path: Path) -> None:
    """Git's own words, and nothing touched."""
    repo = hub.repo("acme/odd", {"a.txt": "a\n", "b.txt": "b\n"})
    dest = tmp_path / "odd"
    assert hfclone("acme/odd", dest).code == 0
    before = tree_of(dest, without=(".git",)), git(dest, "ls-files", "-s"), git(dest, "rev-parse", "HEAD")
    repo.add_commit({"a.txt": "A\n", "c.txt": "c\n"})
    (dest / ".git/refs/heads/main.lock").touch()
    done = hfclone("pull", dest)
    assert done.code == 6
    assert "main.lock" in done.error
    (dest / ".git/refs/heads/main.lock").unlink()
    assert (tree_of(dest, without=(".git",)), git(dest, "ls-files", "-s"), git(dest, "rev-parse", "HEAD")) == before
    assert git(dest, "status", "--porcelain") == ""
    assert hfclone("pull", dest).code == 0
