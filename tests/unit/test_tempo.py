"""Connections follow the line; the rate limit is kept to the byte; hours are the user's."""

from __future__ import annotations

from datetime import datetime

import pytest

from hfclone.measures import Window
from hfclone.transfer.tempo import Hours, Pace, Tempo


def drive(tempo: Tempo, seconds: float, rate_of: object, losses_of: object = None) -> list[int]:
    """Targets over time on a line whose whole rate follows from the number of connections."""
    now, received, targets = 0.0, 0.0, []
    while now < seconds:
        received += rate_of(tempo.target) * 0.1  # type: ignore[operator]
        for _ in range(losses_of(tempo.target, now) if losses_of else 0):  # type: ignore[operator]
            tempo.lost()
        tempo.tick(now, int(received), tempo.target, 0.05)
        targets.append(tempo.target)
        now += 0.1
    return targets


def test_a_line_that_throttles_each_connection_ends_at_the_cap() -> None:
    targets = drive(Tempo(64), 6.0, lambda many: many * 1e6)
    assert targets[-1] == 64


def test_as_long_as_each_brings_its_share_few_steps_lead_to_the_cap() -> None:
    targets = drive(Tempo(64), 2.0, lambda many: many * 1e6)
    assert sorted(set(targets)) == [4, 16, 64]


def test_where_they_bring_less_the_steps_are_small() -> None:
    targets = drive(Tempo(64), 3.0, lambda many: 1e6 * many**0.5)
    assert sorted(set(targets)) == [4, 16, 32, 64]


@pytest.mark.parametrize(("cores", "ends_at"), [(2, 4), (8, 64), (None, 64)])
def test_what_this_machine_cannot_take_in_is_not_asked_for(cores: int | None, ends_at: int) -> None:
    tempo = Tempo(64, cores)
    for tick in range(40):  # one core is busy all the time
        tempo.tick(tick / 10, tempo.target * tick * 10**6, tempo.target, 0.0, spent=tick / 10)
    assert tempo.target == ends_at


def test_a_line_that_is_full_ends_at_a_few() -> None:
    targets = drive(Tempo(64), 60.0, lambda many: min(many, 4) * 10e6)
    assert sum(targets) / len(targets) < 7


@pytest.mark.parametrize("most", [3, 6])
def test_a_line_that_breaks_under_many_settles_low(most: int) -> None:
    def losses(many: int, now: float) -> int:
        return many if many > most and int(now * 10) % 5 == 0 else 0

    targets = drive(Tempo(64), 120.0, lambda many: min(many, most) * 1e6, losses)
    assert sum(targets[200:]) / len(targets[200:]) <= most + 2
    assert min(targets) >= 2


def test_the_cap_is_kept_however_small() -> None:
    assert set(drive(Tempo(1), 10.0, lambda many: many * 1e6)) == {1}
    assert max(drive(Tempo(3), 10.0, lambda many: many * 1e6)) == 3


def test_single_losses_cost_nothing() -> None:
    tempo = Tempo(16)
    targets = drive(tempo, 10.0, lambda many: many * 1e6, lambda _many, now: int(now * 10) % 10 == 0)
    assert targets[-1] == 16


@pytest.mark.parametrize("readers", [1, 4, 64])
@pytest.mark.parametrize("fill", [1.0, 0.3])
def test_the_limit_is_exact_however_many_read(readers: int, fill: float) -> None:
    pace = Pace(1_000_000)
    step = pace.read_bytes(256 * 1024)
    due = [(0.0, reader) for reader in range(readers)]
    got: list[tuple[float, int]] = []
    while due:
        due.sort()
        now, reader = due.pop(0)
        if now > 3.0:
            continue
        wait = pace.reserve(step, now)
        count = int(step * fill)
        got.append((now + wait, count))
        pace.refund(step - count)
        due.append((now + wait + 0.0001, reader))
    in_three = sum(count for at, count in got if at <= 3.0)
    assert 0.9 * 3e6 <= in_three <= 1.1 * 3e6
    for begin in range(25):
        half_second = sum(count for at, count in got if begin / 10 <= at < begin / 10 + 0.5)
        assert half_second <= 0.5 * 1e6 * 1.6


def test_no_limit_waits_for_nothing() -> None:
    pace = Pace(None)
    assert pace.reserve(10**9, 0.0) == 0.0
    assert pace.connections(64) == 64
    assert pace.receive_buffer(64) is None


def test_after_a_pause_only_a_moment_is_made_up_for() -> None:
    pace = Pace(1000)
    pace.reserve(100, 0.0)
    free = 0
    while pace.reserve(50, 3600.0) == 0.0:
        free += 50
    assert free <= 300


def test_a_small_limit_is_shared_by_few() -> None:
    assert Pace(100_000).connections(64) == 2
    assert Pace(100_000_000).connections(64) == 64


@pytest.mark.parametrize(
    ("clock", "closed"),
    [("22:59:30", 30), ("23:00:00", 0), ("03:00:00", 0), ("07:00:00", 16 * 3600), ("12:00:00", 11 * 3600)],
)
def test_hours_across_midnight(clock: str, closed: float) -> None:
    moment = datetime.fromisoformat(f"2026-01-15T{clock}").timestamp()
    hours = Hours(Window(23 * 60, 7 * 60), lambda: moment)
    assert hours.closed_for() == pytest.approx(closed)
    assert "23:00-07:00" in hours.reason


def test_no_window_is_always_open() -> None:
    assert Hours(None, lambda: 0.0).closed_for() == 0.0
