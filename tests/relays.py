"""A front that passes everything on to a port, and says the answers as a test wants them said, byte by byte."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tests.wires import Hearing

__all__ = ["Manner", "Relay", "again_and_again", "chunked_by_bytes", "dripped", "dripped_body", "plain"]

Pieces = Iterator[bytes]
Manner = Callable[[bytes], Pieces]
"""Makes an answer into pieces of bytes; between two of them some time passes."""


@dataclass
class Relay:
    """Listens before ``port`` on this machine. ``manner_of`` says by a request's head how its answer is said.

    ``pause`` is in seconds, between two pieces. A context manager; at its end nobody waits any more.
    """

    port: int
    manner_of: Callable[[bytes], Manner | None] = lambda _head: None
    pause: float = 0.1
    heard: list[bytes] = field(default_factory=list)
    """Every request with its body, as it came."""
    slowly: list[bytes] = field(default_factory=list)
    """The first lines of those whose answers had a manner."""

    def __post_init__(self) -> None:
        """Listen at once."""
        self._free = threading.Event()
        self._wire = Hearing(self._answer)
        self.url = self._wire.url

    def __enter__(self) -> Relay:
        """Listening already."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self._free.set()
        self._wire.__exit__()

    def _answer(self, _number: int, request: bytes, client: socket.socket) -> bool:
        self.heard.append(request)
        head, body = split(request)
        manner = self.manner_of(head)
        answer = self._ask(head, body)
        if manner is None:
            client.sendall(answer)
            return False
        self.slowly.append(head.partition(b"\r\n")[0])
        for piece in manner(answer):
            client.sendall(piece)
            if self._free.wait(self.pause):
                return False
        return False

    def _ask(self, head: bytes, body: bytes) -> bytes:
        """The whole answer."""
        kept = re.sub(rb"\r\nconnection:[^\r]*", b"", head[:-2], flags=re.IGNORECASE)
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as upstream:
            upstream.sendall(kept + b"Connection: close\r\n\r\n" + body)
            return b"".join(iter(lambda: upstream.recv(65536), b""))


# --- manners -----------------------------------------------------------------------------------


def plain(answer: bytes) -> Pieces:
    """At once."""
    yield answer


def dripped(answer: bytes) -> Pieces:
    """The head byte by byte, the body at once."""
    head, body = split(answer)
    yield from (bytes([byte]) for byte in head)
    yield body


def dripped_body(answer: bytes) -> Pieces:
    """The head at once, the body byte by byte."""
    head, body = split(answer)
    yield head
    yield from (bytes([byte]) for byte in body)


def chunked_by_bytes(answer: bytes) -> Pieces:
    """The body as one chunk, whose length is said for ever."""
    head, body = split(answer)
    yield re.sub(rb"\r\ncontent-length:[^\r]*", b"\r\nTransfer-Encoding: chunked", head, flags=re.IGNORECASE)
    yield b"%x" % len(body)
    yield from again_and_again(b";a=b")(b"")


def again_and_again(said: bytes, first: bytes = b"") -> Manner:
    """The same words for ever, after some others; no answer ever follows."""

    def manner(_answer: bytes) -> Pieces:
        yield first
        while True:
            yield said

    return manner


def split(answer: bytes) -> tuple[bytes, bytes]:
    """Head and body."""
    head, _, body = answer.partition(b"\r\n\r\n")
    return head + b"\r\n\r\n", body
