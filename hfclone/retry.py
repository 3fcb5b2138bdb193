"""When to go on, how long to wait, when to stop: the only retry rules. Pure; the clock is handed in.

Progress is the one thing that counts. While new bytes arrive, failures cost nothing but a growing,
jittered wait for the endpoint that failed. With no new byte from anyone for ``give_up_after``
seconds the run ends. Until anything has answered properly the limit is ``first_answer_within``: a
typed-wrong host should not wait a day.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from random import Random
from typing import TypeVar

from hfclone import errors
from hfclone.errors import HfcloneError
from hfclone.limits import limit_of

__all__ = [
    "MOST_UNFORESEEN",
    "SAY_SECONDS",
    "Backoff",
    "Clock",
    "Patience",
    "Verdict",
    "is_final",
    "judge",
    "wait_asked",
]

T = TypeVar("T")

FIRST_WAIT = 0.5
"""Seconds after a first failure."""
MOST_UNFORESEEN = 3
"""So often an answer may lead to what nobody foresaw: a flaw of ours stays, and a day's patience does not mend it."""
SAY_SECONDS = 1.0
"""Seconds between two words on a wait, so that a view can count down."""
LONGEST_WAIT = 12.0
"""Seconds at most between two tries: bytes must flow within 15 s of an outage's end."""


class Verdict(Enum):
    """What an error says about asking again."""

    AGAIN = "again"
    """The same endpoint may well answer next time."""
    REFRESH = "refresh"
    """Ask for a new signed URL; nobody failed."""
    ELSEWHERE = "elsewhere"
    """Not this endpoint for this object or service; another one, at once."""
    STOP = "stop"
    """No waiting and no other endpoint will change it."""


_VERDICTS: tuple[tuple[type[HfcloneError], Verdict], ...] = (
    (errors.UrlExpired, Verdict.REFRESH),
    (errors.ObjectRefused, Verdict.ELSEWHERE),
    (errors.HashMismatch, Verdict.ELSEWHERE),
    (errors.DiskFull, Verdict.AGAIN),
    (errors.RemoteError, Verdict.ELSEWHERE),
    (errors.TransferError, Verdict.AGAIN),
    (errors.BadTree, Verdict.ELSEWHERE),
    (errors.PackTooLarge, Verdict.ELSEWHERE),
    (errors.IntegrityError, Verdict.STOP),
    (errors.HfcloneError, Verdict.STOP),
)


def judge(error: HfcloneError) -> Verdict:
    """The rule for ``error``; total, since every error is an HfcloneError."""
    return next(verdict for kind, verdict in _VERDICTS if isinstance(error, kind))


def is_final(status: int) -> bool:
    """Whether an HTTP status is a no that stays: 4xx, but for those that ask for patience, and 501.

    A 407 is no word of the server's, but of a proxy's on the way.
    """
    return (400 <= status < 500 and status not in (407, 408, 425, 429)) or status == 501


def wait_asked(error: HfcloneError) -> float | None:
    """Seconds that a server asks us to wait; ``None`` where that is none worth the name: then ours grow."""
    asked: float | None = getattr(error, "retry_after", None)
    return asked if asked is not None and asked >= FIRST_WAIT else None


@dataclass(frozen=True, slots=True)
class Clock:
    """Time as the run sees it. ``now`` is monotonic seconds; ``sleep`` may return early."""

    now: Callable[[], float]
    sleep: Callable[[float], None]


@dataclass(slots=True)
class Backoff:
    """Growing, jittered waits of one endpoint; a success starts anew. Not thread-safe."""

    rng: Random
    failures: int = 0
    """In a row."""
    ready_at: float = 0.0
    """Clock time before which it is not asked."""

    def fail(self, now: float, asked: float | None = None, longest: float = LONGEST_WAIT) -> float:
        """Note a failure; the wait in seconds, ``longest`` at most. ``asked`` is what the server wants us to wait."""
        self.failures += 1
        growth: int = 1 << min(self.failures - 1, 10)
        wait = min(LONGEST_WAIT, longest, FIRST_WAIT * growth) * (0.5 + self.rng.random() / 2)
        if asked is not None:
            wait = max(asked + self.rng.random() * 0.25, 0.0)
        self.ready_at = max(self.ready_at, now + wait)
        return wait

    def hold(self, now: float, seconds: float) -> None:
        """Do not ask for ``seconds``; no failure."""
        self.ready_at = max(self.ready_at, now + seconds)

    def succeed(self) -> None:
        """It answered properly."""
        self.failures = 0


class Patience:
    """How long a run goes on without progress. Both limits in seconds, ``None`` is for ever.

    Not thread-safe: the transfer calls it under its own lock.
    """

    def __init__(self, give_up_after: float | None, first_answer_within: float | None, clock: Clock) -> None:
        self._limit = give_up_after
        self._first_limit = first_answer_within
        self._clock = clock
        self._last = clock.now()
        self._answered = False

    def progress(self) -> None:
        """A byte that was not here before has arrived."""
        self._answered = True
        self._last = self._clock.now()

    def postpone(self) -> None:
        """Time that passes by our own will does not count: nobody was asked in it."""
        self._last = self._clock.now()

    def answered(self) -> None:
        """Something answered as it should; from now on ``give_up_after`` holds."""
        if not self._answered:
            self._answered = True
            self._last = self._clock.now()

    @property
    def remaining(self) -> float | None:
        """Seconds until the run ends if nothing comes; ``None`` is never."""
        limit = self._limit if self._answered else self._first_limit
        return None if limit is None else self._last + limit - self._clock.now()

    @property
    def exhausted(self) -> bool:
        """Whether the run should end now."""
        remaining = self.remaining
        return remaining is not None and remaining <= 0

    def persist(self, attempt: Callable[[], T], *, rng: Random, on_wait: Callable[[float, HfcloneError], None]) -> T:
        """Call ``attempt`` until it returns, as long as its errors allow and patience lasts.

        For single calls (a revision, a git fetch); ranges have the pool. An error that is final at
        once, or the last one when patience ends, is raised as it is; so is a limit of this machine's that is behind
        one. ``on_wait`` hears each second how
        many are left. The last wait is cut to what
        remains, but for one that the server asked for.
        """
        backoff, unforeseen = Backoff(rng), 0
        while True:
            try:
                result = attempt()
            except HfcloneError as error:
                limit = limit_of(error)
                if limit is not None:
                    raise limit from error
                unforeseen = unforeseen + 1 if isinstance(error, errors.Unforeseen) else 0
                if judge(error) in (Verdict.STOP, Verdict.ELSEWHERE) or unforeseen >= MOST_UNFORESEEN:
                    raise
                asked = wait_asked(error)
                wait = backoff.fail(self._clock.now(), asked)
                remaining = self.remaining
                if remaining is not None and remaining <= wait:
                    if remaining <= 0 or asked is not None:
                        raise
                    wait = remaining
                self._wait(wait, error, on_wait)
            else:
                self.answered()
                return result

    def _wait(self, seconds: float, error: HfcloneError, on_wait: Callable[[float, HfcloneError], None]) -> None:
        until = self._clock.now() + seconds
        while (left := until - self._clock.now()) > 0:
            on_wait(left, error)
            self._clock.sleep(min(left, SAY_SECONDS))
