"""How much work the rules do for each object, by the lines of ours that run: as much among many as among few."""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

from tests.simulation.lines import Line
from tests.simulation.run import Simulation
from tests.simulation.servers import Server

SETTLED = 30


def lines_run(endpoints: int, objects: int) -> float:
    """For each of the first objects."""
    servers = [Server(f"m{number}", Line(1e8, 0.05)) for number in range(endpoints)]
    simulation, count = Simulation(servers, [1000] * objects), 0

    def on_line(_frame: FrameType, event: str, _argument: Any) -> Any:
        nonlocal count
        count += event == "line"
        return on_line

    def on_call(frame: FrameType, _event: str, _argument: Any) -> Any:
        return on_line if "/hfclone/" in frame.f_code.co_filename else None

    before = sys.gettrace()
    sys.settrace(on_call)
    try:
        ran = simulation.run(SETTLED)
    finally:
        sys.settrace(before)
    return count / len(ran.outcomes)


def test_an_object_costs_as_much_among_many() -> None:
    assert lines_run(1, 30_000) <= 1.05 * lines_run(1, 1000)


def test_an_object_costs_as_much_with_many_endpoints() -> None:
    assert lines_run(1000, 1000) <= 1.2 * lines_run(100, 1000)
