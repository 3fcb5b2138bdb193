"""Ways to a host: straight, over proxies, with TLS; and an exchange that another thread breaks."""

from __future__ import annotations

import base64
import contextlib
import select
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from hfclone.errors import HfcloneError, Stalled, Truncated, Unreachable
from hfclone.http import AbortHandle, Limits, Web
from hfclone.http.pool import KEPT_HOSTS
from hfclone.http.route import Route
from tests.proxies import KeepAliveProxy
from tests.wires import Wire


class Host(BaseHTTPRequestHandler):
    """Answers with what it was asked for; ``/silent`` gets no answer until ``free``."""

    protocol_version = "HTTP/1.1"
    seen: list[tuple[str, dict[str, str]]]
    asked: threading.Event
    free: threading.Event

    def do_GET(self) -> None:
        self.seen.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
        self.asked.set()
        if self.path == "/silent":
            self.free.wait(20)
        body = self.path.encode()
        with contextlib.suppress(OSError):  # who was broken off has gone
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, *_args: object) -> None:
        """Say nothing."""


class Served:
    """A host on a port of its own, with TLS where there is a certificate."""

    def __init__(self, pem: Path | None = None) -> None:
        self.seen: list[tuple[str, dict[str, str]]] = []
        self.asked, self.free = threading.Event(), threading.Event()
        handler = type("Handler", (Host,), {"seen": self.seen, "asked": self.asked, "free": self.free})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        if pem is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(pem)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        name = "localhost" if pem else "127.0.0.1"
        self.url = f"{'https' if pem else 'http'}://{name}:{self.server.server_address[1]}"


