"""Which endpoint is asked for which object, and which connection is given up. Decides; changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from hfclone.endpoints import Endpoint, EndpointKind
from hfclone.health import FILES, Board, RangeSupport
from hfclone.pointer import Oid, Pointer
from hfclone.transfer.pool import SEGMENT_BYTES, Lease, Task
from hfclone.transfer.trust import Trust

__all__ = ["Chooser"]

SLOW_SECONDS = 2.0
"""A lease with more than this ahead of it is worth splitting when nothing else is left to do."""
SILENCE = 3.0
"""A connection that falls silent for so long while others move is dropped, its range taken over."""
LONE_SILENCE = 5.0
"""The same where no other moves: the line as a whole may be slow."""
ANSWER_SECONDS = 1.5
"""So long an answer may at least take to begin where others came meanwhile: a lost packet costs a second."""
LONE_ANSWER_SECONDS = 3.0
"""The same where nothing came: the line as a whole may be slow."""
LATE = 3
"""An answer is late that takes so many times longer than usual to begin, and ``LATE_SECONDS`` at least."""
LATE_SECONDS = 0.3
FIRST_ANSWER_SECONDS = 5.0
"""The same of an endpoint that has not sent a byte yet: how long it usually takes is not known."""
PROBE_SECONDS = 1.0
"""So long the hub waits for a mirror's first answer before it takes the mirror's work."""
SLOWER = 10
"""A connection so many times slower than its peers is dropped."""


@dataclass(frozen=True, slots=True)
class Chooser:
    """Looks at the board. Called under the desk's lock."""

    board: Board
    in_flight: Mapping[Endpoint, int]
    ranged: Mapping[Endpoint, int]
    trusts: Mapping[Oid, Trust]
    has_url: Callable[[Pointer, Endpoint], bool]
    """Whether a signed URL is at hand, so that the endpoint itself need not be asked."""
    leases: Callable[[], Iterable[Lease]]
    """Everything that is being fetched."""

    def endpoint_for(self, task: Task, now: float) -> Endpoint | None:
        """Whom to ask for ``task`` now: a mirror if one can be asked, else the hub; each by what it brings."""
        awake = [endpoint for endpoint in self.left(task) if self._ready_at(endpoint, task) <= now]
        quick = [endpoint for endpoint in awake if not self.board.is_slow(endpoint)] or awake
        ready = [endpoint for endpoint in quick if self._may_ask(endpoint, task)]
        if not ready and not any(self._is_just_asked(endpoint, now) for endpoint in quick):
            ready = [endpoint for endpoint in awake if self._may_ask(endpoint, task)]
        mirrors = [endpoint for endpoint in ready if endpoint.kind is EndpointKind.MIRROR]
        if not mirrors and any(e.kind is EndpointKind.MIRROR and self._is_just_asked(e, now) for e in awake):
            return None
        if len(mirrors or ready) < 2:
            return next(iter(mirrors or ready), None)
        return min(mirrors or ready, key=self._load)

    def left(self, task: Task) -> list[Endpoint]:
        """Whom one could still ask for ``task``, now or later: those not in doubt where there are such."""
        able = self.able(task)
        trust = self.trusts.get(task.pointer.oid)
        doubted = trust.doubted if trust else ()
        return [endpoint for endpoint in able if str(endpoint) not in doubted] or able

    def able(self, task: Task) -> list[Endpoint]:
        """The same, whatever is thought of their bytes."""
        return [e for e in self.board.endpoints if e not in task.barred and not self.board.lacks(e, FILES)]

    def worth_splitting(self, lease: Lease, now: float) -> bool:
        """Whether a second connection would end it notably sooner: a new answer takes its time to begin."""
        rate = lease.rate(now)
        if rate is None or self.board.ranges(lease.endpoint) is not RangeSupport.YES:
            return False
        latency = self.board.latency(lease.endpoint) or 0.0
        return lease.stop - lease.position > rate * (SLOW_SECONDS + 2 * latency)

    def lags(self, lease: Lease, leases: list[Lease], now: float) -> bool:
        """Whether a connection is silent, or slower by an order than its peers: a new one does better.

        How long a silence may last follows from the endpoint's latency: a slow far side is not a dead line.
        """
        if lease.first is None:
            return lease.asked is not None and now - lease.asked > self._answer_within(lease)
        latency = self.board.latency(lease.endpoint) or 0.0
        peers = [peer for peer in leases if peer is not lease and peer.first and now - peer.heard < 1.0]
        if now - lease.heard > max(SILENCE if peers else LONE_SILENCE, 5 * latency):
            return True
        rates = sorted(rate for peer in peers if (rate := peer.rate(now)) is not None)
        own = lease.rate(now)
        if len(rates) < 3 or own is None or now - lease.first < 5.0:
            return False
        return own < rates[len(rates) // 2] / SLOWER

    def is_late(self, lease: Lease, now: float) -> bool:
        """Whether its answer should have begun: somebody else may use the line meanwhile."""
        latency = self.board.latency(lease.endpoint)
        if lease.first is not None or lease.asked is None or latency is None:
            return False
        return now - lease.asked > max(LATE_SECONDS, LATE * latency)

    def _answer_within(self, lease: Lease) -> float:
        """Seconds that ``lease`` may wait for its answer to begin; then it is asked for anew.

        From the third time in a row on it may take twice as long: a mirror that fetches an object first
        must not be hung up on for ever. The socket's own time limit holds beside this.
        """
        endpoint = lease.endpoint
        latency = self.board.latency(endpoint)
        if latency is None:
            return FIRST_ANSWER_SECONDS * 2.0 ** self.board.failures_in_a_row(endpoint)
        others = lease.asked is not None and self.board.heard_at > lease.asked + latency
        floor = ANSWER_SECONDS if others else LONE_ANSWER_SECONDS
        return max(floor, SLOWER * latency) * 2.0 ** max(0, lease.task.unanswered[endpoint] - 1)

    def _ready_at(self, endpoint: Endpoint, task: Task) -> float:
        if self.has_url(task.pointer, endpoint):
            return self.board.bytes_ready_at(endpoint)
        return self.board.ready_at(endpoint)

    def _may_ask(self, endpoint: Endpoint, task: Task) -> bool:
        """Whether a further request to ``endpoint`` for ``task`` makes sense now."""
        if not self.board.knows(endpoint) and self.in_flight.get(endpoint):
            return False  # never heard of: it may swallow whatever is sent to it
        support = self.board.ranges(endpoint)
        if support is RangeSupport.NO:
            return not task.leases
        # The first large answer shows whether ranges work; until then a second one might be in vain.
        probing = support is RangeSupport.UNKNOWN and task.pointer.size > SEGMENT_BYTES
        return not (probing and self.ranged.get(endpoint))

    def _is_just_asked(self, endpoint: Endpoint, now: float) -> bool:
        """Whether its first answer may be a moment away: of a mirror, before which the hub is the last source."""
        waits = (now - lease.began for lease in self.leases() if lease.endpoint == endpoint and lease.first is None)
        return any(seconds < PROBE_SECONDS for seconds in waits)

    def _load(self, endpoint: Endpoint) -> tuple[bool, float]:
        """Each gets a connection, and further ones as their connections are fast."""
        busy = self.in_flight.get(endpoint, 0)
        return busy > 0, (busy + 1) / (self.board.rate(endpoint) or self._usual_rate())

    def _usual_rate(self) -> float:
        rates = [rate for endpoint in self.board.endpoints if (rate := self.board.rate(endpoint))]
        return sum(rates) / len(rates) if rates else 1.0
