"""Each field of each answer of a mirror's says what nobody means, and the hub is healthy: the run ends well, always.

The mirror is a relay that hears every byte: no secret is among them.
"""

from __future__ import annotations

import base64
import itertools
import json
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from hfclone.commits.blobs import HttpBlobs
from hfclone.http import Attendant, Limits, Web
from hfclone.hub.client import branches, resolve
from hfclone.hub.endpoint import Endpoint
from hfclone.hub.pasted import parse_repo_spec
from hfclone.lock.model import git_id
from hfclone.names import Pin, Repo
from tests.e2e.command import Command, assert_checkout, placed
from tests.hub import Hub, Lfs, LivingRepo
from tests.hub.site import Manners
from tests.proxies import KeepAliveProxy
from tests.relays import Manner, Pieces, Relay, split

TOKEN = "hf_" + "Secret" * 5
LOGIN = "me:s3cr3t"
ATTRIBUTES = "*.bin filter=lfs diff=lfs merge=lfs -text\n"

VALUES = (
    *("null", "true", "false", "0", "-1", "1.5", "1e400", "-1e400", "NaN", "Infinity", "-Infinity", "1" + "0" * 400),
    *('""', '"x"', '"\\ud800"', '"\\u0000"', '"9999999999999999999"', '"http://[::1"', '"2026-01-01T00:00:00Z"'),
    *("[]", "{}", "[[]]", '{"a": {"b": null}}', "[" * 400 + "]" * 400, '"' + "a" * 100_000 + '"'),
)
"""As they stand in JSON."""


def spoiled(document: Any, path: tuple[str | int, ...], text: str) -> bytes:
    """``document`` with ``text`` in place of what stands at ``path``."""
    copy = json.loads(json.dumps(document))
    at = copy
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = "@HERE@"
    return json.dumps(copy).replace('"@HERE@"', text).encode()


def with_body(answer: bytes, body: bytes) -> bytes:
    """An answer with another body, and its length."""
    head = split(answer)[0]
    return (
        re.sub(rb"\r\ncontent-length:[^\r]*", b"\r\nContent-Length: %d" % len(body), head, flags=re.IGNORECASE) + body
    )


# --- batch answers -----------------------------------------------------------------------------

ROW = ["oid", "size", "authenticated", "actions"]
ACTION = ["href", "header", "expires_in", "expires_at"]
ROW_CASES = [
    *(((name,), text) for name in ROW for text in VALUES),
    *(((name,), text) for name in ("error", "unknown") for text in VALUES),
    *((("error",), f'{{"code": {text}, "message": {text}}}') for text in VALUES),
    *((("actions", "download"), text) for text in VALUES),
    *((("actions", "download", name), text) for name in ACTION for text in VALUES),
    *((("actions", "download", "header"), f'{{"Authorization": {text}, "X-Amz-Date": {text}}}') for text in VALUES),
    *((("actions", "download", "header"), f'{{{text}: "x"}}') for text in VALUES if text.startswith('"')),
]
"""What stands where in a row."""


def many_objects(hub: Hub) -> LivingRepo:
    """A batch answer has a row for each."""
    files = {f"o{number}.bin": Lfs(2000 + number, seed=number) for number in range(100)}
    return hub.repo("acme/many", {".gitattributes": ATTRIBUTES, "README.md": "hi\n", **files})


class Rows:
    """Spoils each row of each batch answer in another way, one after the other."""

    def __init__(self, first: int) -> None:
        self._cases = itertools.islice(itertools.cycle(ROW_CASES), first, None)
        self.served = 0

    def __call__(self, answer: bytes) -> bytes:
        """The answer with none of its rows as it was."""
        rows = json.loads(split(answer)[1])["objects"]
        self.served += len(rows)
        texts = [spoiled(row, *next(self._cases)).decode("ascii") for row in rows]
        return with_body(answer, f'{{"transfer": "basic", "objects": [{", ".join(texts)}]}}'.encode())


