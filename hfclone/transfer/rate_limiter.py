"""How fast all connections may go together, and when. Pure; time is handed in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from hfclone.settings.measures import Window
from hfclone.wording import phrase

__all__ = ["RateLimiter", "Schedule"]

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


class RateLimiter:
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
class Schedule:
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
