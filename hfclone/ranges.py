"""Byte ranges, half-open: ``[start, stop)``. HTTP's inclusive form appears only in its two functions.

Pure: no I/O, no clock.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

__all__ = ["ContentRange", "RangeSet", "format_range", "parse_content_range"]

_CONTENT_RANGE = re.compile(r"\s*bytes\s+([0-9]{1,19})-([0-9]{1,19})/([0-9]{1,19}|\*)\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ContentRange:
    """What an answer says it carries. ``total`` is ``None`` where the server does not know."""

    start: int
    stop: int
    total: int | None


def format_range(start: int, stop: int) -> str:
    """The value of a Range header that asks for ``[start, stop)``."""
    return f"bytes={start}-{stop - 1}"


def parse_content_range(value: str) -> ContentRange | None:
    """Read a Content-Range header; ``None`` where it is malformed or says nothing (RFC 9110, 14.4)."""
    matched = _CONTENT_RANGE.fullmatch(value)
    if not matched:
        return None
    first, last = int(matched[1]), int(matched[2])
    total = None if matched[3] == "*" else int(matched[3])
    if last < first or (total is not None and last >= total):
        return None
    return ContentRange(first, last + 1, total)


class RangeSet:
    """A mutable set of bytes, kept as sorted, disjoint, non-touching ranges. Not thread-safe."""

    __slots__ = ("_starts", "_stops")

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        self._starts: list[int] = []
        self._stops: list[int] = []
        for start, stop in ranges:
            self.add(start, stop)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return zip(self._starts, self._stops, strict=True)

    def __bool__(self) -> bool:
        return bool(self._starts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RangeSet) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]  # mutable

    def __repr__(self) -> str:
        return f"RangeSet({list(self)})"

    @property
    def size(self) -> int:
        """How many bytes the set holds."""
        return sum(self._stops) - sum(self._starts)

    @property
    def first_size(self) -> int:
        """How many bytes the lowest range has; 0 when empty."""
        return self._stops[0] - self._starts[0] if self._starts else 0

    def add(self, start: int, stop: int) -> None:
        """Put ``[start, stop)`` in; parts that are in already stay."""
        if start >= stop:
            return
        low = bisect_left(self._stops, start)
        high = bisect_right(self._starts, stop)
        if low < high:
            start = min(start, self._starts[low])
            stop = max(stop, self._stops[high - 1])
        self._starts[low:high] = [start]
        self._stops[low:high] = [stop]

    def remove(self, start: int, stop: int) -> None:
        """Take ``[start, stop)`` out; parts that are not in do not matter."""
        if start >= stop:
            return
        low = bisect_right(self._stops, start)
        high = bisect_left(self._starts, stop)
        if low >= high:
            return
        left, right = self._starts[low], self._stops[high - 1]
        kept = [(a, b) for a, b in ((left, start), (stop, right)) if a < b]
        self._starts[low:high] = [a for a, _ in kept]
        self._stops[low:high] = [b for _, b in kept]

    def take_first(self, limit: int) -> tuple[int, int] | None:
        """Remove and return the lowest range, cut to ``limit`` bytes; ``None`` when empty."""
        if not self._starts:
            return None
        start = self._starts[0]
        stop = min(self._stops[0], start + limit)
        self.remove(start, stop)
        return start, stop

    def gaps(self, stop: int) -> Iterator[tuple[int, int]]:
        """The ranges of ``[0, stop)`` that are not in the set."""
        position = 0
        for start, end in self:
            if start >= stop:
                break
            if position < start:
                yield position, start
            position = end
        if position < stop:
            yield position, stop

    def prefix(self) -> int:
        """The end of the range that begins at 0; 0 if none does."""
        return self._stops[0] if self._starts and self._starts[0] == 0 else 0
