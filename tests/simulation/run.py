"""Everything that the built-in transfer has beside its rules, on one thread: workers, connections, time.

Coordinator, health, patience and sources are the real ones. What a worker does and in which order is written after
 ``transfer/worker.py`` and ``transfer/threads.py``.
"""

from __future__ import annotations

import hashlib
import heapq
import itertools
import math
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from random import Random
from typing import Any, cast

from hfclone import errors
from hfclone.errors import HfcloneError
from hfclone.events import Event, Failed, Faulted
from hfclone.http import AbortHandle, Limits, Web
from hfclone.names import Pin, Repo
from hfclone.partials import Partials
from hfclone.ranges import RangeSet
from hfclone.retry import Clock, Patience
from hfclone.transfer import Arrived
from hfclone.transfer.coordinator import Context, Coordinator
from hfclone.transfer.health import EndpointHealth
from hfclone.transfer.leases import Lease
from hfclone.transfer.rate_limiter import RateLimiter, Schedule
from hfclone.transfer.sources import BATCH, Sources
from hfclone.transfer.state import Item
from hfclone.transfer.threads import SPARE
from tests.simulation.lines import RETRANSMISSIONS, STEP, Connection, Path, is_dark
from tests.simulation.memory import Memory, objects_of
from tests.simulation.servers import Answer, Reach, Server

__all__ = ["Ran", "Simulation"]

LIMITS = Limits()
KEPT_BYTES = 16 * 1024
"""A body's rest that is rather read than its connection given up."""
MOST_AT_ONCE = 10_000
"""Jobs of one worker in no time: more are a loop that never ends."""


class _Idle(BaseException):
    """Who would wait until there is work."""


class _Signal(threading.Condition):
    """A condition that nobody waits by: whoever would, says so, and who was called is counted."""

    def __init__(self, lock: threading.Lock) -> None:
        super().__init__(lock)
        self.called = 0

    def wait(self, timeout: float | None = None) -> bool:
        """Nobody waits."""
        if timeout:
            raise _Idle
        return False

    def notify(self, n: int = 1) -> None:
        """Call ``n``."""
        self.called += n

    def notify_all(self) -> None:
        """Call everybody."""
        self.called += 1_000_000


class _Grip(AbortHandle):
    """A handle by the simulated clock."""

    def abort(self) -> None:
        """The simulation sees that it is broken."""
        self._broken = True

    @property
    def is_broken(self) -> bool:
        """Whether it was broken off."""
        return self._broken


@dataclass(slots=True, eq=False)
class _Worker:
    """What one thread is about."""

    lease: Lease | None = None
    item: Item | None = None
    server: Server | None = None
    connection: Connection | None = None
    answer: Answer | None = None
    asking: AbstractContextManager[Any] | None = None
    handle: _Grip | None = None
    position: float = 0.0
    """Of the body, in the object."""
    said: int = 0
    """So far the coordinator knows of."""
    since: float = 0.0
    """Clock time up to which its bytes are counted."""
    heard: float = 0.0
    turn: int = 0
    """What was planned for an earlier turn is void."""


@dataclass(slots=True)
class Ran:
    """How a run ended."""

    seconds: float
    size: int
    outcomes: list[Arrived | Failed]
    events: list[Event]
    servers: Sequence[Server]
    flow: list[tuple[float, int]]
    """New bytes by the end of each tick."""
    unbroken: bool
    asked: int
    """Bytes that were asked for."""

    @property
    def over(self) -> float:
        """Bytes that the servers sent, over those of the objects."""
        return sum(server.sent for server in self.servers) / max(1, self.size)

    @property
    def asked_over(self) -> float:
        """Bytes that were asked for, over those of the objects."""
        return self.asked / max(1, self.size)

    @property
    def arrived(self) -> int:
        """Objects that came."""
        return sum(isinstance(outcome, Arrived) for outcome in self.outcomes)

    @property
    def faults(self) -> list[tuple[str, HfcloneError]]:
        """Errors on the way, and whose."""
        return [(event.endpoint, event.error) for event in self.events if isinstance(event, Faulted)]

    def first_byte_after(self, moment: float) -> float:
        """Seconds from ``moment`` until the next new byte."""
        before = max((total for at, total in self.flow if at <= moment), default=0)
        return next((at - moment for at, total in self.flow if at > moment and total > before), math.inf)


