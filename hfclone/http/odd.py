"""Answers that are not of the plain kind, read by http.client: chunked, HTTP/1.0, bodiless, folded, endless."""

from __future__ import annotations

import io
import math
import socket
import time
from http.client import HTTPException, HTTPResponse
from typing import Any, cast

from hfclone.http.abort import AbortHandle
from hfclone.http.plain import Headers, Keep
from hfclone.http.pool import Connection

__all__ = ["OddResponse"]


class OddResponse:
    """As ``PlainResponse``. Raises OSError, HTTPException and ValueError where it is no answer."""

    has_ahead = False

    def __init__(self, connection: Connection, method: str, keep: Keep) -> None:
        came = connection.buffer[connection.begins : connection.came]
        self._stream = _Stream(_Joined(came, connection.socket.makefile("rb", buffering=0)))
        self._answer = HTTPResponse(cast("socket.socket", self._stream), method=method)
        try:
            self._answer.begin()
            self.status = self._answer.status
            if self.status < 200:
                raise HTTPException(f"HTTP {self.status}")  # of those http.client knows 100 alone
            self.headers = Headers((name, " ".join(value.splitlines())) for name, value in self._answer.msg.items())
            length = self.headers.content_length
        except BaseException:
            self._answer.close()
            raise
        self.rest = self._answer.length
        """Bytes of the body that are to come; ``None`` where nobody knows."""
        self.may_be_kept = not self._answer.will_close and self.rest in (None, 0, length)
        self._connection: Connection | None = connection
        self._keep = keep

    def receive(self, most: int, lull: float, handle: AbortHandle) -> bytes:
        """As of a plain answer, but that it never waits for more. Raises OSError, HTTPException."""
        del lull
        self._stream.joined.until = handle.until
        most = most if self.rest is None else min(most, self.rest)
        try:
            data = self._answer.read1(most)
        except BaseException:
            self.may_be_kept = False  # where the body ends nobody knows now
            raise
        if self.rest is not None:
            self.rest -= len(data)
        if most and not data:
            if self.rest:  # http.client does not mind
                raise ConnectionAbortedError
            self.rest = 0
        return data

    def close(self) -> None:
        """As of a plain answer."""
        connection, self._connection = self._connection, None
        if connection is not None:
            self._answer.close()
            is_done = self.may_be_kept and self.rest == 0 and not self._stream.had_more
            (self._keep if is_done else Connection.close)(connection)


class _Stream(io.BufferedReader):
    """What http.client reads from, and closes at the end."""

    had_more = False
    """Whether more had been received than was read, when it was closed."""

    def __init__(self, raw: _Joined) -> None:
        super().__init__(raw)
        self.joined = raw

    def makefile(self, mode: str) -> _Stream:
        """As of a socket, which http.client takes it for; ``mode`` is its ``rb``."""
        del mode
        return self

    def close(self) -> None:
        if not self.closed:
            self.joined.is_over = True  # what follows looks no further than the buffer
            self.had_more = bool(self.peek())
        super().close()


class _Joined(io.RawIOBase):
    """``came``, and then what ``rest`` has, until it ``is_over``."""

    def __init__(self, came: bytes, rest: io.RawIOBase | socket.SocketIO) -> None:
        super().__init__()
        self._came = memoryview(came)
        self._rest = rest
        self.is_over = False
        self.until = math.inf
        """See ``AbortHandle``: lines of chunks are read here to their ends, and of trailers there may be any number."""

    def readable(self) -> bool:
        return True

    def readinto(self, target: Any) -> int | None:
        if not self._came:
            if self.is_over:
                return 0
            if time.monotonic() > self.until:
                raise TimeoutError
            return self._rest.readinto(target)
        got = min(len(target), len(self._came))
        target[:got] = self._came[:got]
        self._came = self._came[got:]
        return got

    def close(self) -> None:
        self._rest.close()
        super().close()
