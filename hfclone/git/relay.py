"""A proxy of our own on this machine, for git's way to a proxy that speaks TLS.

Why so: TLS to a proxy, and TLS to the hub within it, is what many a git cannot do (Debian's libcurl with
GnuTLS stalls). Our requests can, so git is given a plain proxy on 127.0.0.1 that speaks TLS for it. It
opens tunnels alone (``CONNECT``): what goes through is git's own TLS with the hub, and nothing is read.
Plain http through such a proxy is TLS once, and git does that by itself.

It lives as long as one call of git's, in a thread with an event loop: tunnels are many and mostly wait,
and a TLS connection is not for two threads.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import ssl
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from hmac import compare_digest
from urllib.parse import unquote_to_bytes, urlsplit

from hfclone.errors import GitFailed, GitUnconnected, LimitReached
from hfclone.http import CONNECT_SECONDS, PROXY_WANTS_PASSWORD, SHARED, reason_of
from hfclone.limits import start_thread
from hfclone.wording import phrase

__all__ = ["Relay", "relayed"]

_USER = "hfclone"
_PORT = 443
_MOST_HEAD = 64 * 1024
"""Bytes of a request's or an answer's head."""
_BLOCK = 64 * 1024
_HEAD_SECONDS = 10.0
"""Until a client has said what it wants."""
_TUNNEL_SECONDS = 20.0
"""Until the proxy has opened a tunnel; git itself gives up after 30, and does not know why."""
_FAREWELL_SECONDS = 2.0
"""Until the proxy has taken what was sent to it last."""
_OURS = (b"proxy-authorization:", b"proxy-connection:", b"connection:")
"""Fields of a request that are for the relay."""


@contextmanager
def relayed(proxy: str, tls: Callable[[], ssl.SSLContext]) -> Iterator[Sequence[tuple[str, str]]]:
    """The configuration of a git that goes through a relay to ``proxy``; ``tls`` as ``Relay`` has it.

    Raises:
        GitFailed: as it was; where ``proxy`` let nobody through, with the reason in place of git's words.
        GitUnconnected: no address of the proxy answers.
    """
    parts = urlsplit(proxy)
    host, port = parts.hostname or "", parts.port or _PORT
    try:
        address = SHARED.first(host, port, CONNECT_SECONDS)
    except OSError as error:
        raise GitUnconnected("fetch", 0, reason_of(error), parts.netloc.rpartition("@")[2]) from error
    with Relay(proxy, tls, address) as relay:
        config = (
            ("http.proxy", relay.url),
            ("http.proxyAuthMethod", "basic"),
            # Git offers what worked to the user's helpers, and they would keep it.
            (f"credential.{relay.address}.helper", ""),
        )
        try:
            yield config
        except GitFailed as error:
            if not relay.trouble:
                raise
            SHARED.forget(host, port)
            raise GitFailed(error.command, error.status, relay.trouble, relay.proxy_name) from error


class Relay:
    """Listens on 127.0.0.1 from ``with`` on, for whoever knows the password in ``url``.

    ``proxy`` is an https URL, with the user's password where it wants one; ``tls`` says whom to believe, and is
    asked in the relay's thread, by each tunnel. It is reached at ``address``, if that is not empty.
    A tunnel in which no byte moves for ``idle`` seconds is closed, as is one whose other end has gone.
    """

    def __init__(
        self, proxy: str, tls: Callable[[], ssl.SSLContext], address: str = "", *, idle: float = 120.0
    ) -> None:
        parts = urlsplit(proxy)
        self._host, self._port = parts.hostname or "", parts.port or _PORT
        self._address = address or self._host
        self.proxy_name = parts.netloc.rpartition("@")[2]
        self._upstream_login = _basic(*(unquote_to_bytes(part or "") for part in (parts.username, parts.password)))
        self._tls, self._idle = tls, idle
        self._password = secrets.token_urlsafe()
        self._login = _basic(_USER.encode(), self._password.encode())
        self._clients: dict[asyncio.Task[None], socket.socket] = {}
        self.trouble = ""
        """Why the proxy let the last one through that it did not; empty if there was none."""

    def __enter__(self) -> Relay:
        """Listen at once."""
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._listener.setblocking(False)  # noqa: FBT003  # as the loop wants it
        self.address = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._loop = asyncio.new_event_loop()
        self._ended = asyncio.Event()
        thread = start_thread(self._run, "hfclone-relay")
        if thread is None:
            self._listener.close()
            self._loop.close()
            raise LimitReached("tasks", phrase("no-thread"))
        self._thread = thread
        return self

    def __exit__(self, *_: object) -> None:
        """Close the port and every tunnel."""
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join()

    @property
    def url(self) -> str:
        """What a client is told, with the password."""
        scheme, _, host = self.address.partition("//")
        return f"{scheme}//{_USER}:{self._password}@{host}"

    def _run(self) -> None:
        with self._listener:
            try:
                self._loop.run_until_complete(self._listen())
            finally:
                self._loop.close()

    async def _listen(self) -> None:
        tasks = [self._loop.create_task(each) for each in (self._ended.wait(), self._accept())]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        everything = [*tasks, *self._clients]
        for task in everything:
            task.cancel()
        await asyncio.gather(*everything, return_exceptions=True)

    async def _accept(self) -> None:
        """Each client has a task of its own, with whose end its connection is closed."""

        def forget(task: asyncio.Task[None]) -> None:
            self._clients.pop(task).close()

        while True:
            connection, _address = await self._loop.sock_accept(self._listener)
            task = self._loop.create_task(self._answer(connection))
            self._clients[task] = connection
            task.add_done_callback(forget)

    async def _answer(self, connection: socket.socket) -> None:
        reader, client = await asyncio.open_connection(sock=connection, limit=_MOST_HEAD)
        try:
            await self._serve(reader, client)
            client.close()
            await client.wait_closed()  # what it has not taken yet
        except OSError:
            return  # it went away
        finally:
            client.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        try:
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), _HEAD_SECONDS)
        except (EOFError, asyncio.LimitOverrunError, asyncio.TimeoutError):
            return
        first, *fields = head.rstrip(b"\r\n").split(b"\r\n")
        given = [field.partition(b":")[2].strip() for field in fields if field.lower().startswith(_OURS[0])]
        if not any(compare_digest(login, self._login) for login in given):
            client.write(_answer_of("407 Proxy Authentication Required", "Proxy-Authenticate: Basic realm=hfclone\r\n"))
        elif not first.startswith(b"CONNECT "):
            client.write(_answer_of("405 Method Not Allowed", "Allow: CONNECT\r\n"))
        else:
            await self._tunnel(reader, client, [first, *(f for f in fields if not f.lower().startswith(_OURS))])

    async def _tunnel(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter, request: list[bytes]) -> None:
        try:
            opened = await asyncio.wait_for(self._open(request), _TUNNEL_SECONDS)
        except (OSError, EOFError, asyncio.LimitOverrunError, asyncio.TimeoutError, _Refused) as error:
            self.trouble = _why(error)
            client.write(_answer_of("502 Bad Gateway", body=self.trouble))
            return
        upstream_reader, upstream = opened
        try:
            client.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await self._carry((reader, upstream), (upstream_reader, client))
            upstream.close()
            with suppress(OSError, asyncio.TimeoutError):
                await asyncio.wait_for(upstream.wait_closed(), _FAREWELL_SECONDS)
        finally:
            upstream.transport.abort()

    async def _open(self, request: list[bytes]) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A tunnel of the proxy's; ``request`` is what the client asks for, without a login."""
        reader, writer = await asyncio.open_connection(
            self._address, self._port, ssl=self._tls(), server_hostname=self._host, limit=_MOST_HEAD
        )
        try:
            login = [b"Proxy-Authorization: " + self._upstream_login] if self._upstream_login else []
            writer.write(b"\r\n".join([*request, *login, b"", b""]))
            status = (await reader.readuntil(b"\r\n\r\n")).split(b" ", 2)[1:2]
            if not status or not status[0].startswith(b"2"):
                raise _Refused(int(status[0]) if status and status[0].isdigit() else 0)
        except BaseException:
            writer.transport.abort()
            raise
        return reader, writer

    async def _carry(self, *ways: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> None:
        """Bytes both ways, until one side has ended or nothing has moved for long."""
        latest = self._loop.time()

        async def copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            nonlocal latest
            while data := await source.read(_BLOCK):
                latest = self._loop.time()
                sink.write(data)
                await sink.drain()

        tasks = [self._loop.create_task(copy(*way)) for way in ways]
        try:
            done: set[asyncio.Task[None]] = set()
            while not done and (left := latest + self._idle - self._loop.time()) > 0:
                done, _ = await asyncio.wait(tasks, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


class _Refused(Exception):
    """The proxy opens no tunnel, with an HTTP status; 0 is no HTTP."""


def _basic(user: bytes, password: bytes) -> bytes:
    """The value of an Authorization field; empty for nobody."""
    return b"Basic " + b64encode(user + b":" + password) if user else b""


def _answer_of(status: str, fields: str = "", body: str = "") -> bytes:
    text = body.encode("ascii", "replace")
    return f"HTTP/1.1 {status}\r\n{fields}Content-Length: {len(text)}\r\nConnection: close\r\n\r\n".encode() + text


def _why(error: Exception) -> str:
    """Why there is no tunnel, in the words that our own requests have for it."""
    if isinstance(error, _Refused):
        status: int = error.args[0]
        return phrase("asks-for-password") if status == PROXY_WANTS_PASSWORD else phrase("no-tunnel", status=status)
    if isinstance(error, asyncio.TimeoutError):
        return phrase("no-connection-in-time")
    if isinstance(error, ConnectionError) and error.errno:
        return os.strerror(error.errno)  # asyncio's own text repeats the address
    if isinstance(error, (EOFError, asyncio.LimitOverrunError, ConnectionError)):
        return phrase("does-not-answer")
    return reason_of(error)
