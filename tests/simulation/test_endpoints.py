"""Several endpoints at once: what each brings adds up, and who brings nothing costs nothing."""

from __future__ import annotations

from functools import cache
from statistics import mean
from typing import Any

import pytest

from hfclone.errors import HashMismatch, WrongBytes
from hfclone.hub.endpoint import EndpointKind
from tests.simulation.lines import Line
from tests.simulation.run import Ran, Simulation
from tests.simulation.servers import Reach, Server

MB = 1e6
SECONDS = 12
PAIRS = {
    "three to one": (Line(12 * MB, 0.1), Line(4 * MB, 0.15)),
    "far and near": (Line(4 * MB, 0.25), Line(4 * MB, 0.08)),
    "a hundred to one": (Line(20 * MB, 0.03), Line(0.2 * MB, 0.3)),
    "both throttled": (Line(5 * MB, 0.1, each=0.5 * MB), Line(5 * MB, 0.1, each=0.5 * MB)),
    "one lossy": (Line(6 * MB, 0.06, loss=1e-3), Line(2 * MB, 0.3)),
}
DEAD = {
    "silent": {"reach": Reach.SILENT},
    "refusing": {"reach": Reach.REFUSES},
    "mute": {"reach": Reach.MUTE},
    "at fault": {"status": 503},
    "limiting": {"status": 429, "retry_after": 30.0},
    "missing all": {"lacks": lambda _number: True},
}


def sizes(size: int) -> list[int]:
    return [size // 2, *[size // 8] * 3, *[size // 8 // 24] * 24]


def ran_with(one: Line, two: Line, *others: Server, seed: int = 1) -> Ran:
    servers = [Server("one", one), Server("two", two, EndpointKind.HUB), *others]
    return Simulation(servers, sizes(int((one.rate + two.rate) * SECONDS)), seed=seed).run()


def usual_seconds(*third: Any, **manners: Any) -> float:
    """Of a few runs, with ``third`` beside two sound ones."""
    runs = []
    for seed in (1, 2):
        others = [Server("third", *third, **manners)] if third else []
        ran = ran_with(*PAIRS["three to one"], *others, seed=seed)
        assert ran.arrived == len(ran.outcomes)
        runs.append(ran.seconds)
    return mean(runs)


@cache
def alone() -> float:
    return usual_seconds()


@pytest.mark.parametrize("is_swapped", [False, True])
@pytest.mark.parametrize("pair", PAIRS)
def test_two_bring_what_both_can(pair: str, is_swapped: bool) -> None:
    one, two = reversed(PAIRS[pair]) if is_swapped else PAIRS[pair]
    ran = ran_with(one, two)
    assert ran.arrived == len(ran.outcomes)
    assert ran.seconds <= 1.3 * SECONDS
    assert ran.over <= 1.06


@pytest.mark.parametrize("dead", DEAD)
def test_a_dead_endpoint_changes_nothing(dead: str) -> None:
    assert usual_seconds(Line(MB, 0.1), **DEAD[dead]) <= 1.08 * alone()  # with the noise of a few runs


def test_a_crawling_endpoint_costs_little() -> None:
    assert usual_seconds(Line(2000.0, 0.1)) <= 1.2 * alone()


def test_a_mirror_that_lies_is_named_and_its_bytes_come_from_elsewhere() -> None:
    liar = Server("liar", Line(8 * MB, 0.05), lies=lambda _number: True)
    honest = Server("honest", Line(4 * MB, 0.1), EndpointKind.HUB)
    ran = Simulation([liar, honest], sizes(int(4 * MB * SECONDS))).run()
    assert ran.arrived == len(ran.outcomes)
    named = {error.endpoint for _, error in ran.faults if isinstance(error, WrongBytes)}
    alone = {
        error.endpoints for _, error in ran.faults if isinstance(error, HashMismatch) and len(error.endpoints) == 1
    }
    assert named | {senders[0] for senders in alone} == {"liar.example"}


def test_an_object_that_one_lacks_comes_from_the_other() -> None:
    one = Server("one", Line(4 * MB, 0.1), lacks=lambda number: number % 2 == 0)
    two = Server("two", Line(4 * MB, 0.1), EndpointKind.HUB, lacks=lambda number: number % 2 == 1)
    ran = Simulation([one, two], sizes(int(4 * MB * SECONDS))).run()
    assert ran.arrived == len(ran.outcomes)
    assert ran.over <= 1.01


def test_one_without_ranges_is_used_where_it_helps() -> None:
    whole = Server("whole", Line(4 * MB, 0.1), has_ranges=False)
    two = Server("two", Line(4 * MB, 0.1), EndpointKind.HUB)
    ran = Simulation([whole, two], [int(4 * MB)] * 24).run()
    assert ran.arrived == len(ran.outcomes)
    assert ran.seconds <= 1.9 * ran.size / (8 * MB)  # nobody helps it with an object that it has begun
    assert ran.over <= 1.25  # its first answer brings what others were asked for
