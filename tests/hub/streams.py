"""Faults of the byte stream: cuts, stalls, wrong bytes, slow lines. Byte counts are of each answer's body."""

from __future__ import annotations

import random
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from .faults import Serve
from .messages import Request, Response
from .wire import Close, Reset


@dataclass
class Waiting:
    """Base of the faults that wait: `release` lets go of everything."""

    _free: threading.Event = field(default_factory=threading.Event, init=False, repr=False)

    def release(self) -> None:
        """Let go of everything that waits, now and later."""
        self._free.set()


@dataclass
class ResetAfter:
    """A TCP reset after ``low`` to ``high`` bytes; an answer that is shorter comes whole."""

    low: int
    high: int | None = None
    seed: int = 0
    how: Callable[[], Exception] = Reset

    def __post_init__(self) -> None:
        """Seed the dice."""
        self._dice = random.Random(self.seed)

    def answer(self, request: Request, serve: Serve) -> Response:
        """Cut what the server answers."""
        cut = self._dice.randint(self.low, max(self.low, self.high or 0))
        return serve(request).wrap(lambda pieces: at_byte(pieces, cut, self._end))

    def release(self) -> None:
        """Nothing waits."""

    def _end(self) -> None:
        raise self.how()


@dataclass
class CloseShort(ResetAfter):
    """An orderly close after ``low`` to ``high`` bytes, short of the Content-Length."""

    how: Callable[[], Exception] = Close


@dataclass
class Stall(Waiting):
    """Silence, for ever or until released: after ``after`` bytes, or with ``None`` before the status line.

    ``stalled`` is set when the first answer has come to a stop.
    """

    after: int | None = None
    stalled: threading.Event = field(default_factory=threading.Event)

    def answer(self, request: Request, serve: Serve) -> Response:
        """Stop at the place."""
        if self.after is None:
            self._stop()
            return serve(request)
        after = self.after
        return serve(request).wrap(lambda pieces: at_byte(pieces, after, self._stop))

    def _stop(self) -> None:
        self.stalled.set()
        self._free.wait()


@dataclass
class HoldAt(Waiting):
    """Send ``at`` bytes, set ``held``, and wait for ``go``; the way to kill a client at a known byte.

    With ``absolute`` the byte is counted in the object, and an answer whose range does not reach it is let through.
    """

    at: int
    absolute: bool = False
    held: threading.Event = field(default_factory=threading.Event)
    go: threading.Event = field(default_factory=threading.Event)

    def answer(self, request: Request, serve: Serve) -> Response:
        """Hold the answer at the byte."""
        response = serve(request)
        at = self.at - response.start if self.absolute else self.at
        return response if at < 0 else response.wrap(lambda pieces: at_byte(pieces, at, self._hold, at_end=True))

    def reaches(self, request: Request) -> bool:
        """Whether the answer will come to the byte, by the range that is asked for: for ``when`` beside ``times``."""
        first, _, last = request.headers.get("range", "bytes=0-").removeprefix("bytes=").partition("-")
        return int(first) <= self.at and (not last or self.at <= int(last) + 1)

    def release(self) -> None:
        """Go on."""
        self.go.set()

    def _hold(self) -> None:
        self.held.set()
        self.go.wait()


@dataclass
class FlipByte:
    """One wrong byte, at an offset in the object; only the first time it passes, or always."""

    at: int
    always: bool = False
    flips: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def answer(self, request: Request, serve: Serve) -> Response:
        """Spoil the byte if this answer holds it."""
        response = serve(request)
        at = self.at - response.start
        return response if at < 0 else response.wrap(lambda pieces: self._flip(pieces, at))

    def release(self) -> None:
        """Nothing waits."""

    def _flip(self, pieces: Iterator[bytes], at: int) -> Iterator[bytes]:
        for piece in pieces:
            if 0 <= at < len(piece) and self._mine():
                yield piece[:at] + bytes([piece[at] ^ 0xFF]) + piece[at + 1 :]
            else:
                yield piece
            at -= len(piece)

    def _mine(self) -> bool:
        with self._lock:
            if self.flips and not self.always:
                return False
            self.flips += 1
            return True


@dataclass
class WrongBytes:
    """All bytes wrong, in the right number."""

    def answer(self, request: Request, serve: Serve) -> Response:
        """Turn every bit over."""
        return serve(request).wrap(lambda pieces: (bytes(byte ^ 0xFF for byte in piece) for piece in pieces))

    def release(self) -> None:
        """Nothing waits."""


@dataclass
class ForceGzip:
    """Content-Encoding: gzip though it was not asked for: chunked, no Content-Length, a weak ETag."""

    def answer(self, request: Request, serve: Serve) -> Response:
        """Compress what the server answers."""
        response = serve(request)
        response.headers["Content-Encoding"] = "gzip"
        if etag := response.headers.get("ETag"):
            response.headers["ETag"] = f"W/{etag}"
        response.length = None
        return response.wrap(_gzip)

    def release(self) -> None:
        """Nothing waits."""


@dataclass
class EndlessBody:
    """A body that never ends; ``claim`` is the Content-Length, without it the body is chunked."""

    claim: int | None = None

    def answer(self, request: Request, serve: Serve) -> Response:
        """Go on after what the server answers."""
        response = serve(request)
        response.length = self.claim
        return response.wrap(_endless)

    def release(self) -> None:
        """Nothing waits: it ends when the client goes."""


@dataclass
class Throttle(Waiting):
    """A slow line: bytes per second of each answer, and of all answers together."""

    each: float | None = None
    total: float | None = None
    _next: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def answer(self, request: Request, serve: Serve) -> Response:
        """Pace what the server answers."""
        return serve(request).wrap(self._pace)

    def _pace(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        step = max(512, int(min(self.each or 1e12, self.total or 1e12) / 40))
        mine = time.monotonic()
        for whole in pieces:
            for at in range(0, len(whole), step):
                piece = whole[at : at + step]
                due = self._reserve(len(piece))
                if self.each:
                    due = max(due, mine)
                    mine = max(mine, time.monotonic()) + len(piece) / self.each
                self._free.wait(max(0.0, due - time.monotonic()))
                yield piece

    def _reserve(self, count: int) -> float:
        if not self.total:
            return 0.0
        with self._lock:
            due = max(self._next, time.monotonic())
            self._next = due + count / self.total
            return due


def at_byte(pieces: Iterator[bytes], at: int, then: Callable[[], None], *, at_end: bool = False) -> Iterator[bytes]:
    """Call ``then`` when ``at`` bytes are out and another is to follow (or, with ``at_end``, the end)."""
    seen = 0
    for piece in pieces:
        if seen <= at < seen + len(piece):
            if at > seen:
                yield piece[: at - seen]
            then()
            yield piece[at - seen :]
        else:
            yield piece
        seen += len(piece)
    if at_end and seen == at:
        then()


def _gzip(pieces: Iterator[bytes]) -> Iterator[bytes]:
    squeeze = zlib.compressobj(1, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    for piece in pieces:
        yield squeeze.compress(piece)
    yield squeeze.flush()


def _endless(pieces: Iterator[bytes]) -> Iterator[bytes]:
    yield from pieces
    while True:
        yield bytes(16 * 1024)
