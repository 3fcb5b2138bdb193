"""RangeSet against a plain set of numbers; Content-Range there and back."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from hfclone.ranges import ContentRange, RangeSet, format_range, parse_content_range

places = st.integers(0, 40)


class RangesAgainstNumbers(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.ranges = RangeSet()
        self.model: set[int] = set()

    @rule(start=places, stop=places)
    def add(self, start: int, stop: int) -> None:
        self.ranges.add(start, stop)
        self.model |= set(range(start, stop))

    @rule(start=places, stop=places)
    def remove(self, start: int, stop: int) -> None:
        self.ranges.remove(start, stop)
        self.model -= set(range(start, stop))

    @rule(limit=st.integers(1, 12))
    def take_first(self, limit: int) -> None:
        taken = self.ranges.take_first(limit)
        if not self.model:
            assert taken is None
            return
        assert taken is not None
        start, stop = taken
        assert start == min(self.model)
        assert 0 < stop - start <= limit
        assert set(range(start, stop)) <= self.model
        assert stop - start == limit or stop not in self.model
        self.model -= set(range(start, stop))

    @invariant()
    def holds_the_same(self) -> None:
        assert {n for start, stop in self.ranges for n in range(start, stop)} == self.model
        assert self.ranges.size == len(self.model)
        assert bool(self.ranges) == bool(self.model)
        assert self.ranges == RangeSet((n, n + 1) for n in self.model)

    @invariant()
    def is_sorted_and_apart(self) -> None:
        ranges = list(self.ranges)
        assert all(start < stop for start, stop in ranges)
        assert all(stop < start for (_, stop), (start, _) in pairwise(ranges))

    @invariant()
    def gaps_are_the_rest(self) -> None:
        for end in (0, 7, 40, 50):
            gaps = list(self.ranges.gaps(end))
            assert [n for start, stop in gaps for n in range(start, stop)] == sorted(set(range(end)) - self.model)
            assert all(start < stop for start, stop in gaps)

    @invariant()
    def prefix_is_contiguous(self) -> None:
        assert self.ranges.prefix() == next(n for n in range(42) if n not in self.model)


TestRangesAgainstNumbers = RangesAgainstNumbers.TestCase


@given(st.integers(0, 2**62), st.integers(1, 2**40), st.one_of(st.none(), st.integers(0, 2**40)))
def test_content_range_there_and_back(start: int, length: int, more: int | None) -> None:
    stop = start + length
    total = None if more is None else stop + more
    value = f"{format_range(start, stop).replace('=', ' ')}/{'*' if total is None else total}"
    assert parse_content_range(value) == ContentRange(start, stop, total)


@given(st.text())
def test_any_header_is_read_or_refused(value: str) -> None:
    answer = parse_content_range(value)
    assert answer is None or answer.start < answer.stop
