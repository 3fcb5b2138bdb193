"""The one place where workers, hashers and the coordinator meet: a pool behind a lock.

Why a desk: the rules (pool, health, patience, tempo) are pure and know no threads; the threads know
no rules. What one thread tells another passes through here, under one lock, held for microseconds.
"""

from __future__ import annotations

import hashlib
import threading
from collections import Counter, deque
from dataclasses import dataclass, field

from hfclone import errors
from hfclone.endpoints import Endpoint, EndpointKind
from hfclone.errors import HfcloneError, LocalError
from hfclone.events import Event, Failed, Faulted, Position, Started, Waiting
from hfclone.health import Board, RangeSupport
from hfclone.partials import Partial, Partials
from hfclone.patience import Clock, Patience, Verdict, judge
from hfclone.pointer import Oid, Pointer
from hfclone.transfer import Arrived
from hfclone.transfer.pool import SEGMENT_BYTES, Lease, Pool, Task
from hfclone.transfer.sources import Sources
from hfclone.transfer.tempo import Pace, Tempo

__all__ = ["Desk", "Item"]

HASH_AHEAD = 1024 * 1024
"""Bytes of prefix that make it worth waking a hasher before the object is whole."""
INLINE_BYTES = HASH_AHEAD
"""Objects up to this size are hashed by whoever fetches them; handing them over would cost more."""
FILES = "these files"
"""The service an endpoint lacks when it refuses a whole repo."""
DISK_WAIT = 10.0
"""Seconds until a full disk is tried again."""
SLOW_SECONDS = 2.0
"""A lease with more than this ahead of it is worth splitting when nothing else is left to do."""
SILENCE = 3.0
"""A connection that is silent for so long while others move is dropped, its range taken over."""
LONE_SILENCE = 5.0
"""The same where no other moves: the line as a whole may be slow."""
SECOND_CHANCES = 1
"""Wrong objects that an endpoint may send once more, where there is nobody else to ask."""


@dataclass(slots=True, eq=False)
class Item:
    """One active object with its files and its running sha256. ``busy``: somebody is hashing it."""

    task: Task
    partial: Partial | None = None
    digest: hashlib._Hash = field(default_factory=hashlib.sha256)
    hashed: int = 0
    busy: bool = False
    senders: set[str] = field(default_factory=set)
    shown: int = -1

    @property
    def pointer(self) -> Pointer:
        return self.task.pointer

    @property
    def opened(self) -> Partial:
        """The partial; only for those who hold a lease or hash, since it is open then."""
        assert self.partial is not None
        return self.partial


