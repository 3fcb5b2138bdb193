"""Facts as text for people: sizes, times, names, and the lines that every view says alike. Pure.

Sizes are decimal (1 kB is 1000 bytes), as hubs and disk makers write them.
"""

from __future__ import annotations

import unicodedata

from hfclone.events import Pinned, Report, Reused, Shared, Waiting
from hfclone.plan import Plan

__all__ = [
    "columns",
    "count_of",
    "cut",
    "fit",
    "missing_line",
    "pinned_line",
    "plan_lines",
    "report_lines",
    "reused_line",
    "show_duration",
    "show_rate",
    "show_size",
    "show_text",
    "waiting_line",
]

_UNITS = ("kB", "MB", "GB", "TB", "PB")


def show_size(count: float) -> str:
    """Three significant digits: ``512 B``, ``1.23 MB``, ``45.6 GB``."""
    if count < 999.5:
        return f"{count:.0f} B"
    for unit in _UNITS:
        count /= 1000
        if count < 999.5 or unit == _UNITS[-1]:
            break
    return f"{count:.{2 if count < 9.995 else 1 if count < 99.95 else 0}f} {unit}"


def show_rate(rate: float) -> str:
    """Bytes a second."""
    return f"{show_size(rate)}/s"


def show_duration(seconds: float) -> str:
    """The two largest units: ``12 s``, ``3 min 20 s``, ``2 h 5 min``, ``3 d 4 h``."""
    whole = max(0, round(seconds))
    for size, unit, part, lesser in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // part
            return f"{whole // size} {unit}" + (f" {rest} {lesser}" if rest else "")
    return f"{whole} s"


def show_text(text: str) -> str:
    """``text`` in one line; control and format characters, and bytes that are no text, as escapes."""
    return "".join(_escaped(char) for char in text)


def _escaped(char: str) -> str:
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that was no UTF-8 (surrogateescape)
        return f"\\x{code - 0xDC00:02x}"
    if char == " " or char.isprintable():
        return char
    return char.encode("unicode_escape", "backslashreplace").decode("ascii")


def fit(text: str, width: int) -> str:
    """``text`` in exactly ``width`` columns; what is too long keeps its end, where shards differ."""
    taken = columns(text)
    if taken <= width:
        return text + " " * (width - taken)
    mark = "..." if width > 8 else ""
    room, start = width - len(mark), len(text)
    while start > 0 and _columns_of(text[start - 1]) <= room:
        start -= 1
        room -= _columns_of(text[start])
    return mark + text[start:] + " " * room


def cut(text: str, width: int) -> str:
    """The beginning of ``text`` in at most ``width`` columns."""
    for index, char in enumerate(text):
        width -= _columns_of(char)
        if width < 0:
            return text[:index]
    return text


def columns(text: str) -> int:
    """How wide a terminal shows ``text``."""
    return sum(map(_columns_of, text))


def _columns_of(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "FW" else 1


def pinned_line(event: Pinned) -> str:
    """Which commit, and who said so."""
    asked = event.revision or "the default branch"
    who = f" ({asked}, says {event.endpoint})" if event.endpoint else " (as given)"
    return show_text(f"{event.pin.repo} at commit {event.pin.commit}{who}")


def plan_lines(plan: Plan) -> tuple[str, ...]:
    """What will be fetched, and whether the disk has room."""
    left_out = f" ({plan.unselected:,} more stay as pointers)" if plan.unselected else ""
    return (
        f"{count_of(plan.objects, 'large object')}, {show_size(plan.total_bytes)}{left_out}",
        (
            f"to fetch: {show_size(plan.fetch_bytes)} in {count_of(len(plan.missing), 'object')}"
            f"; here: {show_size(plan.here_bytes)}"
        ),
        f"disk: {show_size(plan.need_bytes)} needed, {show_size(plan.free)} free",
    )


def missing_line(plan: Plan) -> str:
    """What is looked for, where nothing is fetched."""
    missing = f"{show_size(plan.fetch_bytes)} in {count_of(len(plan.missing), 'object')}"
    return f"{count_of(plan.objects, 'large object')}, {show_size(plan.total_bytes)}; missing: {missing}"


def reused_line(event: Reused) -> str:
    """What need not be fetched."""
    return show_text(f"reused {count_of(event.objects, 'object')}, {show_size(event.size)}, from {event.place}")


def waiting_line(event: Waiting) -> str:
    """For what, until when, and that nothing is lost by stopping."""
    end = "never gives up" if event.gives_up_in is None else f"gives up in {show_duration(event.gives_up_in)}"
    return show_text(f"waiting {show_duration(max(1.0, event.seconds))}: {event.reason}; {end}; Ctrl-C is safe")


def shared_line(event: Shared) -> str:
    """What another tool finds now, and what that took of the disk."""
    lacking = f" ({event.lacking:,} are not here)" if event.lacking else ""
    way = f", large files by {event.way}" if event.way else ""
    took = f"{show_size(event.disk_bytes)} of disk{way}"
    return show_text(f"{event.form}: {count_of(event.files, 'file')}{lacking} in {event.path}; took {took}")


def report_lines(report: Report) -> tuple[str, ...]:
    """How the run ended."""
    left_out = f"; {report.unselected:,} stay as pointers" if report.unselected else ""
    return (
        f"done: {report.pin.repo} at commit {report.pin.commit}",
        f"{count_of(report.objects, 'object')} verified and in place{left_out}",
        (
            f"fetched {show_size(report.fetched_bytes)}, reused {show_size(report.reused_bytes)}"
            f", in {show_duration(report.seconds)}"
        ),
        *(
            show_text(f"  {tally.endpoint}: {show_size(tally.sent)}, {count_of(tally.failures, 'failure')}")
            for tally in report.endpoints
            if tally.sent or tally.failures
        ),
        f"checkout: {show_text(str(report.path))}",
    )


def count_of(number: int, noun: str) -> str:
    """``1 object``, ``1,200 objects``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
