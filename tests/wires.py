"""A server that says what a test tells it to, byte by byte."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, TypeVar

__all__ = ["Hearing", "Wire", "head_of"]

Answer = Callable[[int, socket.socket], bool]
"""Sends what the test wants on the so-manieth request (from 1 on); whether the connection is to live on."""

_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)\r\n", re.IGNORECASE)
_Wire = TypeVar("_Wire", bound="Wire")


class Wire:
    """Listens on a port of its own, with TLS where there is a certificate with its key; close it."""

    def __init__(self, answer: Answer, pem: Path | None = None) -> None:
        self._answer = answer
        self.requests = 0
        self.connections = 0
        self._context = None
        if pem is not None:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(pem)
        self._listener = socket.create_server(("127.0.0.1", 0))
        port = self._listener.getsockname()[1]
        self.url = f"https://localhost:{port}" if pem else f"http://127.0.0.1:{port}"
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def __enter__(self: _Wire) -> _Wire:
        return self

    def __exit__(self, *_: object) -> None:
        """Wake the thread that waits, too: it would go on with whoever gets the number of our socket next."""
        with contextlib.suppress(OSError):  # some systems have no shutdown for one that listens
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connected, _ = self._listener.accept()
                self.connections += 1
                threading.Thread(target=self._serve, args=(connected,), daemon=True).start()

    def _serve(self, connected: socket.socket) -> None:
        with contextlib.suppress(OSError):  # who asks may go
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._context is not None:
                connected = self._context.wrap_socket(connected, server_side=True)
        with contextlib.suppress(OSError), connected, connected.makefile("rb") as asked:
            while head := head_of(asked):
                self.requests += 1
                if not self._respond(self.requests, asked, head, connected):
                    return

    def _respond(self, number: int, _asked: BinaryIO, _head: bytes, connected: socket.socket) -> bool:
        return self._answer(number, connected)


class Hearing(Wire):
    """The same for a function that is told each request, too: its head, and a body behind it."""

    def __init__(self, answer: Callable[[int, bytes, socket.socket], bool], pem: Path | None = None) -> None:
        self._hears = answer
        super().__init__(lambda _number, _connected: False, pem)

    def _respond(self, number: int, asked: BinaryIO, head: bytes, connected: socket.socket) -> bool:
        length = _LENGTH.search(head)
        body = asked.read(int(length[1])) if length and head.startswith(b"POST ") else b""
        return self._hears(number, head + body, connected)


def head_of(asked: BinaryIO) -> bytes:
    """The next head, with the empty line behind it; nothing where the stream ends before that."""
    head = b""
    for line in iter(asked.readline, b""):
        head += line
        if line == b"\r\n":
            return head
    return b""
