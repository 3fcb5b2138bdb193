"""Bars on a terminal: one line for the whole, one for each active object. The only user of tqdm."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TextIO

from tqdm import tqdm

from hfclone.cli.lines import spoken
from hfclone.cli.tally import Tally
from hfclone.cli.words import columns, cut, fit, show_size, working_line
from hfclone.events import Event, Failed, Finished, Planned, Position, Started, Verified, Waiting, Working
from hfclone.pointer import Oid
from hfclone.settings import Verbosity
from hfclone.wording import line

__all__ = ["Bars"]

MAX_OBJECTS = 6
"""Lines for objects; with more connections than this nobody reads them all."""
MIN_BAR = 5
"""Columns below which a bar says nothing."""
NARROW = 50
"""Columns below which the line of the whole stands alone."""
REDRAW_SECONDS = 0.1


class _Line(tqdm):  # type: ignore[type-arg]  # generic in the stubs alone
    """One line of the screen whose text is ours; tqdm keeps its place and moves the cursor."""

    monitor_interval = 0  # no thread
    text = ""

    def __str__(self) -> str:
        return self.text


class Bars:
    """Draws on ``stream`` at most ten times a second, and only when an event comes.

    ``width`` is asked for at each redraw, so that a resized window is filled.
    """

    def __init__(
        self,
        stream: TextIO,
        *,
        clock: Callable[[], float],
        width: Callable[[], int],
        verbosity: Verbosity = Verbosity.NORMAL,
    ) -> None:
        self._stream = stream
        self._clock = clock
        self._width = width
        self._verbosity = verbosity
        self._tally = Tally()
        self._lines: list[_Line] = []
        self._slots: list[Oid | None] = [None] * MAX_OBJECTS
        self._note = ""
        self._drawn = float("-inf")
        _Line.set_lock(threading.RLock())  # tqdm's own default would make a semaphore between processes

    def __call__(self, event: Event) -> None:
        now = self._clock()
        again = isinstance(event, Planned) and self._tally.plan is not None
        self._tally.note(event, now)
        self._note = self._remark(event)
        if isinstance(event, Finished):
            self.close()
        if not again and not isinstance(event, Waiting):
            self._say(spoken(event, self._tally, self._verbosity))
        if isinstance(event, Finished):
            return
        if now - self._drawn >= REDRAW_SECONDS or isinstance(event, Planned | Waiting):
            self._drawn = now
            self._draw(now)

    def close(self) -> None:
        """Wipe the lines; what was said above them stays."""
        while self._lines:
            self._lines.pop().close()

    def _remark(self, event: Event) -> str:
        """What stands in place of the bar of the whole: work before the plan, and waits."""
        match event:
            case Waiting():
                return spoken(event, self._tally, self._verbosity)[0]
            case Working():
                return working_line(event)
            case Started() | Position() | Verified() | Failed() | Planned():
                return ""
            case _:
                return self._note

    def _say(self, lines: tuple[str, ...]) -> None:
        for text in lines:
            _Line.write(text, file=self._stream)

    def _draw(self, now: float) -> None:
        width = self._width()
        if self._note:
            self._show(0, cut(self._note, width - 1))
        elif self._tally.plan is not None:
            self._show(0, self._whole(width, now))
        if width >= NARROW and self._tally.plan is not None:
            self._draw_objects(width)

    def _draw_objects(self, width: int) -> None:
        self._fill_slots()
        for index, oid in enumerate(self._slots, start=1):
            if oid is not None:
                self._show(index, self._object(oid, width))
            elif index < len(self._lines):
                self._show(index, "")

    def _fill_slots(self) -> None:
        """Objects keep their line while they are active; a free line goes to the oldest that has none."""
        active = self._tally.active
        kept = [oid if oid in active else None for oid in self._slots]
        waiting = (oid for oid in active if oid not in kept)
        self._slots = [next(waiting, None) if oid is None else oid for oid in kept]

    def _show(self, index: int, text: str) -> None:
        while len(self._lines) <= index:
            # The size is given, since tqdm draws nothing on a terminal that says it has none (0 x 0).
            place, rows = len(self._lines), MAX_OBJECTS + 3
            added = _Line(file=self._stream, leave=False, position=place, bar_format="", ncols=MIN_BAR, nrows=rows)
            self._lines.append(added)
        shown = self._lines[index]
        shown.text = text
        shown.refresh()

    def _whole(self, width: int, now: float) -> str:
        tally = self._tally
        right = tally.summary(now)
        if tally.plan:
            right = line("bar", summary=right, done=tally.done, objects=tally.plan.objects)
        return _meter("", tally.position, tally.total, right, width)

    def _object(self, oid: Oid, width: int) -> str:
        tally = self._tally
        received, size = tally.received.get(oid, 0), tally.sizes.get(oid, 0)
        name = fit(tally.name(oid), max(12, width // 3))
        return _meter(
            f"{name} ", received, size, line("bar object", done=show_size(received), size=show_size(size)), width
        )


def _meter(left: str, done: int, total: int, right: str, width: int) -> str:
    """``left 45%|####    | right``; on a terminal too narrow for a bar, the text alone."""
    share = min(1.0, done / total) if total else 1.0
    text = f"{left}{int(share * 100):3d}%"
    room = width - 1 - len(right) - 3 - columns(text)
    if room < MIN_BAR:
        return cut(f"{text} {right}", width - 1)
    filled = int(share * room)
    return f"{text}|{'#' * filled}{' ' * (room - filled)}| {right}"
