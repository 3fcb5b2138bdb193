"""Where workers, hashers and the caller's thread meet: the rules of a transfer behind one lock.

Why so: the rules (pool, scheduler, endpoint selection, failure policy, concurrency) know no threads, and the
threads know no rules. What one thread tells another passes through here, under one lock, held for microseconds.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice

from hfclone import errors
from hfclone.errors import HfcloneError, LocalError
from hfclone.events import Event, Failed, Started
from hfclone.http import AbortHandle
from hfclone.hub.endpoint import Endpoint
from hfclone.partials import SMALL_BYTES, Partial, Partials
from hfclone.pointer import Pointer
from hfclone.retry import Clock, Patience
from hfclone.transfer import Arrived
from hfclone.transfer.carrier import Carrier, Moved
from hfclone.transfer.concurrency import FIRST, ConcurrencyLimiter
from hfclone.transfer.endpoint_selection import EndpointSelector
from hfclone.transfer.failure_policy import FailurePolicy
from hfclone.transfer.health import EndpointHealth, RangeSupport
from hfclone.transfer.leases import Lease, LeaseQueue
from hfclone.transfer.rate_limiter import RateLimiter, Schedule
from hfclone.transfer.scheduler import Rates, Scheduler
from hfclone.transfer.sources import Sources
from hfclone.transfer.state import Item, TransferState

__all__ = ["Context", "Coordinator"]

HASH_AHEAD = 1024 * 1024
"""Bytes of prefix that make it worth waking a hasher before the object is whole."""
HASH_PIECE = 32 * 1024 * 1024
"""Bytes hashed at once; then the hasher looks whether it is to stop."""
FLUSH_BYTES = 16 * 1024 * 1024
"""Bytes hashed after which the disk is told to begin: a sync at the end would have to wait for all of them."""
UPCOMING = 128
"""Objects named for a batch request; more than one asks for."""


@dataclass(frozen=True, slots=True)
class Context:
    """What a coordinator works with."""

    partials: Partials
    health: EndpointHealth
    sources: Sources
    patience: Patience
    clock: Clock
    rate_limiter: RateLimiter
    schedule: Schedule
    connections: int
    """At the most, to all endpoints together."""
    cores: int | None = None
    """Of this machine; see ``ConcurrencyLimiter``."""
    spares_hub: bool = False
    """Whether the hub is asked for bytes only where no mirror can be."""
    condition: Callable[[threading.Lock], threading.Condition] = threading.Condition
    """Makes what threads wait by until there is work."""
    carrier: Carrier | None = None
    """What moves bytes in place of our own connections."""


class Coordinator:
    """Hands out work and takes in what came of it. Every method may be called from any thread."""

    def __init__(self, objects: list[Pointer], context: Context) -> None:
        self.partials = context.partials
        self._context = context
        self._health = context.health
        self._clock = context.clock
        self._state = TransferState(LeaseQueue(objects), carrier=context.carrier)
        self._pool = self._state.pool
        state, sources = self._state, context.sources
        self._unasked = self._new_limiter()
        self._limiters: dict[Endpoint, ConcurrencyLimiter] = {}
        """Of the endpoints that were asked."""
        self._targets = len(context.health.endpoints) * self._unasked.target
        self._selector = EndpointSelector(
            context.health,
            self._has_room,
            lambda endpoint: self._limiter_of(endpoint).rate,
            lambda: self._pool.left,
            context.spares_hub,
            state.in_flight,
            state.ranged,
            state.provenances,
            sources.has_url,
            state.pool.leases,
            lambda task: state.carrier is not None and not (task.by_hand or task.checking),
        )
        self._policy = FailurePolicy(
            state, self._selector, context.health, sources, context.partials, context.patience, self._lost,
            context.clock,
        )  # fmt: skip
        self._scheduler = Scheduler(
            state, self._selector, context.health, context.partials, context.clock, self._rates(), context.connections
        )
        self._open = not context.schedule.closed_for()
        self._stopped = False
        self._lock = threading.Lock()
        self._work = context.condition(self._lock)
        self._prefixes = context.condition(self._lock)
        self._news = context.condition(self._lock)
        self._dirty = context.condition(self._lock)

    @property
    def stopped(self) -> bool:
        """Whether it is over: every thread ends."""
        return self._stopped

    @property
    def target(self) -> int:
        """How many connections are wanted now."""
        return min(self._context.connections, self._targets)

    # --- for workers ---------------------------------------------------------------------------

    def next_job(self) -> Item | Lease | None:
        """Work for a worker: an object to open, a range to fetch, or ``None`` at the end."""
        with self._lock:
            while not self._stopped:
                if self._open and self._state.busy < self._context.connections:
                    job = self._scheduler.next_job()
                    if job is not None:
                        self._call_another()
                        return job
                self._work.wait(1.0)
            return None

    def _call_another(self) -> None:
        """Each who finds work wakes the next where there may be more: nobody wakes in vain who could only wait."""
        if self._state.busy < self.target and self._scheduler.has_work():
            self._work.notify()

    def upcoming(self) -> list[Pointer]:
        """Objects that will be wanted next, for a batch request."""
        with self._lock:
            begun = [item.pointer for item in self._state.items.values()]
            return [*begun, *islice(self._pool.upcoming(), UPCOMING)]

    def checked(self, count: int) -> None:
        """Bytes of an earlier run were looked at: that is work, so patience does not run."""
        with self._lock:
            self._state.read += count
            self._context.patience.postpone()

    def opened(self, item: Item, partial: Partial) -> None:
        """The object's partial is open, and what it holds is proven."""
        with self._lock:
            item.partial = partial
            for record in partial.records:
                item.provenance.note(record.endpoint, record.start, record.stop)
            self._pool.opened(item.task, partial.held())
            item.task.error = None
            if partial.records or item.task.arrived:
                self._prefixes.notify()

    def opened_late(self, item: Item, partial: Partial) -> None:
        """The same of an object of which nothing was here, and whose first bytes have come."""
        with self._lock:
            item.partial = partial

    def cannot_open(self, item: Item, error: LocalError) -> None:
        """The object's partial cannot be made."""
        with self._lock:
            self._policy.cannot_open(item, error)
            self._news.notify()

    def asks(self, lease: Lease, handle: AbortHandle, *, signed: bool) -> None:
        """The request of ``lease`` goes out; ``handle`` aborts it. Its endpoint may be known now: others can go on."""
        with self._lock:
            lease.asked, lease.handle, lease.signed = self._clock.now(), handle, signed
            self._call_another()

    def answers(self, lease: Lease, support: RangeSupport) -> Item:
        """The lease's endpoint begins to send; ``support`` is what the answer said of ranges.

        Raises:
            Stalled: the range was given to another meanwhile; the answer is to be closed.
        """
        with self._lock:
            now = self._clock.now()
            if lease.gone:
                raise errors.Stalled(str(lease.endpoint), now - lease.began)
            news = self._is_news(lease.endpoint, support, now)
            if support is not RangeSupport.UNKNOWN:
                self._health.note_ranges(lease.endpoint, support)
            if support is RangeSupport.NO:
                self._pool.widen(lease)
            elif support is RangeSupport.YES and lease.gaps is not None:  # the whole was refused without a range
                lease.task.plain.discard(lease.endpoint)
            self._health.met(lease.endpoint)  # headers alone end no wait: a body may be empty each time
            self._context.patience.answered()
            self._health.began(lease.endpoint, now - _sent_at(lease))
            lease.task.unanswered.pop(lease.endpoint, None)
            self._state.not_late(lease)
            self._pool.answered(lease, now)
            item = self._state.items.get(lease.task.pointer.oid)
            if item is None:  # patience ended just now
                raise errors.Stalled(str(lease.endpoint), now - lease.began)
            self._state.events.append(Started(item.pointer.oid, str(lease.endpoint)))
            if news:  # not at every answer: each would wake sixteen threads for nothing
                self._work.notify_all()
            return item

    def ranges(self, endpoint: Endpoint) -> RangeSupport:
        """Whether its bytes can be had in ranges, as far as is known."""
        return self._health.ranges(endpoint)

    def pause(self, lease: Lease, count: int) -> float:
        """The seconds to wait before ``count`` bytes may be read: the limit of all connections together."""
        with self._lock:
            now = self._clock.now()
            seconds = self._context.rate_limiter.reserve(count, now)
            lease.heard = max(lease.heard, now + seconds)
            return seconds

    def writes(self, lease: Lease, stop: int) -> None:
        """Everything of the lease below ``stop`` is about to be written."""
        with self._lock:
            lease.writing = min(stop, lease.stop)

    def differs(self, item: Item, start: int, stop: int) -> None:
        """``[start, stop)`` will be overwritten with other bytes; what is there belongs to who sent it."""
        with self._lock:
            self._policy.differs(item, start, stop)

    def arrived(self, item: Item, lease: Lease, position: int, unused: int) -> None:
        """Everything of the lease below ``position`` is written; ``unused`` bytes of ``pause`` were not read."""
        with self._lock:
            self._advance(lease, position, unused)
            self._wake_hasher(item)

    def handed_over(self, lease: Lease) -> Item:
        """A carrier has the lease from now on, and nobody else until it has let go of it.

        Raises:
            Stalled: its range was given to another meanwhile.
        """
        with self._lock:
            now = self._clock.now()
            item = self._state.items.get(lease.task.pointer.oid)
            if lease.gone or lease.dropped or item is None:
                raise errors.Stalled(str(lease.endpoint), now - lease.began)
            self._pool.handed_over(lease, now)
            self._state.not_late(lease)
            self._state.events.append(Started(item.pointer.oid, str(lease.endpoint)))
            return item

    def carried(self, item: Item, lease: Lease, moved: Moved) -> None:
        """A carrier tells how far it is."""
        with self._lock:
            now = self._clock.now()
            if moved.waits:
                lease.heard = now
                return
            lease.asked = lease.asked or now
            own = self._pool.carry(lease, moved.here, moved.received, now)
            if own or moved.flows:
                if lease.first is None:
                    self._pool.answered(lease, now)
                lease.heard = now
                self._health.met(lease.endpoint)
                lease.task.unanswered.pop(lease.endpoint, None)
            if not own:
                return
            self._came(lease, own)
            # It keeps the limit itself: what our own connections may take is less.
            self._context.rate_limiter.reserve(own, now)
            self._scheduler.carried(lease)
            self._wake_hasher(item)

    def not_carried(self, lease: Lease, why: str, *, here_alone: bool = False) -> None:
        """The carrier cannot move the lease's object: from nobody, or not from its endpoint."""
        with self._lock:
            if here_alone:
                self._policy.leave_by_hand(lease.task, [lease.endpoint], why)
            else:
                self._policy.cannot_carry(lease.task, why)

    def carrier_lost(self, lease: Lease, why: str, *, may_write: bool) -> None:
        """The carrier is gone; our own connections go on from what it brought.

        ``may_write``: perhaps it still writes to the lease's part; another is made, then.
        """
        with self._lock:
            lease.left = may_write
            self._policy.lose_carrier(why)
            self._work.notify_all()

    def ended(self, lease: Lease, error: HfcloneError | None) -> None:
        """The lease is over; its rest, if any, goes back into the pool."""
        with self._lock:
            if lease.gone:
                return
            self._scheduler.take_back(lease)
            if error is not None and self._open and not self._stopped:
                self._policy.blame(lease, error)
            elif lease.position == lease.stop and lease.came is None:
                self._health.came_unbroken(lease.endpoint, lease.stop - lease.start)
            self._look_after(lease)

    def came_whole(self, item: Item, lease: Lease, digest: hashlib._Hash, unused: int) -> None:
        """All of the object came in one piece, is what its pointer says, and the disk has it; else as ``arrived``."""
        with self._lock:
            self._advance(lease, item.pointer.size, unused)
            item.digest, item.hashed, item.synced = digest, item.pointer.size, True

    def hash_next(self, item: Item, lease: Lease, start: int) -> hashlib._Hash | None:
        """The object's running digest, if what has just come at ``start`` is next in line: ``hashed`` ends that.

        Why so: whoever has it in memory need not read it again. Not where a large object has one connection:
        that would wait for its own hash, and another core has time for it.
        """
        with self._lock:
            if item.busy or item.hashed != start or lease.checking:
                return None
            if item.pointer.size > SMALL_BYTES and self._state.busy < 2:
                return None
            item.busy = True
            return item.digest

    # --- for hashers ---------------------------------------------------------------------------

    def next_prefix(self) -> tuple[Item, int, int] | None:
        """``[start, stop)`` of an object to be hashed now, or ``None`` at the end."""
        with self._lock:
            while not self._stopped:
                for item in self._state.items.values():
                    if item.busy or item.partial is None:
                        continue
                    prefix = item.task.prefix
                    if prefix - item.hashed >= HASH_AHEAD or item.task.arrived:
                        item.busy = True
                        return item, item.hashed, min(prefix, item.hashed + HASH_PIECE)
                self._prefixes.wait(1.0)
            return None

    def hashed(self, item: Item, stop: int) -> None:
        """The object's running digest covers ``[0, stop)`` now; settles it if that is all."""
        with self._lock:
            item.busy = False
            self._context.patience.postpone()  # that is work: where much was here already, no byte arrives for long
            if self._state.items.get(item.pointer.oid) is not item:  # given up meanwhile
                self._state.close_orphans()
                return
            self._state.read += stop - item.hashed
            item.hashed = stop
            if item.stale:
                item.hash_anew()
            if stop - item.flushed >= FLUSH_BYTES:
                self._dirty.notify()
            if self._look_at(item):
                self._work.notify()

    # --- for the one that flushes --------------------------------------------------------------

    def next_dirty(self) -> tuple[Item, int, int] | None:
        """``[start, stop)`` of an object that the disk may begin with, or ``None`` at the end."""
        with self._lock:
            while not self._stopped:
                for item in self._state.items.values():
                    start, stop = item.flushed, item.hashed
                    if item.partial is not None and stop - start >= FLUSH_BYTES:
                        item.flushed, item.flushing = stop, True
                        return item, start, stop
                self._dirty.wait(1.0)
            return None

    def flushed(self, item: Item) -> None:
        """The disk has begun; the object's files are not used for that any more."""
        with self._lock:
            item.flushing = False
            self._state.close_orphans()

    # --- for the caller's thread, and the one that keeps time ----------------------------------

    def collect(self, timeout: float) -> tuple[list[Arrived | Failed], list[Event], bool]:
        """Outcomes and events since the last call, and whether everything is settled; waits up to ``timeout`` s.

        Raises:
            LocalError: this machine cannot go on.
        """
        with self._lock:
            state = self._state
            if not state.outcomes and state.fatal is None and self._pool.unsettled:
                self._news.wait(timeout)
            if state.fatal is not None:
                raise state.fatal
            outcomes, events = list(state.outcomes), [*self._health.news(), *state.events, *state.progress()]
            state.outcomes.clear()
            state.events.clear()
            return outcomes, events, not self._pool.unsettled

    def held_up(self, leases: Iterable[Lease]) -> int:
        """How many of them wait in vain: another has their range, or their answer should have begun long ago."""
        with self._lock:
            return sum(lease.gone or lease in self._state.late for lease in leases)

    def tick(self) -> list[Lease]:
        """Keep time: limiters, patience, waiting. Returns the leases whose connection should be dropped."""
        with self._lock:
            now, context = self._clock.now(), self._context
            spent = time.process_time()
            left = self._pool.left / max(1.0, self._rate())
            for endpoint in self._state.in_flight:
                self._tick_limiter(endpoint, now, spent, left)
            closed_for = context.schedule.closed_for()
            self._open = not closed_for
            if closed_for:
                context.patience.postpone()
            leases = list(self._pool.leases())
            self._state.note_late(lease for lease in leases if self._selector.is_late(lease, now))
            if self._policy.hopeless:
                self._give_up()
            elif not leases:
                self._policy.settle_stranded()
            self._policy.say_waiting(now, context.schedule.reason if closed_for else "", closed_for)
            if self._open and self._scheduler.has_work():
                self._work.notify_all()
            self._mark_slow([lease for lease in leases if lease.first is not None and self._open])
            is_end = self._pool.left == 0 and self._state.busy < self.target
            lags = self._selector.lags
            dropped = [x for x in leases if closed_for or x.slow or lags(x, leases, now, is_end=is_end)]
            if not self._scheduler.has_work():
                dropped += [x for x in leases if x.came is not None and x not in dropped and self._moves_on(x, now)]
            for lease in dropped:
                counts = lease.task.given_up(lease.asked, now)
                lease.task.hurried += counts and is_end and not lease.dropped
                if lease.came is not None and lease.first is None and not (lease.dropped or closed_for):
                    lease.task.unanswered[lease.endpoint] += counts
                lease.dropped = True
                self._take_back(lease, now, counts=counts)
            return dropped

    def stop(self) -> None:
        """Have every thread end."""
        with self._lock:
            self._shut_down()

    def close(self) -> None:
        """Let go of all files; what they hold stays. Those in use are closed by whoever uses them last."""
        with self._lock:
            self._state.orphans += self._state.items.values()
            self._state.items.clear()
            self._state.close_orphans()

    # --- under the lock ------------------------------------------------------------------------

    def _has_room(self, endpoint: Endpoint) -> bool:
        return self._state.busy_at(endpoint) < self._limiter_of(endpoint).target

    def _new_limiter(self) -> ConcurrencyLimiter:
        limiter = ConcurrencyLimiter(self._context.connections, self._context.cores)
        if self._context.carrier is not None:  # what a carrier has begun with many it does not end with few
            limiter.target = self._context.connections
        return limiter

    def _limiter_of(self, endpoint: Endpoint) -> ConcurrencyLimiter:
        """Its own from when it is first asked; before that one like all others."""
        return self._limiters.get(endpoint) or self._unasked

    def _tick_limiter(self, endpoint: Endpoint, now: float, spent: float, left: float) -> None:
        limiter = self._limiters.get(endpoint)
        if limiter is None:
            limiter = self._limiters[endpoint] = self._new_limiter()
        before, state = limiter.target, self._state
        latency = self._health.latency(endpoint) or 0.0
        limiter.tick(now, state.received_from[endpoint], state.busy_at(endpoint), latency, spent, left)
        self._targets += limiter.target - before

    def _in_use(self) -> int:
        """How many connections share what is left."""
        return max(self._state.busy, min(FIRST, self._context.connections))

    def _rates(self) -> Rates:
        def each(endpoint: Endpoint) -> float:
            limiter = self._limiter_of(endpoint)
            return limiter.rate / max(1, limiter.target)

        return Rates(self._in_use, each, self._rate)

    def _rate(self) -> float:
        """Bytes a second of all connections, as seen lately."""
        return sum(self._limiter_of(endpoint).rate for endpoint in self._state.in_flight)

    def _lost(self, endpoint: Endpoint) -> None:
        if endpoint in self._limiters:
            self._limiters[endpoint].lost()

    def _advance(self, lease: Lease, position: int, unused: int) -> None:
        now = self._clock.now()
        if lease.flowing is None:
            self._health.flowed(lease.endpoint, now - _sent_at(lease))
        own = self._pool.advance(lease, position, now)
        self._context.rate_limiter.refund(unused)
        if own:
            self._came(lease, own)

    def _came(self, lease: Lease, own: int) -> None:
        """``own`` bytes have come that were not here."""
        self._state.received += own
        self._state.received_from[lease.endpoint] += own
        lease.task.hurried = 0
        self._context.patience.progress()
        self._health.sent(lease.endpoint, own)

    def _is_news(self, endpoint: Endpoint, support: RangeSupport, now: float) -> bool:
        """Whether this answer lets others ask who held back: the first one, news of ranges, the first after a rest."""
        health = self._health
        ranges = support not in (RangeSupport.UNKNOWN, health.ranges(endpoint))
        return ranges or health.latency(endpoint) is None or health.ready_at(endpoint) > now

    def _look_after(self, lease: Lease) -> None:
        """A lease has ended, whoever ended it: its object may be whole, or wait for just that to be tried."""
        item = self._state.items.get(lease.task.pointer.oid)
        if item is not None and item.task is lease.task and lease.left:
            self._policy.open_anew(item)
        elif item is not None and item.task is lease.task:
            if lease.rewrites:
                item.hash_anew()
            self._look_at(item)
        self._state.close_orphans()
        if self._state.outcomes:
            self._news.notify()

    def _wake_hasher(self, item: Item) -> None:
        """If enough of the object has come."""
        if not item.busy and item.task.prefix - item.hashed >= HASH_AHEAD:
            self._prefixes.notify()

    def _look_at(self, item: Item) -> bool:
        """Something of it has ended: settle it if all is here and hashed (is it?), else wake who can go on."""
        if not item.busy and item.task.arrived and item.hashed == item.pointer.size:
            self._policy.whole(item)
            self._news.notify()
            return True
        if self._policy.may_try(item) or (item.task.arrived and not item.busy):
            self._prefixes.notify()
        return False

    def _mark_slow(self, sending: list[Lease]) -> None:
        """Of those whose answers have begun: whose endpoint brings next to nothing, while another may do better."""
        slow = self._health.find_slow({lease.endpoint for lease in sending}, self._context.rate_limiter.floor)
        for lease in sending if slow else ():
            lease.slow = lease.endpoint in slow

    def _moves_on(self, lease: Lease, now: float) -> bool:
        """Whether another endpoint had better bring all that a carrier's lease still lacks."""
        lease.moves_on = lease.moves_on or self._selector.brings_sooner(lease, now)
        return lease.moves_on

    def _take_back(self, lease: Lease, now: float, *, counts: bool) -> None:
        """Give the range of a connection that has not answered to another; one that has gives it back itself.

        So does a carrier, when it writes no more. ``counts`` as a sign that answers take longer than was thought.
        """
        if lease.first is not None or lease.came is not None:
            return
        self._scheduler.take_back(lease)
        lease.gone = True
        if self._open:
            if lease.handle is None or lease.handle.is_connected:
                lease.task.unanswered[lease.endpoint] += counts
            self._policy.blame(lease, errors.Stalled(str(lease.endpoint), now - (lease.asked or lease.began)))
        self._look_after(lease)

    def _give_up(self) -> None:
        self._policy.give_up()
        self._shut_down()
        self._news.notify()

    def _shut_down(self) -> None:
        self._stopped = True
        self._work.notify_all()
        self._prefixes.notify_all()
        self._dirty.notify_all()


def _sent_at(lease: Lease) -> float:
    """Clock time at which its request went out; to connect is no part of how long an endpoint takes to answer."""
    asked = lease.asked or lease.began
    return max(asked, lease.handle.sent_at or 0.0) if lease.handle is not None else asked
