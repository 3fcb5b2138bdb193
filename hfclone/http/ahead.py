"""Connections that are made before anybody asks: by then their round trips are over, one or, with TLS, two or three."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable

from hfclone.http.abort import AbortHandle
from hfclone.http.pool import Connection, Key
from hfclone.limits import start_thread

__all__ = ["Ahead"]

FRESH_SECONDS = 8.0
"""So long it may lie unused: servers wait for a first request for ten seconds and more."""


class Ahead:
    """At most one connection to each host. For all threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._coming: dict[Key, _Coming] = {}
        self._end = weakref.finalize(self, _give_up_all, self._coming)  # for whoever is dropped without being closed

    def begin(self, key: Key, connect: Callable[[AbortHandle], Connection]) -> None:
        """Have ``connect``, whatever it raises, make a connection in a thread of its own, if the system has one."""
        coming = _Coming(connect, self._clock)
        if key not in self._coming and start_thread(coming.run, f"connect {key[1]}") is not None:
            self._coming[key] = coming

    def take(self, key: Key, seconds: float) -> Connection | None:
        """The connection to ``key``, for the first who asks; waited for where it is being made, for ``seconds``.

        Raises:
            TimeoutError: it is not made by then; whatever else it has just failed with.
        """
        coming = self._coming.pop(key, None)
        return None if coming is None else coming.result(seconds)

    def close(self) -> None:
        """Close those that nobody asked for."""
        self._end()


def _give_up_all(coming: dict[Key, _Coming]) -> None:
    for key in list(coming):
        each = coming.pop(key, None)  # somebody takes it meanwhile, maybe
        if each is not None:
            each.give_up()


class _Coming:
    def __init__(self, connect: Callable[[AbortHandle], Connection], clock: Callable[[], float]) -> None:
        self._connect = connect
        self._clock = clock
        self._handle = AbortHandle()
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._made: Connection | None = None
        self._at = 0.0
        self._error: Exception | None = None
        self._is_wanted = True

    def run(self) -> None:
        try:
            made = self._connect(self._handle)
        except Exception as error:  # noqa: BLE001  # it is whoever asks that it happens to
            self._error = error
        else:
            with self._lock:
                self._made = made
                if not self._is_wanted:
                    made.close()
        self._at = self._clock()
        self._ended.set()

    def result(self, seconds: float) -> Connection | None:
        if not self._ended.wait(seconds):
            self.give_up()
            raise TimeoutError
        is_fresh = self._clock() - self._at <= FRESH_SECONDS
        if self._error is not None and is_fresh:
            raise self._error
        made = self._made
        if made is not None and is_fresh and made.is_still:
            return made
        self.give_up()
        return None

    def give_up(self) -> None:
        self._handle.abort()  # a proxy may be at its answer for ever
        with self._lock:
            self._is_wanted = False
            if self._made is not None:
                self._made.close()
