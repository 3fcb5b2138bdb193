"""What aria2's RPC may answer: what is none of aria2's ends in ``Lost``, and the built-in fetcher goes on."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest

from hfclone import errors
from hfclone.http import Web
from hfclone.pointer import Oid, Pointer
from hfclone.transfer.aria2.downloads import Downloads, DownloadState, DownloadStatus
from hfclone.transfer.aria2.error_codes import failure_of
from hfclone.transfer.aria2.rpc import Rpc
from hfclone.transfer.carrier import Load, Lost, Unfit
from tests.wires import Wire

STATUS = {"status": "active", "completedLength": "5", "connections": "1", "bitfield": "80", "pieceLength": "10"}
STATUS["downloadSpeed"] = "7"


def looked(status: Any, raw: bytes | None = None) -> Any:
    """What is made of such an answer."""
    body = json.dumps({"id": "1", "result": [[status]]}).encode() if raw is None else raw

    def answer(_number: int, connected: socket.socket) -> bool:
        connected.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        return True

    with Wire(answer) as wire, Web(user_agent="test") as web:
        return Downloads(Rpc(web, wire.url, None), {}).look({"1": 10})["1"]


def test_what_aria2_says() -> None:
    look = looked(STATUS)
    assert (look.state, look.received, look.speed) == (DownloadState.ACTIVE, 5, 7)


ODD: list[Any] = ["", "x", "-1", "1e5", "9" * 5000, None, True, 1.5, [], {}, [[]], {"servers": 5}, "\ud800"]


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: repr(odd)[:20])
def test_what_is_none_of_aria2s(odd: Any) -> None:
    for status in ({**STATUS, key: odd} for key in STATUS):
        check(status)
    check(odd)


def check(status: Any) -> None:
    """A value, or Lost: nothing else."""
    try:
        look = looked(status)
    except Lost:
        return
    assert 0 <= look.received <= 10
    assert look.whole is None or all(0 <= start < stop <= 10 for start, stop in look.whole)


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b"[" * 100_000, b'{"result": 5}', b'{"result": [[], []]}', b"\xff"])
def test_what_is_no_answer_to_calls(raw: bytes) -> None:
    try:
        look = looked(None, raw)
    except Lost:
        return
    assert look.state is DownloadState.ENDED


LOAD = Load(Pointer(Oid("ab" * 32), 10), Path("/parts/x"), "http://a/", "a", 4, 6.0)


@pytest.mark.parametrize(
    ("code", "text", "kind"),
    [
        (2, "Timeout.", errors.Stalled),
        (6, "network problem", errors.Truncated),
        (8, "Invalid range header", errors.RangeRefused),
        (19, "name resolution failed", errors.Unreachable),
        (22, "The response status is not successful. status=403", errors.ServerFault),
        (9, "no space", Unfit),
        (1, "Size mismatch Expected:10 Actual:9", Unfit),
        (4711, "", errors.Unreachable),
    ],
)
def test_what_aria2s_failures_mean(code: int, text: str, kind: type[Exception]) -> None:
    failure = failure_of(DownloadStatus(DownloadState.ENDED, 3, code=code, text=text), LOAD)
    assert type(failure) is kind
    assert str(failure)