class Desk:
    """Hands out work and takes in what came of it. Every method may be called from any thread."""

    def __init__(
        self,
        objects: list[Pointer],
        *,
        partials: Partials,
        board: Board,
        sources: Sources,
        patience: Patience,
        clock: Clock,
        tempo: Tempo,
        pace: Pace,
    ) -> None:
        self.partials = partials
        self._board = board
        self._sources = sources
        self._patience = patience
        self._clock = clock
        self._tempo = tempo
        self._pace = pace
        self._pool = Pool(objects)
        self._items: dict[Oid, Item] = {}
        self._in_flight: Counter[Endpoint] = Counter()
        self._received = 0
        self._stopped = False
        self._fatal: LocalError | None = None
        self._outcomes: deque[Arrived | Failed] = deque()
        self._events: deque[Event] = deque()
        self._waited_at = float("-inf")
        self._lock = threading.Lock()
        self._work = threading.Condition(self._lock)
        self._prefixes = threading.Condition(self._lock)
        self._news = threading.Condition(self._lock)

    # --- for workers ---------------------------------------------------------------------------

    def next_job(self, number: int) -> Item | Lease | None:
        """Work for worker ``number``: an object to open, a range to fetch, or ``None`` to go home."""
        with self._lock:
            while not self._stopped:
                if number < self._tempo.target:
                    job = self._find_job()
                    if job is not None:
                        return job
                self._work.wait(1.0)
            return None

    def upcoming(self) -> list[Pointer]:
        """Objects that will be wanted next, for a batch request."""
        with self._lock:
            begun = [item.pointer for item in self._items.values()]
            waiting = self._pool.upcoming()
            return begun + [pointer for _, pointer in zip(range(128), waiting, strict=False)]

    def opened(self, item: Item, partial: Partial) -> None:
        """The object's partial is open, and what it holds is proven."""
        with self._lock:
            item.partial = partial
            item.senders = {record.endpoint for record in partial.records}
            self._pool.opened(item.task, partial.held())
            self._work.notify()
            self._prefixes.notify()

    def cannot_open(self, item: Item, error: LocalError) -> None:
        """The object's partial cannot be made; a full disk may have room later."""
        with self._lock:
            if not isinstance(error, errors.DiskFull):
                self._fatal = error
            self._pool.shelve(item.task)
            item.task.ready_at = self._clock.now() + DISK_WAIT
            self._items.pop(item.pointer.oid, None)
            self._events.append(Faulted("", error))
            self._news.notify()

    def answers(self, lease: Lease, support: RangeSupport, hold: float) -> Partial:
        """The lease's endpoint begins to send: where to, by its partial.

        ``support`` is what the answer said of ranges, ``hold`` the seconds its limits ask for.
        """
        with self._lock:
            if support is not RangeSupport.UNKNOWN:
                self._board.note_ranges(lease.endpoint, support)
            if support is RangeSupport.NO:
                self._pool.widen(lease)
            self._board.answered(lease.endpoint)
            self._board.hold(lease.endpoint, hold)
            self._patience.answered()
            now = self._clock.now()
            self._board.began(lease.endpoint, now - lease.began)
            lease.heard = lease.first = now
            item = self._items[lease.task.pointer.oid]
            item.senders.add(str(lease.endpoint))
            self._events.append(Started(item.pointer.oid, str(lease.endpoint)))
            self._work.notify_all()
            return item.opened

    def arrived(self, lease: Lease, position: int) -> float:
        """Everything of the lease below ``position`` is written; the seconds to wait for the rate limit."""
        with self._lock:
            now = self._clock.now()
            own = self._pool.advance(lease, position, now)
            self._received += own
            if own:
                self._patience.progress()
                self._board.sent(lease.endpoint, own)
            item = self._items[lease.task.pointer.oid]
            if not item.busy and item.task.prefix - item.hashed >= HASH_AHEAD:
                self._prefixes.notify()
            return self._pace.spend(own, now)

    def ended(self, lease: Lease, error: HfcloneError | None) -> None:
        """The lease is over; its rest, if any, goes back into the pool."""
        with self._lock:
            self._pool.give_back(lease)
            self._in_flight[lease.endpoint] -= 1
            if error is not None and not self._stopped:
                self._blame(lease, error)
            item = self._items.get(lease.task.pointer.oid)
            if item is not None and item.task.arrived and not item.busy:
                if item.hashed == item.pointer.size:
                    self._whole(item)
                else:
                    self._prefixes.notify()
            self._work.notify()

    def hash_here(self, lease: Lease) -> hashlib._Hash | None:
        """The object's running digest, if this worker brings all of a small object: nobody else hashes it then."""
        with self._lock:
            item = self.item_of(lease)
            if not lease.whole or lease.position or item.busy or item.hashed or item.pointer.size > INLINE_BYTES:
                return None
            item.busy = True
            return item.digest

    def item_of(self, lease: Lease) -> Item:
        """The active object that a lease belongs to."""
        return self._items[lease.task.pointer.oid]

    # --- for hashers ---------------------------------------------------------------------------

    def next_prefix(self) -> tuple[Item, int, int] | None:
        """``[start, stop)`` of an object to be hashed now, or ``None`` to go home."""
        with self._lock:
            while not self._stopped:
                for item in self._items.values():
                    if item.busy or item.partial is None:
                        continue
                    prefix = item.task.prefix
                    if prefix - item.hashed >= HASH_AHEAD or item.task.arrived:
                        item.busy = True
                        return item, item.hashed, prefix
                self._prefixes.wait(1.0)
            return None

    def hashed(self, item: Item, stop: int) -> None:
        """The object's running digest covers ``[0, stop)`` now; settles it if that is all."""
        with self._lock:
            if self._items.get(item.pointer.oid) is not item:  # given up meanwhile: nobody else has it open
                item.opened.close()
                return
            item.hashed = stop
            item.busy = False
            if item.task.arrived and item.hashed == item.pointer.size:
                self._whole(item)

    # --- for the coordinator -------------------------------------------------------------------

    def collect(self, timeout: float) -> tuple[list[Arrived | Failed], list[Event], bool]:
        """Outcomes and events since the last call, and whether everything is settled; waits up to ``timeout`` s.

        Raises:
            LocalError: this machine cannot go on.
        """
        with self._lock:
            if not self._outcomes and self._fatal is None and self._pool.unsettled:
                self._news.wait(timeout)
            if self._fatal is not None:
                raise self._fatal
            outcomes, events = list(self._outcomes), [*self._events, *self._positions()]
            self._outcomes.clear()
            self._events.clear()
            return outcomes, events, not self._pool.unsettled

    def tick(self) -> list[Lease]:
        """Keep time: tempo, patience, waiting. Returns the leases whose connection should be dropped."""
        with self._lock:
            now = self._clock.now()
            latency = max((self._board.latency(e) or 0.0 for e in self._board.endpoints), default=0.0)
            self._tempo.tick(now, self._received, sum(self._in_flight.values()), latency)
            leases = list(self._pool.leases())
            if self._patience.exhausted or all(self._board.lacks(e, FILES) for e in self._board.endpoints):
                self._give_up()
            elif not leases:
                self._settle_stranded()
                self._say_waiting(now)
            self._work.notify_all()
            return [lease for lease in leases if self._lags(lease, leases, now)]

    def stop(self) -> None:
        """Send everybody home."""
        with self._lock:
            self._stopped = True
            self._work.notify_all()
            self._prefixes.notify_all()

    def close(self) -> None:
        """Let go of all files; what they hold stays. Call it when nobody works any more."""
        for item in self._items.values():
            if item.partial is not None:
                item.partial.close()
        self._items.clear()

    # --- under the lock ------------------------------------------------------------------------

    def _find_job(self) -> Item | Lease | None:
        now = self._clock.now()
        task = self._pool.begin(now)
        if task is not None:
            item = self._items[task.pointer.oid] = Item(task)
            return item
        lease = self._pool.take(now, self._choose) or self._pool.split(now, self._choose, self._worth_splitting)
        if lease is not None:
            self._in_flight[lease.endpoint] += 1
        return lease

    def _choose(self, task: Task) -> Endpoint | None:
        """Whom to ask for ``task`` now: a mirror if one can be asked, else the hub."""
        now = self._clock.now()
        alone = task.alone
        ready = [
            endpoint
            for endpoint in self._board.endpoints
            if alone in (None, endpoint) and self._may_ask(endpoint, task) and self._board.ready_at(endpoint) <= now
        ]
        mirrors = [endpoint for endpoint in ready if endpoint.kind is EndpointKind.MIRROR]
        return min(mirrors or ready, key=lambda endpoint: self._in_flight[endpoint], default=None)

    def _may_ask(self, endpoint: Endpoint, task: Task) -> bool:
        """Whether a further request to ``endpoint`` for ``task`` makes sense at all."""
        if endpoint not in self._left(task):
            return False
        support = self._board.ranges(endpoint)
        if support is RangeSupport.NO:
            return not task.leases
        # The first large answer shows whether ranges work; until then a second one might be in vain.
        probing = support is RangeSupport.UNKNOWN and task.pointer.size > SEGMENT_BYTES
        return not (probing and self._in_flight[endpoint])

    def _worth_splitting(self, lease: Lease) -> bool:
        """Whether a second connection would end it notably sooner: a new answer takes its time to begin."""
        rate = lease.rate(self._clock.now())
        if rate is None or self._board.ranges(lease.endpoint) is not RangeSupport.YES:
            return False
        latency = self._board.latency(lease.endpoint) or 0.0
        return lease.stop - lease.position > rate * (SLOW_SECONDS + 2 * latency)

    def _lags(self, lease: Lease, leases: list[Lease], now: float) -> bool:
        """Whether a connection is silent, or slower by an order than its peers: a new one does better.

        How long a silence may last follows from the endpoint's latency: a slow far side is not a dead line.
        """
        latency = self._board.latency(lease.endpoint)
        if latency is None:
            return False  # never heard of: the socket's own time limit decides
        peers = [peer for peer in leases if peer is not lease and peer.first and now - peer.heard < 1.0]
        if now - lease.heard > max(SILENCE if peers else LONE_SILENCE, 5 * latency):
            return True
        rates = sorted(rate for peer in peers if (rate := peer.rate(now)) is not None)
        own = lease.rate(now)
        if len(rates) < 3 or own is None or lease.first is None or now - lease.first < 5.0:
            return False
        return own < rates[len(rates) // 2] / 10

    def _blame(self, lease: Lease, error: HfcloneError) -> None:
        """What an error of a request means for its object and its endpoint."""
        now, endpoint, task = self._clock.now(), lease.endpoint, lease.task
        self._events.append(Faulted(str(endpoint), error))
        verdict = judge(error)
        if not isinstance(error, (errors.Truncated, errors.Stalled)):
            self._sources.forget(task.pointer, endpoint)
        if isinstance(error, errors.DiskFull):
            task.ready_at = now + DISK_WAIT
        elif isinstance(error, LocalError):
            self._fatal = error
        elif verdict is Verdict.ELSEWHERE:
            self._board.refused(endpoint, error)
            if isinstance(error, errors.ObjectMissing):
                task.barred[endpoint] = error
            else:
                self._board.note_lack(endpoint, FILES)
            self._settle_if_hopeless(task, error)
        elif verdict is Verdict.AGAIN:
            self._board.failed(endpoint, error, lease.began)
            if isinstance(error, (errors.Truncated, errors.Unreachable, errors.Stalled, errors.RateLimited)):
                self._tempo.lost()

    def _left(self, task: Task) -> list[Endpoint]:
        """Whom one could still ask for ``task``, now or later."""
        return [e for e in self._board.endpoints if e not in task.barred and not self._board.lacks(e, FILES)]

    def _settle_if_hopeless(self, task: Task, error: HfcloneError) -> bool:
        """Give an object up when nobody is left to ask for it."""
        hopeless = not self._left(task) and not task.leases
        if hopeless:
            self._fail(task, error)
        return hopeless

    def _settle_stranded(self) -> None:
        """Give up active objects whose last endpoint was barred while another request was under way."""
        for task in [task for task in self._pool.active.values() if task.todo and task.barred]:
            self._settle_if_hopeless(task, list(task.barred.values())[-1])

    def _fail(self, task: Task, error: HfcloneError) -> None:
        self._pool.settle(task)
        item = self._items.pop(task.pointer.oid, None)
        if item is not None and item.partial is not None and not item.busy:
            item.partial.close()
        self._outcomes.append(Failed(task.pointer, error))
        self._news.notify()

    def _whole(self, item: Item) -> None:
        """Every byte has arrived and been hashed: settle the object, or find out who sent wrong bytes."""
        actual = Oid(item.digest.hexdigest())
        item.opened.close()
        item.partial = None
        if actual == item.pointer.oid:
            self._pool.settle(item.task)
            del self._items[item.pointer.oid]
            self._outcomes.append(Arrived(item.pointer, self.partials.part_path(item.pointer), actual))
            self._work.notify()
            self._news.notify()
            return
        self._wrong(item, errors.HashMismatch(item.pointer.oid, actual, tuple(sorted(item.senders))))

    def _wrong(self, item: Item, error: errors.HashMismatch) -> None:
        """Bytes were wrong. One sender: bar it, unless nobody else is left to ask. Several: ask one alone."""
        self._events.append(Faulted(", ".join(error.endpoints), error))
        self.partials.discard(item.pointer)
        task = item.task
        senders = [endpoint for endpoint in self._board.endpoints if str(endpoint) in item.senders]
        if len(item.senders) == 1 and senders:
            self._suspect(task, senders[0], error)
        elif senders:
            task.alone = senders[0]
        if not self._settle_if_hopeless(task, error):
            self._pool.shelve(task)
            del self._items[item.pointer.oid]

    def _suspect(self, task: Task, liar: Endpoint, error: errors.HashMismatch) -> None:
        """``liar`` alone sent an object, and it is wrong."""
        task.alone = None
        task.wrong[liar] += 1
        self._board.failed(liar, error, self._clock.now())
        others = [e for e in self._left(task) if e is not liar]
        if others or task.wrong[liar] > SECOND_CHANCES:
            task.barred[liar] = error

    def _give_up(self) -> None:
        """Patience is at its end: everything that is left fails, with the latest reason."""
        reasons = [error for e in self._board.endpoints if (error := self._board.last_error(e)) is not None]
        for task in self._pool.drain():
            barred = list(task.barred.values())
            default = errors.Unreachable("every endpoint", "nothing arrived")
            self._outcomes.append(Failed(task.pointer, (barred or reasons or [default])[-1]))
        self._stopped = True
        self._work.notify_all()
        self._prefixes.notify_all()
        self._news.notify()

    def _say_waiting(self, now: float) -> None:
        """Tell, every few seconds, why nothing moves and until when."""
        resting = [(self._board.ready_at(e), e) for e in self._board.endpoints if self._board.ready_at(e) > now]
        if not resting or now - self._waited_at < 2.0:
            return
        self._waited_at = now
        until, endpoint = min(resting, key=lambda pair: pair[0])
        error = self._board.last_error(endpoint)
        reason = str(error) if error else f"{endpoint} asks to be left alone for a while"
        self._events.append(Waiting(until - now, reason, self._patience.remaining))
        self._news.notify()

    def _positions(self) -> list[Position]:
        moved = []
        for item in self._items.values():
            received = item.task.received
            if item.partial is not None and received != item.shown:
                item.shown = received
                moved.append(Position(item.pointer.oid, received))
        return moved
