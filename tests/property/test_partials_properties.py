"""Whatever a crash leaves of a journal and a part: what is provable is kept, and nothing else is believed."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from hfclone.files.hashing import RangeDigest
from hfclone.partials import Partials, Record
from hfclone.partials import allocation as module
from hfclone.pointer import Oid, Pointer
from hfclone.ranges import RangeSet

if TYPE_CHECKING:
    import pytest

SIZE = 5000
CONTENT = bytes(i * 7 % 251 for i in range(SIZE))
POINTER = Pointer(Oid("ab" * 32), SIZE)
RANGES = st.lists(st.tuples(st.integers(0, SIZE - 1), st.integers(1, 900)), min_size=1, max_size=8)


def begun(directory: Path, ranges: list[tuple[int, int]]) -> tuple[Partials, list[Record]]:
    """A partial with some ranges written and journalled."""
    partials = Partials(directory)
    partial = partials.open(POINTER)
    records = []
    for start, length in ranges:
        data = CONTENT[start : start + length]
        partial.write(data, start)
        digest = RangeDigest()
        digest.update(data)
        records.append(Record(start, start + len(data), "hub.example:443", digest.hexdigest()))
        partial.record(records[-1])
    partial.close()
    return partials, records


def held(partials: Partials) -> RangeSet:
    partial = partials.open(POINTER)
    try:
        return partial.held()
    finally:
        partial.close()


@given(RANGES, st.integers(0, 600))
@settings(max_examples=60, deadline=None)
def test_a_journal_cut_anywhere_loses_no_finished_line(ranges: list[tuple[int, int]], cut: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        partials, records = begun(Path(name), ranges)
        journal = partials.journal_path(POINTER)
        whole = journal.read_bytes()[:cut]
        journal.write_bytes(whole)
        kept = RangeSet()
        length = len(b"hfclone-journal 1\n")
        for record in records:
            length += len(record.line())
            if length - 1 <= len(whole):  # the line break itself may be missing
                kept.add(record.start, record.stop)
        assert held(partials) == kept
        # Behind whatever is left the next line is read again.
        partial = partials.open(POINTER)
        partial.record(records[0])
        partial.close()
        kept.add(records[0].start, records[0].stop)
        assert held(partials) == kept or not whole.startswith(b"hfclone-journal 1\n")


@given(RANGES, st.integers(0, SIZE - 1))
@settings(max_examples=60, deadline=None)
def test_a_flipped_byte_costs_its_ranges_and_no_other(ranges: list[tuple[int, int]], at: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        partials, records = begun(Path(name), ranges)
        part = partials.part_path(POINTER)
        data = bytearray(part.read_bytes())
        data[at] ^= 0xFF
        part.write_bytes(data)
        sound = RangeSet((r.start, r.stop) for r in records if not r.start <= at < r.stop)
        assert held(partials) == sound


@given(st.binary(max_size=400), st.integers(0, 2 * SIZE))
@settings(max_examples=60, deadline=None)
def test_any_journal_and_any_part_can_be_opened(journal: bytes, size: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        partials = Partials(Path(name))
        partials.journal_path(POINTER).write_bytes(b"hfclone-journal 1\n" + journal)
        partials.part_path(POINTER).write_bytes(bytes(size))
        assert held(partials).size == 0 or b" " in journal
        assert partials.part_path(POINTER).stat().st_size == SIZE


@given(st.integers(0, 2 * SIZE))
@settings(max_examples=40, deadline=None)
def test_a_part_of_another_size_keeps_what_is_right(size: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        partials, _records = begun(Path(name), [(0, 800), (1600, 800), (4000, 800)])
        part = partials.part_path(POINTER)
        part.write_bytes((part.read_bytes() + bytes(SIZE))[:size])
        expected = RangeSet((a, a + 800) for a in (0, 1600, 4000) if a + 800 <= size)
        assert held(partials) == expected


def test_the_disk_may_begin_early_wherever_that_exists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    partial = Partials(tmp_path).open(POINTER)
    partial.write(CONTENT, 0)
    partial.begin_writeback(0, SIZE)
    monkeypatch.setattr(module, "_libc", lambda: None)
    partial.begin_writeback(0, SIZE)
    partial.close()
    assert partial.path.read_bytes() == CONTENT
