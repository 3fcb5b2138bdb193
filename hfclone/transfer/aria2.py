"""The same work through an external aria2c, for those who trust it with the night.

We resolve, it transfers, we verify. It is handed signed URLs only, by an input list on its stdin: a
secret in argv is for everyone on the machine to read, and aria2 re-sends an Authorization header to
every host it is redirected to. Names of files never reach it, since its list has no way to quote a
line break. What it does not retry (400, 403, 429, 500 and more) is tried again here, round by round.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from hfclone import errors
from hfclone.endpoints import Endpoint
from hfclone.errors import HfcloneError
from hfclone.events import Demoted, Failed, Faulted, OnEvent, Position, Started, Waiting
from hfclone.hashing import sha256_of
from hfclone.health import Board
from hfclone.http import Authority, Web
from hfclone.measures import Window
from hfclone.patience import Clock, Patience, Verdict, judge
from hfclone.pointer import Oid, Pointer
from hfclone.transfer import Arrived, Transfer, Wanted
from hfclone.transfer.exchange import request_range
from hfclone.transfer.sources import BATCH_OBJECTS, Source, Sources
from hfclone.transfer.tempo import Hours
from hfclone.transfer.trust import SECOND_CHANCES

__all__ = ["Aria2Transfer"]

PER_SERVER = 16
"""Connections aria2c allows to one server at most."""
POLL = 0.25
"""Seconds between two looks at what it has written."""
STEP = 1.0
"""Seconds between two words about a wait."""


@dataclass(slots=True, eq=False)
class _Task:
    """One object on its way."""

    pointer: Pointer
    barred: dict[Endpoint, HfcloneError] = field(default_factory=dict)
    """Who is not asked for this object again, and why."""
    alone: Endpoint | None = None
    """After wrong bytes from several senders: the only one asked, so that the next time names the liar."""
    wrong: Counter[Endpoint] = field(default_factory=Counter)
    """How often an endpoint that sent all of it sent it wrong."""
    error: HfcloneError | None = None
    """What last went wrong with it."""


@dataclass(frozen=True, slots=True)
class Aria2Transfer:
    """Fetches through aria2c; ``built_in`` takes over where there is none."""

    web: Callable[[], Web]
    board: Board
    patience: Patience
    authorities: Sequence[Authority]
    clock: Clock
    connections: int
    limit_rate: int | None
    environment: Mapping[str, str]
    """For the child; holds no token."""
    ca_bundle: str | None
    built_in: Transfer
    window: Window | None = None
    """The part of the day in which bytes may move, by ``wall_clock`` in local time."""
    wall_clock: Callable[[], float] = time.time
    obstacle: str = ""
    """Why aria2c cannot do it here, whether or not it is installed."""

    def fetch(self, wanted: Wanted, on_event: OnEvent) -> Iterator[Arrived | Failed]:
        """See ``Transfer.fetch``."""
        program = shutil.which("aria2c", path=self.environment.get("PATH"))
        if program is None or self.obstacle:
            reason = self.obstacle or "it is not installed"
            on_event(Demoted("aria2c", "fetching", f"{reason}; the built-in fetcher does the work"))
            yield from self.built_in.fetch(wanted, on_event)
            return
        with self.web() as web:
            sources = Sources(
                wanted.pin, wanted.paths, web=web, board=self.board, authorities=self.authorities, now=self.clock.now
            )
            yield from _Run(self, program, wanted, web, sources, on_event).outcomes()


class _Run:
    """Rounds of aria2c over groups of objects, until each has an outcome."""

    def __init__(
        self, setup: Aria2Transfer, program: str, wanted: Wanted, web: Web, sources: Sources, on_event: OnEvent
    ) -> None:
        self._setup = setup
        self._program = program
        self._wanted = wanted
        self._web = web
        self._sources = sources
        self._on_event = on_event
        self._directory = wanted.partials.directory
        self._tasks = [_Task(pointer) for pointer in wanted.objects]
        self._sizes: dict[Oid, int] = {}
        self._hours = Hours(setup.window, setup.wall_clock)

    def outcomes(self) -> Iterator[Arrived | Failed]:
        """One outcome for each object, as each settles."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for task in [task for task in self._tasks if not task.pointer.size]:
            self._tasks.remove(task)
            yield self._empty(task.pointer)
        while self._tasks:
            self._wait_for_window()
            group, self._tasks = self._tasks[:BATCH_OBJECTS], self._tasks[BATCH_OBJECTS:]
            listed: dict[Oid, list[Source]] = {}
            for task in group:
                outcome = self._find_sources(task, group, listed)
                if outcome:
                    yield outcome
            if listed:
                self._run_aria2c([task for task in group if task.pointer.oid in listed], listed)
            for task in group:
                if task.pointer.oid in listed:
                    settled = self._settle(task, listed[task.pointer.oid])
                    if settled:
                        yield settled
            self._rest(listed)

    def _empty(self, pointer: Pointer) -> Arrived | Failed:
        """Nobody is asked for nothing."""
        part = self._wanted.partials.part_path(pointer)
        part.write_bytes(b"")
        actual = sha256_of(part)
        return Arrived(pointer, part, actual) if actual == pointer.oid else Failed(
            pointer, errors.HashMismatch(pointer.oid, actual, ())
        )  # fmt: skip

    def _find_sources(self, task: _Task, group: list[_Task], listed: dict[Oid, list[Source]]) -> Failed | None:
        """Where the object can be had now; ``Failed`` where nobody is left, else it waits for the next round."""
        now = self._setup.clock.now()
        for endpoint in self._left(task):
            if self._setup.board.ready_at(endpoint) > now or task.alone not in (None, endpoint):
                continue
            try:
                source = self._sources.find(task.pointer, endpoint, lambda: [other.pointer for other in group])
                if source is not None:
                    listed.setdefault(task.pointer.oid, []).append(self._signed(task, source))
            except HfcloneError as error:
                self._blame(task, endpoint, error)
        if task.pointer.oid in listed:
            return None
        return self._next_time(task)

    def _signed(self, task: _Task, source: Source) -> Source:
        """A source that needs no token and no redirect: aria2c would send the one along the other."""
        if source.signed and not source.authority:
            return source
        size = task.pointer.size
        now = self._setup.clock.now()
        stop = min(1, size)
        with self._sources.asking(source) as heard:
            body = request_range(self._web, source, self._wanted.pin, task.pointer, 0, stop, now)
            heard(body.answer)
        with body.answer:
            self._sources.learn(task.pointer, source, body.answer)
            return Source(source.endpoint, body.answer.url, born=now, signed=bool(body.answer.hops))

    def _run_aria2c(self, tasks: list[_Task], listed: dict[Oid, list[Source]]) -> None:
        """One process, from start to end; it ends with us, whatever happens here."""
        lines = [line for task in tasks for line in _input_lines(task.pointer, listed[task.pointer.oid])]
        process = subprocess.Popen(
            [self._program, *self._options(tasks)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=dict(self._setup.environment),
            start_new_session=True,
        )
        try:
            _limit_writes(process.pid, max(task.pointer.size for task in tasks))
            assert process.stdin is not None  # PIPE was asked for
            with suppress(BrokenPipeError), process.stdin:
                process.stdin.write("".join(lines).encode("ascii"))
            for task in tasks:
                self._on_event(Started(task.pointer.oid, str(listed[task.pointer.oid][0].endpoint)))
            while not self._ended(process):
                self._look(tasks, listed)
                if self._setup.patience.exhausted or self._hours.closed_for():
                    return
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(1.0)
            process.kill()
            process.wait()
        self._look(tasks, listed)

    def _ended(self, process: subprocess.Popen[bytes]) -> bool:
        try:
            process.wait(POLL)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _options(self, tasks: list[_Task]) -> list[str]:
        many = min(PER_SERVER, self._setup.connections)
        options = {
            "input-file": "-",
            "dir": str(self._directory),
            "no-conf": "true",
            "no-netrc": "true",
            "follow-metalink": "false",
            "follow-torrent": "false",
            "continue": "true",
            "allow-overwrite": "true",
            "auto-file-renaming": "false",
            "auto-save-interval": "2",
            "file-allocation": "none",
            "max-connection-per-server": str(many),
            "split": str(many),
            "min-split-size": "1M",
            "max-concurrent-downloads": str(max(1, min(many, len(tasks)))),
            "max-tries": "3",
            "retry-wait": "1",
            "connect-timeout": "10",
            "timeout": str(max(1, int(self._web.limits.silence))),
            "stop-with-process": str(os.getpid()),
            "max-overall-download-limit": str(self._setup.limit_rate or 0),
            "enable-color": "false",
            "quiet": "true",
        }
        if self._setup.ca_bundle:
            options["ca-certificate"] = self._setup.ca_bundle
        return [f"--{name}={value}" for name, value in options.items()]

    def _look(self, tasks: list[_Task], listed: dict[Oid, list[Source]]) -> None:
        """Tell how far each object is, by the blocks that its file takes up."""
        for task in tasks:
            oid = task.pointer.oid
            size = min(task.pointer.size, _blocks(self._path(task.pointer)))
            new = size - self._sizes.get(oid, 0)
            self._sizes[oid] = size
            if new > 0:
                self._setup.patience.progress()
                self._setup.board.sent(listed[oid][0].endpoint, new)
                self._on_event(Position(oid, size))

    def _settle(self, task: _Task, sources: list[Source]) -> Arrived | Failed | None:
        """What came of an object in this round; ``None`` sends it into the next one."""
        path = self._path(task.pointer)
        whole = path.exists() and not _control(path).exists() and path.stat().st_size == task.pointer.size
        if not whole:
            self._ask_why(task, sources)
            return self._next_time(task)
        actual = sha256_of(path)
        if actual == task.pointer.oid:
            os.replace(path, self._wanted.partials.part_path(task.pointer))
            return Arrived(task.pointer, self._wanted.partials.part_path(task.pointer), actual)
        path.unlink()
        self._sizes.pop(task.pointer.oid, None)
        self._accuse(task, [source.endpoint for source in sources], actual)
        return self._next_time(task)

    def _accuse(self, task: _Task, senders: list[Endpoint], actual: str) -> None:
        """Wrong bytes: one sender is named; of several, one is asked alone next time."""
        error = errors.HashMismatch(task.pointer.oid, actual, tuple(map(str, senders)))
        self._on_event(Faulted(", ".join(error.endpoints), error))
        if len(senders) > 1:
            task.alone = senders[0]
            return
        task.alone = None
        task.wrong[senders[0]] += 1
        self._setup.board.failed(senders[0], error, self._setup.clock.now())
        if len(self._left(task)) > 1 or task.wrong[senders[0]] > SECOND_CHANCES:
            task.barred[senders[0]] = error

    def _ask_why(self, task: _Task, sources: list[Source]) -> None:
        """aria2c tells little of why it stopped: one request of our own says what the endpoint says."""
        for source in sources:
            try:
                stop = min(1, task.pointer.size)
                now = self._setup.clock.now()
                request_range(self._web, source, self._wanted.pin, task.pointer, 0, stop, now).answer.close()
            except HfcloneError as error:
                self._blame(task, source.endpoint, error)

    def _blame(self, task: _Task, endpoint: Endpoint, error: HfcloneError) -> None:
        self._on_event(Faulted(str(endpoint), error))
        self._sources.forget(task.pointer, endpoint)
        verdict = judge(error)
        if verdict is Verdict.ELSEWHERE:
            self._setup.board.refused(endpoint, error)
            task.barred[endpoint] = error
        elif verdict is Verdict.AGAIN:
            self._setup.board.failed(endpoint, error, self._setup.clock.now())

    def _next_time(self, task: _Task) -> Failed | None:
        """Back into the line, unless nobody is left or patience is at its end."""
        if not self._left(task):
            return Failed(task.pointer, list(task.barred.values())[-1])
        if self._setup.patience.exhausted:
            reasons = [self._setup.board.last_error(endpoint) for endpoint in self._left(task)]
            default = errors.Unreachable("every endpoint", "nothing arrived")
            return Failed(task.pointer, next((reason for reason in reasons if reason), default))
        self._tasks.append(task)
        return None

    def _left(self, task: _Task) -> list[Endpoint]:
        return [endpoint for endpoint in self._setup.board.endpoints if endpoint not in task.barred]

    def _rest(self, listed: dict[Oid, list[Source]]) -> None:
        """Wait until somebody may be asked again, if nobody may now."""
        if listed or not self._tasks:
            return
        now = self._setup.clock.now()
        ready = min(self._setup.board.ready_at(endpoint) for endpoint in self._setup.board.endpoints)
        self._wait(max(POLL, ready - now), "no endpoint can be asked now")

    def _wait_for_window(self) -> None:
        while closed_for := self._hours.closed_for():
            self._setup.patience.postpone()
            self._wait(min(closed_for, STEP), self._hours.reason, of=closed_for)

    def _wait(self, seconds: float, reason: str, of: float | None = None) -> None:
        """Sleep, and say once a second how long it still is (``of``: where this is a part of a longer wait)."""
        while seconds > 0:
            step = min(STEP, seconds)
            self._on_event(Waiting(of or seconds, reason, self._setup.patience.remaining))
            self._setup.clock.sleep(step)
            seconds -= step

    def _path(self, pointer: Pointer) -> Path:
        return self._directory / f"{pointer.oid}.aria2c"


def _input_lines(pointer: Pointer, sources: Sequence[Source]) -> list[str]:
    """An entry of aria2c's list. Only what can do no harm there gets in: URLs are ASCII without blanks."""
    urls = [source.url for source in sources if source.url.isascii() and source.url.isprintable()]
    urls = [url for url in urls if " " not in url and url.startswith(("http://", "https://"))]
    lines = ["\t".join(urls) + "\n", f"  out={pointer.oid}.aria2c\n"]
    headers = sources[0].headers
    return lines + [f"  header={k}: {v}\n" for k, v in headers.items() if f"{k}{v}".isprintable()]


def _control(path: Path) -> Path:
    return path.with_name(path.name + ".aria2")


def _blocks(path: Path) -> int:
    """Bytes of a sparse file that are really there."""
    with suppress(OSError):
        return path.stat().st_blocks * 512
    return 0


def _limit_writes(pid: int, size: int) -> None:
    """No file of the child's may grow beyond the largest object: a body that does not end must."""
    with suppress(ImportError, AttributeError, OSError, ValueError):
        import resource

        limit = size + 1024 * 1024  # room for its control file
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (limit, limit))
