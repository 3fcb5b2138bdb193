"""Answers of the plain kind, read straight from their socket: nearly all that bring bytes of objects.

Plain is what says how long its body is, in a head of ordinary lines. Whatever else comes (chunked, folded,
endless) is http.client's to read (``odd``), from its first byte on. Why so: it reads an answer through three
layers, each with an account and buffers of its own, which took a third of the processor time of a small
object; and TLS gives 16 KiB a call, to be handed on by each of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from hfclone.http.abort import AbortHandle
from hfclone.http.pool import LONGEST_HEAD, Connection
from hfclone.wording import phrase

__all__ = ["Head", "Headers", "Keep", "PlainResponse", "receive_head"]

Keep = Callable[[Connection], None]
"""Takes an exchange's connection at its end, where it can be used again."""
ENOUGH_BYTES = 32 * 1024
"""A piece so large is taken as it is; TLS has none."""
_FIELDS = rb"((?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e\x80-\xff]*\r\n)*)\r\n"
_HEAD = re.compile(rb"HTTP/1\.([01]) ([2-5]\d\d)(?: [^\r\n]*)?\r\n" + _FIELDS)
_PROVISIONAL = re.compile(rb"HTTP/1\.[01] 1(?!01)\d\d(?: [^\r\n]*)?\r\n" + _FIELDS)
_BEGIN = b"HTTP/1."
_END = re.compile(rb"\n\r?\n")
_BODILESS = frozenset({204, 304})
_LENGTH = re.compile(r"\d{1,18}", re.ASCII)


class Headers(dict[str, str]):
    """An answer's headers by their names in lower case, those of one name joined; they are asked for in any case."""

    def __init__(self, fields: Iterable[tuple[str, str]]) -> None:
        super().__init__()
        for name, value in fields:
            key, said = name.lower(), value.strip(" \t")
            self[key] = f"{self[key]}, {said}" if key in self else said

    def get(self, name: str, default: Any = None) -> Any:
        """As a ``dict`` does."""
        return super().get(name.lower(), default)

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.lower())

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and super().__contains__(name.lower())

    @property
    def content_length(self) -> int | None:
        """What all that is said of it agrees on, if anything is. Raises ValueError where it does not agree."""
        said = {each.strip(" \t") for each in self.get("content-length", "").split(",")} - {""}
        if len(said) > 1:
            raise ValueError(phrase("two-lengths"))
        length = "".join(said)
        return int(length) if _LENGTH.fullmatch(length) else None


class PlainResponse:
    """An answer whose body is being read. Belongs, as does its connection, to the thread that asked, until closed."""

    def __init__(self, connection: Connection, head: Head, length: int, keep: Keep) -> None:
        self.status = head.status
        self.headers = head.headers
        self.rest = length
        """Bytes of the body that are to come."""
        came = connection.came - head.end
        self.may_be_kept = head.persists and came <= length
        """Whether its connection can be used again, when the body has been read."""
        self._connection: Connection | None = connection
        self._socket = connection.socket
        self._view = memoryview(connection.buffer)
        self._start = head.end
        self._ahead = min(came, length)
        """Bytes of the body that came with the head, from ``_start`` on."""
        self._keep = keep

    @property
    def has_ahead(self) -> bool:
        """Whether something has been received that is not handed on yet."""
        return self._ahead > 0

    def receive(self, most: int, lull: float, handle: AbortHandle) -> memoryview:
        """What is here, up to ``most`` bytes; waits for the first, then ``lull`` seconds for each more.

        Valid until the next is received; empty at the end. Raises ``OSError``, and is closed then.
        """
        most = min(most, self.rest)
        start, got = self._start, min(self._ahead, most)
        if got == 0 < most:
            start, got = 0, self._receive(most)
        self._start, self._ahead = start + got, max(0, self._ahead - got)
        if not self._ahead and got < min(most, most if lull else ENOUGH_BYTES):
            got += handle.take(self._view[start + got : start + most], lull)
        self.rest -= got
        return self._view[start : start + got]

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
            (self._keep if self.may_be_kept and not self.rest else Connection.close)(connection)


@dataclass(frozen=True, slots=True)
class Head:
    """A head of ordinary lines that ends at ``end``, and what it says."""

    end: int
    status: int
    headers: Headers
    length: int | None
    """Of the body, where the answer is plain."""
    persists: bool
    """Whether the connection goes on, and all readers agree on how the body is framed."""


def receive_head(connection: Connection, most: int) -> Head | None:
    """The head of the next answer, if its lines are ordinary; what has ``came`` is in the connection's buffer.

    Receives no more than ``most`` bytes at once, and passes over provisional answers. Raises ``OSError``, and
    ValueError where readers would not agree how long the body is.
    """
    buffer = connection.buffer
    with memoryview(buffer) as view:
        while connection.came < LONGEST_HEAD:
            got = connection.socket.recv_into(view[connection.came : min(connection.came + most, LONGEST_HEAD)])
            connection.came += got
            since = max(connection.begins, connection.came - got - 3)
            while (has_ended := _END.search(buffer, since, connection.came) is not None) and (
                passing := _PROVISIONAL.match(buffer, connection.begins, connection.came)
            ):
                connection.begins = since = passing.end()
            if has_ended or not got:
                break
            if not _BEGIN.startswith(buffer[connection.begins : min(connection.came, connection.begins + len(_BEGIN))]):
                break
    found = _HEAD.match(buffer, connection.begins, connection.came)
    return _read_head(found) if found else None


def _read_head(found: re.Match[bytes]) -> Head:
    minor, code, lines = found.groups()
    fields = (line.partition(":") for line in lines.decode("latin-1").split("\r\n")[:-1])
    headers, status = Headers((name, value) for name, _, value in fields), int(code)
    length = headers.content_length
    connection = headers.get("connection", "keep-alive" if minor == b"1" else "close").lower()
    persists = connection == "keep-alive"
    if "transfer-encoding" in headers:  # RFC 9112, 6.1 and 6.3
        is_chunked = headers["transfer-encoding"].lower() == "chunked"
        persists = persists and is_chunked and minor == b"1" and "content-length" not in headers
        length = None
    return Head(found.end(), status, headers, None if status in _BODILESS else length, persists)
