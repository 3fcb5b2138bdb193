"""Objects are prepared and handed over to aria2c, as far as there are connections for them."""

from __future__ import annotations

from functools import partial as bound

from hfclone.errors import LocalError
from hfclone.events import Started
from hfclone.health import RangeSupport
from hfclone.transfer.aria2.asking import Asking
from hfclone.transfer.aria2.downloads import Order
from hfclone.transfer.aria2.ending import Endings
from hfclone.transfer.aria2.kit import Kit
from hfclone.transfer.aria2.roster import Roster
from hfclone.transfer.aria2.rpc import Refused
from hfclone.transfer.aria2.sharing import Shares
from hfclone.transfer.aria2.tasks import Phase, Task
from hfclone.transfer.aria2.telling import Telling
from hfclone.transfer.aria2.work import Prepared
from hfclone.transfer.sources import Source
from hfclone.wording import phrase

__all__ = ["Orders"]

SILENCE = 6.0
"""Seconds at most that a silent connection is waited for at first."""


class Orders:
    """From an object that nobody was asked for to one that aria2c has."""

    def __init__(self, kit: Kit, roster: Roster, shares: Shares, telling: Telling, endings: Endings) -> None:
        self._kit = kit
        self._roster = roster
        self._shares = shares
        self._telling = telling
        self._endings = endings
        self._asking = Asking(kit, roster)
        self._ready: list[tuple[Task, Order]] = []

    def start_more(self) -> None:
        """Prepare objects as long as there are connections to spare, and some more that wait in aria2c's own line."""
        if self._kit.hours.closed_for():
            return
        roster, now = self._roster, self._kit.clock.now()
        begun = roster.within(Phase.PREPARING, Phase.FETCHING)
        for task in [task for task in roster.within(Phase.WAITING) if task.ready_at <= now]:
            if not self._has_room(begun):
                return
            if self._begin(task):
                begun.append(task)
        while roster.fresh and self._has_room(begun):
            task = Task(roster.fresh[0])
            if not self._begin(task):
                return
            begun.append(task)
            roster.fresh.popleft()
            roster.tasks.append(task)

    def hand_over(self) -> None:
        """Give aria2c what was ordered, all in one request."""
        ready, self._ready = self._ready, []
        if not ready:
            return
        names = self._kit.downloads.add([order for _, order in ready])
        for (task, _), gid in zip(ready, names, strict=True):
            if isinstance(gid, Refused):
                self._roster.leave(task, phrase("not-taken", reason=gid.reason))
            else:
                task.gid = gid
                self._kit.on_event(Started(task.pointer.oid, str(task.sources[0].endpoint)))

    def _has_room(self, begun: list[Task]) -> bool:
        return self._shares.has_room(begun, in_trouble=self._roster.in_trouble)

    def _begin(self, task: Task) -> bool:
        """Prepare one object; false where nobody can be asked for it now."""
        task.asked = tuple(self._asking.choose(task))
        if not task.asked and task.pointer.size:
            return False
        task.phase, task.began = Phase.PREPARING, self._kit.clock.now()
        self._asking.begin(task)
        work = bound(self._kit.workshop.prepare, task, task.asked, self._roster.next_up())
        self._roster.submit(task, work, bound(self._prepared, task))
        return True

    def _prepared(self, task: Task, done: Prepared) -> None:
        """Its partial is open, and its URLs are known as far as they can be."""
        self._asking.end(task)
        if done.opened:
            task.held = task.opened.held()
            task.senders = {record.endpoint for record in task.opened.records}
            self._telling.position(task, task.held.size)
        task.phase = Phase.WAITING
        if done.local is not None:
            self._roster.cannot(task, done.local)
            return
        self._roster.in_trouble = self._roster.in_trouble or bool(done.errors)
        for endpoint, error, source in done.errors:
            self._kit.verdicts.blame(task, endpoint, error, source)
        if task.held.size == task.pointer.size:
            self._endings.finish(task)
        elif done.secret and not done.sources:
            self._roster.leave(task, phrase("needs-secret"))
        elif done.sources and not self._kit.hours.closed_for():
            self._order(task, done.sources)

    def _order(self, task: Task, sources: list[Source]) -> None:
        """Put the object into the next request to aria2c."""
        ranged = [s for s in sources if self._kit.board.ranges(s.endpoint) is not RangeSupport.NO]
        if not ranged and task.held:
            self._roster.leave(task, phrase("knows-no-ranges", endpoint=sources[0].endpoint))
            return
        task.sources = tuple(ranged or sources[:1])
        task.split = self._shares.connections(task) if ranged else 1
        try:
            told = self._kit.partials.write_control(task.pointer, task.held)
            if self._kit.daemon:
                self._kit.partials.lend(task.pointer, self._kit.daemon)
        except LocalError as error:
            self._roster.cannot(task, error)
            return
        task.handed_over(self._kit.clock.now(), told.size)
        path = self._kit.partials.part_path(task.pointer).absolute()
        self._ready.append((task, Order(task.pointer, path, task.urls, task.split, self._silence_for(task))))

    def _silence_for(self, task: Task) -> float:
        """Short at first, since others may do better; a far side that is slow to begin needs its time."""
        return self._kit.silence if task.vain else min(SILENCE, self._kit.silence)
