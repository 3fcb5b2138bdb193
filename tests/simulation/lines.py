"""Lines in numbers: what connections bring over them, a step after another."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from random import Random

from hfclone.transfer.concurrency import ConcurrencyLimiter

__all__ = [
    "FIXED",
    "SEGMENT",
    "STEP",
    "Connection",
    "Line",
    "Path",
    "best_fixed_seconds",
    "fixed_seconds",
    "is_dark",
    "limited_seconds",
]

STEP = 0.1
"""Seconds between two changes of the rates."""
SEGMENT = 1448.0
FIRST_WINDOW = 10 * SEGMENT
GROWTH = 0.1
"""By which a window grows each round trip once it has met a loss; a segment at the least. CUBIC is about
as quick."""
RETRANSMISSIONS = tuple(0.3 * (2.0**count - 1) for count in range(1, 12))
"""Seconds after which a sender that hears nothing tries again."""
FIXED = (4, 8, 16, 32, 64)


@dataclass(frozen=True, slots=True)
class Line:
    """A line to one endpoint. Rates in bytes a second, ``trip`` (a round trip) in seconds.

    A connection begins with ten segments a round trip and doubles that each round trip until it meets a loss.
    """

    rate: float
    """Of all connections together."""
    trip: float
    each: float = math.inf
    """What one connection brings at most."""
    loss: float = 0.0
    """The chance of a segment to be lost: the window of its connection halves."""
    queue: float = 1.0
    """What waits before the narrowest place before segments are lost there, over what is on its way."""
    crowding: float = 0.0
    """The share of ``rate`` that is lost each time that the connections are twice as many, beyond ``room``."""
    room: int = 8
    hiccups: float = 0.0
    """The chance of a request or its answer to be lost, and to take a second more."""
    dark: tuple[tuple[float, float], ...] = ()
    """Times in which nothing crosses it: from, until."""
    refuses_in_dark: bool = False
    """Whether new connections fail at once then; else nothing is heard of them."""
    reset_bytes: float = math.inf
    """A connection is reset after so many bytes, half as many or half as many again."""
    reset_seconds: float = math.inf
    """Or at that age."""


def is_dark(line: Line, now: float) -> float:
    """Until when nothing crosses ``line``; 0 where it does."""
    return next((stop for start, stop in line.dark if start <= now < stop), 0.0)


@dataclass(slots=True, eq=False)
class Connection:
    """What a sender knows of one connection."""

    born: float = 0.0
    window: float = FIRST_WINDOW
    is_starting: bool = True
    rate: float = 0.0
    """Bytes a second until the next step."""
    wanted: float = 0.0
    left: float = math.inf
    """Bytes until it is reset."""
    stuck_since: float | None = None


@dataclass(slots=True)
class Path:
    """A line and the connections over it."""

    line: Line
    rng: Random
    sending: dict[Connection, None] = field(default_factory=dict)
    queued: float = 0.0
    """Seconds that a segment waits before the narrowest place."""
    wanted: float = 0.0

    def capacity(self) -> float:
        """Bytes a second that so many connections bring together."""
        line, count = self.line, len(self.sending)
        if not line.crowding or count <= line.room:
            return line.rate
        return line.rate / (1 + line.crowding * math.log2(count / line.room))

    def connect(self, now: float) -> Connection:
        """A new connection; it does not send yet."""
        return Connection(now, left=self.line.reset_bytes * self.rng.uniform(0.5, 1.5))

    def begin(self, connection: Connection) -> None:
        """It sends from now on; what it brings until the next step."""
        self.sending[connection] = None
        connection.wanted = min(connection.window / self.line.trip, self.line.each)
        self.wanted += connection.wanted
        connection.rate = connection.wanted * min(1.0, self.capacity() / self.wanted)

    def end(self, connection: Connection) -> None:
        """It sends nothing for now."""
        if connection in self.sending:
            del self.sending[connection]
            self.wanted -= connection.wanted
        connection.rate = 0.0

    def step(self, now: float) -> float:
        """New rates; their sum."""
        line = self.line
        if is_dark(line, now):
            for connection in self.sending:
                connection.stuck_since = now if connection.stuck_since is None else connection.stuck_since
                connection.rate = connection.wanted = 0.0
            self.wanted = self.queued = 0.0
            return 0.0
        windows = self.wanted = 0.0
        for connection in self.sending:
            if connection.stuck_since is not None and not self._comes_back(connection, now):
                continue
            self._grow(connection)
            windows += connection.window
            connection.wanted = min(connection.window / line.trip, line.each)
            self.wanted += connection.wanted
        capacity = self.capacity()
        held = self.wanted * line.trip / capacity  # on its way, in round trips of a line that has no queue
        self.queued = min(max(0.0, held - 1), line.queue) * line.trip
        if held > 1 + line.queue:
            self._overflow()
        share = min(1.0, capacity / self.wanted) if self.wanted else 0.0
        for connection in self.sending:
            connection.rate = connection.wanted * share
        return self.wanted * share

    def _comes_back(self, connection: Connection, now: float) -> bool:
        """Whether a sender that heard nothing has tried again since the line is back."""
        since = connection.stuck_since or 0.0
        light = max((stop for start, stop in self.line.dark if start <= since < stop), default=since)
        if now < next((since + wait for wait in RETRANSMISSIONS if since + wait >= light), math.inf):
            return False
        connection.stuck_since, connection.window, connection.is_starting = None, FIRST_WINDOW, True
        return True

    def _grow(self, connection: Connection) -> None:
        line = self.line
        sent = connection.rate * STEP / SEGMENT
        if line.loss and sent and self.rng.random() > (1 - line.loss) ** sent:
            connection.window, connection.is_starting = max(2 * SEGMENT, connection.window / 2), False
            return
        trips = STEP / (line.trip + self.queued)
        most = 2 * min(line.each, line.rate) * line.trip * (1 + line.queue)
        grown = connection.window * 2**trips
        if not connection.is_starting:
            grown = connection.window + max(SEGMENT, GROWTH * connection.window) * trips
        connection.window = min(grown, max(most, FIRST_WINDOW))

    def _overflow(self) -> None:
        """The queue is full: about half of the connections lose a segment each round trip."""
        chance = 0.5 * min(1.0, STEP / (self.line.trip + self.queued))
        for connection in self.sending:
            if connection.wanted < self.line.each and self.rng.random() < chance:
                connection.window, connection.is_starting = max(2 * SEGMENT, connection.window / 2), False


def fixed_seconds(line: Line, number: int, size: float, seed: int = 1) -> float:
    """Seconds that ``number`` connections take for ``size`` bytes that need no requests."""
    path = Path(line, Random(seed))
    for _ in range(number):
        path.begin(path.connect(0.0))
    now = 2 * line.trip
    while size > 0:
        rate = path.step(now)
        now += min(STEP, size / rate) if rate else STEP
        size -= rate * STEP
    return now


def best_fixed_seconds(line: Line, size: float) -> float:
    """The same of the best of some numbers."""
    return min(fixed_seconds(line, number, size) for number in FIXED)


def limited_seconds(line: Line, size: float, cap: int = 64, seed: int = 1) -> float:
    """The same of the number that the limiter chooses as it goes."""
    path, limiter, received = Path(line, Random(seed)), ConcurrencyLimiter(cap), 0.0
    now, asked = 0.0, deque[float]()
    while received < size:
        asked.extend([now + 2 * line.trip] * (limiter.target - len(path.sending) - len(asked)))
        while asked and asked[0] <= now:
            path.begin(path.connect(asked.popleft()))
        for connection in list(path.sending)[limiter.target :]:
            path.end(connection)
        rate = path.step(now)
        now += STEP
        received += rate * STEP
        limiter.tick(now, int(received), len(path.sending) + len(asked), line.trip + path.queued)
    return now
