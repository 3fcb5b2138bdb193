"""The ranges still to fetch, over all objects: who takes what next. Pure, and not thread-safe.

The unit of work and of retry is a lease on a range. A lease whose connection died gives its rest
back at once, so nothing waits for another object's end. Ranges are handed out from the front of
each object, so that contiguous prefixes grow and the hash can follow them. The last ones are small,
so that all connections end together (``range_bytes``): an answer that flows is not cut short, since
what is on its way then has crossed the line in vain. Only of one that would hold up the end is a
part given to another.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from hfclone.errors import HfcloneError
from hfclone.http import AbortHandle
from hfclone.hub.endpoint import Endpoint
from hfclone.partials import SMALL_BYTES
from hfclone.pointer import Oid, Pointer
from hfclone.ranges import RangeSet

__all__ = ["SMALL_BESIDE", "Lease", "LeaseQueue", "Task", "range_bytes"]

MOST_RANGE_BYTES = 16 * 1024 * 1024
"""One request's range at the most: requests do not count then on any line."""
FIRST_RANGE_BYTES = 2 * 1024 * 1024
"""The first range of an endpoint: how fast it is is not known, and nobody is to wait for it in the end."""
STEPS = 8
"""The first ranges are of so many lengths, from half of that on: ended they together, the line would be empty."""
LEAST_RANGE_BYTES = 64 * 1024
RANGE_SECONDS = 2.0
"""So long a range takes, where a round trip is nothing."""
RANGE_TRIPS = 16
"""Or so many round trips: the one that its request costs does not count then."""
LEAST_SECONDS, LEAST_TRIPS = 0.25, 2
"""The same of the last ranges."""
SPREAD = 4
"""Large objects begun at once before a second connection joins one of them: each is hashed on its own."""
SMALL_BESIDE = 8
"""Small objects that are fetched beside the large ones which fill the line: each takes a round trip, and next to
nothing of the line."""
RATE_SECONDS = 0.5
"""A connection's rate is not judged before."""
NEARLY = 1.25
"""So many times a range's bytes are taken at once where nothing would be left then."""


@dataclass(slots=True, eq=False)
class Lease:
    """``[start, stop)`` of an object, being fetched; ``position`` is the next byte to arrive."""

    task: Task
    endpoint: Endpoint
    start: int
    stop: int
    position: int
    began: float
    heard: float
    """Clock time of the last byte (or of the beginning); later than now while the rate limit holds it."""
    asked: float | None = None
    """Clock time at which its request went out; before that its URL is asked for."""
    first: float | None = None
    """Clock time at which its answer began."""
    flowing: tuple[float, int] | None = None
    """Clock time at which its first bytes came, and the position that they led to; of a carrier's, how many."""
    gaps: RangeSet | None = None
    """For a lease over all the rest: which of its bytes are really missing."""
    writing: int = 0
    """Everything below is here or about to be written: nobody else is given it."""
    checking: bool = False
    """What it brings is compared with what is here: somebody sent wrong bytes."""
    counted: bool = False
    """It was begun as a part of an object, and is counted as such."""
    signed: bool = False
    """It is answered by whom a signed URL names, not by the endpoint itself."""
    handle: AbortHandle | None = None
    """What its exchange is broken off by."""
    slow: bool = False
    """It is broken off since its endpoint crawls."""
    moves_on: bool = False
    """It is broken off since another endpoint brings the rest sooner."""
    dropped: bool = False
    """Its connection is broken off."""
    gone: bool = False
    """Its range was given back while it still waited for an answer."""
    to_carry: bool = False
    """A carrier is to move it: all that its object lacks."""
    connections: int = 1
    """That it takes up now; a carrier opens several."""
    came: RangeSet | None = None
    """Of one that a carrier has: what has come, in whatever order; that is in ``gaps`` no more."""
    rewrites: bool = False
    """The carrier may write over bytes that were here, and may have been hashed."""
    loose: int = 0
    """Bytes that came beside that, of which it is not known yet where they lie."""
    left: bool = False
    """The carrier is gone, and perhaps still writes."""
    unexplained: bool = False
    """The carrier failed, and its endpoint answers as it should."""

    @property
    def moved(self) -> int:
        """How many bytes it has brought."""
        return self.position - self.start if self.came is None else self.came.size + self.loose

    @property
    def due(self) -> int:
        """How many bytes it has still to bring."""
        return sum(stop - start for start, stop in self.rest) - self.loose

    @property
    def whole(self) -> bool:
        """Whether it covers the whole object, so that no Range is needed."""
        return self.start == 0 and self.stop == self.task.pointer.size

    def abort(self) -> None:
        """Break its exchange, if one has begun; a broken one that is over harms nobody."""
        handle = self.handle  # its worker takes it away when a carrier gets the lease
        if handle is not None:
            handle.abort_as_late() if self.slow else handle.abort()

    def rate(self, now: float) -> float | None:
        """Bytes a second of a connection since its first ones came; ``None`` while that is too short to tell."""
        if self.flowing is None or now - self.flowing[0] < RATE_SECONDS:
            return None
        since, position = self.flowing
        done = self.position if self.came is None else self.moved
        return (done - position) / (now - since) / self.connections

    def least_rate(self, now: float) -> float | None:
        """Bytes a second since it was asked for: its connection does that at least. ``None`` where nothing came."""
        count = self.moved / self.connections
        return count / max(now - self.asked, 0.001) if self.asked is not None and count else None

    @property
    def rest(self) -> list[tuple[int, int]]:
        """What it has still to bring."""
        return [(max(start, self.position), stop) for start, stop in self._ranges if stop > self.position]

    @property
    def brought(self) -> list[tuple[int, int]]:
        """What it has brought."""
        if self.came is not None:
            return list(self.came)
        return [(start, min(stop, self.position)) for start, stop in self._ranges if start < self.position]

    @property
    def _ranges(self) -> list[tuple[int, int]]:
        return [(self.start, self.stop)] if self.gaps is None else list(self.gaps)


