"""The only retry rules: total over all errors, growing and bounded waits, an end when nothing comes."""

from __future__ import annotations

import dataclasses
import inspect
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfclone import errors
from hfclone.retry import FIRST_WAIT, LONGEST_WAIT, Backoff, Clock, Patience, Verdict, is_final, judge

ALL = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, errors.HfcloneError)]


class Hands:
    def __init__(self) -> None:
        self.time = 100.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds

    @property
    def clock(self) -> Clock:
        return Clock(lambda: self.time, self.sleep)


def example(kind: type[errors.HfcloneError]) -> errors.HfcloneError:
    values = {"int": 1, "float": 1.0, "float | None": None, "bool": False}
    fields = dataclasses.fields(kind) if dataclasses.is_dataclass(kind) else ()
    return kind(*[values.get(str(f.type), () if "tuple" in str(f.type) else "x") for f in fields])


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_every_error_has_a_verdict(kind: type[errors.HfcloneError]) -> None:
    assert isinstance(judge(example(kind)), Verdict)


@pytest.mark.parametrize(
    ("kind", "verdict"),
    [
        (errors.Truncated, Verdict.AGAIN),
        (errors.Stalled, Verdict.AGAIN),
        (errors.ServerFault, Verdict.AGAIN),
        (errors.RateLimited, Verdict.AGAIN),
        (errors.NotTheObject, Verdict.AGAIN),
        (errors.OtherFile, Verdict.AGAIN),
        (errors.Unreachable, Verdict.AGAIN),
        (errors.DiskFull, Verdict.AGAIN),
        (errors.UrlExpired, Verdict.REFRESH),
        (errors.ObjectMissing, Verdict.ELSEWHERE),
        (errors.ObjectRefused, Verdict.ELSEWHERE),
        (errors.LfsRefused, Verdict.ELSEWHERE),
        (errors.AccessDenied, Verdict.ELSEWHERE),
        (errors.HashMismatch, Verdict.ELSEWHERE),
        (errors.CannotWrite, Verdict.STOP),
        (errors.CannotRead, Verdict.STOP),
        (errors.UnsafePath, Verdict.STOP),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_verdicts(kind: type[errors.HfcloneError], verdict: Verdict) -> None:
    assert judge(example(kind)) is verdict


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 406, 409, 410, 413, 422, 451, 499, 501])
def test_a_no_that_stays(status: int) -> None:
    assert is_final(status)


@pytest.mark.parametrize("status", [200, 206, 301, 399, 407, 408, 425, 429, 500, 502, 503, 504, 507, 511])
def test_what_may_pass(status: int) -> None:
    assert not is_final(status)


@given(st.integers(0, 2**32), st.integers(1, 60))
def test_waits_grow_with_jitter_and_are_bounded(seed: int, failures: int) -> None:
    backoff = Backoff(Random(seed))
    waits = [backoff.fail(0.0) for _ in range(failures)]
    for number, wait in enumerate(waits):
        longest = min(LONGEST_WAIT, FIRST_WAIT * 2**number)
        assert longest / 2 <= wait <= longest
    backoff.succeed()
    assert backoff.fail(0.0) <= FIRST_WAIT


@given(st.floats(0, 3600))
def test_what_the_server_asks_for_is_kept(asked: float) -> None:
    backoff = Backoff(Random(1))
    assert asked <= backoff.fail(50.0, asked) <= asked + 0.25
    assert backoff.ready_at >= 50.0 + asked


def test_patience_counts_from_the_last_byte() -> None:
    hands = Hands()
    patience = Patience(60.0, 10.0, hands.clock)
    hands.time += 9
    assert not patience.exhausted
    patience.progress()
    hands.time += 59
    assert not patience.exhausted
    hands.time += 1
    assert patience.exhausted


def test_until_something_answers_the_limit_is_short() -> None:
    hands = Hands()
    patience = Patience(3600.0, 10.0, hands.clock)
    hands.time += 10
    assert patience.exhausted


def test_an_answer_is_no_progress_later_on() -> None:
    hands = Hands()
    patience = Patience(60.0, 10.0, hands.clock)
    patience.answered()
    hands.time += 59
    patience.answered()
    hands.time += 1
    assert patience.exhausted


def test_never_is_never() -> None:
    hands = Hands()
    patience = Patience(None, None, hands.clock)
    hands.time += 10**9
    assert not patience.exhausted
    assert patience.remaining is None


def test_time_of_our_own_choosing_does_not_count() -> None:
    hands = Hands()
    patience = Patience(60.0, 10.0, hands.clock)
    hands.time += 9
    patience.postpone()
    hands.time += 9
    assert not patience.exhausted


def test_persist_waits_says_so_and_goes_on() -> None:
    hands = Hands()
    said: list[float] = []
    answers = iter([errors.Unreachable("h", "x"), errors.ServerFault("h", 503, 7.0), None])

    def attempt() -> str:
        error = next(answers)
        if error:
            raise error
        return "done"

    patience = Patience(60.0, 60.0, hands.clock)
    assert patience.persist(attempt, rng=Random(1), on_wait=lambda wait, _error: said.append(wait)) == "done"
    first = hands.slept[0]
    assert said[0] == first
    assert said[1:] == pytest.approx([said[1] - passed for passed in range(len(said) - 1)])  # counted down
    assert sum(hands.slept) == pytest.approx(first + said[1])
    assert said[1] >= 7.0


def test_persist_raises_what_is_final_at_once_and_the_last_when_patience_ends() -> None:
    hands = Hands()
    patience = Patience(60.0, 20.0, hands.clock)

    def missing() -> None:
        raise errors.ObjectMissing("o", "h")

    def down() -> None:
        raise errors.Unreachable("h", "x")

    with pytest.raises(errors.ObjectMissing):
        patience.persist(missing, rng=Random(1), on_wait=lambda _wait, _error: None)
    assert hands.slept == []
    with pytest.raises(errors.Unreachable):
        patience.persist(down, rng=Random(1), on_wait=lambda _wait, _error: None)
    assert sum(hands.slept) <= 20
