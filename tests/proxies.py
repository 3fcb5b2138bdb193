"""Real proxies on 127.0.0.1 that write down what went through them, and TLS in front of a port.

Names that end in ``.test`` are this machine for a proxy and for nobody else: what such a name answers
has come through it.
"""

from __future__ import annotations

import base64
import contextlib
import io
import itertools
import selectors
import socket
import ssl
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, TypeVar, cast
from urllib.parse import urlsplit

_Proxy = TypeVar("_Proxy", bound="Proxy")
PATIENCE = 60.0
"""Seconds after which a connection that says nothing is given up."""
_MOST_HEAD = 65536
_WHO = (
    b"HTTP/1.1 407 Who are you\r\nProxy-Authenticate: Basic realm=x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
)


class Refused(Exception):
    """The client does not get through; it has been told."""


@dataclass(frozen=True, slots=True)
class Passed:
    """One request through a proxy: ``CONNECT`` or an HTTP method, and whom the client asked for."""

    method: str
    host: str
    port: int
    agent: str = field(default="", compare=False)
    """What the client calls itself; not in SOCKS."""


@dataclass
class Proxy:
    """A listening proxy; ``login`` is ``user:password`` where it asks for one. A context manager.

    An HTTP proxy answers 403 to an agent whose name begins with ``unwanted``.
    """

    login: str = ""
    tls: ssl.SSLContext | None = None
    unwanted: str = ""
    passed: list[Passed] = field(default_factory=list)
    refused: int = 0

    def __post_init__(self) -> None:
        """Listen at once."""
        self._listener = _Listener(self._serve, self.tls)
        self.port = self._listener.port

    @property
    def accepted(self) -> int:
        """Connections so far."""
        return self._listener.accepted

    @property
    def open(self) -> int:
        """Connections that are open now."""
        return len(self._listener.open)

    def wait_for(self, true: Callable[[], bool]) -> None:
        """Wait until it is so: what a client closes is seen a moment later."""
        deadline = time.monotonic() + PATIENCE
        while not true():
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def __enter__(self: _Proxy) -> _Proxy:
        """Listening already."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self._listener.close()

    def _serve(self, client: socket.socket) -> None:
        """Deal with one connection."""
        try:
            upstream = self._open(client)
        except Refused:
            self.refused += 1
            return
        with upstream:
            pump(client, upstream)

    def _open(self, client: socket.socket) -> socket.socket:
        raise NotImplementedError

    def _knows(self, fields: Mapping[str, str]) -> bool:
        """Whether an HTTP request has the login that is asked for."""
        wanted = f"Basic {base64.b64encode(self.login.encode()).decode()}"
        return not self.login or fields.get("proxy-authorization") == wanted

    def _connect(self, method: str, host: str, port: int, agent: str = "") -> socket.socket:
        self.passed.append(Passed(method, host, port, agent))
        address = "127.0.0.1" if host.endswith(".test") else host
        return socket.create_connection((address, port), timeout=PATIENCE)


class HttpProxy(Proxy):
    """CONNECT, and requests with a whole URL; one request a connection."""

    def _open(self, client: socket.socket) -> socket.socket:
        head, rest = _read_head(client)
        first, *lines = head.decode("latin-1").split("\r\n")
        method, target, version = first.split(" ")
        fields = _fields(lines)
        if not self._knows(fields):
            client.sendall(_WHO)
            raise Refused
        agent = fields.get("user-agent", "")
        if self.unwanted and agent.startswith(self.unwanted):
            client.sendall(b"HTTP/1.1 403 Not you\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            raise Refused
        if method == "CONNECT":
            host, _, port = target.rpartition(":")
            upstream = self._connect(method, host.strip("[]"), int(port), agent)
            client.sendall(b"HTTP/1.1 200 Go on\r\n\r\n")
            upstream.sendall(rest)
            return upstream
        url = urlsplit(target)
        upstream = self._connect(method, url.hostname or "", url.port or 80, agent)
        path = (url.path or "/") + (f"?{url.query}" if url.query else "")
        kept = [line for line in lines if not line.lower().startswith(("proxy-", "connection:"))]
        text = "\r\n".join([f"{method} {path} {version}", *kept, "Connection: close", "", ""])
        upstream.sendall(text.encode("latin-1") + rest)
        return upstream


class KeepAliveProxy(Proxy):
    """An HTTP proxy that keeps its client's connections, whoever is asked next: as squid, nginx and privoxy do.

    A body is what Content-Length says, of any method; it goes to the host with the rest of its request, and stands
    in ``sent`` under the host's port.
    """

    def __post_init__(self) -> None:
        """Listen at once."""
        self.sent: dict[int, bytes] = {}
        super().__post_init__()

    def _serve(self, client: socket.socket) -> None:
        with client.makefile("rb") as asked:
            while self._one_request(client, asked):
                pass

    def _one_request(self, client: socket.socket, asked: BinaryIO) -> bool:
        lines = [line.decode("latin-1").rstrip("\r\n") for line in _head_lines(asked)]
        if not lines:
            return False
        method, target, version = lines[0].split(" ")
        fields = _fields(lines[1:])
        if not self._knows(fields):
            client.sendall(_WHO.replace(b"close", b"keep-alive"))
            self.refused += 1
            return True
        url = urlsplit(target)
        path = (url.path or "/") + (f"?{url.query}" if url.query else "")
        kept = [line for line in lines[1:] if not line.lower().startswith(("proxy-", "connection:"))]
        head = "\r\n".join([f"{method} {path} {version}", *kept, "Connection: close", "", ""]).encode("latin-1")
        length = int(fields.get("content-length", 0))
        with self._connect(method, url.hostname or "", url.port or 80) as upstream:
            self._hand_over(upstream, head + (asked.read(length) if method == "POST" else b""))
            lives = _relay_answer(upstream, client)
            if method != "POST":  # it may come while the answer does, and later
                self._hand_over(upstream, asked.read(length))
        return lives

    def _hand_over(self, upstream: socket.socket, data: bytes) -> None:
        port = upstream.getpeername()[1]
        self.sent[port] = self.sent.get(port, b"") + data
        with contextlib.suppress(OSError):
            upstream.sendall(data)


def _relay_answer(upstream: socket.socket, client: socket.socket) -> bool:
    """Send on one answer; whether the client's connection can live on after it."""
    with upstream.makefile("rb") as answer:
        kept = [line for line in _head_lines(answer) if not line.lower().startswith(b"connection:")]
        fields = _fields(line.decode("latin-1") for line in kept[1:])
        client.sendall(b"".join(kept) + b"\r\n" if kept else b"")
        for piece in _body(answer, fields):
            client.sendall(piece)
    return "content-length" in fields or "transfer-encoding" in fields