@dataclass(slots=True, eq=False)
class Task:
    """One object on its way."""

    pointer: Pointer
    todo: RangeSet = field(default_factory=RangeSet)
    leases: list[Lease] = field(default_factory=list)
    barred: dict[Endpoint, HfcloneError] = field(default_factory=dict)
    """Who is not asked for this object again, and why."""
    other_files: Counter[Endpoint] = field(default_factory=Counter)
    """How often an endpoint named another length for it."""
    unforeseen: Counter[Endpoint] = field(default_factory=Counter)
    """How often what an endpoint sent for it led to what nobody foresaw."""
    absences: Counter[Endpoint] = field(default_factory=Counter)
    """How often an endpoint said that it does not have it."""
    plain: set[Endpoint] = field(default_factory=set)
    """Endpoints that know no ranges of it, or say them wrongly: they are asked for the whole, and the sum decides."""
    by_hand: set[Endpoint] = field(default_factory=set)
    """Endpoints from which no carrier can fetch it."""
    vain: int = 0
    """How often in a row a carrier brought nothing of it, and nobody could say why."""
    hurried: int = 0
    """How often in a row, without a byte, an answer was given up early, since all waited for it."""
    unanswered: Counter[Endpoint] = field(default_factory=Counter)
    """How often in a row an answer of an endpoint was not waited for any longer."""
    given_up_at: float = -math.inf
    """Clock time at which an answer was last given up."""
    error: HfcloneError | None = None
    """What last went wrong with it."""
    checking: bool = False
    """All of it is here and it is wrong: ``todo`` is compared with what is here."""
    failed_at: float = -math.inf
    """Clock time of its last failure: others go first."""
    ready_at: float = 0.0
    """Clock time before which it is not begun and no lease of it is handed out."""

    def given_up(self, asked: float | None, now: float) -> bool:
        """An answer that was ``asked`` for then is given up; whether that counts.

        Those that were under way when the last one was given up tell no more than that did.
        """
        before, self.given_up_at = self.given_up_at, now
        return asked is None or asked >= before

    @property
    def is_small(self) -> bool:
        """Whether it comes in one piece, for a round trip and next to no bytes."""
        return self.pointer.size <= SMALL_BYTES

    @property
    def prefix(self) -> int:
        """How many bytes from the front have arrived without a gap."""
        ends = [lease.rest[0][0] for lease in self.leases if lease.rest]
        first = next(iter(self.todo), None)
        if first:
            ends.append(first[0])
        return min(ends, default=self.pointer.size)

    @property
    def received(self) -> int:
        """How many bytes have arrived."""
        return self.pointer.size - self.todo.size - sum(lease.due for lease in self.leases)

    @property
    def arrived(self) -> bool:
        """Whether every byte is here."""
        return not self.todo and not self.leases


