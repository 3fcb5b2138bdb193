"""What the events of a run add up to; every view prints this state in its own form. Pure."""

from __future__ import annotations

from collections import deque

from hfclone.cli.words import show_duration, show_rate, show_size
from hfclone.events import Event, Failed, Planned, Position, Started, Verified
from hfclone.paths import show_path
from hfclone.plan import Plan
from hfclone.pointer import Oid
from hfclone.wording import line

__all__ = ["Tally"]

RATE_SECONDS = 10.0
"""The rate is an average over so long: steady to read, and soon right after a change."""
SAMPLE_SECONDS = 0.25
"""Positions closer than this share a sample, so that the history stays short."""


class Tally:
    """Positions are absolute; a smaller one is a restart, and the history of the rate begins anew."""

    def __init__(self) -> None:
        self.plan: Plan | None = None
        self.active: dict[Oid, str] = {}
        """Objects on their way, oldest first, with the endpoint that sent last."""
        self.done = 0
        self.failed = 0
        self.received: dict[Oid, int] = {}
        self.sizes: dict[Oid, int] = {}
        self._base = 0
        self._moving = 0
        self._samples: deque[tuple[float, int]] = deque()

    def note(self, event: Event, now: float) -> None:
        """Take one event in; ``now`` in seconds of any steady clock."""
        match event:
            case Planned(plan):
                self._begin(plan, now)
            case Started(oid, endpoint):
                self.active[oid] = endpoint
            case Position(oid, received):
                self._move(oid, received, now)
            case Verified(pointer):
                self.done += 1
                self.active.pop(pointer.oid, None)
                self._move(pointer.oid, pointer.size, now)
            case Failed(pointer):
                self.failed += 1
                self.active.pop(pointer.oid, None)
            case _:
                pass

    def _begin(self, plan: Plan, now: float) -> None:
        self.plan = plan
        self.active.clear()
        self.done, self.failed = len(plan.present) + len(plan.copies), 0
        self.received = {pointer.oid: plan.held.get(pointer.oid, 0) for pointer in plan.missing}
        self.sizes = {pointer.oid: pointer.size for pointer in plan.missing}
        self._moving = sum(self.received.values())
        self._base = plan.here_bytes - self._moving
        self._restart(now)

    def _restart(self, now: float) -> None:
        self._samples.clear()
        self._samples.append((now, self._moving))

    def _move(self, oid: Oid, received: int, now: float) -> None:
        before = self.received.get(oid)
        if before is None:  # a copy that was only put in place
            return
        self.received[oid] = received
        self._moving += received - before
        if received < before:
            self._restart(now)
        elif now - self._samples[-1][0] >= SAMPLE_SECONDS:
            self._samples.append((now, self._moving))

    @property
    def total(self) -> int:
        """Bytes of the whole selected checkout."""
        return self.plan.total_bytes if self.plan else 0

    @property
    def position(self) -> int:
        """Bytes of it that are here."""
        return self._base + self._moving

    def rate(self, now: float) -> float:
        """Bytes a second over the last ``RATE_SECONDS``; it falls while nothing comes."""
        while len(self._samples) > 1 and self._samples[1][0] <= now - RATE_SECONDS:
            self._samples.popleft()
        if not self._samples or now <= self._samples[0][0]:
            return 0.0
        since, start = self._samples[0]
        return (self._moving - start) / max(now - since, SAMPLE_SECONDS)

    def left(self, now: float) -> float | None:
        """Seconds until the end at this rate; ``None`` while nothing moves."""
        rate = self.rate(now)
        return (self.total - self.position) / rate if rate > 0 else None

    def summary(self, now: float) -> str:
        """``1.20 GB of 4.00 GB  12.3 MB/s  3 min 48 s left``."""
        left = self.left(now)
        end = line("left unknown") if left is None else line("left", time=show_duration(left))
        done, total, rate = show_size(self.position), show_size(self.total), show_rate(self.rate(now))
        return line("summary", done=done, total=total, rate=rate, left=end)

    def name(self, oid: str) -> str:
        """The first path of an object, safe to show; its oid where no plan has told."""
        paths = self.plan.paths.get(Oid(oid), ()) if self.plan else ()
        return show_path(paths[0]) if paths else oid
