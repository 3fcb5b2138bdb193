"""The built-in transfer: threads that take ranges from one coordinator, and hashers that follow their prefixes.

The caller's thread hands out events and yields outcomes; nothing of the user's is ever called on another.
One thread keeps time: the caller's is away for as long as an object takes to be placed.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial

from hfclone.errors import LimitReached
from hfclone.events import Failed, OnEvent, Warned
from hfclone.http import READ_BYTES, Authority, Web
from hfclone.limits import start_thread
from hfclone.retry import Clock, Patience
from hfclone.settings.measures import Window
from hfclone.transfer import Arrived, Wanted
from hfclone.transfer.carrier import CannotRun, Carrier, StartsCarrier
from hfclone.transfer.carrying import Carrying
from hfclone.transfer.coordinator import Context, Coordinator
from hfclone.transfer.exchange import HttpSource
from hfclone.transfer.health import EndpointHealth
from hfclone.transfer.leases import SMALL_BESIDE
from hfclone.transfer.rate_limiter import RateLimiter, Schedule
from hfclone.transfer.sources import Sources
from hfclone.transfer.worker import Worker
from hfclone.wording import phrase

__all__ = ["ThreadTransfer"]

SPARE = 4 + SMALL_BESIDE
"""Threads beyond the number of connections: one whose request is never answered hangs until its time limit, and
its range is another's meanwhile; and small objects come beside large ones."""
HASHERS = 2
"""Threads that hash: hashlib lets the interpreter go, and one core does more than most lines bring."""
TICK = 0.1
"""Seconds between two looks at the clock; also what makes positions come at most ten times a second."""
ALL_READ_BYTES = 64 * 1024 * 1024
"""What all connections together may hold between the line and the disk."""
STOP_SECONDS = 0.5
"""So long the threads may take to end: with what else has to be done, a stop takes less than a second."""


