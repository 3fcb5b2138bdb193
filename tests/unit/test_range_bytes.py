"""How much a connection is asked for at once."""

from __future__ import annotations

import pytest

from hfclone.transfer.leases import FIRST_RANGE_BYTES, LEAST_RANGE_BYTES, MOST_RANGE_BYTES, range_bytes

MB = 1_000_000
MUCH = 1000.0 * MB


@pytest.mark.parametrize(
    ("rate", "latency", "share", "most", "expected"),
    [
        (None, 0.0, MUCH, None, FIRST_RANGE_BYTES // 2),
        (None, 0.0, 1 * MB, None, 1 * MB),
        (None, 0.0, 0.0, None, LEAST_RANGE_BYTES),
        (2 * MB, 0.0, MUCH, None, 4 * MB),  # two seconds
        (0.1 * MB, 0.0, MUCH, None, FIRST_RANGE_BYTES),  # it may only have begun to grow
        (1 * MB, 0.25, MUCH, None, 4 * MB),  # sixteen round trips
        (1 * MB, 0.25, 0.8 * MB, None, 800_000),  # the end is near
        (1 * MB, 0.25, 0.0, None, 500_000),  # never less than two round trips, or a quarter of a second
        (1 * MB, 0.0, 0.0, None, 250_000),
        (1000.0, 0.25, 0.0, None, LEAST_RANGE_BYTES),  # a modem
        (500 * MB, 0.0, MUCH, None, MOST_RANGE_BYTES),
        (500 * MB, 0.0, MUCH, 3 * MB, 3 * MB),  # where longer answers break
    ],
)
def test_how_much(rate: float | None, latency: float, share: float, most: int | None, expected: int) -> None:
    assert range_bytes(rate, latency, share, *([most] if most else [])) == expected


def test_those_that_begin_together_do_not_end_together() -> None:
    lengths = [range_bytes(None, 0.0, MUCH, beside=beside) for beside in range(8)]
    assert len(set(lengths)) == 8
    assert max(lengths) < 2 * min(lengths) <= 2 * FIRST_RANGE_BYTES
