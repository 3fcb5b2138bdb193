"""Connections that are made before anybody asks: whoever asks first gets them, and hears of it where they failed."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest

from hfclone.errors import BadRedirect, Unreachable
from hfclone.http import AbortHandle, Connections, Limits, Route, Web
from hfclone.http.ahead import Ahead
from hfclone.http.pool import Connection
from tests.wires import Wire

PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab"
KEY = ("http", "host.test", 80, "")


class Accepting(Wire):
    """Says the same to every request, and notes when somebody has connected."""

    def __init__(self, pem: Path | None = None, *, closes: bool = False) -> None:
        self.reached, self._closes = threading.Event(), closes
        super().__init__(self._say, pem)

    def _say(self, _number: int, connected: socket.socket) -> bool:
        connected.sendall(PLAIN)
        return True

    def _serve(self, connected: socket.socket) -> None:
        self.reached.set()
        if self._closes and self.connections == 1:
            connected.close()
        else:
            super()._serve(connected)


@contextmanager
def ahead_of(wire: Wire, bundle: str | None = None) -> Iterator[tuple[Connections, Web]]:
    connections = Connections(Route({}, (), bundle), Limits())
    with Web(user_agent="test", connections=connections) as web:
        connections.connect_ahead(wire.url)
        yield connections, web
    connections.close()


def get(web: Web, url: str) -> bytes:
    with web.get(url, label="host") as answer:
        return answer.text()


def test_the_first_request_goes_over_it() -> None:
    with Accepting() as wire, ahead_of(wire) as (_, web):
        assert wire.reached.wait(10)
        assert [get(web, wire.url) for _ in range(2)] == [b"ab"] * 2
        assert (wire.connections, wire.requests) == (1, 2)


def test_also_over_tls_whose_server_speaks_first(pem: Path) -> None:
    """TLS 1.3 sends tickets before anything is asked: these are no answer that nobody asked for."""
    with Accepting(pem) as wire, ahead_of(wire, str(pem)) as (_, web):
        assert [get(web, wire.url) for _ in range(2)] == [b"ab"] * 2
        assert (wire.connections, wire.requests) == (1, 2)


def test_a_request_waits_for_one_that_is_being_made() -> None:
    """However often it is asked for ahead, there is one."""
    with Accepting() as wire, ahead_of(wire) as (connections, web):
        connections.connect_ahead(wire.url)
        with web.ask(wire.url, label="host", method="POST", body=b"{}") as answer:
            assert answer.text() == b"ab"
        assert wire.connections == 1


def test_that_it_failed_is_told_to_who_asks_and_the_next_tries_anew() -> None:
    with Accepting() as wire, socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        taken.close()
        connections = Connections(Route({}), Limits())
        with Web(user_agent="test", connections=connections) as web:
            connections.connect_ahead(url)
            for _ in range(2):
                with pytest.raises(Unreachable):
                    web.get(url, label="host")
            assert get(web, wire.url) == b"ab"


@pytest.mark.parametrize("seconds", [0.0, 60.0])
def test_that_it_failed_a_while_ago_is_no_news(seconds: float) -> None:
    """The line may be up by now."""
    now, failed = 0.0, threading.Event()

    def connect(_handle: AbortHandle) -> Connection:
        failed.set()
        raise ConnectionRefusedError

    ahead = Ahead(lambda: now)
    ahead.begin(KEY, connect)
    assert failed.wait(10)
    while threads := [each for each in threading.enumerate() if each.name == f"connect {KEY[1]}"]:
        threads[0].join(10)
    now += seconds
    with pytest.raises(ConnectionRefusedError) if not seconds else nullcontext():
        assert ahead.take(KEY, 10) is None


def test_one_that_the_server_has_closed_costs_a_get_nothing() -> None:
    with Accepting(closes=True) as wire, ahead_of(wire) as (_, web):
        assert wire.reached.wait(10)
        assert get(web, wire.url) == b"ab"
        assert (wire.connections, wire.requests) == (2, 1)


@pytest.mark.parametrize("is_secure", [False, True])
def test_what_is_said_unasked_is_no_answer(pem: Path, is_secure: bool) -> None:
    """Some servers end an idle connection with a 408."""
    said, is_over = threading.Event(), threading.Event()

    class Impatient(Accepting):
        def _serve(self, connected: socket.socket) -> None:
            if self.connections > 1:
                super()._serve(connected)
                return
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._context is not None:
                connected = self._context.wrap_socket(connected, server_side=True)
            connected.sendall(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
            said.set()
            with connected:
                is_over.wait(10)

    with Impatient(pem if is_secure else None) as wire, ahead_of(wire, str(pem)) as (_, web):
        assert said.wait(10)
        with web.ask(wire.url, label="host", method="POST", body=b"{}") as answer:
            assert (answer.status, answer.text()) == (200, b"ab")
        is_over.set()


def test_its_peer_is_judged_before_anything_is_sent() -> None:
    """A stranger's URL leads to no private address because somebody has connected there already."""
    with Accepting() as wire, ahead_of(wire) as (_, web):
        assert wire.reached.wait(10)
        with pytest.raises(BadRedirect):
            web.get(wire.url, label="host", named_by="https://mirror.example/list")
        assert wire.requests == 0


def test_what_leads_nowhere_is_left_to_who_asks() -> None:
    connections = Connections(Route({}), Limits())
    connections.connect_ahead("http://\u3002.example")
    with Web(user_agent="test", connections=connections) as web, pytest.raises(Unreachable):
        web.get("http://\u3002.example", label="host")


def test_those_that_nobody_asked_for_are_closed_at_the_end() -> None:
    gone = threading.Event()

    class Noticing(Accepting):
        def _serve(self, connected: socket.socket) -> None:
            self.reached.set()
            connected.settimeout(10)
            with connected:
                if connected.recv(1) == b"":
                    gone.set()

    with Noticing() as wire:
        with ahead_of(wire):
            assert wire.reached.wait(10)
        assert gone.wait(10)
