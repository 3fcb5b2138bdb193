"""What becomes of a lease that a carrier moves: handed over, followed, and taken back. Knows no rules.

A carrier gets signed URLs that need no secret, and where they lead was judged by a request of our
own. It writes into our own partial: it is told by aria2's control file what is here already, and
what it brings is taken over into the journal, under the name of who sent it.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import pairwise

from hfclone import errors
from hfclone.endpoints import origin_of
from hfclone.errors import HfcloneError, RangeRefused, TransferError
from hfclone.http import AbortHandle
from hfclone.hub.endpoint import Endpoint
from hfclone.partials import RECORD_BYTES, Partial
from hfclone.partials.aria2control import BLOCK, piece_length_for
from hfclone.ranges import RangeSet, format_range
from hfclone.retry import Clock
from hfclone.transfer.carrier import Carrier, Load, Lost, Moved, Unfit
from hfclone.transfer.coordinator import Coordinator
from hfclone.transfer.exchange import HttpSource, request_range
from hfclone.transfer.health import RangeSupport
from hfclone.transfer.leases import Lease
from hfclone.transfer.sources import Source
from hfclone.transfer.state import Item
from hfclone.wording import phrase

__all__ = ["Carrying"]

SILENCE = 6.0
"""Seconds at most that a silent connection is waited for at first: others may do better."""
PROBE_BYTES = 1024 * 1024
"""Larger objects are asked for over several connections: who knows no ranges is found out before."""
JOURNAL_SECONDS = 2.0
"""Between two looks at what can be journalled: so much a power cut costs, since a carrier's account proves nothing."""


class Carrying:
    """How a carrier's leases are done; one for all threads. ``carry`` ends when nothing is written any more."""

    def __init__(self, coordinator: Coordinator, http: HttpSource, carrier: Carrier) -> None:
        self._coordinator = coordinator
        self._http = http
        self._carrier = carrier
        self._judged: set[tuple[Endpoint, tuple[str, str, int]]] = set()
        """Origins that we were let ask by what an endpoint named: how far inside they lie was judged then."""

    def carry(self, lease: Lease) -> HfcloneError | None:
        """Have the lease moved; why it was broken off, if it was.

        Raises:
            HfcloneError: it failed.
        """
        source = self._find(lease)
        if source is None:
            return None
        item = self._coordinator.handed_over(lease)
        if item.partial is None:
            self._coordinator.opened_late(item, self._coordinator.partials.open(item.pointer))
        try:
            return self._hand_over(item, lease, source)
        except Unfit as error:
            self._coordinator.not_carried(lease, str(error))
        except Lost as error:
            self._coordinator.carrier_lost(lease, str(error), may_write=bool(self._carrier.outlives_us))
        except TransferError as error:
            self._ask_why(lease, source)
            lease.unexplained = True
            raise error
        return None

    def _hand_over(self, item: Item, lease: Lease, source: Source) -> HfcloneError | None:
        """From the control file that says what is here to the one that says what came."""
        pointer, partials = item.pointer, self._coordinator.partials
        assert lease.gaps is not None  # it is over all the rest
        ledger = _Ledger(item.opened, RangeSet(lease.gaps.gaps(pointer.size)), str(lease.endpoint), self._http.clock)
        lease.rewrites = _is_written_over(lease.gaps, pointer.size)
        told = partials.write_control(pointer, ledger.held)
        if self._carrier.outlives_us:
            partials.lend(pointer, self._carrier.outlives_us)
        silence = self._http.web.limits.silence
        load = Load(
            pointer, partials.part_path(pointer).absolute(), source.url, str(lease.endpoint), lease.connections,
            silence if lease.task.vain else min(SILENCE, silence),
        )  # fmt: skip
        try:
            return self._follow(item, lease, load, source, told.size, ledger)
        finally:
            records = partials.absorb(item.opened, ledger.held, str(lease.endpoint))
            self._coordinator.carried(item, lease, Moved([(record.start, record.stop) for record in records]))

    def _follow(
        self, item: Item, lease: Lease, load: Load, source: Source, told: int, ledger: _Ledger
    ) -> HfcloneError | None:
        """Hand on how far it is, until it is whole, or somebody else had better do it, or a younger URL."""
        with closing(self._carrier.carry(load)) as moves:
            for moved in moves:
                here = RangeSet(moved.here)
                self._coordinator.carried(item, lease, replace(moved, here=here, received=moved.received - told))
                ledger.journal(here)
                if lease.dropped or self._coordinator.stopped:
                    return self._why_broken_off(lease)
                if not source.usable(self._http.clock.now()):
                    return None
        whole = [(0, item.pointer.size)]
        ledger.journal(whole, all_of_it=True)
        self._coordinator.carried(item, lease, Moved(whole))
        return None

    def _why_broken_off(self, lease: Lease) -> HfcloneError | None:
        if lease.moves_on:
            return None
        now, label = self._http.clock.now(), str(lease.endpoint)
        if lease.slow:
            return errors.TooSlow(label, now - lease.began, lease.moved)
        return errors.Stalled(label, now - lease.heard)

    def _find(self, lease: Lease) -> Source | None:
        """A URL of the object that needs no secret, as far as the endpoint gives one now. Raises its errors."""
        pointer, endpoint = lease.task.pointer, lease.endpoint
        source = self._http.sources.find(pointer, endpoint, self._coordinator.upcoming)
        if source is None:
            return None
        lease.signed = source.signed
        known = source.signed and (endpoint, origin_of(source.url)) in self._judged
        if not known or source.authority or source.headers or self._knows_no_ranges_yet(lease):
            source = self._led(lease, source)
        if source is not None and not is_plain(source.url):
            raise errors.BadRedirect(str(endpoint), ascii(source.url[:60]), phrase("target-no-plain-url"))
        return source

    def _knows_no_ranges_yet(self, lease: Lease) -> bool:
        return (
            lease.task.pointer.size > PROBE_BYTES and self._coordinator.ranges(lease.endpoint) is RangeSupport.UNKNOWN
        )

    def _led(self, lease: Lease, source: Source) -> Source | None:
        """Where a request of our own ends up: it is asked for one byte. ``None`` where that is not for a carrier."""
        pointer, endpoint, sources = lease.task.pointer, lease.endpoint, self._http.sources
        with self._http.request(source, pointer, 0, 1, handle=self._asks(lease)) as body:
            lease.signed = body.signed
            self._coordinator.answers(lease, body.ranges)
        hops, url = body.answer.hops, body.answer.url
        if not hops and (source.authority or source.headers):
            self._coordinator.not_carried(lease, phrase("needs-secret"), here_alone=True)
            return None
        if body.ranges is RangeSupport.NO:
            return None
        self._judged.add((endpoint, origin_of(url)))
        if source.signed and not hops:
            return source
        if not source.signed and sources.has_url(pointer, endpoint):
            known = sources.find(pointer, endpoint, tuple)  # with the end of its life
            return known if known is not None and known.url == url else None  # it may have been forgotten meanwhile
        return Source(endpoint, url, born=self._http.clock.now(), signed=bool(hops))

    def _asks(self, lease: Lease) -> AbortHandle:
        """What a request of our own for one byte of the lease is aborted by."""
        lease.handle = handle = AbortHandle()
        if lease.came is None:
            lease.asked = self._http.clock.now()
        return handle

    def _ask_why(self, lease: Lease, source: Source) -> None:
        """A carrier tells little of what is wrong: raises what the endpoint itself says."""
        offset = lease.rest[0][0] if lease.rest else 0
        http, pointer, handle = self._http, lease.task.pointer, self._asks(lease)
        with request_range(
            http.web, source, http.pin, pointer, offset, offset + 1, http.clock.now(), handle=handle
        ) as body:
            pass
        if body.ranges is RangeSupport.NO:
            raise RangeRefused(str(lease.endpoint), format_range(offset, offset + 1), phrase("the-whole"))


