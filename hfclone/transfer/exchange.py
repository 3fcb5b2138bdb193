"""One request for a range of an object: asked, and the answer recognised for what it is.

Nothing that this module lets through is believed to be right, the sha256 decides that; but what
plainly is something else (a login page, another length, another range) is never written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from types import TracebackType

from hfclone import errors
from hfclone.errors import HfcloneError
from hfclone.http import AbortHandle, Answer, Web, wall_clock
from hfclone.hub.client import explain
from hfclone.hub.endpoint import Endpoint
from hfclone.names import Pin
from hfclone.pointer import Pointer
from hfclone.ranges import format_range, parse_content_range
from hfclone.retry import Clock
from hfclone.transfer.health import RangeSupport
from hfclone.transfer.sources import Source, Sources
from hfclone.wording import phrase

__all__ = ["Body", "HttpSource", "request_range"]

WANTS_RANGE = 400
"""What the hub's CDN answers to a GET without a range for a very large file: for 411 GB, not for 165 GB."""
FRESH = 2.0
"""Seconds for which a signed URL is too young to have expired: a 403 then is a refusal."""


@dataclass(frozen=True, slots=True)
class Body:
    """The answer's body is ``[start, stop)`` of the object: a ``RangeStream``; ``ranges`` is what the answer taught."""

    answer: Answer
    start: int
    stop: int
    ranges: RangeSupport
    signed: bool = False

    def chunks(self, read_bytes: int, gather: float) -> Iterator[bytes | memoryview]:
        """See ``RangeStream.chunks``."""
        return self.answer.chunks(self.stop - self.start, read_bytes, gather)

    def is_quiet(self, seconds: float) -> bool:
        """See ``RangeStream.is_quiet``."""
        return self.answer.is_quiet(seconds)

    def __enter__(self) -> Body:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.answer.close()


@dataclass(frozen=True, slots=True)
class HttpSource:
    """The objects of a pin over HTTP, from whichever endpoint: a ``ByteSource``."""

    web: Web
    sources: Sources
    pin: Pin
    clock: Clock
    upcoming: Callable[[], Iterable[Pointer]]
    """Objects that will be wanted soon, for the same batch request."""

    def open(  # as in ByteSource
        self,
        pointer: Pointer,
        endpoint: Endpoint,
        start: int,
        stop: int,
        *,
        lacking: int,
        begun: Callable[[AbortHandle, bool], None],
    ) -> Body | None:
        """See ``ByteSource.open``."""
        source = self.sources.find(pointer, endpoint, self.upcoming)
        if source is None:
            return None
        handle = AbortHandle()
        begun(handle, source.signed)
        return self.request(source, pointer, start, stop, handle=handle, lacking=lacking)

    def request(
        self,
        source: Source,
        pointer: Pointer,
        start: int,
        stop: int,
        *,
        handle: AbortHandle | None = None,
        lacking: int = 0,
    ) -> Body:
        """``request_range`` of a source that ``Sources`` gave: its limit is kept, and where it leads is learned."""
        now = self.clock.now()
        with self.sources.asking(source) as heard:
            body = request_range(self.web, source, self.pin, pointer, start, stop, now, handle=handle, lacking=lacking)
            heard(body.answer)
        try:
            self.sources.learn(pointer, source, body.answer)
        except BaseException:
            body.answer.close()
            raise
        return replace(body, signed=source.signed or bool(body.answer.hops))


def request_range(  # noqa: PLR0913  # all that a request is made of
    web: Web,
    source: Source,
    pin: Pin,
    pointer: Pointer,
    start: int,
    stop: int,
    now: float,
    *,
    handle: AbortHandle | None = None,
    lacking: int = 0,
) -> Body:
    """Ask for ``[start, stop)`` of ``pointer``; close the body's answer when done.

    An answer with the whole object in place of the range is returned as such (``ranges`` is NO). The whole is asked
    for without a range; where that is refused (400: the hub's CDN, of very large files), by one from ``lacking`` on.

    Raises:
        RemoteError, TransferError: by what the answer is; nothing of it may be written.
    """

    def get(headers: Mapping[str, str]) -> Answer:
        return web.get(
            source.url,
            label=str(source.endpoint),
            headers=headers,
            foreign=source.headers,
            authority=source.authority,
            named_by=source.endpoint.url if source.signed else None,
            handle=handle,
        )

    def ask() -> Body:
        first, whole = start, start == 0 and stop == pointer.size
        answer = get({} if whole else {"Range": format_range(start, stop)})
        if whole and answer.status == WANTS_RANGE:
            answer.close()
            first, whole = lacking, False
            answer = get({"Range": format_range(lacking, stop)})
        return _body_of(answer, source, pin, pointer, first, stop, now, whole=whole)

    return web.exchange(str(source.endpoint), ask)


