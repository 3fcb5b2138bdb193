"""An answer as it stands on the wire: what its headers say, and its body as it arrives."""

from __future__ import annotations

import json
import math
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timezone
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any

from hfclone.errors import NotTheObject, TooSlow, Truncated
from hfclone.http.abort import AbortHandle
from hfclone.http.failures import body_error
from hfclone.http.pool import READ_BYTES
from hfclone.wording import phrase

if TYPE_CHECKING:
    from hfclone.http.connections import Response
    from hfclone.http.web import Web

__all__ = ["Answer", "quota_of", "wall_clock"]

MOST_DIGITS = 19
"""Digits of a number in a header: more is an attack, and ``int`` refuses thousands of them."""
SMALL_BODY_BYTES = 32 * 1024 * 1024
"""No API answer that we ask for is longer; an endless one must not fill the memory."""
SLOWEST = 1024
"""Bytes a second of an API's answer at least, beyond the silence that is allowed: everybody waits for some."""
GZIP = ("gzip", "x-gzip")
GZIP_BYTES = 64 * 1024
"""By which a body in gzip may be longer than what it holds: names, and blocks that are stored as they are."""
LONGEST_ASKED = 3600.0
"""Seconds after which we look again, however long a server asks us to wait: headers may be wrong, too."""


@dataclass(slots=True)
class Answer:
    """An answer whose body has not been read. Belongs to the thread that asked; close it."""

    label: str
    """Who was asked, for messages."""
    url: str
    """Where the answer came from, after redirects."""
    status: int
    headers: Mapping[str, str]
    hops: tuple[str, ...]
    quota: tuple[int, float] | None
    """Requests that the strictest limit on its way still allows, and for how many seconds; ``None`` if unsaid."""
    _response: Response
    _handle: AbortHandle
    _web: Web

    def __enter__(self) -> Answer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Done with it; the connection is kept if little or nothing of the body is left."""
        self._web.release(self._response, self._handle)

    @property
    def length(self) -> int | None:
        """How many bytes ``chunks`` will bring, by Content-Length; ``None`` where the server does not say."""
        if self.is_gzip:
            return None
        value = self.headers.get("Content-Length", "")
        return int(value) if _is_number(value) else None

    @property
    def is_gzip(self) -> bool:
        """Whether the body comes compressed, though identity was asked for: some proxies do that. We unpack it."""
        return self.headers.get("Content-Encoding", "").strip().lower() in GZIP

    @property
    def content_type(self) -> str:
        """The media type without parameters, in lower case."""
        return self.headers.get("Content-Type", "").partition(";")[0].strip().lower()

    @property
    def date(self) -> float | None:
        """The server's own time as seconds since the epoch: what dates in its headers and URLs are to be held against.

        Our clock may be wrong by hours and jump in the night; theirs agrees with what they write.
        """
        return _epoch(self.headers.get("Date", ""))

    def chunks(self, limit: int, read_bytes: int = READ_BYTES, lull: float = 0.0) -> Iterator[bytes | memoryview]:
        """The body as it arrives, in pieces of up to ``read_bytes``; ends with it, or when ``limit`` bytes have come.

        Each is valid until the next. Of the first, parts are gathered that come within ``lull`` seconds of each other.

        The connection is kept for the next request only where the body was read to its end.

        Raises:
            Truncated: the connection broke; everything before it has been yielded.
            Stalled: nothing came for ``Limits.silence`` seconds.
            NotTheObject: it is no gzip though it says so.
        """
        if not self.is_gzip:
            yield from self._raw_chunks(limit, read_bytes, lull)
            return
        most = limit + limit // 1000 + GZIP_BYTES  # what cannot be compressed is a little longer
        yield from _unpacked(self._raw_chunks(most, read_bytes, lull), limit, read_bytes, self.label)

    def _raw_chunks(self, limit: int, read_bytes: int, lull: float) -> Iterator[bytes | memoryview]:
        got, began = 0, time.monotonic()
        while got < limit:
            data, failure = self._receive(min(read_bytes, limit - got), 0.0 if got else lull)
            got += len(data)
            if data:
                yield data
            if self._handle.late and (failure is not None or not data):
                raise TooSlow(self.label, time.monotonic() - began, got) from failure
            if failure is not None:
                raise body_error(failure, self.label, got, limit, self._web.limits.silence) from failure
            if not data:
                return

    def _receive(self, most: int, lull: float) -> tuple[bytes | memoryview, Exception | None]:
        """What is here, up to ``most`` bytes, and why there is no more of it; waits for the first, then ``lull`` s."""
        try:
            return self._response.receive(most, lull, self._handle), None
        except Exception as error:  # noqa: BLE001  # judged by ``body_error``, when what came before it was taken
            return b"", error

    def is_quiet(self, seconds: float) -> bool:
        """Whether nothing more of the body comes for ``seconds``; ends as soon as something does."""
        return not self._response.has_ahead and self._handle.is_quiet(seconds)

    def steadily(self, limit: int, slowest: float = SLOWEST) -> Iterator[bytes | memoryview]:
        """As ``chunks``, of a body that must come at ``slowest`` bytes a second, beyond the silence that is allowed.

        Raises:
            TooSlow: it does not.
        """
        began, got = time.monotonic(), 0
        self._handle.due = began + min(self._silence, self._handle.longest)
        for chunk in self.chunks(limit):
            got += len(chunk)
            self._handle.due = began + min(self._silence + got / slowest, self._handle.longest)
            yield chunk
            if time.monotonic() > self._handle.due:
                raise TooSlow(self.label, time.monotonic() - began, got)

    @property
    def _silence(self) -> float:
        return min(self._handle.silence, self._web.limits.silence)

    def text(self) -> bytes:
        """A small body, whole.

        Raises:
            NotTheObject: it is longer than any answer should be.
            Truncated, Stalled: as ``chunks``; TooSlow: as ``steadily``.
        """
        body = bytearray()
        for chunk in self.steadily(SMALL_BODY_BYTES + 1):
            body += chunk
        if len(body) > SMALL_BODY_BYTES:
            raise NotTheObject(self.label, phrase("endless"))
        if self.length is not None and len(body) < self.length:
            raise Truncated(self.label, len(body), self.length)
        return bytes(body)

    def json(self) -> Any:
        """A small JSON body, with ``None`` for numbers that nobody means.

        Raises as ``text``, and NotTheObject where it is no JSON.
        """
        body = self.text()
        try:
            return json.loads(body, parse_constant=_unsaid, parse_int=_integer, parse_float=_real)
        except (ValueError, RecursionError):
            what = self.content_type or phrase("something")
            raise NotTheObject(self.label, phrase("no-json-answer", what=what)) from None

    def retry_after(self, wall_clock: float) -> float | None:
        """Seconds this answer asks us to wait (Retry-After as seconds or date, or RateLimit with ``r=0``).

        ``wall_clock`` is the time as ``time.time()`` has it; a date counts from the answer's own. A
        RateLimit header with requests left asks for nothing: it comes on every answer.
        """
        waits = [_retry_after(self.headers.get("Retry-After", ""), self.date or wall_clock)]
        quota = quota_of(self.headers.get("RateLimit", ""))
        waits.append(quota[1] if quota and not quota[0] else None)
        longest = max((wait for wait in waits if wait is not None), default=None)
        return None if longest is None else min(longest, LONGEST_ASKED)


def _unpacked(
    chunks: Iterable[bytes | memoryview], limit: int, read_bytes: int, label: str
) -> Iterator[bytes | memoryview]:
    """What ``chunks`` of gzip hold, ``limit`` bytes of it at most, in pieces of up to ``read_bytes``."""
    unpacker, got = zlib.decompressobj(16 + zlib.MAX_WBITS), 0
    for chunk in chunks:
        packed = bytes(chunk)
        while packed and got < limit:
            try:
                data = unpacker.decompress(packed, min(read_bytes, limit - got))
            except zlib.error as error:
                raise NotTheObject(label, phrase("compressed", encoding="gzip")) from error
            packed = unpacker.unconsumed_tail
            got += len(data)
            if data:
                yield data


def _retry_after(value: str, wall_clock: float) -> float | None:
    value = value.strip()
    if not value:
        return None
    if _is_number(value):
        return float(value)
    moment = _epoch(value)
    return None if moment is None else max(0.0, moment - wall_clock)


def _epoch(date: str) -> float | None:
    """An HTTP date as seconds since the epoch; a time of no zone is taken for UTC, as RFC 9110 has it."""
    try:
        moment = parsedate_to_datetime(date)
        return moment.replace(tzinfo=moment.tzinfo or timezone.utc).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):  # the library falls over what is no date at all
        return None


def _unsaid(_constant: str) -> None:
    """NaN and Infinity, which are no JSON."""


def _integer(text: str) -> int | None:
    return int(text) if len(text) <= MOST_DIGITS else None


def _real(text: str) -> float | None:
    value = float(text)
    return value if math.isfinite(value) else None


def _is_number(text: str) -> bool:
    """Whether a header's value is a number of a size that anybody means."""
    return text.isascii() and text.isdecimal() and len(text) < MOST_DIGITS


def quota_of(value: str) -> tuple[int, float] | None:
    """Requests left and seconds until the window ends: ``"resolvers";r=0;t=172`` (IETF draft 9)."""
    fields = dict(part.strip().partition("=")[::2] for part in value.split(";"))
    left, seconds = fields.get("r", ""), fields.get("t", "")
    if not (_is_number(left) and _is_number(seconds)):
        return None
    return int(left), min(float(seconds), LONGEST_ASKED)


def wall_clock() -> float:
    """Seconds since the epoch, for dates in headers."""
    return time.time()