@dataclass(slots=True)
class _Ledger:
    """Journals what a carrier has brought, some of it at a time: that is read for its digest."""

    partial: Partial
    held: RangeSet
    """What is here by the journal."""
    sender: str
    clock: Clock
    _due: float = field(init=False)

    def __post_init__(self) -> None:
        self._due = self.clock.now() + JOURNAL_SECONDS

    def journal(self, here: RangeSet | list[tuple[int, int]], *, all_of_it: bool = False) -> None:
        """``here`` is on disk: journal what makes whole lines of it, when it is time; else ``all_of_it``."""
        if not all_of_it and self.clock.now() < self._due:
            return
        fresh = RangeSet(here)
        for start, stop in self.held:
            fresh.remove(start, stop)
        for start, stop in fresh:
            for low, high in _lines(start, stop, all_of_it=all_of_it):
                self.partial.record_written(low, high, self.sender)
                self.held.add(low, high)
        self._due = self.clock.now() + JOURNAL_SECONDS


def _lines(start: int, stop: int, *, all_of_it: bool) -> list[tuple[int, int]]:
    """``[start, stop)`` cut where a journal's lines end, without a rest that may still grow."""
    cuts = [start, *range(start - start % RECORD_BYTES + RECORD_BYTES, stop, RECORD_BYTES), stop]
    lines = list(pairwise(cuts))
    return lines if all_of_it or stop % RECORD_BYTES == 0 else lines[:-1]


def _is_written_over(gaps: RangeSet, size: int) -> bool:
    """Whether a carrier that fetches ``gaps`` may write beside them: aria2 begins with whole blocks, ends pieces."""
    piece = piece_length_for(size)
    return any(start % BLOCK or (stop % piece and stop != size) for start, stop in gaps)


def is_plain(url: str) -> bool:
    """Whether a carrier and we read the same out of ``url``."""
    return url.isascii() and url.isprintable() and " " not in url and url.startswith(("http://", "https://"))
