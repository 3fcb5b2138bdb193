"""Connections that are used again: when they are, and that nothing of one exchange gets into the next."""

from __future__ import annotations

import base64
import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from hfclone.errors import Truncated, Unreachable
from hfclone.http import AbortHandle, Connections, Limits, Route, Web
from hfclone.http.connecting import Connector
from tests.proxies import HttpProxy, tls_front
from tests.wires import Hearing, Wire

OK = b"HTTP/1.1 200 OK\r\n"
PLAIN = OK + b"Content-Length: 2\r\n\r\nab"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"
FORGED = OK + b"Content-Length: 6\r\n\r\nforged"
EVERY = 100


def in_turn(*answers: bytes) -> Callable[[int, socket.socket], bool]:
    """An answer to each request in turn, the last to all that follow; an empty one closes the connection."""

    def answer(number: int, connected: socket.socket) -> bool:
        content = answers[min(number, len(answers)) - 1]
        connected.sendall(content)
        return bool(content)

    return answer


def get(web: Web, url: str, limit: int = EVERY, **more: Any) -> bytes:
    with web.get(url, label="host", **more) as answer:
        return b"".join(map(bytes, answer.chunks(limit)))


@pytest.mark.parametrize("answer", [PLAIN, CHUNKED, OK.replace(b"1.1", b"1.0") + b"\r\nab", OK + b"\r\nab"])
@pytest.mark.parametrize("limit", [2, EVERY])
def test_what_says_where_it_ends_is_kept(answer: bytes, limit: int) -> None:
    """Chunked answers, too, of which an object's size is read and not the end."""
    is_kept = answer in (PLAIN, CHUNKED)

    def answering(_number: int, connected: socket.socket) -> bool:
        connected.sendall(answer)
        return is_kept

    with Wire(answering) as wire, Web(user_agent="test") as web:
        assert [get(web, wire.url, limit) for _ in range(5)] == [b"ab"] * 5
        assert wire.connections == (1 if is_kept else 5)


class Heard(Hearing):
    """Notes the heads of requests, and answers."""

    def __init__(self) -> None:
        self.heads: list[bytes] = []
        super().__init__(self._hear)
        self.port = int(self.url.rpartition(":")[2])

    def _hear(self, _number: int, head: bytes, connected: socket.socket) -> bool:
        self.heads.append(head)
        connected.sendall(PLAIN)
        return True


# --- closed by the server meanwhile ------------------------------------------------------------


class Closing(Wire):
    """Answers once on each connection, and closes it when told."""

    def __init__(self) -> None:
        self.go, self.gone = threading.Event(), threading.Event()
        super().__init__(self._say)

    def _say(self, _number: int, connected: socket.socket) -> bool:
        connected.sendall(PLAIN)
        threading.Thread(target=self._close, args=(connected,)).start()
        return True

    def _close(self, connected: socket.socket) -> None:
        self.go.wait(10)
        with contextlib.suppress(OSError):  # the second has gone itself, maybe
            connected.shutdown(socket.SHUT_RDWR)
        self.gone.set()


def test_an_idle_connection_that_the_server_has_closed_is_not_used() -> None:
    with Closing() as wire, Web(user_agent="test") as web:
        assert get(web, wire.url) == b"ab"
        wire.go.set()
        assert wire.gone.wait(10)
        assert get(web, wire.url) == b"ab"
        assert (wire.requests, wire.connections) == (2, 2)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_one_that_is_closed_by_the_next_request_costs_a_get_nothing(method: str) -> None:
    """The server's patience may end while the request is under way. What changes something is not sent twice."""
    with Wire(in_turn(PLAIN, b"", PLAIN)) as wire, Web(user_agent="test") as web:
        assert get(web, wire.url) == b"ab"
        if method == "GET":
            assert get(web, wire.url) == b"ab"
        else:
            with pytest.raises(Unreachable):
                web.ask(wire.url, label="host", method=method, body=b"{}")
        assert wire.requests == (3 if method == "GET" else 2)


@pytest.mark.parametrize(
    "answers",
    [(b"",), (PLAIN, b"H"), (PLAIN, b"HTTP/1.1 2"), (PLAIN, b"", b""), (PLAIN, b"HTTP/1.1 103 Early\r\n\r\n")],
)
def test_whoever_says_something_or_is_new_is_not_asked_again(answers: tuple[bytes, ...]) -> None:
    def closing(number: int, connected: socket.socket) -> bool:
        connected.sendall(answers[number - 1])
        return answers[number - 1] == PLAIN

    with Wire(closing) as wire, Web(user_agent="test") as web:
        if len(answers) > 1:
            get(web, wire.url)
        with pytest.raises(Unreachable):
            get(web, wire.url)
        assert wire.requests == len(answers)


