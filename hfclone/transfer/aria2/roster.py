"""The objects of one fetch: which are fresh, under way, settled, or left to the built-in fetcher."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import TypeVar

from hfclone.errors import DiskFull, LocalError
from hfclone.events import Demoted, Failed, Faulted
from hfclone.pointer import Pointer
from hfclone.transfer import Arrived
from hfclone.transfer.aria2.kit import Kit
from hfclone.transfer.aria2.tasks import Phase, Task
from hfclone.transfer.court import DISK_WAIT
from hfclone.transfer.sources import BATCH_OBJECTS
from hfclone.wording import phrase

__all__ = ["Roster"]

T = TypeVar("T")


class Roster:
    """Who is where. Used on the caller's thread only."""

    def __init__(self, kit: Kit, objects: list[Pointer]) -> None:
        self._kit = kit
        self.fresh = deque(objects)
        self.tasks: list[Task] = []
        self.outcomes: deque[Arrived | Failed] = deque()
        """What has settled, and was not yet given out."""
        self.left: list[Pointer] = []
        """For the built-in fetcher: aria2c cannot, or not any more."""
        self.in_trouble = True
        """Nothing but failures comes, or nothing yet: who is never heard of is asked little."""

    @property
    def is_done(self) -> bool:
        """Whether each object has settled or is left over."""
        return not (self.tasks or self.fresh)

    def within(self, *phases: Phase) -> list[Task]:
        """The objects in any of these phases, first come first."""
        return [task for task in self.tasks if task.phase in phases]

    def next_up(self) -> list[Pointer]:
        """Objects that will be wanted soon, for a batch request."""
        return [*(task.pointer for task in self.tasks), *islice(self.fresh, BATCH_OBJECTS)]

    def submit(self, task: Task, work: Callable[[], T], then: Callable[[T], None]) -> None:
        """Have ``work`` done beside aria2c, and then ``then`` with what it gives."""
        task.busy = True

        def done(result: T) -> None:
            task.busy = False
            then(result)

        self._kit.crew.submit(work, done, task.close)

    def settle(self, task: Task, outcome: Arrived | Failed) -> None:
        """It has its outcome."""
        task.close()
        self.tasks.remove(task)
        self.outcomes.append(outcome)

    def leave(self, task: Task, why: str) -> None:
        """Leave an object to the built-in fetcher."""
        what = phrase("object", oid=task.pointer.oid[:12])
        self._kit.on_event(Demoted("aria2c", what, phrase("left-to-built-in", reason=why)))
        task.close()
        self.tasks.remove(task)
        self.left.append(task.pointer)

    def leave_all(self) -> None:
        """aria2c is gone: whatever has not settled is left."""
        self.left += [task.pointer for task in self.tasks] + list(self.fresh)
        self.fresh.clear()

    def cannot(self, task: Task, error: LocalError) -> None:
        """A full disk may have room later; nothing else of this machine changes by waiting, and is raised."""
        if not isinstance(error, DiskFull):
            raise error
        task.error, task.ready_at, task.phase = error, self._kit.clock.now() + DISK_WAIT, Phase.WAITING
        self._kit.on_event(Faulted("", error))

    def fail(self, task: Task) -> None:
        """It is given up, for its own reason."""
        self.settle(task, Failed(task.pointer, self._kit.verdicts.reason(task)))

    def fail_all(self) -> None:
        """Everything is given up, but for what a job is busy with."""
        for task in list(self.tasks):
            if not task.busy:
                self.fail(task)
        while self.fresh:
            task = Task(self.fresh.popleft())
            self.outcomes.append(Failed(task.pointer, self._kit.verdicts.reason(task)))
