"""Which connections are given up, and asked for anew."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from hfclone.hub.endpoint import Endpoint
from hfclone.pointer import Oid, Pointer
from hfclone.transfer.endpoint_selection import EndpointSelector
from hfclone.transfer.health import EndpointHealth
from hfclone.transfer.leases import LEAST_RANGE_BYTES, Lease, Task

ENDPOINT = Endpoint("http://127.0.0.1:9")
TRIP = 0.2
LITTLE, MUCH = LEAST_RANGE_BYTES, LEAST_RANGE_BYTES + 1


def selector(health: EndpointHealth) -> EndpointSelector:
    nothing: Counter[Endpoint] = Counter()
    return EndpointSelector(
        health, lambda _: True, lambda _: 0.0, lambda: 0, False, nothing, nothing, {},
        lambda *_: False, list, lambda _: False,
    )  # fmt: skip


@pytest.mark.parametrize("flows", [True, False])
@pytest.mark.parametrize(
    ("rest", "is_end", "hurried", "silent", "lags"),
    [
        (MUCH, True, 0, 1.4, False),
        (MUCH, True, 0, 1.6, True),  # nothing else is left to do
        (MUCH, True, 1, 1.6, False),  # twice as long each time
        (LITTLE, True, 0, 0.3, False),  # less than two round trips
        (LITTLE, True, 0, 0.5, True),  # its last packet is lost, maybe: asked for twice, it costs nothing
        (LITTLE, True, 1, 0.7, False),
        (LITTLE, True, 1, 0.9, True),
        (LITTLE, True, 3, 1.6, False),  # often enough
        (LITTLE, False, 0, 1.4, False),  # others have the line meanwhile
    ],
)
def test_silence_at_the_end(rest: int, is_end: bool, hurried: int, silent: float, lags: bool, flows: bool) -> None:
    health = EndpointHealth([ENDPOINT], lambda: 0.0, Random(1))
    health.began(ENDPOINT, TRIP)
    task = Task(Pointer(Oid("0" * 64), 10 * MUCH), hurried=hurried)
    began = {"first": 0.0, "flowing": (0.0, 0)} if flows else {}
    lease = Lease(task, ENDPOINT, 0, rest, 0, 0.0, 0.0, asked=0.0, **began)  # type: ignore[arg-type]
    # Where nothing has come yet, the far side may only be slow.
    assert selector(health).lags(lease, [lease], silent, is_end=is_end) is (lags and (flows or rest == MUCH))


def test_answers_that_were_under_way_together_count_once_when_they_are_given_up() -> None:
    """Each would double how long the next may take: five at once would be waited for sixteen times as long."""
    task = Task(Pointer(Oid("0" * 64), MUCH))
    assert [task.given_up(asked, 2.0) for asked in (0.1, 0.2, 0.3)] == [True, False, False]
    assert not task.given_up(1.9, 3.0), "asked for before the others were given up"
    assert task.given_up(3.5, 4.0)
