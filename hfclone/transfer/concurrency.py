"""How many connections an endpoint is given: the smallest number that brings nearly all that more would. Pure.

Why so: where a line throttles each connection, or its senders take each lost packet for a full line, many connections
bring more; where packets get lost and the senders do not mind, or the line is full, more of them only push each other
aside. Which it is shows in the rate of all of them together, measured over whole round trips, after a new number has
had the time to show what it brings.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

__all__ = ["FIRST", "ConcurrencyLimiter"]

FIRST = 8
"""Connections to begin with."""
FLOOR = 2
ROUND = 0.15
"""Seconds of a measurement at the least; a round trip where that takes longer."""
ROUNDS = 4
"""Rounds that a number is given at the least: connect, ask, and grow."""
EARLY_ROUNDS = 2
"""The same where more connections bring so much more that it can be no noise."""
HALF, NOISY_ROUNDS = 3, 6
SURE_ROUNDS, WORSE_ROUNDS = 12, 8
"""The same before more connections are said to be in vain; the second where they bring even less."""
WORTH_ROUNDS = 24
"""As many have to be left for a trial: one in vain takes half of them."""
MOST_ROUNDS = 24
"""So many at the most, where the rate goes on growing, or jumps."""
GROWING = 1.12
"""Growth from the rounds before to the last ones that says that a number has not shown all yet."""
STEADY = 0.3
"""Difference between the fastest and the slowest of a few rounds, of their mean, that is no noise: where packets are
lost, bytes come in bursts, and twice as many rounds are needed."""
STRIDE, LONG_STRIDE = 2, 4
"""So many times more are tried; the second while no trial was in vain: where each connection is held to a rate of its
own, time is lost with each step, and where it is not, more of them do little harm for a moment."""
IN_PROPORTION = 0.7
"""Of the growth of their number that connections bring where each is held to a rate of its own."""
GAIN = 0.3
"""By which a larger number has to bring more to be kept: less may be noise, or what was taken from others."""
ENOUGH = 0.95
"""Of the rate that a smaller number has to bring to be kept."""
MUCH_WORSE = 0.9
"""Of the rate before: where more connections bring less than that, they are given up at once."""
STEP_DOWN, STEP_ROUNDS = 0.8, 8
"""So many of its connections are left by a step to a smaller number, for so many rounds at the least. Why so slowly:
senders with BBR take the room that others leave by a quarter in eight round trips, and not sooner."""
NEARLY_ALL = 0.75
"""Of the connections that are wanted: so many have to be at work for their rate to tell anything."""
BUSY = 0.45
"""Of all cores: a process that takes so much of them (one sends, one hashes) gains nothing by further threads."""
SHORT_REST_SECONDS = 5.0
REST_SECONDS = 15.0
"""Until another number is tried after one in vain; twice as long each time, since lines change, but seldom."""
MOST_REST_SECONDS = 120.0
CHANGED = 1.5
"""So many times more or less than a number brought when it was tried: the line is another now."""


@dataclass(slots=True)
class ConcurrencyLimiter:
    """The number of connections to use at one endpoint now. Not thread-safe."""

    cap: int
    cores: int | None = None
    """Of this machine; ``None`` lets its load count for nothing."""
    target: int = 0
    _since: float = -math.inf
    _bytes: int = 0
    _spent: float = 0.0
    _losses: int = 0
    _asked: int = 0
    """Rounds that the losses were counted over."""
    _rate: float = 0.0
    _rates: list[float] = field(default_factory=list)
    """Of the rounds since the number was changed, in bytes a second."""
    _base: tuple[int, float] | None = None
    """The number that the current one is held against, and what it brought; ``None`` where it is no trial."""
    _in_vain: tuple[int, float] | None = None
    """The number that was just tried in vain, and what it brought."""
    _known: float = 0.0
    """What the current number brought when it was last judged."""
    _is_worth_it: bool = True
    """Whether enough is left for another number to win back what it costs to try it."""
    _stride: int = LONG_STRIDE
    _tries_fewer: bool = False
    """Whether the next trial is a smaller number."""
    _least: int = FLOOR
    """The number that the steps to smaller ones lead to, where each of them brings enough."""
    _has_shrunk: bool = False
    """Whether it is known that a smaller one brings less."""
    _rest_until: float = 0.0
    _blame_after: float = 0.0
    """Until then connections that break are not put down to their number."""
    _rest: float = REST_SECONDS

    def __post_init__(self) -> None:
        self.target = min(self.cap, FIRST)

    @property
    def rate(self) -> float:
        """Bytes a second of all connections together, as seen lately; 0 while nothing came."""
        return self._rate

    def lost(self) -> None:
        """A connection broke, was refused or was limited."""
        self._losses += 1

    def tick(
        self, now: float, received: int, busy: int, latency: float, spent: float = 0.0, left: float = math.inf
    ) -> None:
        """``received`` bytes in all so far; ``busy`` connections at work; answers begin after ``latency`` s.

        ``spent`` is this process's CPU time in seconds, ``left`` how many seconds the rest takes as it goes now. Call
        it a few times a second.
        """
        elapsed = now - self._since
        self._is_worth_it = left > WORTH_ROUNDS * max(ROUND, latency)
        if elapsed < max(ROUND, latency):
            return
        if elapsed > 4 * max(ROUND, latency):  # the first, or after a pause
            self._begin(now, received, spent)
            return
        if received == self._bytes:  # nobody's number is to blame where nothing comes at all
            self._begin(now, received, spent)
            self._losses = self._asked = 0
            return
        rate = (received - self._bytes) / elapsed
        is_busy = self.cores is not None and spent - self._spent >= BUSY * self.cores * elapsed
        self._since, self._bytes, self._spent = now, received, spent
        self._rate = max(rate, 0.7 * self._rate + 0.3 * rate)
        if self._count_losses() and now >= self._blame_after:
            self._back_off(now)
        elif not NEARLY_ALL * self.target <= busy <= max(self.target / NEARLY_ALL, FLOOR + 1):
            # Not enough to do, or connections of a larger number not at their ends: this says nothing of the number.
            self._rates.clear()
        else:
            self._rates.append(rate)
            if self._has_shown():
                self._judge(now, self._measured(), is_busy=is_busy)

    def _begin(self, now: float, received: int, spent: float) -> None:
        self._since, self._bytes, self._spent = now, received, spent
        self._rates.clear()

    def _count_losses(self) -> bool:
        """Whether connections break so often that it must be their number."""
        self._asked += 1
        if self._asked < ROUNDS:
            return False
        losses, self._losses, self._asked = self._losses, 0, 0
        return losses > max(1, self.target // 2)

    def _back_off(self, now: float) -> None:
        """Fewer connections, as a trial: where they break just so, and bring less, their number is not to blame."""
        base = self._base if self._base and self._base[0] > self.target else (self.target, self._rate)
        if self.target <= FLOOR or self._rate < ENOUGH * base[1]:
            self._change(base[0], None)
            self._blame_after = now + self._rest
            return
        self._least = max(min(FLOOR, self.cap), self.target * 2 // 3)
        self._change(self._least, base)
        self._stride, self._rest_until = STRIDE, now + SHORT_REST_SECONDS

    def _has_shown(self) -> bool:
        """Whether the current number has had its time."""
        count = len(self._rates)
        if self._is_in_proportion():
            return True
        if count < (STEP_ROUNDS if self._is_step_down() else ROUNDS) or self._may_be_in_vain():
            return False
        if self._is_steady() or count >= MOST_ROUNDS:
            return True
        return count >= NOISY_ROUNDS and _usual(self._rates[-HALF:]) <= GROWING * _usual(self._rates[-2 * HALF : -HALF])

    def _is_in_proportion(self) -> bool:
        """Whether more connections bring their full share already: no noise does that, and no time need be lost."""
        if self._base is None or self._base[0] >= self.target or len(self._rates) < EARLY_ROUNDS:
            return False
        number, before = self._base
        return min(self._rates[-EARLY_ROUNDS:]) >= IN_PROPORTION * before * self.target / number

    def _is_step_down(self) -> bool:
        return self._base is not None and self._base[0] > self.target

    def _may_be_in_vain(self) -> bool:
        """Whether more connections bring no more so far, which may be so for a while where they do.

        New ones fill the line's queue, lose packets, and hand on nothing until these have come again.
        """
        if self._base is None or self._base[0] >= self.target:
            return False
        rate, before = self._measured(), self._base[1]
        rounds = SURE_ROUNDS if rate >= before else WORSE_ROUNDS
        return rate < (1 + GAIN) * before and len(self._rates) < rounds

    def _is_steady(self) -> bool:
        last = self._rates[-ROUNDS:]
        return max(last) - min(last) <= STEADY * _mean(last)

    def _measured(self) -> float:
        """What the current number brings: of the rounds in which it was no longer growing."""
        if len(self._rates) < ROUNDS or self._is_in_proportion():
            return _mean(self._rates[-EARLY_ROUNDS:])
        return _mean(self._rates[-ROUNDS:]) if self._is_steady() else _usual(self._rates[-2 * HALF :])

    def _judge(self, now: float, rate: float, *, is_busy: bool) -> None:
        base, self._base = self._base, None
        if base is None:
            self._settled(now, rate, is_busy=is_busy)
        elif self.target > base[0]:
            self._judge_more(now, rate, base, is_busy=is_busy)
        else:
            self._judge_fewer(now, rate, base)

    def _settled(self, now: float, rate: float, *, is_busy: bool) -> None:
        """No trial is under way: begin one when it is time."""
        in_vain, self._in_vain = self._in_vain, None
        if in_vain is not None and in_vain[1] >= (1 + GAIN) * rate:  # what it was held against was too high
            self._change(in_vain[0], (self.target, rate))
            return
        if self._known and not self._known / CHANGED < rate < self._known * CHANGED:
            self._rest, self._rest_until, self._has_shrunk = REST_SECONDS, now, False
        self._known = rate if not self._known else 0.7 * self._known + 0.3 * rate
        if now < self._rest_until or not self._is_worth_it:
            del self._rates[: -2 * ROUNDS]
        elif self.target < self.cap and not is_busy and not self._tries_fewer:
            self._change(min(self.cap, self.target * self._stride), (self.target, rate))
        elif self.target > FLOOR and self._tries_fewer:
            self._tries_fewer = False
            self._step_down(max(FLOOR, self.target // 2), rate)
        else:
            self._tries_fewer = False
            self._rest_until = now + self._rest

    def _judge_more(self, now: float, rate: float, base: tuple[int, float], *, is_busy: bool) -> None:
        number, before = base
        rate = min(rate, before * self.target / number)  # what is beyond its share had waited for lost packets
        gain = rate / before - 1 if before else math.inf
        if gain < GAIN:
            self._stride, self._tries_fewer = STRIDE, gain < GAIN / 2 and not self._has_shrunk
            if not self._tries_fewer:
                self._rest_until, self._rest = now + self._rest, min(2 * self._rest, MOST_REST_SECONDS)
            if rate < MUCH_WORSE * before:
                self._in_vain = self.target, rate
                self._change(number, None)
            else:
                self._step_down(number, min(rate, before))
            return
        self._stride = LONG_STRIDE
        self._known, self._has_shrunk = rate, True  # fewer brought less
        if rate < before * self.target / number * IN_PROPORTION:  # more bring no more, and perhaps fewer do
            self._stride, self._rest_until, self._tries_fewer = STRIDE, now + SHORT_REST_SECONDS, True
        elif self.target < self.cap and not is_busy and self._is_worth_it:
            self._change(min(self.cap, self.target * self._stride), (self.target, rate))
        else:
            self._rest_until = now + self._rest

    def _judge_fewer(self, now: float, rate: float, base: tuple[int, float]) -> None:
        number, before = base
        if rate < ENOUGH * before:
            self._rest_until, self._rest = now + self._rest, min(2 * self._rest, MOST_REST_SECONDS)
            self._has_shrunk, self._tries_fewer = True, False
            self._change(number, None)
        elif self.target > self._least:
            self._step_down(self._least, before)
        else:
            self._known, self._tries_fewer = rate, self._tries_fewer or rate > before / ENOUGH
            self._rest_until = now if self._tries_fewer else now + self._rest
            self._has_shrunk = not self._tries_fewer

    def _step_down(self, least: int, rate: float) -> None:
        """Go on toward a smaller number, as long as ``rate`` is kept."""
        self._least = least
        self._change(max(least, int(self.target * STEP_DOWN)), (self.target, rate))

    def _change(self, target: int, base: tuple[int, float] | None) -> None:
        self.target, self._base = target, base
        self._rates.clear()
        if base is None:
            self._known = 0.0


def _mean(rates: Sequence[float]) -> float:
    return sum(rates) / len(rates)


def _usual(rates: Sequence[float]) -> float:
    """The mean of the middle half: what waits for a lost packet is missing in a round, and comes with the next."""
    out = len(rates) // 4
    return _mean(sorted(rates)[out : len(rates) - out])
