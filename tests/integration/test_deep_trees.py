"""Trees as deep as a path is long, and what no file system can hold."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from hfclone.files.folders import files_below, make_folders, remove_folder
from tests.e2e.command import Command, git, sha256
from tests.hub import Hub, Lfs, LfsBytes, Symlink

DEEP = "/".join("d" * 1200)
LONG = "/".join(f"{number:050d}" for number in range(80))
"""Of 4,079 bytes: it fits into a path, but behind no directory's name."""


@pytest.fixture(autouse=True)
def nothing_deep_is_left(tmp_path: Path) -> Iterator[None]:
    """Pytest's own removal of old directories would fail on it."""
    yield
    remove_folder(tmp_path)


def test_a_deep_tree_with_everything(hub: Hub, hfclone: Command) -> None:
    """Clone, verify, sync, import from it, and its removal by a pull."""
    repo = hub.repo("acme/deep", {f"{DEEP}/a.txt": "a\n", f"{DEEP}/w.bin": Lfs(9000, seed=1), "b.txt": "b\n"})
    dest = hfclone.cwd / "deep"
    assert hfclone("acme/deep").code == 0
    assert sha256(dest / DEEP / "w.bin") in repo.objects
    assert hfclone("verify", dest).code == 0
    assert git(dest, "status", "--porcelain") == ""
    assert hfclone("lock", "acme/deep").code == 0
    done = hfclone("sync", "--locked", "again")
    assert done.code == 0, done.stderr
    since = len(hub.log)
    (hfclone.cwd / "again/deep" / DEEP / "w.bin").unlink()
    assert hfclone("import", dest, "--into", "again/deep").code == 0
    assert hub.log.bytes_sent(kind="cdn", since=since) == 0
    repo.add_commit({f"{DEEP}/a.txt": None, f"{DEEP}/w.bin": None})
    assert hfclone("pull", dest).code == 0
    assert sorted(os.listdir(dest)) == [".git", ".gitattributes", "b.txt"]


def test_a_directory_far_down(hub: Hub, tiny_repo: object, hfclone: Command) -> None:
    dest = hfclone.cwd / "/".join("e" * 600)
    assert hfclone("acme/tiny", dest).code == 0
    assert hfclone("verify", dest).code == 0


def test_a_ref_with_many_parts(hub: Hub, hfclone: Command) -> None:
    """A short commit id is looked for among all refs, in a repo that goes."""
    repo = hub.repo("acme/many", {"a.txt": "a\n"})
    repo.add_commit({"b.txt": "b\n"}, branch="/".join("f" * 1100))
    commit = repo.commit
    assert hfclone(f"acme/many@{commit[:9]}").code == 0
    assert not any(hfclone.tmp.iterdir())


NOT_TO_BE_MADE = (
    ("l", Symlink(b"a\0b"), "holds a NUL"),
    ("l", Symlink(b""), "a link to nothing"),
    ("sub/l", Symlink(b"x" * 4096), "longer than 4095 bytes"),
    (f"{LONG}/{LONG}", "x\n", "longer than 4095 bytes"),
    (f"sub/{'n' * 256}", LfsBytes(b"x" * 2000), "longer than 255 bytes"),
)


def test_what_cannot_be_made_is_told_before_anything_is(hub: Hub, hfclone: Command) -> None:
    repo = hub.repo("acme/odd", {"a.txt": "a\n"})
    dest = hfclone.cwd / "odd"
    assert hfclone("acme/odd").code == 0
    for path, content, reason in NOT_TO_BE_MADE:
        repo.add_commit({"a.txt": "b\n", path: content})
        outcome = hfclone("pull", dest)
        assert (outcome.code, reason in outcome.error) == (5, True), outcome.stderr
        assert (dest / "a.txt").read_text() == "a\n"
        assert git(dest, "status", "--porcelain") == ""
        repo.add_commit({path: None})
    repo.add_commit({"l": Symlink(b"a\0b")})
    assert hfclone("acme/odd", "fresh").code == 5
    assert os.listdir(hfclone.cwd / "fresh") == [".git"]


def test_the_longest_target(hub: Hub, hfclone: Command) -> None:
    hub.repo("acme/odd", {"l": Symlink(b"x" * 4095)})
    assert hfclone("acme/odd").code == 0
    assert hfclone("verify", "odd").code == 0


def test_a_path_that_is_too_long_for_its_directory(hub: Hub, hfclone: Command) -> None:
    """What most programs would have to call it by is longer than any path."""
    hub.repo("acme/odd", {"a.txt": "a\n", f"{LONG}/x": "x\n"})
    outcome = hfclone("acme/odd")
    assert (outcome.code, "with its directory it is longer than 4095 bytes" in outcome.error) == (6, True)
    assert len(outcome.error) < 400
    assert os.listdir(hfclone.cwd / "odd") == [".git"]


def test_a_folder_is_removed_however_deep_and_through_no_link(tmp_path: Path) -> None:
    """Deeper than any path is long: made by steps, as a program may that changes its directory."""
    top, outside = tmp_path / "top", tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("mine")
    top.mkdir()
    handle = os.open(top, os.O_RDONLY)
    for number in range(1600):
        if number % 100 == 0:
            os.close(os.open("file", os.O_WRONLY | os.O_CREAT, dir_fd=handle))
            os.symlink(outside, f"link{number}", dir_fd=handle)
        os.mkdir("dd", dir_fd=handle)
        below = os.open("dd", os.O_RDONLY, dir_fd=handle)
        os.close(handle)
        handle = below
    os.close(handle)
    remove_folder(top)
    assert os.listdir(tmp_path) == ["outside"]
    assert (outside / "file").read_text() == "mine"


def test_folders_are_made_and_walked(tmp_path: Path) -> None:
    deep = tmp_path / DEEP
    make_folders(deep)
    make_folders(deep)
    (deep / "b").touch()
    (deep / "a").symlink_to(tmp_path)
    (tmp_path / "z").touch()
    assert list(files_below(tmp_path)) == [tmp_path / "z", deep / "a", deep / "b"]
    assert list(files_below(tmp_path, without="d")) == [tmp_path / "z"]
    assert list(files_below(tmp_path / "nowhere")) == []
    remove_folder(tmp_path / "d")
    assert os.listdir(tmp_path) == ["z"]
