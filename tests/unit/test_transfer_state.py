"""What a transfer tells of itself between two looks."""

from __future__ import annotations

from pathlib import Path

from hfclone.events import Position, Working
from hfclone.partials import Partials
from hfclone.pointer import Oid, Pointer
from hfclone.transfer.pool import Pool
from hfclone.transfer.state import TELL_BYTES, Books

OBJECT = Pointer(Oid("ab" * 32), 10)


def test_reading_is_told_where_nothing_arrives() -> None:
    books = Books(Pool([]))
    assert list(books.progress()) == []
    books.read = TELL_BYTES - 1
    assert list(books.progress()) == []
    books.read = TELL_BYTES
    assert list(books.progress()) == [Working("verifying", TELL_BYTES, 0)]
    assert list(books.progress()) == []


def test_what_arrives_says_enough(tmp_path: Path) -> None:
    """Else the bar of the whole would give way to it again and again."""
    books = Books(Pool([OBJECT]))
    task = books.pool.begin(0.0)
    assert task is not None
    item = books.begin(task)
    item.partial = Partials(tmp_path).open(OBJECT)
    books.read = 2 * TELL_BYTES
    assert list(books.progress()) == [Position(OBJECT.oid, task.received)]
    books.read += TELL_BYTES - 1
    assert list(books.progress()) == []
    item.close()
