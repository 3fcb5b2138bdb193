"""One request for a range: each odd answer is recognised for what it is; and how a connection is let go."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from hfclone import errors
from hfclone.errors import HfcloneError
from hfclone.http import Answer, Limits, Web
from hfclone.hub.endpoint import Endpoint
from hfclone.names import Pin, Repo
from hfclone.pointer import Oid, Pointer
from hfclone.transfer.exchange import request_range
from hfclone.transfer.health import RangeSupport
from hfclone.transfer.sources import Source
from tests.wires import Wire

SIZE = 1000
POINTER = Pointer(Oid("ab" * 32), SIZE)
PIN = Pin(Repo("o/n"), "0" * 40)


class Line(Wire):
    """A server that says exactly these bytes to every request, and then ``rest`` while it is taken."""

    def __init__(self) -> None:
        super().__init__(self._talk)
        self.says = b""
        self.rest = b""
        self.taken = 0
        self.go = threading.Event()

    def answer(self, status: str, body: bytes = b"", **headers: str) -> None:
        lines = [f"HTTP/1.1 {status}", *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items())]
        self.says = "\r\n".join(lines).encode() + b"\r\n\r\n" + body

    def _talk(self, _number: int, connected: socket.socket) -> bool:
        connected.sendall(self.says)
        if self.rest:
            self.go.wait(5)
            for _ in range(1000):
                connected.sendall(self.rest)
                self.taken += len(self.rest)
        return True


@pytest.fixture
def line() -> Iterator[Line]:
    with Line() as line:
        yield line


@pytest.fixture
def web() -> Iterator[Web]:
    with Web(user_agent="test", limits=Limits(2.0, 1.0)) as web:
        yield web


def ask(line: Line, web: Web, start: int, stop: int, *, signed: bool = False, age: float = 0.0) -> object:
    source = Source(Endpoint(line.url), f"{line.url}/x", born=0.0, signed=signed)
    try:
        with request_range(web, source, PIN, POINTER, start, stop, age).answer as answer:
            assert isinstance(answer, Answer)
        return "taken"
    except HfcloneError as error:
        return type(error)


RANGES: list[tuple[str, dict[str, str], object]] = [
    ("206 Partial", {"Content_Range": "bytes 100-199/1000", "Content_Length": "100"}, "taken"),
    ("206 Partial", {"Content_Range": "bytes 100-199/*", "Content_Length": "100"}, "taken"),
    ("206 Partial", {"Content_Range": "bytes 100-149/1000", "Content_Length": "50"}, "taken"),
    ("206 Partial", {"Content_Range": "bytes 101-200/1000", "Content_Length": "100"}, errors.RangeRefused),
    ("206 Partial", {"Content_Range": "bytes 100-1999/1000"}, errors.RangeRefused),
    ("206 Partial", {"Content_Range": "bytes 100-199/999", "Content_Length": "100"}, errors.OtherFile),
    ("206 Partial", {"Content_Range": "lines 1-2/3"}, errors.RangeRefused),
    ("206 Partial", {"Content_Length": "100"}, errors.RangeRefused),
    ("200 OK", {"Content_Length": "1000"}, "taken"),
    ("200 OK", {"Content_Length": "999"}, errors.OtherFile),
    ("200 OK", {"Content_Length": "90", "Content_Type": "text/html; charset=utf-8"}, errors.NotTheObject),
    ("200 OK", {"Content_Type": "text/html"}, errors.NotTheObject),
    ("200 OK", {"Content_Length": "90", "Content_Encoding": "gzip"}, "taken"),
    ("200 OK", {"Content_Length": "1000", "Content_Encoding": "br"}, errors.NotTheObject),
    ("206 Partial", {"Content_Range": "bytes 100-199/1000", "Content_Encoding": "gzip"}, errors.RangeRefused),
    ("302 Found", {"Location": "file:///etc/passwd"}, errors.BadRedirect),
    ("302 Found", {"Location": "http://user:secret@127.0.0.1/"}, errors.BadRedirect),
    ("404 Not Found", {"Content_Length": "0"}, errors.ObjectMissing),
    ("410 Gone", {"Content_Length": "0"}, errors.ObjectMissing),
    ("416 Range", {"Content_Length": "0"}, errors.RangeRefused),
    ("429 Slow", {"Content_Length": "0", "Retry_After": "3"}, errors.RateLimited),
    ("503 Down", {"Content_Length": "0"}, errors.ServerFault),
    ("403 No", {"Content_Length": "0"}, errors.ServerFault),
]


@pytest.mark.parametrize(("status", "headers", "expected"), RANGES)
def test_an_answer_is_what_it_is(line: Line, web: Web, status: str, headers: dict[str, str], expected: object) -> None:
    line.answer(status, **headers)
    assert ask(line, web, 100, 200) == expected


def test_a_403_of_an_old_signed_url_asks_for_a_new_one_and_of_a_young_one_is_a_fault(line: Line, web: Web) -> None:
    line.answer("403 No", Content_Length="0")
    assert ask(line, web, 0, 100, signed=True, age=60.0) is errors.UrlExpired
    assert ask(line, web, 0, 100, signed=True, age=0.5) is errors.ServerFault


def test_a_whole_object_is_asked_for_without_a_range_and_teaches_nothing(line: Line, web: Web) -> None:
    line.answer("200 OK", b"x" * SIZE, Content_Length=str(SIZE))
    source = Source(Endpoint(line.url), f"{line.url}/x")
    with request_range(web, source, PIN, POINTER, 0, SIZE, 0.0).answer:
        pass
    body = request_range(web, source, PIN, POINTER, 0, SIZE - 1, 0.0)
    assert (body.start, body.stop, body.ranges) == (0, SIZE, RangeSupport.NO)
    body.answer.close()


def test_a_body_left_half_read_is_closed_and_not_drained(line: Line, web: Web) -> None:
    line.answer("200 OK", b"y" * 1000, Content_Length=str(10**9))
    line.rest = b"z" * 65536
    with web.ask(f"{line.url}/x", label="line") as answer:
        assert next(answer.chunks(500)) == b"y" * 500
        line.go.set()
    began = time.monotonic()
    while line.taken < 20 * 65536 and time.monotonic() - began < 0.3:
        time.sleep(0.02)
    assert line.taken < 200 * 65536
    line.rest = b""
    line.answer("200 OK", b"ok", Content_Length="2")
    with web.ask(f"{line.url}/x", label="line") as answer:
        assert answer.text() == b"ok"
    assert line.connections == 2


def test_a_body_read_to_its_end_keeps_the_connection(line: Line, web: Web) -> None:
    line.answer("200 OK", b"ok", Content_Length="2")
    for _ in range(3):
        with web.ask(f"{line.url}/x", label="line") as answer:
            assert answer.text() == b"ok"
    assert line.connections == 1


def test_closing_breaks_whoever_reads(line: Line) -> None:
    web = Web(user_agent="test", limits=Limits(2.0, 20.0))
    line.answer("200 OK", b"y", Content_Length="1000")
    seen: list[type[HfcloneError]] = []

    def read() -> None:
        try:
            with web.ask(f"{line.url}/x", label="line") as answer:
                list(answer.chunks(1000))
        except HfcloneError as error:
            seen.append(type(error))

    thread = threading.Thread(target=read)
    thread.start()
    time.sleep(0.2)
    web.close()
    thread.join(1.0)
    assert not thread.is_alive()
    assert seen == [errors.Truncated]


@pytest.mark.parametrize(
    ("header", "wait"),
    [
        ({"Retry_After": "7"}, 7),
        ({"Retry_After": "Thu, 01 Jan 2026 00:00:09 GMT", "Date": "Thu, 01 Jan 2026 00:00:00 GMT"}, 9),
        ({"Retry_After": "Thu, 01 Jan 2026 00:00:09 GMT"}, 0),
        ({"RateLimit": '"resolvers";r=0;t=11'}, 11),
        ({"RateLimit": '"resolvers";r=5;t=11'}, None),
        ({"Retry_After": "2", "RateLimit": '"api";r=0;t=11'}, 11),
        ({"Retry_After": "soon"}, None),
        ({"Retry_After": "99999999"}, 3600),
        ({}, None),
    ],
)
def test_how_long_an_answer_asks_us_to_wait(line: Line, web: Web, header: dict[str, str], wait: float | None) -> None:
    line.answer("429 Slow", Content_Length="0", **header)
    with web.ask(f"{line.url}/x", label="line") as answer:
        assert answer.retry_after(1_800_000_000.0) == wait
