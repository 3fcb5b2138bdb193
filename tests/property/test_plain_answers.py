"""What is read past http.client is what http.client would have read, whatever comes and in whatever pieces."""

from __future__ import annotations

import contextlib
import io
import itertools
import re
import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hfclone.errors import HfcloneError, Unreachable
from hfclone.http import Limits, Web
from tests.wires import Wire

SECOND = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond"
LIMIT = 1 << 20


@dataclass(frozen=True)
class Sent:
    """What a server sends, cut into pieces, and whether it hangs up then."""

    pieces: tuple[bytes, ...]
    hangs_up: bool

    @property
    def all(self) -> bytes:
        """All of it."""
        return b"".join(self.pieces)


class Scripted(Wire):
    """Answers the first request with what the test says, and others with ``SECOND``."""

    def __init__(self) -> None:
        super().__init__(self._say)
        self.sent = Sent((), hangs_up=True)

    def _say(self, number: int, connected: socket.socket) -> bool:
        if number > 1:
            connected.sendall(SECOND)
            return True
        for piece in self.sent.pieces:
            connected.sendall(piece)
        return not self.sent.hangs_up


class Bytes:
    """A socket for http.client that has all there is."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def makefile(self, _mode: str) -> io.BytesIO:
        """As of a socket."""
        return io.BytesIO(self._content)


Told = tuple[int, tuple[str | None, ...], bytes]
NAMES = ("content-length", "content-type", "etag", "x-twice", "x-folded", "connection")


def told_by_http_client(content: bytes) -> Told | None:
    """What http.client makes of it; ``None``: nothing good, or (so says urllib3) lengths that contradict each other."""
    if len(set(re.findall(rb"Content-Length: (\d+)", re.split(rb"\n\r?\n", content)[0]))) > 1:
        return None
    response = HTTPResponse(cast("socket.socket", Bytes(content)), method="GET")
    try:
        response.begin()
        joined = tuple(response.getheader(name) for name in NAMES)
        return response.status, joined, response.read()
    except (HTTPException, ValueError):
        return None


@pytest.fixture(scope="module")
def server() -> Iterator[Scripted]:
    with Scripted() as server:
        yield server


def head(status: int, version: str, lines: list[str], ends: Iterable[str] = ("\r\n",)) -> bytes:
    every = zip([f"HTTP/{version} {status} Whatever", *lines, ""], itertools.cycle(ends), strict=False)
    return "".join(line + end for line, end in every).encode("latin-1")


LINES = st.lists(
    st.sampled_from(
        [
            "Content-Type: text/plain",
            'ETag:"abc"',
            "X-Twice: one",
            "x-twice:  two \t",
            "X-Folded: one\r\n two",
            "Date: Sat, 28 Nov 2026 22:49:20 GMT",
            "Connection: keep-alive",
            "Connection: close",
            "X-Name: J\xfcrgen",
            "Content-Length: 5",
        ]
    ),
    max_size=6,
)


@st.composite
def answers(draw: st.DrawFn) -> Sent:
    """Plain ones, chunked, without a length, cut short, with something after them, in any pieces."""
    body = draw(st.binary(max_size=200)) * draw(st.sampled_from([1, 1, 500]))
    framing = draw(st.sampled_from(["length", "length", "length", "chunked", "none", "short", "more"]))
    lines = draw(LINES)
    if framing == "chunked":
        lines.append("Transfer-Encoding: chunked")
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n"
    elif framing != "none":
        length = len(body) + {"short": 7, "more": -min(3, len(body))}.get(framing, 0)
        lines.insert(draw(st.integers(0, len(lines))), f"Content-Length: {length}")
    statuses = [200, 206, 404, 503] if framing == "chunked" else [200, 206, 404, 204, 503]  # what 204 has, is no body
    status, version = draw(st.sampled_from(statuses)), draw(st.sampled_from(["1.1", "1.1", "1.0"]))
    ends = draw(st.sampled_from([["\r\n"], ["\r\n"], ["\n"], ["\r\n", "\n"]]))
    content = head(status, version, lines, ends) + body
    cuts = sorted(draw(st.lists(st.integers(0, len(content)), max_size=4)))
    pieces = tuple(content[a:b] for a, b in zip([0, *cuts], [*cuts, len(content)], strict=True))
    return Sent(tuple(piece for piece in pieces if piece), draw(st.booleans()) or framing in ("none", "short"))


@settings(max_examples=100, deadline=None)
@given(sent=answers(), lull=st.sampled_from([0.0, 0.01]))
def test_what_http_client_would_have_read(server: Scripted, sent: Sent, lull: float) -> None:
    server.sent, server.requests = sent, 0
    expected = told_by_http_client(sent.all)
    with Web(user_agent="hfclone-tests", limits=Limits(connect=5, silence=0.3)) as web:
        try:
            with web.get(f"{server.url}/first", label="host") as answer:
                joined = tuple(answer.headers.get(name) for name in NAMES)
                told = (answer.status, joined, b"".join(map(bytes, answer.chunks(LIMIT, lull=lull))))
        except HfcloneError:
            told = None
        if expected is None:
            assert told is None
        else:
            assert told is not None
            assert told[0] == expected[0]
            assert told[2] == expected[2]
            assert [_plain(value) for value in told[1]] == [_plain(value) for value in expected[1]]
        server.requests = 1
        assert _second(server, web) == b"second"


def _second(server: Scripted, web: Web) -> bytes:
    """The answer after it; a connection that the server has just ended may be met once."""
    with contextlib.suppress(Unreachable), web.get(f"{server.url}/second", label="host") as answer:
        return b"".join(map(bytes, answer.chunks(100)))
    with web.get(f"{server.url}/second", label="host") as answer:
        return b"".join(map(bytes, answer.chunks(100)))


def _plain(value: str | None) -> str | None:
    """Without what a folded line leaves, and blanks beside a comma: those mean nothing."""
    return None if value is None else ",".join(" ".join(part.split()) for part in value.split(","))


def test_a_connection_is_kept_and_used_again(server: Scripted) -> None:
    server.requests, before = 1, server.connections
    with Web(user_agent="hfclone-tests") as web:
        for _ in range(5):
            with web.get(f"{server.url}/second", label="host") as answer:
                assert b"".join(map(bytes, answer.chunks(100))) == b"second"
    assert server.connections == before + 1


def test_a_connection_with_more_than_its_answer_is_not_kept(server: Scripted) -> None:
    """What came after the body may be the beginning of anything."""
    more = head(200, "1.1", ["Content-Length: 4"]) + b"bodyHTTP/1.1"
    server.sent, server.requests = Sent((more,), hangs_up=False), 0
    before = server.connections
    with Web(user_agent="hfclone-tests") as web:
        with web.get(f"{server.url}/first", label="host") as answer:
            assert b"".join(map(bytes, answer.chunks(100))) == b"body"
        with web.get(f"{server.url}/second", label="host") as answer:
            assert b"".join(map(bytes, answer.chunks(100))) == b"second"
    assert server.connections == before + 2
