"""What a server may name that ends in a request of ours: headers, addresses, hosts."""

from __future__ import annotations

import base64
import socket
from pathlib import Path
from typing import Any

import pytest

from hfclone.errors import BadRedirect
from hfclone.http import Web
from tests.e2e.command import Command, assert_checkout
from tests.faults.test_odd_mirrors import batch_of
from tests.hub import Hub, LivingRepo
from tests.hub.answers import RedirectTo
from tests.proxies import KeepAliveProxy
from tests.wires import Hearing

LOGIN = "me:s3cr3t"

FORBIDDEN: dict[str, Any] = {
    "Content-Length": "400",
    "Transfer-Encoding": "chunked",
    "Host": "elsewhere.test",
    "Connection": "keep-alive, x-amz-date",
    "Proxy-Connection": "keep-alive",
    "Proxy-Authorization": "Basic eDp5",
    "Cookie": "a=b",
    "Expect": "100-continue",
    "Range": "bytes=0-1",
    "If-Range": '"x"',
    "Upgrade": "h2c",
    "TE": "trailers",
    "Trailer": "Authorization",
    "Accept-Encoding": "gzip",
    "User-Agent": "curl",
    "Referer": "http://inside.test/",
    "Origin": "http://inside.test",
    "Via": "1.1 a",
    "Forwarded": "for=127.0.0.1",
    "X-Forwarded-For": "127.0.0.1",
    "X-Forwarded-Host": "inside.test",
    "X-HTTP-Method-Override": "DELETE",
    "X-Original-URL": "/admin",
    "X-Rewrite-URL": "/admin",
    "X-Amz-Split": "a\r\nX-Smuggled: 1",
    "X-Amz-Nul": "a\0b",
    "X-Amz-Odd": "\u0127",
    "X-Amz-Folded": "a\n b",
    "X-Amz Space": "1",
    "X-Amz-Colon: 1\r\nX-Smuggled": "1",
    "X-Amz-Twice": "1",
    "x-amz-twice": "2",
    "X-Amz-Long": "a" * 9000,
    "X-Ms-Number": 5,
    "": "1",
}
ALLOWED = {
    "Authorization": "RemoteAuth abc",
    "Accept": "application/vnd.git-lfs",
    "X-Amz-Date": "20260101T000000Z",
    "x-goog-hash": "crc32c=abc",
    "X-MS-Version": "2020-10-02",
}


@pytest.fixture
def far(hub: Hub, tiny_repo: LivingRepo) -> str:
    """The hub under names that only a proxy knows."""
    assert tiny_repo.commit
    hub.site.hub_url = hub.url.replace("127.0.0.1", "hub.test")
    hub.front.cdn_alias = hub.cdn_url.replace("127.0.0.1", "cdn.test")
    return hub.site.hub_url


class Host:
    """A host that somebody else names; ``heard`` has every head that it was sent."""

    def __init__(self, *answers: bytes) -> None:
        self._answers = answers
        self.heard: list[bytes] = []

    def __call__(self, number: int, head: bytes, connected: socket.socket) -> bool:
        """Answer in turn, the last for ever."""
        self.heard.append(head)
        connected.sendall(self._answers[min(number, len(self._answers)) - 1])
        return True


NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"


def names_in(head: bytes) -> set[str]:
    """The headers of a request, in lower case."""
    return {line.partition(b":")[0].decode("latin-1").lower() for line in head.split(b"\r\n")[1:] if line}


# --- headers -----------------------------------------------------------------------------------


def test_a_header_of_a_mirrors_does_not_take_the_next_request_for_a_body(
    hub: Hub, far: str, tiny_repo: LivingRepo, tmp_path: Path
) -> None:
    """Behind a proxy that keeps connections, that body would hold the proxy's password."""
    user, mirror = Command(tmp_path / "user", far), hub.mirror()
    with KeepAliveProxy(LOGIN) as proxy, Hearing(Host(NOT_FOUND)) as loot:
        port = int(loot.url.rpartition(":")[2])
        header = {"Content-Length": "400", "Authorization": "Basic eA=="}
        rule = mirror.faults.add(batch_of(f"http://loot.test:{port}/x", header), kind="batch")
        proxied = {"HFCLONE_PROXY": f"http://{LOGIN}@127.0.0.1:{proxy.port}"}
        done = user("acme/tiny", "--mirror", mirror.url.replace("127.0.0.1", "mirror.test"), env=proxied)
        assert done.code == 0, done.stderr
        assert rule.hits
        taken = proxy.sent[port]
    assert b"\r\nauthorization: Basic eA==\r\n" in taken
    assert b"content-length" not in taken.lower()
    assert base64.b64encode(LOGIN.encode()) not in taken
    assert b"hub.test" not in taken
    assert_checkout(user.cwd / "tiny", tiny_repo.commit, f"{far}/acme/tiny")


