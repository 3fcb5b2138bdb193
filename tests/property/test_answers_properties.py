"""Whatever an answer says, each parser ends in a value that is meant, or in nothing said."""

from __future__ import annotations

import json
import math
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from hfclone.errors import HfcloneError, Unforeseen
from hfclone.http import Web
from hfclone.http.answer import LONGEST_ASKED, Answer, quota_of
from hfclone.hub import client as hub
from hfclone.hub.endpoint import Endpoint, EndpointKind
from hfclone.hub.pasted import parse_repo_spec
from hfclone.names import Pin, Repo, is_full_sha
from hfclone.pointer import Oid, Pointer
from hfclone.ranges import parse_content_range
from hfclone.transfer.health import EndpointHealth
from hfclone.transfer.sources import Source, Sources
from tests.wires import Wire

WEEK = 7 * 24 * 3600.0
PIN = Pin(Repo("o/n"), "0" * 40)
POINTERS = [Pointer(Oid(f"{number:064x}"), 1000) for number in range(3)]

numbers = st.one_of(
    st.integers(),
    st.floats(),
    st.booleans(),
    st.sampled_from([10**400, -(10**400), 10**18, 2**63, 0, -0.0, 1e308, math.inf, -math.inf, math.nan]),
)
texts = st.one_of(
    st.text(max_size=40),
    st.sampled_from(["\ud800", "\x00", "NaN", "inf", "1_000", "\u0663", "9" * 5000, "a" * 100_000, "http://[::1"]),
    st.datetimes().map(lambda moment: moment.isoformat() + "Z"),
    st.text("0123456789-:TZ+.W", max_size=30),
)
anything = st.recursive(
    st.none() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
digits = st.text("0123456789", max_size=25)
header_texts = st.one_of(
    st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=60),
    digits,
    st.sampled_from(["9" * 5000, "-1", "1e5", "0x10", " 5 ", "5, 5", "\u00b2", "nan", "Infinity", "1.5"]),
    st.tuples(st.sampled_from(["Thu, ", ""]), digits, st.sampled_from([" Jan ", " Foo ", "-Jan-"]), digits, digits).map(
        lambda parts: f"{parts[0]}{parts[1]}{parts[2]}{parts[3]} {parts[4]}:00:00 GMT"
    ),
    st.tuples(digits, digits).map(lambda pair: f'"x";r={pair[0]};t={pair[1]}'),
)


def answer(headers: dict[str, str]) -> Answer:
    """Of which only the headers are looked at."""
    lower = {name.lower(): value for name, value in headers.items()}

    class Found(dict[str, str]):
        def get(self, name: str, default: Any = None) -> Any:
            return lower.get(name.lower(), default)

    nothing = cast("Any", None)
    return Answer("host", "http://host/", 200, Found(), (), None, nothing, nothing, nothing)


# --- headers -----------------------------------------------------------------------------------


@settings(deadline=None)
@given(header_texts, header_texts, header_texts)
@example("Thu, 01 Jan 0001 00:00:00 -0000", "Fri, 31 Dec 9999 23:59:59 +2359", "")
@example("1 Jan 1 0:0:0 -9999999999", "", "x")
@example("0 0 0 0 0", "-", ";")
def test_how_long_to_wait(wait: str, date: str, limit: str) -> None:
    said = answer({"Retry-After": wait, "Date": date, "RateLimit": limit})
    seconds = said.retry_after(1_700_000_000.0)
    assert seconds is None or 0 <= seconds <= LONGEST_ASKED
    assert said.date is None or math.isfinite(said.date)
    quota = quota_of(limit)
    assert quota is None or (quota[0] >= 0 and 0 <= quota[1] <= LONGEST_ASKED)


@given(header_texts)
def test_lengths_and_ranges(text: str) -> None:
    length = answer({"Content-Length": text}).length
    assert length is None or 0 <= length < 10**19
    given = parse_content_range(f"bytes {text}")
    assert given is None or 0 <= given.start < given.stop <= 10**19
    assert len(answer({"Content-Type": text}).content_type) <= len(text)


# --- bodies ------------------------------------------------------------------------------------


class Says:
    """A server that answers everything with what a test puts here."""

    def __init__(self) -> None:
        self.body = b""
        self.more = ""

    def __call__(self, _number: int, connected: socket.socket) -> bool:
        """Answer; what a request says is read with the head of the next."""
        head = (
            f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(self.body)}\r\n{self.more}\r\n"
        )
        connected.sendall(head.encode("latin-1") + self.body)
        return True


