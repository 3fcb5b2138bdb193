"""Loads that one aria2 moves, all looked after by one thread: each look is one request for all of them.

aria2 has no way to tell of itself but a web socket. So it is looked at, the more often the sooner
something may end: a small object takes a round trip, and whoever waits for it could begin another.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

from hfclone.limits import start_thread
from hfclone.partials.aria2control import BLOCK
from hfclone.transfer.aria2.downloads import PER_SERVER, Downloads, DownloadState, DownloadStatus
from hfclone.transfer.aria2.error_codes import failure_of
from hfclone.transfer.aria2.rpc import Refused
from hfclone.transfer.carrier import LEAST_SPLIT_BYTES, CannotRun, Load, Lost, Moved, Unfit
from hfclone.wording import phrase

__all__ = ["Aria2Carrier"]

POLL = 0.1
"""Seconds between two looks."""
LEAST_POLL = 0.02
"""The same where something may end at any time."""
YOUNG_SECONDS = 1.0
"""So long nothing may have come of what may end at any time."""
TOP_UP_SECONDS = 1.0
"""Between two tries to have lost connections made anew; aria2 drops a URL that failed once."""
LET_GO_SECONDS = 10.0
"""So long aria2 may take to let go of a file, which it does at once as long as it lives."""
MIN_RATE = 1024
"""Bytes a second that each download gets at least."""


@dataclass(slots=True, eq=False)
class _Flight:
    """A load on its way."""

    load: Load
    gid: str = ""
    """aria2's name for it; empty while aria2 has not got it."""
    look: DownloadStatus | None = None
    looks: int = 0
    refused: str = ""
    ends: bool = False
    """Nobody wants it any more."""
    told: bool = False
    """aria2 knows that."""
    added: float = 0.0
    topped_up: float = 0.0
    moved_at: float = 0.0
    flows: bool = False
    """Nothing new has come, and a block was not to be expected yet: aria2 tells of whole ones alone."""
    soon: bool = True
    """It may have ended at the next look."""

    def see(self, look: DownloadStatus, now: float, seconds: float) -> None:
        """``look`` is what aria2 says now, ``seconds`` after the look before."""
        brought = look.received - (self.look.received if self.look else 0)
        left = self.load.pointer.size - look.received
        ends = left * seconds <= 2 * POLL * brought if brought > 0 else now - self.added < YOUNG_SECONDS
        self.soon = look.state is DownloadState.ACTIVE and ends
        self.moved_at = now if brought > 0 or not self.look else self.moved_at
        self.flows = (now - self.moved_at) * look.speed < 2 * BLOCK * max(1, look.connections) and look.speed > 0
        self.look, self.looks = look, self.looks + 1


