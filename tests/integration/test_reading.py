"""Reading ahead: what was guessed to be of use, and what becomes of it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from hfclone.checkout.stamps import Stamps
from hfclone.pointer import Oid, Pointer
from hfclone.verification.reader import Reading
from hfclone.verification.targets import TargetFile
from hfclone.worktree import WorkTree

SIZE = 2 * 1024 * 1024
NAME = b"model.safetensors"


class Place:
    """A checkout's folder with one large file that has a stamp."""

    def __init__(self, folder: Path) -> None:
        self.path = folder
        self.file = folder / os.fsdecode(NAME)
        self.stamps = folder / ".git" / "hfclone" / "stamps"
        self.stamps.parent.mkdir(parents=True)
        self.pointer = self.write(b"right")
        Stamps(self.stamps).add(NAME, self.pointer, self.file.stat())

    def write(self, seed: bytes) -> Pointer:
        """Other bytes of the same size by the same name; the pointer to them."""
        data = seed * (SIZE // len(seed)) + b"." * (SIZE % len(seed))
        fresh = self.path / "fresh"
        fresh.write_bytes(data)
        fresh.rename(self.file)
        return Pointer(Oid(hashlib.sha256(data).hexdigest()), SIZE)

    def answers(self, reading: Reading, target: TargetFile) -> dict[bytes, tuple[TargetFile, str, bool]]:
        """What is found of one target."""
        tree = WorkTree(self.path)
        reading.ask([target], {target.path: tree.look(target.path)})
        tree.close()
        return {each.target.path: (each.target, each.sha256, each.is_read) for each in reading.answers(lambda _n: None)}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def read_ahead(reading: Reading) -> None:
    reading.begin()
    while reading.read_bytes < SIZE:
        os.sched_yield()


def test_what_was_read_ahead_is_read_once(place: Place) -> None:
    target = TargetFile(NAME, "100755", "0" * 40, place.pointer)
    with Reading.of_checkout(place.path) as reading:
        read_ahead(reading)
        assert place.answers(reading, target) == {NAME: (target, place.pointer.oid, True)}
        assert reading.read_bytes == SIZE


@pytest.mark.parametrize("age", [lambda _stat: None, lambda stat: (stat.st_atime_ns, stat.st_mtime_ns)])
def test_a_file_that_another_has_replaced_since_is_read_again(
    place: Place, age: Callable[[os.stat_result], tuple[int, int] | None]
) -> None:
    target = TargetFile(NAME, "100644", "0" * 40, place.pointer)
    with Reading.of_checkout(place.path) as reading:
        read_ahead(reading)
        before = place.file.stat()
        other = place.write(b"wrong")
        os.utime(place.file, ns=age(before) or (0, 0))
        assert place.answers(reading, target) == {NAME: (target, other.oid, True)}
        assert reading.read_bytes == 2 * SIZE


def test_git_says_what_must_be_there_and_not_the_stamps(place: Place) -> None:
    small = TargetFile(NAME, "100644", "0" * 40, None)
    with Reading.of_checkout(place.path) as reading:
        read_ahead(reading)
        assert place.answers(reading, small) == {NAME: (small, "", True)}
    with Reading.of_checkout(place.path) as reading:
        read_ahead(reading)
        gone = TargetFile(b"elsewhere", "100644", "0" * 40, place.pointer)
        assert place.answers(reading, gone) == {b"elsewhere": (gone, "", False)}


def test_nothing_is_opened_that_is_no_file(place: Place) -> None:
    place.file.unlink()
    os.mkfifo(place.file)  # who opened it would wait for ever
    with Reading.of_checkout(place.path) as reading:
        reading.begin()
        reading.ask([], {})
        assert list(reading.answers(lambda _n: None)) == []


def test_where_there_is_nothing_there_is_nothing_to_begin(tmp_path: Path) -> None:
    with Reading.of_checkout(tmp_path / "nowhere") as reading:
        reading.begin()
