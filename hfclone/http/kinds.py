"""Connections of urllib3's with what we add to them.

Each belongs to the exchange that its thread is about: held in its handle, so that another thread can break it off,
and judged by where it leads. Plain answers are read past http.client.
"""

from __future__ import annotations

import functools
import mmap
import socket
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from hfclone.http.abort import AbortHandle
from hfclone.http.plain import PlainResponse, Replayed, new_buffer, receive_head

__all__ = ["CURRENT", "Exchange", "OnPeer", "pool_kind"]

OnPeer = Callable[[str, str], None]
"""Hears a host and the address that it is connected to, through no proxy, before anything is sent; may raise."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """What the current thread is about, for the connection it happens to get."""

    handle: AbortHandle
    on_peer: OnPeer
    silence: float
    """Seconds within which an answer must begin: its head, whole, and those of all redirects before it."""
    connect: Callable[[Any], socket.socket]
    """Makes the socket of a new connection, which has host and port, or its proxy's; raises what urllib3 has for it."""
    first_bytes: int
    """At most so much of the answer is received at once before its head is known; 0: http.client reads it."""


CURRENT: ContextVar[Exchange] = ContextVar("current")
"""The exchange of the thread that runs."""


@functools.cache
def pool_kind(kind: Any, *, direct: bool) -> Any:
    """``kind``, a class of urllib3's pools, over connections with what we add; ``direct``: without a proxy.

    A class and not a pool: urllib3 gives one pool to several hosts, and what we add must be added once.
    """
    connection = _raced(kind.ConnectionCls)
    return type(kind.__name__, (kind,), {"ConnectionCls": _held(_judged(connection) if direct else connection)})


def _held(kind: Any) -> Any:
    """``kind``, with its socket in the current exchange's handle from before the answer on; reads plain ones itself."""
    from http.client import HTTPResponse

    class Held(kind):  # type: ignore[misc]
        buffer: mmap.mmap | None = None

        def _tunnel(self) -> None:
            exchange = CURRENT.get()
            exchange.handle.hold(self.sock, exchange.silence)  # a proxy's answer is one, too
            super()._tunnel()

        def getresponse(self) -> Any:
            exchange = CURRENT.get()
            exchange.handle.hold(self.sock, exchange.silence)
            if not exchange.first_bytes or not isinstance(self.sock, socket.socket):
                return self._getresponse_after(b"")
            self.sock.settimeout(self.timeout)
            self.buffer = self.buffer or new_buffer()
            answer = receive_head(self.sock, self.buffer, exchange.first_bytes)
            if isinstance(answer, PlainResponse):
                _forget_request(self)
                return answer
            return self._getresponse_after(bytes(self.buffer[:answer]))

        def _getresponse_after(self, came: bytes) -> Any:
            made: list[HTTPResponse] = []

            def begun(held: Any, *args: Any, **options: Any) -> HTTPResponse:
                source: Any = Replayed(held, came) if came else held
                made.append(HTTPResponse(source, *args, **options))
                return made[-1]

            self.response_class = begun
            try:
                return super().getresponse()
            except BaseException:
                for each in made:  # urllib3 leaves it open where it does not take its headers
                    each.close()
                raise
            finally:
                del self.response_class  # the class has its own

    return Held


def _forget_request(connection: Any) -> None:
    """Have http.client believe that nothing was asked: the answer was read past it."""
    from http.client import HTTPConnection as Forgetful

    held, connection.sock = connection.sock, None
    Forgetful.close(connection)  # closes what it knows of, which is nothing
    connection.sock = held


def _raced(kind: Any) -> Any:
    """``kind``, whose sockets are made by the current exchange."""

    class Raced(kind):  # type: ignore[misc]
        def _new_conn(self) -> socket.socket:
            return CURRENT.get().connect(self)

    return Raced


def _judged(kind: Any) -> Any:
    """``kind``, whose peer is told to each exchange that uses it: one that is kept was made for somebody else."""

    class Judged(kind):  # type: ignore[misc]
        def _new_conn(self) -> socket.socket:
            made: socket.socket = super()._new_conn()
            self.peer = made.getpeername()[0]
            try:
                CURRENT.get().on_peer(self.host, self.peer)
            except BaseException:
                made.close()
                raise
            return made

        def request(self, *args: Any, **kwargs: Any) -> None:
            if self.sock is not None:
                CURRENT.get().on_peer(self.host, self.peer)
            super().request(*args, **kwargs)

    return Judged
