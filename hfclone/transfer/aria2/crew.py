"""Threads for what takes its time (asking, proving, hashing), so that aria2c is looked after meanwhile."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from hfclone.errors import LimitReached
from hfclone.limits import start_thread
from hfclone.wording import phrase

__all__ = ["Crew"]

T = TypeVar("T")
STOP_SECONDS = 0.5


class Stopped(Exception):
    """The crew is being sent home."""


class Crew:
    """Jobs run on threads; what becomes of them is told on the caller's thread, in ``collect``."""

    def __init__(self, size: int) -> None:
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._stopped = False
        self.read = 0
        """Bytes that jobs have read: that is work, also where nothing arrives."""
        self._counting = threading.Lock()
        started = (start_thread(self._run) for _ in range(size))
        self._threads = [thread for thread in started if thread is not None]
        if not self._threads:  # else those that there are do
            raise LimitReached("tasks", phrase("no-thread"))

    def submit(self, work: Callable[[], T], then: Callable[[T], None], on_stop: Callable[[], None]) -> None:
        """Run ``work`` on a thread and hand its result to ``then``; ``on_stop`` in place of it after a stop.

        What ``work`` raises is raised from ``collect``.
        """

        def job() -> None:
            try:
                result = work()
            except BaseException as error:  # noqa: BLE001  # raised again on the caller's thread
                self._done.put(_raising(error))
            else:
                self._done.put(lambda: then(result))
            if self._stopped:
                on_stop()

        self._jobs.put(job)

    def collect(self, timeout: float) -> None:
        """Wait up to ``timeout`` seconds for a job to end; deal with all that have ended."""
        try:
            tell: Callable[[], Any] = self._done.get(timeout=timeout)
            while True:
                tell()
                tell = self._done.get_nowait()
        except queue.Empty:
            return

    def note_bytes(self, count: int) -> None:
        """For jobs that read: says that they are at work. Raises Stopped when they are not to go on."""
        with self._counting:
            self.read += count
        if self._stopped:
            raise Stopped

    def dismiss(self) -> bool:
        """Send everybody home, within half a second; whether they went."""
        self._stopped = True
        for _ in self._threads:
            self._jobs.put(None)
        deadline = time.monotonic() + STOP_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None and not self._stopped:
            job()


def _raising(error: BaseException) -> Callable[[], None]:
    def tell() -> None:
        raise error

    return tell