@contextmanager
def served() -> Iterator[tuple[Says, Endpoint, Web]]:
    says = Says()
    with Wire(says) as wire, Web(user_agent="test") as web:
        yield says, Endpoint(wire.url, EndpointKind.HUB), web


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[Says, Endpoint, Web]]:
    """One for all examples."""
    with served() as parts:
        yield parts


RAW = [
    b"",
    b"\xff\xfe",
    b"[" * 100_000,
    b'{"objects":' * 50_000,
    b'{"sha": ' + b"9" * 100_000 + b"}",
    b'{"sha": NaN, "id": -Infinity}',
    b'{"sha": "a", "sha": ["b"]}',
    b'{"id": "\\ud800", "sha": "' + b"a" * 40 + b'"}',
    b'{"branches": [{"name": ' + b"[" * 500 + b"]" * 500 + b"}]}",
    "\ufeff{}".encode(),
    b"{}" + b" " * 100_000 + b"x",
]
FEW = settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])


def as_json(value: object) -> bytes:
    return json.dumps(value).encode()


bodies = st.one_of(
    st.sampled_from(RAW),
    anything.map(as_json),
    st.fixed_dictionaries({"sha": anything, "id": anything}).map(as_json),
    st.fixed_dictionaries({"branches": st.lists(st.fixed_dictionaries({"name": anything}) | anything)}).map(as_json),
)


@FEW
@given(bodies, header_texts)
def test_what_an_api_says_of_a_repo(server: tuple[Says, Endpoint, Web], body: bytes, more: str) -> None:
    says, endpoint, web = server
    says.body, says.more = body, f"Date: {more}\r\nRetry-After: {more}\r\nRateLimit: {more}\r\nX-Error-Code: {more}\r\n"
    names = hub.branches(Repo("o/n"), [endpoint], web, ()) or ()
    assert all(isinstance(name, str) for name in names)
    try:
        pin, _ = hub.resolve(parse_repo_spec("o/n"), [endpoint], web, ())
    except HfcloneError as error:
        assert not isinstance(error, Unforeseen), error
    else:
        assert is_full_sha(pin.commit)


dates = st.one_of(texts, digits, st.just("20260101T000000Z"))
hrefs = st.one_of(
    st.just("http://cdn.example/x"),
    texts,
    st.builds("http://cdn.example/x?Expires={}".format, dates),
    st.builds("http://cdn.example/x?X-Amz-Date={}&X-Amz-Expires={}".format, dates, dates),
)
actions = st.fixed_dictionaries(
    {"href": hrefs | anything}, optional={"header": anything, "expires_in": numbers | anything, "expires_at": texts}
)
oids = st.sampled_from([pointer.oid for pointer in POINTERS])
rows = st.one_of(
    anything,
    st.fixed_dictionaries({"oid": oids, "actions": st.fixed_dictionaries({"download": actions})}),
    st.fixed_dictionaries(
        {"oid": oids | anything}, optional={"size": anything, "error": anything, "actions": anything}
    ),
)


@FEW
@given(st.fixed_dictionaries({"objects": st.lists(rows, min_size=1, max_size=5)}) | anything, header_texts)
@example(
    {
        "objects": [
            {"oid": POINTERS[0].oid, "actions": {"download": {"href": "http://cdn.example/x", "expires_in": 1e-99}}}
        ]
    },
    "",
)
def test_what_a_batch_answer_says(server: tuple[Says, Endpoint, Web], body: Any, date: str) -> None:
    says, endpoint, web = server
    says.body, says.more = as_json(body), f"Date: {date}\r\n"
    health = EndpointHealth([endpoint], lambda: 500.0, Random(1))
    paths = {pointer.oid: (b"a.bin",) for pointer in POINTERS}
    sources = Sources(PIN, paths, web=web, health=health, authorities=(), now=lambda: 500.0)
    for pointer in POINTERS:
        try:
            found = sources.find(pointer, endpoint, lambda: POINTERS)
        except HfcloneError as error:
            assert not isinstance(error, Unforeseen), error
            continue
        if isinstance(found, Source) and found.signed:
            assert found.dies_at is not None
            assert 500.0 < found.dies_at <= 500.0 + WEEK