def _body(answer: io.BufferedReader, fields: Mapping[str, str]) -> Iterator[bytes]:
    """The bytes of an answer's body as they stand on the wire."""
    if "transfer-encoding" in fields:
        for line in iter(answer.readline, b""):
            yield line + answer.read(int(line, 16) + 2)
            if not int(line, 16):
                return
    left = int(fields.get("content-length", 1 << 62))
    while left and (piece := answer.read1(min(left, 65536))):
        left -= len(piece)
        yield piece


class SocksProxy(Proxy):
    """SOCKS 5 (RFC 1928), with a user's name and password (RFC 1929) where there is a login."""

    def _open(self, client: socket.socket) -> socket.socket:
        version, count = _read(client, 2)
        methods = _read(client, count)
        method = 2 if self.login else 0
        if version != 5 or method not in methods:
            client.sendall(b"\x05\xff")
            raise Refused
        client.sendall(bytes([5, method]))
        if self.login:
            user = _read(client, _read(client, 2)[1])
            password = _read(client, _read(client, 1)[0])
            right = user + b":" + password == self.login.encode()
            client.sendall(b"\x01\x00" if right else b"\x01\x01")
            if not right:
                raise Refused
        _version, _command, _zero, kind = _read(client, 4)
        if kind == 3:
            host = _read(client, _read(client, 1)[0]).decode()
        else:
            family, size = (socket.AF_INET, 4) if kind == 1 else (socket.AF_INET6, 16)
            host = socket.inet_ntop(family, _read(client, size))
        upstream = self._connect("CONNECT", host, struct.unpack(">H", _read(client, 2))[0])
        client.sendall(b"\x05\x00\x00\x01" + bytes(6))
        return upstream