def test_what_was_broken_off_is_not_asked_again() -> None:
    asked, free, handle = threading.Event(), threading.Event(), AbortHandle()

    def silent(number: int, connected: socket.socket) -> bool:
        if number == 1:
            connected.sendall(PLAIN)
        else:
            asked.set()
            free.wait(10)
        return number == 1

    with Wire(silent) as wire, Web(user_agent="test") as web:
        get(web, wire.url)
        breaking = threading.Thread(target=lambda: (asked.wait(10), handle.abort()))
        breaking.start()
        with pytest.raises(Unreachable):
            get(web, wire.url, handle=handle)
        breaking.join()
        free.set()
        assert (wire.requests, wire.connections) == (2, 1)


def test_none_is_kept_once_all_are_closed() -> None:
    closed = threading.Event()

    def answer(_number: int, connected: socket.socket) -> bool:
        connected.sendall(PLAIN)
        connected.settimeout(10)
        if connected.recv(1) == b"":
            closed.set()
        return False

    connections = Connections(Route({}), Limits())
    with Wire(answer) as wire, Web(user_agent="test", connections=connections) as web:
        asked = web.get(wire.url, label="host")
        connections.close()
        assert asked.text() == b"ab"
        asked.close()
        assert closed.wait(10)


class Here(Connector):
    """Of whom every host is this machine."""

    def connect(self, _host: str, *given: Any) -> socket.socket:
        return super().connect("127.0.0.1", *given)


def test_none_is_used_for_what_goes_another_way() -> None:
    """A host of two spellings, of which ``no_proxy`` has one: the proxy's password is not for the host."""
    with Heard() as host, Heard() as proxy:
        port, route = (
            host.port,
            Route({"http": f"http://m%C3%A9:%E4%B8%AD@127.0.0.1:{proxy.port}"}, ["xn--bcher-kva.example"]),
        )
        connections = Connections(route, Limits(), Here())
        with Web(user_agent="test", connections=connections) as web:
            for name in ("xn--bcher-kva.example", "b\u00fccher.example", "xn--bcher-kva.example"):
                assert get(web, f"http://{name}:{port}/") == b"ab"
        connections.close()
    login = base64.b64encode("m\u00e9:\u4e2d".encode())
    assert [head.count(b"\r\nproxy-authorization: Basic " + login) for head in proxy.heads] == [1]
    assert [head.count(b"proxy-authorization") for head in host.heads] == [0, 0]


@pytest.mark.parametrize("user", ["DOMAIN\\me", "DOMAIN%5Cme"])
def test_a_proxy_s_user_may_be_of_a_domain(user: str) -> None:
    """Some take a backslash for the end of the host."""
    with Heard() as proxy, Web(user_agent="test", proxies={"all": f"http://{user}:a@127.0.0.1:{proxy.port}"}) as web:
        assert get(web, "http://host.test/") == b"ab"
    assert b"\r\nproxy-authorization: Basic " + base64.b64encode(b"DOMAIN\\me:a") in proxy.heads[0]


# --- what is beyond a body, and heads that two readers read differently ------------------------


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("answer", [PLAIN, CHUNKED, b"HTTP/1.1 204 Gone\r\n\r\n", b"HTTP/1.1 304 So\r\n\r\n"])
def test_what_comes_beyond_a_body_is_not_the_next_answer(answer: bytes, at_once: bool) -> None:
    read, sent = threading.Event(), threading.Event()

    def forging(number: int, connected: socket.socket) -> bool:
        if number > 1:
            connected.sendall(PLAIN)
            return True
        connected.sendall(answer + FORGED if at_once else answer)
        if not at_once:
            read.wait(10)
            connected.sendall(FORGED)
        sent.set()
        return True

    with Wire(forging) as wire, Web(user_agent="test") as web:
        get(web, wire.url)
        read.set()
        assert sent.wait(10)
        assert get(web, wire.url) == b"ab"
        assert wire.connections == 2


def test_nor_is_it_within_tls_within_tls(pem: Path) -> None:
    """To a proxy; bytes may lie there where no socket shows them."""

    def forging(number: int, connected: socket.socket) -> bool:
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)  # two records of TLS come at once
        connected.sendall(PLAIN)
        if number == 1:
            connected.sendall(FORGED)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 0)
        return True

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    with Wire(forging, pem) as wire, HttpProxy() as proxy, tls_front(proxy.port, context) as port:
        with Web(user_agent="test", ca_bundle=str(pem), proxies={"all": f"https://localhost:{port}"}) as web:
            assert [get(web, wire.url) for _ in range(3)] == [b"ab"] * 3
        assert wire.connections == 2


