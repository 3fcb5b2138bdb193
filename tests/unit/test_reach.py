"""How far inside an address lies, and that a stranger's URL leads no further than the stranger."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator

import pytest

from hfclone.errors import BadRedirect, HfcloneError
from hfclone.http import Web
from hfclone.http.reach import Reach, is_plain_host, reach_of, reach_of_name


@pytest.mark.parametrize(
    ("address", "reach"),
    [
        ("8.8.8.8", Reach.PUBLIC),
        ("2606:4700::1111", Reach.PUBLIC),
        ("198.18.0.7", Reach.PUBLIC),  # what a local proxy calls a public host
        ("64:ff9b::808:808", Reach.PUBLIC),
        ("10.1.2.3", Reach.PRIVATE),
        ("192.168.1.1", Reach.PRIVATE),
        ("172.31.0.1", Reach.PRIVATE),
        ("100.100.100.200", Reach.PRIVATE),  # a cloud's metadata
        ("fd00:ec2::254", Reach.PRIVATE),  # another's
        ("64:ff9b::a00:1", Reach.PRIVATE),
        ("127.0.0.1", Reach.LOOPBACK),
        ("127.9.9.9", Reach.LOOPBACK),
        ("0.0.0.0", Reach.LOOPBACK),
        ("::", Reach.LOOPBACK),
        ("::1", Reach.LOOPBACK),
        ("::ffff:127.0.0.1", Reach.LOOPBACK),
        ("169.254.169.254", Reach.LINK),
        ("fe80::1%eth0", Reach.LINK),
        ("::ffff:169.254.169.254", Reach.LINK),
    ],
)
def test_addresses(address: str, reach: Reach) -> None:
    assert reach_of(address) is reach
    assert reach_of_name(address) is reach


@pytest.mark.parametrize(
    ("name", "reach"),
    [
        ("localhost", Reach.LOOPBACK),
        ("A.LocalHost.", Reach.LOOPBACK),
        ("huggingface.co", None),
        ("", None),
        ("2130706433", Reach.LOOPBACK),  # what resolvers take for addresses
        ("127.1", Reach.LOOPBACK),
        ("0x7f.1", Reach.LOOPBACK),
        ("0251.0376.0251.0376", Reach.LINK),
        ("10.65793", Reach.PRIVATE),
        ("3com.example", None),
    ],
)
def test_names(name: str, reach: Reach | None) -> None:
    assert reach_of_name(name) is reach


PLAIN_HOSTS = ["huggingface.co", "a_b-c.example.", "127.0.0.1", "::1", "2001:DB8::1", "xn--bcher-kva.example"]
ODD_HOSTS = [
    "",
    "127%2e0.0.1",
    "127\u30020.0.1",
    "\u2139.example",
    "a b",
    "a,b",
    "fe80::1%25eth0",
    "a\x00b",
    "[",
    "a\n",
]


@pytest.mark.parametrize("host", PLAIN_HOSTS)
def test_plain_hosts(host: str) -> None:
    assert is_plain_host(host)


@pytest.mark.parametrize("host", ODD_HOSTS)
def test_hosts_that_others_may_read_differently(host: str) -> None:
    assert not is_plain_host(host)


class Heard(socketserver.ThreadingTCPServer):
    """A service of this machine's own, which answers whatever it is asked."""

    daemon_threads = True

    def __init__(self) -> None:
        self.requests: list[bytes] = []
        super().__init__(("127.0.0.1", 0), Answering)


class Answering(socketserver.StreamRequestHandler):
    server: Heard

    def handle(self) -> None:
        line = self.rfile.readline()
        if line:
            self.server.requests.append(line)
        where = line.split(b" ")[1].partition(b"?")[2]
        redirect = b"302 Found\r\nLocation: " + where if where else b"200 OK"
        self.wfile.write(b"HTTP/1.1 " + redirect + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


@pytest.fixture
def inside() -> Iterator[Heard]:
    with Heard() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


PUBLIC = "https://203.0.114.7"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "127.1", "0x7f000001"])
def test_what_a_public_host_names_is_not_asked(inside: Heard, host: str) -> None:
    """However it is written: what is no address by its looks is one by the connection."""
    url = f"http://{host}:{inside.server_address[1]}/secret"
    with Web(user_agent="t") as web:
        with pytest.raises(BadRedirect):
            web.get(url, label="mirror", named_by=PUBLIC)
        assert inside.requests == []
        with web.ask(url, label="user") as answer:  # the user may name what he will
            assert answer.status == 200
        with web.get(url, label="mirror", named_by="http://localhost:1") as answer:
            assert answer.status == 200
        with pytest.raises(BadRedirect):
            web.get(url, label="mirror", named_by=PUBLIC)
    assert len(inside.requests) == 2


def test_a_name_that_was_the_users_is_no_way_in(inside: Heard) -> None:
    """A host is as far inside as the address that it was found at, not as its name looks."""
    port = inside.server_address[1]
    with Web(user_agent="t") as web:
        first = f"http://127.1:{port}/x"
        web.ask(first, label="user").close()
        web.get(f"http://127.0.0.1:{port}/y", label="home", named_by=first).close()
        metadata = "http://169.254.169.254/latest/meta-data"
        with pytest.raises(BadRedirect, match="inside this network"):
            web.ask(f"{first}?{metadata}", label="home")
        for target in (metadata, "http://[fe80::1]/", "http://[::ffff:a9fe:a9fe]/"):
            with pytest.raises(BadRedirect, match="inside this network"):
                web.get(target, label="home", named_by=first)
    assert len(inside.requests) == 3


@pytest.mark.parametrize("host", ["127.1", "0x7f000001", "127\u30020\u30020\u30021", "127%2e0.0.1", "169.254.43518"])
def test_a_proxy_is_not_asked_for_an_address_in_disguise(inside: Heard, host: str) -> None:
    """It may be a proxy of this machine, and reads the name as it likes."""
    proxy = f"http://127.0.0.1:{inside.server_address[1]}"
    with Web(user_agent="t", proxies={"all": proxy}) as web:
        with pytest.raises(BadRedirect):
            web.ask(f"http://mirror.test/?http://{host}/x", label="mirror")
        assert len(inside.requests) == 1
        with pytest.raises(HfcloneError):
            web.get(f"http://{host}/x", label="mirror", named_by=PUBLIC)
    assert len(inside.requests) == 1


def test_the_hub_may_have_its_files_at_home(inside: Heard) -> None:
    """A company's own DNS: from an endpoint that may see the token into private networks, not into this machine."""
    proxy = f"http://127.0.0.1:{inside.server_address[1]}"
    private = "http://10.0.0.1/x"
    with Web(user_agent="t", believed=[PUBLIC], proxies={"all": proxy}) as web:
        with web.get(private, label="hub", named_by=f"{PUBLIC}/org/name") as answer:
            assert answer.status == 200
        with pytest.raises(BadRedirect):
            web.get(private, label="mirror", named_by="https://203.0.114.8")
        with pytest.raises(BadRedirect):
            web.get("http://127.0.0.1/x", label="hub", named_by=PUBLIC)
    assert len(inside.requests) == 1
