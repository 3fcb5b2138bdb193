"""Answers that lack something, from the only endpoint, for good: the whole is asked for, and the sum decides."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.faults.rig import Rig
from tests.hub import Hub
from tests.hub.answers import ShortFile, Status, WithoutHeaders
from tests.hub.messages import Request
from tests.hub.streams import ForceGzip, ResetAfter

DROPPED = 0.15
"""Of the objects' bytes: what was on its way when the first answers were found to be of no use."""


def has_range(request: Request) -> bool:
    return "range" in request.headers


LACKING: dict[str, Callable[[Hub], object]] = {
    "206 without Content-Range": lambda hub: hub.faults.add(WithoutHeaders(("Content-Range",)), on="cdn"),
    "416 to every range": lambda hub: hub.faults.add(Status(416), on="cdn", when=has_range),
    "gzip of ranges and of the whole": lambda hub: hub.faults.add(ForceGzip(), on="cdn"),
    "gzip of everything": lambda hub: hub.faults.add(ForceGzip()),
}


@pytest.mark.parametrize("what", LACKING)
def test_what_an_answer_lacks_is_done_without(rig: Rig, what: str) -> None:
    LACKING[what](rig.hub)
    ran = rig.fetch()
    assert not ran.failed
    assert rig.sent() <= 1 + DROPPED
    assert ran.seconds < 30


def test_a_whole_that_breaks_is_asked_for_again(rig: Rig) -> None:
    """No range can go on with it; what is here already is not written twice."""
    rig.hub.faults.add(Status(416), on="cdn", when=has_range)
    rig.hub.faults.add(ResetAfter(3_000_000), on="cdn", times=2, when=lambda request: not has_range(request))
    ran = rig.fetch()
    assert not ran.failed


def test_who_has_another_file_is_not_asked_for_ever(rig: Rig) -> None:
    short = rig.objects[0]
    rig.hub.faults.add(WithoutHeaders(("Content-Range", "Content-Length")), on="cdn", oid=short.oid)
    rig.hub.faults.add(ShortFile(20_000), on="cdn", oid=short.oid)
    rig.patience = 8.0
    ran = rig.fetch()
    assert [failed.pointer for failed in ran.failed] == [short]
    asked = rig.hub.log.of(kind="cdn", oid=short.oid, method="GET")
    assert len(asked) < 80  # in eight seconds of patience