@pytest.mark.parametrize("fetcher", ["threads", "aria2c"])
def test_of_the_headers_that_a_mirror_names_few_are_sent(
    hub: Hub, tiny_repo: LivingRepo, hfclone: Command, fetcher: str
) -> None:
    mirror, host = hub.mirror(), Host(NOT_FOUND)
    with Hearing(host) as loot:
        mirror.faults.add(batch_of(f"{loot.url}/x", {**FORBIDDEN, **ALLOWED}), kind="batch")
        done = hfclone("acme/tiny", "--mirror", mirror.url, "--fetcher", fetcher)
        assert done.code == 0, done.stderr
        assert host.heard
        assert loot.connections == len(host.heard), "a connection was used again"
    ours = {"host", "user-agent", "accept-encoding", "connection", "range"}
    for head in host.heard:
        assert names_in(head) - {"range"} == ours - {"range"} | {name.lower() for name in ALLOWED}
        assert head.count(b"\r\nHost: ") + head.count(b"\r\nhost: ") == 1
        assert b"elsewhere.test" not in head
        assert b"\r\nconnection: close\r\n" in head.lower()
    assert_checkout(hfclone.cwd / "tiny", tiny_repo.commit, f"{hub.url}/acme/tiny")


WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"


@pytest.mark.parametrize("answer", [WHOLE, CHUNKED, NOT_FOUND])
def test_a_connection_that_such_headers_went_over_is_not_used_again(answer: bytes) -> None:
    with Hearing(Host(answer)) as wire, Web(user_agent="test") as web:
        for foreign in ({}, {}, {"x-amz-date": "1"}, {"x-amz-date": "1"}, {}, {}):
            with web.get(wire.url, label="host", foreign=foreign) as asked:
                asked.text()
        # the first three share one, the fourth has its own, and so have the last two
        assert (wire.requests, wire.connections) == (6, 3)


def test_such_headers_go_to_the_origin_that_was_named_alone() -> None:
    there, here = Host(WHOLE), Host(b"", WHOLE)
    with Hearing(there) as far, Hearing(here) as near, Web(user_agent="test") as web:
        moved = b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: %b\r\n\r\n"
        here._answers = (moved % b"/again", moved % far.url.encode())
        web.get(near.url, label="host", foreign={"x-amz-date": "1", "accept": "x"}).close()
    assert ["x-amz-date" in names_in(head) for head in here.heard] == [True, True]
    assert "x-amz-date" not in names_in(there.heard[0])
    assert b"accept: */*" in there.heard[0]


# --- addresses ---------------------------------------------------------------------------------

TARGETS = (
    *("http://169.254.169.254/x", "http://[fe80::1]/x", "http://[::ffff:169.254.169.254]/", "http://2852039166/x"),
    *(
        "http://0xa9.254.43518/x",
        "http://127%2e0.0.1/x",
        "http://a\u3002b/x",
        "http://me:password@host/x",
        "http://[::1",
    ),
    *(
        "http://host:99999/x",
        "http://host:x/",
        "ftp://host/x",
        "file:///etc/passwd",
        "ext::sh",
        "javascript:x",
    ),
    "http://host/" + "x" * 20_000,
)


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target[:30])
def test_where_no_redirect_leads(target: str) -> None:
    """Of an API, of bytes, of git (whose URL is asked for by us before git has it)."""
    moved = f"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: {target}\r\n\r\n".encode()
    with Hearing(Host(moved)) as host, Web(user_agent="test", proxies={"https": "http://127.0.0.1:9"}) as web:
        for road in (web.ask, web.get):
            with pytest.raises(BadRedirect):
                road(host.url, label="host")
        assert host.requests == 2


def test_git_is_not_led_inside(hub: Hub, tiny_repo: LivingRepo, hfclone: Command) -> None:
    mirror = hub.mirror()
    rule = mirror.faults.add(RedirectTo("http://169.254.169.254/acme/tiny"), kind="git")
    done = hfclone("acme/tiny", "--mirror", mirror.url, "-v")
    assert done.code == 0, done.stderr
    assert rule.hits
    assert "that is inside this network or machine" in done.stderr
    assert_checkout(hfclone.cwd / "tiny", tiny_repo.commit, f"{hub.url}/acme/tiny")


@pytest.mark.parametrize("fetcher", ["threads", "aria2c"])
def test_small_objects_are_not_asked_for_further_inside_either(
    hub: Hub, tiny_repo: LivingRepo, hfclone: Command, fetcher: str
) -> None:
    """What aria2c is handed was judged by a request of our own before, whatever its size."""
    mirror = hub.mirror()
    rule = mirror.faults.add(batch_of("http://169.254.169.254/latest/meta-data"), kind="batch")
    done = hfclone("acme/tiny", "--mirror", mirror.url, "--fetcher", fetcher, "-v")
    assert done.code == 0, done.stderr
    assert rule.hits
    assert "that is inside this network or machine" in done.stderr
    assert "aria2c:" not in done.stderr
    assert_checkout(hfclone.cwd / "tiny", tiny_repo.commit, f"{hub.url}/acme/tiny")


def test_aria2c_is_not_handed_where_a_signed_url_leads_inside(
    hub: Hub, tiny_repo: LivingRepo, hfclone: Command
) -> None:
    moved = b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: http://169.254.169.254/x\r\n\r\n"
    mirror, host = hub.mirror(), Host(moved)
    with Hearing(host) as loot:
        mirror.faults.add(batch_of(f"{loot.url}/x"), kind="batch")
        done = hfclone("acme/tiny", "--mirror", mirror.url, "--fetcher", "aria2c", "-v")
    assert done.code == 0, done.stderr
    assert host.heard
    assert not [head for head in host.heard if b"aria2" in head.lower() or b"user-agent: hfclone\r\n" in head.lower()]
    assert "that is inside this network or machine" in done.stderr
