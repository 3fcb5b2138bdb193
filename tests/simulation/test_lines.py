"""Many lines, made by a rule: each is used nearly as well as the best fixed number of connections could."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from statistics import mean

import pytest

from tests.simulation.lines import Line, best_fixed_seconds, limited_seconds
from tests.simulation.run import Ran, Simulation
from tests.simulation.servers import Server

MB = 1e6
RATES = (2 * MB, 20 * MB)
TRIPS = (0.03, 0.1, 0.2, 0.3)
SECONDS = 8
"""What a line takes for the objects at its full rate."""
STEADY: dict[str, Callable[[float, float], Line]] = {
    "clean": Line,
    "throttled": lambda rate, trip: Line(rate, trip, each=rate / 16),
    "lossy": lambda rate, trip: Line(rate, trip, loss=1e-3),
    "crowded": lambda rate, trip: Line(rate, trip, crowding=0.3, room=6),
}
KINDS = STEADY | {
    "with a deep queue": lambda rate, trip: Line(rate, trip, queue=8.0),
    "with hiccups": lambda rate, trip: Line(rate, trip, hiccups=0.03),
    "with resets": lambda rate, trip: Line(rate, trip, reset_bytes=max(MB, rate / 3)),
}
USUAL, WORST = 1.35, 2.0
"""Wall time over the ideal: of a kind's lines in the mean, and of each."""
HARD = {"throttled": (1.5, 2.2), "with resets": (1.5, 2.2)}


def sizes(rate: float) -> list[int]:
    """Half of the bytes in one object, a few large ones, and an eighth in small ones."""
    size = int(rate * SECONDS)
    return [size // 2, *[size // 8] * 3, *[size // 8 // 24] * 24]


def ran_over(line: Line) -> Ran:
    return Simulation([Server("one", line)], sizes(line.rate)).run()


@pytest.mark.parametrize("kind", KINDS)
def test_a_line_is_used(kind: str) -> None:
    usual, worst = HARD.get(kind, (USUAL, WORST))
    over = {}
    for rate, trip in product(RATES, TRIPS):
        line = KINDS[kind](rate, trip)
        ran = ran_over(line)
        assert ran.arrived == len(ran.outcomes) == len(sizes(rate))
        assert ran.over <= (1.1 if kind == "with resets" else 1.06)
        over[rate, trip] = ran.seconds / best_fixed_seconds(line, ran.size)
    assert mean(over.values()) <= usual, over
    assert max(over.values()) <= worst, over


@pytest.mark.parametrize("kind", STEADY)
def test_the_number_of_connections_is_close_to_the_best_fixed_one(kind: str) -> None:
    for rate, trip in product(RATES, TRIPS):
        line, size = STEADY[kind](rate, trip), rate * 40
        # Where segments get lost, it shows after seconds only that a window has become too small.
        seeds, most = (range(2), 1.2) if kind == "lossy" else (range(1), 1.1)
        seconds = mean(limited_seconds(line, size, seed=seed) for seed in seeds)
        assert seconds <= most * best_fixed_seconds(line, size), (rate, trip)


def test_the_same_seed_is_the_same_run() -> None:
    line = KINDS["with resets"](2 * MB, 0.1)
    one, other = ran_over(line), ran_over(line)
    assert (one.seconds, one.flow) == (other.seconds, other.flow)
