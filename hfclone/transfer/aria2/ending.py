"""What becomes of an object that aria2c has done with, well or not."""

from __future__ import annotations

from functools import partial as bound

from hfclone.errors import HashMismatch
from hfclone.events import Failed
from hfclone.transfer import Arrived
from hfclone.transfer.aria2.downloads import State
from hfclone.transfer.aria2.kit import Kit
from hfclone.transfer.aria2.roster import Roster
from hfclone.transfer.aria2.rpc import Lost
from hfclone.transfer.aria2.tasks import Phase, Task
from hfclone.transfer.aria2.telling import Telling
from hfclone.transfer.aria2.verdicts import IN_VAIN
from hfclone.transfer.aria2.work import Examined
from hfclone.wording import phrase

__all__ = ["Endings"]

MISSES = 2
"""Objects in a row that aria2c cannot bring; then the built-in fetcher does the rest, too."""
_LOCAL = (9, 15, 16, 17, 18)
"""aria2's numbers for what this machine cannot: the built-in fetcher finds out what it is."""


class Endings:
    """A whole object is hashed, and arrives or is fetched anew; of another it is found out why it is not whole."""

    def __init__(self, kit: Kit, roster: Roster, telling: Telling) -> None:
        self._kit = kit
        self._roster = roster
        self._telling = telling
        self._misses = 0

    def end_all(self) -> None:
        """Deal with whatever aria2c has done with. Raises Lost where it only fails."""
        for task in self._roster.within(Phase.ENDING):
            if task.gid and not task.busy:
                self._end(task)

    def finish(self, task: Task) -> None:
        """All of it is here: hash what is not hashed yet."""
        task.phase, task.gid = Phase.ENDING, ""
        self._roster.submit(task, bound(self._kit.workshop.finish, task), bound(self._hashed, task))

    def _end(self, task: Task) -> None:
        """Hash it if it is whole, else find out why it is not."""
        assert task.last is not None  # it has been looked at
        if task.last.state is State.COMPLETE:
            if self._kit.partials.control_path(task.pointer).exists():
                raise Lost(phrase("other-file-system"))
            task.senders.add(task.sender)
            self.finish(task)
            return
        task.gid = ""
        work = bound(self._kit.workshop.examine, task)
        self._roster.submit(task, work, bound(self._examined, task))

    def _examined(self, task: Task, found: Examined) -> None:
        """What it had brought is in the journal; who is to blame is known, or not."""
        task.phase, task.gid = Phase.WAITING, ""
        task.journalled(found.records)
        self._telling.position(task, task.held.size)
        if found.local is not None:
            self._roster.cannot(task, found.local)
            return
        if task.stopping or task.held.size == task.pointer.size:
            return
        self._roster.in_trouble = True
        self._blame(task, found)

    def _blame(self, task: Task, found: Examined) -> None:
        """Whoever it was: the endpoints, or aria2c itself, which is asked for no more of it then."""
        look, verdicts = task.last, self._kit.verdicts
        assert look is not None  # it has been looked at
        for source, error in found.errors:
            verdicts.blame(task, source.endpoint, error, source)
        if not found.errors:
            verdicts.unexplained(task, look)
        if look.code in _LOCAL or task.vain >= IN_VAIN:
            self._misses += 1
            said = look.text or phrase("aria2c-error", number=look.code)
            self._roster.leave(task, phrase("aria2c-cannot", reason=said))
            if self._misses >= MISSES:
                raise Lost(phrase("aria2c-only-fails", reason=said))

    def _hashed(self, task: Task, actual: str) -> None:
        """It is right, or it is fetched anew."""
        pointer, kit = task.pointer, self._kit
        if actual == pointer.oid:
            self._misses = 0
            kit.verdicts.name_liars(task)
            kit.partials.control_path(pointer).unlink(missing_ok=True)
            kit.sources.settled(pointer)
            self._roster.settle(task, Arrived(pointer, kit.partials.part_path(pointer), pointer.oid))
            return
        if not pointer.size:  # an empty object that is none: there is nothing to fetch anew
            self._roster.settle(task, Failed(pointer, HashMismatch(pointer.oid, actual, ())))
            return
        kit.verdicts.wrong(task, actual)
        task.close()
        kit.partials.discard(pointer)
        task.begin_anew()
        task.phase = Phase.WAITING
