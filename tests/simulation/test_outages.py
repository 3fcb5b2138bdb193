"""What a line that goes away and comes back costs: its outage, and next to nothing beyond."""

from __future__ import annotations

import pytest

from tests.simulation.lines import Line
from tests.simulation.run import Ran, Simulation
from tests.simulation.servers import Server

MB = 1e6
DARK = (10.0, 35.0)


def ran_through_the_dark(line: Line) -> Ran:
    size = int(line.rate * 16)
    return Simulation([Server("one", line)], [size // 2, *[size // 8] * 3, *[size // 8 // 24] * 24]).run()


@pytest.mark.parametrize("refuses", [False, True])
@pytest.mark.parametrize(
    ("rate", "trip", "loss"), [(2 * MB, 0.03, 0.0), (20 * MB, 0.12, 0.0), (2 * MB, 0.3, 1e-3), (20 * MB, 0.3, 0.0)]
)
def test_bytes_flow_soon_after_an_outage(rate: float, trip: float, loss: float, refuses: bool) -> None:
    ran = ran_through_the_dark(Line(rate, trip, loss=loss, dark=(DARK,), refuses_in_dark=refuses))
    assert ran.arrived == len(ran.outcomes)
    assert ran.first_byte_after(DARK[1]) <= 3.0
    assert ran.over <= 1.02


@pytest.mark.parametrize("refuses", [False, True])
def test_an_outage_is_no_reason_to_ask_for_less(refuses: bool) -> None:
    """Answers that the outage broke say nothing of how long an answer may be: the line is as fast as before."""
    light, dark = Line(20 * MB, 0.3), Line(20 * MB, 0.3, dark=(DARK,), refuses_in_dark=refuses)
    assert ran_through_the_dark(dark).seconds <= ran_through_the_dark(light).seconds + DARK[1] - DARK[0] + 5.0
