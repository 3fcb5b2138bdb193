"""Which endpoint is asked for which object, and which connection is given up. Decides; changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from hfclone.hub.endpoint import Endpoint, EndpointKind
from hfclone.pointer import Oid, Pointer
from hfclone.transfer.health import FILES, EndpointHealth, RangeSupport
from hfclone.transfer.leases import FIRST_RANGE_BYTES, LEAST_RANGE_BYTES, LEAST_TRIPS, Lease, Task
from hfclone.transfer.provenance import Provenance

__all__ = ["EndpointSelector"]

GAIN_SECONDS = 0.3
"""The end has to come so much sooner for a lease to be taken over: its connection is lost, with what is on its way."""
LATER = 2
"""So many times longer than its fair time it has to take."""
GAIN_TRIPS = 3
"""Or so many round trips."""
CLEARLY, CLEARLY_SECONDS = 1.5, 1.5
"""So many times, and so much sooner another endpoint has to bring a whole rest to be given it: what is on its way is
lost, and new connections begin slowly."""
SILENCE = 6.0
"""A connection that falls silent for so long while others move is dropped, its range taken over: a packet that was
lost three times in a row, on a line where many are, comes sooner."""
LONE_SILENCE = 5.0
"""The same where no other moves: the line itself may be gone, and no connection of before it may come back."""
ANSWER_SECONDS = 1.5
"""So long an answer may at least take to begin where others came meanwhile: a lost packet costs a second."""
LONE_ANSWER_SECONDS = 3.0
"""The same where nothing came: the line as a whole may be slow."""
SLACK_SECONDS = 0.5
"""So much later than the others an endpoint may end, to be asked at all."""
LATE = 3
"""An answer is late that takes so many times longer than usual to begin, and ``LATE_SECONDS`` at least."""
LATE_SECONDS = 0.3
FIRST_ANSWER_SECONDS = 5.0
"""The same of an endpoint that has not sent a byte yet: how long it usually takes is not known."""
WORTH_IN_VAIN = 16 * 1024 * 1024
"""Bytes to fetch that are worth one request in vain, which sends some tens of kilobytes until it is broken off: a
server that knows no ranges is rare, and to wait for the first answer is a round trip for everybody else."""
FEW = 2
"""Connections that look whether the line to an endpoint is back."""
PROBE_SECONDS = 1.0
"""So long the hub waits for a mirror's first answer before it takes the mirror's work."""
END_SECONDS = 1.5
"""How long an answer may not begin, or be silent, where nothing else is left to do: all wait for it."""
END_TRIPS = 6
"""Or so many round trips."""
LITTLE_SECONDS, LITTLE_TRIPS = 0.3, 2
"""The same where no more is missing than would cost nothing if it came twice: its last packet was lost, maybe."""
MOST_HURRIED = 3
"""So often an answer is given up early; each may take twice as long as the one before."""
MUCH_LATER = 10
"""An answer is asked for anew that takes so many times longer than usual to begin."""
CONNECT_SECONDS = 3.0
"""So long a connection may take to stand, to an endpoint that answered before: two packets may be lost."""


MOST_WEIGHED = 32
"""So many endpoints are weighed for a range, in the order of preference: more of them fill no line better."""


@dataclass(frozen=True, slots=True)
class EndpointSelector:
    """Looks at what is known of the endpoints. Called under the coordinator's lock."""

    health: EndpointHealth
    has_room: Callable[[Endpoint], bool]
    """Whether its number of connections allows another."""
    rate_of: Callable[[Endpoint], float]
    """Bytes a second of all its connections, as seen lately; 0 while nothing came."""
    left_bytes: Callable[[], int]
    """Bytes that nobody has been asked for."""
    spares_hub: bool
    """Whether the hub is asked only where no mirror can be."""
    in_flight: Mapping[Endpoint, int]
    ranged: Mapping[Endpoint, int]
    provenances: Mapping[Oid, Provenance]
    has_url: Callable[[Pointer, Endpoint], bool]
    """Whether a signed URL is at hand, so that the endpoint itself need not be asked."""
    leases: Callable[[], Iterable[Lease]]
    """Everything that is being fetched."""
    is_carried: Callable[[Task], bool]
    """Whether a carrier would fetch it, as a whole."""

    def endpoint_for(self, task: Task, now: float) -> Endpoint | None:
        """Whom to ask for ``task`` now: of all that have room for another connection the one that brings most."""
        awake = self._awake(task, now)
        quick = [endpoint for endpoint in awake if not self.health.is_slow(endpoint)] or awake
        ready = [endpoint for endpoint in quick if self._may_ask(endpoint, task)]
        if not ready and not self._just_asked(now).intersection(quick):
            ready = [endpoint for endpoint in awake if self._may_ask(endpoint, task)]
        if self.spares_hub:
            ready = self._without_hub(ready, awake, now)
        elif self.is_carried(task) and not task.is_small:
            ready = self._idle_first(ready, awake, now)
        if len(ready) > 1:
            rates, left = sum(map(self.rate_of, ready)), self.left_bytes()
            ready = [endpoint for endpoint in ready if not self._ends_later(endpoint, rates, left)] or ready
        ready = [endpoint for endpoint in ready if self.has_room(endpoint)]
        return min(ready, key=lambda e: self._load(e, task)) if len(ready) > 1 else next(iter(ready), None)

    def _awake(self, task: Task, now: float) -> list[Endpoint]:
        """Whom one can ask for ``task`` now, at most ``MOST_WEIGHED``; those in doubt where nobody else is left."""
        provenance = self.provenances.get(task.pointer.oid)
        doubted = provenance.doubted if provenance else ()
        awake: list[Endpoint] = []
        for endpoint in self.left(task) if doubted else self.health.awake():
            if endpoint in task.barred or self.health.lacks(endpoint, FILES) or self._ready_at(endpoint, task) > now:
                continue
            awake.append(endpoint)
            if len(awake) == MOST_WEIGHED:
                break
        return awake

    def _ends_later(self, endpoint: Endpoint, rates: float, left: int) -> bool:
        """Whether the others have brought all that is ``left`` before it brought the least that it can be asked for.

        ``rates`` is what it and they bring together.
        """
        others = rates - self.rate_of(endpoint)
        rate = self.health.rate(endpoint) or self.rate_of(endpoint)
        if others <= 0 or not rate:
            return False
        takes = LEAST_TRIPS * (self.health.latency(endpoint) or 0.0) + LEAST_RANGE_BYTES / rate
        return takes > SLACK_SECONDS + left / others

    def _without_hub(self, ready: list[Endpoint], awake: list[Endpoint], now: float) -> list[Endpoint]:
        """Of those that are ready the mirrors, and the hub only where none can be asked, or may answer in a moment."""
        mirrors = [endpoint for endpoint in ready if endpoint.kind is EndpointKind.MIRROR]
        if not mirrors and any(e.kind is EndpointKind.MIRROR for e in self._just_asked(now).intersection(awake)):
            return []
        return mirrors or ready

    def _idle_first(self, ready: list[Endpoint], awake: list[Endpoint], now: float) -> list[Endpoint]:
        """For an object as a whole, which nobody can be relieved of: who brings no other goes first, mirrors before.

        Who has just been asked for the first time is waited for a moment.
        """
        busy = {lease.endpoint for lease in self.leases() if not lease.task.is_small}
        idle = [endpoint for endpoint in awake if endpoint not in busy]
        chosen = self._without_hub([endpoint for endpoint in ready if endpoint in idle], idle, now)
        if not chosen and self._just_asked(now).intersection(idle):
            return []
        return chosen or ready

    def left(self, task: Task) -> list[Endpoint]:
        """Whom one could still ask for ``task``, now or later: those not in doubt where there are such."""
        able = self.able(task)
        provenance = self.provenances.get(task.pointer.oid)
        doubted = provenance.doubted if provenance else ()
        return [endpoint for endpoint in able if str(endpoint) not in doubted] or able

    def able(self, task: Task) -> list[Endpoint]:
        """The same, whatever is thought of their bytes."""
        return [e for e in self.health.endpoints if e not in task.barred and not self.health.lacks(e, FILES)]

    def share_to_take(self, lease: Lease, endpoint: Endpoint, fair: float, now: float) -> float:
        """How much of what ``lease`` has still to bring (0 to 1) another connection had better bring, at the very end.

        Both would end at the same time then. ``fair`` are the seconds in which all that is being fetched would be here
        at the rate of late. 0 where it takes hardly longer than that, where the end is not notably sooner, and where
        nothing has come yet: whoever took that over would wait as long, and be taken over in turn.
        """
        rate, rest = lease.rate(now), lease.stop - lease.position
        if not rest or not rate or rest / rate < LATER * fair or self.health.ranges(endpoint) is not RangeSupport.YES:
            return 0.0
        latency, new_rate = self.health.latency(endpoint) or 0.0, self.health.rate(endpoint) or rate
        together = (rest + new_rate * latency) / (rate + new_rate)
        if rest / rate - together < max(GAIN_SECONDS, GAIN_TRIPS * latency):
            return 0.0
        return min(1.0, max(0.0, 1 - rate * together / rest))

    def brings_sooner(self, lease: Lease, now: float) -> bool:
        """Whether an endpoint that has nothing to do brings all that ``lease`` lacks in notably less time.

        For a carrier's lease, of which no part can be given to another.
        """
        rate, rest = lease.rate(now), lease.due
        if not rate or lease.task.hurried >= MOST_HURRIED:
            return False
        seconds = rest / (rate * lease.connections)
        idle = [e for e in self.left(lease.task) if not self.in_flight.get(e) and self._ready_at(e, lease.task) <= now]
        best = max((self.rate_of(endpoint) for endpoint in idle if not self.health.is_slow(endpoint)), default=0.0)
        trips = GAIN_TRIPS * (self.health.latency(lease.endpoint) or 0.0)
        return best > 0 and rest / best + max(CLEARLY_SECONDS, trips) < seconds / CLEARLY

    def lags(self, lease: Lease, leases: list[Lease], now: float, *, is_end: bool) -> bool:
        """Whether a connection does not come about, does not answer, or is silent: a new one does better.

        How long a silence may last follows from the endpoint's latency: a slow far side is not a dead line. It may
        be shorter at the end (``is_end``), where nothing is left to be handed out.
        """
        if lease.asked is None:
            return False
        latency = self.health.latency(lease.endpoint)
        may_hurry = is_end and lease.task.hurried < MOST_HURRIED
        shortest = self.health.least_latency(lease.endpoint) or 0.0
        if may_hurry and (latency is not None or self._is_known_elsewhere(lease)):
            limit = max(END_SECONDS, END_TRIPS * shortest)
            is_flow = lease.flowing is not None and lease.came is None
            if is_flow and latency is not None and lease.due <= LEAST_RANGE_BYTES:
                limit = max(LITTLE_SECONDS, LITTLE_TRIPS * latency)
            return now - max(lease.asked, lease.heard) > limit * 2.0**lease.task.hurried
        if lease.first is None and lease.handle is not None and not lease.handle.is_connected and latency is not None:
            return now - lease.asked > max(CONNECT_SECONDS, MUCH_LATER * shortest)
        if lease.first is None:
            return now - lease.asked > self._answer_within(lease)
        peers = any(peer is not lease and peer.first and now - peer.heard < 1.0 for peer in leases)
        return now - lease.heard > max(SILENCE if peers else LONE_SILENCE, 5 * (latency or 0.0))

    def _is_known_elsewhere(self, lease: Lease) -> bool:
        """Whether another endpoint that has answered may bring what ``lease`` is to bring."""
        task, every = lease.task, self.health.endpoints
        others = (e for e in every if e != lease.endpoint and self.health.latency(e) is not None)
        return any(e not in task.barred and not self.health.lacks(e, FILES) for e in others)

    def is_late(self, lease: Lease, now: float) -> bool:
        """Whether its answer should have begun: somebody else may use the line meanwhile."""
        latency = self.health.latency(lease.endpoint)
        if lease.first is not None or lease.asked is None or latency is None:
            return False
        return now - lease.asked > max(LATE_SECONDS, LATE * latency)

    def _answer_within(self, lease: Lease) -> float:
        """Seconds that ``lease`` may wait for its answer to begin; then it is asked for anew.

        From the third time in a row on it may take twice as long: a mirror that fetches an object first
        must not be hung up on for ever. The socket's own time limit holds beside this.
        """
        endpoint = lease.endpoint
        latency = self.health.latency(endpoint)
        if latency is None:
            return FIRST_ANSWER_SECONDS * 2.0 ** self.health.failures_in_a_row(endpoint)
        others = lease.asked is not None and self.health.heard_at > lease.asked + latency
        floor = ANSWER_SECONDS if others else LONE_ANSWER_SECONDS
        return max(floor, MUCH_LATER * latency) * 2.0 ** max(0, lease.task.unanswered[endpoint] - 1)

    def _ready_at(self, endpoint: Endpoint, task: Task) -> float:
        if self.has_url(task.pointer, endpoint):
            return self.health.bytes_ready_at(endpoint)
        return self.health.ready_at(endpoint)

    def _may_ask(self, endpoint: Endpoint, task: Task) -> bool:
        """Whether a further request to ``endpoint`` for ``task`` makes sense now."""
        busy = self.in_flight.get(endpoint, 0)
        if busy >= FEW and self.health.is_down(endpoint):
            return False
        if busy and not self.health.knows(endpoint):
            return False  # never heard of: it may swallow whatever is sent to it
        support = self.health.ranges(endpoint)
        if support is RangeSupport.NO or endpoint in task.plain:
            return not task.leases
        # The first large answer shows whether ranges work; until then all others might be in vain.
        probing = support is RangeSupport.UNKNOWN and task.pointer.size > FIRST_RANGE_BYTES
        return not probing or self.ranged.get(endpoint, 0) < max(1, self.left_bytes() // WORTH_IN_VAIN)

    def _just_asked(self, now: float) -> set[Endpoint]:
        """Whose first answer may be a moment away: of a mirror, before which the hub is the last source."""
        leases = self.leases()
        return {each.endpoint for each in leases if each.first is None and now - each.began < PROBE_SECONDS}

    def _load(self, endpoint: Endpoint, task: Task) -> tuple[bool, float]:
        """Each gets a connection, and further ones as their connections are fast.

        Small objects take nothing of a line: where one is to bring a whole large object, they do not count.
        """
        busy = self.in_flight.get(endpoint, 0)
        if not task.is_small and self.is_carried(task):
            busy -= sum(lease.task.is_small for lease in self.leases() if lease.endpoint == endpoint)
        return busy > 0, (busy + 1) / (self.health.rate(endpoint) or self.health.usual_rate() or 1.0)
