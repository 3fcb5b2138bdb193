"""What an exchange is held by while it lasts: another thread can break it, and the one that reads looks ahead."""

from __future__ import annotations

import contextlib
import math
import socket
import ssl
import time

from hfclone.http.pool import is_readable

__all__ = ["AbortHandle"]

LONGEST_LULLS = 0.05
"""Seconds for which breaks are waited out: what a kill may cost a connection."""


class AbortHandle:
    """What another thread can break an exchange by, from the moment its request is out.

    ``silence`` is for exchanges that wait less long for a byte than ``Limits`` has it, ``longest`` for those whose
    whole body must be here so soon; both in seconds.
    """

    def __init__(self, silence: float = math.inf, longest: float = math.inf) -> None:
        self.silence = silence
        self.longest = longest
        self.due = math.inf
        """Monotonic time by which the exchange must be further: ``Web`` breaks it off then."""
        self.late = False
        """It was not."""
        self.sent_at: float | None = None
        """Monotonic time at which there was a connection, and the request could go out."""
        self.until = math.inf
        """Monotonic time beyond which the thread that reads waits for nothing more over the connection."""
        self._socket: socket.socket | None = None
        self._broken = False

    def hold(self, connected: socket.socket | None, within: float = math.inf) -> None:
        """The exchange goes on over ``connected``, for ``within`` seconds since its first; ``None``: it is over."""
        now = time.monotonic()
        self.due = min(self.due, now + within)
        if connected is not None:
            self.sent_at = self.sent_at or now
        self.until = math.inf
        self._socket = connected
        if self._broken:
            self.abort()

    @property
    def is_held(self) -> bool:
        """Whether there is a connection now, for the request or for the body of its answer."""
        return self._socket is not None

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection, and the request is on its way or answered."""
        return self.sent_at is not None

    @property
    def is_broken(self) -> bool:
        """Whether it has been broken off."""
        return self._broken

    def is_quiet(self, seconds: float) -> bool:
        """Whether nothing comes for ``seconds``; ends as soon as something does. For the thread that reads."""
        return self._comes_within(seconds) is False

    def take(self, view: memoryview, lull: float) -> int:
        """Fill ``view`` with what is here and what comes without a break of ``lull`` seconds; how many bytes.

        What is wrong with the connection shows at the next receive. For the thread that reads.
        """
        held = self._socket
        if not isinstance(held, socket.socket):
            return 0
        timeout, got, until = held.gettimeout(), 0, time.monotonic() + LONGEST_LULLS
        with contextlib.suppress(OSError):
            held.settimeout(0)
            try:
                while got < len(view):
                    try:
                        received = held.recv_into(view[got:])
                    except (BlockingIOError, ssl.SSLWantReadError):
                        if not lull or time.monotonic() > until or not self._comes_within(lull):
                            break
                        continue
                    if not received:
                        break
                    got += received
            finally:
                held.settimeout(timeout)
        return got

    def _comes_within(self, seconds: float) -> bool | None:
        """Whether something comes; ``None`` where that cannot be seen."""
        held = self._socket
        if not isinstance(held, socket.socket):
            return None  # TLS within TLS has more places where bytes may lie
        pending = getattr(held, "pending", None)  # of TLS: decrypted already, so the socket does not show it
        try:
            return bool(pending is not None and pending()) or is_readable(held, seconds)
        except (OSError, ValueError):  # broken or closed: the next read tells
            return None

    def hurry(self, seconds: float) -> None:
        """Wait no longer than so for all that is still to be received. For the thread that reads."""
        self.until = time.monotonic() + seconds
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.settimeout(seconds)

    def abort_as_late(self) -> None:
        """Break it off since it is overdue. From any thread."""
        self.late = True  # before whoever waits is woken
        self.abort()

    def abort(self) -> None:
        """Wake whoever waits for bytes of the exchange: nothing more will come. From any thread."""
        self._broken = True  # before the socket is looked at: whoever holds it later sees this
        held = getattr(self._socket, "socket", self._socket)  # TLS within TLS, through a proxy: around a socket
        if held is not None:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(held, socket.SHUT_RDWR)  # the base class: SSLSocket's own drops its state
