"""What aria2's RPC may answer: what is none of aria2's ends in ``Lost``, and the built-in fetcher goes on."""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest

from hfclone.http import Web
from hfclone.transfer.aria2.downloads import Downloads, State
from hfclone.transfer.aria2.rpc import Lost, Rpc
from tests.wires import Wire

STATUS = {"status": "active", "completedLength": "5", "connections": "1", "bitfield": "80", "pieceLength": "10"}
SERVERS = [{"index": "1", "servers": [{"uri": "http://a/", "downloadSpeed": "7"}]}]


def looked(status: Any, servers: Any, raw: bytes | None = None) -> Any:
    """What is made of such an answer."""
    body = json.dumps({"id": "1", "result": [[status], [servers]]}).encode() if raw is None else raw

    def answer(_number: int, connected: socket.socket) -> bool:
        connected.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        return True

    with Wire(answer) as wire, Web(user_agent="test") as web:
        return Downloads(Rpc(web, wire.url, None), {}).look({"1": 10}, ["1"])["1"]


def test_what_aria2_says() -> None:
    look = looked(STATUS, SERVERS)
    assert (look.state, look.received, look.speeds) == (State.ACTIVE, 5, {"http://a/": 7})


ODD: list[Any] = ["", "x", "-1", "1e5", "9" * 5000, None, True, 1.5, [], {}, [[]], {"servers": 5}, "\ud800"]


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: repr(odd)[:20])
def test_what_is_none_of_aria2s(odd: Any) -> None:
    """A value, or Lost: nothing else."""
    spoiled = [{**STATUS, key: odd} for key in STATUS] + [odd]
    servers = [[{"servers": [{"uri": odd, "downloadSpeed": odd}]}], [{"servers": odd}], [odd], odd, {"a": odd}]
    for status, row in [*((each, SERVERS) for each in spoiled), *((STATUS, each) for each in servers)]:
        try:
            look = looked(status, row)
        except Lost:
            continue
        assert 0 <= look.received <= 10
        assert look.whole is None or all(0 <= start < stop <= 10 for start, stop in look.whole)


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b"[" * 100_000, b'{"result": 5}', b'{"result": [[], []]}', b"\xff"])
def test_what_is_no_answer_to_calls(raw: bytes) -> None:
    try:
        look = looked(None, None, raw)
    except Lost:
        return
    assert look.state is State.ENDED
