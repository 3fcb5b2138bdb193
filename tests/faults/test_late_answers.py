"""Answers that begin late or never: they are asked for anew in time, and not too often."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from tests.faults.rig import MB, Rig
from tests.hub.answers import Latency
from tests.hub.faults import Serve
from tests.hub.messages import Request, Response
from tests.hub.mirror import olah_proxy
from tests.hub.streams import Stall, Throttle, Waiting


@dataclass
class PullsThrough(Waiting):
    """A mirror that has to fetch an object first: its first answers about it begin ``seconds`` late."""

    seconds: float = 0.0
    here: set[str] = field(default_factory=set)

    def answer(self, request: Request, serve: Serve) -> Response:
        """Wait for what is not here yet."""
        if request.path not in self.here:
            self._free.wait(self.seconds)
            self.here.add(request.path)
        return serve(request)


@pytest.mark.parametrize(("kind", "seed"), [("threads", 0), ("threads", 1), ("aria2c", 0)])
def test_a_third_of_the_answers_never_begins(rig: Rig, seed: int) -> None:
    rate = 6 * MB
    rig.hub.faults.add(Throttle(total=rate), on="cdn")
    stalled = rig.hub.faults.add(Stall(after=None), on="cdn", probability=0.3, seed=seed)
    ran = rig.fetch()
    assert not ran.failed
    assert stalled.hits > 5
    assert rig.sent() <= rig.fair + 0.01  # what is under way when the last ranges are split
    assert ran.seconds < 30  # never after a stall of twenty seconds each; usual: 10 s. A busy machine needs its time


def test_where_every_answer_is_late_none_is_hung_up_on(rig: Rig) -> None:
    rig.hub.faults.add(Latency(2.0), on="cdn")
    ran = rig.fetch()
    assert not ran.failed
    assert not ran.faults
    assert rig.sent() <= rig.fair


@dataclass
class LateBody(Waiting):
    """The head of each answer comes at once, and nothing behind it for ``seconds``."""

    seconds: float = 0.0

    def answer(self, request: Request, serve: Serve) -> Response:
        """Wait behind the head."""
        return serve(request).wrap(self._late)

    def _late(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        self._free.wait(self.seconds)
        yield from pieces


def test_bodies_that_are_always_late_come_in_the_end(rig: Rig) -> None:
    """Also the last ones, for which all the others wait: hurry must not become a loop."""
    rig.hub.faults.add(LateBody(2.5), on="cdn")
    ran = rig.fetch()
    assert not ran.failed
    assert rig.sent() <= rig.fair + 0.1
    assert ran.seconds < 60


def test_a_mirror_that_fetches_first_is_given_time(rig: Rig) -> None:
    """Half of it is here and comes at once, which makes the other half look stalled: it may take longer each time."""
    mirror = rig.hub.mirror(manners=olah_proxy())
    rig.only_mirrors = True
    pulls = PullsThrough(4.0)
    paths = sorted(path.decode() for paths in rig.paths.values() for path in paths)
    mirror.faults.add(pulls, kind="resolve", when=lambda request: request.path.rpartition("/")[2] in paths[::2])
    ran = rig.fetch(mirror)
    assert not ran.failed
    assert rig.sent() <= rig.fair
    asked = Counter(entry.path for entry in rig.hub.log.of(listener="mirror", kind="resolve", method="GET"))
    small = [count for path, count in asked.items() if path.rpartition("/")[2].startswith("s")]
    assert max(small) <= 4
    assert ran.seconds < 20
