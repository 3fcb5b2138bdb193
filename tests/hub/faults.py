"""Rules that say which requests meet which fault; the faults themselves are in `answers` and `streams`."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from .messages import Request, Response

Serve = Callable[[Request], Response]


class Fault(Protocol):
    """Something that goes wrong."""

    def answer(self, request: Request, serve: Serve) -> Response:
        """Answer in the server's place, or change what ``serve`` answers; may raise `wire.Reset` or `wire.Close`."""

    def release(self) -> None:
        """Let go of everything that waits."""


@dataclass
class Rule:
    """A fault and the requests that meet it. ``hits`` counts those that did."""

    fault: Fault
    on: str | None = None
    kind: str | None = None
    method: str | None = None
    path: str = ""
    oid: str | None = None
    times: int | None = None
    until: threading.Event | float | None = None
    probability: float = 1.0
    seed: int = 0
    when: Callable[[Request], bool] | None = None
    hits: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def __post_init__(self) -> None:
        """Seed the dice."""
        self._dice = random.Random(self.seed)

    def takes(self, request: Request) -> bool:
        """Whether this request meets the fault; counts it if so."""
        if not self._fits(request):
            return False
        with self._lock:
            over = self.times is not None and self.hits >= self.times
            if over or (self.probability < 1 and self._dice.random() >= self.probability):
                return False
            self.hits += 1
            return True

    def _fits(self, request: Request) -> bool:
        if isinstance(self.until, threading.Event) and self.until.is_set():
            return False
        if isinstance(self.until, float) and time.monotonic() >= self.until:
            return False
        pairs = ((self.on, request.listener), (self.kind, request.kind), (self.method, request.method),
                 (self.oid, request.oid))  # fmt: skip
        fits = all(wanted is None or wanted == found for wanted, found in pairs)
        return fits and self.path in request.path and (self.when is None or self.when(request))


class Faults:
    """The rules of a front, in order: the first is outermost, so it sees (and may spoil) what the others leave.

    A rule whose turn does not come, since one before it answered in the server's place, is not used up.
    """

    def __init__(self) -> None:
        """Nothing goes wrong at first."""
        self._rules: list[Rule] = []
        self._lock = threading.Lock()

    def add(
        self,
        fault: Fault,
        *,
        on: str | None = None,
        kind: str | None = None,
        method: str | None = None,
        path: str = "",
        oid: str | None = None,
        times: int | None = None,
        until: threading.Event | float | None = None,
        probability: float = 1.0,
        seed: int = 0,
        when: Callable[[Request], bool] | None = None,
    ) -> Rule:
        """Let requests that agree with everything given meet ``fault``.

        ``on`` is a listener's name; ``kind`` is git, batch, api, resolve, raw, cache, cdn or other; ``path`` need only
        occur in the path as sent; ``oid`` is known beforehand for the CDN only. ``times`` limits how many requests meet
        it; ``until`` ends it, as an event or a time.monotonic(); ``probability`` throws dice from ``seed``.
        """
        rule = Rule(fault, on, kind, method, path, oid, times, until, probability, seed, when)
        with self._lock:
            self._rules.append(rule)
        return rule

    def remove(self, rule: Rule) -> None:
        """End a rule and let go of what it holds."""
        with self._lock:
            self._rules.remove(rule)
        rule.fault.release()

    def clear(self) -> None:
        """End all rules."""
        with self._lock:
            rules, self._rules = self._rules, []
        for rule in rules:
            rule.fault.release()

    def around(self, request: Request, serve: Serve) -> Response:
        """Answer a request through all the faults it meets."""
        with self._lock:
            rules = list(self._rules)
        for rule in reversed(rules):
            serve = _through(rule, serve)
        return serve(request)


def _through(rule: Rule, serve: Serve) -> Serve:
    return lambda request: rule.fault.answer(request, serve) if rule.takes(request) else serve(request)
