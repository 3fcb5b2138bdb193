"""Looking after what aria2c has: how far it is, what its URLs and connections do, what can be hashed already."""

from __future__ import annotations

import math
from functools import partial as bound

from hfclone.endpoints import Endpoint
from hfclone.transfer.aria2.downloads import Look, State
from hfclone.transfer.aria2.kit import Kit
from hfclone.transfer.aria2.roster import Roster
from hfclone.transfer.aria2.sharing import Shares, pieces
from hfclone.transfer.aria2.tasks import Phase, Task
from hfclone.transfer.aria2.telling import Telling
from hfclone.transfer.aria2.work import Prepared, chunks_of

__all__ = ["POLL", "Watch"]

POLL = 0.1
"""Seconds between two looks at what aria2c has done."""
FOLLOW_BYTES = 8 * 1024 * 1024
"""Bytes of prefix that make it worth hashing before the object is whole."""
HASH_PIECE = 256 * 1024 * 1024
TOP_UP_SECONDS = 3.0
"""Between two tries to have lost connections made anew; aria2c drops a URL that failed once."""


class Watch:
    """From an object that aria2c has to one that it has done with."""

    def __init__(self, kit: Kit, roster: Roster, shares: Shares, telling: Telling) -> None:
        self._kit = kit
        self._roster = roster
        self._shares = shares
        self._telling = telling
        self._looked_at = -math.inf

    def look(self) -> None:
        """See how far aria2c is, and which objects it has done with."""
        now = self._kit.clock.now()
        fetching = self._roster.within(Phase.FETCHING)
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
        self._leave_slow([task for task in fetching if task.last and task.last.state is State.ACTIVE])
        self._shares.keep_line(self._roster.within(Phase.FETCHING))

    def _advance(self, task: Task, look: Look) -> None:
        """Bytes that were not here before have come."""
        new = look.received - task.position
        if new <= 0:
            return
        task.progressed, task.error, self._roster.in_trouble = True, None, False
        self._telling.moved()
        self._kit.patience.progress()
        for endpoint, count in _by_speed(task, look, new):
            self._kit.board.met(endpoint)
            self._kit.board.sent(endpoint, count)
        self._telling.position(task, look.received)

    def _tend(self, task: Task, look: Look) -> None:
        """Keep its URLs alive and its connections up; journal and hash what has come."""
        if task.busy or task.stopping:
            return
        now = self._kit.clock.now()
        dying = [source.endpoint for source in task.sources if not source.usable(now)]
        if dying:
            work = bound(self._kit.workshop.locate, task, dying, self._roster.next_up(), Prepared())
            self._roster.submit(task, work, bound(self._refreshed, task))
            return
        lacking = look.connections < min(task.split, pieces(task.pointer.size - look.received))
        if lacking and look.state is State.ACTIVE and now - task.topped_up > TOP_UP_SECONDS:
            task.topped_up = now
            self._kit.downloads.replace(task.gid, (), task.urls)
        if self._kit.early and look.whole is not None:
            self._follow(task, look)

    def _leave_slow(self, running: list[Task]) -> None:
        """Take objects back whose endpoints bring next to nothing, while another may do better."""
        sending = {source.endpoint for task in running for source in task.sources}
        slow = self._kit.board.find_slow(sending, self._kit.floor)
        left = [task for task in running if any(source.endpoint in slow for source in task.sources)]
        self._kit.downloads.stop(task.gid for task in left)
        for task in left:
            task.stopping = True

    def _follow(self, task: Task, look: Look) -> None:
        assert look.whole is not None  # the caller has looked
        chunks = chunks_of(look.whole, task.held, task.pointer.size)
        prefix = min(look.whole.prefix(), task.hashed + HASH_PIECE)
        if chunks or prefix - task.hashed >= FOLLOW_BYTES:
            work = bound(self._kit.workshop.follow, task, chunks, prefix)
            self._roster.submit(task, work, task.journalled)

    def _refreshed(self, task: Task, done: Prepared) -> None:
        """New URLs in place of those that die; where there are none, the old ones are used to their end."""
        for endpoint, error, source in done.errors:
            self._kit.verdicts.blame(task, endpoint, error, source)
        fresh = {source.endpoint: source for source in done.sources}
        old = [source for source in task.sources if source.endpoint in fresh]
        if not old or task.phase is not Phase.FETCHING:
            return
        task.sources = tuple(fresh.get(source.endpoint, source) for source in task.sources)
        new = [fresh[source.endpoint].url for source in old]
        self._kit.downloads.replace(task.gid, [source.url for source in old], new)


def _by_speed(task: Task, look: Look, new: int) -> list[tuple[Endpoint, int]]:
    """Who brought ``new`` bytes: by their speeds, since aria2c does not say it of each byte."""
    speeds = look.speeds or {}
    rates = [(source.endpoint, speeds.get(source.url, 0)) for source in task.sources]
    total = sum(rate for _, rate in rates)
    if not total:
        return [(task.sources[0].endpoint, new)]
    return [(endpoint, count) for endpoint, rate in rates if (count := new * rate // total)]
