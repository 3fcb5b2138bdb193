"""Answers of the plain kind, read straight from their socket: nearly all that bring bytes of objects.

Plain is what says how long its body is, in a head of ordinary lines. Whatever else comes (chunked, provisional,
folded, endless) is http.client's and urllib3's to read, from its first byte on. Why so: they read an answer through
three layers, each with an account and buffers of its own, which took a third of the processor time of a small
object; and TLS gives 16 KiB a call, to be handed on by each of them.
"""

from __future__ import annotations

import io
import mmap
import re
import socket
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hfclone.http.abort import AbortHandle

__all__ = ["READ_BYTES", "PlainResponse", "Replayed", "new_buffer", "receive_head"]

READ_BYTES = 1024 * 1024
"""At most so much a receive: with 8 KiB or 10 MiB it takes five times the CPU; with a quarter of it, a tenth more."""
LONGEST_HEAD = 64 * 1024
"""What is longer is http.client's to judge."""
ENOUGH_BYTES = 32 * 1024
"""A piece so large is taken as it is; TLS has none."""
_HEAD = re.compile(
    rb"HTTP/1\.([01]) ([2-5]\d\d)(?: [^\r\n]*)?\r\n"
    rb"((?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e\x80-\xff]*\r\n)+)\r\n"
)
_BEGIN = b"HTTP/1."
_END = re.compile(rb"\n\r?\n")
_BODILESS = frozenset({204, 304})
_LENGTH = re.compile(r"\d{1,18}", re.ASCII)


class _Headers(dict[str, str]):
    """An answer's headers by their names in lower case; they are asked for in any."""

    def get(self, name: str, default: Any = None) -> Any:
        """As a ``dict`` does."""
        return super().get(name.lower(), default)

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.lower())

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and super().__contains__(name.lower())


class PlainResponse:
    """An answer whose body is being read; has of urllib3's response what its pool and we use.

    Belongs to the thread that asked, and so does its connection's buffer, which ``view`` shows, until it is closed.
    """

    version_string = "HTTP/1.1"
    retries: Any = None
    _pool: Any = None  # this and the next are set by the pool
    _connection: Any = None

    def __init__(self, held: socket.socket, view: memoryview, head: _Head, came: int) -> None:
        self.status = head.status
        self.headers = head.headers
        self.length_remaining = head.length
        self._socket = held
        self._view = view
        self._start = head.end
        self._ahead = min(came - head.end, head.length)
        """Bytes of the body that came with the head, from ``_start`` on."""
        self._reusable = head.persists and came - head.end <= head.length

    @property
    def has_ahead(self) -> bool:
        """Whether something has been received that is not handed on yet."""
        return self._ahead > 0

    def receive(self, most: int, lull: float, handle: AbortHandle) -> memoryview:
        """What is here, up to ``most`` bytes; waits for the first, then ``lull`` seconds for each more.

        Valid until the next is received. Raises ``OSError``, and is closed then.
        """
        most = min(most, self.length_remaining)
        start, got = self._next(most)
        if not self._ahead and got < min(most, most if lull else ENOUGH_BYTES):
            more = handle.take(self._view[start + got : start + most], lull)
            self.length_remaining -= more
            got += more
        return self._view[start : start + got]

    def read1(self, amount: int, *, decode_content: bool = False) -> bytes:
        """As urllib3's. Raises ``OSError``."""
        del decode_content  # nothing is ever decoded
        start, got = self._next(min(amount, self.length_remaining))
        return bytes(self._view[start : start + got])

    def _next(self, most: int) -> tuple[int, int]:
        """Where in the buffer the next bytes of the body are, and how many, once there are any."""
        start, got = self._start, min(self._ahead, most)
        if got == 0 < most:
            start, got = 0, self._receive(most)
        self._start, self._ahead = start + got, max(0, self._ahead - got)
        self.length_remaining -= got
        return start, got

    def _receive(self, most: int) -> int:
        try:
            got = self._socket.recv_into(self._view[:most])
            if not got:
                raise ConnectionAbortedError
        except OSError:
            self.close()
            raise
        return got

    def close(self) -> None:
        """Done with it: its connection is kept where the body was read to its end and nothing came after it."""
        connection, self._connection = self._connection, None
        if connection is not None:
            if self.length_remaining or self._pool is None or self._has_more():
                connection.close()
            if self._pool is not None:
                self._pool._put_conn(connection)  # as urllib3's own response gives it back

    def _has_more(self) -> bool:
        """Whether something came after the body, maybe within TLS's last record; or the far side hangs up."""
        pending = getattr(self._socket, "pending", None)
        return not self._reusable or bool(pending is not None and pending())

    def release_conn(self) -> None:
        """As ``close``."""
        self.close()

    def drain_conn(self) -> None:
        """Nothing is left beyond the body."""


