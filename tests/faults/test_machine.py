"""What happens to the machine, or is missing on it: kills, a full disk, platforms with less."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hfclone.errors import CannotRead, CannotWrite, DiskFull
from hfclone.events import Waiting
from hfclone.partials import Partials
from hfclone.pointer import Oid, Pointer
from tests.faults.rig import MB, Rig, same_file
from tests.hub.streams import HoldAt, Throttle

ROOT = Path(__file__).parents[2]


def start(rig: Rig, *options: str) -> subprocess.Popen[bytes]:
    """A fetch of everything in a process of its own."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.lone", rig.hub.url, rig.repo.commit, str(rig.directory), *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=ROOT,
    )
    assert process.stdin is not None
    rows = (f"{p.oid} {p.size} {rig.paths[p.oid][0].decode()}\n" for p in rig.objects)
    process.stdin.write("".join(rows).encode())
    process.stdin.close()
    process.stdin = None
    return process


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["threads"])  # with aria2c: test_aria2
def test_killed_five_times_in_a_row(rig: Rig) -> None:
    """On a line of 3 MB/s; what a kill costs grows with the rate."""
    rig.objects = sorted(rig.objects, key=lambda pointer: -pointer.size)[:2]  # what has arrived is placed by others
    rig.total = sum(pointer.size for pointer in rig.objects)
    throttle = rig.hub.faults.add(Throttle(each=300_000, total=3 * MB), on="cdn")
    for share in (0.15, 0.3, 0.45, 0.6, 0.75):
        process = start(rig)
        assert rig.hub.log.wait(lambda _log, share=share: rig.sent() > share)  # type: ignore[misc]  # a bound default
        process.send_signal(signal.SIGKILL)
        process.communicate()
        rig.hub.log.wait_quiet()
    rig.hub.faults.remove(throttle)
    process = start(rig)
    said, _ = process.communicate()
    assert process.returncode == 0, said
    for pointer in rig.objects:
        assert same_file(rig.partials.part_path(pointer), rig.repo.object_path(pointer.oid))
    assert rig.sent() <= 1.05  # what lies in sockets, and what came too late for a line of the journal


@pytest.mark.parametrize("kind", ["threads"])
def test_a_platform_without_positioned_reads_and_writes(rig: Rig) -> None:
    said, _ = (process := start(rig, "--bare")).communicate()
    assert process.returncode == 0, said
    for pointer in rig.objects:
        assert same_file(rig.partials.part_path(pointer), rig.repo.object_path(pointer.oid))
    assert rig.sent() <= 1.02


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 44 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.geteuid() or subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=44m", "tmpfs", disk], capture_output=True, check=False
    ).returncode:  # fmt: skip
        pytest.skip("only root may mount a small disk")
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


@pytest.fixture
def small_ext4(tmp_path: Path) -> Iterator[Path]:
    """An ext4 of 64 MB."""
    image, disk = tmp_path / "image", tmp_path / "ext4"
    disk.mkdir()
    with image.open("wb") as file:
        file.truncate(64 * 1024 * 1024)
    for command in (["mkfs.ext4", "-q", image], ["mount", "-o", "loop", image, disk]):
        if os.geteuid() or shutil.which(str(command[0])) is None or subprocess.run(
            command, capture_output=True, check=False
        ).returncode:  # fmt: skip
            pytest.skip("only root may mount a small disk")
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


def test_an_object_that_does_not_fit_leaves_the_room_to_others(small_ext4: Path) -> None:
    """ext4 reserves all there is before it says that this is not enough."""
    partials = Partials(small_ext4 / "parts")
    with pytest.raises(DiskFull):
        partials.open(Pointer(Oid("ab" * 32), 200 * MB))
    assert shutil.disk_usage(small_ext4).free > 30 * MB
    partials.open(Pointer(Oid("cd" * 32), 20 * MB)).close()


def test_a_full_disk_is_waited_for_and_the_others_go_on(rig: Rig, small_disk: Path) -> None:
    rig.partials.directory = rig.directory = small_disk / "parts"
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(27 * MB))
    large = max(rig.objects, key=lambda pointer: pointer.size)
    with rig.in_background() as run:
        waiting = run.wait_for(Waiting)
        assert isinstance(waiting, Waiting)
        assert "bytes free" in waiting.reason
        arrived = {outcome.pointer for outcome in run._outcomes if not isinstance(outcome, Pointer)}
        assert len(arrived) == len(rig.objects) - 1
        assert large not in arrived
        ballast.unlink()
        rig.hands.ahead += 10
        ran = run.done()
    assert not ran.failed
    assert rig.sent() <= rig.fair


def test_a_disk_that_fills_while_an_object_arrives(rig: Rig, small_disk: Path) -> None:
    """Where nothing can be reserved, ENOSPC comes in the middle of a write; what was journalled stays."""
    rig.partials.directory = rig.directory = small_disk / "parts"
    rig.directory.mkdir()
    large = max(rig.objects, key=lambda pointer: pointer.size)
    rig.objects = [large]
    rig.total = large.size
    rig.partials.part_path(large).touch()
    os.truncate(rig.partials.part_path(large), large.size)  # of full size and sparse: nothing is reserved any more
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(30 * MB))
    with rig.in_background() as run:
        waiting = run.wait_for(Waiting)
        assert isinstance(waiting, Waiting)
        assert "bytes free" in waiting.reason
        ballast.unlink()
        rig.hands.ahead += 10
        ran = run.done()
    assert not ran.failed
    assert rig.sent() <= (1.3 if rig.kind == "threads" else 2.3)  # what lies in sixteen buffers is lost


def test_a_part_that_cannot_be_read_ends_the_run_with_its_name(rig: Rig) -> None:
    """The descriptor is replaced by one that takes what it cannot give back, as a failing disk does."""
    large = max(rig.objects, key=lambda pointer: pointer.size)
    rig.objects = [large]
    part = rig.partials.part_path(large)
    hold = HoldAt(at=0)
    rig.hub.faults.add(hold, on="cdn")
    with rig.in_background() as run:
        assert hold.held.wait(20)
        [descriptor] = [number for number in map(int, os.listdir("/proc/self/fd")) if opened(number) == str(part)]
        blind = os.open(part, os.O_WRONLY)
        os.dup2(blind, descriptor)
        os.close(blind)
        hold.go.set()
        with pytest.raises(CannotRead, match="Bad file descriptor") as caught:
            run.done()
    assert str(part) in str(caught.value)
    assert caught.value.hint


def opened(descriptor: int) -> str:
    """What a descriptor of ours is open on; empty if it is closed meanwhile."""
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")
    except FileNotFoundError:
        return ""


@pytest.mark.parametrize("suffix", ["part", "journal"])
def test_a_directory_in_the_place_of_a_file_of_ours(rig: Rig, suffix: str) -> None:
    large = max(rig.objects, key=lambda pointer: pointer.size)
    (rig.directory / f"{large.oid}.{suffix}").mkdir(parents=True)
    with pytest.raises(CannotWrite, match=rf"{large.oid}\.{suffix}"):
        rig.fetch()
