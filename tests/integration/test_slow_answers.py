"""Answers that come byte by byte: nobody is held by one while others would answer, and the user hears of it."""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from hfclone.commits.blobs import HttpBlobs
from hfclone.errors import LfsRefused, LimitReached, Stalled, Unreachable
from hfclone.http import Connections, Limits, Route, Web
from hfclone.hub.client import branches, resolve
from hfclone.hub.endpoint import Endpoint
from hfclone.hub.pasted import parse_repo_spec
from hfclone.lock.model import git_id
from hfclone.names import Pin, Repo
from hfclone.transfer.batch_errors import of_request
from tests.e2e.command import Command, placed
from tests.hub import Hub, LivingRepo
from tests.hub.answers import Status
from tests.hub.streams import ResetAfter, Stall, Throttle
from tests.relays import Manner, Relay, again_and_again, chunked_by_bytes, dripped, dripped_body
from tests.wires import Wire

SILENCE = 0.8
"""Seconds that a silence may last here."""
LONG = 5.0
"""Seconds after which somebody is held: each of these would be for a minute at least."""

JSON = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 300\r\n\r\n" + b"[" + b" " * 298 + b"]"
MANNERS: dict[str, Manner] = {
    "a head by bytes": dripped,
    "a body by bytes": dripped_body,
    "a chunk's length by bytes": chunked_by_bytes,
    "the end of it by bytes": again_and_again(
        b"X-More: 1\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n0\r\n0\r\n"
    ),
    "wait a moment": again_and_again(b"HTTP/1.1 100 Continue\r\n\r\n"),
    "hints and hints": again_and_again(b"Link: </x>; rel=preload\r\n", b"HTTP/1.1 103 Early Hints\r\n"),
    "a header by bytes": again_and_again(b"a", b"HTTP/1.1 200 OK\r\nX-Long: "),
    "a status by bytes": again_and_again(b"0", b"HTTP/1.1 "),
}


@pytest.mark.parametrize("manner", MANNERS.values(), ids=MANNERS)
@pytest.mark.parametrize("road", ["ask", "get"])
def test_an_answer_has_a_limit_as_a_whole(manner: Manner, road: str) -> None:
    """Not each byte of it one of its own."""

    def answer(_number: int, connected: socket.socket) -> bool:
        for piece in manner(JSON):
            connected.sendall(piece)
            time.sleep(0.1)
        return False

    with Wire(answer) as wire, Web(user_agent="test", limits=Limits(5.0, SILENCE)) as web:
        began = time.monotonic()
        with pytest.raises(Stalled), getattr(web, road)(wire.url, label="host") as asked:
            asked.text()
        assert SILENCE <= time.monotonic() - began < LONG


TRAILERS = again_and_again(
    b"X-More: 1\r\n",
    b"HTTP/1.1 403 Forbidden\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    b'15\r\n{"message": "no one"}\r\n0\r\n',
)


@pytest.mark.parametrize("road", ["closed", "refused"])
def test_nor_is_the_end_of_a_body_waited_for_that_nobody_needs(road: str) -> None:
    """Trailers may follow it for ever, and none of them ends a read."""

    def answer(_number: int, connected: socket.socket) -> bool:
        for piece in TRAILERS(b""):
            connected.sendall(piece)
            time.sleep(0.1)
        return False

    with Wire(answer) as wire, Web(user_agent="test", limits=Limits(5.0, SILENCE)) as web:
        began = time.monotonic()
        with web.get(wire.url, label="host") as asked:
            if road == "refused":
                assert isinstance(of_request(asked, "host", foreign=False, passes=False), LfsRefused)
            else:
                assert b"".join(map(bytes, asked.chunks(21))) == b'{"message": "no one"}'
        assert time.monotonic() - began < LONG


