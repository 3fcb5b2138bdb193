"""Signals that end a run, as an exception in the main thread, so that everything unwinds."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["Ended", "ending_signals"]

_NAMES = ("SIGTERM", "SIGHUP")  # Windows has no SIGHUP


class Ended(BaseException):
    """A signal asked the process to end. Not an ``Exception``: nothing may take it for a failure."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number

    @property
    def exit_code(self) -> int:
        """As a shell has it."""
        return 128 + self.number


def _end(number: int, _frame: FrameType | None) -> None:
    # A second signal finds the system's own handler, should the unwinding ever hang.
    signal.signal(number, signal.SIG_DFL)
    raise Ended(number)


@contextmanager
def ending_signals() -> Iterator[None]:
    """Raise ``Ended`` for SIGTERM and SIGHUP within; a signal that is ignored (``nohup``) stays so."""
    numbers = [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in numbers}
    caught = [number for number, handler in before.items() if handler is not signal.SIG_IGN]
    for number in caught:
        signal.signal(number, _end)
    try:
        yield
    finally:
        for number in caught:
            signal.signal(number, before[number] or signal.SIG_DFL)
