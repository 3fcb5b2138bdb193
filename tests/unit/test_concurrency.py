"""The number of connections, on simulated lines: close to the best fixed number, whatever the line is like."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

import pytest

from hfclone.transfer.concurrency import FIRST, ConcurrencyLimiter

MB = 1e6
TICK = 0.1
FIRST_WINDOW = 14_480.0
FIXED = (4, 8, 16, 32, 64)
CAP = 64


@dataclass(frozen=True, slots=True)
class Line:
    """A line in numbers; all rates in bytes a second.

    ``whole`` is what ``n`` connections bring together, ``each`` what one brings at most. A connection begins with
    ``FIRST_WINDOW`` a round trip and doubles that each round trip, until it has its share; from then on it takes room
    that others leave by a quarter in eight round trips, as BBR does. ``noise`` is the share by which each tenth of a
    second differs.
    """

    trip: float
    whole: Callable[[int], float]
    each: float = math.inf
    noise: float = 0.05
    size: float = 150 * MB


def full(rate: float) -> Callable[[int], float]:
    return lambda _n: rate


def crowded(rate: float, best: int, loss: float) -> Callable[[int], float]:
    """Packets are lost: more connections than ``best`` push each other aside."""
    return lambda n: rate / (1 + loss * abs(math.log2(n / best)))


LINES = {
    "long": Line(0.25, full(20 * MB), size=300 * MB),
    "short": Line(0.04, full(20 * MB), size=300 * MB),
    "lossy": Line(0.25, crowded(6 * MB, 4, 0.12), noise=0.3),
    "very lossy": Line(0.3, crowded(3 * MB, 8, 0.35), noise=0.4),
    "throttled": Line(0.2, full(12 * MB), each=0.4 * MB, size=300 * MB),
    "throttled hard": Line(0.1, full(100 * MB), each=0.2 * MB, noise=0.02, size=200 * MB),
    "senders that slow down at each loss": Line(0.25, full(8 * MB), each=0.06 * MB, noise=0.2, size=120 * MB),
    "modem": Line(0.1, full(0.5 * MB), size=30 * MB),
    "few": Line(0.05, crowded(10 * MB, 4, 0.3), noise=0.1, size=300 * MB),
}


class Model:
    """Connections over a line, a tick after another.

    A connection that fills its queue loses packets: what comes for ``hold`` seconds then waits for them, and is handed
    on all at once.
    """

    def __init__(self, line: Line, seed: int, hold: float) -> None:
        self.line, self.rng, self.hold = line, Random(seed), hold
        self.now = self.received = 0.0
        self.windows: list[float] = []
        self.grown: list[bool] = []
        """Of each connection: whether it has had its share once."""
        self.held: list[tuple[float, float] | None] = []
        """Of each connection that has filled its queue: until when what comes waits, and how much that is."""

    def step(self, connections: int) -> None:
        """``connections`` are at work for a tick; one that is new begins anew, one that is not wanted ends."""
        line, new = self.line, connections - len(self.windows)
        self.windows = self.windows[:connections] + [FIRST_WINDOW] * new
        self.held = self.held[:connections] + [None] * new
        self.grown = self.grown[:connections] + [False] * new
        wanted = [min(window / line.trip, line.each) for window in self.windows]
        share = min(1.0, line.whole(connections) / sum(wanted))
        factor = max(0.0, self.rng.gauss(1.0, line.noise))
        for index, rate in enumerate(wanted):
            self._receive(index, rate * share * factor * TICK, is_full=rate >= line.each or share < 1)
        self._grow(TICK / line.trip, max(FIRST_WINDOW, 2 * line.whole(connections) / connections * line.trip))
        self.now += TICK

    def _grow(self, trips: float, fair: float) -> None:
        """Toward ``fair``: at first at once, later slowly, from above as from below."""
        slowly = 1.25 ** (trips / 8)
        for index, window in enumerate(self.windows):
            self.grown[index] |= window >= fair
            growth = slowly if self.grown[index] else 2**trips
            self.windows[index] = max(fair, window / slowly) if window > fair else min(fair, window * growth)

    def _receive(self, index: int, count: float, *, is_full: bool) -> None:
        held = self.held[index]
        if held is None and is_full:
            held = self.held[index] = (self.now + self.hold * self.rng.uniform(0.5, 1.5), 0.0)
        if held is not None and self.now < held[0]:
            self.held[index] = (held[0], held[1] + count)
        else:
            self.received += count + (held[1] if held else 0.0)
            self.held[index] = held and (held[0], 0.0)


def seconds_with(line: Line, connections: int, hold: float = 0.0) -> float:
    model = Model(line, 1, hold)
    while model.received < line.size:
        model.step(connections)
    return model.now


def seconds_limited(line: Line, seed: int = 1, hold: float = 0.0) -> tuple[float, list[int]]:
    model, limiter, targets = Model(line, seed, hold), ConcurrencyLimiter(CAP), []
    while model.received < line.size:
        model.step(limiter.target)
        limiter.tick(model.now, int(model.received), limiter.target, line.trip)
        targets.append(limiter.target)
    return model.now, targets


@pytest.mark.parametrize("hold", [0.0, 0.4, 0.8])
@pytest.mark.parametrize("name", LINES)
def test_close_to_the_best_fixed_number(name: str, hold: float) -> None:
    line = LINES[name]
    best = min(seconds_with(line, number, hold) for number in FIXED)
    ours = sorted(seconds_limited(line, seed, hold)[0] for seed in range(9))
    assert ours[4] <= 1.1 * best + 2 * hold, (ours, best)  # two steps up, each of which waits for packets
    assert ours[-1] <= 1.35 * best + 2 * hold, (ours, best)


def drive(
    limiter: ConcurrencyLimiter, seconds: float, rate_of: Callable[[int], float], start: float = 0.0
) -> list[int]:
    """Targets over time where the rate follows from the number alone."""
    now, received, targets = start, 0.0, []
    while now < start + seconds:
        received += rate_of(limiter.target) * TICK
        limiter.tick(now, int(received), limiter.target, 0.05)
        targets.append(limiter.target)
        now += TICK
    return targets


def test_as_long_as_each_brings_its_share_few_steps_lead_to_the_cap() -> None:
    targets = drive(ConcurrencyLimiter(CAP), 5.0, lambda n: n * MB)
    assert sorted(set(targets)) == [FIRST, 4 * FIRST, CAP]


def test_a_number_that_more_cannot_beat_is_kept() -> None:
    targets = drive(ConcurrencyLimiter(CAP), 300.0, lambda n: min(n, 5) * 10 * MB)
    assert sum(targets) / len(targets) < 10


@pytest.mark.parametrize(("cores", "ends_at"), [(2, FIRST), (8, CAP), (None, CAP)])
def test_what_this_machine_cannot_take_in_is_not_asked_for(cores: int | None, ends_at: int) -> None:
    limiter, received = ConcurrencyLimiter(CAP, cores), 0
    for tick in range(60):  # one core is busy all the time
        received += limiter.target * 10**5
        limiter.tick(tick / 10, received, limiter.target, 0.0, spent=tick / 10)
    assert limiter.target == ends_at


@pytest.mark.parametrize("cap", [1, 3])
def test_the_cap_is_kept_however_small(cap: int) -> None:
    assert max(drive(ConcurrencyLimiter(cap), 60.0, lambda n: n * MB)) == cap


def test_an_outage_changes_no_number() -> None:
    limiter, received = ConcurrencyLimiter(CAP), 0
    for tick in range(450):
        is_dark = tick >= 200
        received += 0 if is_dark else min(limiter.target, 24) * 10**5
        for _ in range(limiter.target if is_dark and tick % 20 == 10 else 0):
            limiter.lost()
        limiter.tick(tick / 10, received, limiter.target, 0.05)
        if tick == 199:
            before = limiter.target
    assert limiter.target == before


def test_a_line_that_breaks_under_many_gets_few() -> None:
    limiter, received, targets = ConcurrencyLimiter(CAP), 0, []
    for tick in range(1200):
        for _ in range(limiter.target if limiter.target > 4 and tick % 5 == 0 else 0):
            limiter.lost()
        received += min(limiter.target, 4) * 10**5
        limiter.tick(tick / 10, received, limiter.target, 0.05)
        targets.append(limiter.target)
    assert sum(targets[200:]) / 1000 <= 6
    assert min(targets) >= 2


def test_a_line_that_changes_is_looked_at_again() -> None:
    limiter = ConcurrencyLimiter(CAP)
    drive(limiter, 30.0, lambda _n: 10 * MB)
    few = limiter.target
    assert few <= FIRST
    targets = drive(limiter, 40.0, lambda n: n * MB, start=30.0)
    assert targets[-1] == CAP
