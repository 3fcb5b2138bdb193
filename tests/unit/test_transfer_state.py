"""What a transfer tells of itself between two looks."""

from __future__ import annotations

from pathlib import Path

from hfclone.events import Position, Working
from hfclone.partials import Partials
from hfclone.pointer import Oid, Pointer
from hfclone.transfer.leases import LeaseQueue
from hfclone.transfer.state import TELL_BYTES, TransferState

OBJECT = Pointer(Oid("ab" * 32), 10)


def test_reading_is_told_where_nothing_arrives() -> None:
    state = TransferState(LeaseQueue([]))
    assert list(state.progress()) == []
    state.read = TELL_BYTES - 1
    assert list(state.progress()) == []
    state.read = TELL_BYTES
    assert list(state.progress()) == [Working("verifying", TELL_BYTES, 0)]
    assert list(state.progress()) == []


def test_what_arrives_says_enough(tmp_path: Path) -> None:
    """Else the bar of the whole would give way to it again and again."""
    state = TransferState(LeaseQueue([OBJECT]))
    task = state.pool.begin(0.0)
    assert task is not None
    item = state.begin(task)
    item.partial = Partials(tmp_path).open(OBJECT)
    state.read = 2 * TELL_BYTES
    assert list(state.progress()) == [Position(OBJECT.oid, task.received)]
    state.read += TELL_BYTES - 1
    assert list(state.progress()) == []
    item.close()