@pytest.mark.parametrize(
    ("head", "body"),
    [
        (b"Content-Length: 2\r\nTransfer-Encoding: chunked", b"2\r\nab\r\n0\r\n\r\n"),
        (b"Transfer-Encoding: chunked\r\nContent-Length: 12", b"2\r\nab\r\n0\r\n\r\n"),
        (b"Content-Length: 2\r\nTransfer-Encoding: gzip, chunked", b"ab"),
        (b"Content-Length: 2\r\nTransfer-Encoding:\x0bchunked", b"ab"),
        (b"Content-Length: +2", b"ab"),
        (b"Content-Length: 0_2", b"ab"),
        (b"Content-Length: \xa02", b"ab"),
        (b"Content-Length: 2\r\nX Y: z\r\nTransfer-Encoding: chunked", b"ab"),
        (b"X: a\r\n b\r\nTransfer-Encoding: chunked", b"2\r\nab\r\n0\r\n\r\n"),
        (b"X: a\rX: b\r\nTransfer-Encoding: chunked", b"2\r\nab\r\n0\r\n\r\n"),
        (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", b"2\r\nab\r\n0\r\n\r\n"),
        (b"Transfer-Encoding: chunked\r\nConnection: keep-alive\r\nConnection: close", b"2\r\nab\r\n0\r\n\r\n"),
    ],
)
def test_the_connection_of_an_answer_that_says_its_length_oddly_is_not_kept(head: bytes, body: bytes) -> None:
    """Somebody between may have read it differently, and hold what follows for the next one's."""
    with Wire(in_turn(OK + head + b"\r\n\r\n" + body, PLAIN)) as wire, Web(user_agent="test") as web:
        assert get(web, wire.url) == b"ab"
        assert get(web, wire.url) == b"ab"
        assert wire.connections == 2


def test_nor_is_that_of_one_in_chunks_of_http_1_0() -> None:
    old = CHUNKED.replace(b"1.1", b"1.0").replace(b"\r\n", b"\r\nConnection: keep-alive\r\n", 1)
    with Wire(in_turn(old, PLAIN)) as wire, Web(user_agent="test") as web:
        assert [get(web, wire.url) for _ in range(2)] == [b"ab"] * 2
        assert wire.connections == 2


@pytest.mark.parametrize("size", [b"zz", b"", b"0" * 70_000])
def test_nor_is_that_of_one_whose_chunks_end_in_nonsense(size: bytes) -> None:
    """Whatever the far side sends next is no answer."""
    broken = CHUNKED.partition(b"0\r\n")[0] + size + b"\r\n"
    with Wire(in_turn(broken, PLAIN)) as wire, Web(user_agent="test") as web:
        with pytest.raises(Truncated):
            get(web, wire.url)
        assert get(web, wire.url) == b"ab"
        assert wire.connections == 2


@pytest.mark.parametrize("lengths", [b"Content-Length: 2\r\nContent-Length: 3", b"Content-Length: 2, 3"])
def test_two_lengths_are_none(lengths: bytes) -> None:
    wire = Wire(in_turn(OK + lengths + b"\r\n\r\nabc"))
    with wire, Web(user_agent="test") as web, pytest.raises(Unreachable, match="two lengths"):
        get(web, wire.url)


@pytest.mark.parametrize(
    ("before", "is_plain"),
    [
        (b"HTTP/1.1 100 Continue\r\n\r\n", True),
        (b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n" * 3, True),
        (b"HTTP/1.1 102 Processing\nX: folded\n y\n\n", False),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n", False),
    ],
)
@pytest.mark.parametrize("answer", [PLAIN, CHUNKED])
@pytest.mark.parametrize("cut", [0, 5, 30, None])
def test_provisional_answers(before: bytes, is_plain: bool, answer: bytes, cut: int | None) -> None:
    """They are passed over; what is no HTTP any more, or written oddly, is no answer."""

    def say(_number: int, connected: socket.socket) -> bool:
        both = before + answer
        first = both.index(b"\n\r\n") + 3 if cut is None and is_plain else cut or 0
        for piece in (both[:first], both[first : first + 1], both[first + 1 :]) if first else (both,):
            connected.sendall(piece)
            time.sleep(0.02 if first else 0)
        return True

    with Wire(say) as wire, Web(user_agent="test") as web:
        for _ in range(2):
            if is_plain:
                assert get(web, wire.url) == b"ab"
            else:
                with pytest.raises(Unreachable):
                    get(web, wire.url)
        assert wire.connections == (1 if is_plain else 2)


def test_provisional_answers_have_a_limit() -> None:
    """All of them together: it is the bytes that are counted, before the time that is allowed is over."""
    with Wire(in_turn(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 4000)) as wire, Web(user_agent="test") as web:
        began = time.monotonic()
        with pytest.raises(Unreachable, match="HTTP 103"):
            get(web, wire.url)
        assert time.monotonic() - began < web.limits.silence / 2


@pytest.mark.parametrize("head", [b"X: " + b"a" * 70_000, b"X: a\r\n" * 200, b"a" * 70_000])
def test_a_head_has_a_limit(head: bytes) -> None:
    wire = Wire(in_turn(OK + head + b"\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"))
    with wire, Web(user_agent="test") as web, pytest.raises(Unreachable):
        get(web, wire.url)


# --- what is sent ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {"x-a": "1\r\nx-smuggled: 1"},
        {"x-a": "1\n x"},
        {"x-a": "1\r"},
        {"x-a": "1\0"},
        {"x-a": "\u0127"},
        {"x-a\r\nx-smuggled": "1"},
        {"x a": "1"},
        {"x-a:": "1"},
        {"": "1"},
        {"x-a": "1\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: x\r\n\r\n"},
    ],
)
@pytest.mark.parametrize("road", ["headers", "foreign"])
def test_no_header_becomes_two(headers: dict[str, str], road: str) -> None:
    with Wire(in_turn(PLAIN)) as wire, Web(user_agent="test") as web:
        with pytest.raises(Unreachable, match="cannot be sent"):
            get(web, wire.url, **{road: headers})
        assert wire.connections == 0


