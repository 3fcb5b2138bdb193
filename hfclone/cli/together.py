"""Keeps the program's threads on one core while many small objects come.

Why so: there is one interpreter, and of a small object each call of the system hands it from thread to
thread. Where the next thread sleeps on another core, that core has to be woken each time: 5,000 objects of
20 kB took half as long again on two cores as on one, and twice the processor time. The program is ours, so
its threads may be told where to run; of a library's caller that could not be said.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from hfclone.events import Event, Position, Verified

__all__ = ["Together"]

MANY = 100
"""Objects a second that are many."""
WATCHED = 0.25
"""Seconds over which they are counted."""
LET_GO = 2.0
"""Seconds after which the threads may go where they want for a moment: the core may have become another's, too."""
_TASKS = Path("/proc/self/task")


class Together:
    """Hears a run's events, on the thread that it belongs to. Does nothing where the system cannot (it is Linux's)."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") and _TASKS.exists() else set()
        self._since = self._kept_since = now()
        self._small = 0
        self._is_kept = self._has_large = False

    def note(self, event: Event) -> None:
        """Keep the threads together, or let them go, by what has come of late."""
        if len(self._cores) < 2:
            return
        self._small += isinstance(event, Verified)
        self._has_large |= isinstance(event, Position)  # of those that come in one piece, none is told
        elapsed = self._now() - self._since
        if elapsed >= WATCHED:
            self._judge(are_many=self._small >= MANY * elapsed and not self._has_large)

    def let_go(self) -> None:
        """Every thread may run wherever it might before."""
        if self._is_kept:
            self._is_kept = False
            _keep_on(self._cores)

    def _judge(self, *, are_many: bool) -> None:
        now = self._now()
        self._since, self._small, self._has_large = now, 0, False
        if not are_many or (self._is_kept and now - self._kept_since >= LET_GO):
            self.let_go()
        elif not self._is_kept:
            self._is_kept, self._kept_since = True, now
            _keep_on({_current_core(self._cores)})


def _keep_on(cores: Iterable[int]) -> None:
    """Of all threads that there are; what they start follows them."""
    for task in _TASKS.iterdir():
        with suppress(OSError):  # it has just ended, or this is not allowed here
            os.sched_setaffinity(int(task.name), cores)


def _current_core(cores: Iterable[int]) -> int:
    """Where this thread runs (proc(5), ``stat``, field 39), if that is one of ``cores``."""
    with suppress(OSError, ValueError, IndexError):
        fields = Path("/proc/thread-self/stat").read_text("ascii", "replace").rpartition(")")[2].split()
        if int(fields[36]) in cores:
            return int(fields[36])
    return min(cores)
