"""What is remembered of endpoints, and for how long."""

from __future__ import annotations

from random import Random

import pytest

from hfclone import errors
from hfclone.endpoints import Endpoint, EndpointKind
from hfclone.health import CRAWL_SECONDS, FILES, PROBE_AGAIN, SLOW_SECONDS, Board, RangeSupport

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
def board(hands: Hands) -> Board:
    return Board([HUB, MIRROR], hands.now, Random(1))


def test_mirrors_come_first(board: Board) -> None:
    assert list(board.endpoints) == [MIRROR, HUB]


def test_failures_that_were_under_way_together_count_once(board: Board, hands: Hands) -> None:
    first = board.failed(MIRROR, DOWN, began=999.0)
    hands.time += 0.01
    assert board.failed(MIRROR, DOWN, began=999.5) <= first
    hands.time += 20
    assert board.failed(MIRROR, DOWN, began=1010.0) > first


def test_two_failures_are_forgiven_who_answered(board: Board, hands: Hands) -> None:
    board.sent(MIRROR, 1)
    assert board.failed(MIRROR, DOWN, began=hands.time) == 0.0
    hands.time += 1
    assert board.failed(MIRROR, DOWN, began=hands.time) == 0.0
    hands.time += 1
    assert board.failed(MIRROR, DOWN, began=hands.time) > 0.0


def test_a_lack_is_forgotten_after_a_while_and_told_once(board: Board, hands: Hands) -> None:
    board.note_lack(MIRROR, "LFS batch", "404")
    board.note_lack(MIRROR, "LFS batch", "404")
    assert board.lacks(MIRROR, "LFS batch")
    assert [(event.what, event.reason) for event in board.news()] == [("LFS batch", "404")]
    assert board.news() == []
    hands.time += PROBE_AGAIN
    assert not board.lacks(MIRROR, "LFS batch")


def test_a_liar_is_left_alone_only_where_there_are_others(board: Board) -> None:
    lie = errors.WrongBytes("mirror.example", "ab" * 32)
    board.lied(MIRROR, lie)
    assert not board.lacks(MIRROR, FILES)
    board.lied(MIRROR, lie)
    assert board.lacks(MIRROR, FILES)
    for _ in range(5):
        board.lied(HUB, lie)
    assert not board.lacks(HUB, FILES)
    assert board.lies() == {"mirror.example": 2, "hub.example": 5}


def test_a_limit_is_counted_down_with_requests_under_way(board: Board, hands: Hands) -> None:
    assert board.spend(HUB)
    board.spent(HUB, (2, 60.0))
    assert board.spend(HUB)
    assert board.spend(HUB)
    assert not board.spend(HUB)
    assert board.ready_at(HUB) == hands.time + 60
    assert board.bytes_ready_at(HUB) <= hands.time
    board.spent(HUB, (1, 60.0))  # late, and of the first of the two
    assert not board.spend(HUB)
    board.spent(HUB, (0, 60.0))
    assert not board.spend(HUB)
    hands.time += 60
    assert board.spend(HUB)


def test_answers_that_overtake_each_other_do_not_give_requests_back(board: Board) -> None:
    for _ in range(2):
        board.spend(HUB)
    board.spent(HUB, (3, 60.0))
    board.spent(HUB, (4, 60.0))
    assert [board.spend(HUB) for _ in range(4)] == [True, True, True, False]


def test_until_a_windows_first_answer_no_more_are_under_way_than_one_ever_allowed(board: Board, hands: Hands) -> None:
    board.spend(HUB)
    board.spent(HUB, (2, 60.0))
    hands.time += 60
    assert [board.spend(HUB) for _ in range(4)] == [True, True, True, False]
    assert board.ready_at(HUB) > hands.time  # else who asks for work would be sent here again and again
    board.spent(HUB, None)  # a broken connection says nothing of the window
    assert board.ready_at(HUB) <= hands.time
    assert board.spend(HUB)
    board.spent(HUB, (2, 60.0))
    assert not board.spend(HUB)
    for left in (1, 0):
        board.spent(HUB, (left, 60.0))
    assert not board.spend(HUB)
    assert board.ready_at(HUB) == hands.time + 60


def test_a_window_that_has_no_length_makes_no_hot_loop(board: Board, hands: Hands) -> None:
    board.spend(HUB)
    board.spent(HUB, (0, 0.0))
    assert [board.spend(HUB) for _ in range(2)] == [True, False]
    assert board.ready_at(HUB) > hands.time


def test_the_end_of_the_next_window_counts_though_seconds_are_rounded(board: Board, hands: Hands) -> None:
    board.spend(HUB)
    board.spent(HUB, (5, 1.0))
    hands.time += 0.5
    board.spend(HUB)
    board.spent(HUB, (0, 1.9))
    hands.time += 0.6
    assert not board.spend(HUB)