def _body_of(
    answer: Answer, source: Source, pin: Pin, pointer: Pointer, start: int, stop: int, now: float, *, whole: bool
) -> Body:
    """What ``answer`` brings: ``[start, stop)``, or the ``whole``, asked for without a range. Closed if this raises."""
    try:
        if answer.status == 206:
            return _partial_body(answer, pointer, start, stop)
        if answer.status == 200:
            _check_whole(answer, pointer)
            return Body(answer, 0, pointer.size, RangeSupport.UNKNOWN if whole else RangeSupport.NO)
        if answer.status == 416:
            _check_total(answer, pointer)
        raise _refusal(answer, source, pin, pointer, now)
    except BaseException:
        answer.close()
        raise


def _partial_body(answer: Answer, pointer: Pointer, start: int, stop: int) -> Body:
    """A 206: it must say that it is the range that was asked for, of an object of this size."""
    asked = f"{start}-{stop - 1}"
    if answer.is_gzip:  # a part of what: of the object, or of its gzip?
        raise errors.RangeRefused(answer.label, asked, phrase("compressed", encoding="gzip"))
    stated = answer.headers.get("Content-Range", "")
    given = parse_content_range(stated)
    if given is not None and given.total not in (None, pointer.size):
        raise errors.OtherFile(answer.label, phrase("file-of-size", got=given.total, want=pointer.size))
    if given is None or given.start != start or given.stop > pointer.size:
        raise errors.RangeRefused(answer.label, asked, phrase("other-content-range", stated=stated[:60]))
    return Body(answer, start, min(given.stop, stop), RangeSupport.YES)


def _check_total(answer: Answer, pointer: Pointer) -> None:
    """A 416: it may say how long the file is that it has (RFC 9110, 15.5.17)."""
    total = answer.headers.get("Content-Range", "").strip().lower().partition("bytes */")[2]
    if total.isdecimal() and total != str(pointer.size):
        raise errors.OtherFile(answer.label, phrase("file-of-size", got=total[:20], want=pointer.size))


def _check_whole(answer: Answer, pointer: Pointer) -> None:
    """A 200: its length must be the object's; where it has none, it must not be a page for people."""
    page = phrase("html-page") if answer.content_type in ("text/html", "application/xhtml+xml") else ""
    if answer.length is None and page:
        raise errors.NotTheObject(answer.label, page)
    if answer.length not in (None, pointer.size):
        if page:
            text = phrase("page-of-size", got=answer.length, want=pointer.size)
            raise errors.NotTheObject(answer.label, text)
        raise errors.OtherFile(answer.label, phrase("file-of-size", got=answer.length, want=pointer.size))


def _refusal(answer: Answer, source: Source, pin: Pin, pointer: Pointer, now: float) -> HfcloneError:
    """What a status other than 200 and 206 means for this object on this endpoint."""
    status, label = answer.status, answer.label
    if status in (404, 410):
        return errors.ObjectMissing(pointer.oid, label, status, of_hub=source.endpoint.site.has_mirrors)
    if status == 416:
        return errors.RangeRefused(label, phrase("of-the-object"), phrase("no-such-bytes"))
    if status == 429 or status >= 500:
        wait = answer.retry_after(wall_clock())
        return errors.RateLimited(label, wait) if status == 429 else errors.ServerFault(label, status, wait)
    if source.signed or answer.hops:
        young = not source.signed or now - source.born < FRESH
        return errors.ServerFault(label, status) if young else errors.UrlExpired(label, status)
    error = explain(answer, source.endpoint, pin.repo, pin.commit, source.authority)
    # A bare 401, 403 or 451 is a mirror's or a proxy's mood: it may pass.
    return errors.ServerFault(label, status) if isinstance(error, errors.NotServed) else error
