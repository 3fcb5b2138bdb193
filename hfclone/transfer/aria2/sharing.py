"""How connections, turns and the rate are shared out among the objects."""

from __future__ import annotations

from itertools import accumulate

from hfclone.transfer.aria2.downloads import PER_SERVER, State
from hfclone.transfer.aria2.kit import Kit
from hfclone.transfer.aria2.tasks import Task

__all__ = ["Shares", "pieces"]

SPLIT_BYTES = 1024 * 1024
"""aria2c opens no second connection for less."""
FEW = 4
"""Objects at once while nothing but failures comes: who is down need not hear it from forty."""
MIN_RATE = 1024
"""Bytes a second that each download gets at least."""


class Shares:
    """What each object may have."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._at_once = 0
        self._shared_by = 0

    def connections(self, task: Task) -> int:
        """Connections that it could use."""
        most = min(PER_SERVER * max(1, len(task.asked)), self._kit.connections)
        return max(1, min(most, pieces(task.pointer.size - task.held.size)))

    def has_room(self, begun: list[Task], *, in_trouble: bool) -> bool:
        """Whether one more object may be begun: connections are to spare, or aria2c's own line is short."""
        if in_trouble and len(begun) >= FEW:
            return False
        spare = sum(map(self.connections, begun)) < self._kit.connections
        return spare or len(begun) - self._fitting(begun) < self._kit.ahead

    def keep_line(self, fetching: list[Task]) -> None:
        """Let as many run as there are connections for; the others wait in aria2c, and begin without us."""
        line = sorted(fetching, key=lambda task: (task.last is None or task.last.state is State.WAITING, task.began))
        at_once = self._fitting(line)
        if self._kit.ahead and at_once != self._at_once:
            self._at_once = at_once
            self._kit.downloads.run_at_once(at_once)

    def share_rate(self, fetching: list[Task]) -> None:
        """A limit that aria2c does not keep over all: each download gets its share."""
        if self._kit.shares is not None and len(fetching) != self._shared_by:
            self._shared_by = len(fetching)
            each = max(MIN_RATE, self._kit.shares // max(1, len(fetching)))
            self._kit.downloads.limit([task.gid for task in fetching], each)

    def _fitting(self, tasks: list[Task]) -> int:
        """How many of them, from the first on, may run at once."""
        sums = accumulate(map(self.connections, tasks))
        return max(1, sum(1 for connections in sums if connections <= self._kit.connections))


def pieces(count: int) -> int:
    """Into how many pieces aria2c would split so many bytes."""
    return -(-count // SPLIT_BYTES)
