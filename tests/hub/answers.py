"""Faults of the answer as a whole: statuses, redirects, lies about ranges and sizes, pages from elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Literal

from .faults import Serve
from .limits import rate_headers
from .messages import FileBody, Request, Response, redirect, text, with_ranges
from .streams import Waiting
from .wire import Close, Reset


@dataclass
class Silent:
    """Base of the faults in which nothing waits."""

    def release(self) -> None:
        """Nothing waits."""


@dataclass
class Status(Silent):
    """An error status. ``retry_after`` in seconds, written as a number or a date; ``rate`` is (r, t) of RateLimit.

    Without ``rate`` there is no RateLimit header at all.
    """

    code: int
    retry_after: float | None = None
    form: Literal["seconds", "date"] = "seconds"
    rate: tuple[int, int] | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: str = "something went wrong"

    def answer(self, request: Request, serve: Serve) -> Response:
        """Answer with the status."""
        del request, serve
        headers = dict(self.headers)
        if self.rate is not None:
            headers |= rate_headers("resolvers", *self.rate)
        if self.retry_after is not None and self.form == "date":
            headers["Retry-After"] = formatdate(time.time() + self.retry_after, usegmt=True)
        elif self.retry_after is not None:
            headers["Retry-After"] = f"{self.retry_after:g}"
        response = text(self.code, self.body, headers)
        response.bare = True
        return response


@dataclass
class NoAnswer(Silent):
    """The connection ends instead of an answer, by a reset or by a close."""

    how: Callable[[], Exception] = Reset

    def answer(self, request: Request, serve: Serve) -> Response:
        """End the connection."""
        raise self.how()


@dataclass
class NoAnswerClose(NoAnswer):
    """The connection is closed in good order instead of an answer."""

    how: Callable[[], Exception] = Close


@dataclass
class Latency(Waiting):
    """The answer begins so many seconds late."""

    seconds: float

    def answer(self, request: Request, serve: Serve) -> Response:
        """Wait, then answer."""
        self._free.wait(self.seconds)
        return serve(request)


@dataclass
class IgnoreRange(Silent):
    """200 and the whole to a range."""

    def answer(self, request: Request, serve: Serve) -> Response:
        """Serve as if no range had been asked for."""
        request.headers.pop("range", None)
        return serve(request)


@dataclass
class NeedsRange(Silent):
    """400 to a GET without a range for a file of more than ``above`` bytes, as the hub's CDN has it.

    A file of 165 GB passes there, one of 411 GB does not.
    """

    above: int

    def answer(self, request: Request, serve: Serve) -> Response:
        """Serve what is asked for by a range, or is small."""
        response = serve(request)
        whole = request.method == "GET" and response.status == 200 and "range" not in request.headers
        size = response.body.length if isinstance(response.body, FileBody) else 0
        return text(400, "", {"Content-Type": "application/xml"}) if whole and size > self.above else response


@dataclass
class ShortFile(Silent):
    """The file is only ``size`` bytes long, and every header says so."""

    size: int

    def answer(self, request: Request, serve: Serve) -> Response:
        """Serve a shorter file."""
        asked = request.headers.pop("range", "")
        response = serve(request)
        if response.status != 200 or not isinstance(response.body, (bytes, FileBody)):
            return response
        request.headers["range"] = asked
        body = response.body
        short = body[: self.size] if isinstance(body, bytes) else FileBody(body.path, 0, min(self.size, body.length))
        return with_ranges(request, short, response.headers)


@dataclass
class WrongContentRange(Silent):
    """206 whose Content-Range says that it starts ``shift`` bytes later than its bytes do."""

    shift: int = 1

    def answer(self, request: Request, serve: Serve) -> Response:
        """Change the header of a 206."""
        response = serve(request)
        value = response.headers.get("Content-Range", "")
        if response.status == 206:
            span, _, size = value.removeprefix("bytes ").partition("/")
            start, _, stop = span.partition("-")
            response.headers["Content-Range"] = f"bytes {int(start) + self.shift}-{int(stop) + self.shift}/{size}"
        return response


@dataclass
class WrongRange(Silent):
    """206 with a true Content-Range, but of a range ``shift`` bytes before the one asked for."""

    shift: int = 1

    def answer(self, request: Request, serve: Serve) -> Response:
        """Serve another range."""
        first, _, last = request.headers.get("range", "").removeprefix("bytes=").partition("-")
        if first.isdigit():
            end = str(int(last) - self.shift) if last else ""
            request.headers["range"] = f"bytes={max(0, int(first) - self.shift)}-{end}"
        return serve(request)


@dataclass
class WithoutHeaders(Silent):
    """Some headers are missing; ``Content-Length`` makes the body chunked."""

    names: tuple[str, ...]

    def answer(self, request: Request, serve: Serve) -> Response:
        """Leave the headers out."""
        response = serve(request)
        lower = {name.lower() for name in self.names}
        response.headers = {name: value for name, value in response.headers.items() if name.lower() not in lower}
        if "content-length" in lower:
            response.length = None
        return response


@dataclass
class WithHeaders(Silent):
    """Some headers are added or changed."""

    headers: dict[str, str]

    def answer(self, request: Request, serve: Serve) -> Response:
        """Put the headers in."""
        response = serve(request)
        response.headers |= self.headers
        return response


@dataclass
class CaptivePortal(Silent):
    """A web page for everything, as a hotel's network gives before one has paid."""

    page: str = "<!doctype html><html><body><h1>Welcome to our WiFi</h1><p>Please log in.</p></body></html>"

    def answer(self, request: Request, serve: Serve) -> Response:
        """Answer with the page."""
        del request, serve
        response = text(200, self.page, {"Content-Type": "text/html; charset=utf-8"})
        response.bare = True
        return response


@dataclass
class RedirectLoop(Silent):
    """A redirect to the very same URL."""

    status: int = 302

    def answer(self, request: Request, serve: Serve) -> Response:
        """Send the client round."""
        del serve
        return redirect(self.status, request.target)


@dataclass
class RedirectTo(Silent):
    """A redirect to one URL, say ``file:///etc/passwd``."""

    url: str
    status: int = 302

    def answer(self, request: Request, serve: Serve) -> Response:
        """Send the client there."""
        del request, serve
        return redirect(self.status, self.url)


@dataclass
class Redirect308(Silent):
    """A permanent redirect to the same path on another origin, as hf-mirror.com gives."""

    origin: str

    def answer(self, request: Request, serve: Serve) -> Response:
        """Send the client there."""
        del serve
        return redirect(308, self.origin + request.target)
