"""How many connections the line wants, and how fast they may go together. Pure; time is handed in.

Begin modestly, double while the whole grows, step back when it does not, back off when connections
break. A line that throttles each connection ends at the cap, one that breaks under many at a few.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Pace", "Tempo"]

FIRST = 4
FLOOR = 2
INTERVAL = 0.4
"""Seconds a number of connections is watched before the next is tried; longer where answers begin late."""
GAIN = 1.15
"""Growth of the whole that a larger number has to bring to be kept."""
PROBE_AGAIN = 15.0
"""Seconds after which a larger number is tried once more: lines change in the night."""


@dataclass(slots=True)
class Tempo:
    """The number of connections to use now. Not thread-safe."""

    cap: int
    target: int = 0
    _since: float = -1.0
    _bytes: int = 0
    _best: float = 0.0
    _before: int = 0
    """The number that the current one has to beat; 0 where it is not a trial."""
    _rest_until: float = 0.0
    _losses: int = 0

    def __post_init__(self) -> None:
        self.target = min(self.cap, FIRST)

    def lost(self) -> None:
        """A connection broke, was refused or was limited."""
        self._losses += 1

    def tick(self, now: float, received: int, busy: int, latency: float) -> None:
        """``received`` bytes in all so far; ``busy`` connections at work; answers begin after ``latency`` s.

        Call it a few times a second.
        """
        if self._since < 0:
            self._since, self._bytes = now, received
        elapsed = now - self._since
        if elapsed < max(INTERVAL, 1.5 * latency):
            return
        rate = (received - self._bytes) / elapsed
        losses, self._losses = self._losses, 0
        self._since, self._bytes = now, received
        if losses > max(1, self.target // 4):
            self._back_off(now)
        elif busy >= self.target:
            self._judge(now, rate)

    def _back_off(self, now: float) -> None:
        self.target = max(min(FLOOR, self.cap), self.target * 2 // 3)
        self._before, self._best, self._rest_until = 0, 0.0, now + PROBE_AGAIN / 3

    def _judge(self, now: float, rate: float) -> None:
        """Keep what a trial brought, or go back; begin the next trial when it is time."""
        if self._before and rate < self._best * GAIN:
            self.target, self._before, self._rest_until = self._before, 0, now + PROBE_AGAIN
            return
        self._before = 0
        self._best = rate
        if now >= self._rest_until and self.target < self.cap:
            self._before, self.target = self.target, min(self.cap, self.target * 2)


class Pace:
    """A limit on all connections together (``limit`` bytes a second, ``None`` for none). Not thread-safe."""

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._free_at = 0.0

    def spend(self, count: int, now: float) -> float:
        """Account for ``count`` bytes; the seconds the reader has to wait before its next ones."""
        if self._limit is None:
            return 0.0
        self._free_at = max(self._free_at, now - 0.25) + count / self._limit
        return max(0.0, self._free_at - now)
