"""One fetch through aria2c, from the first object handed over to the last outcome.

All of it runs on the caller's thread: it looks at aria2c a few times a second, hands over objects as
others end, and gives what takes its time to a crew. What aria2c cannot do is left for the built-in
fetcher, which goes on from the same partials.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial as bound
from itertools import accumulate, islice
from typing import TypeVar

from hfclone import errors
from hfclone.endpoints import Endpoint, EndpointKind
from hfclone.errors import LocalError
from hfclone.events import Demoted, Failed, Faulted, OnEvent, Position, Started, Waiting, Working
from hfclone.health import FILES, Board, RangeSupport
from hfclone.partials import Partials, Record
from hfclone.patience import SAY_SECONDS, Clock, Patience
from hfclone.pointer import Pointer
from hfclone.transfer import Arrived
from hfclone.transfer.aria2.crew import Crew
from hfclone.transfer.aria2.downloads import PER_SERVER, Downloads, Look, Order, State
from hfclone.transfer.aria2.rpc import Lost, Refused
from hfclone.transfer.aria2.tasks import Phase, Task
from hfclone.transfer.aria2.verdicts import IN_VAIN, Verdicts
from hfclone.transfer.aria2.work import Examined, Prepared, Workshop, chunks_of
from hfclone.transfer.books import TELL_BYTES
from hfclone.transfer.choice import PROBE_SECONDS
from hfclone.transfer.court import DISK_WAIT, QUIET_SECONDS
from hfclone.transfer.sources import BATCH_OBJECTS, Source, Sources
from hfclone.transfer.tempo import Hours
from hfclone.wording import phrase

__all__ = ["Kit", "Run"]

T = TypeVar("T")

POLL = 0.1
"""Seconds between two looks at what aria2c has done."""
SPLIT_BYTES = 1024 * 1024
"""aria2c opens no second connection for less."""
FOLLOW_BYTES = 8 * 1024 * 1024
"""Bytes of prefix that make it worth hashing before the object is whole."""
HASH_PIECE = 256 * 1024 * 1024
TOP_UP_SECONDS = 3.0
"""Between two tries to have lost connections made anew; aria2c drops a URL that failed once."""
SILENCE = 6.0
"""Seconds at most that a silent connection is waited for at first."""
FEW = 4
"""Objects at once while nothing but failures comes: who is down need not hear it from forty."""
MISSES = 2
"""Such objects in a row; then the built-in fetcher does the rest, too."""
_LOCAL = (9, 15, 16, 17, 18)
"""aria2's numbers for what this machine cannot: the built-in fetcher finds out what it is."""


@dataclass(frozen=True, slots=True)
class Kit:
    """What a run works with."""

    downloads: Downloads
    workshop: Workshop
    crew: Crew
    board: Board
    sources: Sources
    partials: Partials
    patience: Patience
    clock: Clock
    hours: Hours
    connections: int
    silence: float
    """Seconds after which a silent connection is left, where a first try came to nothing."""
    early: bool
    """Whether what aria2c says it has is on disk at once, so that it can be hashed while the rest arrives."""
    ahead: int = 0
    """Objects that may wait in aria2c for their turn; 0 where how many run at once is not ours to say."""
    shares: int | None = None
    """Bytes a second that are shared out among the downloads; ``None`` where aria2c keeps the limit itself."""
    daemon: str = ""
    """The URL of an aria2 that does not end with us; empty for our own."""


