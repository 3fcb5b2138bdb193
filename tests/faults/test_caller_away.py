"""The caller is away while an object is placed, which takes minutes on another disk: the run ends as it would."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from hfclone.events import Event
from hfclone.transfer import Arrived
from hfclone.transfer.coordinator import Coordinator
from tests.faults.rig import Ran, Rig
from tests.hub.streams import HoldAt

pytestmark = pytest.mark.parametrize("kind", ["threads"])


def await_hashers(coordinators: list[Coordinator]) -> None:
    """Until all threads of the fetch that look for work have gone home."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if coordinators[0].stopped and not any("_hash" in _name(thread) for thread in threading.enumerate()):
            return
        time.sleep(0.02)
    raise AssertionError("they did not go")


def _name(thread: threading.Thread) -> str:
    return repr(getattr(thread, "_target", None))


@pytest.fixture
def coordinators(monkeypatch: pytest.MonkeyPatch) -> list[Coordinator]:
    """Those that were made."""
    made: list[Coordinator] = []
    begin = Coordinator.__init__

    def noted(self: Coordinator, *arguments: object) -> None:
        made.append(self)
        begin(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Coordinator, "__init__", noted)
    return made


def fetched(rig: Rig, away: Callable[[], None]) -> Ran:
    """A fetch whose caller is ``away`` with the first object that arrives."""
    events: list[Event] = []
    outcomes = []
    for outcome in rig.transfer().fetch(rig.wanted, events.append):
        if isinstance(outcome, Arrived) and not outcomes:
            away()
        outcomes.append(outcome)
    return Ran(outcomes, events, 0.0)


def test_patience_ends_meanwhile(rig: Rig, coordinators: list[Coordinator]) -> None:
    """Each object that is left has its reason."""
    rig.patience = 60
    rig.hub.faults.add(HoldAt(100_000), on="cdn", oid=rig.objects[0].oid)

    def away() -> None:
        deadline = time.monotonic() + 10
        while not coordinators[0].stopped and time.monotonic() < deadline:
            rig.hands.ahead += 100
            time.sleep(0.1)
        await_hashers(coordinators)

    ran = fetched(rig, away)
    rig.hub.faults.clear()
    assert len(ran.outcomes) == len(rig.objects)
    assert rig.objects[0].oid in {failed.pointer.oid for failed in ran.failed}


def test_a_bug_shows_meanwhile(rig: Rig, coordinators: list[Coordinator], monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends the run as what it is, and not as a limit of this machine."""

    def flawed(*_: object) -> None:
        raise ZeroDivisionError

    def away() -> None:
        monkeypatch.setattr(Coordinator, "tick", flawed)
        await_hashers(coordinators)

    with pytest.raises(ZeroDivisionError):
        fetched(rig, away)
