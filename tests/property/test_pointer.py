"""A pointer reads back as itself, and no small text makes the parser stumble."""

from hypothesis import given
from hypothesis import strategies as st

from hfclone.errors import BadPointer
from hfclone.pointer import MAX_SIZE, Oid, Pointer, format_pointer, parse_pointer

oids = st.binary(min_size=32, max_size=32).map(lambda digest: Oid(digest.hex()))
pointers = st.builds(Pointer, oids, st.integers(1, MAX_SIZE))


@given(pointers)
def test_there_and_back(pointer: Pointer) -> None:
    assert parse_pointer(format_pointer(pointer)) == pointer


@given(pointers, st.integers(0, 140), st.binary(max_size=3), st.integers(0, 3))
def test_a_damaged_pointer_is_another_pointer_or_refused(pointer: Pointer, at: int, new: bytes, cut: int) -> None:
    text = format_pointer(pointer)
    damaged = text[:at] + new + text[at + cut :]
    try:
        read = parse_pointer(damaged)
    except BadPointer as error:
        assert error.reason
    else:
        assert read is None or parse_pointer(format_pointer(read)) == read or read.size == 0


@given(st.binary(max_size=1100))
def test_ordinary_bytes_are_no_pointer(text: bytes) -> None:
    assert parse_pointer(text) is None