@dataclass(frozen=True, slots=True)
class ThreadTransfer:
    """Fetches over ``connections`` connections at most; ``limit_rate`` in bytes a second, all together."""

    web: Callable[[], Web]
    """Makes the connections of one ``fetch``, which closes them."""
    health: EndpointHealth
    patience: Patience
    authorities: Sequence[Authority]
    clock: Clock
    connections: int
    limit_rate: int | None = None
    window: Window | None = None
    """The part of the day in which bytes may move, by ``wall_clock`` in local time."""
    wall_clock: Callable[[], float] = time.time
    spares_hub: bool = False
    """Whether the hub is asked for bytes only where no mirror can be."""
    carrier: StartsCarrier | None = None
    """What is to move the bytes in place of our own connections, as far as it can."""

    def fetch(self, wanted: Wanted, on_event: OnEvent) -> Iterator[Arrived | Failed]:
        """See ``Transfer.fetch``."""
        rate_limiter = RateLimiter(self.limit_rate)
        connections = rate_limiter.connections(self.connections)
        with self.web() as web, self._started(wanted, on_event) as carrier:
            buffer = rate_limiter.receive_buffer(connections)
            if buffer:
                web.narrow(buffer)
            sources = Sources(
                wanted.pin, wanted.paths, web=web, health=self.health, authorities=self.authorities, now=self.clock.now
            )
            coordinator = Coordinator(
                list(wanted.objects), self._context(wanted, sources, rate_limiter, connections, carrier)
            )
            read_bytes = rate_limiter.read_bytes(min(READ_BYTES, ALL_READ_BYTES // connections))
            source = HttpSource(web, sources, wanted.pin, self.clock, coordinator.upcoming)
            carrying = Carrying(coordinator, source, carrier) if carrier else None
            workers = [
                Worker(coordinator, source, self.clock, read_bytes, carrying) for _ in range(connections + SPARE)
            ]
            threads = _Threads(coordinator, web, workers)
            try:
                yield from threads.outcomes(on_event)
            finally:
                threads.shut_down()

    @contextmanager
    def _started(self, wanted: Wanted, on_event: OnEvent) -> Iterator[Carrier | None]:
        """The carrier, if there is to be one and it can be had."""
        with ExitStack() as stack:
            carrier = None
            if self.carrier is not None and wanted.objects:
                try:
                    carrier = stack.enter_context(self.carrier.start(wanted))
                except CannotRun as error:
                    on_event(Warned("no-aria2c", {"reason": str(error)}))
            yield carrier

    def _context(
        self, wanted: Wanted, sources: Sources, rate_limiter: RateLimiter, connections: int, carrier: Carrier | None
    ) -> Context:
        return Context(
            wanted.partials,
            self.health,
            sources,
            self.patience,
            self.clock,
            rate_limiter,
            Schedule(self.window, self.wall_clock),
            connections,
            _cores(),
            self.spares_hub,
            carrier=carrier,
        )


def _cores() -> int | None:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


class _Threads:
    """The threads of one fetch, from the first to the end of the last."""

    def __init__(self, coordinator: Coordinator, web: Web, workers: Sequence[Worker]) -> None:
        self._coordinator = coordinator
        self._web = web
        self._workers = workers
        self._crash: list[BaseException] = []
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []
        self._needed: list[threading.Thread] = []
        """Of those the ones that nothing goes on without."""
        self._started = 0
        self._leaving = threading.Lock()
        self._gone = 0
        """Workers that ended since the system gave them nothing more."""
        self._is_full = False
        """Whether nobody else is to be started, for the same reason."""
        try:
            self._expect(self._hash)
            self._expect(self._keep_time)
        except BaseException:
            self.shut_down()
            raise
        for job in (*[self._hash] * (HASHERS - 1), self._flush):
            self._start(job)  # without, all goes on, and takes longer

    def outcomes(self, on_event: OnEvent) -> Iterator[Arrived | Failed]:
        """Until everything is settled."""
        settled = False
        while not settled:
            # Looked at before: who ends has settled everything, or has said why. The caller may be away for long.
            all_there = all(thread.is_alive() for thread in self._needed)
            outcomes, events, settled = self._coordinator.collect(TICK)
            if self._crash:
                raise self._crash[0]
            for event in events:
                on_event(event)
            yield from outcomes
            if not (settled or all_there):  # without memory none tells why
                raise LimitReached("memory", phrase("thread-ended"))

    def shut_down(self) -> None:
        """End all threads; files are let go when nobody can write to them any more."""
        self._over.set()
        self._coordinator.stop()
        self._web.close()
        deadline = time.monotonic() + STOP_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        self._coordinator.close()

    def _keep_time(self) -> None:
        """Look at the clock again and again, break off what the coordinator says, and start workers.

        Raises:
            LimitReached: the system has no thread for a single worker.
        """
        self._start_workers()
        if not self._started:
            raise LimitReached("tasks", phrase("no-thread"))
        while not self._over.wait(TICK):
            for lease in self._coordinator.tick():
                lease.abort()
            self._start_workers()

    def _start_workers(self) -> None:
        """As many workers as the limiters have a use for: dozens that only wait would take their turns all the same."""
        held_up = self._coordinator.held_up([lease for worker in self._workers if (lease := worker.fetching)])
        for worker in self._workers[self._started : self._coordinator.target + held_up + SPARE]:
            if self._is_full or not self._start(partial(self._work, worker)):
                return  # those that there are do; when one more may be had is seen at the next look
            self._started += 1

    def _work(self, worker: Worker) -> None:
        """One of those that find no more memory or descriptors ends, and leaves what there is to the others."""
        try:
            worker.run()
        except LimitReached:
            with self._leaving:
                self._gone += 1
                self._is_full = True
                if self._gone >= self._started:
                    raise

    def _expect(self, job: Callable[[], None]) -> None:
        """Start a thread that nothing goes on without.

        Raises:
            LimitReached: the system has none to give.
        """
        thread = self._start(job)
        if thread is None:
            raise LimitReached("tasks", phrase("no-thread"))
        self._needed.append(thread)

    def _start(self, job: Callable[[], None]) -> threading.Thread | None:
        """The thread for ``job``, if the system had one."""
        thread = start_thread(partial(self._guard, job))
        if thread is not None:
            self._threads.append(thread)
        return thread

    def _guard(self, job: Callable[[], None]) -> None:
        """A bug in a thread, or a disk that fails, must end the run, not leave it waiting."""
        try:
            job()
        except BaseException as error:  # noqa: BLE001  # handed to the caller's thread, which raises it
            self._crash.append(error)
            self._over.set()
            self._coordinator.stop()

    def _hash(self) -> None:
        """Follow the prefixes of the objects while their pages are warm."""
        while (job := self._coordinator.next_prefix()) is not None:
            item, start, stop = job
            for block in item.opened.blocks(start, stop):
                item.digest.update(block)
            self._coordinator.hashed(item, stop)

    def _flush(self) -> None:
        """Have the disk begin early; on a thread of its own, since that may wait for the disk."""
        while (job := self._coordinator.next_dirty()) is not None:
            item, start, stop = job
            item.opened.begin_writeback(start, stop)
            self._coordinator.flushed(item)