class Proxy:
    """A small proxy: plain requests, CONNECT, and SOCKS5 with or without a password. ``heard`` has what it got."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):  # either side may go at any time
            first = client.recv(65536)
            if not first:
                return
            if first[0] == 5:
                self._socks(client, first)
                return
            while b"\r\n\r\n" not in first:
                first += client.recv(65536)
            self.heard.append(first)
            method, target, _ = first.split(b" ", 2)
            if method == b"CONNECT":
                host, _, port = target.decode().rpartition(":")
                with socket.create_connection((host, int(port))) as far:
                    client.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
                    shovel(client, far)
            else:
                parts = urlsplit(target.decode())
                with socket.create_connection((parts.hostname, parts.port)) as far:
                    far.sendall(first.replace(target, (parts.path or "/").encode(), 1))
                    shovel(client, far)

    def _socks(self, client: socket.socket, greeting: bytes) -> None:
        if 2 in greeting[2:]:
            client.sendall(b"\x05\x02")
            self.heard.append(client.recv(1024))
            client.sendall(b"\x01\x00")
        else:
            client.sendall(b"\x05\x00")
        request = client.recv(1024)
        self.heard.append(request)
        port = int.from_bytes(request[-2:], "big")
        with socket.create_connection(("127.0.0.1", port)) as far:
            client.sendall(b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x00")
            shovel(client, far)


def shovel(left: socket.socket, right: socket.socket) -> None:
    """Bytes in both directions until one side ends."""
    while True:
        for one in select.select([left, right], [], [], 20)[0]:
            data = one.recv(65536)
            if not data:
                return
            (right if one is left else left).sendall(data)


@pytest.fixture
def host() -> Iterator[Served]:
    served = Served()
    yield served
    served.free.set()
    served.server.shutdown()
    served.server.server_close()


@pytest.fixture
def secure(pem: Path) -> Iterator[Served]:
    served = Served(pem)
    yield served
    served.server.shutdown()
    served.server.server_close()


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    proxy = Proxy()
    yield proxy
    proxy.socket.close()


def get(web: Web, url: str) -> bytes:
    with web.get(url, label="host") as answer:
        return answer.text()


def test_a_plain_request_over_a_proxy(host: Served, proxy: Proxy) -> None:
    proxies = {"http": f"me:se%40cret@127.0.0.1:{proxy.port}"}  # no scheme: http is meant
    with Web(user_agent="test", proxies=proxies) as web:
        assert get(web, f"{host.url}/a?b=c%2Fd") == b"/a"
    assert proxy.heard[0].startswith(f"GET {host.url}/a?b=c%2Fd HTTP/1.1\r\n".encode())
    assert base64.b64encode(b"me:se@cret") in proxy.heard[0]


def test_tls_through_a_proxy_hides_everything_from_it(pem: Path, secure: Served, proxy: Proxy) -> None:
    host = secure
    proxies = {"https": f"http://me:secret@127.0.0.1:{proxy.port}"}
    with Web(user_agent="test", proxies=proxies, ca_bundle=str(pem)) as web:
        assert get(web, f"{host.url}/private") == b"/private"
    assert len(proxy.heard) == 1
    assert proxy.heard[0].startswith(b"CONNECT localhost:")
    assert base64.b64encode(b"me:secret") in proxy.heard[0]
    assert b"private" not in proxy.heard[0]
    assert "proxy-authorization" not in host.seen[0][1]


@pytest.mark.parametrize("secret", ["", "me:se%40cret@"])
def test_socks(host: Served, proxy: Proxy, secret: str) -> None:
    with Web(user_agent="test", proxies={"all": f"socks5h://{secret}127.0.0.1:{proxy.port}"}) as web:
        assert get(web, host.url.replace("127.0.0.1", "host.invalid") + "/a") == b"/a"  # the proxy knows the name
    assert b"host.invalid" in proxy.heard[-1]
    assert not secret or proxy.heard[0] == b"\x01\x02me\x07se@cret"


def test_tls_is_verified(pem: Path, secure: Served, tmp_path: Path) -> None:
    host = secure
    with Web(user_agent="test", ca_bundle=str(pem)) as web:
        assert get(web, f"{host.url}/a") == b"/a"
        with pytest.raises(Unreachable, match=r"(?i)mismatch|match|certificate"):
            get(web, f"{host.url.replace('localhost', '127.0.0.1')}/a")
    with Web(user_agent="test") as web, pytest.raises(Unreachable, match=r"(?i)certificate"):
        get(web, f"{host.url}/a")
    folder = tmp_path / "certificates"
    folder.mkdir()
    shutil.copy(pem, folder / "both.pem")
    subprocess.run(["openssl", "rehash", folder], check=True)
    with Web(user_agent="test", ca_bundle=str(folder)) as web:
        assert get(web, f"{host.url}/a") == b"/a"
    assert [path for path, _ in host.seen] == ["/a", "/a"]


def test_a_proxy_that_is_not_there(host: Served) -> None:
    with Web(user_agent="test", proxies={"http": "http://127.0.0.1:9"}) as web, pytest.raises(Unreachable):
        get(web, f"{host.url}/a")
    assert not host.seen


def test_the_environment_is_not_asked(host: Served, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither for a proxy, nor for a password."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    with Web(user_agent="test") as web:
        assert get(web, f"{host.url}/a") == b"/a"
    assert "authorization" not in host.seen[0][1]


@pytest.mark.parametrize(
    ("entry", "url", "without"),
    [
        ("huggingface.co", "https://huggingface.co/a", True),
        ("huggingface.co", "https://cdn.huggingface.co/a", True),
        (".huggingface.co", "https://huggingface.co/a", True),
        ("*.huggingface.co", "https://cdn.huggingface.co/a", True),
        ("gingface.co", "https://huggingface.co/a", False),
        ("huggingface.co:8080", "https://huggingface.co/a", False),
        ("huggingface.co:443", "https://HuggingFace.co/a", True),
        ("10.0.0.0/8", "http://10.1.2.3:8080/a", True),
        ("10.0.0.0/8", "http://11.1.2.3/a", False),
        ("127.0.0.1", "http://127.0.0.1:5000/a", True),
        ("::1", "http://[::1]:5000/a", True),
        ("*", "http://any/a", True),
        ("", "http://any/a", False),
    ],
)
def test_who_goes_without_a_proxy(entry: str, url: str, without: bool) -> None:
    route = Route({"all": "proxy:3128"}, (entry,))
    assert route.proxy_for(urlsplit(url)) == ("" if without else "http://proxy:3128")


def broken_by(breaking: Callable[[Web, AbortHandle], None], host: Served) -> tuple[HfcloneError, float]:
    """What a request that waits for its answer ends with, and how long after ``breaking``."""
    web, handle, errors = Web(user_agent="test", limits=Limits(2.0, 20.0)), AbortHandle(), []

    def waiting() -> None:
        try:
            web.get(f"{host.url}/silent", label="host", handle=handle)
        except HfcloneError as error:
            errors.append(error)

    thread = threading.Thread(target=waiting)
    thread.start()
    assert host.asked.wait(10)
    began = time.monotonic()
    breaking(web, handle)
    thread.join(10)
    return errors[0], time.monotonic() - began


@pytest.mark.parametrize("breaking", [lambda _web, handle: handle.abort(), lambda web, _handle: web.close()])
def test_who_waits_for_an_answer_can_be_woken(host: Served, breaking: Callable[[Web, AbortHandle], None]) -> None:
    error, seconds = broken_by(breaking, host)
    assert isinstance(error, Unreachable)
    assert seconds < 3


def test_silence_has_a_limit(host: Served) -> None:
    with Web(user_agent="test") as web, pytest.raises(Stalled):
        web.get(f"{host.url}/silent", label="host", handle=AbortHandle(0.3))
    host.free.set()


def said(content: bytes) -> Callable[[int, socket.socket], bool]:
    """An answer to every request."""

    def answer(_number: int, connected: socket.socket) -> bool:
        connected.sendall(content)
        return True

    return answer


def test_what_is_no_http_is_not_waited_for() -> None:
    wire = Wire(said(b"SSH-2.0-OpenSSH_9\r\n"))
    with wire, Web(user_agent="hfclone-tests") as web, pytest.raises(Unreachable, match="SSH"):
        web.get(wire.url, label="host")


def test_what_tls_has_beyond_a_body_is_not_the_next_answer(pem: Path) -> None:
    def answer(number: int, connected: socket.socket) -> bool:
        if number == 1:  # the head comes alone, and the body in one record with what nobody asked for
            connected.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
            connected.sendall(b"firstHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged")
        else:
            connected.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond")
        return True

    with Wire(answer, pem) as wire, Web(user_agent="hfclone-tests", ca_bundle=str(pem)) as web:
        bodies = []
        for _ in range(2):
            with web.get(wire.url, label="host") as asked:
                bodies.append(b"".join(map(bytes, asked.chunks(100))))
    assert bodies == [b"first", b"second"]
    assert wire.connections == 2


def test_breaking_an_exchange_that_was_redirected_leaves_the_next_on_its_connection_alone() -> None:
    """While the one waits for a handshake with whom it was sent to, the other has the connection that it came over."""
    rest, handle = threading.Event(), AbortHandle()
    elsewhere = socket.create_server(("127.0.0.1", 0))
    where = b"https://localhost:%d" % elsewhere.getsockname()[1]

    def answer(number: int, connected: socket.socket) -> bool:
        if number == 1:
            connected.sendall(b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: %b\r\n\r\n" % where)
        else:
            connected.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwo")
            rest.wait(20)
            connected.sendall(b"rld")
        return True

    with elsewhere, Wire(answer) as wire, Web(user_agent="hfclone-tests") as web:

        def follow() -> None:
            with contextlib.suppress(HfcloneError):
                web.get(wire.url, label="host", handle=handle).close()

        following = threading.Thread(target=follow)
        following.start()
        greeted, _ = elsewhere.accept()
        with web.get(wire.url, label="host") as innocent:
            body = innocent.chunks(5)
            begun = bytes(next(body))
            handle.abort()
            rest.set()
            assert begun + b"".join(map(bytes, body)) == b"world"
        greeted.close()  # no handshake comes of it
        following.join()
        assert wire.connections == 1


def through(proxy: KeepAliveProxy) -> Web:
    """Whose plain http is forwarded."""
    return Web(user_agent="test", proxies={"http": f"http://127.0.0.1:{proxy.port}"})


def in_turn(*answers: bytes) -> Callable[[int, socket.socket], bool]:
    """An answer to each request in turn, the last to all that follow; an empty one closes the connection."""

    def answer(number: int, connected: socket.socket) -> bool:
        content = answers[min(number, len(answers)) - 1]
        connected.sendall(content)
        return bool(content)

    return answer


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"
PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab"


def test_two_hosts_behind_one_proxy_may_answer_as_they_like() -> None:
    """What one of them does to a connection is not the next one's."""
    answers = in_turn(PLAIN, b"", CHUNKED, b"", b"", PLAIN)
    with KeepAliveProxy() as proxy, Wire(said(PLAIN)) as first, Wire(answers) as second, through(proxy) as web:
        assert get(web, f"{first.url}/a") == b"ab"
        assert get(web, f"{second.url}/b") == b"ab"
        for body in (None, b"ab", None, None, b"ab"):
            if body is None:
                with pytest.raises((Unreachable, Truncated)):
                    get(web, f"{second.url}/closed")
            else:
                assert get(web, f"{second.url}/open") == body
        assert get(web, f"{first.url}/a") == b"ab"


def test_two_spellings_of_a_host_are_one() -> None:
    with Wire(in_turn(PLAIN, CHUNKED)) as wire, Web(user_agent="test") as web:
        url = wire.url.replace("127.0.0.1", "localhost")
        with web.get(f"{url}/a", label="host") as first:  # its connection is not free while the next is asked for
            assert get(web, f"{url.replace('localhost', 'LocalHost')}/b") == b"ab"
            assert first.text() == b"ab"
        assert get(web, f"{url}/c") == b"ab"
        assert wire.connections == 2


def test_hosts_that_a_server_names_cost_no_more_than_a_few_connections() -> None:
    """And those of one are not the next one's, though a proxy stands before all of them."""
    with KeepAliveProxy() as proxy, Wire(said(PLAIN)) as wire:
        names = [wire.url.replace("127.0.0.1", f"h{number}.test") for number in range(3 * KEPT_HOSTS)]
        with through(proxy) as web:
            assert [get(web, name) for name in names] == [b"ab"] * len(names)
            assert proxy.accepted == len(names)
            proxy.wait_for(lambda: proxy.open <= KEPT_HOSTS)
            assert get(web, names[-1]) == b"ab"
            assert proxy.accepted == len(names)
