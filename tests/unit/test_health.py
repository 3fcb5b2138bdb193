"""What is remembered of endpoints, and for how long."""

from __future__ import annotations

from random import Random

import pytest

from hfclone import errors
from hfclone.hub.endpoint import Endpoint, EndpointKind
from hfclone.transfer.health import CRAWL_SECONDS, FILES, PROBE_AGAIN, SLOW_SECONDS, EndpointHealth, RangeSupport

MIRROR = Endpoint("https://mirror.example")
HUB = Endpoint("https://hub.example", EndpointKind.HUB)
DOWN = errors.Unreachable("mirror.example", "refused")


class Hands:
    time = 1000.0

    def now(self) -> float:
        return self.time


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
def health(hands: Hands) -> EndpointHealth:
    return EndpointHealth([HUB, MIRROR], hands.now, Random(1))


def test_mirrors_come_first(health: EndpointHealth) -> None:
    assert list(health.endpoints) == [MIRROR, HUB]


def test_failures_that_were_under_way_together_count_once(health: EndpointHealth, hands: Hands) -> None:
    first = health.failed(MIRROR, DOWN, began=999.0)
    hands.time += 0.01
    assert health.failed(MIRROR, DOWN, began=999.5) <= first
    hands.time += 20
    assert health.failed(MIRROR, DOWN, began=1010.0) > first


def test_two_failures_are_forgiven_who_answered(health: EndpointHealth, hands: Hands) -> None:
    health.sent(MIRROR, 1)
    assert health.failed(MIRROR, DOWN, began=hands.time) == 0.0
    hands.time += 1
    assert health.failed(MIRROR, DOWN, began=hands.time) == 0.0
    hands.time += 1
    assert health.failed(MIRROR, DOWN, began=hands.time) > 0.0


def test_a_lack_is_forgotten_after_a_while_and_told_once(health: EndpointHealth, hands: Hands) -> None:
    health.note_lack(MIRROR, "LFS batch", "404")
    health.note_lack(MIRROR, "LFS batch", "404")
    assert health.lacks(MIRROR, "LFS batch")
    assert [(event.what, event.reason) for event in health.news()] == [("LFS batch", "404")]
    assert health.news() == []
    hands.time += PROBE_AGAIN
    assert not health.lacks(MIRROR, "LFS batch")


def test_a_liar_is_left_alone_only_where_there_are_others(health: EndpointHealth) -> None:
    lie = errors.WrongBytes("mirror.example", "ab" * 32)
    health.lied(MIRROR, lie)
    assert not health.lacks(MIRROR, FILES)
    health.lied(MIRROR, lie)
    assert health.lacks(MIRROR, FILES)
    for _ in range(5):
        health.lied(HUB, lie)
    assert not health.lacks(HUB, FILES)
    assert health.lies() == {"mirror.example": 2, "hub.example": 5}


def test_a_limit_is_counted_down_with_requests_under_way(health: EndpointHealth, hands: Hands) -> None:
    assert health.spend(HUB)
    health.spent(HUB, (2, 60.0))
    assert health.spend(HUB)
    assert health.spend(HUB)
    assert not health.spend(HUB)
    assert health.ready_at(HUB) == hands.time + 60
    assert health.bytes_ready_at(HUB) <= hands.time
    health.spent(HUB, (1, 60.0))  # late, and of the first of the two
    assert not health.spend(HUB)
    health.spent(HUB, (0, 60.0))
    assert not health.spend(HUB)
    hands.time += 60
    assert health.spend(HUB)


def test_answers_that_overtake_each_other_do_not_give_requests_back(health: EndpointHealth) -> None:
    for _ in range(2):
        health.spend(HUB)
    health.spent(HUB, (3, 60.0))
    health.spent(HUB, (4, 60.0))
    assert [health.spend(HUB) for _ in range(4)] == [True, True, True, False]


def test_until_a_windows_first_answer_no_more_are_under_way_than_one_ever_allowed(
    health: EndpointHealth, hands: Hands
) -> None:
    health.spend(HUB)
    health.spent(HUB, (2, 60.0))
    hands.time += 60
    assert [health.spend(HUB) for _ in range(4)] == [True, True, True, False]
    assert health.ready_at(HUB) > hands.time  # else who asks for work would be sent here again and again
    health.spent(HUB, None)  # a broken connection says nothing of the window
    assert health.ready_at(HUB) <= hands.time
    assert health.spend(HUB)
    health.spent(HUB, (2, 60.0))
    assert not health.spend(HUB)
    for left in (1, 0):
        health.spent(HUB, (left, 60.0))
    assert not health.spend(HUB)
    assert health.ready_at(HUB) == hands.time + 60


def test_a_window_that_has_no_length_makes_no_hot_loop(health: EndpointHealth, hands: Hands) -> None:
    health.spend(HUB)
    health.spent(HUB, (0, 0.0))
    assert [health.spend(HUB) for _ in range(2)] == [True, False]
    assert health.ready_at(HUB) > hands.time


def test_the_end_of_the_next_window_counts_though_seconds_are_rounded(health: EndpointHealth, hands: Hands) -> None:
    health.spend(HUB)
    health.spent(HUB, (5, 1.0))
    hands.time += 0.5
    health.spend(HUB)
    health.spent(HUB, (0, 1.9))
    hands.time += 0.6
    assert not health.spend(HUB)


