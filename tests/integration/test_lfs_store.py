"""git-lfs's own store beside the work tree: how it is filled, what it costs, and that git-lfs believes it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from hfclone.errors import NoReflink
from hfclone.events import Event, Warned, Working
from hfclone.names import LfsStore
from hfclone.plan import Presence
from tests.hub import Hub, Lfs, LivingRepo
from tests.integration.worlds import World, fill, opened, pin_of, spoil_unseen, status

MEBIBYTE = 1024 * 1024
BIG = Lfs(8 * MEBIBYTE, seed=5)


@pytest.fixture
def world(tmp_path: Path) -> World:
    if shutil.which("git-lfs") is None:
        pytest.skip("git-lfs is not installed")
    return World(tmp_path, "configured")


@pytest.fixture
def btrfs(tmp_path: Path) -> Iterator[Path]:
    """A file system that can share blocks."""
    if shutil.which("mkfs.btrfs") is None or os.geteuid() != 0:
        pytest.skip("a btrfs image needs root and mkfs.btrfs")
    image, folder = tmp_path / "image", tmp_path / "btrfs"
    folder.mkdir()
    with image.open("wb") as file:
        file.truncate(200 * MEBIBYTE)
    subprocess.run(["mkfs.btrfs", "-q", image], check=True, capture_output=True)
    done = subprocess.run(["mount", "-o", "loop", image, folder], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"mounting is not allowed here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


@pytest.fixture
def repo(hub: Hub) -> LivingRepo:
    return hub.repo(
        "acme/tiny", {"big.bin": BIG, "same/big.bin": BIG, "small.bin": Lfs(3_000, seed=2), "empty.bin": b""}
    )


def filled(hub: Hub, repo: LivingRepo, world: World, dest: Path, choice: LfsStore) -> list[Event]:
    events: list[Event] = []
    url = f"{hub.url}/acme/tiny"
    with opened(
        hub, pin_of(repo), dest, world.git, origin=url, lfs_store=choice, on_event=events.append
    ) as checkout:  # fmt: skip
        fill(checkout, repo)
    return events


def store_files(dest: Path) -> list[Path]:
    return sorted(path for path in (dest / ".git/lfs/objects").rglob("*") if path.is_file())


def used(folder: Path) -> int:
    """Bytes in use on a file system of its own."""
    os.sync()
    return shutil.disk_usage(folder).used


def assert_git_lfs_agrees(hub: Hub, world: World, dest: Path) -> None:
    assert status(world, dest) == ""
    assert "Git LFS fsck OK" in world.command("lfs", "fsck", cwd=dest)
    rows = world.command("lfs", "ls-files", cwd=dest).splitlines()
    assert rows and all(row.split(" ")[1] == "*" for row in rows)
    hub.log.clear()
    world.command("lfs", "pull", cwd=dest)
    assert [entry.path for entry in hub.log.entries] == []
    assert status(world, dest) == ""


@pytest.mark.parametrize("choice", [LfsStore.HARDLINK, LfsStore.COPY])
def test_store_anywhere(hub: Hub, repo: LivingRepo, world: World, tmp_path: Path, choice: LfsStore) -> None:
    dest = tmp_path / "t"
    events = filled(hub, repo, world, dest, choice)
    assert [file.stat().st_size for file in store_files(dest)].count(BIG.size) == 1
    assert_git_lfs_agrees(hub, world, dest)
    (inode,) = (file.stat() for file in store_files(dest) if file.stat().st_size == BIG.size)
    warned = [event.code for event in events if isinstance(event, Warned)]
    if choice is LfsStore.HARDLINK:
        assert (inode.st_nlink, inode.st_mode & 0o777) == (2, 0o444)
        assert inode.st_ino in ((dest / "big.bin").stat().st_ino, (dest / "same/big.bin").stat().st_ino)
        assert warned == ["lfs-store-hardlink"]
    else:
        assert inode.st_nlink == 1
        assert (dest / "big.bin").stat().st_nlink == 1
        assert warned == []


@pytest.mark.parametrize("choice", [LfsStore.AUTO, LfsStore.REFLINK])
def test_blocks_are_shared(hub: Hub, repo: LivingRepo, world: World, btrfs: Path, choice: LfsStore) -> None:
    dest = btrfs / "t"
    before = used(btrfs)
    filled(hub, repo, world, dest, choice)
    assert used(btrfs) - before < BIG.size * 1.25  # two paths and the store
    assert_git_lfs_agrees(hub, world, dest)
    with (dest / "big.bin").open("r+b") as file:
        file.write(b"edited")
    assert "Git LFS fsck OK" in world.command("lfs", "fsck", cwd=dest)
    world.command("checkout", "big.bin", cwd=dest)
    assert (dest / "big.bin").read_bytes() == BIG.content


def test_reset_after_touch_takes_from_the_store_without_git_lfs(
    hub: Hub, repo: LivingRepo, btrfs: Path, tmp_path: Path
) -> None:
    (tmp_path / "bare").mkdir()
    bare, dest = World(tmp_path / "bare", "absent"), btrfs / "t"
    filled(hub, repo, bare, dest, LfsStore.AUTO)
    os.utime(dest / "big.bin", (1, 1))
    bare.command("reset", "-q", "--hard", cwd=dest)
    assert (dest / "big.bin").read_bytes() == BIG.content
    bare.command("checkout", "-q", "--orphan", "other", cwd=dest)
    bare.command("rm", "-rqf", ".", cwd=dest)
    assert not (dest / "big.bin").exists()
    bare.command("checkout", "-q", "main", cwd=dest)
    assert (dest / "big.bin").read_bytes() == BIG.content
    assert status(bare, dest) == ""


def test_auto_leaves_other_file_systems_alone(hub: Hub, repo: LivingRepo, world: World, tmp_path: Path) -> None:
    dest = tmp_path / "t"
    filled(hub, repo, world, dest, LfsStore.AUTO)
    if not store_files(dest):
        assert not (dest / ".git/lfs").exists()
        assert not list((dest / ".git").rglob("*reflink*"))
    assert status(world, dest) == ""


def test_reflink_where_there_is_none(
    hub: Hub, repo: LivingRepo, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cannot(_source: int, _target: int) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("hfclone.checkout.store.share_blocks", cannot)  # whatever the tests' file system is
    with pytest.raises(NoReflink) as raised:
        filled(hub, repo, world, tmp_path / "t", LfsStore.REFLINK)
    assert "--lfs-store" in raised.value.hint
    assert list((tmp_path / "t").iterdir()) == [tmp_path / "t/.git"]


def test_a_store_for_what_is_in_place_already(hub: Hub, repo: LivingRepo, world: World, tmp_path: Path) -> None:
    dest = tmp_path / "t"
    filled(hub, repo, world, dest, LfsStore.NONE)
    assert store_files(dest) == []
    inode = (dest / "big.bin").stat().st_ino
    filled(hub, repo, world, dest, LfsStore.HARDLINK)
    assert (dest / "big.bin").stat().st_ino == inode
    assert_git_lfs_agrees(hub, world, dest)


@pytest.mark.parametrize("choice", [LfsStore.NONE, LfsStore.COPY, LfsStore.HARDLINK])
def test_what_git_lfs_has_is_used(hub: Hub, repo: LivingRepo, world: World, tmp_path: Path, choice: LfsStore) -> None:
    dest = tmp_path / "t"
    filled(hub, repo, world, dest, LfsStore.COPY)
    for name in ("big.bin", "same/big.bin"):
        (dest / name).unlink()
    with opened(hub, pin_of(repo), dest, world.git, origin=f"{hub.url}/acme/tiny", lfs_store=choice) as checkout:
        presence = checkout.inventory()
        assert presence[b"big.bin"] is Presence.STORED
        checkout.copy(checkout.files()[b"big.bin"], [b"big.bin", b"same/big.bin"])
    assert (dest / "big.bin").read_bytes() == (dest / "same/big.bin").read_bytes() == BIG.content
    assert_git_lfs_agrees(hub, world, dest)


def test_wrong_bytes_in_the_store_are_not_used(hub: Hub, repo: LivingRepo, world: World, tmp_path: Path) -> None:
    dest = tmp_path / "t"
    filled(hub, repo, world, dest, LfsStore.COPY)
    for file in store_files(dest):
        spoil_unseen(file)
    for name in ("big.bin", "same/big.bin"):
        (dest / name).unlink()
    with opened(
        hub, pin_of(repo), dest, world.git, origin=f"{hub.url}/acme/tiny", lfs_store=LfsStore.COPY
    ) as checkout:  # fmt: skip
        assert checkout.inventory()[b"big.bin"] is not Presence.STORED
        fill(checkout, repo)
    assert (dest / "big.bin").read_bytes() == BIG.content
    for file in store_files(dest):
        if file.stat().st_size == BIG.size:
            assert file.read_bytes() == BIG.content


def test_the_plan_counts_a_copy(hub: Hub, repo: LivingRepo, world: World, tmp_path: Path) -> None:
    for choice, wanted in ((LfsStore.COPY, BIG.size), (LfsStore.HARDLINK, 0), (LfsStore.NONE, 0)):
        with opened(hub, pin_of(repo), tmp_path / choice.value, world.git, lfs_store=choice) as checkout:
            assert checkout.store_bytes(checkout.files()[b"big.bin"]) == wanted


def test_filling_it_later_shows_how_far_it_is(hub: Hub, repo: LivingRepo, world: World, tmp_path: Path) -> None:
    filled(hub, repo, world, tmp_path / "t", LfsStore.NONE)
    events = filled(hub, repo, world, tmp_path / "t", LfsStore.COPY)
    total = BIG.size + 3_000
    assert Working("copying for git-lfs", total, total) in events
    again = filled(hub, repo, world, tmp_path / "t", LfsStore.COPY)
    assert not [event for event in again if isinstance(event, Working) and "git-lfs" in event.what]


def test_storage_elsewhere(hub: Hub, repo: LivingRepo, world: World, tmp_path: Path) -> None:
    world.command("config", "--global", "lfs.storage", str(tmp_path / "shared"), cwd=tmp_path)
    dest = tmp_path / "t"
    filled(hub, repo, world, dest, LfsStore.COPY)
    assert not (dest / ".git/lfs/objects").exists()
    assert len([path for path in (tmp_path / "shared/objects").rglob("*") if path.is_file()]) == 2
    assert_git_lfs_agrees(hub, world, dest)
