"""Connections, and those of them that are idle: kept to be used again, as long as nothing stirs on them."""

from __future__ import annotations

import mmap
import selectors
import socket
import ssl
import sys
import threading
import weakref

__all__ = ["KEPT_HOSTS", "LONGEST_HEAD", "READ_BYTES", "Connection", "ConnectionPool", "Key", "is_readable"]

READ_BYTES = 1024 * 1024
"""At most so much a receive: with 8 KiB or 10 MiB it takes five times the CPU; with a quarter of it, a tenth more."""
LONGEST_HEAD = 64 * 1024
"""What is longer is http.client's to judge."""
MOST_OF_A_HOST = 256
"""Idle connections kept for each host; more than anybody opens."""
KEPT_HOSTS = 16
"""Hosts whose connections are kept: a mirror may name a new one for each object, and each would cost files."""
_Selector: type[selectors.BaseSelector] = getattr(selectors, "PollSelector", selectors.SelectSelector)
"""One that opens no file of its own, and takes descriptors of any number where there is such."""


Key = tuple[str, str, int, str]
"""The scheme, the host, its port, and the proxy (empty for none) that a connection was made for."""


class Connection:
    """A socket and a buffer for what it receives. One exchange uses it at a time."""

    def __init__(self, held: socket.socket, key: Key, peer: str) -> None:
        self.socket = held
        self.key = key
        self.peer = peer
        """The address at its other end; empty behind a proxy."""
        self.buffer = _new_buffer()
        self.came = 0
        """Bytes in it of the answer's beginning, and of provisional answers before it."""
        self.begins = 0
        """Where in it the answer begins."""

    def close(self) -> None:
        """Once or more."""
        self.socket.close()

    @property
    def is_still(self) -> bool:
        """Whether nothing has come that nobody asked for: neither bytes nor the end.

        What TLS says of itself is neither. The connection's timeout is to be set anew.
        """
        try:
            self.socket.settimeout(0)
            self.socket.recv(1)
        except (BlockingIOError, ssl.SSLWantReadError):
            return True
        except OSError:
            return False
        return False


class ConnectionPool:
    """Idle connections. For all threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: dict[Key, list[Connection]] = {}
        self._end = weakref.finalize(self, _close_all, self._idle)  # for whoever is dropped without being closed
        self._is_closed = False

    def take(self, key: Key) -> Connection | None:
        """One that can be used again, if there is one; it is the caller's then."""
        while True:
            with self._lock:
                idle = self._idle.get(key)
                if not idle:
                    return None
                found = idle.pop()
            if found.is_still:
                return found
            found.close()

    def give(self, connection: Connection) -> None:
        """Keep it, or close it where there are too many, or all has been closed."""
        surplus: list[Connection] = []
        with self._lock:
            idle = self._idle.pop(connection.key, [])
            self._idle[connection.key] = idle  # whoever was used last is dropped last
            (surplus if self._is_closed or len(idle) >= MOST_OF_A_HOST else idle).append(connection)
            while len(self._idle) > KEPT_HOSTS:
                surplus += self._idle.pop(next(iter(self._idle)))
        for each in surplus:
            each.close()

    def close(self) -> None:
        """Close all, and whatever is given from now on."""
        with self._lock:
            self._is_closed = True
            self._end()


def _close_all(idle: dict[Key, list[Connection]]) -> None:
    for each in idle.values():
        for connection in each:
            connection.close()
    idle.clear()


def is_readable(held: socket.socket, seconds: float) -> bool:
    """Whether something comes within ``seconds``, or the end. Raises OSError, ValueError where it is closed."""
    with _Selector() as selector:
        selector.register(held, selectors.EVENT_READ)
        return bool(selector.select(seconds))


def _new_buffer() -> mmap.mmap:
    """``LONGEST_HEAD + READ_BYTES``, of which memory is taken where something was received."""
    size = LONGEST_HEAD + READ_BYTES
    if sys.platform == "win32":
        return mmap.mmap(-1, size)
    return mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
