"""A checkout that is moved, removed or replaced while a run works in it: it ends, says so, and writes nowhere else."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.command import Command, git, tree_of
from tests.e2e.test_resume import claimed, until
from tests.hub import Hub, Lfs, LivingRepo, streams

MB = 1024 * 1024
OTHER = "other"


def moved(path: Path) -> None:
    path.rename(path.with_name(f"{path.name}-moved"))


def removed(path: Path) -> None:
    gone = path.with_name("gone")
    path.rename(gone)
    shutil.rmtree(gone, ignore_errors=True)  # a git may be writing there


def replaced(path: Path) -> None:
    """By another checkout, which has all that it needs to be taken for the first."""
    moved(path)
    shutil.copytree(path.with_name(OTHER), path, symlinks=True)


def without_moved(tree: dict[str, str]) -> dict[str, str]:
    """What is open there may still be written to: it is the right place."""
    return {name: what for name, what in tree.items() if "-moved" not in name}


@pytest.fixture
def repo(hub: Hub, hfclone: Command) -> LivingRepo:
    hub.repo("acme/other", {"a.txt": "a\n", "w.bin": Lfs(9000, seed=9)})
    assert hfclone("acme/other").code == 0
    files = {"a.txt": "a\n", "large.bin": Lfs(12 * MB, seed=1), "s.bin": Lfs(200_000, seed=2), "z.bin": Lfs(MB, seed=3)}
    return hub.repo("acme/one", files)


@pytest.mark.parametrize(
    ("what", "how"),
    [
        *[("", how) for how in (moved, removed, replaced)],
        *[(".git", how) for how in (moved, removed)],
        (".git/hfclone", removed),
        (".git/hfclone/parts", moved),
    ],
)
def test_while_objects_arrive(
    hub: Hub, hfclone: Command, repo: LivingRepo, what: str, how: Callable[[Path], None]
) -> None:
    dest = hfclone.cwd / "one"
    hold = streams.HoldAt(6 * MB, absolute=True)
    rule = hub.faults.add(hold, on="cdn")
    process = hfclone.start("acme/one", "--connections", "1")
    assert hold.held.wait(30)
    until(lambda: claimed(dest) > 5 * MB)
    how(dest / what)
    before = without_moved(tree_of(hfclone.cwd))
    hub.faults.remove(rule)
    done = hfclone.end(process)
    assert (done.code, f"{dest / what} was moved, removed or replaced" in done.error) == (6, True), done.stderr
    now = without_moved(tree_of(hfclone.cwd))
    assert now.keys() <= before.keys()
    assert {name: now[name] for name in before if name.startswith(OTHER)} == {
        name: was for name, was in before.items() if name.startswith(OTHER)
    }
    if how is replaced:
        assert tree_of(dest) == tree_of(dest.with_name(OTHER))
    if not what and how is not removed:
        assert hub.log.wait_quiet()
        since = len(hub.log)
        done = hfclone("acme/one", "one-moved")
        assert done.code == 0, done.stderr
        assert hub.log.bytes_sent(kind="cdn", since=since) < 8 * MB
        assert git(hfclone.cwd / "one-moved", "status", "--porcelain") == ""


@pytest.mark.parametrize("how", [moved, removed, replaced])
def test_while_git_fetches(hub: Hub, hfclone: Command, how: Callable[[Path], None]) -> None:
    hub.repo("acme/other", {"a.txt": "a\n"})
    assert hfclone("acme/other").code == 0
    hub.repo("acme/text", {f"{number}.txt": os.urandom(3000).hex() for number in range(40)})
    dest = hfclone.cwd / "text"
    hold = streams.HoldAt(50_000)
    rule = hub.faults.add(hold, kind="git", path="git-upload-pack")
    process = hfclone.start("acme/text")
    assert hold.held.wait(30)
    how(dest)
    hub.faults.remove(rule)
    done = hfclone.end(process)
    assert (done.code, f"{dest} was moved, removed or replaced" in done.error) == (6, True), done.stderr
    assert sorted(os.listdir(dest)) == [".git", ".gitattributes", "a.txt"] if how is replaced else not dest.exists()


def test_a_part_of_git_that_is_gone(hub: Hub, hfclone: Command, repo: LivingRepo) -> None:
    """Its objects, its index: what git says of it is no bug of ours."""
    dest = hfclone.cwd / "one"
    for name in ("objects", "index"):
        hold = streams.HoldAt(100_000, absolute=True)
        rule = hub.faults.add(hold, on="cdn")
        process = hfclone.start("acme/one", f"one-{name}", "--connections", "1")
        assert hold.held.wait(30)
        moved(dest.with_name(f"one-{name}") / ".git" / name)
        hub.faults.remove(rule)
        done = hfclone.end(process)
        assert (done.code, ".git" in done.error) == (6, True), done.stderr
