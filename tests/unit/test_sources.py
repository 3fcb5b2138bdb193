"""What a batch answer may say, and how long its URLs live; by a server that says it."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from typing import Any, ClassVar

import pytest

from hfclone import errors
from hfclone.errors import HfcloneError
from hfclone.http import Web
from hfclone.hub.endpoint import Endpoint, EndpointKind
from hfclone.hub.githost import GitHostSite
from hfclone.names import Pin, Repo
from hfclone.pointer import Oid, Pointer
from hfclone.transfer import sources
from hfclone.transfer.health import EndpointHealth
from hfclone.transfer.sources import BATCH, MOST_STALLS, PAGES, Source, Sources

POINTER = Pointer(Oid("ab" * 32), 1000)
OTHER = Pointer(Oid("cd" * 32), 1000)
PIN = Pin(Repo("o/n"), "0" * 40)
LFS, PAGE, GIT = "application/vnd.git-lfs+json", "text/html", "application/x-git-upload-pack-advertisement"


class Hub(BaseHTTPRequestHandler):
    """Answers a batch request with whatever the test put there."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1
    status: ClassVar[int] = 200
    body: ClassVar[Any] = {}
    kind: ClassVar[str] = LFS
    location: ClassVar[str] = ""
    asked: ClassVar[list[Any]] = []
    git: ClassVar[str] = GIT
    git_asked: ClassVar[list[str]] = []

    def handle(self) -> None:
        """Whoever has heard enough of a long answer hangs up."""
        with contextlib.suppress(ConnectionError):
            super().handle()

    def do_POST(self) -> None:
        data = self.rfile.read(int(self.headers["Content-Length"]))
        if self.location and self.path != self.location:
            self.send_response(307)
            self.send_header("Location", self.location)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.asked.append(json.loads(data))
        body = self.body(self.asked[-1]) if callable(self.body) else self.body
        status, body = body if isinstance(body, tuple) else (self.status, body)
        self.answer(status, self.kind, body if isinstance(body, bytes) else json.dumps(body).encode())

    def do_GET(self) -> None:
        """What git would ask."""
        self.git_asked.append(self.path)
        self.answer(200, self.git, b"x")

    def answer(self, status: int, kind: str, data: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def date_time_string(self, timestamp: float | None = None) -> str:
        del timestamp
        return "Thu, 01 Jan 2026 00:00:00 GMT"  # a clock far from ours

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def hub() -> Iterator[Endpoint]:
    Hub.status, Hub.body, Hub.kind, Hub.asked = 200, {}, LFS, []
    Hub.location, Hub.git, Hub.git_asked = "", GIT, []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield Endpoint(f"http://127.0.0.1:{server.server_address[1]}", EndpointKind.HUB)
    server.shutdown()
    thread.join()
    server.server_close()


class Asker:
    def __init__(self, endpoint: Endpoint, web: Web, objects: Sequence[Pointer] = (POINTER, OTHER)) -> None:
        self.time = 500.0
        self.endpoint = endpoint
        self.objects = objects
        self.health = EndpointHealth([endpoint], lambda: self.time, Random(1))
        paths = {pointer.oid: (f"{number}.bin".encode(),) for number, pointer in enumerate(objects)}
        self.sources = Sources(PIN, paths, web=web, health=self.health, authorities=(), now=lambda: self.time)

    def find(self, pointer: Pointer = POINTER) -> Source | HfcloneError | None:
        try:
            return self.sources.find(pointer, self.endpoint, lambda: self.objects)
        except HfcloneError as error:
            return error


@pytest.fixture
def asker(hub: Endpoint) -> Iterator[Asker]:
    with Web(user_agent="test") as web:
        yield Asker(hub, web)


def git_host(hub: Endpoint, lfs_url: str, origin: str = "") -> Endpoint:
    return replace(hub, kind=EndpointKind.MIRROR, site=GitHostSite(lfs_url, origin))


def row(oid: str = POINTER.oid, **fields: Any) -> dict[str, Any]:
    return {"oid": oid, "size": 1000, **fields}


def action(href: str = "http://cdn.example/x", **fields: Any) -> dict[str, Any]:
    return {"download": {"href": href, **fields}}


ODD: list[tuple[Any, type[HfcloneError]]] = [
    ({}, errors.NotTheObject),
    ([], errors.NotTheObject),
    ({"objects": {}}, errors.NotTheObject),
    ({"objects": [None, 5, {"oid": ["x"]}]}, errors.NotTheObject),
    ({"objects": [row()]}, errors.ObjectMissing),
    ({"objects": [row(actions=[])]}, errors.ObjectMissing),
    ({"objects": [row(actions={"download": "x"})]}, errors.ObjectMissing),
    ({"objects": [row(actions=action("file:///etc/passwd"))]}, errors.BadRedirect),
    ({"objects": [row(error={"code": 404})]}, errors.ObjectMissing),
    ({"objects": [row(error={"code": 410})]}, errors.ObjectMissing),
    ({"objects": [row(error={"code": "x"})]}, errors.ServerFault),
    ({"objects": [row(error={"code": 503})]}, errors.ServerFault),
    (b"{", errors.NotTheObject),
]


@pytest.mark.parametrize(("body", "kind"), ODD)
def test_an_odd_answer_is_an_error_of_ours(asker: Asker, body: Any, kind: type[HfcloneError]) -> None:
    Hub.body = body
    assert type(asker.find()) is kind


def test_a_url_is_used_until_shortly_before_its_end(asker: Asker) -> None:
    Hub.body = {"objects": [row(actions=action(expires_in=100)), row(OTHER.oid, actions=action(expires_in=100))]}
    assert isinstance(asker.find(), Source)
    assert isinstance(asker.find(OTHER), Source)
    asker.time += 94
    asker.find()
    assert len(Hub.asked) == 1
    assert [each["oid"] for each in Hub.asked[0]["objects"]] == [POINTER.oid, OTHER.oid]
    asker.time += 2
    asker.find()
    assert len(Hub.asked) == 2


@pytest.mark.parametrize(
    ("fields", "href", "life"),
    [
        ({"expires_in": 60}, "http://cdn.example/x", 60),
        ({"expires_at": "2026-01-01T00:01:01Z"}, "http://cdn.example/x", 60),
        ({}, "http://cdn.example/x?Expires=1767225661", 60),
        ({}, "http://cdn.example/x?X-Amz-Date=20260101T000000Z&X-Amz-Expires=61", 60),
        ({"expires_in": 3600}, "http://cdn.example/x?Expires=1767225661", 60),
        ({"expires_in": -5, "expires_at": "nonsense"}, "http://cdn.example/x?Expires=never", 900),
    ],
)
def test_a_life_is_counted_by_the_servers_clock(asker: Asker, fields: dict[str, Any], href: str, life: float) -> None:
    Hub.body = {"objects": [row(actions=action(href, **fields))]}
    source = asker.find()
    assert isinstance(source, Source)
    assert source.dies_at == pytest.approx(asker.time + life)


def test_a_dead_url_takes_its_generation_with_it(asker: Asker) -> None:
    Hub.body = {"objects": [row(actions=action()), row(OTHER.oid, actions=action())]}
    asker.find()
    asker.sources.expired(POINTER, asker.endpoint)
    assert not asker.sources.has_url(OTHER, asker.endpoint)


def test_what_has_settled_is_forgotten(asker: Asker) -> None:
    Hub.body = {"objects": [row(actions=action())]}
    asker.find()
    assert asker.sources.has_url(POINTER, asker.endpoint)
    asker.sources.settled(POINTER)
    assert not asker.sources.has_url(POINTER, asker.endpoint)


@pytest.mark.parametrize(("status", "kind"), [(404, "text/plain"), (501, "text/plain"), (403, "text/plain")])
def test_who_has_no_batch_is_asked_by_resolve(asker: Asker, status: int, kind: str) -> None:
    Hub.status, Hub.kind = status, kind
    source = asker.find()
    if status == 501 and not isinstance(source, Source):
        assert isinstance(source, errors.ServerFault)
        return
    assert isinstance(source, Source)
    assert "/resolve/" in source.url
    assert asker.health.lacks(asker.endpoint, BATCH)


def test_headers_of_an_action_are_sent_and_our_token_is_not(asker: Asker) -> None:
    Hub.body = {"objects": [row(actions=action(header={"X-Amz-Date": "1", "Authorization": "x", "N": 5}))]}
    source = asker.find()
    assert isinstance(source, Source)
    assert source.headers == {"x-amz-date": "1", "authorization": "x"}
    assert source.authority is None


HREFS = [
    "http://[::1",
    "http://*foo/x",
    "http://host:x/y",
    "http://host:99999/y",
    "http://user:password@host/x",
    "http://127%2e0.0.1/x",
    "http://127\u30020.0.1/x",
    "http://host\\@other/x",
    "http://host/a b",
    "http://host/a\r\nX: y",
    "http:///x",
    "http:x",
    "ftp://host/x",
    "file:///etc/passwd",
    "\ud800",
    "http://\ud800/",
    "http://host/" + "x" * 20_000,
    "",
]


@pytest.mark.parametrize("href", HREFS)
def test_urls_that_nobody_means(asker: Asker, href: str) -> None:
    Hub.body = {"objects": [row(actions=action(href))]}
    assert isinstance(asker.find(), errors.BadRedirect)


def test_a_limit_that_is_used_up_asks_nothing(asker: Asker) -> None:
    asker.health.hold(asker.endpoint, 10.0)
    assert asker.find() is None
    assert Hub.asked == []


# --- what else a row may say ----------------------------------------------------------------------

ROW_CODES: list[tuple[Any, type[HfcloneError]]] = [
    (400, errors.ObjectRefused),
    (401, errors.ObjectRefused),
    (403, errors.ObjectRefused),
    (404, errors.ObjectMissing),
    (406, errors.ObjectRefused),
    (408, errors.ServerFault),
    (409, errors.ObjectRefused),
    (410, errors.ObjectMissing),
    (413, errors.ObjectRefused),
    (422, errors.ObjectRefused),
    (425, errors.ServerFault),
    (429, errors.ServerFault),
    (500, errors.ServerFault),
    (501, errors.ObjectRefused),
    (503, errors.ServerFault),
    (507, errors.ServerFault),
    (True, errors.ServerFault),
    (0, errors.ServerFault),
    (10**20, errors.ServerFault),
    (None, errors.ServerFault),
]


@pytest.mark.parametrize(("code", "kind"), ROW_CODES)
def test_the_error_of_one_object(asker: Asker, code: Any, kind: type[HfcloneError]) -> None:
    Hub.body = {"objects": [row(error={"code": code, "message": "it is\x1b[31m\n so"})]}
    error = asker.find()
    assert type(error) is kind
    assert str(error).endswith(": it is [31m so")


@pytest.mark.parametrize("message", ["x" * 5000, 7, None, ["x"], {}, "\udcff\u202e"])
def test_words_that_are_none_or_too_many(asker: Asker, message: Any) -> None:
    Hub.body = {"objects": [row(error={"code": 422, "message": message})]}
    error = asker.find()
    assert isinstance(error, errors.ObjectRefused)
    assert error.said == ("x" * 197 + "..." if message == "x" * 5000 else "")


ADDRESSES = [
    ("/objs/1", "{base}/objs/1"),
    ("objs/1?a=b", "{base}/o/n.git/info/lfs/objects/objs/1?a=b"),
    ("../1", "{base}/o/n.git/info/lfs/1"),
    ("//cdn.example/1", "http://cdn.example/1"),
    ("http://cdn.example/1?", "http://cdn.example/1?"),
    ("", None),
    ("//user@cdn.example/1", None),
    ("//cdn.example:x/1", None),
    ("/objs/\t1", None),
    (" /objs/1", None),
    ("\\\\cdn.example\\1", None),
    ("http:/objs/1", None),
    ("javascript:alert(1)", None),
]


@pytest.mark.parametrize(("href", "url"), ADDRESSES)
def test_an_address_is_held_against_the_batchs_own(asker: Asker, href: str, url: str | None) -> None:
    Hub.body = {"objects": [row(actions=action(href))]}
    found = asker.find()
    if url is None:
        assert isinstance(found, errors.BadRedirect)
        assert found.oid == POINTER.oid
    else:
        assert isinstance(found, Source)
        assert found.url == url.format(base=asker.endpoint.url)


def test_an_address_is_held_against_where_a_redirect_led(asker: Asker) -> None:
    Hub.location, Hub.body = "/elsewhere/batch", {"objects": [row(actions=action("objs/1"))]}
    found = asker.find()
    assert isinstance(found, Source)
    assert found.url == f"{asker.endpoint.url}/elsewhere/objs/1"


# --- a git host that is no hub --------------------------------------------------------------------


@pytest.fixture
def host(hub: Endpoint) -> Iterator[Asker]:
    """The same server as a git host, whose LFS API is all that there is."""
    origin = f"{hub.url}/o/n"
    with Web(user_agent="test") as web:
        yield Asker(git_host(hub, f"{origin}.git/info/lfs", origin), web)


def listed(*pointers: Pointer) -> dict[str, Any]:
    return {"objects": [row(pointer.oid, actions=action()) for pointer in pointers or (POINTER, OTHER)]}


FIRST_ANSWERS: list[tuple[int, str, Any, type[HfcloneError]]] = [
    (401, LFS, {"message": "say who you are"}, errors.LfsRefused),
    (403, LFS, {"message": "no"}, errors.LfsRefused),
    (404, LFS, {"message": "no"}, errors.LfsRefused),
    (406, LFS, {"message": "no"}, errors.LfsRefused),
    (410, LFS, {"message": "no"}, errors.LfsRefused),
    (422, LFS, {"message": "no"}, errors.LfsRefused),
    (501, LFS, {"message": "no"}, errors.LfsRefused),
    (401, PAGE, b"<html>", errors.LfsRefused),
    (404, PAGE, b"<html>", errors.LfsRefused),
    (404, LFS, b"{", errors.LfsRefused),
    (404, LFS, b"[" * 100_000, errors.LfsRefused),
    (404, LFS, [], errors.LfsRefused),
    (408, LFS, {}, errors.ServerFault),
    (425, LFS, {}, errors.ServerFault),
    (429, LFS, {}, errors.RateLimited),
    (500, PAGE, b"<html>", errors.ServerFault),
    (503, LFS, {"message": "later"}, errors.ServerFault),
    (507, LFS, {"message": "full"}, errors.ServerFault),
    (200, PAGE, b"<html>", errors.NotTheObject),
    (200, LFS, b"{", errors.NotTheObject),
    (200, LFS, {"message": "no"}, errors.NotTheObject),
    (200, LFS, {"objects": {}}, errors.NotTheObject),
    (202, LFS, listed(), errors.NotTheObject),
    (301, PAGE, b"<html>", errors.NotTheObject),
]


@pytest.mark.parametrize(("status", "kind", "body", "error"), FIRST_ANSWERS)
def test_what_a_git_host_may_answer_first(
    host: Asker, status: int, kind: str, body: Any, error: type[HfcloneError]
) -> None:
    Hub.status, Hub.kind, Hub.body = status, kind, body
    found = host.find()
    assert type(found) is error
    assert isinstance(found, HfcloneError)
    assert found.said == (body.get("message", "") if status >= 400 and isinstance(body, dict) else "")
    assert not Hub.git_asked


PAGES_LATER = [(200, PAGE, b"<html>"), (200, LFS, {"message": "no"}), (302, PAGE, b"")]


@pytest.mark.parametrize(("status", "kind", "body"), PAGES_LATER)
def test_a_page_that_stays_is_the_hosts_where_git_is_reached(host: Asker, status: int, kind: str, body: Any) -> None:
    Hub.status, Hub.kind, Hub.body = status, kind, body
    found = []
    for _ in range(PAGES):
        found.append(host.find())
        host.time += 20
    assert [type(each) for each in found[:-1]] == [errors.NotTheObject] * (PAGES - 1)
    assert isinstance(found[-1], errors.LfsRefused)
    assert found[-1].page == f"{host.endpoint.url}/o/n.git/info/lfs/objects/batch"
    assert Hub.git_asked == ["/o/n/info/refs?service=git-upload-pack"]


def test_a_page_is_a_portals_where_git_is_answered_with_one_too(host: Asker) -> None:
    Hub.kind, Hub.body, Hub.git = PAGE, b"<html>", PAGE
    for _ in range(3 * PAGES):
        assert type(host.find()) is errors.NotTheObject
        host.time += 20
    Hub.kind, Hub.body = LFS, listed()
    assert isinstance(host.find(), Source)


def test_a_login_behind_a_redirect_is_named(host: Asker) -> None:
    """Whatever status it answers a POST with, it is no LFS API."""
    Hub.location, Hub.kind, Hub.status, Hub.body = "/login?next=secret", PAGE, 405, b"<html>"
    for _ in range(PAGES - 1):
        assert isinstance(host.find(), errors.ServerFault)
        host.time += 20
    found = host.find()
    assert isinstance(found, errors.LfsRefused)
    assert found.page == f"{host.endpoint.url}/login"


@pytest.mark.parametrize(("status", "kind", "body"), [*PAGES_LATER, (403, PAGE, b"<html>"), (404, PAGE, b"<html>")])
def test_who_has_listed_objects_is_waited_for(host: Asker, status: int, kind: str, body: Any) -> None:
    """What is no LFS answer then is of something on the way, however often it comes."""
    Hub.body = listed()
    assert isinstance(host.find(), Source)
    host.sources.forget(OTHER, host.endpoint)
    Hub.status, Hub.kind, Hub.body = status, kind, body
    for _ in range(3 * PAGES):
        host.time += 20
        assert type(host.find(OTHER)) in (errors.NotTheObject, errors.ServerFault)
    assert not Hub.git_asked
    Hub.kind, Hub.status, Hub.body = LFS, 403, {"message": "over its quota"}  # its own word is taken
    host.time += 20
    assert isinstance(host.find(OTHER), errors.LfsRefused)


def test_what_a_git_host_leaves_out_it_does_not_have(host: Asker) -> None:
    Hub.body = listed(OTHER)
    assert isinstance(host.find(), errors.ObjectMissing)


@pytest.mark.parametrize(("number", "limit"), [(7, 2), (120, 30), (3, 1), (100, 100)])
def test_a_batch_that_is_too_large_is_halved_until_it_fits(hub: Endpoint, number: int, limit: int) -> None:
    objects = [Pointer(Oid(f"{each:064x}"), 1000) for each in range(number)]

    def says(request: Any) -> Any:
        asked = [Pointer(Oid(each["oid"]), 1000) for each in request["objects"]]
        return (413, {"message": "too many"}) if len(asked) > limit else listed(*asked)

    Hub.body = staticmethod(says)
    for endpoint in (hub, git_host(hub, f"{hub.url}/o/n.git/info/lfs")):
        Hub.asked.clear()
        with Web(user_agent="test") as web:
            asker = Asker(endpoint, web, objects)
            assert all(isinstance(found, Source) and found.signed for found in map(asker.find, objects))
        sizes = [len(request["objects"]) for request in Hub.asked]
        assert len([size for size in sizes if size > limit]) <= 7
        assert len(sizes) <= 7 + -(-2 * number // limit)


def test_a_git_host_that_is_slow_is_asked_for_fewer_and_for_nothing_else(
    hub: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It signs one object after the other, and has no other address of them."""
    monkeypatch.setattr(sources, "BATCH_SECONDS", 0.05)
    objects = [Pointer(Oid(f"{each:064x}"), 1000) for each in range(100)]

    def says(request: Any) -> Any:
        asked = [Pointer(Oid(each["oid"]), 1000) for each in request["objects"]]
        threading.Event().wait(0.02 * len(asked))
        return listed(*asked)

    Hub.body = staticmethod(says)
    with Web(user_agent="test") as web:
        asker = Asker(git_host(hub, f"{hub.url}/o/n.git/info/lfs"), web, objects)
        found: Source | HfcloneError | None = None
        for _ in range(MOST_STALLS + 4):
            asker.time += 1.0
            found = asker.find(objects[0])
            if not isinstance(found, errors.Stalled):
                break
    assert isinstance(found, Source)
    assert found.signed


def test_one_object_that_is_too_large(host: Asker) -> None:
    Hub.status, Hub.body = 413, {"message": "not even one"}
    found = host.find()
    assert isinstance(found, errors.LfsRefused)
    assert len(Hub.asked) == 2


WEEK = 7 * 24 * 3600.0
LIVES: list[tuple[str, float]] = [  # what "expires_in" may be, and how long the URL is used then
    ("1" + "0" * 400, 900),
    ("-1" + "0" * 400, 900),
    ("9" * 5000, 900),
    ("1e400", 900),
    ("NaN", 900),
    ("Infinity", 900),
    ("-Infinity", 900),
    ("1e300", WEEK),
    ("999999999999", WEEK),
    ("true", 900),
    ('"60"', 900),
    ("null", 900),
    ("[60]", 900),
    ('{"a": 60}', 900),
    ("0", 900),
    ("1.5", 1.5),
    ('60, "expires_in": 70', 70),
]


@pytest.mark.parametrize(("text", "life"), LIVES, ids=[text[:20] for text, _ in LIVES])
def test_a_life_that_nobody_means(asker: Asker, text: str, life: float) -> None:
    Hub.body = json.dumps({"objects": [row(actions=action(expires_in="LIFE"))]}).replace('"LIFE"', text).encode()
    source = asker.find()
    assert isinstance(source, Source)
    assert source.dies_at == pytest.approx(asker.time + life)


DEATHS: list[tuple[str, float]] = [  # what a URL's query or "expires_at" may say of its end
    ("Expires=" + "9" * 400, 900),
    ("Expires=99999999999999999", WEEK),
    ("Expires=nan", 900),
    ("Expires=inf", 900),
    ("Expires=1e12", 900),
    ("Expires=1_767_225_661", 900),
    ("Expires=%D9%A3", 900),
    ("Expires=-1", 900),
    ("Expires=0", 0.001),
    ("X-Amz-Date=99991231T235959Z&X-Amz-Expires=86400", 900),
    ("X-Amz-Date=20260101T000000Z&X-Amz-Expires=" + "9" * 30, 900),
    ("X-Amz-Date=20260101T000000Z&X-Amz-Expires=999999999999999999", 900),
    ("X-Amz-Date=00000000T000000Z&X-Amz-Expires=60", 900),
    ("X-Amz-Date=&X-Amz-Expires=", 900),
]


@pytest.mark.parametrize(("query", "life"), DEATHS, ids=[query[:40] for query, _ in DEATHS])
def test_an_end_that_nobody_means(asker: Asker, query: str, life: float) -> None:
    Hub.body = {"objects": [row(actions=action(f"http://cdn.example/x?{query}"))]}
    source = asker.find()
    assert isinstance(source, Source)
    assert source.dies_at == pytest.approx(asker.time + life)


@pytest.mark.parametrize(
    ("text", "life"),
    [
        ("9999-12-31T23:59:59Z", WEEK),
        ("0001-01-01T00:00:00+23:59", 0.001),
        ("2026-01-01T00:01:01", 900),  # of no zone: nobody knows when that is
        ("9" * 10_000, 900),
        ("\ud800", 900),
        ("", 900),
        (5, 900),
    ],
    ids=str,
)
def test_a_moment_that_nobody_means(asker: Asker, text: Any, life: float) -> None:
    Hub.body = {"objects": [row(actions=action(expires_at=text))]}
    source = asker.find()
    assert isinstance(source, Source)
    assert source.dies_at == pytest.approx(asker.time + life)


@pytest.mark.parametrize("href", ["http://cdn.example/x", "HTTP://cdn.example/x", "hTTp://cdn.example/x"])
def test_nothing_leads_from_https_down_to_http(href: str) -> None:
    """However it is written."""
    said = sources._read_row(
        Endpoint("https://hub.example"),
        POINTER,
        row(actions=action(href)),
        None,
        0.0,
        None,
        "https://hub.example/batch",
    )
    assert isinstance(said, errors.BadRedirect)
