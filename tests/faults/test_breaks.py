"""Connections that are reset right behind the last byte they bring: what lies in the kernel by then is lost."""

from __future__ import annotations

from dataclasses import dataclass

from tests.faults.rig import MB, Rig
from tests.hub.faults import Serve
from tests.hub.messages import Request, Response
from tests.hub.streams import ResetAfter

CUT = 3 * MB
FAIR = 1.1
"""Bytes sent over bytes of the objects."""


@dataclass
class CutsLong:
    """A middle box that lets ``most`` bytes of an answer pass, and resets the connection right behind them."""

    most: int

    def answer(self, request: Request, serve: Serve) -> Response:
        """Cut what is longer."""
        return ResetAfter(self.most).answer(request, serve)

    def release(self) -> None:
        """Nothing waits."""


def test_a_length_at_which_answers_are_cut_is_learned(rig: Rig) -> None:
    rig.hub.faults.add(CutsLong(CUT), on="cdn")
    ran = rig.fetch()
    assert not ran.failed
    assert rig.sent() <= FAIR
    asked = [entry for entry in rig.hub.log.of(kind="cdn") if entry.bytes_sent >= CUT]
    assert len(asked) <= 16  # those that were under way together
