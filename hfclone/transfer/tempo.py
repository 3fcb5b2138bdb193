"""How many connections the line wants, how fast they may go together, and when. Pure; time is handed in.

Begin modestly, take more while the whole grows, step back when it does not, back off when connections
break. A line that throttles each connection ends at the cap, one that breaks under many at a few, and
so does one that is faster than this machine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from hfclone.measures import Window
from hfclone.wording import phrase

__all__ = ["Hours", "Pace", "Tempo"]

FIRST = 4
FLOOR = 2
INTERVAL = 0.4
"""Seconds a number of connections is watched before the next is tried; longer where answers begin late."""
GAIN = 1.15
"""Growth of the whole that a larger number has to bring to be kept."""
STRIDE = 4
"""So many times more are tried as long as nothing was tried in vain; then twice as many."""
IN_PROPORTION = 0.7
"""Of the growth of their number that connections have to bring for another stride."""
BUSY = 0.45
"""Of all cores: a process that takes so much of them (one sends, one hashes) gains nothing by further threads."""
PROBE_AGAIN = 15.0
"""Seconds after which a larger number is tried once more: lines change in the night."""


@dataclass(slots=True)
class Tempo:
    """The number of connections to use now. Not thread-safe."""

    cap: int
    cores: int | None = None
    """Of this machine; ``None`` lets its load count for nothing."""
    target: int = 0
    _since: float = -1.0
    _bytes: int = 0
    _spent: float = 0.0
    _stride: int = STRIDE
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

    def tick(self, now: float, received: int, busy: int, latency: float, spent: float = 0.0) -> None:
        """``received`` bytes in all so far; ``busy`` connections at work; answers begin after ``latency`` s.

        ``spent`` is this process's CPU time in seconds. Call it a few times a second.
        """
        if self._since < 0:
            self._since, self._bytes, self._spent = now, received, spent
        elapsed = now - self._since
        if elapsed < max(INTERVAL, 1.5 * latency):
            return
        rate = (received - self._bytes) / elapsed
        losses, self._losses = self._losses, 0
        is_busy = self.cores is not None and spent - self._spent >= BUSY * self.cores * elapsed
        self._since, self._bytes, self._spent = now, received, spent
        if losses > max(1, self.target // 4):
            self._back_off(now)
        elif busy >= self.target:
            self._judge(now, rate, is_busy=is_busy)

    def _back_off(self, now: float) -> None:
        self.target = max(min(FLOOR, self.cap), self.target * 2 // 3)
        self._before, self._best, self._rest_until = 0, 0.0, now + PROBE_AGAIN / 3
        self._stride = 2

    def _judge(self, now: float, rate: float, *, is_busy: bool) -> None:
        """Keep what a trial brought, or go back; begin the next trial when it is time."""
        if self._before and rate < self._best * GAIN:
            self.target, self._before, self._rest_until = self._before, 0, now + PROBE_AGAIN
            self._stride = 2
            return
        if self._before and rate < self._best * self.target / self._before * IN_PROPORTION:
            self._stride = 2
        self._before = 0
        self._best = rate
        if now >= self._rest_until and self.target < self.cap and not is_busy:
            self._before, self.target = self.target, min(self.cap, self.target * self._stride)


CRAWL = 16 * 1024
"""Bytes a second of all connections to an endpoint that are next to nothing, where another can be asked."""
BURST = 0.25
"""Seconds' worth of bytes that may be made up for at once after a pause."""
STEP = 0.05
"""Seconds' worth of bytes in one read, so that many connections share a small limit evenly."""
BUFFERED = 0.25
"""Seconds' worth of bytes that may lie unread in all receive buffers: the server has sent them."""
_CONNECTION_BYTES = 256 * 1024
"""A limit is shared by no more connections than have so many bytes a second each."""


class Pace:
    """A limit on all connections together (``limit`` bytes a second, ``None`` for none). Not thread-safe.

    Bytes are set aside before they are read: what is accounted for afterwards has been sent already.
    """

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._free_at: float | None = None

    def reserve(self, count: int, now: float) -> float:
        """Set ``count`` bytes aside; the seconds until they may be read."""
        if self._limit is None:
            return 0.0
        starts_at = now if self._free_at is None else max(self._free_at, now - BURST)
        self._free_at = starts_at + count / self._limit
        return max(0.0, starts_at - now)

    def refund(self, count: int) -> None:
        """So many of the bytes set aside were not read."""
        if self._limit is not None and self._free_at is not None:
            self._free_at -= count / self._limit

    @property
    def floor(self) -> float:
        """Bytes a second below which an endpoint crawls: what a limit of ours allows is no sign of that."""
        return CRAWL if self._limit is None else min(CRAWL, self._limit / 10)

    def connections(self, cap: int) -> int:
        """How many connections make sense under the limit."""
        return cap if self._limit is None else min(cap, max(2, self._limit // _CONNECTION_BYTES))

    def read_bytes(self, usual: int) -> int:
        """Bytes to be read at once."""
        return usual if self._limit is None else max(2048, min(usual, int(self._limit * STEP)))

    def receive_buffer(self, connections: int) -> int | None:
        """Bytes for each connection's receive buffer; ``None`` leaves it to the system."""
        return None if self._limit is None else max(4096, min(256 * 1024, int(self._limit * BUFFERED / connections)))


@dataclass(frozen=True, slots=True)
class Hours:
    """The part of the day in which bytes may move; ``wall_clock`` is the time as ``time.time()`` has it."""

    window: Window | None
    wall_clock: Callable[[], float]

    def closed_for(self) -> float:
        """Seconds until bytes may move; 0 when they may now."""
        if self.window is None:
            return 0.0
        local = datetime.fromtimestamp(self.wall_clock())
        second = local.hour * 3600 + local.minute * 60 + local.second + local.microsecond / 1e6
        return self.window.seconds_until_open(second)

    @property
    def reason(self) -> str:
        """Why nothing moves outside it, and until when."""
        return phrase("window", window=self.window)
