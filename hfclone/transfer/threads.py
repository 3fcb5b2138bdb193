"""The built-in transfer: threads that take ranges from one desk, and hashers that follow their prefixes.

The caller's thread is the coordinator: it keeps time, hands out events and yields outcomes. Nothing
of the user's is ever called on another thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from time import monotonic

from hfclone.events import Failed, OnEvent
from hfclone.hashing import blocks
from hfclone.health import Board
from hfclone.http import Authority, Web
from hfclone.patience import Clock, Patience
from hfclone.transfer import Arrived, Wanted
from hfclone.transfer.desk import Desk
from hfclone.transfer.pool import Lease
from hfclone.transfer.sources import Sources
from hfclone.transfer.tempo import Pace, Tempo
from hfclone.transfer.worker import Worker

__all__ = ["ThreadTransfer"]

HASHERS = 2
"""Threads that hash: hashlib lets the interpreter go, and one core does more than most lines bring."""
TICK = 0.1
"""Seconds between two looks at the clock; also what makes positions come at most ten times a second."""
STOP_SECONDS = 1.0
"""So long the threads may take to end."""


@dataclass(frozen=True, slots=True)
class ThreadTransfer:
    """Fetches over ``connections`` connections at most; ``limit_rate`` in bytes a second, all together."""

    web: Callable[[], Web]
    """Makes the connections of one ``fetch``, which closes them."""
    board: Board
    patience: Patience
    authorities: Sequence[Authority]
    clock: Clock
    connections: int
    limit_rate: int | None = None

    def fetch(self, wanted: Wanted, on_event: OnEvent) -> Iterator[Arrived | Failed]:
        """See ``Transfer.fetch``."""
        with self.web() as web:
            sources = Sources(
                wanted.pin,
                wanted.paths,
                web=web,
                board=self.board,
                authorities=self.authorities,
                now=self.clock.now,
            )
            desk = Desk(
                list(wanted.objects),
                partials=wanted.partials,
                board=self.board,
                sources=sources,
                patience=self.patience,
                clock=self.clock,
                tempo=Tempo(self.connections),
                pace=Pace(self.limit_rate),
            )
            workers = [
                Worker(number, desk=desk, sources=sources, web=web, pin=wanted.pin, clock=self.clock)
                for number in range(self.connections)
            ]
            crew = _Crew(desk, web, workers)
            try:
                yield from crew.outcomes(on_event)
            finally:
                crew.dismiss()


class _Crew:
    """The threads of one fetch, from hiring to going home."""

    def __init__(self, desk: Desk, web: Web, workers: Sequence[Worker]) -> None:
        self._desk = desk
        self._web = web
        self._workers = workers
        self._crash: list[BaseException] = []
        jobs = [worker.run for worker in workers] + [self._hash] * HASHERS
        # Daemons: a thread stuck in a connect must not hold a process that ends.
        self._threads = [threading.Thread(target=self._guard, args=(job,), daemon=True) for job in jobs]
        for thread in self._threads:
            thread.start()

    def outcomes(self, on_event: OnEvent) -> Iterator[Arrived | Failed]:
        """Keep time until everything is settled."""
        settled = False
        while not settled:
            outcomes, events, settled = self._desk.collect(TICK)
            if self._crash:
                raise self._crash[0]
            for event in events:
                on_event(event)
            yield from outcomes
            for lease in self._desk.tick():
                self._drop(lease)

    def dismiss(self) -> None:
        """Send everybody home; files are let go only when nobody can write to them any more."""
        self._desk.stop()
        self._web.close()
        deadline = monotonic() + STOP_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, deadline - monotonic()))
        if not any(thread.is_alive() for thread in self._threads):
            self._desk.close()

    def _drop(self, lease: Lease) -> None:
        for worker in self._workers:
            if worker.fetching is not None and worker.fetching[0] is lease:
                self._web.interrupt(worker.fetching[1])

    def _guard(self, job: Callable[[], None]) -> None:
        """A bug in a thread must end the run, not leave it waiting."""
        try:
            job()
        except BaseException as error:  # handed to the caller's thread, which raises it
            self._crash.append(error)
            self._desk.stop()

    def _hash(self) -> None:
        """Follow the prefixes of the objects while their pages are warm."""
        while (job := self._desk.next_prefix()) is not None:
            item, start, stop = job
            for block in blocks(item.opened.descriptor, start, stop):
                item.digest.update(block)
            self._desk.hashed(item, stop)
