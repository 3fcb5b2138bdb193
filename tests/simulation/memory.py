"""Objects and partials of which only is known who sent which bytes, and whether they are right."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from hfclone.partials import SMALL_BYTES
from hfclone.pointer import Oid, Pointer
from hfclone.ranges import RangeSet

__all__ = ["Memory", "objects_of"]

BLOCK = 64 * 1024
"""An object's digest is over a byte for each block: one that is right or one that is not. So a gigabyte takes no
time, and each byte of a block still counts."""


def objects_of(sizes: Iterable[int]) -> list[Pointer]:
    """Objects of these sizes, each other than all others."""
    return [Pointer(_right_oid(number, size), size) for number, size in enumerate(sizes)]


def _right_oid(number: int, size: int) -> Oid:
    name = b"%d" % number if size else b""
    return Oid(hashlib.sha256(name + b"." * _blocks(size, size)).hexdigest())


def _blocks(stop: int, size: int) -> int:
    """How many blocks ``[0, stop)`` of an object of ``size`` ends."""
    return -(-size // BLOCK) if stop >= size else stop // BLOCK


class _Partial:
    """One unfinished object: which of its bytes are wrong, and whose they are."""

    def __init__(self, pointer: Pointer, number: int) -> None:
        self.pointer = pointer
        self.number = number
        self.records = ()
        self.written = RangeSet()
        self.wrong: dict[str, RangeSet] = {}
        self.is_open = True

    def held(self) -> RangeSet:
        """Nothing is kept from one run to the next."""
        return RangeSet()

    def write(self, start: int, stop: int, wrong: RangeSet, sender: str, *, is_check: bool = False) -> None:
        """``sender`` sent ``[start, stop)``, of which ``wrong`` is.

        Nobody sends what is here, but to have it compared.
        """
        if not is_check:
            assert sum(high - low for low, high in self.written if low < stop and high > start) == 0, "fetched twice"
        self.written.add(start, stop)
        for each in self.wrong.values():
            each.remove(start, stop)
        for low, high in wrong:
            self.wrong.setdefault(sender, RangeSet()).add(max(low, start), min(high, stop))

    def holds(self, start: int, stop: int, wrong: RangeSet, sender: str) -> bool:
        """Whether what ``sender`` sent is what is here."""
        theirs = RangeSet((max(low, start), min(high, stop)) for low, high in wrong)
        return self._wrong_in(start, stop) == ([(sender, list(theirs))] if theirs else [])

    def _wrong_in(self, start: int, stop: int) -> list[tuple[str, list[tuple[int, int]]]]:
        cut = (
            (sender, [(max(low, start), min(high, stop)) for low, high in ranges if low < stop and high > start])
            for sender, ranges in sorted(self.wrong.items())
        )
        return [(sender, parts) for sender, parts in cut if parts]

    def digest(self, start: int, stop: int) -> str:
        """Another one for other bytes."""
        return f"{start} {stop} {self._wrong_in(start, stop)}"

    def feed(self, digest: hashlib._Hash, start: int, stop: int) -> None:
        """Have ``digest`` cover ``[start, stop)``."""
        size = self.pointer.size
        if start == 0 and stop:
            digest.update(b"%d" % self.number)
        assert list(self.written.gaps(stop)) == [], "hashed before it came"
        first, last = _blocks(start, size) if start else 0, _blocks(stop, size)
        if not any(self.wrong.values()):
            digest.update(b"." * (last - first))
            return
        for block in range(first, last):
            digest.update(b"!" if self._wrong_in(block * BLOCK, (block + 1) * BLOCK) else b".")

    def close(self) -> None:
        """Let go of it: once."""
        assert self.is_open
        self.is_open = False


class Memory:
    """What the coordinator asks of the partials, without a disk."""

    def __init__(self, objects: list[Pointer]) -> None:
        self._numbers = {pointer.oid: number for number, pointer in enumerate(objects)}
        self._kept: dict[Oid, _Partial] = {}
        self._begun: set[Oid] = set()

    def number(self, pointer: Pointer) -> int:
        """Its place among the objects."""
        return self._numbers[pointer.oid]

    def part_path(self, pointer: Pointer) -> Path:
        """Where it would be."""
        return Path("/memory") / pointer.oid

    def is_new(self, pointer: Pointer) -> bool:
        """Whether nothing of it is here."""
        return pointer.oid not in self._begun

    def open(self, pointer: Pointer) -> _Partial:
        """Its partial, which nobody has opened before."""
        self._begun.add(pointer.oid)
        return _Partial(pointer, self.number(pointer))

    def put_whole(self, pointer: Pointer) -> bool:
        """A small object came in one piece; ``False`` where something of it is here."""
        assert pointer.size <= SMALL_BYTES
        is_new = self.is_new(pointer)
        self._begun.add(pointer.oid)
        return is_new

    def discard(self, pointer: Pointer) -> None:
        """Nothing of it is right."""
        self._begun.discard(pointer.oid)
