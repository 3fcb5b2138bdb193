"""``hfclone import``, killed at any of its steps: the same command ends it, and no file is lost or has two names."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.e2e.command import Command, git, placed, sha256
from tests.hub import Hub, Lfs, LivingRepo
from tests.refusing import KILL, Refusal, Refusing

MB = 1024 * 1024
STEPS = {
    "before the last name goes": ("unlink", "{folder}/b.bin", 0),
    "before it is in place": ("rename", "{dest}/b.bin", 0),
    "before a part of it is made": ("link", "{folder}/b.bin", 0),
    "before the index is told": ("rename", "{dest}/.git/index", 0),
    "at its end": ("truncate", "{dest}/.git/hfclone/lock", 1),
}


@pytest.fixture
def repo(hub: Hub) -> LivingRepo:
    files = {"a.bin": Lfs(3 * MB, seed=1), "b.bin": Lfs(2 * MB, seed=2), "c.bin": Lfs(4 * MB, seed=3), "x.txt": "x\n"}
    return hub.repo("acme/three", files)


@pytest.fixture
def dest(hfclone: Command, repo: LivingRepo) -> Path:
    """A checkout that lacks all."""
    assert hfclone("acme/three", "--exclude", "*").code == 0
    return hfclone.cwd / "three"


@pytest.fixture
def folder(hfclone: Command, repo: LivingRepo) -> Path:
    """Two of the three objects, as somebody fetched them, with rights of their own."""
    folder = hfclone.cwd / "fetched"
    folder.mkdir()
    for name, seed, size in (("a.bin", 1, 3 * MB), ("b.bin", 2, 2 * MB)):
        (folder / name).write_bytes(Lfs(size, seed=seed).content)
        (folder / name).chmod(0o600)
    return folder


def assert_taken(dest: Path, repo: LivingRepo, folder: Path) -> None:
    assert placed(dest) == {"a.bin", "b.bin"}
    assert {sha256(dest / name) for name in ("a.bin", "b.bin")} < repo.objects.keys()
    assert git(dest, "status", "--porcelain") == ""
    assert {(dest / name).stat().st_nlink for name in ("a.bin", "b.bin")} == {1}
    assert list((dest / ".git/hfclone/parts").iterdir()) == []


@pytest.mark.parametrize("step", STEPS)
def test_a_move(
    hub: Hub, repo: LivingRepo, hfclone: Command, dest: Path, folder: Path, refusing: Refusing, step: str
) -> None:
    call, glob, skip = STEPS[step]
    made = (dest / "x.txt").stat().st_mode
    killed = refusing.environ(Refusal(call, KILL, glob.format(folder=folder, dest=dest), skip=skip))
    command = ("import", folder, "--move", "--into", dest)
    assert hfclone(*command, env=killed).code == -signal.SIGKILL
    assert refusing.refused()
    done = hfclone(*command)
    assert done.code == 0, done.stderr
    assert_taken(dest, repo, folder)
    assert os.listdir(folder) == []
    assert {(dest / name).stat().st_mode for name in ("a.bin", "b.bin")} == {made}
    assert hfclone(*command).code == 0, "whoever says it again finds it done"
    assert hfclone("import", hfclone.home, "--move", "--into", dest).code == 2
    since = len(hub.log)
    assert hfclone("fetch", dest).code == 0
    assert hub.log.bytes_sent(kind="cdn", since=since) == 4 * MB


@pytest.mark.parametrize("glob", ["{dest}/b.bin", "{dest}/.git/index"])
def test_a_copy(repo: LivingRepo, hfclone: Command, dest: Path, folder: Path, refusing: Refusing, glob: str) -> None:
    command = ("import", folder, "--into", dest)
    killed = refusing.environ(Refusal("rename", KILL, glob.format(dest=dest)))
    assert hfclone(*command, env=killed).code == -signal.SIGKILL
    for _ in range(2):
        done = hfclone(*command)
        assert done.code == 0, done.stderr
        assert_taken(dest, repo, folder)
        assert sorted(os.listdir(folder)) == ["a.bin", "b.bin"]


def test_a_beginning(repo: LivingRepo, hfclone: Command, dest: Path, folder: Path) -> None:
    """It is held after the first time, and that is no mistake of whoever says it again."""
    begun = folder / "c.bin.part"
    begun.write_bytes(Lfs(4 * MB, seed=3).content[: 3 * MB])
    assert hfclone("import", begun, "--into", dest).code == 0
    assert hfclone("import", begun, "--into", dest).code == 0


def test_a_name_that_the_user_gives_a_moved_file_later_stays(
    repo: LivingRepo, hfclone: Command, dest: Path, folder: Path
) -> None:
    """What is done is not done again."""
    assert hfclone("import", folder / "b.bin", "--move", "--into", dest).code == 0
    (folder / "b.bin").hardlink_to(dest / "b.bin")
    assert hfclone("import", folder / "a.bin", "--into", dest).code == 0
    assert sorted(os.listdir(folder)) == ["a.bin", "b.bin"]
    assert hfclone("import", folder, "--move", "--into", dest).code == 0
    assert sorted(os.listdir(folder)) == ["a.bin", "b.bin"]


def test_nothing_is_lacking(repo: LivingRepo, hfclone: Command, dest: Path, folder: Path) -> None:
    assert hfclone("fetch", dest).code == 0
    assert hfclone("import", folder, "--move", "--into", dest).code == 0
    assert sorted(os.listdir(folder)) == ["a.bin", "b.bin"], "what is here already is left where it is"
