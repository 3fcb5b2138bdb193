"""The hub and a mirror bring the bytes together, unless the hub is to be spared; one that is dead changes nothing."""

from __future__ import annotations

import pytest

from tests.faults.rig import MB, Rig
from tests.hub import Front, Outage
from tests.hub.mirror import olah_proxy
from tests.hub.streams import Throttle

EACH = 8 * MB


@pytest.fixture
def mirror(rig: Rig) -> Front:
    """One that sends the bytes itself, as fast as the hub's CDN."""
    mirror = rig.hub.mirror("mirror", olah_proxy())
    mirror.faults.add(Throttle(total=EACH))
    rig.hub.faults.add(Throttle(total=EACH), on="cdn")
    return mirror


def share(rig: Rig, listener: str) -> float:
    return rig.hub.log.bytes_sent(listener=listener) / rig.total


def test_what_each_brings_adds_up(rig: Rig, mirror: Front) -> None:
    ran = rig.fetch(mirror)
    assert not ran.failed
    assert min(share(rig, "mirror"), share(rig, "cdn")) > 0.3


def test_a_hub_that_is_spared_sends_nothing(rig: Rig, mirror: Front) -> None:
    rig.spares_hub = True
    ran = rig.fetch(mirror)
    assert not ran.failed
    assert share(rig, "cdn") == 0


def test_a_hub_that_is_spared_helps_in_need(rig: Rig, mirror: Front) -> None:
    rig.spares_hub = True
    mirror.down()
    ran = rig.fetch(mirror)
    assert not ran.failed
    assert share(rig, "cdn") >= 1


@pytest.mark.parametrize("how", [Outage.REFUSE, Outage.HANG])
def test_one_that_is_dead_changes_nothing(rig: Rig, mirror: Front, how: Outage) -> None:
    dead = rig.hub.mirror("dead", olah_proxy())
    dead.down(how)
    ran = rig.fetch(dead, mirror)
    assert not ran.failed
    if rig.kind == "threads":  # through aria2c the dead one may have been asked for one of the two large objects first
        assert min(share(rig, "mirror"), share(rig, "cdn")) > 0.3
    assert ran.seconds < 15


def test_who_is_quick_brings_what_the_slow_one_has_begun(rig: Rig) -> None:
    """Each has one of two objects; when the quick one is done, the other would take twelve seconds and more."""
    quick = rig.hub.mirror("quick", olah_proxy())
    quick.faults.add(Throttle(total=12 * MB))
    rig.hub.faults.add(Throttle(total=MB), on="cdn")
    rig.objects = [pointer for pointer in rig.objects if pointer.size > MB]
    ran = rig.fetch(quick)
    assert not ran.failed
    assert ran.seconds < 10
    assert rig.sent() <= rig.fair