def test_a_request_that_died_may_have_been_counted(board: Board) -> None:
    board.spend(HUB)
    board.spent(HUB, (2, 60.0))
    board.spend(HUB)
    board.spent(HUB, None)
    assert [board.spend(HUB) for _ in range(2)] == [True, False]


def test_a_hold_is_for_the_endpoint_not_for_its_signed_urls(board: Board, hands: Hands) -> None:
    board.hold(HUB, 30.0)
    assert board.ready_at(HUB) == hands.time + 30
    assert board.bytes_ready_at(HUB) <= hands.time
    assert not board.spend(HUB)


def test_any_answer_makes_it_known_and_silence_does_not(board: Board) -> None:
    board.failed(MIRROR, DOWN, 0.0)
    board.failed(MIRROR, errors.Stalled("mirror.example", 20.0), 0.0)
    assert not board.knows(MIRROR)
    board.failed(MIRROR, errors.ServerFault("mirror.example", 503), 0.0)
    assert board.knows(MIRROR)


def test_opinions_are_smoothed(board: Board) -> None:
    board.began(MIRROR, 1.0)
    board.began(MIRROR, 2.0)
    assert board.latency(MIRROR) == pytest.approx(1.2)
    board.ran(MIRROR, 100.0)
    board.ran(MIRROR, 200.0)
    assert board.rate(MIRROR) == pytest.approx(130.0)
    assert board.ranges(MIRROR) is RangeSupport.UNKNOWN


# --- who crawls --------------------------------------------------------------------------------

FLOOR = 1000.0


def slow_after(board: Board, hands: Hands, seconds: float, rates: dict[Endpoint, float]) -> list[Endpoint]:
    """Let endpoints send so many bytes a second for a while; who is called slow meanwhile."""
    named: list[Endpoint] = []
    for _ in range(round(seconds)):
        hands.time += 1.0
        for endpoint, rate in rates.items():
            if rate:
                board.sent(endpoint, int(rate))
        named += board.find_slow(list(rates), FLOOR)
    return named


def test_who_brings_next_to_nothing_is_asked_last_for_a_while(board: Board, hands: Hands) -> None:
    board.sent(HUB, 1)
    assert slow_after(board, hands, 20, {MIRROR: 100}) == [MIRROR, MIRROR]  # it is still sending: once more
    assert board.is_slow(MIRROR)
    assert not board.is_slow(HUB)
    (told,) = board.news()
    assert "too slowly" in str(told)
    hands.time += 2 * SLOW_SECONDS
    assert not board.is_slow(MIRROR)


def test_a_second_time_is_longer(board: Board, hands: Hands) -> None:
    for times in (1, 2, 4):
        board.find_slow([], FLOOR)
        assert slow_after(board, hands, CRAWL_SECONDS + 1, {MIRROR: 100}) == [MIRROR]
        hands.time += times * SLOW_SECONDS - 2
        assert board.is_slow(MIRROR)
        hands.time += 2
        assert not board.is_slow(MIRROR)


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
    board: Board, hands: Hands, rates: dict[Endpoint, float], slow: bool
) -> None:
    slow_after(board, hands, CRAWL_SECONDS - 1, {HUB: rates.get(HUB, 0)} if HUB in rates else {})
    assert (MIRROR in slow_after(board, hands, 2 * CRAWL_SECONDS, rates)) is slow


def test_nobody_is_slow_where_nobody_else_can_be_asked(board: Board, hands: Hands) -> None:
    for _ in range(10):
        board.failed(HUB, DOWN, began=hands.time)
        hands.time += 0.01
    board.hold(HUB, 10_000)
    assert slow_after(board, hands, 60, {MIRROR: 1}) == []
    alone = Board([HUB], hands.now, Random(1))
    assert slow_after(alone, hands, 60, {HUB: 1}) == []


def test_for_who_never_answered_nobody_makes_way_again_and_again(board: Board, hands: Hands) -> None:
    """A hub that is blocked seems free to be asked each time its rest is over."""
    slow_after(board, hands, CRAWL_SECONDS, {MIRROR: 100})
    board.failed(HUB, DOWN, began=hands.time)
    assert slow_after(board, hands, SLOW_SECONDS - 2, {MIRROR: 100}) == [MIRROR]


def test_a_pause_is_no_crawling(board: Board, hands: Hands) -> None:
    """What was not to send has not been slow."""
    for _ in range(10):
        assert slow_after(board, hands, CRAWL_SECONDS - 2, {MIRROR: 100}) == []
        board.find_slow([], FLOOR)
