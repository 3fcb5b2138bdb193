"""An exchange that the caller's thread waits for, and of which its user hears meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from hfclone.errors import Unforeseen

__all__ = ["Attendant"]

T = TypeVar("T")

QUIET_SECONDS = 3.0
"""So long an answer may take before the user hears that it is waited for."""
SAY_SECONDS = 1.0


class Attendant:
    """Calls back on the thread that waits.

    ``on_wait`` hears each second, after the first few, who is waited for and for how many seconds at most;
    ``on_unforeseen`` what nobody foresaw, once for each endpoint.
    """

    def __init__(self, on_wait: Callable[[str, float], None], on_unforeseen: Callable[[Unforeseen], None]) -> None:
        self._on_wait = on_wait
        self._on_unforeseen = on_unforeseen
        self._told: set[str] = set()

    def attend(self, label: str, work: Callable[[], T], seconds: float) -> T:
        """Have ``work``, an exchange with ``label`` of some ``seconds``, done on a thread of its own.

        Why a thread: a name is looked up, a connection made and an answer read by calls that do not return meanwhile.
        One that is left alone (by Ctrl-C, say) ends when its connections are closed.
        """
        results: list[T] = []
        failures: list[BaseException] = []
        done = threading.Event()

        def run() -> None:
            try:
                results.append(work())
            except BaseException as error:  # noqa: BLE001  # raised again on the caller's thread
                failures.append(error)
            finally:
                done.set()

        # A daemon: a thread stuck in a connect must not hold a process that ends.
        threading.Thread(target=run, daemon=True).start()
        waited = QUIET_SECONDS
        if not done.wait(QUIET_SECONDS):
            self._on_wait(label, max(0.0, seconds - waited))
            while not done.wait(SAY_SECONDS):
                waited += SAY_SECONDS
                self._on_wait(label, max(0.0, seconds - waited))
        for failure in failures:
            self._tell(failure)
            raise failure
        return results[0]

    def _tell(self, failure: BaseException) -> None:
        if isinstance(failure, Unforeseen) and failure.endpoint not in self._told:
            self._told.add(failure.endpoint)
            self._on_unforeseen(failure)
