"""Plain lines on stderr: for logs, pipes and terminals that cannot move the cursor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from hfclone.cli.tally import Tally
from hfclone.cli.words import (
    missing_line,
    pinned_line,
    plan_lines,
    report_lines,
    reused_line,
    shared_line,
    show_size,
    show_text,
    waiting_line,
    working_line,
)
from hfclone.events import (
    Demoted,
    Event,
    Failed,
    Faulted,
    Finished,
    Pinned,
    Planned,
    Renamed,
    Reused,
    Shared,
    Verified,
    Waiting,
    Warned,
    Working,
)
from hfclone.settings import Verbosity
from hfclone.wording import line

__all__ = ["Lines", "View", "spoken"]

INTERVAL_SECONDS = 5.0
"""Between two lines of progress: a night's log stays readable."""

WAITING_SECONDS = 60.0
"""Between two lines about the same wait, which is told each second."""


class View(Protocol):
    """Someone who looks at a run."""

    def __call__(self, event: Event) -> None: ...

    def close(self) -> None:
        """Leave the terminal as it was; called once, however the run ended."""


def spoken(event: Event, tally: Tally, verbosity: Verbosity) -> tuple[str, ...]:  # noqa: PLR0912  # one case an event
    """The lines that an event is worth by itself, whatever shows the progress."""
    loud = verbosity >= Verbosity.VERBOSE
    match event:
        case Pinned():
            return (pinned_line(event),)
        case Renamed(before, after):
            return (show_text(line("renamed", before=before, after=after)),)
        case Planned(plan, fetching):
            return plan_lines(plan) if fetching else (missing_line(plan),)
        case Reused():
            return (reused_line(event),)
        case Waiting():
            return (waiting_line(event),)
        case Warned():
            return (show_text(line("warning", text=event.text)),)
        case Failed(pointer, error):
            return (show_text(line("failed", name=tally.name(pointer.oid), error=error)),)
        case Faulted(endpoint, error) if loud:
            text = str(error)
            return (show_text(text if endpoint in text else line("faulted", endpoint=endpoint, error=text)),)
        case Demoted(endpoint, what, reason) if loud:
            return (show_text(line("demoted", endpoint=endpoint, what=what, reason=reason)),)
        case Verified(pointer) if loud:
            return (line("verified", name=tally.name(pointer.oid), size=show_size(pointer.size)),)
        case Shared():
            return (shared_line(event),)
        case Finished(report):
            return report_lines(report)
        case _:
            return ()


class Lines:
    """Says what happens, and every ``interval`` seconds how far it is; ``None`` leaves that out.

    Lines come only with events: there is no thread, and ``clock`` is read when something happens.
    """

    def __init__(
        self,
        say: Callable[[str], None],
        *,
        clock: Callable[[], float],
        verbosity: Verbosity = Verbosity.NORMAL,
        interval: float | None = INTERVAL_SECONDS,
    ) -> None:
        self._say = say
        self._clock = clock
        self._verbosity = verbosity
        self._interval = interval
        self._tally = Tally()
        self._last = clock()
        self._waited = ("", float("-inf"))
        """Why, and when a line last said so."""

    def __call__(self, event: Event) -> None:
        now = self._clock()
        again = isinstance(event, Planned) and self._tally.plan is not None
        again = again or (isinstance(event, Waiting) and self._is_known(event, now))
        self._tally.note(event, now)
        for text in () if again else spoken(event, self._tally, self._verbosity):
            self._say(text)
        if self._interval is not None and now - self._last >= self._interval:
            self._tell_progress(event, now)

    def _is_known(self, event: Waiting, now: float) -> bool:
        """Whether a line has said this lately."""
        reason, said_at = self._waited
        if event.reason == reason and now - said_at < WAITING_SECONDS:
            return True
        self._waited = (event.reason, now)
        return False

    def _tell_progress(self, event: Event, now: float) -> None:
        tally = self._tally
        if isinstance(event, Working):
            self._say(working_line(event))
        elif tally.plan is not None and not isinstance(event, Waiting | Finished):
            self._say(line("progress", summary=tally.summary(now), done=tally.done, objects=tally.plan.objects))
        else:
            return
        self._last = now

    def close(self) -> None:
        """Nothing to put right."""
