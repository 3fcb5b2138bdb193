"""A control file that we write for aria2 says what is held, and nothing else."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hfclone.partials.aria2control import BLOCK, bitfield_ranges, format_control, parse_control, piece_length_for
from hfclone.ranges import RangeSet

MIB = 1024 * 1024
SIZES = st.integers(1, 5 * MIB)


@st.composite
def held_of(draw: st.DrawFn) -> tuple[int, RangeSet]:
    """A size, and some of its bytes; edges on and beside those of blocks and pieces."""
    size = draw(SIZES)
    edge = st.one_of(
        st.integers(0, size),
        st.integers(0, size // BLOCK).map(lambda n: min(size, n * BLOCK)),
        st.integers(0, 5).map(lambda n: min(size, n * MIB)),
    )
    pairs = draw(st.lists(st.tuples(edge, edge), max_size=6))
    return size, RangeSet((min(pair), max(pair)) for pair in pairs)


@given(held_of())
def test_all_that_is_claimed_is_held_and_only_broken_blocks_are_missing(given_: tuple[int, RangeSet]) -> None:
    size, held = given_
    found = parse_control(format_control(held, size))
    assert found is not None
    assert found.total == size
    claimed = found.here
    for start, stop in claimed:
        assert any(low <= start and stop <= high for low, high in held)
    for start, stop in claimed:
        held.remove(start, stop)
    for start, stop in held:  # within one block, or across the edge of two
        assert stop - start < 2 * BLOCK
        assert stop - start < BLOCK or start // BLOCK != (stop - 1) // BLOCK


@given(st.lists(st.booleans(), max_size=80), st.integers(1, 100))
def test_bits_are_bytes(bits: list[bool], unit: int) -> None:
    padded = bits + [False] * (-len(bits) % 8)
    field = bytes(
        sum(bit << (7 - place) for place, bit in enumerate(padded[at : at + 8])) for at in range(0, len(padded), 8)
    )
    size = len(padded) * unit
    expected = RangeSet((n * unit, (n + 1) * unit) for n, bit in enumerate(padded) if bit)
    assert bitfield_ranges(field, unit, size) == expected


def test_huge_objects_have_large_pieces() -> None:
    assert piece_length_for(1) == piece_length_for(100 * 10**9) == MIB
    assert piece_length_for(10**12) == 8 * MIB