@dataclass
class Simulation:
    """``sizes`` of objects, from ``servers``; ``access`` is what this side's line brings, in bytes a second."""

    servers: Sequence[Server]
    sizes: Sequence[int]
    connections: int = 64
    access: float = math.inf
    patience: float | None = 86400.0
    first_answer: float | None = 60.0
    seed: int = 1
    spares_hub: bool = False
    longest: float = 3600.0
    """Seconds of simulated time after which it is taken for a run that never ends."""
    now: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        self.rng = Random(self.seed)
        self.objects = objects_of(self.sizes)
        self.memory = Memory(self.objects)
        self.paths = {server.name: Path(server.line, self.rng) for server in self.servers}
        self._by_endpoint = {server.endpoint: server for server in self.servers}
        self._kept: dict[str, list[Connection]] = {server.name: [] for server in self.servers}
        self._plans: list[tuple[float, int, int, _Worker, Callable[[_Worker], None]]] = []
        self._order = itertools.count()
        self._workers: list[_Worker] = []
        self._idle: deque[_Worker] = deque()
        self._next_step = 0.0
        self._asked = 0
        clock = Clock(lambda: self.now, lambda _seconds: None)
        health = EndpointHealth(self._by_endpoint, clock.now, Random(self.seed))
        for endpoint in health.endpoints:
            health.note_lack(endpoint, BATCH, seconds=math.inf)
        health.news()
        web = Web(user_agent="simulated")
        paths = {pointer.oid: (b"%d" % number,) for number, pointer in enumerate(self.objects)}
        pin = Pin(Repo("acme/model"), "0" * 40)
        self.sources = Sources(pin, paths, web=web, health=health, authorities=(), now=clock.now)
        self.health = health
        self.clock_patience = Patience(self.patience, self.first_answer, clock)
        context = Context(
            cast("Partials", self.memory), health, self.sources, self.clock_patience, clock, RateLimiter(None),
            Schedule(None, clock.now), self.connections, spares_hub=self.spares_hub, condition=self._signal,
        )  # fmt: skip
        self._signals: list[_Signal] = []
        self.coordinator = Coordinator(self.objects, context)
        self._work = self._signals[0]

    def _signal(self, lock: threading.Lock) -> _Signal:
        self._signals.append(_Signal(lock))
        return self._signals[-1]

    # --- the coordinator -----------------------------------------------------------------------

    def run(self, most: float = math.inf) -> Ran:
        """Until everything is settled, or ``most`` objects are."""
        outcomes: list[Arrived | Failed] = []
        events: list[Event] = []
        flow: list[tuple[float, int]] = []
        settled, received = False, 0
        while not settled:
            assert self.now < self.longest, f"it never ends: {len(outcomes)} of {len(self.objects)} settled"
            self._progress()
            new, told, settled = self.coordinator.collect(0)
            outcomes += new
            events += told
            if settled or len(outcomes) >= most:
                break
            for lease in self.coordinator.tick():
                lease.abort()
            self._drop_broken()
            self._start_workers()
            self._wake()
            self._step()
            self._run_until(self._next_step)
            moved = sum(self.board_sent())
            if moved != received:
                received = moved
                flow.append((self.now, received))
        unbroken = not self.clock_patience.exhausted
        self.coordinator.stop()
        for worker in self._workers:
            if worker.lease is not None:
                lease = worker.lease
                self._let_go(worker, kept=False)
                self.coordinator.ended(lease, errors.Unreachable("", "stopped"))
        self.coordinator.close()
        size = sum(self.sizes)
        return Ran(self._ended, size, outcomes, events, self.servers, flow, unbroken, self._asked)

    _ended: float = field(default=0.0, init=False)

    def board_sent(self) -> list[int]:
        """New bytes of each endpoint."""
        return [tally.sent for tally in self.health.tallies()]

    def _start_workers(self) -> None:
        waiting = [worker.lease for worker in self._workers if worker.lease is not None and worker.handle is not None]
        wanted = self.coordinator.target + self.coordinator.held_up(waiting) + SPARE
        while len(self._workers) < min(wanted, self.connections + SPARE):
            worker = _Worker()
            self._workers.append(worker)
            self._go_on(worker)

    def _wake(self) -> None:
        """Those who were called look for work; who finds none tells that nobody does."""
        while self._work.called and self._idle:
            self._work.called -= 1
            worker = self._idle.popleft()
            self._go_on(worker)
            if worker.lease is None and self._work.called >= len(self._idle):
                break
        self._work.called = 0

    # --- time ----------------------------------------------------------------------------------

    def _step(self) -> None:
        """New rates until the next step, and what ends before it."""
        total = sum(path.step(self.now) for path in self.paths.values() if path.sending)
        share = min(1.0, self.access / total) if total else 1.0
        self._next_step = self.now + STEP
        for worker in self._workers:
            if worker.answer is not None:
                assert worker.connection is not None
                worker.connection.rate *= share
                self._plan_end(worker)

    def _run_until(self, until: float) -> None:
        plans = self._plans
        while plans and plans[0][0] <= until:
            at, _, turn, worker, act = heapq.heappop(plans)
            if worker.turn != turn:
                continue
            self.now = max(self.now, at)
            act(worker)
            self._wake()
            self._ended = self.now
        self.now = until

    def _plan(self, worker: _Worker, at: float, act: Callable[[_Worker], None]) -> None:
        heapq.heappush(self._plans, (at, next(self._order), worker.turn, worker, act))

    # --- what a worker does ----------------------------------------------------------------------

    def _go_on(self, worker: _Worker) -> None:
        """Take jobs until one takes time."""
        for _ in range(MOST_AT_ONCE):
            try:
                job = self.coordinator.next_job()
            except _Idle:
                self._idle.append(worker)
                return
            if job is None:
                return
            if isinstance(job, Item):
                self.coordinator.opened(job, self.memory.open(job.pointer))  # type: ignore[arg-type]
                self._hash()
            elif self._ask(worker, job):
                return
        raise AssertionError("a worker spins")

    def _ask(self, worker: _Worker, lease: Lease) -> bool:
        """Send the request for ``lease``; whether it takes time."""
        worker.turn += 1
        server = self._by_endpoint[lease.endpoint]
        source = self.sources.find(lease.task.pointer, lease.endpoint, self.coordinator.upcoming)
        if source is None:
            self.coordinator.ended(lease, None)
            return False
        worker.lease, worker.server, worker.handle = lease, server, _Grip()
        lease.signed, lease.asked, lease.handle = source.signed, self.now, worker.handle
        worker.asking = self.sources.asking(source)
        worker.asking.__enter__()
        worker.heard = self.now
        self._asked += sum(stop - start for start, stop in lease.rest)
        kept, line = self._kept[server.name], server.line
        if kept:
            worker.connection = kept.pop()
            self._send(worker)
            return True
        reach, dark = server.reach_at(self.now), is_dark(line, self.now)
        if reach is Reach.REFUSES or (dark and line.refuses_in_dark):
            self._plan(worker, self.now + (0.001 if dark else line.trip), self._refused)
        elif reach is Reach.SILENT:
            self._plan(worker, self.now + LIMITS.connect, self._refused)
        else:
            stands = self._crosses(server, (0.0, 1.0, 3.0, 7.0, 15.0))
            if stands > LIMITS.connect:
                self._plan(worker, self.now + LIMITS.connect, self._refused)
            else:
                self._plan(worker, self.now + stands, self._connected)
        return True

    def _crosses(self, server: Server, tries: Sequence[float]) -> float:
        """Seconds until something sent now, and again after ``tries`` of them, has been answered."""
        line, path = server.line, self.paths[server.name]
        late = 1.0 if line.hiccups and self.rng.random() < line.hiccups else 0.0
        for seconds in tries:
            if not is_dark(line, self.now + seconds) and not is_dark(line, self.now + seconds + line.trip):
                return seconds + line.trip + path.queued + late
        return math.inf

    def _refused(self, worker: _Worker) -> None:
        self._fails(worker, errors.Unreachable(str(worker.server.endpoint), "no connection"))

    def _connected(self, worker: _Worker) -> None:
        worker.connection = self.paths[worker.server.name].connect(self.now)
        if worker.handle.is_broken:
            self._fails(worker, errors.Unreachable(str(worker.server.endpoint), "broken off"))
        else:
            self._send(worker)

    def _send(self, worker: _Worker) -> None:
        server, connection = worker.server, worker.connection
        worker.handle.sent_at = self.now
        if server.reach_at(self.now) is Reach.MUTE:
            takes = math.inf
        elif self.now - connection.born > server.line.reset_seconds:
            self._plan(worker, self.now + server.line.trip, self._reset)
            return
        else:
            takes = self._crosses(server, (0.0, *RETRANSMISSIONS)) + server.thinks
        if takes > LIMITS.silence:
            self._plan(worker, self.now + LIMITS.silence, self._stalled)
        else:
            self._plan(worker, self.now + takes, self._answered)

    def _stalled(self, worker: _Worker) -> None:
        self._fails(worker, errors.Stalled(str(worker.server.endpoint), LIMITS.silence))

    def _reset(self, worker: _Worker) -> None:
        """The connection breaks, before an answer or in it."""
        label = str(worker.server.endpoint)
        if worker.answer is None:
            self._fails(worker, errors.Unreachable(label, "reset"))
            return
        self._catch_up(worker)
        answer = worker.answer
        self._fails(worker, errors.Truncated(label, int(worker.position) - answer.start, answer.stop - answer.start))

    def _answered(self, worker: _Worker) -> None:
        server, lease = worker.server, worker.lease
        number = self.memory.number(lease.task.pointer)
        answer = server.answer(lease, number, self.now, self.rng.random())
        self._heard(worker)
        if isinstance(answer, HfcloneError):
            self._fails(worker, answer, kept=True)
            return
        try:
            worker.item = self.coordinator.answers(lease, answer.support)
        except HfcloneError as error:
            self._fails(worker, error)
            return
        worker.answer, worker.position, worker.said = answer, float(answer.start), answer.start
        worker.since = worker.heard = self.now
        self.paths[server.name].begin(worker.connection)
        self._plan_end(worker)

    def _plan_end(self, worker: _Worker) -> None:
        """Whether the body ends, or its connection breaks, before the next step."""
        connection, rate = worker.connection, worker.connection.rate
        worker.turn += 1
        left = min(worker.answer.stop, worker.lease.stop) - worker.position
        ages = worker.server.line.reset_seconds
        if self._next_step - connection.born > ages:
            self._plan(worker, max(self.now, connection.born + ages), self._reset)
        if rate and min(left, connection.left) <= rate * (self._next_step - self.now):
            ends = self.now + max(0.0, min(left, connection.left)) / rate
            self._plan(worker, ends, self._done if left <= connection.left else self._reset)
        elif left <= 0:
            self._plan(worker, self.now, self._done)
        elif not rate and self.now - worker.heard >= LIMITS.silence:
            self._plan(worker, self.now, self._stalled)

    def _done(self, worker: _Worker) -> None:
        """The body is here, as far as it is wanted."""
        self._catch_up(worker)
        stop = min(worker.answer.stop, worker.lease.stop)
        worker.position = stop
        self._takes(worker, stop)
        is_kept = worker.answer.stop - stop <= KEPT_BYTES
        self._fails(worker, None, kept=is_kept, in_vain=not is_kept)

    def _progress(self) -> None:
        for worker in self._workers:
            if worker.answer is not None and worker.connection.rate:
                self._catch_up(worker)
                self._takes(worker, int(worker.position))

    def _catch_up(self, worker: _Worker) -> None:
        """What has come since it was last looked at."""
        connection = worker.connection
        count = connection.rate * (self.now - worker.since)
        worker.position += count
        worker.server.sent += count
        connection.left -= count
        worker.since = self.now

    def _takes(self, worker: _Worker, position: int) -> None:
        """Write what came and tell the coordinator, as ``Worker._receive`` does."""
        lease, item, answer = worker.lease, worker.item, worker.answer
        if position <= worker.said and position < answer.stop:
            return
        worker.heard = self.now
        if item.partial is None:
            is_whole = position == item.pointer.size and lease.whole and not lease.checking and not answer.wrong
            if is_whole and self.memory.put_whole(item.pointer):
                digest = hashlib.sha256()
                self._whole(item).feed(digest, 0, position)
                self.coordinator.came_whole(item, lease, digest, 0)
                return
            self.coordinator.opened_late(item, self.memory.open(item.pointer))  # type: ignore[arg-type]
        for start, stop in _wanted(worker.said, position, lease):
            self._write(worker, start, stop)
        worker.said = position
        self.coordinator.arrived(item, lease, position, 0)
        self._hash()

    def _whole(self, item: Item) -> Any:
        partial = self.memory.open(item.pointer)
        partial.write(0, item.pointer.size, RangeSet(), "")
        return partial

    def _write(self, worker: _Worker, start: int, stop: int) -> None:
        lease, item, sender = worker.lease, worker.item, str(worker.server.endpoint)
        partial: Any = item.opened
        wrong = RangeSet((low, high) for low, high in worker.answer.wrong if low < stop and high > start)
        if not lease.checking:
            partial.write(start, stop, wrong, sender)
        elif not partial.holds(start, stop, wrong, sender):
            self.coordinator.differs(item, start, stop)
            partial.write(start, stop, wrong, sender, is_check=True)
        digest = self.coordinator.hash_next(item, lease, start)
        if digest is not None:
            partial.feed(digest, start, stop)
            self.coordinator.hashed(item, stop)

    def _hash(self) -> None:
        """What hashers do meanwhile; it takes no time."""
        prefixes = self._signals[1]
        while prefixes.called:
            prefixes.called = 0
            try:
                while (job := self.coordinator.next_prefix()) is not None:
                    item, start, stop = job
                    cast("Any", item.opened).feed(item.digest, start, stop)
                    self.coordinator.hashed(item, stop)
            except _Idle:
                pass

    def _fails(self, worker: _Worker, error: HfcloneError | None, *, kept: bool = False, in_vain: bool = False) -> None:
        """The exchange is over; the worker goes on with another. ``in_vain``: what is on its way will not be taken."""
        lease = worker.lease
        if in_vain:
            rest = worker.answer.stop - worker.position
            on_its_way = worker.connection.rate * (worker.server.line.trip + self.paths[worker.server.name].queued)
            worker.server.sent += max(0.0, min(on_its_way, rest))
        self._let_go(worker, kept=kept)
        self.coordinator.ended(lease, error)
        self._hash()
        self._go_on(worker)

    def _let_go(self, worker: _Worker, *, kept: bool) -> None:
        connection, server = worker.connection, worker.server
        worker.turn += 1
        self._heard(worker)
        if connection is not None:
            self.paths[server.name].end(connection)
            if kept and connection.left > 0:
                self._kept[server.name].append(connection)
        worker.lease = worker.item = worker.connection = worker.answer = worker.handle = None

    def _heard(self, worker: _Worker) -> None:
        """The request is answered, or will not be."""
        if worker.asking is not None:
            worker.asking.__exit__(None, None, None)
            worker.asking = None

    def _drop_broken(self) -> None:
        for worker in self._workers:
            handle, lease = worker.handle, worker.lease
            if handle is None or not handle.is_broken or worker.connection is None:
                continue
            label = str(worker.server.endpoint)
            if worker.answer is None:
                self._fails(worker, errors.Unreachable(label, "broken off"))
                continue
            got = int(worker.position) - worker.answer.start
            if handle.late:
                self._fails(worker, errors.TooSlow(label, self.now - lease.began, got), in_vain=True)
            else:
                want = worker.answer.stop - worker.answer.start
                self._fails(worker, errors.Truncated(label, got, want), in_vain=True)


def _wanted(start: int, stop: int, lease: Lease) -> list[tuple[int, int]]:
    """The parts of ``[start, stop)`` that the lease is there to bring."""
    cut = ((max(low, start), min(high, stop)) for low, high in lease.rest)
    return [(low, high) for low, high in cut if low < high]
