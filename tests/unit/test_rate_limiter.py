"""The rate limit is kept to the byte; schedule are the user's."""

from __future__ import annotations

from datetime import datetime

import pytest

from hfclone.settings.measures import Window
from hfclone.transfer.rate_limiter import RateLimiter, Schedule


@pytest.mark.parametrize("readers", [1, 4, 64])
@pytest.mark.parametrize("fill", [1.0, 0.3])
def test_the_limit_is_exact_however_many_read(readers: int, fill: float) -> None:
    rate_limiter = RateLimiter(1_000_000)
    step = rate_limiter.read_bytes(256 * 1024)
    due = [(0.0, reader) for reader in range(readers)]
    got: list[tuple[float, int]] = []
    while due:
        due.sort()
        now, reader = due.pop(0)
        if now > 3.0:
            continue
        wait = rate_limiter.reserve(step, now)
        count = int(step * fill)
        got.append((now + wait, count))
        rate_limiter.refund(step - count)
        due.append((now + wait + 0.0001, reader))
    in_three = sum(count for at, count in got if at <= 3.0)
    assert 0.9 * 3e6 <= in_three <= 1.1 * 3e6
    for begin in range(25):
        half_second = sum(count for at, count in got if begin / 10 <= at < begin / 10 + 0.5)
        assert half_second <= 0.5 * 1e6 * 1.6


def test_no_limit_waits_for_nothing() -> None:
    rate_limiter = RateLimiter(None)
    assert rate_limiter.reserve(10**9, 0.0) == 0.0
    assert rate_limiter.connections(64) == 64
    assert rate_limiter.receive_buffer(64) is None


def test_after_a_pause_only_a_moment_is_made_up_for() -> None:
    rate_limiter = RateLimiter(1000)
    rate_limiter.reserve(100, 0.0)
    free = 0
    while rate_limiter.reserve(50, 3600.0) == 0.0:
        free += 50
    assert free <= 300


def test_a_small_limit_is_shared_by_few() -> None:
    assert RateLimiter(100_000).connections(64) == 2
    assert RateLimiter(100_000_000).connections(64) == 64


@pytest.mark.parametrize(
    ("clock", "closed"),
    [("22:59:30", 30), ("23:00:00", 0), ("03:00:00", 0), ("07:00:00", 16 * 3600), ("12:00:00", 11 * 3600)],
)
def test_hours_across_midnight(clock: str, closed: float) -> None:
    moment = datetime.fromisoformat(f"2026-01-15T{clock}").timestamp()
    schedule = Schedule(Window(23 * 60, 7 * 60), lambda: moment)
    assert schedule.closed_for() == pytest.approx(closed)
    assert "23:00-07:00" in schedule.reason


def test_no_window_is_always_open() -> None:
    assert Schedule(None, lambda: 0.0).closed_for() == 0.0