class Run:
    """Objects through aria2c, until each has an outcome or is in ``left``."""

    def __init__(self, kit: Kit, objects: list[Pointer], verdicts: Verdicts, on_event: OnEvent) -> None:
        self.left: list[Pointer] = []
        """For the built-in fetcher: aria2c cannot, or not any more."""
        self._kit = kit
        self._fresh = deque(objects)
        self._tasks: list[Task] = []
        self._orders: list[tuple[Task, Order]] = []
        self._outcomes: deque[Arrived | Failed] = deque()
        self._verdicts = verdicts
        self._on_event = on_event
        self._probing: dict[Endpoint, float] = {}
        self._looked_at = -math.inf
        self._said_at = -math.inf
        self._moved_at = kit.clock.now()
        self._shared_by = 0
        self._at_once = 0
        self._in_trouble = True  # until the first byte: who is never heard of is asked little
        self._misses = 0
        self._read = self._told = 0
        """Bytes that were read here, and so many when something was last told of."""

    def outcomes(self) -> Iterator[Arrived | Failed]:
        """One outcome for each object that is not left over, as each settles. Raises Lost when aria2c is gone."""
        while self._tasks or self._fresh:
            self._start_more()
            self._kit.crew.collect(POLL)
            self._hand_over()
            self._look()
            self._end_all()
            self._keep_time()
            while self._outcomes:
                yield self._outcomes.popleft()

    def take_back(self) -> Iterator[Arrived | Failed]:
        """After the end of aria2c: what was settled before, and the rest into ``left``."""
        yield from self._outcomes
        self.left += [task.pointer for task in self._tasks] + list(self._fresh)
        self._fresh.clear()

    def stop(self) -> None:
        """Have aria2c let go of everything at once; what arrived stays in its accounts."""
        with suppress(Lost):
            self._kit.downloads.stop(task.gid for task in self._in(Phase.FETCHING))
        home = self._kit.crew.dismiss()
        for task in self._tasks:
            if home or not task.busy:  # else its job closes it
                task.close()
        self._tasks.clear()

    # --- handing over ---------------------------------------------------------------------------

    def _start_more(self) -> None:
        """Prepare objects as long as there are connections to spare, and some more that wait in aria2c's own line."""
        if self._kit.hours.closed_for():
            return
        now = self._kit.clock.now()
        begun = [task for task in self._tasks if task.phase in (Phase.PREPARING, Phase.FETCHING)]
        for task in [task for task in self._in(Phase.WAITING) if task.ready_at <= now]:
            if not self._has_room(begun):
                return
            if self._begin(task):
                begun.append(task)
        while self._fresh and self._has_room(begun):
            task = Task(self._fresh[0])
            if not self._begin(task):
                return
            begun.append(task)
            self._fresh.popleft()
            self._tasks.append(task)

    def _has_room(self, begun: list[Task]) -> bool:
        if self._in_trouble and len(begun) >= FEW:
            return False
        spare = sum(map(self._most_connections, begun)) < self._kit.connections
        return spare or len(begun) - self._fitting(begun) < self._kit.ahead

    def _fitting(self, tasks: list[Task]) -> int:
        """How many of them, from the first on, may run at once."""
        sums = accumulate(map(self._most_connections, tasks))
        return max(1, sum(1 for connections in sums if connections <= self._kit.connections))

    def _begin(self, task: Task) -> bool:
        """Prepare one object; false where nobody can be asked for it now."""
        task.asked = tuple(self._choose(task))
        if not task.asked and task.pointer.size:
            return False
        task.phase = Phase.PREPARING
        task.began = now = self._kit.clock.now()
        for endpoint in task.asked:
            self._probing.setdefault(endpoint, now)
        work = bound(self._kit.workshop.prepare, task, task.asked, self._next_up())
        self._submit(task, work, bound(self._prepared, task))
        return True

    def _choose(self, task: Task) -> list[Endpoint]:
        """Whom to ask now: the mirrors that can be asked, else the hub; one alone where it has to be."""
        now, board = self._kit.clock.now(), self._kit.board
        able = self._verdicts.able(task)
        if task.alone in able:
            able = [task.alone]
        ready = [endpoint for endpoint in able if self._ready_at(task, endpoint) <= now]
        asking = [e for e in ready if e in self._probing and not board.knows(e)]
        ready = [endpoint for endpoint in ready if endpoint not in asking]
        mirrors = [endpoint for endpoint in ready if endpoint.kind is EndpointKind.MIRROR]
        if not mirrors and any(
            e.kind is EndpointKind.MIRROR and now - self._probing[e] < PROBE_SECONDS for e in asking
        ):  # fmt: skip
            return []
        chosen = mirrors or ready
        if self._verdicts.mixing or len(chosen) < 2:
            return chosen
        busy = Counter(endpoint for other in self._tasks for endpoint in other.asked if other.gid)
        return [min(chosen, key=lambda endpoint: busy[endpoint])]

    def _ready_at(self, task: Task, endpoint: Endpoint) -> float:
        if self._kit.sources.has_url(task.pointer, endpoint):
            return self._kit.board.bytes_ready_at(endpoint)
        return self._kit.board.ready_at(endpoint)

    def _next_up(self) -> list[Pointer]:
        """Objects that will be wanted soon, for a batch request."""
        return [*(task.pointer for task in self._tasks), *islice(self._fresh, BATCH_OBJECTS)]

    def _most_connections(self, task: Task) -> int:
        due = task.pointer.size - task.held.size
        return max(1, min(PER_SERVER * max(1, len(task.asked)), self._kit.connections, -(-due // SPLIT_BYTES)))

    def _prepared(self, task: Task, done: Prepared) -> None:
        """Its partial is open, and its URLs are known as far as they can be."""
        for endpoint in task.asked:
            self._probing.pop(endpoint, None)
        if done.opened:
            task.held = task.opened.held()
            task.senders = {record.endpoint for record in task.opened.records}
            self._tell_position(task, task.held.size)
        task.phase = Phase.WAITING
        if done.local is not None:
            self._cannot(task, done.local)
            return
        self._in_trouble = self._in_trouble or bool(done.errors)
        for endpoint, error, source in done.errors:
            self._verdicts.blame(task, endpoint, error, source)
        if task.held.size == task.pointer.size:
            self._finish(task)
        elif done.secret and not done.sources:
            self._leave(task, phrase("needs-secret"))
        elif done.sources and not self._kit.hours.closed_for():
            self._order(task, done.sources)

    def _order(self, task: Task, sources: list[Source]) -> None:
        """Put the object into the next request to aria2c."""
        ranged = [s for s in sources if self._kit.board.ranges(s.endpoint) is not RangeSupport.NO]
        if not ranged and task.held:
            self._leave(task, phrase("knows-no-ranges", endpoint=sources[0].endpoint))
            return
        task.sources = tuple(ranged or sources[:1])
        task.split = self._most_connections(task) if ranged else 1
        try:
            told = self._kit.partials.write_control(task.pointer, task.held)
            if self._kit.daemon:
                self._kit.partials.lend(task.pointer, self._kit.daemon)
        except LocalError as error:
            self._cannot(task, error)
            return
        task.gid, task.phase, task.began = "", Phase.FETCHING, self._kit.clock.now()
        task.topped_up, task.progressed, task.stopping, task.last = task.began, False, False, None
        task.position = min(task.position, told.size)
        path = self._kit.partials.part_path(task.pointer).absolute()
        self._orders.append((task, Order(task.pointer, path, task.urls, task.split, self._silence_for(task))))

    def _silence_for(self, task: Task) -> float:
        """Short at first, since others may do better; a far side that is slow to begin needs its time."""
        return self._kit.silence if task.vain else min(SILENCE, self._kit.silence)

    def _hand_over(self) -> None:
        """Give aria2c what was ordered, all in one request."""
        orders, self._orders = self._orders, []
        if not orders:
            return
        names = self._kit.downloads.add([order for _, order in orders])
        for (task, _), gid in zip(orders, names, strict=True):
            if isinstance(gid, Refused):
                self._leave(task, phrase("not-taken", reason=gid.reason))
            else:
                task.gid = gid
                self._on_event(Started(task.pointer.oid, str(task.sources[0].endpoint)))

    def _keep_line(self, fetching: list[Task]) -> None:
        """Let as many run as there are connections for; the others wait in aria2c, and begin without us."""
        line = sorted(fetching, key=lambda task: (task.last is None or task.last.state is State.WAITING, task.began))
        at_once = self._fitting(line)
        if self._kit.ahead and at_once != self._at_once:
            self._at_once = at_once
            self._kit.downloads.run_at_once(at_once)

    # --- looking --------------------------------------------------------------------------------

    def _look(self) -> None:
        """See how far aria2c is, and deal with what has ended."""
        now = self._kit.clock.now()
        fetching = self._in(Phase.FETCHING)
        if now - self._looked_at < POLL or not fetching:
            return
        self._looked_at = now
        looks = self._kit.downloads.look(
            {task.gid: task.pointer.size for task in fetching}, [t.gid for t in fetching if len(t.sources) > 1]
        )
        for task in fetching:
            look = looks[task.gid]
            self._advance(task, look)
            task.last = look
            if look.state in (State.ACTIVE, State.WAITING):
                self._tend(task, look)
            else:
                task.phase = Phase.ENDING
        self._kit.downloads.forget(task.gid for task in fetching if task.phase is Phase.ENDING)
        self._keep_line(self._in(Phase.FETCHING))

    def _advance(self, task: Task, look: Look) -> None:
        """Bytes that were not here before have come."""
        new = look.received - task.position
        if new <= 0:
            return
        task.progressed, task.error, self._in_trouble = True, None, False
        self._moved_at = self._kit.clock.now()
        self._kit.patience.progress()
        for endpoint, count in _shares(task, look, new):
            self._kit.board.met(endpoint)
            self._kit.board.sent(endpoint, count)
        self._tell_position(task, look.received)

    def _tend(self, task: Task, look: Look) -> None:
        """Keep its URLs alive and its connections up; journal and hash what has come."""
        if task.busy or task.stopping:
            return
        now = self._kit.clock.now()
        dying = [source.endpoint for source in task.sources if not source.usable(now)]
        if dying:
            work = bound(self._kit.workshop.locate, task, dying, self._next_up(), Prepared())
            self._submit(task, work, bound(self._refreshed, task))
            return
        lacking = look.connections < min(task.split, -(-(task.pointer.size - look.received) // SPLIT_BYTES))
        if lacking and look.state is State.ACTIVE and now - task.topped_up > TOP_UP_SECONDS:
            task.topped_up = now
            self._kit.downloads.replace(task.gid, (), task.urls)
        if self._kit.early and look.whole is not None:
            self._follow(task, look)

    def _follow(self, task: Task, look: Look) -> None:
        assert look.whole is not None  # the caller has looked
        chunks = chunks_of(look.whole, task.held, task.pointer.size)
        prefix = min(look.whole.prefix(), task.hashed + HASH_PIECE)
        if chunks or prefix - task.hashed >= FOLLOW_BYTES:
            work = bound(self._kit.workshop.follow, task, chunks, prefix)
            self._submit(task, work, bound(self._journalled, task))

    def _journalled(self, task: Task, records: list[Record]) -> None:
        for record in records:
            task.held.add(record.start, record.stop)
            task.senders.add(record.endpoint)
        task.opened.records += records

    def _refreshed(self, task: Task, done: Prepared) -> None:
        """New URLs in place of those that die; where there are none, the old ones are used to their end."""
        for endpoint, error, source in done.errors:
            self._verdicts.blame(task, endpoint, error, source)
        fresh = {source.endpoint: source for source in done.sources}
        old = [source for source in task.sources if source.endpoint in fresh]
        if not old or task.phase is not Phase.FETCHING:
            return
        task.sources = tuple(fresh.get(source.endpoint, source) for source in task.sources)
        new = [fresh[source.endpoint].url for source in old]
        self._kit.downloads.replace(task.gid, [source.url for source in old], new)

    # --- endings --------------------------------------------------------------------------------

    def _end_all(self) -> None:
        for task in self._in(Phase.ENDING):
            if task.gid and not task.busy:
                self._end(task)

    def _end(self, task: Task) -> None:
        """aria2c has done with it: hash it if it is whole, else find out why it is not."""
        assert task.last is not None  # it has been looked at
        if task.last.state is State.COMPLETE:
            if self._kit.partials.control_path(task.pointer).exists():
                raise Lost(phrase("other-file-system"))
            task.senders.add(task.sender)
            self._finish(task)
            return
        task.gid = ""
        work = bound(self._kit.workshop.examine, task)
        self._submit(task, work, bound(self._examined, task))

    def _finish(self, task: Task) -> None:
        task.phase, task.gid = Phase.ENDING, ""
        self._submit(task, bound(self._kit.workshop.finish, task), bound(self._hashed, task))

    def _examined(self, task: Task, found: Examined) -> None:
        """What it had brought is in the journal; who is to blame is known, or not."""
        task.phase, task.gid = Phase.WAITING, ""
        self._journalled(task, found.records)
        self._tell_position(task, task.held.size)
        if found.local is not None:
            self._cannot(task, found.local)
            return
        if task.stopping or task.held.size == task.pointer.size:
            return
        assert task.last is not None  # it has been looked at
        self._in_trouble = True
        for source, error in found.errors:
            self._verdicts.blame(task, source.endpoint, error, source)
        if not found.errors:
            self._verdicts.unexplained(task, task.last)
        if task.last.code in _LOCAL or task.vain >= IN_VAIN:
            self._misses += 1
            said = task.last.text or phrase("aria2c-error", number=task.last.code)
            self._leave(task, phrase("aria2c-cannot", reason=said))
            if self._misses >= MISSES:
                raise Lost(phrase("aria2c-only-fails", reason=said))

    def _hashed(self, task: Task, actual: str) -> None:
        """All of it is here: it is right, or it is fetched anew."""
        if actual == task.pointer.oid:
            self._misses = 0
            self._verdicts.name_liars(task)
            self._kit.partials.control_path(task.pointer).unlink(missing_ok=True)
            self._kit.sources.settled(task.pointer)
            self._settle(task, Arrived(task.pointer, self._kit.partials.part_path(task.pointer), task.pointer.oid))
            return
        if not task.pointer.size:  # an empty object that is none: there is nothing to fetch anew
            self._settle(task, Failed(task.pointer, errors.HashMismatch(task.pointer.oid, actual, ())))
            return
        self._verdicts.wrong(task, actual)
        task.close()
        self._kit.partials.discard(task.pointer)
        task.begin_anew()
        task.phase = Phase.WAITING

    def _cannot(self, task: Task, error: LocalError) -> None:
        """A full disk may have room later; nothing else of this machine changes by waiting."""
        if not isinstance(error, errors.DiskFull):
            raise error
        task.error, task.ready_at, task.phase = error, self._kit.clock.now() + DISK_WAIT, Phase.WAITING
        self._on_event(Faulted("", error))

    def _leave(self, task: Task, why: str) -> None:
        """Leave an object to the built-in fetcher."""
        what = phrase("object", oid=task.pointer.oid[:12])
        self._on_event(Demoted("aria2c", what, phrase("left-to-built-in", reason=why)))
        task.close()
        self._tasks.remove(task)
        self.left.append(task.pointer)

    def _settle(self, task: Task, outcome: Arrived | Failed) -> None:
        task.close()
        self._tasks.remove(task)
        self._outcomes.append(outcome)

    # --- time -----------------------------------------------------------------------------------

    def _keep_time(self) -> None:
        """Patience, the window, waiting, the rate."""
        kit = self._kit
        for event in kit.board.demotions():
            self._on_event(event)
        closed_for = kit.hours.closed_for()
        if closed_for:
            self._suspend()
        if closed_for or self._has_read():
            kit.patience.postpone()
        if kit.patience.exhausted or all(kit.board.lacks(endpoint, FILES) for endpoint in kit.board.endpoints):
            self._give_up()
        for task in [task for task in self._in(Phase.WAITING) if not self._verdicts.able(task)]:
            self._settle(task, Failed(task.pointer, self._verdicts.reason(task)))
        self._share_rate()
        self._say_waiting(closed_for)

    def _has_read(self) -> bool:
        """Whether anything was read since the last call; where nothing arrives, that is told."""
        before, self._read = self._read, self._kit.crew.read
        if self._read - self._told >= TELL_BYTES:
            self._told = self._read
            self._on_event(Working(phrase("verifying"), self._read, 0))
        return self._read > before

    def _suspend(self) -> None:
        """Take everything back from aria2c."""
        running = [task for task in self._in(Phase.FETCHING) if not task.stopping]
        self._kit.downloads.stop(task.gid for task in running)
        for task in running:
            task.stopping = True

    def _give_up(self) -> None:
        """Patience is at its end: everything that is left fails, each with its own reason."""
        with suppress(Lost):
            self._kit.downloads.stop(task.gid for task in self._in(Phase.FETCHING))
        for task in list(self._tasks):
            if not task.busy:
                self._settle(task, Failed(task.pointer, self._verdicts.reason(task)))
        while self._fresh:
            task = Task(self._fresh.popleft())
            self._outcomes.append(Failed(task.pointer, self._verdicts.reason(task)))

    def _share_rate(self) -> None:
        """A limit that aria2c does not keep over all: each download gets its share."""
        gids = [task.gid for task in self._in(Phase.FETCHING)]
        if self._kit.shares is not None and len(gids) != self._shared_by:
            self._shared_by = len(gids)
            self._kit.downloads.limit(gids, max(1024, self._kit.shares // max(1, len(gids))))

    def _say_waiting(self, closed_for: float) -> None:
        """Tell, once a second while nothing moves, why and until when."""
        now = self._kit.clock.now()
        working = any(task.phase is Phase.ENDING for task in self._tasks)
        quiet = now - self._moved_at >= QUIET_SECONDS and not working
        if now - self._said_at < SAY_SECONDS or not (quiet or closed_for) or not (self._tasks or self._fresh):
            return
        self._said_at = now
        seconds, reason = (closed_for, self._kit.hours.reason) if closed_for else self._why_waiting(now)
        self._on_event(Waiting(seconds, reason, self._kit.patience.remaining))

    def _why_waiting(self, now: float) -> tuple[float, str]:
        board = self._kit.board
        full = [task for task in self._tasks if isinstance(task.error, errors.DiskFull)]
        if full and not self._in(Phase.FETCHING):
            return max(0.0, min(task.ready_at for task in full) - now), str(full[0].error)
        asked = [e for e in board.endpoints if not board.lacks(e, FILES)] or list(board.endpoints)
        until, endpoint = min(((board.ready_at(e), e) for e in asked), key=lambda pair: pair[0])
        error = board.last_error(endpoint)
        reason = str(error) if error else phrase("waiting-for", endpoint=endpoint)
        if until > max(now, board.bytes_ready_at(endpoint)):
            reason = phrase("not-yet", endpoint=endpoint)
        return max(0.0, until - now), reason

    # --- helpers --------------------------------------------------------------------------------

    def _in(self, phase: Phase) -> list[Task]:
        return [task for task in self._tasks if task.phase is phase]

    def _submit(self, task: Task, work: Callable[[], T], then: Callable[[T], None]) -> None:
        task.busy = True

        def done(result: T) -> None:
            task.busy = False
            then(result)

        self._kit.crew.submit(work, done, task.close)

    def _tell_position(self, task: Task, received: int) -> None:
        if received != task.position:
            task.position, self._told = received, self._kit.crew.read
            self._on_event(Position(task.pointer.oid, received))


def _shares(task: Task, look: Look, new: int) -> list[tuple[Endpoint, int]]:
    """Who brought ``new`` bytes: by their speeds, since aria2c does not say it of each byte."""
    speeds = look.speeds or {}
    rates = [(source.endpoint, speeds.get(source.url, 0)) for source in task.sources]
    total = sum(rate for _, rate in rates)
    if not total:
        return [(task.sources[0].endpoint, new)]
    return [(endpoint, count) for endpoint, rate in rates if (count := new * rate // total)]
