"""A CDN that answers 400 to a GET without a range for a very large file, and 206 to one with it."""

from __future__ import annotations

from tests.faults.rig import MB, Rig
from tests.hub import Hub
from tests.hub.answers import NeedsRange, WrongContentRange


def refusals(hub: Hub) -> int:
    """How often it was asked without a range."""
    return len([entry for entry in hub.log.of(kind="cdn") if entry.status == 400])


def test_large_objects_are_asked_for_by_ranges(rig: Rig) -> None:
    """By either fetcher, from the first request on."""
    rig.hub.faults.add(NeedsRange(MB), kind="cdn")
    ran = rig.fetch()
    assert not ran.failed
    assert ran.faults == []
    assert refusals(rig.hub) == 0
    assert rig.sent() <= rig.fair


def test_so_is_what_takes_one_request(rig: Rig) -> None:
    """Once it was asked for without one: the limit is the CDN's own."""
    rig.hub.faults.add(NeedsRange(1000), kind="cdn")
    ran = rig.fetch()
    assert not ran.failed
    assert ran.faults == []
    assert rig.sent() <= rig.fair


def test_a_range_that_was_wrong_once_is_not_asked_for_plainly_for_ever(rig: Rig) -> None:
    """Whoever says a range wrongly is asked for the whole, of which a CDN may want to hear nothing."""
    rig.hub.faults.add(NeedsRange(MB), kind="cdn")
    largest = max(rig.objects, key=lambda pointer: pointer.size)
    rig.hub.faults.add(WrongContentRange(), kind="cdn", oid=largest.oid, times=1)
    ran = rig.fetch()
    assert not ran.failed
    assert refusals(rig.hub) > 0
    assert rig.sent() < 1.5
    assert ran.seconds < 10
