"""A mirror whose answers come byte by byte, at each step of a transfer: the hub soon brings what it does not."""

from __future__ import annotations

import time

import pytest

from hfclone.events import Demoted
from hfclone.partials.aria2control import BLOCK
from hfclone.transfer import health
from tests.faults.rig import Rig
from tests.faults.test_odd_mirrors import Drip
from tests.hub import Hub
from tests.hub.mirror import reverse_proxy
from tests.hub.site import Manners
from tests.hub.streams import Throttle
from tests.relays import Manner, Relay, chunked_by_bytes, dripped, dripped_body

LONG = 30.0
"""Seconds: each answer of such a mirror takes minutes."""


@pytest.fixture
def rig(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> Rig:
    """A transfer that has less patience with who crawls than a user's."""
    monkeypatch.setattr(health, "CRAWL_SECONDS", 2.0)
    rig.stall_after = 2.0
    return rig


STEPS: dict[str, tuple[Manner, bytes]] = {
    "batch head": (dripped, b"/objects/batch"),
    "batch body": (dripped_body, b"/objects/batch"),
    "batch in chunks": (chunked_by_bytes, b"/objects/batch"),
    "redirect head": (dripped, b"/resolve/"),
    "redirect body": (dripped_body, b"/resolve/"),
}


REDIRECTS = [step for step in STEPS if "redirect" in step]


def relay_of(hub: Hub, step: str) -> Relay:
    """Before a mirror that has a batch API where the step is one of that."""
    manner, mark = STEPS[step]
    front = hub.mirror(manners=Manners(batch="batch" in step))
    return Relay(front.listener.port, lambda head: manner if mark in head.partition(b"\r\n")[0] else None)


@pytest.mark.parametrize(
    ("kind", "step"),
    [*(("threads", step) for step in STEPS), *(("aria2c", step) for step in ("batch head", *REDIRECTS))],
)
def test_a_mirror_that_answers_by_bytes(rig: Rig, step: str) -> None:
    with relay_of(rig.hub, step) as relay, rig.in_background(relay.url) as run:
        began = time.monotonic()
        ran = run.done(2 * LONG)
        assert relay.slowly
    assert not ran.failed
    assert time.monotonic() - began < LONG


def test_an_objects_body_by_bytes(rig: Rig) -> None:
    """Large and small: the hub would send them at once."""
    front = rig.hub.mirror(manners=reverse_proxy())
    front.faults.add(Drip(), kind="cdn")
    began = time.monotonic()
    with rig.in_background(front) as run:
        ran = run.done(2 * LONG)
    assert not ran.failed
    assert time.monotonic() - began < LONG
    demoted = [event.endpoint for event in ran.events if isinstance(event, Demoted)]
    assert demoted in ([], [str(rig.health.endpoints[0])])  # the hub may have brought all before that shows


def test_who_is_slow_and_the_only_one_is_waited_for(rig: Rig) -> None:
    """Though for a moment it seems that the hub might do better."""
    rig.objects = rig.objects[-1:]
    front = rig.hub.mirror(manners=reverse_proxy())
    front.faults.add(Throttle(each=6000), kind="cdn")
    rig.hub.front.down()
    with rig.in_background(front) as run:
        ran = run.done(2 * LONG)
    assert not ran.failed
    sent = rig.hub.log.bytes_sent(listener="mirror-cdn")
    assert sent < 1.1 * rig.objects[0].size + (BLOCK if rig.kind == "aria2c" else 0)
