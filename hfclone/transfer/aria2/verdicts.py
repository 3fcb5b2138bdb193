"""What an error or a wrong sum means for an object and its endpoints: the built-in rules, for whole objects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from hfclone import errors
from hfclone.endpoints import Endpoint
from hfclone.errors import HfcloneError
from hfclone.events import Event, Faulted
from hfclone.hashing import range_digest
from hfclone.health import FILES, Board
from hfclone.patience import MOST_UNFORESEEN, Clock, Verdict, judge, wait_asked
from hfclone.transfer.aria2.downloads import Look
from hfclone.transfer.aria2.tasks import Task
from hfclone.transfer.court import OTHER_FILES, names_other_file
from hfclone.transfer.sources import Source, Sources
from hfclone.transfer.trust import SECOND_CHANCES
from hfclone.wording import phrase

__all__ = ["IN_VAIN", "Verdicts"]

IN_VAIN = 3
"""Failures of one object in a row that brought nothing and that nobody explains; then aria2c cannot."""
_MISMATCH = "mismatch"
"""aria2 knows the length by heart; where an answer has none, or another, no second try helps."""
_TIMEOUT, _NETWORK, _NO_RANGES = 2, 6, 8


@dataclass(slots=True)
class Verdicts:
    """Judges on the caller's thread; the run carries out."""

    board: Board
    sources: Sources
    clock: Clock
    on_event: Callable[[Event], None]
    silence: float
    """Seconds after which aria2c leaves a silent connection."""
    mixing: bool = field(default=True)
    """Whether an object may come from several endpoints at once: not after wrong bytes that nobody can be named for."""

    def able(self, task: Task) -> list[Endpoint]:
        """Who could be asked for it, now or later."""
        return [e for e in self.board.endpoints if e not in task.barred and not self.board.lacks(e, FILES)]

    # --- errors ---------------------------------------------------------------------------------

    def blame(self, task: Task, endpoint: Endpoint, error: HfcloneError, source: Source | None = None) -> None:
        """What an endpoint's answer means; ``source`` is who gave it, where that was not the endpoint itself."""
        signed = source is not None and source.signed
        task.error = error
        self.on_event(Faulted(str(endpoint), error))
        if isinstance(error, errors.UrlExpired):
            self.sources.expired(task.pointer, endpoint)
            return
        if not isinstance(error, errors.Truncated | errors.Stalled):
            self.sources.forget(task.pointer, endpoint)
        if judge(error) is Verdict.ELSEWHERE:
            self.board.refused(endpoint, error)
            if not isinstance(error, errors.ObjectRefused):
                self.board.note_lack(endpoint, FILES, str(error))
            elif signed and not task.absences[endpoint]:
                # A signed URL's host may be behind its hub for a moment; a second URL decides.
                task.absences[endpoint] += 1
                self.board.failed(endpoint, error, task.began)
            else:
                task.barred[endpoint] = error
            return
        task.other_files[endpoint] += names_other_file(error)
        task.unforeseen[endpoint] += isinstance(error, errors.Unforeseen)
        if task.other_files[endpoint] >= OTHER_FILES or task.unforeseen[endpoint] >= MOST_UNFORESEEN:
            task.barred[endpoint] = error
        asked = wait_asked(error)
        if asked is not None and not signed:
            self.board.refused(endpoint, error)
            self.board.hold(endpoint, asked)
        else:
            self.board.failed(endpoint, error, task.began)

    def unexplained(self, task: Task, look: Look) -> None:
        """aria2c failed, and its endpoints answer as they should: what it says itself has to do."""
        if task.progressed and not look.status:
            task.vain = 0
        else:
            task.vain += IN_VAIN if _MISMATCH in look.text else 1
        for source in task.sources:
            error = self._error_of(look, str(source.endpoint), task)
            task.error = error
            self.on_event(Faulted(str(source.endpoint), error))
            self.board.failed(source.endpoint, error, task.began)

    def _error_of(self, look: Look, label: str, task: Task) -> HfcloneError:
        """aria2c's failure in our words."""
        if look.status is not None:
            return errors.ServerFault(label, look.status)
        if look.code == _TIMEOUT:
            return errors.Stalled(label, self.silence)
        if look.code == _NO_RANGES:
            gap = next(task.held.gaps(task.pointer.size), (0, task.pointer.size))
            return errors.RangeRefused(label, f"{gap[0]}-{gap[1] - 1}", look.text)
        if look.code == _NETWORK or task.progressed:
            return errors.Truncated(label, look.received, task.pointer.size)
        return errors.Unreachable(
            label, phrase("aria2c-says", reason=look.text or phrase("aria2c-error", number=look.code))
        )

    def reason(self, task: Task) -> HfcloneError:
        """Why it is given up: who refuses it or everything, else what went wrong with it."""
        if not self.able(task):
            return list(task.barred.values())[-1] if task.barred else self.board.last_word()
        return task.error or self.board.last_word()

    # --- wrong bytes ----------------------------------------------------------------------------

    def wrong(self, task: Task, actual: str) -> None:
        """The sum is wrong: one sender is named; of several one is asked alone the next time."""
        error = errors.HashMismatch(task.pointer.oid, actual, tuple(sorted(task.senders)))
        task.error = error
        self.on_event(Faulted(", ".join(error.endpoints), error))
        liar = next((e for e in self.board.endpoints if task.senders == {str(e)}), None)
        if liar is None:
            self._ask_alone(task)
            return
        self.board.lied(liar, error)
        task.wrong[liar] += 1
        if len(self.able(task)) > 1 or task.wrong[liar] > SECOND_CHANCES:
            task.barred[liar] = error
        if task.alone == liar:
            task.alone = None
            if task.wrong[liar] > SECOND_CHANCES or liar in task.barred:
                self._ask_alone(task)

    def _ask_alone(self, task: Task) -> None:
        """Nobody can be named yet; whoever is known to lie is asked last."""
        self.mixing = False
        lies = self.board.lies()
        left = self.able(task)
        task.alone = min(left, key=lambda e: lies.get(str(e), 0)) if left else None
        known = {str(endpoint) for endpoint in self.board.endpoints}
        task.doubts += [record for record in task.opened.records if record.endpoint in known]

    def name_liars(self, task: Task) -> None:
        """The object is right now: whose bytes were not in it sent wrong ones."""
        descriptor = task.opened.descriptor
        liars = {r.endpoint for r in task.doubts if range_digest(descriptor, r.start, r.stop) != r.digest}
        for endpoint in self.board.endpoints:
            if str(endpoint) in liars:
                error = errors.WrongBytes(str(endpoint), task.pointer.oid)
                self.board.lied(endpoint, error)
                self.on_event(Faulted(str(endpoint), error))