class LeaseQueue:
    """All objects of a transfer, from waiting over active to settled."""

    def __init__(self, objects: Iterable[Pointer]) -> None:
        self._waiting = deque(_in_order(list(objects)))  # no Task yet: there may be 100,000
        self._waiting_bytes = sum(pointer.size for pointer in self._waiting)
        self._shelved: list[tuple[float, int, Task]] = []
        """A heap, by when they may be begun anew."""
        self._shelved_bytes = 0
        self._shelvings = itertools.count()
        self.active: dict[Oid, Task] = {}
        self._large = 0
        """Active objects that are not small."""
        self._small = 0
        """Leases of small objects."""
        self._small_waiting: Counter[Endpoint] = Counter()
        """Those that have not been answered."""

    @property
    def unsettled(self) -> int:
        """Objects that are not settled yet."""
        return self.waiting + len(self.active)

    @property
    def waiting(self) -> int:
        """Objects that have not been begun."""
        return len(self._waiting) + len(self._shelved)

    @property
    def shelved(self) -> tuple[Task, ...]:
        """Objects that were begun and could not go on."""
        return tuple(task for _, _, task in self._shelved)

    def upcoming(self) -> Iterator[Pointer]:
        """Objects that will be wanted next, in order."""
        return iter(self._waiting)

    def leases(self) -> Iterator[Lease]:
        """Everything that is being fetched."""
        return (lease for task in self.active.values() for lease in task.leases)

    def begin(self, now: float, spread: int = SPREAD) -> Task | None:
        """Make the next waiting object active, if less than ``spread`` have ranges left; it is to be ``opened``."""
        if not self.waiting or sum(1 for task in self.active.values() if task.todo) >= spread:
            return None
        if self._shelved and self._shelved[0][0] <= now:
            _, _, task = heapq.heappop(self._shelved)
            self._shelved_bytes -= task.pointer.size
        elif self._waiting:
            task = Task(self._waiting.popleft())
            self._waiting_bytes -= task.pointer.size
        else:
            return None
        task.todo.add(0, task.pointer.size)
        task.ready_at = math.inf
        self.active[task.pointer.oid] = task
        self._large += not task.is_small
        return task

    def opened(self, task: Task, held: RangeSet) -> None:
        """``held`` is what lies on disk: the rest of the object is to be fetched."""
        task.todo = RangeSet(held.gaps(task.pointer.size))
        task.ready_at = 0.0

    @property
    def left(self) -> int:
        """Bytes that nobody has been asked for."""
        return self._waiting_bytes + self._shelved_bytes + sum(task.todo.size for task in self.active.values())

    def take(
        self, now: float, choose: Callable[[Task], Endpoint | None], size: Callable[[Endpoint], int]
    ) -> Lease | None:
        """A lease on the next range, or ``None`` where nothing can be handed out now.

        ``choose`` names the endpoint to ask for a task, ``None`` where nobody can be asked now.
        ``size`` says how many bytes it is asked for; an object that is being checked is checked in smaller steps.
        """
        ready = [task for task in self.active.values() if task.todo and task.ready_at <= now]
        if self.small_beside() >= SMALL_BESIDE:
            ready = [task for task in ready if not task.is_small] or ready
        for task in sorted(ready, key=lambda task: (len(task.leases), task.failed_at)):
            endpoint = choose(task)
            if endpoint is None:
                continue
            step = size(endpoint)
            if task.checking:
                step = _checking_step(task, step)
            elif task.is_small or task.todo.first_size <= step * NEARLY:
                step = task.todo.first_size
            taken = task.todo.take_first(step) if step else None
            if taken:
                return self._lease(task, endpoint, *taken, now)
        return None

    def small_beside(self) -> int:
        """Small objects that are being fetched while large ones are left; see ``SMALL_BESIDE``."""
        return self._small if self._large else 0

    def small_waiting(self, endpoint: Endpoint) -> int:
        """Of those the ones that wait for an answer: so long they take nothing of the line."""
        return self._small_waiting[endpoint] if self._large else 0

    def answered(self, lease: Lease, now: float) -> None:
        """The answer to ``lease`` begins."""
        if lease.first is None and lease.task.is_small:
            self._small_waiting[lease.endpoint] -= 1
        lease.heard = lease.first = now

    def widen(self, lease: Lease) -> None:
        """Make ``lease`` cover all that its object still lacks: its endpoint sends only whole bodies."""
        task = lease.task
        gaps = RangeSet([*lease.rest, *task.todo])
        lease.gaps = gaps
        lease.start = lease.position = min(start for start, _ in gaps)
        lease.stop = task.pointer.size
        task.todo = RangeSet()

    def take_over(self, lease: Lease, endpoint: Endpoint, share: float, now: float) -> Lease | None:
        """Give the last ``share`` (0 to 1) of what ``lease`` has still to bring to another connection.

        Not what it is writing, nor anything where that is all: of two that write there, the one might be hashed, and
        the other stay.
        """
        start = max(lease.writing, lease.stop - max(1, int((lease.stop - lease.position) * share)))
        if start >= lease.stop:
            return None
        stop, lease.stop = lease.stop, start
        return self._lease(lease.task, endpoint, start, stop, now)

    def advance(self, lease: Lease, position: int, now: float) -> int:
        """All of the lease below ``position`` is here (nothing beyond its end counts); how many bytes were new."""
        before = lease.due
        lease.position = max(lease.position, min(position, lease.stop))
        lease.heard = now
        lease.flowing = lease.flowing or (now, lease.position)
        return before - lease.due

    def handed_over(self, lease: Lease, now: float) -> None:
        """A carrier has it: what our own request heard before is no answer to that."""
        self._small_waiting[lease.endpoint] += lease.task.is_small and lease.first is not None
        lease.came, lease.asked, lease.first, lease.handle = RangeSet(), None, None, None
        lease.heard = now

    def carry(self, lease: Lease, here: Iterable[tuple[int, int]], received: int, now: float) -> int:
        """A carrier has brought ``received`` bytes; ``here`` is known to be on disk. How many bytes were new."""
        assert lease.gaps is not None  # it is over all the rest
        assert lease.came is not None  # it has been handed over
        before = lease.moved
        for start, stop in here:
            for low, high in list(lease.gaps):
                lease.came.add(max(low, start), min(high, stop))
            lease.gaps.remove(start, stop)
        lease.loose = max(0, min(received - lease.came.size, lease.gaps.size))
        if lease.moved > before:
            lease.flowing = lease.flowing or (now, lease.moved)
        return max(0, lease.moved - before)

    def give_back(self, lease: Lease) -> None:
        """The lease has ended; what it did not bring is to be fetched by whoever comes next."""
        lease.task.leases.remove(lease)
        if lease.task.is_small:
            self._small -= 1
            self._small_waiting[lease.endpoint] -= lease.first is None
        for start, stop in lease.rest:
            lease.task.todo.add(start, stop)

    def shelve(self, task: Task, ready_at: float) -> None:
        """Put an active object without leases aside, to be begun anew from ``ready_at`` on."""
        self.settle(task)
        task.todo = RangeSet()
        task.ready_at = ready_at
        self._shelved_bytes += task.pointer.size
        heapq.heappush(self._shelved, (ready_at, next(self._shelvings), task))

    def settle(self, task: Task) -> None:
        """The object is done with, well or not."""
        if self.active.pop(task.pointer.oid, None) is not None:
            self._large -= not task.is_small

    def drain(self) -> list[Task]:
        """Settle everything that is left, and return it."""
        left = [*self.active.values(), *self.shelved, *map(Task, self._waiting)]
        self.active.clear()
        self._large = self._waiting_bytes = self._shelved_bytes = 0
        self._shelved.clear()
        self._waiting.clear()
        return left

    def _lease(self, task: Task, endpoint: Endpoint, start: int, stop: int, now: float) -> Lease:
        lease = Lease(task, endpoint, start, stop, start, began=now, heard=now, checking=task.checking)
        task.leases.append(lease)
        if task.is_small:
            self._small += 1
            self._small_waiting[endpoint] += 1
        return lease


