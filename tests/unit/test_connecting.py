"""Whom of a host's addresses one connects to, and when (RFC 8305)."""

from __future__ import annotations

import socket

import pytest

from hfclone.http.connecting import Found, Starts, in_order

FOUR, SIX = socket.AF_INET, socket.AF_INET6


def of(name: str) -> Found:
    """An address by its name: a letter for its family, and a number."""
    return (SIX if name[0] == "s" else FOUR), (name, 443)


@pytest.mark.parametrize(
    ("given", "first", "wanted"),
    [
        ("", "", ""),
        ("f1", "", "f1"),
        ("s1 f1", "", "s1 f1"),
        ("s1 s2 s3 f1 f2", "", "s1 f1 s2 f2 s3"),
        ("f1 f2 s1", "", "f1 s1 f2"),
        ("s1 s1 f1 f1", "", "s1 f1"),
        ("s1 s2 f1 f2", "f2", "f2 s1 f1 s2"),
        ("s1 s2 f1", "s2", "s2 f1 s1"),
        ("s1 f1", "f9", "s1 f1"),  # the name leads elsewhere by now
    ],
)
def test_families_take_turns(given: str, first: str, wanted: str) -> None:
    known = of(first) if first else None
    assert in_order([of(name) for name in given.split()], known) == [of(name) for name in wanted.split()]


@pytest.mark.parametrize(
    ("number", "usual", "refusals", "wanted"),
    [
        (1, 0.0, [], [0.0]),
        (3, 0.0, [], [0.0, 0.25, 0.5]),
        (3, 0.05, [], [0.0, 0.25, 0.5]),
        (3, 0.2, [], [0.0, 0.6, 0.85]),  # it takes that long when all is well
        (3, 5.0, [], [0.0, 2.0, 2.25]),
        (3, 0.0, [0.1], [0.0, 0.1, 0.35]),  # who says no is not waited for
        (3, 0.2, [0.1, 0.2], [0.0, 0.1, 0.2]),
    ],
)
def test_when_each_is_tried(number: int, usual: float, refusals: list[float], wanted: list[float]) -> None:
    starts, began, now = Starts(number, 10.0, usual), [], 0.0
    while not starts.is_over:
        while refusals and refusals[0] <= now:
            refusals.pop(0)
            starts.failed()
        if (taken := starts.take(now)) is not None:
            assert taken == len(began)
            began.append(round(now, 6))
        else:
            now = min([now + starts.left(now), *refusals])
    assert began == wanted
    assert starts.take(now) is None
    assert starts.left(now) == pytest.approx(10.0 - now)  # nothing but the end
    assert not starts.is_late(9.9)
    assert starts.is_late(10.0)
