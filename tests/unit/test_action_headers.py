"""Which headers of an LFS action are sent."""

from __future__ import annotations

from typing import Any

import pytest

from hfclone.transfer.action_headers import action_headers
from tests.integration.test_named_by_servers import ALLOWED, FORBIDDEN


@pytest.mark.parametrize("name", ALLOWED)
def test_what_servers_ask_for_is_sent(name: str) -> None:
    assert action_headers({name: ALLOWED[name]}) == {name.lower(): ALLOWED[name]}
    assert action_headers({name.upper(): ALLOWED[name]}) == {name.lower(): ALLOWED[name]}


def test_what_could_frame_route_or_lead_elsewhere_is_not() -> None:
    assert action_headers({**FORBIDDEN, **ALLOWED}) == {name.lower(): value for name, value in ALLOWED.items()}


@pytest.mark.parametrize("named", [None, 5, True, "x", [], [["Accept", "x"]], {"Accept": None}, {"Accept": ["x"]}, {}])
def test_what_is_no_set_of_headers_is_none(named: Any) -> None:
    assert action_headers(named) == {}


def test_the_same_name_twice_means_neither() -> None:
    assert action_headers({"Authorization": "a", "authorization": "b", "Accept": "c"}) == {"accept": "c"}


def test_hundreds_of_headers_are_none() -> None:
    assert action_headers({f"x-amz-{number}": "1" for number in range(100)}) == {}
    assert action_headers({f"x-amz-{number}": "1" * 3000 for number in range(8)}) == {}
    assert len(action_headers({f"x-amz-{number}": "1" for number in range(9)})) == 9
