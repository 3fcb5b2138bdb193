"""Whatever lines and servers do: what can be had arrives, once, and what nobody has is given up."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hfclone.hub.endpoint import EndpointKind
from tests.simulation.lines import Line
from tests.simulation.run import Ran, Simulation
from tests.simulation.servers import Reach, Server

MB = 10**6
HEALS_BY = 60.0
GIVE_UP_AFTER = 120.0
"""Longer than any trouble here lasts."""
sizes = st.lists(st.one_of(st.integers(1, 50_000), st.integers(1, 6 * MB)), min_size=1, max_size=12)


@st.composite
def lines(draw: st.DrawFn) -> Line:
    start = draw(st.floats(0, 20))
    return Line(
        rate=draw(st.floats(0.3, 20)) * MB,
        trip=draw(st.floats(0.005, 0.5)),
        each=draw(st.sampled_from([math.inf, 0.2 * MB, 1.0 * MB])),
        loss=draw(st.sampled_from([0.0, 1e-4, 1e-3, 1e-2])),
        queue=draw(st.sampled_from([0.5, 1.0, 8.0])),
        hiccups=draw(st.sampled_from([0.0, 0.05])),
        dark=((start, start + draw(st.floats(1, HEALS_BY - 20))),) if draw(st.booleans()) else (),
        refuses_in_dark=draw(st.booleans()),
        reset_bytes=draw(st.sampled_from([math.inf, 0.7 * MB, 3.0 * MB])),
    )


@st.composite
def troubles(draw: st.DrawFn) -> dict[str, object]:
    """What is wrong with a server until it heals."""
    return {
        "reach": draw(st.sampled_from([Reach.ANSWERS, *Reach])),
        "reach_until": draw(st.floats(0, HEALS_BY)),
        "status": draw(st.sampled_from([0, 0, 429, 500, 503])),
        "status_share": draw(st.sampled_from([0.2, 1.0])),
        "status_until": draw(st.floats(0, HEALS_BY)),
        "retry_after": draw(st.sampled_from([None, 1.0, 20.0])),
        "has_ranges": draw(st.booleans()),
        "thinks": draw(st.sampled_from([0.0, 0.5, 2.0])),
    }


def a_server(name: str, line: Line, trouble: dict[str, object], kind: EndpointKind = EndpointKind.MIRROR) -> Server:
    """One without ranges whose connections never last for an object would never bring it."""
    return Server(name, line, kind, **{**trouble, "has_ranges": trouble["has_ranges"] or line.reset_bytes < math.inf})


@st.composite
def others(draw: st.DrawFn) -> list[Server]:
    """Mirrors that need not be right, or there at all."""
    servers = []
    for number in range(draw(st.integers(0, 2))):
        kind, k = draw(st.sampled_from(["sound", "lies", "lacks", "dead"])), draw(st.integers(1, 3))
        trouble = draw(troubles())
        if kind == "dead":
            trouble["reach_until"] = math.inf
        server = a_server(f"mirror{number}", draw(lines()), trouble)
        if kind == "lies":
            server.lies = lambda number, k=k: number % k == 0
        if kind == "lacks":
            server.lacks = lambda number, k=k: number % k == 0
        servers.append(server)
    return servers


def check_what_always_holds(simulation: Simulation, ran: Ran) -> None:
    settled = Counter(outcome.pointer.oid for outcome in ran.outcomes)
    assert settled == Counter(pointer.oid for pointer in simulation.objects)
    assert ran.unbroken, "patience ended a run that could go on"


@settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow])
@given(sizes=sizes, line=lines(), trouble=troubles(), mirrors=others(), seed=st.integers(0, 99))
def test_what_one_right_endpoint_has_arrives(sizes, line, trouble, mirrors, seed) -> None:
    servers = [*mirrors, a_server("hub", line, trouble, EndpointKind.HUB)]
    simulation = Simulation(
        servers, sizes, connections=16, seed=seed, patience=GIVE_UP_AFTER, first_answer=GIVE_UP_AFTER
    )
    ran = simulation.run()
    check_what_always_holds(simulation, ran)
    assert ran.arrived == len(sizes), [str(outcome) for outcome in ran.outcomes]


@settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow])
@given(sizes=sizes, line=lines(), mirrors=st.lists(lines(), max_size=2), k=st.integers(1, 3))
def test_what_nobody_has_is_given_up(sizes, line, mirrors, k) -> None:
    def lacks(number: int) -> bool:
        return number % k == 0

    servers = [Server(f"mirror{number}", line, lacks=lacks) for number, line in enumerate(mirrors)]
    servers.append(Server("hub", line, EndpointKind.HUB, lacks=lacks))
    simulation = Simulation(servers, sizes, connections=16, patience=GIVE_UP_AFTER)
    ran = simulation.run()
    check_what_always_holds(simulation, ran)
    assert ran.arrived == sum(not lacks(number) for number in range(len(sizes)))


@pytest.mark.parametrize("seed", range(1, 4))
def test_an_answer_that_is_given_up_while_others_are_compared_does_not_end_all(seed: int) -> None:
    """What the liar sent is compared with two others' bytes; the last of these answers is not waited for."""
    line = Line(MB, 0.5, queue=0.5)
    servers = [
        Server("liar", line, lies=lambda _number: True, has_ranges=False),
        Server("mirror", line, has_ranges=False),
        Server("hub", line, EndpointKind.HUB, has_ranges=False, thinks=2.0),
    ]
    ran = Simulation(servers, [262_145], seed=seed, patience=GIVE_UP_AFTER).run()
    assert ran.arrived == 1
