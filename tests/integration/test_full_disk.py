"""A disk that is full is called so wherever it is noticed: at a write, at a sync, at the making of a file."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hfclone.checkout.stamps import Stamps
from hfclone.errors import CannotWrite, DiskFull, LocalError
from hfclone.files.ondisk import write_safely
from hfclone.files.refusals import refused
from hfclone.partials import Partials
from hfclone.pointer import Oid, Pointer
from tests.hub import Hub, Lfs, LivingRepo
from tests.integration.worlds import World, fill, opened, pin_of, status

MB = 1024 * 1024


@pytest.fixture
def home(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", folder]
    if os.geteuid() or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a small disk")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def use_up(disk: Path) -> None:
    """Leave no byte free."""
    with pytest.raises(OSError, match="No space"), (disk / "ballast").open("wb", buffering=0) as ballast:
        while True:
            ballast.write(bytes(4096))


def stamp(folder: Path) -> None:
    stamps = Stamps(folder / "stamps")
    for number in range(100):  # there may be room left in the file's last block
        stamps.add(b"%d" % number, Pointer(Oid("ab" * 32), 1), os.stat(folder))


WRITERS: list[Callable[[Path], object]] = [
    lambda folder: write_safely(folder / "file", bytes(MB)),
    lambda folder: Partials(folder).open(Pointer(Oid("ab" * 32), MB)),
    stamp,
]


@pytest.mark.parametrize("write", WRITERS, ids=["file", "part", "stamp"])
def test_what_is_written_to_a_full_disk(disk: Path, write: Callable[[Path], object]) -> None:
    use_up(disk)
    with pytest.raises(DiskFull) as full:
        write(disk)
    assert (full.value.path, full.value.free) == (str(disk), 0)
    (disk / "ballast").unlink()
    write(disk)


def test_a_checkout_whose_disk_fills_at_any_sync(
    hub: Hub, tiny_repo: LivingRepo, home: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On network file systems it is the last sync that tells; the next run goes on from there."""
    syncs = 0
    tiny_repo.add_commit({"one.bin": Lfs(50_000, seed=4), "two.bin": Lfs(50_000, seed=4)}, branch="main", message="n")

    def sync(descriptor: int, real: Callable[[int], None] = os.fsync) -> None:
        nonlocal syncs
        syncs -= 1
        if not syncs:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", sync)

    def run(dest: Path) -> None:
        with opened(hub, pin_of(tiny_repo), dest, home.git) as checkout:
            fill(checkout, tiny_repo)

    for failing in range(1, 100):
        dest, syncs = tmp_path / f"tiny{failing}", failing
        try:
            run(dest)
        except DiskFull as full:
            assert full.path.startswith(str(dest))
            assert "takes no more" in str(full)
            assert "free some space" in full.hint
        if syncs > 0:
            break
        if failing % 6 == 0:
            run(dest)
            assert status(home, dest) == ""
    assert failing > 15
    assert hub.log.of(kind="git")


def test_a_disk_too_small_for_gits_part_is_this_machines_fault(
    hub: Hub, tiny_repo: LivingRepo, home: World, tmp_path: Path
) -> None:
    """Block by block: whatever does not fit, the far side is not blamed, and asked once each time."""
    codes: list[str] = []
    for blocks in range(1, 40):
        disk = tmp_path / str(blocks)
        disk.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"nr_blocks={blocks}", "tmpfs", disk]
        if os.geteuid() or subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("only root may mount a small disk")
        try:
            with opened(hub, pin_of(tiny_repo), disk / "tiny", home.git):
                codes.append("")
        except LocalError as error:
            codes.append(error.code)
        finally:
            subprocess.run(["umount", "--lazy", disk], check=True)
        if not codes[-1]:
            break
    assert len(codes) > 5
    assert set(codes[:-1]) == {"git-failed", "disk-full"}
    assert len([entry for entry in hub.log.of(kind="git") if entry.path.endswith("info/refs")]) <= len(codes)


def test_other_reasons_keep_their_words(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "file"
    assert str(refused(OSError(errno.EACCES, "no"), path)) == str(CannotWrite(str(path), "no"))
    full = refused(OSError(errno.EDQUOT, "quota"), path, 5)
    assert isinstance(full, DiskFull)
    assert (full.path, full.need) == (str(path.parent), 5)
    assert full.free > 5
