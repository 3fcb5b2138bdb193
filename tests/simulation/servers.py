"""What endpoints do with a request, good and bad."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

from hfclone import errors
from hfclone.errors import HfcloneError
from hfclone.hub.endpoint import Endpoint, EndpointKind
from hfclone.pointer import Pointer
from hfclone.ranges import RangeSet
from hfclone.transfer.health import RangeSupport
from hfclone.transfer.leases import Lease
from tests.simulation.lines import Line

__all__ = ["Answer", "Reach", "Server"]


class Reach(Enum):
    """What comes of a connection."""

    ANSWERS = "answers"
    SILENT = "silent"
    """Nothing is heard of it."""
    REFUSES = "refuses"
    MUTE = "mute"
    """It stands, and requests are never answered."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The body that begins: ``[start, stop)`` of the object, of which ``wrong`` is."""

    start: int
    stop: int
    support: RangeSupport
    wrong: RangeSet


@dataclass(slots=True)
class Server:
    """An endpoint behind a line, and its manners."""

    name: str
    line: Line
    kind: EndpointKind = EndpointKind.MIRROR
    reach: Reach = Reach.ANSWERS
    reach_until: float = float("inf")
    """Seconds after which it answers all the same."""
    status: int = 0
    """What it refuses with: 429, 503 and so on; 0 for none."""
    status_share: float = 1.0
    """Of the requests."""
    status_until: float = float("inf")
    retry_after: float | None = None
    lacks: Callable[[int], bool] = lambda _number: False
    """Whether it has no object of this number."""
    lies: Callable[[int], bool] = lambda _number: False
    """Whether its copy of the object of this number is wrong."""
    lies_until: float = float("inf")
    has_ranges: bool = True
    thinks: float = 0.0
    """Seconds before it answers."""
    requests: int = field(default=0, init=False)
    sent: float = field(default=0.0, init=False)
    """Bytes of bodies, those included that nobody took."""
    endpoint: Endpoint = field(init=False)

    def __post_init__(self) -> None:
        self.endpoint = Endpoint(f"https://{self.name}.example", self.kind)

    def reach_at(self, now: float) -> Reach:
        """What comes of a connection now."""
        return self.reach if now < self.reach_until else Reach.ANSWERS

    def answer(self, lease: Lease, number: int, now: float, chance: float) -> Answer | HfcloneError:
        """What it says to the request for ``lease``; as ``exchange.request_range`` tells it."""
        label, pointer = str(self.endpoint), lease.task.pointer
        self.requests += 1
        if self.status and now < self.status_until and chance < self.status_share:
            return self._refusal(label)
        if self.lacks(number):
            return errors.ObjectMissing(pointer.oid, label, of_hub=True)
        wrong = _wrong_part(pointer) if self.lies(number) and now < self.lies_until else RangeSet()
        if lease.gaps is not None or lease.whole:
            return Answer(0, pointer.size, RangeSupport.UNKNOWN, wrong)
        if not self.has_ranges:
            return Answer(0, pointer.size, RangeSupport.NO, wrong)
        return Answer(lease.position, lease.stop, RangeSupport.YES, wrong)

    def _refusal(self, label: str) -> HfcloneError:
        if self.status == 429:
            return errors.RateLimited(label, self.retry_after)
        return errors.ServerFault(label, self.status, self.retry_after)


def _wrong_part(pointer: Pointer) -> RangeSet:
    """A thirtieth of it."""
    start = pointer.size // 3
    return RangeSet([(start, start + max(1, pointer.size // 30))])
