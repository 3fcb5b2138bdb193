"""What the run has learned of each endpoint: an opinion, kept in memory, never a fact on disk.

One board serves the whole process, so that a wait that one answer asks for is kept by everyone.
Every method may be called from any thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from random import Random

from hfclone import errors
from hfclone.endpoints import Endpoint, EndpointKind
from hfclone.errors import HfcloneError
from hfclone.events import EndpointTally
from hfclone.patience import Backoff

__all__ = ["Board", "RangeSupport"]

PROBE_AGAIN = 600.0
"""Seconds until an endpoint that lacks something is asked for it once more."""
FORGIVEN = 2
"""Failures in a row that cost no wait, as long as the endpoint answered properly before: other
connections still flow, and the range is taken up at once."""


class RangeSupport(Enum):
    """Whether an endpoint's bytes can be had in ranges."""

    UNKNOWN = "unknown"
    YES = "yes"
    NO = "no"


@dataclass(slots=True)
class _Health:
    endpoint: Endpoint
    backoff: Backoff
    ranges: RangeSupport = RangeSupport.UNKNOWN
    lacks: dict[str, float] = field(default_factory=dict)
    """Service to the clock time when it may be probed again."""
    answered: bool = False
    failed_at: float = float("-inf")
    latency: float | None = None
    sent: int = 0
    failures: int = 0
    last_error: HfcloneError | None = None


class Board:
    """Health of all endpoints, in the order in which they are preferred: mirrors first, the hub last."""

    def __init__(self, endpoints: Iterable[Endpoint], now: Callable[[], float], rng: Random) -> None:
        self._now = now
        self._lock = threading.Lock()
        ordered = sorted(endpoints, key=lambda endpoint: endpoint.kind is EndpointKind.HUB)
        self._health = {endpoint: _Health(endpoint, Backoff(rng)) for endpoint in ordered}

    @property
    def endpoints(self) -> Sequence[Endpoint]:
        """All endpoints, in the order of preference."""
        return tuple(self._health)

    def failed(self, endpoint: Endpoint, error: HfcloneError, began: float) -> float:
        """Note that a request begun at ``began`` failed; the seconds this endpoint now rests.

        Failures of requests that were under way together count once: sixteen connections that one
        outage breaks are one outage.
        """
        with self._lock:
            health, now = self._health[endpoint], self._now()
            health.failures += 1
            health.last_error = error
            asked: float | None = getattr(error, "retry_after", None)
            if asked is None and began < health.failed_at:
                return max(0.0, health.backoff.ready_at - now)
            health.failed_at = now
            limited = isinstance(error, errors.RateLimited)
            if asked is None and not limited and health.answered and health.backoff.failures < FORGIVEN:
                health.backoff.failures += 1
                return 0.0
            return health.backoff.fail(now, asked)

    def refused(self, endpoint: Endpoint, error: HfcloneError) -> None:
        """Note a no that is no failure of the line: it costs no wait."""
        with self._lock:
            self._health[endpoint].failures += 1
            self._health[endpoint].last_error = error

    def answered(self, endpoint: Endpoint) -> None:
        """It answered as it should."""
        with self._lock:
            self._health[endpoint].answered = True
            self._health[endpoint].backoff.succeed()

    def began(self, endpoint: Endpoint, seconds: float) -> None:
        """An answer began ``seconds`` after it was asked for; a smoothed latency follows."""
        with self._lock:
            health = self._health[endpoint]
            health.latency = seconds if health.latency is None else 0.8 * health.latency + 0.2 * seconds

    def latency(self, endpoint: Endpoint) -> float | None:
        """Seconds until an answer begins, as seen lately; ``None`` before the first one."""
        with self._lock:
            return self._health[endpoint].latency

    def sent(self, endpoint: Endpoint, count: int) -> None:
        """``count`` new bytes of objects came from it."""
        with self._lock:
            health = self._health[endpoint]
            health.sent += count
            health.answered = True
            health.backoff.succeed()

    def hold(self, endpoint: Endpoint, seconds: float) -> None:
        """Do not ask it for ``seconds``: it said so before its limit was hit."""
        with self._lock:
            self._health[endpoint].backoff.hold(self._now(), seconds)

    def lacks(self, endpoint: Endpoint, service: str) -> bool:
        """Whether it is known not to offer ``service``; forgotten after ``PROBE_AGAIN``."""
        with self._lock:
            return self._health[endpoint].lacks.get(service, float("-inf")) > self._now()

    def note_lack(self, endpoint: Endpoint, service: str) -> None:
        """It does not offer ``service``."""
        with self._lock:
            self._health[endpoint].lacks[service] = self._now() + PROBE_AGAIN

    def ranges(self, endpoint: Endpoint) -> RangeSupport:
        """Whether its bytes can be had in ranges."""
        with self._lock:
            return self._health[endpoint].ranges

    def note_ranges(self, endpoint: Endpoint, support: RangeSupport) -> None:
        """What an answer to a Range showed."""
        with self._lock:
            self._health[endpoint].ranges = support

    def ready_at(self, endpoint: Endpoint) -> float:
        """Clock time from which it may be asked."""
        with self._lock:
            return self._health[endpoint].backoff.ready_at

    def last_error(self, endpoint: Endpoint) -> HfcloneError | None:
        """Its latest failure in this run."""
        with self._lock:
            return self._health[endpoint].last_error

    def tallies(self) -> tuple[EndpointTally, ...]:
        """What each endpoint did, in the order of preference."""
        with self._lock:
            return tuple(EndpointTally(str(h.endpoint), h.sent, h.failures) for h in self._health.values())