def _in_order(objects: Sequence[Pointer]) -> list[Pointer]:
    """A few large ones first, then all small ones, then the rest.

    Why so: small ones bring next to nothing for the round trip that each takes, and a line is to be full meanwhile;
    at the very end they would be the only ones left.
    """
    large = [pointer for pointer in objects if pointer.size > SMALL_BYTES]
    small = [pointer for pointer in objects if pointer.size <= SMALL_BYTES]
    return [*large[: SPREAD - 1], *small, *large[SPREAD - 1 :]]


def range_bytes(rate: float | None, latency: float, share: float, most: int = MOST_RANGE_BYTES, beside: int = 0) -> int:
    """How many bytes a connection of ``rate`` bytes a second is asked for; answers begin after ``latency`` seconds.

    ``share`` are the bytes that it may take so that the others end with it, ``most`` what was seen to come unbroken,
    ``beside`` how many connections are at work there already.
    """
    if rate is None:
        usual, least = FIRST_RANGE_BYTES * (1 + beside % STEPS / STEPS) / 2, float(LEAST_RANGE_BYTES)
    else:
        usual = max(FIRST_RANGE_BYTES, rate * max(RANGE_SECONDS, RANGE_TRIPS * latency))
        least = max(LEAST_RANGE_BYTES, rate * max(LEAST_SECONDS, LEAST_TRIPS * latency))
    return int(min(MOST_RANGE_BYTES, most, max(least, min(usual, share))))


def _checking_step(task: Task, limit: int) -> int:
    """Bytes of a range that is compared; 0 where enough are.

    The search ends at the first difference, and what is under way then was fetched in vain: it is
    kept small against the object.
    """
    step = max(256 * 1024, min(limit, task.pointer.size // 1024))
    return step if len(task.leases) < max(2, task.pointer.size // 32 // step) else 0
