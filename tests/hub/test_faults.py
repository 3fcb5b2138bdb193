"""Every fault does what its name says, seen from a plain HTTP client or a socket."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime

import pytest
import requests
import urllib3

from tests.hub import Hub, Lfs, LivingRepo, Outage, answers, mirror, streams
from tests.hub.faults import Fault

SIZE = 300_000
CONTENT = Lfs(SIZE, seed=1).content


@pytest.fixture
def session() -> Iterator[requests.Session]:
    """A client whose connections are closed at the end."""
    with requests.Session() as client:
        yield client


@pytest.fixture
def url(hub: Hub, tiny_repo: LivingRepo) -> str:
    """A signed URL of an object of SIZE bytes."""
    assert tiny_repo.commit
    reply = requests.head(f"{hub.url}/acme/tiny/resolve/main/model.safetensors", timeout=30)
    return reply.headers["Location"]


def read(url: str, start: int = 0) -> tuple[bytes, Exception | None]:
    """Get a URL and return what came of it, and how it ended if badly."""
    pool = urllib3.PoolManager(retries=False)
    headers = {"Range": f"bytes={start}-"} if start else {}
    got = b""
    try:
        reply = pool.request("GET", url, headers=headers, preload_content=False, timeout=30)
        while piece := reply.read1():
            got += piece
        missing = int(reply.headers.get("Content-Length", "0")) - len(got)  # read1 does not look
        if missing > 0:
            return got, urllib3.exceptions.IncompleteRead(len(got), missing)
    except urllib3.exceptions.HTTPError as error:
        return got, error
    finally:
        pool.clear()
    return got, None


class TestStreams:
    """Faults of the byte stream."""

    @pytest.mark.parametrize("fault", [streams.ResetAfter(1000, 200_000), streams.CloseShort(1000, 200_000)])
    def test_cuts(self, hub: Hub, url: str, fault: Fault) -> None:
        """Each answer ends early, at bytes of its own; the log counts exactly what came."""
        hub.faults.add(fault, kind="cdn")
        got = [read(url) for _ in range(3)]
        assert all(error is not None for _, error in got)
        assert all(CONTENT.startswith(content) for content, _ in got)
        lengths = [len(content) for content, _ in got]
        assert len(set(lengths)) == 3
        assert hub.log.wait_quiet()
        assert [entry.bytes_sent for entry in hub.log.of(kind="cdn")] == lengths

    def test_kinds_of_cut(self, hub: Hub, url: str) -> None:
        """A reset is a reset, a close is an early end."""
        rule = hub.faults.add(streams.ResetAfter(5000), kind="cdn")
        assert "reset" in str(read(url)[1]).lower()
        hub.faults.remove(rule)
        hub.faults.add(streams.CloseShort(5000), kind="cdn")
        assert "IncompleteRead" in str(read(url)[1])

    def test_short_answers_come_whole(self, hub: Hub, url: str) -> None:
        """What ends before the cut is not cut."""
        hub.faults.add(streams.ResetAfter(1000), kind="cdn")
        assert read(url, start=SIZE - 1000) == (CONTENT[-1000:], None)

    @pytest.mark.parametrize("after", [None, 0, 5000])
    def test_stall(self, hub: Hub, url: str, after: int | None) -> None:
        """Silence after so many bytes, until it is released."""
        stall = streams.Stall(after)
        hub.faults.add(stall, kind="cdn")
        got: list[tuple[bytes, Exception | None]] = []
        reader = threading.Thread(target=lambda: got.append(read(url)))
        reader.start()
        assert stall.stalled.wait(30)
        assert hub.log.of(kind="cdn")[-1].bytes_sent == (after or 0)
        stall.release()
        reader.join()
        assert got == [(CONTENT, None)]

    def test_hold(self, hub: Hub, url: str) -> None:
        """The server tells when it holds, and goes on when told; all bytes before are with the client."""
        hold = streams.HoldAt(100_000, absolute=True)
        hub.faults.add(hold, kind="cdn")
        reply = requests.get(url, headers={"Range": "bytes=50000-"}, stream=True, timeout=30)
        assert hold.held.wait(30)
        entry = hub.log.of(kind="cdn")[-1]
        assert (entry.status, entry.bytes_sent, entry.done) == (206, 50_000, False)
        assert reply.raw.read(50_000) == CONTENT[50_000:100_000]
        hold.go.set()
        assert reply.raw.read() == CONTENT[100_000:]
        reply.close()

    def test_flip(self, hub: Hub, url: str) -> None:
        """One byte is wrong, once; a range that has it not is whole and does not use it up."""
        flip = streams.FlipByte(100_000)
        hub.faults.add(flip, kind="cdn")
        assert read(url, start=100_001)[0] == CONTENT[100_001:]
        spoilt = read(url, start=99_999)[0]
        assert [at for at, (one, two) in enumerate(zip(spoilt, CONTENT[99_999:], strict=True)) if one != two] == [1]
        assert read(url)[0] == CONTENT
        hub.faults.add(streams.FlipByte(0, always=True), kind="cdn")
        assert read(url)[0] != CONTENT
        assert read(url)[0] != CONTENT

    def test_wrong_bytes(self, hub: Hub, url: str) -> None:
        """As many as promised, all wrong."""
        hub.faults.add(streams.WrongBytes(), kind="cdn")
        got, error = read(url)
        assert error is None
        assert len(got) == SIZE
        assert all(one != two for one, two in zip(got, CONTENT, strict=True))

    def test_gzip(self, hub: Hub, url: str, session: requests.Session) -> None:
        """Compressed without being asked; with IgnoreRange as CloudFront does it."""
        hub.faults.add(streams.ForceGzip(), kind="cdn")
        hub.faults.add(answers.IgnoreRange(), kind="cdn")
        reply = session.get(url, headers={"Accept-Encoding": "identity", "Range": "bytes=5-"}, timeout=30)
        assert reply.status_code == 200
        assert reply.headers["Content-Encoding"] == "gzip"
        assert reply.headers["ETag"].startswith("W/")
        assert "Content-Length" not in reply.headers
        assert reply.content == CONTENT

    @pytest.mark.parametrize("claim", [None, 10**12])
    def test_endless(self, hub: Hub, url: str, claim: int | None) -> None:
        """More than the object is, for as long as one reads."""
        hub.faults.add(streams.EndlessBody(claim), kind="cdn")
        with requests.get(url, stream=True, timeout=30) as reply:
            assert reply.headers.get("Content-Length") == (str(claim) if claim else None)
            assert len(reply.raw.read(5 * SIZE)) == 5 * SIZE

    def test_throttle(self, hub: Hub, url: str) -> None:
        """A line of so many bytes a second, for each or for all together."""
        rule = hub.faults.add(streams.Throttle(each=600_000), kind="cdn")
        assert _seconds([url, url]) >= 0.4
        hub.faults.remove(rule)
        hub.faults.add(streams.Throttle(total=600_000), kind="cdn")
        assert _seconds([url, url]) >= 0.9


class TestAnswers:
    """Faults of the answer as a whole."""

    def test_status_and_rate_headers(self, hub: Hub, url: str, session: requests.Session) -> None:
        """The four ways of saying when to come back."""
        path = f"{hub.url}/acme/tiny/resolve/main/model.safetensors"
        for fault in (
            answers.Status(503, retry_after=7),
            answers.Status(429, retry_after=60, form="date"),
            answers.Status(429, rate=(0, 12)),
            answers.Status(403),
        ):
            hub.faults.add(fault, kind="resolve", times=1)
        replies = [session.get(path, timeout=30) for _ in range(4)]
        assert [reply.status_code for reply in replies] == [503, 429, 429, 403]
        assert replies[0].headers["Retry-After"] == "7"
        assert parsedate_to_datetime(replies[1].headers["Retry-After"]).timestamp() == pytest.approx(
            time.time() + 60, abs=5
        )
        assert replies[2].headers["RateLimit"] == '"resolvers";r=0;t=12'
        assert "RateLimit" not in replies[3].headers
        assert session.get(path, timeout=30).content == CONTENT
        assert url

    @pytest.mark.parametrize("fault", [answers.NoAnswer(), answers.NoAnswerClose()])
    def test_no_answer(self, hub: Hub, url: str, fault: Fault) -> None:
        """The connection ends before the status line."""
        hub.faults.add(fault, kind="cdn", times=1)
        got, error = read(url)
        assert got == b""
        assert error is not None
        assert read(url) == (CONTENT, None)

    def test_ignored_and_wrong_ranges(self, hub: Hub, url: str, session: requests.Session) -> None:
        """The three lies about ranges."""
        asked = {"Range": "bytes=1000-1999"}
        hub.faults.add(answers.IgnoreRange(), kind="cdn", times=1)
        reply = session.get(url, headers=asked, timeout=30)
        assert (reply.status_code, reply.content) == (200, CONTENT)
        assert hub.log.of(kind="cdn")[-1].range == (1000, 1999)
        hub.faults.add(answers.WrongContentRange(5), kind="cdn", times=1)
        reply = session.get(url, headers=asked, timeout=30)
        assert (reply.content, reply.headers["Content-Range"]) == (CONTENT[1000:2000], f"bytes 1005-2004/{SIZE}")
        hub.faults.add(answers.WrongRange(5), kind="cdn", times=1)
        reply = session.get(url, headers=asked, timeout=30)
        assert (reply.content, reply.headers["Content-Range"]) == (CONTENT[995:1995], f"bytes 995-1994/{SIZE}")

    def test_range_needed(self, hub: Hub, url: str, session: requests.Session) -> None:
        """For large files."""
        hub.faults.add(answers.NeedsRange(SIZE), kind="cdn", times=1)
        assert session.get(url, timeout=30).content == CONTENT
        hub.faults.add(answers.NeedsRange(SIZE - 1), kind="cdn", times=2)
        assert session.get(url, timeout=30).status_code == 400
        assert session.get(url, headers={"Range": "bytes=0-"}, timeout=30).content == CONTENT

    def test_short_file(self, hub: Hub, url: str, session: requests.Session) -> None:
        """A file that is shorter, in every header."""
        hub.faults.add(answers.ShortFile(1000), kind="cdn")
        reply = session.get(url, timeout=30)
        assert (reply.content, reply.headers["Content-Length"]) == (CONTENT[:1000], "1000")
        reply = session.get(url, headers={"Range": "bytes=900-2000"}, timeout=30)
        assert (reply.content, reply.headers["Content-Range"]) == (CONTENT[900:1000], "bytes 900-999/1000")
        assert session.get(url, headers={"Range": "bytes=1000-"}, timeout=30).status_code == 416

    def test_headers(self, hub: Hub, url: str, session: requests.Session) -> None:
        """Headers that are missing or other than they should be."""
        hub.faults.add(answers.WithoutHeaders(("content-length", "ETag")), kind="cdn")
        hub.faults.add(answers.WithHeaders({"Accept-Ranges": "none"}), kind="cdn")
        reply = session.get(url, timeout=30)
        assert {"Content-Length", "ETag"}.isdisjoint(reply.headers)
        assert reply.headers["Accept-Ranges"] == "none"
        assert reply.content == CONTENT

    def test_redirects_and_pages(self, hub: Hub, url: str, session: requests.Session) -> None:
        """Ways to lead astray."""
        hub.faults.add(answers.RedirectLoop(), kind="cdn", times=31)
        with pytest.raises(requests.TooManyRedirects):
            session.get(url, timeout=30)
        hub.faults.clear()
        hub.faults.add(answers.RedirectTo("file:///etc/passwd"), kind="cdn", times=1)
        reply = session.get(url, timeout=30, allow_redirects=False)
        assert reply.headers["Location"] == "file:///etc/passwd"
        hub.faults.add(answers.Redirect308("http://other.invalid"), on="hub", times=1)
        reply = session.get(f"{hub.url}/api/models/acme/tiny?x=1", timeout=30, allow_redirects=False)
        assert (reply.status_code, reply.headers["Location"]) == (308, "http://other.invalid/api/models/acme/tiny?x=1")
        hub.faults.add(answers.CaptivePortal())
        for place in (url, f"{hub.url}/api/models/acme/tiny"):
            reply = session.get(place, timeout=30)
            assert (reply.status_code, reply.headers["Content-Type"]) == (200, "text/html; charset=utf-8")

    def test_latency(self, hub: Hub, url: str) -> None:
        """The answer comes late."""
        hub.faults.add(answers.Latency(0.3), kind="cdn")
        assert _seconds([url]) >= 0.3


class TestRules:
    """Who meets a fault."""

    def test_selection(self, hub: Hub, url: str, session: requests.Session) -> None:
        """By listener, kind, method, path, object, predicate, number, event, time and chance."""
        over = threading.Event()
        oid = url.partition("?")[0].rpartition("/")[2]
        teapot = answers.Status(418)
        misses = [
            hub.faults.add(teapot, on="hub"),
            hub.faults.add(teapot, kind="api"),
            hub.faults.add(teapot, method="HEAD"),
            hub.faults.add(teapot, path="elsewhere"),
            hub.faults.add(teapot, oid="0" * 64),
            hub.faults.add(teapot, when=lambda request: "range" in request.headers),
            hub.faults.add(teapot, times=0),
            hub.faults.add(teapot, until=time.monotonic()),
            hub.faults.add(teapot, probability=0.0),
        ]
        assert session.get(url, timeout=30).status_code == 200
        assert all(rule.hits == 0 for rule in misses)
        hit = hub.faults.add(teapot, on="cdn", oid=oid, until=over)
        assert session.get(url, timeout=30).status_code == 418
        over.set()
        assert session.get(url, timeout=30).status_code == 200
        assert hit.hits == 1

    def test_chance_is_seeded(self, hub: Hub, url: str, session: requests.Session) -> None:
        """The same seed gives the same luck."""
        rounds = []
        for _ in range(2):
            rule = hub.faults.add(answers.Status(503), kind="cdn", probability=0.5, seed=7)
            rounds.append([session.head(url, timeout=30).status_code for _ in range(20)])
            hub.faults.remove(rule)
        assert rounds[0] == rounds[1]
        assert set(rounds[0]) == {200, 503}

    def test_faults_compose(self, hub: Hub, url: str) -> None:
        """Several faults meet one answer."""
        hub.faults.add(streams.FlipByte(0, always=True), kind="cdn")
        hub.faults.add(streams.ResetAfter(1000), kind="cdn")
        hub.faults.add(answers.Latency(0.01), kind="cdn")
        got, error = read(url)
        assert error is not None
        assert got == bytes([CONTENT[0] ^ 0xFF]) + CONTENT[1:1000]


class TestOutages:
    """Ports that are away."""

    def test_refuse(self, hub: Hub, url: str) -> None:
        """Connections are refused at the same port that comes back later; those that were open end."""
        with requests.get(url, stream=True, timeout=30) as reply, requests.Session() as session:
            session.get(f"{hub.url}/api/models/acme/tiny", timeout=30)
            hub.down()
            assert reply.status_code == 200
            for port in (hub.front.listener.port, hub.cdn_port):
                with pytest.raises(ConnectionRefusedError):
                    socket.create_connection(("127.0.0.1", port), timeout=30)
            with pytest.raises(requests.ConnectionError):
                session.get(f"{hub.url}/api/models/acme/tiny", timeout=30)
            hub.up()
            assert session.get(f"{hub.url}/api/models/acme/tiny", timeout=30).status_code == 200
        assert read(url) == (CONTENT, None)

    def test_close_and_hang(self, hub: Hub, url: str) -> None:
        """Connections are accepted, and then closed or left alone; the hub itself may stay."""
        hub.down(Outage.CLOSE, only="cdn")
        assert read(url)[1] is not None
        hub.down(Outage.HANG, only="cdn")
        with pytest.raises(requests.ReadTimeout):
            requests.get(url, timeout=(5, 0.2))
        assert requests.get(f"{hub.url}/api/models/acme/tiny", timeout=30).status_code == 200
        hub.up()
        assert read(url) == (CONTENT, None)


class TestMirrors:
    """Fronts with other manners."""

    def test_olah(self, hub: Hub, tiny_repo: LivingRepo, session: requests.Session) -> None:
        """No git, no batch, bytes instead of redirects, no slash in revisions; the log has its name."""
        front = hub.mirror("olah", mirror.olah_proxy())
        reply = session.get(
            f"{front.url}/acme/tiny/resolve/main/model.safetensors", headers={"Range": "bytes=5-9"}, timeout=30
        )
        assert (reply.status_code, reply.content, reply.history) == (206, CONTENT[5:10], [])
        assert session.get(f"{front.url}/acme/tiny/info/refs?service=git-upload-pack", timeout=30).status_code == 404
        assert session.post(f"{front.url}/acme/tiny.git/info/lfs/objects/batch", timeout=30).status_code == 404
        reply = session.get(f"{front.url}/api/models/acme/tiny/revision/feat%2Fslash", timeout=30)
        assert reply.headers["X-Error-Code"] == "RepoNotFound"
        entry, *_ = hub.log.of(listener="olah", kind="resolve")
        assert (entry.oid in tiny_repo.objects, entry.bytes_sent, entry.range) == (True, 5, (5, 9))

    def test_olah_local(self, hub: Hub, tiny_repo: LivingRepo, session: requests.Session) -> None:
        """Chunked and with bare ETags."""
        front = hub.mirror("olah", mirror.olah_local())
        front.faults.add(answers.IgnoreRange())
        reply = session.get(
            f"{front.url}/acme/tiny/resolve/main/model.safetensors", headers={"Range": "bytes=5-9"}, timeout=30
        )
        assert (reply.status_code, reply.content) == (200, CONTENT)
        assert "Content-Length" not in reply.headers
        assert reply.headers["ETag"] in tiny_repo.objects

    def test_moved(self, hub: Hub, tiny_repo: LivingRepo, session: requests.Session) -> None:
        """A mirror that sends everybody to the hub."""
        front = hub.mirror("gone", mirror.moved(hub.url))
        reply = session.get(f"{front.url}/api/models/acme/tiny", timeout=30)
        assert reply.json()["sha"] == tiny_repo.commit
        assert reply.history[0].status_code == 308

    def test_own_faults(self, hub: Hub, tiny_repo: LivingRepo, session: requests.Session) -> None:
        """A mirror's faults are its own, its CDN's too."""
        front = hub.mirror("proxy", mirror.reverse_proxy())
        front.faults.add(answers.Status(503), kind="cdn")
        path = "/acme/tiny/resolve/main/model.safetensors"
        assert session.get(front.url + path, timeout=30).status_code == 503
        assert session.get(hub.url + path, timeout=30).status_code == 200
        assert hub.log.of(listener="proxy-cdn", status=503)
        assert tiny_repo.commit


def test_many_connections(hub: Hub, url: str) -> None:
    """A hundred clients at once."""
    hub.faults.add(streams.Throttle(each=600_000), kind="cdn")
    _seconds([url] * 100)
    assert hub.log.wait_quiet()
    assert hub.log.bytes_sent(kind="cdn") == 100 * SIZE


def _seconds(urls: list[str]) -> float:
    started = time.monotonic()
    results: list[tuple[bytes, Exception | None]] = []
    threads = [threading.Thread(target=lambda url=url: results.append(read(url))) for url in urls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [(CONTENT, None)] * len(urls)
    return time.monotonic() - started
