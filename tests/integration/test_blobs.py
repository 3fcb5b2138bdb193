"""Small files by HTTP, over lines that go wrong."""

from __future__ import annotations

import random

import pytest

from hfclone.commits.blobs import HttpBlobs
from hfclone.errors import Truncated
from hfclone.http import Web
from hfclone.hub.endpoint import Endpoint
from hfclone.lock.model import git_id
from hfclone.names import Pin, Repo
from tests.hub import Hub
from tests.hub.answers import IgnoreRange
from tests.hub.streams import ResetAfter

NOTES = random.Random(1).randbytes(400_000)


@pytest.fixture
def pin(hub: Hub) -> Pin:
    return Pin(Repo("acme/model"), hub.repo("acme/model", {"notes.bin": NOTES}).commit)


def fetched(hub: Hub, pin: Pin) -> bytes:
    with Web(user_agent="hfclone-tests") as web:
        return HttpBlobs(pin, [Endpoint(hub.url)], web, ()).fetch(b"notes.bin", git_id("blob", NOTES))


def test_where_raw_knows_no_ranges_resolve_does(hub: Hub, pin: Pin) -> None:
    hub.faults.add(ResetAfter(100_000, 150_000))
    assert fetched(hub, pin) == NOTES
    assert len(hub.log.of(kind="raw")) < 10
    assert sum(entry.bytes_sent for entry in hub.log.of(kind="resolve")) < 1.2 * len(NOTES)


def test_who_knows_no_ranges_and_is_cut_is_not_asked_for_ever(hub: Hub, pin: Pin) -> None:
    """Whether it is worth another try is for patience to say."""
    rule = hub.faults.add(ResetAfter(100_000, 300_000), times=100)
    hub.faults.add(IgnoreRange())
    with pytest.raises(Truncated):
        fetched(hub, pin)
    assert rule.hits < 40
