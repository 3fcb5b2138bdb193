"""What the run has learned of each endpoint: an opinion, kept in memory, never a fact on disk.

There is one for the whole process, so that a wait that one answer asks for is kept by everyone.
Every method may be called from any thread.
"""

from __future__ import annotations

import heapq
import math
import threading
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from random import Random

from hfclone import errors
from hfclone.errors import HfcloneError
from hfclone.events import Demoted, EndpointTally, Warned
from hfclone.hub.endpoint import Endpoint, EndpointKind
from hfclone.retry import Backoff, wait_asked
from hfclone.wording import phrase

__all__ = ["FILES", "EndpointHealth", "RangeSupport"]

PROBE_AGAIN = 600.0
"""Seconds until an endpoint that lacks something is asked for it once more."""
FORGIVEN = 2
"""Failures in a row that cost no wait, as long as the endpoint answered properly before: other
connections still flow, and the range is taken up at once."""
FILES = "these files"
"""The service an endpoint lacks when it refuses a whole repo, or sends wrong bytes."""
CRAWL_SECONDS = 8.0
"""So long an endpoint may bring next to nothing before it is called slow."""
SLOW_SECONDS = 60.0
"""So long it is then asked last, and twice as long each time."""
BETTER = 10
"""So many times more another has to have brought to be better; one that has shown nothing yet may be."""
NEW_WINDOW = 1.5
"""Seconds by which the ends of two windows of a limit differ at least; they are told in whole seconds."""
FORGOTTEN = 1.02
"""By which the shortest latency grows with each answer: a line may become longer."""
FIRST_PROVEN = 1024 * 1024
"""Bytes that are taken to come without a break."""
FEW_BREAKS = 3
"""Answers that broke, of a length that came before, until that is taken for a rule."""
BELOW = 0.7
"""Of the longest of the last that broke: what is asked for then."""
LEAST_UNBROKEN = 256 * 1024
GROWTH = 1.02
OUTAGE_SHARE = 0.05
"""Of the time for which a line has been down: what may pass before it is looked at again."""
LEAST_OUTAGE_WAIT = 0.25
LIES = 2
"""Wrong objects after which an endpoint is left alone, where there are others."""


_LINE = (errors.Unreachable, errors.Stalled, errors.Truncated)
"""What fails where the line does: there is no server that wants to be left alone."""


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
    known: bool = False
    """It answers, well or not; who was never heard of may swallow whatever is sent to it."""
    answered: bool = False
    failed_at: float = float("-inf")
    latency: float | None = None
    least_latency: float = math.inf
    """The shortest of the last answers': a round trip, without the line's queue."""
    first_byte: float | None = None
    """Seconds until the first byte of an object comes; some begin an answer long before."""
    rate: float | None = None
    """Bytes a second of one connection, smoothed."""
    proven: int = 0
    """The longest answer that came without a break, in bytes."""
    breaks: deque[int] = field(default_factory=lambda: deque(maxlen=4))
    """Bytes that the last answers had brought when they broke."""
    unbroken: float = math.inf
    """Bytes of an answer that were seen to come, or are tried again after breaks."""
    down_since: float | None = None
    """When the line to it first failed since it last sent a byte."""
    held_until: float = float("-inf")
    """It asked for no requests before this; signed URLs of its CDN do not count."""
    left: int | None = None
    """Requests that its limit still allows until ``resets_at``; ``None`` where it never said."""
    resets_at: float = float("-inf")
    guessed: bool = False
    """A window has passed and no answer of the next has come: ``left`` is ``most``, and bounds those under way."""
    most: int = 1
    """The largest allowance that was told."""
    span: float = 1.0
    """The longest window that was told, in seconds; never so short that waiting for its end is a loop."""
    asking: int = 0
    """Requests under way, which its limit may or may not have counted."""
    sent: int = 0
    failures: int = 0
    watched: tuple[float, int] | None = None
    """Since when it should be sending, and what it had sent by then."""
    brought: float | None = None
    """Bytes a second of all its connections, when that was last looked at."""
    slow_until: float = float("-inf")
    """Until then it is asked last: it crawls, and others may do better."""
    slow_for: float = SLOW_SECONDS / 2
    told: bool = False
    """The user has heard that something unforeseen came of its answers."""
    lies: int = 0
    last_error: HfcloneError | None = None


