"""What is done next: the object to begin, the range to lease, and what comes of a lease that has ended.

Called under the coordinator's lock; knows no threads.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hfclone.hub.endpoint import Endpoint
from hfclone.partials import SMALL_BYTES, Partials
from hfclone.ranges import RangeSet
from hfclone.retry import Clock
from hfclone.transfer.carrier import LEAST_SPLIT_BYTES
from hfclone.transfer.endpoint_selection import EndpointSelector
from hfclone.transfer.health import EndpointHealth, RangeSupport
from hfclone.transfer.leases import SPREAD, Lease, LeaseQueue, Task, range_bytes
from hfclone.transfer.state import Item, TransferState

__all__ = ["Rates", "Scheduler"]

MOST_ACTIVE = 64
"""Objects that may be begun because nobody can be asked for those begun before."""
SHARES = 1.5
"""Ranges that what is left is shared out into, for each connection: so the last ones are small."""


@dataclass(frozen=True, slots=True)
class Rates:
    """What the limiters have seen. Rates in bytes a second, 0 while unknown."""

    connections: Callable[[], int]
    """How many share what is left, to all endpoints together."""
    each: Callable[[Endpoint], float]
    """Of one connection, if all to an endpoint had the same."""
    all: Callable[[], float]
    """Of all endpoints together."""


@dataclass(frozen=True, slots=True)
class Scheduler:
    """Hands out items to open and leases to fetch."""

    state: TransferState
    selector: EndpointSelector
    health: EndpointHealth
    partials: Partials
    clock: Clock
    rates: Rates
    connections: int
    """At the most, to all endpoints together."""

    @property
    def pool(self) -> LeaseQueue:
        """All objects."""
        return self.state.pool

    def has_work(self) -> bool:
        """Whether anything waits to be begun or fetched, now or later."""
        return bool(self.pool.waiting) or any(task.todo for task in self.pool.active.values())

    def next_job(self) -> Item | Lease | None:
        """An object to open or a range to fetch; ``None`` where nothing can be done now."""
        now = self.clock.now()
        job = self._begin(now) or self._lease(now)
        if job is None and self._all_in_trouble(now):
            job = self._begin(now, MOST_ACTIVE) or self._lease(now)
        return job

    def take_back(self, lease: Lease) -> None:
        """The lease has ended: its rest goes back, and what it brought is on its endpoint's account."""
        self.pool.give_back(lease)
        self.state.ended(lease)
        now = self.clock.now()
        rate, least = lease.rate(now), lease.least_rate(now)
        if rate:
            self.health.ran(lease.endpoint, rate)
        elif least and least > (self.health.rate(lease.endpoint) or 0.0):  # what is short tells more of the round trip
            self.health.ran(lease.endpoint, least)
        item = self.state.items.get(lease.task.pointer.oid)
        if item is None:  # given up or stopped meanwhile
            return
        for start, stop in lease.brought:
            item.provenance.note(str(lease.endpoint), start, stop)

    def _begin(self, now: float, spread: int = SPREAD) -> Item | None:
        """The next object, to be opened; not where nothing of a small one is here: its first bytes decide."""
        task = self.pool.begin(now, spread)
        if task is None:
            return None
        item = self.state.begin(task)
        if not 0 < task.pointer.size <= SMALL_BYTES or not self.partials.is_new(task.pointer):
            return item
        self.pool.opened(task, RangeSet())
        return None

    def _lease(self, now: float) -> Lease | None:
        lease = self.pool.take(now, self._choose, self._range_bytes) or self._take_over(now)
        if lease is not None:
            lease.to_carry = self._may_be_carried(lease)
            if lease.to_carry or lease.endpoint in lease.task.plain:
                self.pool.widen(lease)
            if lease.to_carry:
                lease.connections = self._share_of(lease)
            self.state.began(lease)
        return lease

    def carried(self, lease: Lease) -> None:
        """A carrier has brought something of it: where little is left, it needs fewer connections."""
        spare = lease.connections - min(lease.connections, _pieces(lease.due))
        lease.connections -= spare
        self.state.in_flight[lease.endpoint] -= spare

    def _may_be_carried(self, lease: Lease) -> bool:
        """Whether a carrier may fetch it: it compares nothing, needs ranges, and would not share a file."""
        task, endpoint = lease.task, lease.endpoint
        by_hand = endpoint in task.by_hand or endpoint in task.plain or task.checking or len(task.leases) > 1
        return self.state.carrier is not None and not by_hand and self.health.ranges(endpoint) is not RangeSupport.NO

    def _share_of(self, lease: Lease) -> int:
        """Over how many connections a carrier fetches it: endpoints that may be asked at once share them."""
        assert self.state.carrier is not None  # it may be carried
        others = self.pool.waiting + sum(bool(task.todo) for task in self.pool.active.values())
        shared_by = min(len(self.selector.left(lease.task)), 1 + others)
        most = min(self.state.carrier.most_connections, -(-self.connections // max(1, shared_by)))
        return max(1, min(most, self.connections - self.state.busy, _pieces(lease.due)))

    def _range_bytes(self, endpoint: Endpoint) -> int:
        """The size of the next range: a share of what is left, so that all connections end together."""
        rates = [rate for rate in (self.health.rate(endpoint), self.rates.each(endpoint)) if rate]
        rate, latency = min(rates, default=None), self.health.first_byte(endpoint) or 0.0
        part = 1 / max(1, self.rates.connections())
        if rate and self.rates.all():
            part = min(part, rate / self.rates.all())  # a slow one has less to bring, to end with the others
        share, unbroken = self.pool.left * part / SHARES, self.health.unbroken_bytes(endpoint)
        return range_bytes(rate, latency, share, unbroken, self.state.in_flight[endpoint])

    def _take_over(self, now: float) -> Lease | None:
        """A part of what holds up the end; not while one is late, which will be asked for anew itself."""
        if self.state.late or self.pool.waiting:
            return None
        leases = sorted(self.pool.leases(), key=lambda lease: lease.position - lease.stop)
        fair = sum(lease.stop - lease.position for lease in leases) / max(1.0, self.rates.all())
        for lease in leases:
            if lease.gaps is not None or lease.task.ready_at > now or lease.checking:
                continue
            endpoint = self._choose(lease.task)
            share = self.selector.share_to_take(lease, endpoint, fair, now) if endpoint else 0.0
            taken = self.pool.take_over(lease, endpoint, share, now) if endpoint and share else None
            if taken is not None:
                return taken
        return None

    def _all_in_trouble(self, now: float) -> bool:
        """Whether what was begun cannot go on, while an endpoint might serve what waits."""
        able = any(self.health.ready_at(endpoint) <= now for endpoint in self.health.awake())
        begun = [task for task in self.pool.active.values() if task.todo]
        return able and all(task.error is not None or task.ready_at > now for task in begun)

    def _choose(self, task: Task) -> Endpoint | None:
        return self.selector.endpoint_for(task, self.clock.now())


def _pieces(count: int) -> int:
    """Over how many connections a carrier would fetch so many bytes."""
    return max(1, -(-count // LEAST_SPLIT_BYTES))
