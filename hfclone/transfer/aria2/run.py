"""One fetch through aria2c, from the first object handed over to the last outcome.

All of it runs on the caller's thread: it looks at aria2c a few times a second, hands over objects as
others end, and gives what takes its time to a crew. What aria2c cannot do is left for the built-in
fetcher, which goes on from the same partials.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from hfclone.events import Failed
from hfclone.health import FILES
from hfclone.pointer import Pointer
from hfclone.transfer import Arrived
from hfclone.transfer.aria2.ending import Endings
from hfclone.transfer.aria2.kit import Kit
from hfclone.transfer.aria2.orders import Orders
from hfclone.transfer.aria2.roster import Roster
from hfclone.transfer.aria2.rpc import Lost
from hfclone.transfer.aria2.sharing import Shares
from hfclone.transfer.aria2.tasks import Phase
from hfclone.transfer.aria2.telling import Telling
from hfclone.transfer.aria2.watching import POLL, Watch

__all__ = ["Run"]


class Run:
    """Objects through aria2c, until each has an outcome or is in ``left``."""

    def __init__(self, kit: Kit, objects: list[Pointer]) -> None:
        self._kit = kit
        self._roster = roster = Roster(kit, objects)
        self._shares = shares = Shares(kit)
        self._telling = telling = Telling(kit, roster)
        self._endings = Endings(kit, roster, telling)
        self._orders = Orders(kit, roster, shares, telling, self._endings)
        self._watch = Watch(kit, roster, shares, telling)

    @property
    def left(self) -> list[Pointer]:
        """For the built-in fetcher: aria2c cannot, or not any more."""
        return self._roster.left

    def outcomes(self) -> Iterator[Arrived | Failed]:
        """One outcome for each object that is not left over, as each settles. Raises Lost when aria2c is gone."""
        while not self._roster.is_done:
            self._orders.start_more()
            self._kit.crew.collect(POLL)
            self._orders.hand_over()
            self._watch.look()
            self._endings.end_all()
            self._keep_time()
            while self._roster.outcomes:
                yield self._roster.outcomes.popleft()

    def take_back(self) -> Iterator[Arrived | Failed]:
        """After the end of aria2c: what was settled before, and the rest into ``left``."""
        yield from self._roster.outcomes
        self._roster.leave_all()

    def stop(self) -> None:
        """Have aria2c let go of everything at once; what arrived stays in its accounts."""
        with suppress(Lost):
            self._kit.downloads.stop(task.gid for task in self._roster.within(Phase.FETCHING))
        home = self._kit.crew.dismiss()
        for task in self._roster.tasks:
            if home or not task.busy:  # else its job closes it
                task.close()
        self._roster.tasks.clear()

    def _keep_time(self) -> None:
        """Patience, the window, waiting, the rate."""
        kit, roster = self._kit, self._roster
        for event in kit.board.news():
            kit.on_event(event)
        closed_for = kit.hours.closed_for()
        if closed_for:
            self._suspend()
        if closed_for or self._telling.has_read():
            kit.patience.postpone()
        if kit.patience.exhausted or all(kit.board.lacks(endpoint, FILES) for endpoint in kit.board.endpoints):
            self._give_up()
        for task in [task for task in roster.within(Phase.WAITING) if not kit.verdicts.able(task)]:
            roster.fail(task)
        self._shares.share_rate(roster.within(Phase.FETCHING))
        self._telling.waiting(closed_for)

    def _suspend(self) -> None:
        """Take everything back from aria2c."""
        running = [task for task in self._roster.within(Phase.FETCHING) if not task.stopping]
        self._kit.downloads.stop(task.gid for task in running)
        for task in running:
            task.stopping = True

    def _give_up(self) -> None:
        """Patience is at its end: everything that is left fails, each with its own reason."""
        with suppress(Lost):
            self._kit.downloads.stop(task.gid for task in self._roster.within(Phase.FETCHING))
        self._roster.fail_all()