class EndpointHealth:
    """Health of all endpoints, in the order in which they are preferred: mirrors first, the hub last."""

    def __init__(self, endpoints: Iterable[Endpoint], now: Callable[[], float], rng: Random) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._news: list[Demoted | Warned] = []
        self._heard_at = float("-inf")
        ordered = sorted(endpoints, key=lambda endpoint: endpoint.kind is EndpointKind.HUB)
        self._health = {endpoint: _Health(endpoint, Backoff(rng)) for endpoint in ordered}
        self._endpoints = tuple(self._health)
        self._places = {endpoint: place for place, endpoint in enumerate(self._endpoints)}
        self._awake = list(range(len(self._endpoints)))
        """The places of those that do not rest, in order: whoever looks for one does not walk past all the others."""
        self._asleep: list[tuple[float, int]] = []
        """The others' places, a heap by when they are to be looked at again."""
        self._watched: set[Endpoint] = set()
        """Who was sending when that was last looked at."""
        self._rates, self._rated = 0.0, 0
        """Of all connections' rates: their sum, and how many endpoints have one."""

    @property
    def endpoints(self) -> Sequence[Endpoint]:
        """All endpoints, in the order of preference."""
        return self._endpoints

    def awake(self) -> Iterator[Endpoint]:
        """Who does not rest after a failure and is not known to lack these files, in the order of preference."""
        with self._lock:
            now = self._now()
            while self._asleep and self._asleep[0][0] <= now:
                _, place = heapq.heappop(self._asleep)
                until = self._rests_until(self._health[self._endpoints[place]])
                if until > now:
                    heapq.heappush(self._asleep, (until, place))
                else:
                    insort(self._awake, place)
            places = tuple(self._awake)
        return (self._endpoints[place] for place in places)

    def _rests_until(self, health: _Health) -> float:
        return max(health.backoff.ready_at, health.lacks.get(FILES, -math.inf))

    def _lay_to_rest(self, health: _Health) -> None:
        """It has failed, or lacks something: if it rests now, nobody looks at it meanwhile."""
        until, place = self._rests_until(health), self._places[health.endpoint]
        at = bisect_left(self._awake, place)
        if until > self._now() and at < len(self._awake) and self._awake[at] == place:
            del self._awake[at]
            heapq.heappush(self._asleep, (until, place))

    def failed(self, endpoint: Endpoint, error: HfcloneError, began: float) -> float:
        """Note that a request begun at ``began`` failed; the seconds this endpoint now rests.

        Failures of requests that were under way together count once: sixteen connections that one
        outage breaks are one outage.
        """
        with self._lock:
            health, now = self._health[endpoint], self._now()
            self._count(health, error)
            asked = wait_asked(error)
            if asked is None and began < health.failed_at:
                return max(0.0, health.backoff.ready_at - now)
            health.failed_at = now
            limited = isinstance(error, errors.RateLimited)
            if asked is None and not limited and health.answered and health.backoff.failures < FORGIVEN:
                health.backoff.failures += 1
                return 0.0
            if isinstance(error, _LINE) and health.answered:
                health.down_since = now if health.down_since is None else health.down_since
                longest = max(LEAST_OUTAGE_WAIT, OUTAGE_SHARE * (now - health.down_since))
            else:
                longest = math.inf
            wait = health.backoff.fail(now, asked, longest)
            self._lay_to_rest(health)
            return wait

    def refused(self, endpoint: Endpoint, error: HfcloneError) -> None:
        """Note a no that is no failure of the line: it costs no wait."""
        with self._lock:
            self._count(self._health[endpoint], error)

    def lied(self, endpoint: Endpoint, error: HfcloneError) -> None:
        """Note wrong bytes that were proven to be its own; who does it often is left alone, if there are others."""
        with self._lock:
            health = self._health[endpoint]
            health.lies += 1
            self._count(health, error)
            others = any(not self._lacks(h, FILES) for h in self._health.values() if h is not health)
            if health.lies >= LIES and others:
                self._note_lack(health, FILES, str(error))

    def lies(self) -> Mapping[str, int]:
        """How many objects each sent wrong, by the name that journals give it."""
        with self._lock:
            return {str(health.endpoint): health.lies for health in self._health.values()}

    def met(self, endpoint: Endpoint) -> None:
        """It answered something."""
        with self._lock:
            self._health[endpoint].known = True

    def knows(self, endpoint: Endpoint) -> bool:
        """Whether it has ever answered in this run, well or not."""
        with self._lock:
            return self._health[endpoint].known

    def began(self, endpoint: Endpoint, seconds: float) -> None:
        """An answer began ``seconds`` after it was asked for; a smoothed latency follows."""
        with self._lock:
            health = self._health[endpoint]
            health.latency = _smoothed(health.latency, seconds, 0.2)
            health.least_latency = min(seconds, FORGOTTEN * health.least_latency)
            self._heard_at = self._now()

    def flowed(self, endpoint: Endpoint, seconds: float) -> None:
        """The first bytes of an object came ``seconds`` after they were asked for."""
        with self._lock:
            health = self._health[endpoint]
            health.first_byte = _smoothed(health.first_byte, seconds, 0.2)

    def first_byte(self, endpoint: Endpoint) -> float | None:
        """Seconds until the first byte of an object comes, as seen lately; ``None`` before the first one."""
        with self._lock:
            return self._health[endpoint].first_byte

    @property
    def heard_at(self) -> float:
        """Clock time at which any endpoint last began an answer or sent a byte."""
        with self._lock:
            return self._heard_at

    def is_down(self, endpoint: Endpoint) -> bool:
        """Whether the line to it has failed more than once since it last sent a byte."""
        with self._lock:
            health = self._health[endpoint]
            return health.down_since is not None and health.backoff.failures > FORGIVEN

    def failures_in_a_row(self, endpoint: Endpoint) -> int:
        """How often it failed since it last sent a byte."""
        with self._lock:
            return self._health[endpoint].backoff.failures

    def latency(self, endpoint: Endpoint) -> float | None:
        """Seconds until an answer begins, as seen lately; ``None`` before the first one."""
        with self._lock:
            return self._health[endpoint].latency

    def least_latency(self, endpoint: Endpoint) -> float | None:
        """The shortest time in which an answer began lately; ``None`` before the first one."""
        with self._lock:
            least = self._health[endpoint].least_latency
            return None if math.isinf(least) else least

    def sent(self, endpoint: Endpoint, count: int) -> None:
        """``count`` new bytes of objects came from it."""
        with self._lock:
            health = self._health[endpoint]
            health.sent += count
            health.answered = True
            health.down_since = None
            health.backoff.succeed()
            self._heard_at = self._now()

    def ran(self, endpoint: Endpoint, rate: float) -> None:
        """One of its connections brought ``rate`` bytes a second."""
        with self._lock:
            health = self._health[endpoint]
            before = health.rate
            health.rate = _smoothed(before, rate, 0.3)
            self._rates += health.rate - (before or 0.0)
            self._rated += before is None

    def broke(self, endpoint: Endpoint, brought: int, asked: int) -> None:
        """An answer of ``asked`` bytes broke after ``brought``.

        Many a middle box cuts at about the same length, below which to stay; what lies in the kernel then is lost.
        """
        with self._lock:
            health = self._health[endpoint]
            health.breaks.append(brought)
            if asked > health.proven:
                health.unbroken = min(health.unbroken, max(LEAST_UNBROKEN, health.proven, BELOW * brought))
            elif len(health.breaks) >= FEW_BREAKS:
                health.unbroken = max(LEAST_UNBROKEN, BELOW * max(health.breaks))

    def came_unbroken(self, endpoint: Endpoint, count: int) -> None:
        """An answer brought all of its ``count`` bytes; a little more may be asked for."""
        with self._lock:
            health = self._health[endpoint]
            health.proven = max(health.proven, count)
            if health.breaks and count >= max(health.breaks):
                health.breaks.clear()  # it is not their length that breaks them
            if count > health.unbroken / GROWTH:
                health.unbroken *= GROWTH

    def unbroken_bytes(self, endpoint: Endpoint) -> int:
        """How many bytes it may be asked for at once: at most twice of what has come without a break."""
        with self._lock:
            health = self._health[endpoint]
            return int(min(health.unbroken, 2 * max(health.proven, FIRST_PROVEN)))

    def find_slow(self, sending: Collection[Endpoint], floor: float) -> list[Endpoint]:
        """Of those that are sending, who brings less than ``floor`` bytes a second where another may do better.

        Call it a few times a second. Who is named is slow from now on, for a while.
        """
        with self._lock:
            now, looked_at = self._now(), self._watched.union(sending)
            self._watched = set(sending)
            return [each for each in looked_at if self._crawls(self._health[each], each in sending, floor, now)]

    def is_slow(self, endpoint: Endpoint) -> bool:
        """Whether it is to be asked where nobody else can be."""
        with self._lock:
            return self._health[endpoint].slow_until > self._now()

    def rate(self, endpoint: Endpoint) -> float | None:
        """Bytes a second that one of its connections brings; ``None`` while unknown."""
        with self._lock:
            return self._health[endpoint].rate

    def usual_rate(self) -> float | None:
        """The mean of what connections bring, over the endpoints of which that is known."""
        with self._lock:
            return self._rates / self._rated if self._rated else None

    def hold(self, endpoint: Endpoint, seconds: float) -> None:
        """Do not ask it for ``seconds``: it said so. Its signed URLs may still be used."""
        with self._lock:
            health = self._health[endpoint]
            health.held_until = max(health.held_until, self._now() + seconds)

    def spend(self, endpoint: Endpoint) -> bool:
        """Count a request to the endpoint itself; ``False`` where its limit has none left, and it must not be sent."""
        with self._lock:
            health, now = self._health[endpoint], self._now()
            if health.left is not None and now >= health.resets_at:
                health.left, health.resets_at, health.guessed = health.most, now + health.span, True
            if now < health.held_until or (health.left is not None and health.left <= health.asking):
                return False
            health.asking += 1
            return True

    def spent(self, endpoint: Endpoint, quota: tuple[int, float] | None) -> None:
        """A request that ``spend`` counted is over; ``quota`` is what its answer said: requests left, for how long."""
        with self._lock:
            health, now = self._health[endpoint], self._now()
            health.asking -= 1
            if quota is None:
                if health.left is not None and not health.guessed:
                    health.left -= 1
                return
            left, resets_at = quota[0], now + quota[1]
            health.most, health.span = max(health.most, left + 1), max(health.span, quota[1])
            if health.left is None or health.guessed or resets_at > health.resets_at + NEW_WINDOW:
                health.left, health.resets_at, health.guessed = left, resets_at, False
            elif resets_at > health.resets_at - NEW_WINDOW:  # answers overtake each other, seconds are rounded
                health.left = min(health.left, left)
                health.resets_at = max(health.resets_at, resets_at)

    def lacks(self, endpoint: Endpoint, service: str) -> bool:
        """Whether it is known not to offer ``service``; forgotten after ``PROBE_AGAIN``."""
        with self._lock:
            return self._lacks(self._health[endpoint], service)

    def offers(self, service: str, besides: Container[Endpoint] = ()) -> bool:
        """Whether anyone but ``besides`` is not known to lack ``service``; looks no further than the first."""
        with self._lock:
            every = self._health.items()
            return any(endpoint not in besides and not self._lacks(health, service) for endpoint, health in every)

    def note_lack(self, endpoint: Endpoint, service: str, reason: str = "", *, seconds: float = PROBE_AGAIN) -> None:
        """It does not offer ``service``; it is asked for it again after ``seconds``."""
        with self._lock:
            self._note_lack(self._health[endpoint], service, reason, seconds)

    def news(self) -> list[Demoted | Warned]:
        """What was found lacking or unforeseen since the last call, as events."""
        with self._lock:
            news, self._news = self._news, []
            return news

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
            health = self._health[endpoint]
            spent = health.left is not None and health.left <= health.asking
            return max(health.backoff.ready_at, health.held_until, health.resets_at if spent else 0.0)

    def bytes_ready_at(self, endpoint: Endpoint) -> float:
        """Clock time from which a signed URL of it may be used: the limit on requests does not count those."""
        with self._lock:
            return self._health[endpoint].backoff.ready_at

    def last_error(self, endpoint: Endpoint) -> HfcloneError | None:
        """Its latest failure in this run."""
        with self._lock:
            return self._health[endpoint].last_error

    def last_word(self) -> HfcloneError:
        """Why nothing comes: what the endpoints said last, else what they are waited for."""
        said = [error for endpoint in self.endpoints if (error := self.last_error(endpoint)) is not None]
        if said:
            return said[-1]
        now = self._now()
        held = [endpoint for endpoint in self.endpoints if self.ready_at(endpoint) > now]
        if held:
            return errors.RateLimited(str(held[0]), self.ready_at(held[0]) - now)
        return errors.Unreachable(", ".join(map(str, self.endpoints)), phrase("no-answer-so-far"))

    def tallies(self) -> tuple[EndpointTally, ...]:
        """What each endpoint did, in the order of preference."""
        with self._lock:
            return tuple(EndpointTally(str(h.endpoint), h.sent, h.failures) for h in self._health.values())

    def _count(self, health: _Health, error: HfcloneError) -> None:
        health.failures += 1
        health.last_error = error
        health.known = health.known or not isinstance(error, (errors.Unreachable, errors.Stalled))
        if isinstance(error, errors.Unforeseen) and not health.told:
            health.told = True
            self._news.append(Warned("unforeseen", {"endpoint": error.endpoint, "reason": error.reason}))

    def _crawls(self, health: _Health, sends: bool, floor: float, now: float) -> bool:  # noqa: FBT001  # one of two
        if not sends:
            health.watched = None
            return False
        since, before = health.watched = health.watched or (now, health.sent)
        if now - since < CRAWL_SECONDS:
            return False
        health.brought, health.watched = (health.sent - before) / (now - since), (now, health.sent)
        others = (other for other in self._health.values() if other is not health)
        if health.brought >= floor or not any(self._may_do_better(each, health, now) for each in others):
            return False
        if health.slow_until <= now:
            health.slow_for = min(2 * health.slow_for, PROBE_AGAIN)
            health.slow_until = now + health.slow_for
            error = errors.TooSlow(str(health.endpoint), now - since, health.sent - before)
            self._news.append(Demoted(str(health.endpoint), phrase("these-files"), str(error)))
        return True

    def _may_do_better(self, other: _Health, than: _Health, now: float) -> bool:
        """Whether ``than`` is to make way for it; for one that never sent anything not again and again."""
        rests = max(other.backoff.ready_at, other.held_until, other.slow_until) > now or self._lacks(other, FILES)
        new = other.answered or than.slow_until <= now
        return not rests and new and (other.brought is None or other.brought > BETTER * (than.brought or 0.0))

    def _lacks(self, health: _Health, service: str) -> bool:
        return health.lacks.get(service, float("-inf")) > self._now()

    def _note_lack(self, health: _Health, service: str, reason: str, seconds: float = PROBE_AGAIN) -> None:
        if not self._lacks(health, service):
            what = phrase("these-files") if service == FILES else service
            self._news.append(Demoted(str(health.endpoint), what, reason))
        health.lacks[service] = self._now() + seconds
        self._lay_to_rest(health)


def _smoothed(before: float | None, seen: float, share: float) -> float:
    """A mean in which what was ``seen`` last has its ``share``, and all before the rest."""
    return seen if before is None else (1 - share) * before + share * seen