@contextlib.contextmanager
def tls_front(port: int, context: ssl.SSLContext) -> Iterator[int]:
    """A port that speaks TLS for the plain ``port``."""

    def serve(client: socket.socket) -> None:
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as upstream:
            pump(client, upstream)

    listener = _Listener(serve, context)
    try:
        yield listener.port
    finally:
        listener.close()


def certificate(folder: Path, *names: str, address: str = "127.0.0.1") -> tuple[Path, ssl.SSLContext]:
    """A certificate for ``names`` and ``address``, if any, that signs itself: what to trust, and a server's context."""
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -keyout key.pem -out cert.pem"
    alternatives = ",".join([*([f"IP:{address}"] if address else ()), *(f"DNS:{name}" for name in names)])
    words = [*command.split(), "-addext", f"subjectAltName={alternatives}"]
    subprocess.run(words, cwd=folder, check=True, capture_output=True)
    return folder / "cert.pem", context_of(folder)


def context_of(folder: Path) -> ssl.SSLContext:
    """A server's context with the certificate that was made in ``folder``."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


def pump(client: socket.socket, upstream: socket.socket) -> None:
    """Carry bytes both ways until ``upstream`` has ended. One thread: a TLS connection is not for two."""
    other = {client: upstream, upstream: client}
    with selectors.DefaultSelector() as selector:
        for each in other:
            selector.register(each, selectors.EVENT_READ)
        while ready := selector.select(PATIENCE):
            for key, _events in ready:
                source = cast("socket.socket", key.fileobj)
                if not _carry(source, other[source]):
                    if source is upstream:
                        return
                    selector.unregister(source)
                    upstream.shutdown(socket.SHUT_WR)


def _carry(source: socket.socket, sink: socket.socket) -> bool:
    """Send on all that is there; false at the end."""
    while True:
        source.setblocking(False)
        try:
            data = source.recv(65536)
        except (BlockingIOError, ssl.SSLWantReadError):
            return True
        except ConnectionError:
            return False
        finally:
            source.settimeout(PATIENCE)
        if not data:
            return False
        sink.sendall(data)


class _Listener:
    """Accepts on a port of its own; each connection has a thread."""

    def __init__(self, serve: Callable[[socket.socket], None], tls: ssl.SSLContext | None) -> None:
        self._serve, self._tls = serve, tls
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._socket.getsockname()[1]
        self.open: set[socket.socket] = set()
        self.accepted = 0
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for each in list(self.open):
            with contextlib.suppress(OSError):
                socket.socket.shutdown(each, socket.SHUT_RDWR)
        self._thread.join(PATIENCE)

    def _accept(self) -> None:
        while True:
            try:
                client, _address = self._socket.accept()
            except OSError:
                return
            self.accepted += 1
            threading.Thread(target=self._one, args=(client,), daemon=True).start()

    def _one(self, client: socket.socket) -> None:
        client.settimeout(PATIENCE)
        try:
            if self._tls:
                client = self._tls.wrap_socket(client, server_side=True)
            self.open.add(client)
            self._serve(client)
        except (OSError, EOFError, ValueError):
            return  # the client went away, or was nobody we know
        finally:
            self.open.discard(client)
            client.close()


def _head_lines(stream: BinaryIO) -> list[bytes]:
    """The lines of a head, without the empty one behind it; none at the end of the stream."""
    return list(itertools.takewhile(lambda line: line.strip(), iter(stream.readline, b"")))


def _fields(lines: Iterable[str]) -> dict[str, str]:
    """The headers of a request, by their names in lower case."""
    return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}


def _read(stream: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = stream.recv(count - len(data))
        if not more:
            raise EOFError
        data += more
    return data


def _read_head(stream: socket.socket) -> tuple[bytes, bytes]:
    data = b""
    while b"\r\n\r\n" not in data:
        more = stream.recv(65536)
        if not more or len(data) > _MOST_HEAD:
            raise EOFError
        data += more
    head, _, rest = data.partition(b"\r\n\r\n")
    return head, rest
