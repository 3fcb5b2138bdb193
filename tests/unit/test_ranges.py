"""Range headers and sets of ranges, by tables."""

import pytest

from hfclone.ranges import ContentRange, RangeSet, format_range, parse_content_range


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("bytes 0-0/1", ContentRange(0, 1, 1)),
        ("bytes 5-9/10", ContentRange(5, 10, 10)),
        (" Bytes  5-9/* ", ContentRange(5, 10, None)),
        ("bytes 5-9/9", None),
        ("bytes 9-5/10", None),
        ("bytes */10", None),
        ("bytes 5-/10", None),
        ("bytes -5/10", None),
        ("bytes=5-9/10", None),
        ("items 5-9/10", None),
        ("bytes 5-9", None),
        ("bytes +5-9/10", None),
        ("bytes ٥-٩/١٠", None),
        ("bytes 0-" + "9" * 5000 + "/*", None),
        ("bytes 0-1/2, bytes 3-4/5", None),
        ("", None),
    ],
)
def test_parse_content_range(value: str, expected: ContentRange | None) -> None:
    assert parse_content_range(value) == expected


def test_format_range_is_inclusive() -> None:
    assert format_range(0, 1) == "bytes=0-0"
    assert format_range(5, 10) == "bytes=5-9"


def test_touching_ranges_join() -> None:
    ranges = RangeSet([(0, 5), (10, 15), (5, 10)])
    assert list(ranges) == [(0, 15)]
    assert repr(ranges) == "RangeSet([(0, 15)])"


def test_empty() -> None:
    ranges = RangeSet([(3, 3), (5, 4)])
    assert not ranges
    assert ranges.size == 0
    assert ranges.prefix() == 0
    assert ranges.take_first(10) is None
    assert list(ranges.gaps(4)) == [(0, 4)]
    assert list(ranges.gaps(0)) == []
    ranges.remove(0, 10)
    ranges.remove(5, 5)
    assert ranges == RangeSet()
    assert ranges != [(0, 1)]


def test_it_cannot_be_a_key() -> None:
    with pytest.raises(TypeError):
        hash(RangeSet())
