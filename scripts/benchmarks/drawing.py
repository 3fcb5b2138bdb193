"""Draws the bench's lines as one SVG that is legible on a light and on a dark page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["picture"]

ROW, LEFT, WIDTH, TOP, RIGHT = 26, 130, 560, 46, 50
SHAPES = {
    "hfclone": '<circle cx="{x}" cy="{y}" r="6" class="own"/>',
    "aria2c": '<rect x="{a}" y="{b}" width="9" height="9" class="other"/>',
    "hf": '<path d="M{x} {b} l5.5 9 h-11 z" class="other"/>',
    "git lfs": '<path d="M{x} {b} l5 4.5 l-5 4.5 l-5 -4.5 z" class="other"/>',
}
STYLE = """
text { font: 12px sans-serif; fill: #1f2328; }
.own { fill: #0969da; } .other { fill: none; stroke: #59636e; stroke-width: 1.6; }
.rule { stroke: #d1d9e0; } .faint { fill: #59636e; }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc; } .own { fill: #58a6ff; } .other { stroke: #9198a1; } .rule { stroke: #3d444d; }
  .faint { fill: #9198a1; }
}
"""


def picture(rows: Sequence[dict[str, Any]], most: float) -> str:
    """Wall over the ideal of each line and tool; what takes ``most`` times the ideal or longer stands at the edge."""
    places = list(dict.fromkeys((row["profile"], row["sender"]) for row in rows))
    height = TOP + ROW * len(places) + 12
    body = [_legend(), *_scale(most, height)]
    for at, (name, sender) in enumerate(places):
        y = TOP + ROW * at + ROW // 2
        body.append(f'<text x="{LEFT - 14}" y="{y + 4}" text-anchor="end">{name}, {sender}</text>')
        for row in rows:
            if (row["profile"], row["sender"]) == (name, sender) and row["tool"] in SHAPES:
                wall = min(row["wall"], most) if row["done"] else most
                body.append(_mark(row["tool"], _x(wall, most), y))
    size = f'width="{LEFT + WIDTH + RIGHT}" height="{height}"'
    title = "<title>Wall time over the least that the line allows, by line and tool; left is better</title>"
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">'
    return "\n".join([head, title, f"<style>{STYLE}</style>", *body, "</svg>", ""])


def _x(wall: float, most: float) -> float:
    return round(LEFT + WIDTH * (wall - 1) / (most - 1), 1)


def _mark(tool: str, x: float, y: float) -> str:
    return SHAPES[tool].format(x=x, y=y, a=x - 4.5, b=y - 4.5)


def _legend() -> str:
    parts, x = [], LEFT
    for tool in SHAPES:
        parts.append(_mark(tool, x, 12) + f'<text x="{x + 11}" y="16">{tool}</text>')
        x += 100
    return "".join(parts)


def _scale(most: float, height: int) -> list[str]:
    marks = []
    for wall in range(1, int(most) + 1):
        x = _x(wall, most)
        label = f"{wall}" if wall < most else f"{wall} or more"
        marks.append(f'<line x1="{x}" y1="{TOP - 8}" x2="{x}" y2="{height - 8}" class="rule"/>')
        marks.append(f'<text x="{x}" y="{TOP - 12}" text-anchor="middle" class="faint">{label}</text>')
    return marks
