"""aria2's control file: what was written is read, and nothing else is believed."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from hfclone.partials.aria2control import parse_control
from hfclone.ranges import RangeSet

BLOCK = 16 * 1024


def bitfield(indices: set[int], count: int) -> bytes:
    bits = bytearray(-(-count // 8))
    for index in indices:
        bits[index // 8] |= 0x80 >> index % 8
    return bytes(bits)


def control(
    total: int, length: int, done: set[int], begun: dict[int, set[int]], *, version: int = 1, info_hash: bytes = b""
) -> bytes:
    """A control file as aria2 writes it."""
    order = ">" if version else "<"
    pieces = -(-total // length)
    bits = bitfield(done, pieces)
    data = struct.pack(">H4x", version) + struct.pack(f"{order}I", len(info_hash)) + info_hash
    data += struct.pack(f"{order}IQQI", length, total, 0, len(bits)) + bits + struct.pack(f"{order}I", len(begun))
    for index, blocks in begun.items():
        size = min(length, total - index * length)
        part = bitfield(blocks, -(-size // BLOCK))
        data += struct.pack(f"{order}III", index, size, len(part)) + part
    return data


@st.composite
def downloads(draw: st.DrawFn) -> tuple[int, int, set[int], dict[int, set[int]]]:
    total = draw(st.integers(1, 40 * BLOCK))
    length = draw(st.integers(1, 8)) * BLOCK
    pieces = -(-total // length)
    done = draw(st.sets(st.integers(0, pieces - 1)))
    begun = {}
    for index in draw(st.sets(st.integers(0, pieces - 1))):
        blocks = -(-min(length, total - index * length) // BLOCK)
        begun[index] = draw(st.sets(st.integers(0, blocks - 1)))
    return total, length, done, begun


@given(downloads(), st.sampled_from([0, 1]), st.binary(max_size=20))
def test_what_was_written_is_read(
    download: tuple[int, int, set[int], dict[int, set[int]]], version: int, info_hash: bytes
) -> None:
    total, length, done, begun = download
    here = RangeSet((index * length, min(total, (index + 1) * length)) for index in done)
    for index, blocks in begun.items():
        for block in blocks:
            start = index * length + block * BLOCK
            here.add(start, min(total, (index + 1) * length, start + BLOCK))
    found = parse_control(control(total, length, done, begun, version=version, info_hash=info_hash))
    assert found is not None
    assert (found.total, found.here) == (total, here)


@given(downloads(), st.data())
def test_what_is_cut_short_is_none(
    download: tuple[int, int, set[int], dict[int, set[int]]], data: st.DataObject
) -> None:
    whole = control(*download)
    assert parse_control(whole[: data.draw(st.integers(0, len(whole) - 1))]) is None


@given(st.binary(max_size=200))
def test_anything_else_is_none_or_within_its_own_length(noise: bytes) -> None:
    for head in (b"", b"\0\1\0\0\0\0\0\0\0\0", b"\0\0\0\0\0\0\0\0\0\0"):
        found = parse_control(head + noise)
        assert found is None or all(0 <= start < stop <= found.total for start, stop in found.here)