def test_a_request_that_died_may_have_been_counted(health: EndpointHealth) -> None:
    health.spend(HUB)
    health.spent(HUB, (2, 60.0))
    health.spend(HUB)
    health.spent(HUB, None)
    assert [health.spend(HUB) for _ in range(2)] == [True, False]


def test_a_hold_is_for_the_endpoint_not_for_its_signed_urls(health: EndpointHealth, hands: Hands) -> None:
    health.hold(HUB, 30.0)
    assert health.ready_at(HUB) == hands.time + 30
    assert health.bytes_ready_at(HUB) <= hands.time
    assert not health.spend(HUB)


def test_any_answer_makes_it_known_and_silence_does_not(health: EndpointHealth) -> None:
    health.failed(MIRROR, DOWN, 0.0)
    health.failed(MIRROR, errors.Stalled("mirror.example", 20.0), 0.0)
    assert not health.knows(MIRROR)
    health.failed(MIRROR, errors.ServerFault("mirror.example", 503), 0.0)
    assert health.knows(MIRROR)


def test_opinions_are_smoothed(health: EndpointHealth) -> None:
    health.began(MIRROR, 1.0)
    health.began(MIRROR, 2.0)
    assert health.latency(MIRROR) == pytest.approx(1.2)
    health.ran(MIRROR, 100.0)
    health.ran(MIRROR, 200.0)
    assert health.rate(MIRROR) == pytest.approx(130.0)
    assert health.ranges(MIRROR) is RangeSupport.UNKNOWN


# --- who crawls --------------------------------------------------------------------------------

FLOOR = 1000.0


def slow_after(health: EndpointHealth, hands: Hands, seconds: float, rates: dict[Endpoint, float]) -> list[Endpoint]:
    """Let endpoints send so many bytes a second for a while; who is called slow meanwhile."""
    named: list[Endpoint] = []
    for _ in range(round(seconds)):
        hands.time += 1.0
        for endpoint, rate in rates.items():
            if rate:
                health.sent(endpoint, int(rate))
        named += health.find_slow(list(rates), FLOOR)
    return named


def test_who_brings_next_to_nothing_is_asked_last_for_a_while(health: EndpointHealth, hands: Hands) -> None:
    health.sent(HUB, 1)
    assert slow_after(health, hands, 20, {MIRROR: 100}) == [MIRROR, MIRROR]  # it is still sending: once more
    assert health.is_slow(MIRROR)
    assert not health.is_slow(HUB)
    (told,) = health.news()
    assert "too slowly" in str(told)
    hands.time += 2 * SLOW_SECONDS
    assert not health.is_slow(MIRROR)


def test_a_second_time_is_longer(health: EndpointHealth, hands: Hands) -> None:
    for times in (1, 2, 4):
        health.find_slow([], FLOOR)
        assert slow_after(health, hands, CRAWL_SECONDS + 1, {MIRROR: 100}) == [MIRROR]
        hands.time += times * SLOW_SECONDS - 2
        assert health.is_slow(MIRROR)
        hands.time += 2
        assert not health.is_slow(MIRROR)


@pytest.mark.parametrize(
    ("rates", "slow"),
    [
        ({MIRROR: 2000}, False),
        ({MIRROR: 100, HUB: 500}, False),  # the line is slow
        ({MIRROR: 100, HUB: 5000}, True),
        ({MIRROR: 0}, True),
    ],
)
def test_slow_is_who_is_slower_than_others(
    health: EndpointHealth, hands: Hands, rates: dict[Endpoint, float], slow: bool
) -> None:
    slow_after(health, hands, CRAWL_SECONDS - 1, {HUB: rates.get(HUB, 0)} if HUB in rates else {})
    assert (MIRROR in slow_after(health, hands, 2 * CRAWL_SECONDS, rates)) is slow


def test_nobody_is_slow_where_nobody_else_can_be_asked(health: EndpointHealth, hands: Hands) -> None:
    for _ in range(10):
        health.failed(HUB, DOWN, began=hands.time)
        hands.time += 0.01
    health.hold(HUB, 10_000)
    assert slow_after(health, hands, 60, {MIRROR: 1}) == []
    alone = EndpointHealth([HUB], hands.now, Random(1))
    assert slow_after(alone, hands, 60, {HUB: 1}) == []


def test_for_who_never_answered_nobody_makes_way_again_and_again(health: EndpointHealth, hands: Hands) -> None:
    """A hub that is blocked seems free to be asked each time its rest is over."""
    slow_after(health, hands, CRAWL_SECONDS, {MIRROR: 100})
    health.failed(HUB, DOWN, began=hands.time)
    assert slow_after(health, hands, SLOW_SECONDS - 2, {MIRROR: 100}) == [MIRROR]


def test_a_pause_is_no_crawling(health: EndpointHealth, hands: Hands) -> None:
    """What was not to send has not been slow."""
    for _ in range(10):
        assert slow_after(health, hands, CRAWL_SECONDS - 2, {MIRROR: 100}) == []
        health.find_slow([], FLOOR)
