"""A small threaded HTTP/1.1 server that counts what it sends and can misbehave to the byte."""

from __future__ import annotations

import contextlib
import enum
import fcntl
import http
import io
import os
import socket
import struct
import termios
import threading
import time
from collections.abc import Callable
from email.utils import formatdate

from .incoming import LINE_LIMIT, read_body, read_headers
from .log import Entry, Log
from .messages import FileBody, Request, Response, text

BACKLOG = 256
SMALL_CHUNK = 4096
SENDFILE_BYTES = 1024 * 1024  # handed over at once; the log is brought up to date in between
DRAIN_SECONDS = 1.0  # how long a reset waits for the bytes sent before it to arrive
SILENT = (204, 304)  # statuses without a body

Handler = Callable[[Request], Response]
Classify = Callable[[str], tuple[str, str]]  # path -> kind, oid


class Reset(Exception):
    """Raised by a fault: end the connection with a TCP reset now."""


class Close(Exception):
    """Raised by a fault: end the connection with an orderly close now."""


class Outage(enum.Enum):
    """How a listener that is down meets new connections."""

    REFUSE = "refuse"
    CLOSE = "accept, then close without a word"
    HANG = "accept, then say nothing"


LOOPBACK = "127.0.0.1"


class Listener:
    """A port of ``address`` with a thread per connection; the port stays the same through outages."""

    def __init__(
        self,
        name: str,
        handler: Handler,
        classify: Classify,
        log: Log,
        *,
        send_buffer: int | None = 64 * 1024,
        address: str = LOOPBACK,
    ) -> None:
        """Listen at once. ``send_buffer`` is SO_SNDBUF in bytes: small keeps the log's counts near the truth."""
        self.name, self.handler, self.classify, self.log = name, handler, classify, log
        self._address = address
        self._send_buffer = send_buffer
        self._outage: Outage | None = None
        self._live: set[socket.socket] = set()
        self._hanging: list[socket.socket] = []
        self._lock = threading.Lock()
        self._closed = False
        self._socket = self._bind(0)
        self.port: int = self._socket.getsockname()[1]
        self._listen()

    @property
    def url(self) -> str:
        """The origin, without a final slash."""
        return f"http://{self._address}:{self.port}"

    @property
    def connections(self) -> int:
        """How many connections are open now."""
        with self._lock:
            return len(self._live)

    def down(self, how: Outage = Outage.REFUSE) -> None:
        """End every connection and meet new ones as ``how`` says, until `up`."""
        self.up()
        self._outage = how
        if how is Outage.REFUSE:
            self._unlisten()
            self._socket = self._bind(self.port)  # bound but not listening: refused, and the port stays ours
        self.cut()

    def up(self) -> None:
        """End an outage; connections that were left hanging end."""
        how, self._outage = self._outage, None
        if how is Outage.REFUSE:
            self._listen()
        elif how is not None:
            self.cut()

    def cut(self) -> None:
        """End every open connection; the client sees a reset or an early end."""
        with self._lock:
            live = list(self._live)
        for connection in live:
            with contextlib.suppress(OSError):
                _arm_reset(connection)
                connection.shutdown(socket.SHUT_RDWR)
        while self._hanging:  # these have no thread that would close them
            self.forget(self._hanging.pop())

    def close(self) -> None:
        """Stop for good."""
        self._closed = True
        self._unlisten()
        self.cut()

    def _bind(self, port: int) -> socket.socket:
        listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if self._send_buffer is not None:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self._send_buffer)
        listening.bind((self._address, port))
        return listening

    def _listen(self) -> None:
        self._socket.listen(BACKLOG)
        threading.Thread(target=self._accept, args=(self._socket,), name=f"{self.name}-accept", daemon=True).start()

    def _unlisten(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes the accepting thread
        self._socket.close()

    def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._live.add(connection)
            if self._outage in (Outage.CLOSE, Outage.REFUSE) or self._closed:
                self.forget(connection)
            elif self._outage is Outage.HANG:
                self._hanging.append(connection)
            else:
                threading.Thread(target=Connection(self, connection).serve, name=self.name, daemon=True).start()

    def forget(self, connection: socket.socket) -> None:
        """Close a connection's socket; it is no longer open."""
        with self._lock:
            self._live.discard(connection)
        connection.close()


class Connection:
    """One client connection: reads requests, sends answers, keeps the log."""

    def __init__(self, listener: Listener, connection: socket.socket) -> None:
        """Take over an accepted socket."""
        self._listener, self._socket = listener, connection
        self._reader: io.BufferedReader = connection.makefile("rb")
        self._entry = -1

    def serve(self) -> None:
        """Answer requests until either side is done."""
        try:
            while (request := self._read()) is not None and self._answer(request):
                pass
        except Reset:
            _drain(self._socket)
            with contextlib.suppress(OSError):
                _arm_reset(self._socket)
        except (Close, OSError, ValueError):
            pass
        finally:
            self._reader.close()
            self._listener.forget(self._socket)
            if self._entry >= 0:
                self._listener.log.update(self._entry, done=True)

    def _read(self) -> Request | None:
        line = self._reader.readline(LINE_LIMIT).strip()
        if not line:
            return None
        method, target, _version = line.decode("latin-1").split(" ", 2)
        headers = read_headers(self._reader)
        if headers.get("expect", "").lower() == "100-continue":
            self._socket.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        path, _, query = target.partition("?")
        kind, oid = self._listener.classify(path)
        body = read_body(self._reader, headers)
        name = self._listener.name
        self._entry = self._listener.log.begin(
            Entry(0, name, kind, method, path, query, headers=dict(headers), oid=oid)
        )
        return Request(name, kind, method, path, query, headers, body, oid)

    def _answer(self, request: Request) -> bool:
        keep = request.headers.get("connection", "").lower() != "close"
        try:
            response = self._listener.handler(request)
        except (Reset, Close):
            raise
        except Exception as error:  # noqa: BLE001 - a bug in the hub must show as a 500, not as a lost connection
            response = text(500, f"the test hub failed: {error!r}")
        silent = request.method == "HEAD" or response.status in SILENT
        keep = keep and not response.until_close
        self._listener.log.update(self._entry, status=response.status, oid=request.oid)
        self._socket.sendall(_head(response, keep=keep, silent=silent))
        if not silent:
            self._send_body(response)
        self._listener.log.update(self._entry, done=True)
        return keep

    def _send_body(self, response: Response) -> None:
        if isinstance(response.body, FileBody) and not response.wraps and response.length is not None:
            self._send_file(response.body)
            return
        chunked = response.length is None and not response.until_close
        for piece in response.pieces():
            if piece and chunked:
                self._send_chunk(piece)
            else:
                self._send(piece)
        if chunked:
            self._socket.sendall(b"0\r\n\r\n")

    def _send_chunk(self, piece: bytes) -> None:
        """At once, as servers do: in three packets, a few chunks would fill a new connection's window."""
        if len(piece) <= SMALL_CHUNK:
            self._socket.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
            self._listener.log.update(self._entry, sent=len(piece))
        else:
            self._socket.sendall(b"%x\r\n" % len(piece))
            self._send(piece)
            self._socket.sendall(b"\r\n")

    def _send(self, piece: bytes) -> None:
        view = memoryview(piece)
        while view:
            sent = self._socket.send(view)
            self._listener.log.update(self._entry, sent=sent)
            view = view[sent:]

    def _send_file(self, body: FileBody) -> None:
        with body.path.open("rb") as file:
            at, stop = body.start, body.start + body.length
            while at < stop:
                sent = os.sendfile(self._socket.fileno(), file.fileno(), at, min(stop - at, SENDFILE_BYTES))
                if sent == 0:
                    raise Close
                at += sent
                self._listener.log.update(self._entry, sent=sent)


def _head(response: Response, *, keep: bool, silent: bool) -> bytes:
    headers = {"Date": formatdate(usegmt=True), "Connection": "keep-alive" if keep else "close", **response.headers}
    if response.length is not None and response.status not in SILENT:
        headers["Content-Length"] = str(response.length)
    elif response.length is None and not response.until_close and not silent:
        headers["Transfer-Encoding"] = "chunked"
    try:
        reason = http.HTTPStatus(response.status).phrase
    except ValueError:
        reason = "Unknown"
    lines = [f"HTTP/1.1 {response.status} {reason}", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8")


def _arm_reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _drain(connection: socket.socket) -> None:
    """Give the kernel a moment to deliver what was sent, so that a reset loses none of the bytes that were counted."""
    deadline = time.monotonic() + DRAIN_SECONDS
    with contextlib.suppress(OSError):
        while time.monotonic() < deadline:
            left = struct.unpack("i", fcntl.ioctl(connection, termios.TIOCOUTQ, b"\0\0\0\0"))[0]
            if left == 0:
                return
            time.sleep(0.001)  # Linux has no event for an empty send queue
