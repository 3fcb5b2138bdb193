"""Requests over connections that are kept alive, which another thread can break."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http.client import HTTPException

from hfclone.errors import Stalled, TooSlow, Unreachable
from hfclone.http.abort import AbortHandle
from hfclone.http.ahead import Ahead
from hfclone.http.connecting import SHARED, Connector
from hfclone.http.failures import reason_of
from hfclone.http.odd import OddResponse
from hfclone.http.plain import PlainResponse, receive_head
from hfclone.http.pool import Connection, ConnectionPool
from hfclone.http.reach import Reach
from hfclone.http.request import head_of, target_of
from hfclone.http.route import Route
from hfclone.http.ways import PROXY_WANTS_PASSWORD, OnPeer, Way, Ways
from hfclone.wording import phrase

__all__ = ["CONNECT_SECONDS", "Connections", "Limits", "Response"]

Response = PlainResponse | OddResponse

CONNECT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds until a connection must stand, and between two receives."""

    connect: float = CONNECT_SECONDS
    silence: float = 20.0


FIRST_BYTES = 64 * 1024
"""The head of an answer and many a small object, received at once."""
FIRST_NARROW_BYTES = 8192
"""The same where no more is to be received than was set aside."""


@dataclass(frozen=True, slots=True)
class _Call:
    """A request, and how its answer is waited for."""

    way: Way
    method: str
    request: bytes
    handle: AbortHandle
    on_peer: OnPeer
    silence: float
    """Seconds within which an answer must begin: its head, whole, and those of all redirects before it."""
    keep: Callable[[Connection], None]
    """Takes the connection when it can be used again."""


class Connections:
    """All connections to everyone, shared by all threads."""

    def __init__(self, route: Route, limits: Limits, connector: Connector = SHARED) -> None:
        self._route = route
        self.limits = limits
        self._ways = Ways(route, connector, limits.connect)
        self._pool = ConnectionPool()
        self._ahead = Ahead()
        self.reaches: dict[str, Reach] = {}
        """Of hosts that the user named, by what they were connected to."""

    def narrow(self, receive_buffer: int) -> None:
        """Let connections made from now on hold no more than so many bytes unread: what lies there has been sent."""
        self._ways.receive_buffer = receive_buffer

    def close(self) -> None:
        """Close those that are idle, and let none be kept any more."""
        self._ahead.close()
        self._pool.close()

    def connect_ahead(self, url: str) -> None:
        """Begin to connect to the host of ``url``, for whoever asks it first; that it fails is told to them."""
        try:
            way, silence = self._ways.to(url), self.limits.silence
        except ValueError:  # whoever asks is told
            return
        # The peer is shown to whoever uses the connection, before anything is sent.
        self._ahead.begin(way.key, lambda handle: self._ways.open(way, handle, lambda *_: None, silence))

    def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
        *,
        label: str,
        handle: AbortHandle,
        on_peer: OnPeer,
    ) -> Response:
        """One request, no redirect followed, nothing of the body read. ``label`` is who is asked, for messages.

        What ``on_peer`` raises ends the request. With the header ``connection: close`` the connection is not kept,
        whatever the far side says.

        Raises:
            Unreachable: no connection, or none that TLS accepts.
            Stalled: connected, but no answer in time; TooSlow: one that comes byte by byte.
        """
        silence = min(handle.silence, self.limits.silence)
        with self._judged(url, label, handle, silence):
            way = self._ways.to(url)
            ours = way.headers if body is None else {**way.headers, "content-length": str(len(body))}
            head = head_of(method, way.prefix + target_of(url), {**ours, **headers, **ours})
            keep = Connection.close if headers.get("connection") == "close" else self._pool.give
            response = self._answer(_Call(way, method, head + (body or b""), handle, on_peer, silence, keep))
        if response.status == PROXY_WANTS_PASSWORD:
            handle.hold(None)  # before its connection is anybody's
            response.close()
            raise Unreachable(label, phrase("asks-for-password"), self._route.proxy_name(url))
        return response

    @contextlib.contextmanager
    def _judged(self, url: str, label: str, handle: AbortHandle, silence: float) -> Iterator[None]:
        """Say what an exception within means to who asks ``url``."""
        try:
            yield
        except (HTTPException, OSError, ValueError) as error:
            if isinstance(error, TimeoutError) and handle.is_held:  # for TLS, which connects, there is no answer yet
                raise Stalled(label, silence) from error
            if handle.late:
                raise TooSlow(label, silence, 0) from error
            raise Unreachable(label, reason_of(error), self._route.proxy_name(url)) from error

    def _answer(self, call: _Call) -> Response:
        """Over a connection that was kept, if there is one: where the far side has closed it meanwhile, over another.

        Only a GET is sent twice, and only where nothing came (RFC 9112, 9.3.1). Behind a proxy that forwards
        it may be the host that closes.
        """
        kept = self._pool.take(call.way.key) or self._ahead.take(call.way.key, self.limits.connect)
        if kept is not None:
            try:
                return self._over(kept, call)
            except OSError as error:
                once = call.method != "GET" or call.way.is_forwarded
                if once or kept.came or call.handle.is_broken or isinstance(error, TimeoutError):
                    raise
                call.handle.hold(None)
        made = self._ways.open(call.way, call.handle, call.on_peer, call.silence)
        return self._over(made, call)

    def _over(self, connection: Connection, call: _Call) -> Response:
        connection.came = connection.begins = 0
        try:
            if connection.peer:  # it was made for somebody else, maybe
                call.on_peer(call.way.named, connection.peer)
            call.handle.hold(connection.socket, call.silence)
            connection.socket.settimeout(call.silence)
            connection.socket.sendall(call.request)
            head = receive_head(connection, FIRST_NARROW_BYTES if self._ways.receive_buffer else FIRST_BYTES)
            if head is not None and head.length is not None:
                return PlainResponse(connection, head, head.length, call.keep)
            # In lines that are not ordinary others may have read something else than http.client does.
            keep = call.keep if head is not None and head.persists else Connection.close
            return OddResponse(connection, call.method, keep)
        except BaseException:
            connection.close()
            raise
