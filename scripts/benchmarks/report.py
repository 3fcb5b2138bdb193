"""Medians, ratios pair by pair, and goals, as a table and as JSON."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from .goals import GOALS, Goal
from .measure import Usage

__all__ = ["case_data", "lines"]

MB = 1_000_000
MEASURES = ("wall", "cpu", "peak", "sent")

Runs = Mapping[str, Sequence[Usage]]


def case_data(case: str, about: str, size: int, runs: Runs) -> dict[str, Any]:
    """What the JSON says of a case; ``runs`` of each tool in the order of the rounds, ``size`` in bytes."""
    tools = {
        tool: {
            "median": {name: statistics.median(getattr(usage, name) for usage in usages) for name in MEASURES},
            "runs": [asdict(usage) for usage in usages],
        }
        for tool, usages in runs.items()
    }
    ratios = {
        tool: {name: _ratio(runs["hfclone"], usages, name) for name in ("wall", "cpu")}
        for tool, usages in runs.items()
        if "hfclone" in runs and tool != "hfclone"
    }
    goals = [found for goal in GOALS if goal.case == case and (found := _judged(goal, size, runs))]
    return {"case": case, "about": about, "bytes": size, "tools": tools, "ratios": ratios, "goals": goals}


def _ratio(ours: Sequence[Usage], theirs: Sequence[Usage], measure: str) -> float | None:
    """The median of the ratios of each round."""
    pairs = [(getattr(a, measure), getattr(b, measure)) for a, b in zip(ours, theirs, strict=False)]
    return statistics.median(a / b for a, b in pairs if b) if any(b for _, b in pairs) else None


def _judged(goal: Goal, size: int, runs: Runs) -> dict[str, Any] | None:
    """A goal and what came of it; ``None`` if one of its tools did not run."""
    if goal.of not in runs or (goal.to and goal.to not in runs):
        return None
    if goal.to:
        value = _ratio(runs[goal.of], runs[goal.to], goal.measure)
    else:
        value = statistics.median(getattr(usage, goal.measure) for usage in runs[goal.of])
        if goal.measure == "sent":
            value /= size
    if value is None:
        return None
    return {"goal": goal.text, "limit": goal.limit, "value": value, "met": value <= goal.limit}


def lines(data: Mapping[str, Any]) -> Iterator[str]:
    """A case as Markdown tables."""
    yield f"### {data['case']}: {data['about']}"
    yield ""
    yield "| tool | wall s | CPU s | peak MB | sent MB | hfclone's wall / its | hfclone's CPU / its |"
    yield "|---|---|---|---|---|---|---|"
    for tool, row in data["tools"].items():
        median, ratio = row["median"], data["ratios"].get(tool, {})
        yield (
            f"| {tool} | {median['wall']:.2f} | {median['cpu']:.2f} | {median['peak'] / MB:.0f} "
            f"| {median['sent'] / MB:.1f} | {_number(ratio.get('wall'))} | {_number(ratio.get('cpu'))} |"
        )
    yield ""
    if data["goals"]:
        yield "| goal | at most | measured | |"
        yield "|---|---|---|---|"
        for goal in data["goals"]:
            scale, unit = (MB, " MB") if goal["goal"] == "peak" else (1, "")
            met = "met" if goal["met"] else "**missed**"
            yield f"| {goal['goal']} | {goal['limit'] / scale:g}{unit} | {goal['value'] / scale:.3g}{unit} | {met} |"
        yield ""


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
