"""What is done next: the object to begin, the range to lease, and what comes of a lease that has ended.

Called under the desk's lock; knows no threads.
"""

from __future__ import annotations

from dataclasses import dataclass

from hfclone.endpoints import Endpoint
from hfclone.health import Board
from hfclone.partials import SMALL_BYTES, Partials
from hfclone.patience import Clock
from hfclone.ranges import RangeSet
from hfclone.transfer.books import Books, Item
from hfclone.transfer.choice import Chooser
from hfclone.transfer.pool import SPREAD, Lease, Pool, Task

__all__ = ["Dispatch"]

MOST_ACTIVE = 64
"""Objects that may be begun because nobody can be asked for those begun before."""


@dataclass(frozen=True, slots=True)
class Dispatch:
    """Hands out items to open and leases to fetch."""

    books: Books
    chooser: Chooser
    board: Board
    partials: Partials
    clock: Clock

    @property
    def pool(self) -> Pool:
        """All objects."""
        return self.books.pool

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
        self.books.late.discard(lease)
        self.books.in_flight[lease.endpoint] -= 1
        self.books.ranged[lease.endpoint] -= lease.counted
        rate = lease.rate(self.clock.now())
        if rate:
            self.board.ran(lease.endpoint, rate)
        item = self.books.items.get(lease.task.pointer.oid)
        if item is None:  # given up or stopped meanwhile
            return
        for start, stop in lease.brought:
            item.trust.note(str(lease.endpoint), start, stop)

    def _begin(self, now: float, spread: int = SPREAD) -> Item | None:
        """The next object, to be opened; not where nothing of a small one is here: its first bytes decide."""
        task = self.pool.begin(now, spread)
        if task is None:
            return None
        item = self.books.begin(task)
        if not 0 < task.pointer.size <= SMALL_BYTES or not self.partials.is_new(task.pointer):
            return item
        self.pool.opened(task, RangeSet())
        return None

    def _lease(self, now: float) -> Lease | None:
        lease = self.pool.take(now, self._choose) or self._split(now)
        if lease is not None:
            lease.counted = not lease.whole
            self.books.in_flight[lease.endpoint] += 1
            self.books.ranged[lease.endpoint] += lease.counted
        return lease

    def _split(self, now: float) -> Lease | None:
        """A part of what another fetches; not in place of a late one, which will be asked for anew itself."""
        if self.books.late:
            return None
        return self.pool.split(now, self._choose, lambda lease: self.chooser.worth_splitting(lease, now))

    def _all_in_trouble(self, now: float) -> bool:
        """Whether what was begun cannot go on, while an endpoint might serve what waits."""
        able = any(self.board.ready_at(endpoint) <= now for endpoint in self.board.endpoints)
        begun = [task for task in self.pool.active.values() if task.todo]
        return able and all(task.error is not None or task.ready_at > now for task in begun)

    def _choose(self, task: Task) -> Endpoint | None:
        return self.chooser.endpoint_for(task, self.clock.now())
