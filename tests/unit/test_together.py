"""While many small objects come, and then alone, the program's threads run on one core."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import pytest

from hfclone.cli.together import LET_GO, MANY, WATCHED, Together
from hfclone.events import Event, Position, Verified
from hfclone.pointer import Oid, Pointer

VERIFIED = Verified(Pointer(Oid("ab" * 32), 20_000))
MOVED = Position(Oid("cd" * 32), 4_000_000)


class Watch:
    """A clock that a test moves."""

    seconds = 0.0

    def now(self) -> float:
        return self.seconds


@pytest.fixture
def thread() -> Iterator[int]:
    """Another thread, by the number that the system knows it by."""
    end = threading.Event()
    waiting = threading.Thread(target=end.wait, daemon=True)
    waiting.start()
    assert waiting.native_id is not None
    yield waiting.native_id
    end.set()
    waiting.join()


@pytest.fixture
def cores() -> Iterator[set[int]]:
    """Those that this process may use."""
    if not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2:
        pytest.skip("threads cannot be told where to run, or there is one core")
    before = os.sched_getaffinity(0)
    yield before
    os.sched_setaffinity(0, before)


def hear(together: Together, watch: Watch, events: list[Event], seconds: float) -> None:
    """Events evenly over so many seconds."""
    for event in events:
        watch.seconds += seconds / len(events)
        together.note(event)


def test_many_small_ones_bring_all_threads_together_until_they_end(cores: set[int], thread: int) -> None:
    watch = Watch()
    together = Together(watch.now)
    hear(together, watch, [VERIFIED] * MANY, 2 * WATCHED)
    assert len(os.sched_getaffinity(0)) == 1
    assert os.sched_getaffinity(thread) == os.sched_getaffinity(0) < cores
    together.let_go()
    assert os.sched_getaffinity(0) == os.sched_getaffinity(thread) == cores


@pytest.mark.parametrize(
    "events",
    [[VERIFIED] * 10, [MOVED, *[VERIFIED] * MANY], [MOVED] * MANY],
    ids=["a few", "many beside a large one", "a large one"],
)
def test_others_leave_them_alone(cores: set[int], thread: int, events: list[Event]) -> None:
    watch = Watch()
    together = Together(watch.now)
    hear(together, watch, events, 1.2 * WATCHED)
    assert os.sched_getaffinity(0) == os.sched_getaffinity(thread) == cores


def test_a_large_one_that_begins_lets_them_go(cores: set[int], thread: int) -> None:
    watch = Watch()
    together = Together(watch.now)
    hear(together, watch, [VERIFIED] * MANY, 1.2 * WATCHED)
    assert len(os.sched_getaffinity(thread)) == 1
    hear(together, watch, [MOVED, *[VERIFIED] * MANY], 1.2 * WATCHED)
    assert os.sched_getaffinity(0) == os.sched_getaffinity(thread) == cores


def test_now_and_then_they_may_go_where_there_is_room(cores: set[int], thread: int) -> None:
    watch = Watch()
    together = Together(watch.now)
    seen = set()
    for _ in range(int(2 * LET_GO / WATCHED)):
        hear(together, watch, [VERIFIED] * MANY, 1.01 * WATCHED)
        seen.add(len(os.sched_getaffinity(thread)))
    assert seen == {1, len(cores)}


def test_where_the_system_cannot_nothing_is_done(monkeypatch: pytest.MonkeyPatch, cores: set[int]) -> None:
    with monkeypatch.context() as patch:
        patch.delattr(os, "sched_getaffinity")
        watch = Watch()
        together = Together(watch.now)
        hear(together, watch, [VERIFIED] * MANY, 2 * WATCHED)
        together.let_go()
    assert os.sched_getaffinity(0) == cores
