"""A request and a response, and how a byte range turns a file into an answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl

from .log import token_of

PIECE = 64 * 1024  # bytes read at once where a fault looks at the bytes

Wrap = Callable[[Iterator[bytes]], Iterator[bytes]]


@dataclass(slots=True)
class Request:
    """A request read whole; header names are lower-case, ``path`` and ``query`` as sent."""

    listener: str
    kind: str
    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes = b""
    oid: str = ""

    @property
    def target(self) -> str:
        """Path and query as sent."""
        return f"{self.path}?{self.query}" if self.query else self.path

    @property
    def token(self) -> str:
        """The token it carries, or an empty string."""
        return token_of(self.headers.get("authorization", ""))

    def args(self) -> list[tuple[str, str]]:
        """The decoded query, in order."""
        return parse_qsl(self.query, keep_blank_values=True)

    def arg(self, name: str, default: str = "") -> str:
        """One decoded query field."""
        return dict(self.args()).get(name, default)


@dataclass(frozen=True, slots=True)
class FileBody:
    """A part of a file; sent by the kernel when nothing wraps it."""

    path: Path
    start: int
    length: int

    def pieces(self) -> Iterator[bytes]:
        """Yield the bytes in pieces of at most PIECE."""
        with self.path.open("rb") as file:
            file.seek(self.start)
            left = self.length
            while left > 0 and (piece := file.read(min(PIECE, left))):
                left -= len(piece)
                yield piece


Body = bytes | FileBody | Iterable[bytes]


@dataclass(slots=True)
class Response:
    """An answer. ``length`` is what Content-Length will claim; ``None`` means chunked, or until the connection closes.

    ``start`` is the offset of the first body byte in the whole object, so that faults can speak of object offsets.
    A ``bare`` answer gets none of the headers that a front adds to all.
    """

    status: int
    body: Body = b""
    headers: dict[str, str] = field(default_factory=dict)
    length: int | None = None
    start: int = 0
    until_close: bool = False
    bare: bool = False
    wraps: list[Wrap] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Take the length from the body where it is known."""
        if self.length is None and isinstance(self.body, bytes):
            self.length = len(self.body)
        elif self.length is None and isinstance(self.body, FileBody):
            self.length = self.body.length

    def wrap(self, wrap: Wrap) -> Response:
        """Let ``wrap`` see and change the body on its way out, after those given before."""
        self.wraps.append(wrap)
        return self

    def pieces(self) -> Iterator[bytes]:
        """Yield the body as it will be sent."""
        stream = self._plain()
        for wrap in self.wraps:
            stream = wrap(stream)
        return stream

    def _plain(self) -> Iterator[bytes]:
        if isinstance(self.body, bytes):
            whole = self.body
            return (whole[at : at + PIECE] for at in range(0, len(whole), PIECE))
        return self.body.pieces() if isinstance(self.body, FileBody) else iter(self.body)


def text(status: int, body: str, headers: dict[str, str] | None = None) -> Response:
    """Answer with plain text."""
    return Response(status, body.encode(), {"Content-Type": "text/plain; charset=utf-8", **(headers or {})})


def as_json(value: object, headers: dict[str, str] | None = None, *, status: int = 200) -> Response:
    """Answer with JSON."""
    body = json.dumps(value, separators=(",", ":")).encode()
    return Response(status, body, {"Content-Type": "application/json; charset=utf-8", **(headers or {})})


def redirect(status: int, location: str, headers: dict[str, str] | None = None) -> Response:
    """Answer with a redirect whose body is the short text that real hubs send."""
    word = {302: "Found", 307: "Temporary Redirect", 308: "Permanent Redirect"}.get(status, "Moved")
    return text(status, f"{word}. Redirecting to {location}", {"Location": location, **(headers or {})})


def parse_range(value: str, size: int) -> tuple[int, int] | None:
    """Half-open range that a single-range header asks for within ``size`` bytes.

    ``None`` if the header is absent, malformed or names several ranges (all are answered with the whole).
    A range that cannot be satisfied comes back with start >= stop.
    """
    unit, _, spec = value.partition("=")
    first, dash, last = (part.strip() for part in spec.partition("-"))
    if unit.strip() != "bytes" or not dash or not (first + last).isdigit():
        return None
    if not first:
        return max(0, size - int(last)), size if int(last) else 0
    if last and int(last) < int(first):
        return None
    return int(first), min(size, int(last) + 1) if last else size


def with_ranges(request: Request, whole: bytes | FileBody, headers: dict[str, str]) -> Response:
    """Answer 200, 206, 304 or 416 with ``whole``, as the request's Range, If-Range and If-None-Match say."""
    headers = {"Accept-Ranges": "bytes", "Content-Type": "application/octet-stream", **headers}
    etag = headers.get("ETag", "")
    if etag and request.headers.get("if-none-match") in (etag, "*"):
        return Response(304, b"", headers)
    size = len(whole) if isinstance(whole, bytes) else whole.length
    asked = parse_range(request.headers.get("range", ""), size)
    if_range = request.headers.get("if-range")
    if asked is None or (if_range is not None and if_range != etag):
        return Response(200, whole, headers)
    start, stop = asked
    if start >= stop:
        return text(416, "The requested range is not satisfiable", {"Content-Range": f"bytes */{size}"})
    body = whole[start:stop] if isinstance(whole, bytes) else FileBody(whole.path, whole.start + start, stop - start)
    return Response(206, body, {**headers, "Content-Range": f"bytes {start}-{stop - 1}/{size}"}, start=start)