class Aria2Carrier:
    """See ``Carrier``. ``outlives_us`` is the address of a user's own aria2, which buffers and knows our limit by load.

    ``limit``: bytes a second that are shared out among the loads; ``None`` where aria2 keeps the limit itself.
    """

    name = "aria2c"
    most_connections = PER_SERVER

    def __init__(
        self,
        downloads: Downloads,
        outlives_us: str = "",
        limit: int | None = None,
        kill: Callable[[], None] | None = None,
    ) -> None:
        """``kill`` ends one that does not answer: it must not write where others do then."""
        self.outlives_us = outlives_us
        self._downloads = downloads
        self._kill = kill
        self._limit = limit
        self._shared_by = 0
        self._flights: list[_Flight] = []
        self._news = threading.Condition()
        self._wake = threading.Event()
        self._lost = ""
        self._closed = False
        self._looked_at = time.monotonic()
        if start_thread(self._run) is None:
            raise CannotRun(phrase("no-thread"))

    def carry(self, load: Load) -> Generator[Moved, None, None]:
        """See ``Carrier.carry``."""
        flight = _Flight(load)
        with self._news:
            self._flights.append(flight)
        self._wake.set()
        try:
            for look in self._looks(flight):
                if look.state is DownloadState.ENDED:
                    raise failure_of(look, load)
                if look.state is DownloadState.COMPLETE:
                    break
                here = None if self.outlives_us else look.whole  # what it buffers is not in the file yet
                yield Moved(here or (), look.received, look.state is DownloadState.WAITING, flight.flows)
        finally:
            self._let_go(flight)
        if Path(f"{load.path}.aria2").exists():
            raise Lost(phrase("other-file-system"))

    def close(self) -> None:
        """DownloadStatus at nothing any more."""
        self._closed = True
        self._wake.set()

    def _looks(self, flight: _Flight) -> Iterator[DownloadStatus]:
        """Each look at it as it comes. Raises Unfit, Lost."""
        seen = 0
        while True:
            with self._news:
                while flight.looks == seen and not (flight.refused or self._lost):
                    self._news.wait(1.0)
                seen, look = flight.looks, flight.look
            if flight.refused:
                raise Unfit(phrase("not-taken", reason=flight.refused))
            if self._lost:
                raise Lost(self._lost)
            assert look is not None  # it has been looked at
            yield look

    def _let_go(self, flight: _Flight) -> None:
        """Until aria2 writes nothing of it any more, and what came is in its control file."""
        deadline = time.monotonic() + LET_GO_SECONDS
        flight.ends = True
        self._wake.set()
        with self._news:
            while flight in self._flights and not self._lost and (left := deadline - time.monotonic()) > 0:
                self._news.wait(left)
            held = flight in self._flights
        if held:
            self._lose(phrase("does-not-answer"))
            raise Lost(self._lost)

    # --- on the thread of its own --------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._closed:
                self._wake.wait(self._pause())
                self._wake.clear()
                self._turn()
        except Lost as error:
            self._lose(str(error))
        finally:
            self._lose(phrase("does-not-answer"))

    def _lose(self, why: str) -> None:
        if self._kill is not None:
            self._kill()
        with self._news:
            self._lost = self._lost or why
            self._news.notify_all()

    def _pause(self) -> float | None:
        with self._news:
            if not self._flights:
                return None
            return LEAST_POLL if any(flight.soon or flight.ends for flight in self._flights) else POLL

    def _turn(self) -> None:
        """Hand over what is new, take back what is not wanted, and look at the rest."""
        with self._news:
            flights = list(self._flights)
        self._add([flight for flight in flights if not (flight.gid or flight.ends)])
        unwanted = [flight for flight in flights if flight.gid and flight.ends and not flight.told]
        self._downloads.remove(flight.gid for flight in unwanted)
        for flight in unwanted:
            flight.told = True
        running = [flight for flight in flights if flight.gid]
        looks = self._downloads.look({flight.gid: flight.load.pointer.size for flight in running})
        now = time.monotonic()
        seconds, self._looked_at = now - self._looked_at, now
        self._share_limit([flight.gid for flight in running if not flight.ends])
        over = [
            flight for flight in running if looks[flight.gid].state in (DownloadState.COMPLETE, DownloadState.ENDED)
        ]
        self._downloads.forget(flight.gid for flight in over)
        for flight in running:
            self._top_up(flight, looks[flight.gid], now)
        with self._news:
            for flight in running:
                flight.see(looks[flight.gid], now, seconds)
            over += [flight for flight in flights if flight.refused or (flight.ends and not flight.gid)]
            self._flights = [flight for flight in self._flights if flight not in over]
            self._news.notify_all()

    def _add(self, fresh: list[_Flight]) -> None:
        for flight, gid in zip(fresh, self._downloads.add([flight.load for flight in fresh]), strict=True):
            if isinstance(gid, Refused):
                flight.refused = gid.reason
            else:
                flight.gid = gid
                flight.added = flight.topped_up = time.monotonic()

    def _top_up(self, flight: _Flight, look: DownloadStatus, now: float) -> None:
        """Have connections made anew that were lost."""
        left = flight.load.pointer.size - look.received
        lacking = look.connections < min(flight.load.connections, -(-left // LEAST_SPLIT_BYTES))
        if (
            look.state is DownloadState.ACTIVE
            and lacking
            and not flight.ends
            and now - flight.topped_up > TOP_UP_SECONDS
        ):
            flight.topped_up = now
            self._downloads.add_url(flight.gid, flight.load.url)

    def _share_limit(self, gids: list[str]) -> None:
        """A limit that aria2 does not keep over all: each download gets its share."""
        if self._limit is not None and len(gids) != self._shared_by:
            self._shared_by = len(gids)
            self._downloads.limit(gids, max(MIN_RATE, self._limit // max(1, len(gids))))