def nothing_secret(*heard: bytes) -> None:
    """Neither the token nor the proxy's password is in what a stranger received."""
    secrets = (TOKEN.encode(), base64.b64encode(f"hfclone:{TOKEN}".encode()), base64.b64encode(LOGIN.encode()))
    for each in heard:
        for secret in secrets:
            assert secret not in each


@pytest.mark.parametrize("fetcher", ["threads", "aria2c"])
def test_rows_of_a_batch_answer(hub: Hub, hfclone: Command, fetcher: str) -> None:
    """Of several mirrors, since each is asked for a hundred rows."""
    hub.tokens.add(TOKEN)
    repo = many_objects(hub)
    spoilers = [Rows(first) for first in range(0, len(ROW_CASES), 100)]
    with ExitStack() as stack:
        relays = [stack.enter_context(Relay(port_of(hub.url), only(b"/objects/batch", rows))) for rows in spoilers]
        mirrors = [word for relay in relays for word in ("--mirror", relay.url)]
        done = hfclone("acme/many", "out", *mirrors, "--fetcher", fetcher, "-v", env={"HF_TOKEN": TOKEN})
        assert done.code == 0, done.stderr
        assert all(rows.served for rows in spoilers)
        nothing_secret(*(heard for relay in relays for heard in relay.heard))
    assert "unforeseen" not in done.stderr
    assert_checkout(hfclone.cwd / "out", repo.commit, f"{hub.url}/acme/many")
    assert len(placed(hfclone.cwd / "out")) == 100


def only(mark: bytes, change: Callable[[bytes], bytes]) -> Callable[[bytes], Manner | None]:
    """Change the answers to requests whose first line holds ``mark``."""

    def manner(answer: bytes) -> Pieces:
        yield change(answer)

    return lambda head: manner if mark in head.partition(b"\r\n")[0] else None


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2])


# --- heads -------------------------------------------------------------------------------------

NAMES = (
    *("Content-Length", "Content-Range", "Content-Type", "Content-Encoding", "Transfer-Encoding", "Connection"),
    *("Retry-After", "RateLimit", "Date", "Location", "Link", "ETag", "X-Error-Code", "X-Error-Message"),
    *("X-Request-Id", "X-Repo-Commit", "Set-Cookie", "Keep-Alive", "Trailer", "Upgrade"),
)
TEXTS = (
    *(
        b"",
        b"x",
        b"-1",
        b"0",
        b"1",
        b"9" * 400,
        b"1e3",
        b"NaN",
        b"5, 6",
        b"5, 5",
        b"\xff\xfe\xd9\xa3",
        b"a" * 5000,
        b"\0",
    ),
    *(
        b"bytes 0-0/1",
        b"bytes 5-1/2",
        b"bytes */*",
        b"bytes 0-" + b"9" * 30 + b"/*",
        b'"x";r=0;t=99999',
        b'"x";r=-1;t=x',
    ),
    *(b"Thu, 01 Jan 0001 00:00:00 GMT", b"Fri, 31 Dec 9999 23:59:59 -2359", b"gzip", b"chunked", b"close", b"identity"),
    *(
        b"//host:x/y",
        b"http://[::1",
        b"/again",
        b"http://a@b/",
        b"ftp://a/",
        b"text/html",
        b"RepoNotFound",
        b"EntryNotFound",
    ),
)
STATUSES = (
    *(b"HTTP/1.1 000 x", b"HTTP/1.1 099 x", b"HTTP/1.1 101 x", b"HTTP/1.1 200", b"HTTP/1.0 200 OK", b"HTTP/2 200"),
    *(
        b"HTTP/1.1 20 OK",
        b"HTTP/1.1 -200 OK",
        b"HTTP/1.1 1e2 OK",
        b"HTTP/1.1 \xd9\xa2\xd9\xa0\xd9\xa0 OK",
        b"ICY 200 OK",
        b"",
    ),
    *(b"HTTP/1.1 %d x" % code for code in (204, 205, 206, 226, 299, 300, 301, 302, 303, 304, 305, 307, 308, 400, 401)),
    *(b"HTTP/1.1 %d x" % code for code in (402, 403, 404, 405, 407, 408, 409, 410, 412, 413, 416, 421, 425, 426, 429)),
    *(b"HTTP/1.1 %d x" % code for code in (431, 451, 500, 501, 502, 503, 504, 507, 511, 520, 599, 600, 999)),
)


