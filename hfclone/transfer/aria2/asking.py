"""Whom an object is asked for: the mirrors that can be asked, else the hub."""

from __future__ import annotations

from collections import Counter

from hfclone.endpoints import Endpoint, EndpointKind
from hfclone.transfer.aria2.kit import Kit
from hfclone.transfer.aria2.roster import Roster
from hfclone.transfer.aria2.tasks import Task
from hfclone.transfer.choice import PROBE_SECONDS

__all__ = ["Asking"]


class Asking:
    """Who is asked now; of whom nothing is known yet, one object asks at a time."""

    def __init__(self, kit: Kit, roster: Roster) -> None:
        self._kit = kit
        self._roster = roster
        self._probing: dict[Endpoint, float] = {}
        """Who is being asked, and since when."""

    def choose(self, task: Task) -> list[Endpoint]:
        """Whom to ask now: the mirrors that can be asked, else the hub; one alone where it has to be."""
        now, board, verdicts = self._kit.clock.now(), self._kit.board, self._kit.verdicts
        able = verdicts.able(task)
        if task.alone in able:
            able = [task.alone]
        ready = [endpoint for endpoint in able if self._ready_at(task, endpoint) <= now]
        asking = [e for e in ready if e in self._probing and not board.knows(e)]
        ready = [endpoint for endpoint in ready if endpoint not in asking]
        ready = [endpoint for endpoint in ready if not board.is_slow(endpoint)] or ready
        mirrors = [endpoint for endpoint in ready if endpoint.kind is EndpointKind.MIRROR]
        if not mirrors and any(
            e.kind is EndpointKind.MIRROR and now - self._probing[e] < PROBE_SECONDS for e in asking
        ):  # fmt: skip
            return []
        chosen = mirrors or ready
        if verdicts.mixing or len(chosen) < 2:
            return chosen
        busy = Counter(endpoint for other in self._roster.tasks for endpoint in other.asked if other.gid)
        return [min(chosen, key=lambda endpoint: busy[endpoint])]

    def begin(self, task: Task) -> None:
        """Those chosen for it are being asked."""
        now = self._kit.clock.now()
        for endpoint in task.asked:
            self._probing.setdefault(endpoint, now)

    def end(self, task: Task) -> None:
        """They have answered, or not."""
        for endpoint in task.asked:
            self._probing.pop(endpoint, None)

    def _ready_at(self, task: Task, endpoint: Endpoint) -> float:
        if self._kit.sources.has_url(task.pointer, endpoint):
            return self._kit.board.bytes_ready_at(endpoint)
        return self._kit.board.ready_at(endpoint)