def test_redirects_do_not_begin_the_time_anew() -> None:
    """A mirror may lead to itself, and be slow each time."""

    def answer(number: int, connected: socket.socket) -> bool:
        time.sleep(SILENCE * 0.7)
        connected.sendall(b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: /%d\r\n\r\n" % number)
        return True

    with Wire(answer) as wire, Web(user_agent="test", limits=Limits(5.0, SILENCE)) as web:
        began = time.monotonic()
        with pytest.raises(Stalled):
            web.ask(wire.url, label="host")
        assert time.monotonic() - began < 2.5 * SILENCE


@pytest.mark.parametrize("road", ["ask", "get"])
@pytest.mark.parametrize(
    "framing", [b"Transfer-Encoding: chunked", b"Content-Length: 99999999999", b"X: until we close"]
)
def test_the_body_of_a_redirect_is_not_read(road: str, framing: bytes) -> None:
    """It may have no end, and come fast."""
    sent = 0

    def answer(number: int, connected: socket.socket) -> bool:
        nonlocal sent
        if number > 1:
            connected.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            return True
        connected.sendall(b"HTTP/1.1 302 Found\r\nLocation: /next\r\n%b\r\n\r\n" % framing)
        for _ in range(2000):
            connected.sendall(b"10000\r\n" + bytes(65536) + b"\r\n")
            sent += 65536
        return False

    web = Web(user_agent="test", limits=Limits(5.0, SILENCE))
    with Wire(answer) as wire, web, getattr(web, road)(wire.url, label="host") as asked:
        assert asked.text() == b"ok"
    assert sent < 20_000_000


class Dripping(Wire):
    """A proxy that opens its way byte by byte, and notes when nobody waits for it any more."""

    def __init__(self, scheme: str) -> None:
        self.gone = threading.Event()
        self._said = b"HTTP/1.1 200 Connected " if scheme == "http" else b"\5\0\5\0\0\3\xff"
        super().__init__(lambda _number, _connected: False)
        self.proxies = {"all": self.url.replace("http", scheme)}

    def _serve(self, connected: socket.socket) -> None:
        with contextlib.suppress(OSError), connected:
            for piece in again_and_again(b"x", self._said)(b""):
                connected.sendall(piece)
                time.sleep(0.1)
        self.gone.set()


@pytest.mark.parametrize("scheme", ["http", "socks5h"])
def test_a_proxy_that_opens_its_way_by_bytes(scheme: str) -> None:
    limits = Limits(5.0, SILENCE)
    with Dripping(scheme) as wire, Web(user_agent="test", proxies=wire.proxies, limits=limits) as web:
        began = time.monotonic()
        with pytest.raises(Stalled):
            web.ask("https://host.test/", label="host")
        assert time.monotonic() - began < LONG


@pytest.mark.parametrize("scheme", ["http", "socks5h"])
@pytest.mark.parametrize("is_asked", [True, False])
def test_nor_is_it_waited_for_ahead(scheme: str, is_asked: bool) -> None:
    """Once whoever asked has given up, or all is over."""
    with Dripping(scheme) as wire:
        connections = Connections(Route(wire.proxies), Limits(SILENCE, SILENCE))
        connections.connect_ahead("https://host.test/")
        if is_asked:
            with Web(user_agent="test", connections=connections) as web, pytest.raises(Unreachable):
                web.ask("https://host.test/", label="host")
        else:
            connections.close()
        assert wire.gone.wait(LONG)
        connections.close()


def test_nothing_is_asked_that_nobody_would_break_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system has no thread for it: neither the first time nor later."""

    def refused(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with Web(user_agent="test") as web, monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refused)
        for _ in range(2):
            with pytest.raises(LimitReached):
                web.ask("http://127.0.0.1:9/", label="host")


# --- the steps of a run ------------------------------------------------------------------------


@pytest.fixture
def web() -> Iterator[Web]:
    with Web(user_agent="test", limits=Limits(5.0, SILENCE)) as web:
        yield web


def slow(hub: Hub, manner: Manner, *kinds: str) -> Relay:
    """A mirror whose answers of some kinds (parts of a path) take for ever."""
    marks = [kind.encode() for kind in kinds]
    return Relay(port_of(hub.url), lambda head: manner if any(mark in head for mark in marks) else None)


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2])


BY_BYTES = pytest.mark.parametrize("manner", [dripped, dripped_body], ids=["head", "body"])


@BY_BYTES
def test_a_revision_is_asked_of_the_next(hub: Hub, tiny_repo: LivingRepo, web: Web, manner: Manner) -> None:
    with slow(hub, manner, "/api/") as relay:
        endpoints = [Endpoint(relay.url), Endpoint(hub.url)]
        began = time.monotonic()
        pin, said_by = resolve(parse_repo_spec("acme/tiny"), endpoints, web, ())
        assert "feat/slash" in (branches(Repo("acme/tiny"), endpoints, web, ()) or ())
    assert (pin.commit, said_by) == (tiny_repo.commit, str(endpoints[1]))
    assert time.monotonic() - began < 2 * LONG


@BY_BYTES
def test_a_small_file_is_asked_of_the_next(hub: Hub, web: Web, manner: Manner) -> None:
    content = bytes(range(256)) * 40
    commit = hub.repo("acme/model", {"notes.bin": content}).commit
    with slow(hub, manner, "/raw/", "/resolve/", "/api/") as relay:
        blobs = HttpBlobs(Pin(Repo("acme/model"), commit), [Endpoint(relay.url), Endpoint(hub.url)], web, ())
        began = time.monotonic()
        assert blobs.fetch(b"notes.bin", git_id("blob", content)) == content
    assert time.monotonic() - began < 2 * LONG


def test_a_slow_mirror_costs_its_time_once_and_not_for_each_file(hub: Hub, web: Web) -> None:
    files = {f"f{number}.txt": f"{number}\n".encode() * 300 for number in range(20)}
    commit = hub.repo("acme/model", files).commit
    with slow(hub, dripped, "/raw/", "/resolve/", "/api/") as relay:
        blobs = HttpBlobs(Pin(Repo("acme/model"), commit), [Endpoint(relay.url), Endpoint(hub.url)], web, ())
        began = time.monotonic()
        for name, content in files.items():
            assert blobs.fetch(name.encode(), git_id("blob", content)) == content
        assert len(relay.slowly) <= 2
    assert time.monotonic() - began < 2 * LONG


def test_who_sends_a_byte_and_closes_each_time_is_slow_as_well(hub: Hub, web: Web) -> None:
    """Each of its answers goes on where the last one ended."""
    content = bytes(range(256)) * 40
    commit = hub.repo("acme/model", {"notes.bin": content}).commit
    cut = hub.mirror("cut")
    cut.faults.add(ResetAfter(1))
    blobs = HttpBlobs(Pin(Repo("acme/model"), commit), [Endpoint(cut.url), Endpoint(hub.url)], web, ())
    began = time.monotonic()
    assert blobs.fetch(b"notes.bin", git_id("blob", content)) == content
    assert time.monotonic() - began < 2 * LONG


def test_where_everybody_is_slow_a_small_file_comes_all_the_same(hub: Hub, web: Web) -> None:
    """Nothing of it twice, and the next one is not tried at a speed that the line does not have."""
    content = bytes(range(256)) * 40
    repo = hub.repo("acme/model", {"a.bin": content, "b.bin": content[1:]})
    mirror = hub.mirror()
    for front in (mirror, hub.front):
        front.faults.add(Throttle(each=4000))
    blobs = HttpBlobs(Pin(Repo("acme/model"), repo.commit), [Endpoint(mirror.url), Endpoint(hub.url)], web, ())
    for name, data in ((b"a.bin", content), (b"b.bin", content[1:])):
        assert blobs.fetch(name, git_id("blob", data)) == data
    sent = hub.log.bytes_sent(listener="mirror") + hub.log.bytes_sent(listener="hub")
    assert sent < 3.5 * len(content)


# --- whole runs --------------------------------------------------------------------------------


def but_git(manner: Manner) -> Callable[[bytes], Manner | None]:
    """For all that is asked over HTTP but git, which has limits of its own."""
    return lambda head: None if b"/info/refs" in head or b"git-upload-pack" in head else manner


@BY_BYTES
def test_a_mirror_that_does_all_by_bytes_costs_a_run_seconds(
    hub: Hub, tiny_repo: LivingRepo, hfclone: Command, manner: Manner
) -> None:
    """A revision, a branch, a batch answer, a redirect: of two mirrors the other one is asked."""
    other = hub.mirror()
    with Relay(port_of(hub.url), but_git(manner)) as relay:
        words = ("acme/tiny@feat/slash", "out", "--only-mirrors", "--mirror", relay.url, "--mirror", other.url)
        began = time.monotonic()
        done = hfclone(*words, "--stall-after", "1s")
        seconds = time.monotonic() - began
        kinds = {b"/api/", b"/refs ", b"/objects/batch"}
        assert all(any(kind in line for line in relay.slowly) for kind in kinds), relay.slowly
    assert done.code == 0, done.stderr
    assert seconds < 30
    assert placed(hfclone.cwd / "out")
    assert tiny_repo.commit_of("refs/heads/feat/slash")


def test_the_user_hears_who_is_waited_for(hub: Hub, tiny_repo: LivingRepo, hfclone: Command) -> None:
    """Before anything has failed: who waits in silence looks as if it hung."""
    assert tiny_repo.commit
    with Relay(port_of(hub.url), but_git(dripped)) as relay:
        words = ("acme/tiny", "out", "--only-mirrors", "--mirror", relay.url, "--progress", "json")
        done = hfclone(*words, "--stall-after", "6s", "--give-up-after", "4s")
    assert done.code == 4, done.stderr
    first = done.events[0]
    assert first["event"] == "waiting"
    assert first["reason"] == f"waiting for {relay.url.removeprefix('http://')}"
    assert 0 < first["seconds"] <= 6
    assert done.event("error")["code"] == "too-slow"


def test_ctrl_c_is_heard_while_somebody_is_waited_for(hub: Hub, tiny_repo: LivingRepo, hfclone: Command) -> None:
    assert tiny_repo.commit
    stall = Stall()
    hub.faults.add(stall, kind="api")
    process = hfclone.start("acme/tiny", "out")
    assert stall.stalled.wait(20)
    process.send_signal(signal.SIGINT)
    began = time.monotonic()
    done = hfclone.end(process, timeout=20)
    assert time.monotonic() - began < 3
    assert done.code == 130, done.stderr
    hub.faults.clear()


def test_one_mirrors_hour_is_not_the_others(hub: Hub, tiny_repo: LivingRepo, hfclone: Command) -> None:
    """The one asks for an hour's wait, the other fails for a moment."""
    assert tiny_repo.commit
    busy, other = hub.mirror("busy"), hub.mirror("other")
    busy.faults.add(Status(429, retry_after=3600), kind="api")
    failing = other.faults.add(Status(503), kind="api", times=2)
    done = hfclone("acme/tiny", "out", "--only-mirrors", "--mirror", busy.url, "--mirror", other.url)
    assert done.code == 0, done.stderr
    assert failing.hits == 2