@dataclass(frozen=True, slots=True)
class _Head:
    """A plain head that ends at ``end``, and what it says."""

    end: int
    status: int
    headers: _Headers
    length: int
    persists: bool


def new_buffer() -> mmap.mmap:
    """For one connection: ``LONGEST_HEAD + READ_BYTES``, of which memory is taken where something was received."""
    size = LONGEST_HEAD + READ_BYTES
    if sys.platform == "win32":
        return mmap.mmap(-1, size)
    return mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)


def receive_head(held: socket.socket, buffer: mmap.mmap, most: int) -> PlainResponse | int:
    """The next answer on ``held``; where it is not plain, how many bytes of it have come into ``buffer``.

    Receives no more than ``most`` bytes at once. Raises ``OSError``.
    """
    came, ended, view = 0, False, memoryview(buffer)
    while came < LONGEST_HEAD and not ended:
        got = held.recv_into(view[came : min(came + most, LONGEST_HEAD)])
        ended = not got or _END.search(buffer, max(0, came - 3), came + got) is not None
        came += got
        if not _BEGIN.startswith(buffer[: min(came, len(_BEGIN))]):
            return came
    found = _HEAD.match(buffer, 0, came)
    head = found and _read_head(found)
    return PlainResponse(held, view, head, came) if head else came


def _read_head(found: re.Match[bytes]) -> _Head | None:
    """What a head says, unless it is of a kind that is not ours to read."""
    minor, code, lines = found.groups()
    headers = _Headers()
    for line in lines.decode("latin-1").split("\r\n")[:-1]:
        name, _, value = line.partition(":")
        name, value = name.lower(), value.strip(" \t")
        before = headers.get(name)
        headers[name] = value if before is None else f"{before}, {value}"
    length, status = headers.get("content-length", ""), int(code)
    if "transfer-encoding" in headers or status in _BODILESS or not _LENGTH.fullmatch(length):
        return None
    connection = headers.get("connection", "keep-alive" if minor == b"1" else "close").lower()
    return _Head(found.end(), status, headers, int(length), persists=connection == "keep-alive")


class Replayed:
    """A socket of which the first bytes were received already, for http.client."""

    def __init__(self, held: socket.socket, came: bytes) -> None:
        self._held = held
        self._came = came

    def makefile(self, mode: str) -> io.BufferedReader:
        """All that came and will come, as of ``socket.socket``; ``mode`` is http.client's ``rb``."""
        del mode
        return io.BufferedReader(_Joined(self._came, self._held.makefile("rb", buffering=0)))


class _Joined(io.RawIOBase):
    """``came``, and then what ``rest`` has."""

    def __init__(self, came: bytes, rest: io.RawIOBase | socket.SocketIO) -> None:
        super().__init__()
        self._came = memoryview(came)
        self._rest = rest

    def readable(self) -> bool:
        return True

    def readinto(self, target: Any) -> int | None:
        if not self._came:
            return self._rest.readinto(target)
        got = min(len(target), len(self._came))
        target[:got] = self._came[:got]
        self._came = self._came[got:]
        return got

    def close(self) -> None:
        self._rest.close()
        super().close()
