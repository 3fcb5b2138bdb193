"""What aria2 says of a part in ``<oid>.part.aria2``, and how much of it is believed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from hfclone.files.hashing import blocks
from hfclone.partials.aria2control import BLOCK, parse_control
from hfclone.partials.journal import RECORD_BYTES
from hfclone.pointer import Pointer
from hfclone.ranges import RangeSet

__all__ = ["claimed", "filled", "read_control"]

_ZEROS = bytes(512)


def read_control(path: Path, pointer: Pointer) -> RangeSet:
    """What aria2's account claims; nothing where there is none, or it is of something else."""
    try:
        data = path.read_bytes()
    except OSError:
        return RangeSet()
    return claimed(data, pointer)


def claimed(control: bytes, pointer: Pointer) -> RangeSet:
    """What an account of such a text claims; nothing where it is of something else."""
    found = parse_control(control)
    return found.here if found is not None and found.total == pointer.size else RangeSet()


def filled(descriptor: int, start: int, stop: int) -> Iterator[tuple[int, int]]:
    """The parts of ``[start, stop)`` whose blocks have no hole, each no longer than a journal line's."""
    begun = start
    for low in range(start, stop, BLOCK):
        high = min(stop, low + BLOCK)
        empty = _has_hole(b"".join(blocks(descriptor, low, high)))
        if empty or high - begun > RECORD_BYTES:
            if begun < low:
                yield begun, low
            begun = high if empty else low
    if begun < stop:
        yield begun, stop


def _has_hole(data: bytes) -> bool:
    """Whether a sector of it is all zeros, as what was never written is."""
    step = len(_ZEROS)
    return not data or (
        _ZEROS in data and any(data[at : at + step] == _ZEROS for at in range(0, len(data) - step + 1, step))
    )
