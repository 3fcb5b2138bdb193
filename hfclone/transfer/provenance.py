"""Who sent wrong bytes: what is known of the senders of one object, and whom to doubt next. Pure.

Only the sha256 of the whole is known, so wrong bytes are found by comparing: the ranges of one
sender are fetched again from others, what differs is replaced, and when the whole comes out right
the liars are those whose bytes differ from it. Nobody is blamed for less: either it sent all of a
wrong object, or its bytes differ from proven ones.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from hfclone.ranges import RangeSet

__all__ = ["SECOND_CHANCES", "Claim", "Provenance", "Ruling"]

SECOND_CHANCES = 1
"""Wrong objects that a sender may send once more, where there is nobody else to ask."""
MOST_CLAIMS = 32
"""Differences remembered for an object: enough to name the liar, and few enough to read again at once."""
GROWTH = 8
"""A trial that fails is repeated when there are so many times more differences: each hashes the whole object."""


@dataclass(frozen=True, slots=True)
class Claim:
    """``sender`` sent bytes of this digest for ``[start, stop)``, and another sent others."""

    start: int
    stop: int
    sender: str
    digest: str


@dataclass(frozen=True, slots=True)
class Ruling:
    """What follows from a wrong sum. ``liar`` sent all of it; ``barred`` says not to ask it again for this object."""

    suspects: RangeSet
    """To be fetched once more and compared."""
    liar: str | None = None
    barred: bool = False


@dataclass(slots=True)
class Provenance:
    """Senders of one object, by the names that the journal gives them. Not thread-safe."""

    size: int
    sent: dict[str, RangeSet] = field(default_factory=dict)
    """Who vouched last for which bytes."""
    doubted: set[str] = field(default_factory=set)
    """Not asked for this object while there are others."""
    claims: list[Claim] = field(default_factory=list)
    differences: int = 0
    _wrong: Counter[str] = field(default_factory=Counter)
    _next_trial: int = 1

    @property
    def senders(self) -> list[str]:
        """Whose bytes lie in the object now."""
        return sorted(sender for sender, ranges in self.sent.items() if ranges)

    @property
    def trial_due(self) -> bool:
        """Whether enough was replaced to look whether the whole is right now."""
        return self.differences >= self._next_trial

    def note(self, sender: str, start: int, stop: int) -> None:
        """The bytes ``[start, stop)`` are as ``sender`` sent them."""
        for other, ranges in self.sent.items():
            if other != sender:
                ranges.remove(start, stop)
        self.sent.setdefault(sender, RangeSet()).add(start, stop)

    def differs(self, start: int, stop: int, digest_of: Callable[[int, int], str]) -> None:
        """What was in ``[start, stop)`` is not what another sends; ``digest_of`` knows what was there."""
        self.differences += 1
        for sender, ranges in self.sent.items():
            parts = [(max(start, low), min(stop, high)) for low, high in ranges if low < stop and high > start]
            room = MOST_CLAIMS - len(self.claims)
            self.claims += [Claim(low, high, sender, digest_of(low, high)) for low, high in parts[:room]]

    def tried(self) -> None:
        """A trial came out wrong."""
        self._next_trial = self.differences * GROWTH

    def liars(self, digest_of: Callable[[int, int], str]) -> list[str]:
        """Who sent what differs from the object, now that it is proven; ``digest_of`` knows what is there."""
        return sorted({claim.sender for claim in self.claims if digest_of(claim.start, claim.stop) != claim.digest})

    def rule(self, left: Sequence[str], lies: Mapping[str, int]) -> Ruling:
        """All is here and the sum is wrong. ``left`` can be asked, best last; ``lies`` counts those known."""
        senders = self.senders
        if len(senders) == 1:
            return self._certain(senders[0], left)
        fresh = [name for name in left if name not in self.doubted]
        if not fresh:
            self.doubted.clear()
            fresh = list(left)
        checkable = [sender for sender in senders if any(name != sender for name in fresh)]
        order = {name: place for place, name in enumerate(left)}
        suspect = min(checkable or senders, key=lambda name: (-lies.get(name, 0), order.get(name, -1)))
        self.doubted.add(suspect)
        return Ruling(RangeSet(self.sent[suspect]))

    def _certain(self, liar: str, left: Sequence[str]) -> Ruling:
        self._wrong[liar] += 1
        self.doubted.clear()
        others = any(name != liar for name in left)
        return Ruling(RangeSet([(0, self.size)]), liar, others or self._wrong[liar] > SECOND_CHANCES)