def headed(name: str, text: bytes) -> Callable[[bytes], bytes]:
    """One header says something else; of a redirect, where it names a target."""

    def change(answer: bytes) -> bytes:
        head, body = split(answer)
        line = f"\r\n{name}: ".encode() + text
        other = re.sub(rb"\r\n%s:[^\r]*" % name.encode(), b"", head[:-4], flags=re.IGNORECASE)
        if name == "Location":
            other = re.sub(rb"\A[^\r]*", b"HTTP/1.1 302 Found", other)
        return other + line + b"\r\n\r\n" + body

    return change


def in_place(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    """The first ``old`` (a pattern) says ``new``."""
    return lambda answer: re.sub(old, lambda _: new, answer, count=1)


HEADS: dict[str, Callable[[bytes], bytes]] = {
    **{f"{name}: {text[:20]!r}": headed(name, text) for name in NAMES for text in TEXTS},
    **{f"{status!r}": in_place(rb"\A[^\r]*", status) for status in STATUSES},
    "two lengths": in_place(rb"\r\n\r\n", b"\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"),
    "both framings": in_place(rb"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n"),
    "no colon": in_place(rb"\r\n\r\n", b"\r\nnonsense\r\n\r\n"),
    "folded": in_place(rb"\r\n\r\n", b"\r\nX-A: b\r\n c\r\n\r\n"),
    "a blank before the colon": in_place(rb"\r\n\r\n", b"\r\nContent-Length : 7\r\n\r\n"),
    "bare feeds": lambda answer: answer.replace(b"\r\n", b"\n"),
    "no headers": in_place(rb"\r\n[^\0]*?\r\n\r\n", b"\r\n\r\n"),
    "many headers": in_place(rb"\r\n\r\n", b"".join(b"\r\nX-%d: 1" % number for number in range(300)) + b"\r\n\r\n"),
    "a long header": in_place(rb"\r\n\r\n", b"\r\nX: " + b"a" * 100_000 + b"\r\n\r\n"),
    "nothing": lambda _: b"",
    "no body": lambda answer: split(answer)[0],
    "half a head": lambda answer: answer[:20],
    "more than the body": lambda answer: answer + answer,
    "zeros": lambda _: bytes(5000),
    "tls": lambda _: b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 10,
}


class Turns:
    """Changes each answer in another way, one after the other, from the so-manieth on."""

    def __init__(self, first: int = 0) -> None:
        self._each = itertools.islice(itertools.cycle(HEADS.items()), first, None)
        self.name = ""
        self.served = 0

    def __call__(self, answer: bytes) -> bytes:
        """The next."""
        self.served += 1
        self.name, change = next(self._each)
        return change(answer)


UNFORESEEN: list[str] = []


@pytest.fixture
def web() -> Iterator[Web]:
    """Whatever nobody foresaw is told at the end."""
    UNFORESEEN.clear()
    attendant = Attendant(lambda _label, _seconds: None, lambda error: UNFORESEEN.append(str(error)))
    with Web(user_agent="test", limits=Limits(5.0, 2.0), attendant=attendant) as web:
        yield web
    assert UNFORESEEN == []


def test_heads_of_an_apis_answers(hub: Hub, tiny_repo: LivingRepo, web: Web) -> None:
    """In turn of each; the one behind it says what the commit is."""
    turns = Turns()
    with Relay(port_of(hub.url), only(b"/api/", turns), pause=0) as relay:
        endpoints = [Endpoint(relay.url), Endpoint(hub.url)]
        while turns.served < len(HEADS):
            pin, _ = resolve(parse_repo_spec("acme/tiny"), endpoints, web, ())
            assert pin.commit == tiny_repo.commit, turns.name


def test_heads_of_small_files(hub: Hub, web: Web) -> None:
    content = b"some notes\n" * 30
    commit = hub.repo("acme/model", {"notes.bin": content}).commit
    turns = Turns()
    with Relay(port_of(hub.url), only(b"/acme/model/", turns), pause=0) as relay:
        while turns.served < len(HEADS):
            blobs = HttpBlobs(Pin(Repo("acme/model"), commit), [Endpoint(relay.url), Endpoint(hub.url)], web, ())
            assert blobs.fetch(b"notes.bin", git_id("blob", content)) == content, turns.name


FIELDS = [("sha",), ("id",), ("siblings",), ("private",), ("gated",)]
REFS = [("branches",), ("branches", 0), ("branches", 0, "name"), ("tags",), ("branches", 0, "targetCommit")]


def test_what_an_api_says_of_a_repo(hub: Hub, tiny_repo: LivingRepo, web: Web) -> None:
    cases = iter([*itertools.product(FIELDS, VALUES)])
    names = iter([*itertools.product(REFS, VALUES)])

    def change(answer: bytes) -> bytes:
        document = json.loads(split(answer)[1])
        return with_body(answer, spoiled(document, *next(names if "branches" in document else cases)))

    with Relay(port_of(hub.url), only(b"/api/", change), pause=0) as relay:
        endpoints = [Endpoint(relay.url), Endpoint(hub.url)]
        for _ in range(len(FIELDS) * len(VALUES)):
            pin, _ = resolve(parse_repo_spec("acme/tiny"), endpoints, web, ())
            assert pin.commit == tiny_repo.commit
        for _ in range(len(REFS) * len(VALUES)):
            assert all(isinstance(name, str) for name in branches(Repo("acme/tiny"), endpoints, web, ()) or ())


# --- whole runs over a mirror that is strange in all ---------------------------------------------


@pytest.mark.parametrize("fetcher", ["threads", "aria2c"])
@pytest.mark.parametrize("batch", [True, False])
def test_heads_of_all_that_a_mirror_says(hub: Hub, hfclone: Command, fetcher: str, batch: bool) -> None:
    """Its API, its batch answers or redirects, and its CDN, each answer in a way of its own; through a proxy."""
    hub.tokens.add(TOKEN)
    repo = many_objects(hub)
    front = hub.mirror(manners=Manners(batch=batch, own_cdn=True))
    assert front.cdn is not None
    first = [0, len(HEADS) // 2][fetcher == "aria2c"]
    turns = [Turns(first), Turns(first + len(HEADS) // 4)]
    with (
        KeepAliveProxy(LOGIN) as proxy,
        Relay(front.cdn.port, only(b"", turns[1]), pause=0) as cdn,
        Relay(front.listener.port, all_but_git(turns[0]), pause=0) as relay,
    ):
        front.cdn_alias = cdn.url
        env = {"HF_TOKEN": TOKEN, "HTTP_PROXY": f"http://{LOGIN}@127.0.0.1:{proxy.port}", "NO_PROXY": "127.0.0.1"}
        done = hfclone("acme/many", "out", "--mirror", relay.url, "--fetcher", fetcher, "-v", env=env)
        assert done.code == 0, done.stderr
        assert all(turn.served for turn in turns)
        nothing_secret(*relay.heard, *cdn.heard)
    assert "unforeseen" not in done.stderr
    assert_checkout(hfclone.cwd / "out", repo.commit, f"{hub.url}/acme/many")
    assert len(placed(hfclone.cwd / "out")) == 100


def all_but_git(change: Callable[[bytes], bytes]) -> Callable[[bytes], Manner | None]:
    changed = only(b"", change)
    return lambda head: None if b"git-upload-pack" in head.partition(b"\r\n")[0] else changed(head)