@pytest.mark.parametrize("path", ["/a\r\nx: y", "/a\nb", "/a\tb", "/a\0b", "/a\x7f", "/?a\r\n\r\nGET / HTTP/1.1"])
def test_no_url_with_control_characters_is_asked_for(path: str) -> None:
    """Nor what is left when they are left out, as ``urlsplit`` does it."""
    with Wire(in_turn(PLAIN)) as wire, Web(user_agent="test") as web:
        with pytest.raises(Unreachable, match="no plain http"):
            get(web, wire.url + path)
        assert wire.connections == 0


def test_what_frames_a_request_is_ours() -> None:
    """Whatever is handed in beside it."""
    with Heard() as wire, Web(user_agent="test") as web:
        given = {"Host": "elsewhere.test", "Content-Length": "99"}
        with web.ask(wire.url, label="host", method="POST", headers=given, body=b"{}") as answer:
            assert answer.text() == b"ab"
    authority = wire.url.partition("//")[2].encode()
    assert wire.heads[0].startswith(b"POST / HTTP/1.1\r\nhost: %b\r\ncontent-length: 2\r\n" % authority)
    assert wire.heads[0].count(b"content-length") == wire.heads[0].count(b"host:") == 1
    assert wire.heads[0].endswith(b"\r\n\r\n{}")


@pytest.mark.parametrize("name", ["\u4e2d".encode(), b"\xfc"])
def test_a_redirect_leads_to_the_bytes_it_names(name: bytes) -> None:
    """In whatever charset: curl and browsers send them back as they came."""
    heads: list[bytes] = []

    def answer(number: int, head: bytes, connected: socket.socket) -> bool:
        heads.append(head)
        moved = b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: /%%20 %b?%b\r\n\r\n" % (name, name)
        connected.sendall(PLAIN if number > 1 else moved)
        return True

    with Hearing(answer) as wire, Web(user_agent="test") as web:
        assert get(web, wire.url) == b"ab"
    assert heads[1].startswith(f"GET /%20%20{quote(name)}?{quote(name)} HTTP/1.1\r\n".encode())


def test_an_ipv6_address_is_a_host() -> None:
    heard: list[bytes] = []
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as listener:

        def serve() -> None:
            with listener.accept()[0] as connected:
                heard.append(connected.recv(4096))
                connected.sendall(PLAIN)

        serving = threading.Thread(target=serve)
        serving.start()
        url = f"http://[::1]:{listener.getsockname()[1]}"
        with Web(user_agent="test") as web:
            assert get(web, f"{url}/a b?c=\u00fc%2f%") == b"ab"
        serving.join()
    first, host = heard[0].split(b"\r\n")[:2]
    assert first == b"GET /a%20b?c=%C3%BC%2f%25 HTTP/1.1"
    assert host == b"host: " + url.partition("//")[2].encode()
