"""aria2's control file, ``NAME.aria2``: which bytes of a download that is not whole lie in ``NAME``. Pure.

Format: aria2's manual, Technical Notes, "Control File". It claims and proves nothing: aria2 writes it
now and then, so that pieces may be newer than it, and a crash may have lost pieces that it names.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from hfclone.ranges import RangeSet

__all__ = ["BLOCK", "Aria2Control", "bitfield_ranges", "format_control", "parse_control", "piece_length_for"]

BLOCK = 16 * 1024
"""Bytes that one bit of a piece under way stands for."""
_LEAST_PIECE = 1024 * 1024
_USUAL_PIECES = 1 << 17
"""So many pieces at most in what we write: more make each look at the bitfield long."""
_MOST_PIECES = 1 << 24
"""No real download has so many; a damaged file may claim them."""


@dataclass(frozen=True, slots=True)
class Aria2Control:
    """What a control file says: the size of the whole in bytes, and the ranges that are here."""

    total: int
    here: RangeSet


def parse_control(data: bytes) -> Aria2Control | None:
    """Read a control file; ``None`` where it is none, or is damaged or of an unknown version."""
    try:
        return _parse(data)
    except (struct.error, ValueError):
        return None


def piece_length_for(size: int) -> int:
    """The piece length that an object of ``size`` bytes is fetched with."""
    length = _LEAST_PIECE
    while size > length * _USUAL_PIECES:
        length *= 2
    return length


def format_control(held: RangeSet, size: int) -> bytes:
    """A control file that claims what of ``held`` makes whole blocks, and nothing else."""
    piece = piece_length_for(size)
    whole = bytearray(_parts(_parts(size, piece), 8))
    flights: dict[int, bytearray] = {}
    for start, stop in held:
        for index in range(start // piece, _parts(stop, piece)):
            low, high = index * piece, min(size, (index + 1) * piece)
            if start <= low and high <= stop:
                _set(whole, index)
            else:
                blocks = flights.setdefault(index, bytearray(_parts(_parts(high - low, BLOCK), 8)))
                _set_blocks(blocks, max(start, low) - low, min(stop, high) - low, high - low)
    parts = [struct.pack(">HII", 1, 0, 0), struct.pack(">IQQI", piece, size, 0, len(whole)), bytes(whole)]
    begun = {index: blocks for index, blocks in flights.items() if any(blocks)}
    parts.append(struct.pack(">I", len(begun)))
    for index, blocks in sorted(begun.items()):
        length = min(piece, size - index * piece)
        parts += [struct.pack(">III", index, length, len(blocks)), bytes(blocks)]
    return b"".join(parts)


def bitfield_ranges(bits: bytes, unit: int, size: int) -> RangeSet:
    """The bytes of a file of ``size`` whose bits are set, highest first; a bit stands for ``unit`` bytes."""
    held = RangeSet()
    number, count = int.from_bytes(bits, "big"), len(bits) * 8
    text = bin(number)[2:].zfill(count) if count else ""
    position = text.find("1")
    while position >= 0:
        end = text.find("0", position)
        end = count if end < 0 else end
        held.add(position * unit, min(size, end * unit))
        position = text.find("1", end)
    return held


def _parse(data: bytes) -> Aria2Control:
    version = data[:2]
    if version not in (b"\0\0", b"\0\1"):
        raise ValueError("an unknown version")
    # Version 0 was written in the byte order of its machine; those that are left are little-endian.
    fields = _Fields(data, 6, ">" if version == b"\0\1" else "<")
    fields.skip(fields.number("I"))  # the info hash of a torrent
    length, total, _uploaded = fields.number("I"), fields.number("Q"), fields.number("Q")
    bits = fields.take(fields.number("I"))
    pieces = _parts(total, length) if length else 0
    if not length or not total or pieces > _MOST_PIECES or len(bits) != _parts(pieces, 8):
        raise ValueError("its pieces do not make up its length")
    here = bitfield_ranges(bits, length, total)
    for _ in range(fields.number("I")):
        index, size, blocks = fields.number("I"), fields.number("I"), fields.take(fields.number("I"))
        start, stop = index * length, min(total, index * length + size)
        if index >= pieces or size > length or len(blocks) != _parts(_parts(size, BLOCK), 8):
            raise ValueError("a piece under way is none of its pieces")
        for block in _set_bits(blocks, _parts(size, BLOCK)):
            here.add(start + block * BLOCK, min(stop, start + (block + 1) * BLOCK))
    return Aria2Control(total, here)


def _parts(whole: int, size: int) -> int:
    """How many parts of ``size`` there are, the last one perhaps smaller."""
    return -(-whole // size)


def _set_bits(bits: bytes, count: int) -> list[int]:
    """The numbers of those that are set, of ``count`` bits; the highest bit of a byte is its first."""
    return [index for index in range(count) if bits[index // 8] & (0x80 >> index % 8)]


def _set(bits: bytearray, index: int) -> None:
    bits[index // 8] |= 128 >> index % 8


def _set_blocks(bits: bytearray, start: int, stop: int, wide: int) -> None:
    """The blocks that lie wholly in ``[start, stop)`` of a piece that is ``wide``."""
    for block in range(_parts(start, BLOCK), _parts(wide, BLOCK)):
        if min(wide, (block + 1) * BLOCK) > stop:
            return
        _set(bits, block)


class _Fields:
    """Reads one field after the other; ``struct.error`` or ``ValueError`` where there is none."""

    def __init__(self, data: bytes, at: int, order: str) -> None:
        self._data, self._at, self._order = data, at, order

    def number(self, kind: str) -> int:
        (value,) = struct.unpack_from(self._order + kind, self._data, self._at)
        self._at += struct.calcsize(self._order + kind)
        return int(value)

    def take(self, count: int) -> bytes:
        found = self._data[self._at : self._at + count]
        if len(found) != count:
            raise ValueError("it is cut short")
        self._at += count
        return found

    def skip(self, count: int) -> None:
        self.take(count)
