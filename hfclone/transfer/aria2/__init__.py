"""The same work through aria2c, for those who trust it with the night.

We resolve, it transfers, we verify. It is handed signed URLs only, over its RPC: a secret in argv is
for everyone on the machine to read, and aria2 sends an Authorization header along every redirect.
It writes into our own partials: we write its control file from our journal, and take over into the
journal what it brings. So neither fetcher asks again for what the other has brought, and whatever
aria2c cannot do, or does not live to do, the built-in fetcher does.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

from hfclone.events import Failed, OnEvent, Warned
from hfclone.health import Board
from hfclone.http import Authority, Limits, Web
from hfclone.measures import Window
from hfclone.names import Token
from hfclone.patience import Clock, Patience
from hfclone.pointer import Pointer
from hfclone.refusals import refused
from hfclone.transfer import Arrived, Transfer, Wanted
from hfclone.transfer.aria2.crew import Crew
from hfclone.transfer.aria2.downloads import Downloads
from hfclone.transfer.aria2.kit import Kit
from hfclone.transfer.aria2.process import CannotRun, Process, limit_writes
from hfclone.transfer.aria2.rpc import Lost, Rpc
from hfclone.transfer.aria2.run import Run
from hfclone.transfer.aria2.verdicts import Verdicts
from hfclone.transfer.aria2.work import Workshop
from hfclone.transfer.sources import Sources
from hfclone.transfer.tempo import Hours, Pace
from hfclone.wording import phrase

__all__ = ["Aria2Daemon", "Aria2Transfer"]

THREADS = 12
"""For asking and hashing beside aria2c."""
_OPTIONS = {
    "user-agent": "hfclone",
    "continue": "true",
    "allow-overwrite": "true",
    "auto-file-renaming": "false",
    "file-allocation": "none",
    "follow-metalink": "false",
    "follow-torrent": "false",
    "metalink-enable-unique-protocol": "false",
    "rpc-save-upload-metadata": "false",
    "no-netrc": "true",
    "http-accept-gzip": "false",
    "connect-timeout": "10",
    "max-tries": "3",
    "retry-wait": "1",
}
"""Of each download."""
AHEAD = 16
"""Objects that wait in aria2c, so that small ones follow each other without us."""
RPC_LIMITS = Limits(connect=5.0, silence=20.0)


@dataclass(frozen=True, slots=True)
class Aria2Daemon:
    """A user's own aria2 that runs already. It has to see our files under the same paths."""

    url: str
    secret: Token | None = None


@dataclass(frozen=True, slots=True)
class Aria2Transfer:
    """Fetches through aria2c; ``built_in`` goes on where that cannot."""

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
    daemon: Aria2Daemon | None = None
    """In place of an aria2c of our own."""
    obstacle: str = ""
    """Why aria2c cannot do it here, whether or not it is installed."""

    def fetch(self, wanted: Wanted, on_event: OnEvent) -> Iterator[Arrived | Failed]:
        """See ``Transfer.fetch``."""
        if not wanted.objects:
            return
        with ExitStack() as stack:
            web = stack.enter_context(self.web())
            try:
                downloads = self._begin(wanted, stack)
            except CannotRun as error:
                on_event(Warned("no-aria2c", {"reason": str(error)}))
                left = list(wanted.objects)
            else:
                run = self._run(downloads, wanted, web, on_event)
                left = yield from _through(run, web, on_event)
        if left:
            yield from self.built_in.fetch(replace(wanted, objects=left), on_event)

    def _begin(self, wanted: Wanted, stack: ExitStack) -> Downloads:
        """An aria2 that takes orders. Raises CannotRun."""
        if self.obstacle:
            raise CannotRun(self.obstacle)
        try:
            wanted.partials.await_writers()
        except OSError as error:
            raise refused(error, wanted.partials.directory) from error
        if self.daemon is not None:
            return self._reach(self.daemon, wanted, stack)
        program = shutil.which("aria2c", path=self.environment.get("PATH"))
        if program is None:
            raise CannotRun(phrase("not-installed"))
        process = Process(program, self._own_options(), self.environment, wanted.partials.directory)
        stack.callback(process.close)
        limit_writes(process.pid, max(pointer.size for pointer in wanted.objects))
        downloads = Downloads(process.rpc, _OPTIONS)
        try:
            downloads.check()
        except Lost as error:
            raise CannotRun(str(error)) from error
        return downloads

    def _reach(self, daemon: Aria2Daemon, wanted: Wanted, stack: ExitStack) -> Downloads:
        """The user's own; what a killed run left with it is taken back first."""
        web = stack.enter_context(Web(user_agent="hfclone", ca_bundle=self.ca_bundle, limits=RPC_LIMITS))
        downloads = Downloads(Rpc(web, daemon.url, daemon.secret), _OPTIONS)
        try:
            downloads.check()
            here = wanted.partials.directory.absolute()
            downloads.stop(downloads.of_directory(here))
            if not downloads.of_directory(here):
                wanted.partials.end_lending(daemon.url)
        except Lost as error:
            raise CannotRun(phrase("daemon-cannot", url=daemon.url, reason=error)) from error
        return downloads

    def _run(self, downloads: Downloads, wanted: Wanted, web: Web, on_event: OnEvent) -> Run:
        """Everything that one fetch needs."""
        crew = Crew(THREADS)
        now = self.clock.now
        sources = Sources(wanted.pin, wanted.paths, web=web, board=self.board, authorities=self.authorities, now=now)
        workshop = Workshop(web, wanted.pin, sources, self.board, wanted.partials, now, crew.note_bytes)
        silence, ours = web.limits.silence, self.daemon is None
        kit = Kit(
            downloads=downloads,
            workshop=workshop,
            crew=crew,
            verdicts=Verdicts(self.board, sources, self.clock, on_event, silence),
            board=self.board,
            sources=sources,
            partials=wanted.partials,
            patience=self.patience,
            clock=self.clock,
            hours=Hours(self.window, self.wall_clock),
            connections=self.connections,
            silence=silence,
            floor=Pace(self.limit_rate).floor,
            on_event=on_event,
            early=ours,
            ahead=AHEAD if ours else 0,
            shares=None if ours else self.limit_rate,
            daemon=self.daemon.url if self.daemon else "",
        )
        return Run(kit, list(wanted.objects))

    def _own_options(self) -> dict[str, str]:
        """Of an aria2c of our own, as a whole."""
        options = {
            "follow-metalink": "false",
            "follow-torrent": "false",
            "disk-cache": "0",
            "auto-save-interval": "1",
            "max-concurrent-downloads": "1",
            "max-download-result": "10000",
            "max-overall-download-limit": str(self.limit_rate or 0),
            "enable-dht": "false",
            "quiet": "true",
        }
        if self.ca_bundle:
            options["ca-certificate"] = self.ca_bundle
        return options


def _through(run: Run, web: Web, on_event: OnEvent) -> Generator[Arrived | Failed, None, list[Pointer]]:
    """What comes through aria2c; returns what is left for the built-in fetcher."""
    try:
        yield from run.outcomes()
    except Lost as error:
        on_event(Warned("aria2c-lost", {"reason": str(error)}))
        yield from run.take_back()
    finally:
        run.stop()
        web.close()
    return run.left
