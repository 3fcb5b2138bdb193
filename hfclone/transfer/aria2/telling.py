"""What is told of while objects go through aria2c, and why nothing moves where nothing does."""

from __future__ import annotations

import math

from hfclone.errors import DiskFull
from hfclone.events import Position, Waiting, Working
from hfclone.health import FILES
from hfclone.patience import SAY_SECONDS
from hfclone.transfer.aria2.kit import Kit
from hfclone.transfer.aria2.roster import Roster
from hfclone.transfer.aria2.tasks import Phase, Task
from hfclone.transfer.books import TELL_BYTES
from hfclone.transfer.court import QUIET_SECONDS
from hfclone.wording import phrase

__all__ = ["Telling"]


class Telling:
    """Remembers when something last moved, and what was told."""

    def __init__(self, kit: Kit, roster: Roster) -> None:
        self._kit = kit
        self._roster = roster
        self._moved_at = kit.clock.now()
        self._said_at = -math.inf
        self._read = self._told = 0
        """Bytes that were read here, and so many when something was last told of."""

    def position(self, task: Task, received: int) -> None:
        """So many bytes of it are here."""
        if received != task.position:
            task.position, self._told = received, self._kit.crew.read
            self._kit.on_event(Position(task.pointer.oid, received))

    def moved(self) -> None:
        """Bytes have come."""
        self._moved_at = self._kit.clock.now()

    def has_read(self) -> bool:
        """Whether anything was read since the last call; where nothing arrives, that is told."""
        before, self._read = self._read, self._kit.crew.read
        if self._read - self._told >= TELL_BYTES:
            self._told = self._read
            self._kit.on_event(Working(phrase("verifying"), self._read, 0))
        return self._read > before

    def waiting(self, closed_for: float) -> None:
        """Tell, once a second while nothing moves, why and until when; ``closed_for`` seconds by the hour."""
        now = self._kit.clock.now()
        quiet = now - self._moved_at >= QUIET_SECONDS and not self._roster.within(Phase.ENDING)
        if now - self._said_at < SAY_SECONDS or not (quiet or closed_for) or self._roster.is_done:
            return
        self._said_at = now
        seconds, reason = (closed_for, self._kit.hours.reason) if closed_for else self._why(now)
        self._kit.on_event(Waiting(seconds, reason, self._kit.patience.remaining))

    def _why(self, now: float) -> tuple[float, str]:
        board = self._kit.board
        full = [task for task in self._roster.tasks if isinstance(task.error, DiskFull)]
        if full and not self._roster.within(Phase.FETCHING):
            return max(0.0, min(task.ready_at for task in full) - now), str(full[0].error)
        asked = [e for e in board.endpoints if not board.lacks(e, FILES)] or list(board.endpoints)
        until, endpoint = min(((board.ready_at(e), e) for e in asked), key=lambda pair: pair[0])
        error = board.last_error(endpoint)
        reason = str(error) if error else phrase("waiting-for", endpoint=endpoint)
        if until > max(now, board.bytes_ready_at(endpoint)):
            reason = phrase("not-yet", endpoint=endpoint)
        return max(0.0, until - now), reason
