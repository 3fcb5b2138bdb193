"""Facts as text for people: sizes, times, names, and the lines that every view says alike. Pure.

The sentences stand in ``hfclone.wording``. Sizes are decimal (1 kB is 1000 bytes), as hubs and disk makers
write them.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

from hfclone.events import EndpointTally, Pinned, Report, Reused, Shared, Waiting, Working
from hfclone.paths import show_path
from hfclone.plan import Plan
from hfclone.wording import counted, line, measured

__all__ = [
    "columns",
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
    "working_line",
]

_KEPT_SHOWN = 3
"""Paths of kept files in the report's line; 'hfclone verify' and JSON have them all."""

_UNITS = ("kB", "MB", "GB", "TB", "PB")


def show_size(count: float) -> str:
    """Three significant digits: ``512 B``, ``1.23 MB``, ``45.6 GB``."""
    if count < 999.5:
        return measured(f"{count:.0f}", "B")
    for unit in _UNITS:
        count /= 1000
        if count < 999.5 or unit == _UNITS[-1]:
            break
    return measured(f"{count:.{2 if count < 9.995 else 1 if count < 99.95 else 0}f}", unit)


def show_rate(rate: float) -> str:
    """Bytes a second."""
    return measured(show_size(rate), "rate")


def show_duration(seconds: float) -> str:
    """The two largest units: ``12 s``, ``3 min 20 s``, ``2 h 5 min``, ``3 d 4 h``."""
    whole = max(0, round(seconds))
    for size, unit, part, lesser in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // part
            first = measured(f"{whole // size}", unit)
            return f"{first} {measured(str(rest), lesser)}" if rest else first
    return measured(str(whole), "s")


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
    repo, commit = event.pin.repo, event.pin.commit
    if not event.endpoint:
        return show_text(line("pinned given", repo=repo, commit=commit))
    fields = {"repo": repo, "commit": commit, "revision": event.revision, "endpoint": event.endpoint}
    return show_text(line("pinned" if event.revision else "pinned default", **fields))


def plan_lines(plan: Plan) -> tuple[str, ...]:
    """What will be fetched, and whether the disk has room."""
    objects, size = counted("large object", plan.objects), show_size(plan.total_bytes)
    fetch = {"size": show_size(plan.fetch_bytes), "objects": counted("object", len(plan.missing))}
    return (
        line("plan partly" if plan.unselected else "plan", objects=objects, size=size, unselected=plan.unselected),
        line("plan fetch", **fetch, here=show_size(plan.here_bytes)),
        _disk_line(plan),
    )


def _disk_line(plan: Plan) -> str:
    need = show_size(plan.need_bytes)
    if plan.free is None:
        return line("plan disk unknown", need=need)
    return line("plan disk", need=need, free=show_size(plan.free))


def missing_line(plan: Plan) -> str:
    """What is looked for, where nothing is fetched."""
    objects, size = counted("large object", plan.objects), show_size(plan.total_bytes)
    missing, lacking = show_size(plan.fetch_bytes), counted("object", len(plan.missing))
    return line("plan missing", objects=objects, size=size, missing=missing, lacking=lacking)


def reused_line(event: Reused) -> str:
    """What need not be fetched."""
    objects, size = counted("object", event.objects), show_size(event.size)
    return show_text(line("reused", objects=objects, size=size, place=event.place))


def waiting_line(event: Waiting) -> str:
    """For what, until when, and that nothing is lost by stopping."""
    time = show_duration(max(1.0, event.seconds))
    if event.gives_up_in is None:
        return show_text(line("waiting", time=time, reason=event.reason))
    return show_text(line("waiting until", time=time, reason=event.reason, end=show_duration(event.gives_up_in)))


def working_line(event: Working) -> str:
    """Local or git work, with its end where it is known."""
    if not event.total and not event.done:
        return show_text(event.what)
    fields = {"what": event.what, "done": event.done, "total": event.total}
    return show_text(line("working of" if event.total else "working", **fields))


def shared_line(event: Shared) -> str:
    """What another tool finds now, and what that took of the disk."""
    files = counted("file", event.files)
    if event.lacking:
        files = line("shared files", files=files, lacking=event.lacking)
    disk = line("shared disk by" if event.way else "shared disk", size=show_size(event.disk_bytes), way=event.way)
    return show_text(line("shared", form=event.form, files=files, path=event.path, disk=disk))


def report_lines(report: Report) -> tuple[str, ...]:
    """How the run ended."""
    fetched, reused = show_size(report.fetched_bytes), show_size(report.reused_bytes)
    return (
        line("done", repo=report.pin.repo, commit=report.pin.commit),
        _objects_line(report),
        line("done bytes", fetched=fetched, reused=reused, time=show_duration(report.seconds)),
        *_kept_lines(report),
        *(_tally_line(tally) for tally in report.endpoints if tally.sent or tally.failures),
        line("done checkout", path=show_text(str(report.path))),
    )


def _objects_line(report: Report) -> str:
    """What is in place; of what was not read now it is not said that it is right."""
    objects, verified, unread = counted("object", report.objects), report.objects - report.unread, report.unread
    if verified and unread:
        said = line("done objects some unread", objects=objects, verified=verified, unread=unread)
    else:
        said = line("done objects unread" if unread else "done objects", objects=objects)
    return line("done objects partly", objects=said, unselected=report.unselected) if report.unselected else said


def _kept_lines(report: Report) -> Iterator[str]:
    """That not all of it is the commit's: what a user keeps is no failure, and must not look like the commit's."""
    number, paths = len(report.kept), ", ".join(map(show_path, report.kept[:_KEPT_SHOWN]))
    if number:
        files, more = counted("file", number), number - _KEPT_SHOWN
        yield line("done kept many" if more > 0 else "done kept", files=files, paths=paths, more=more)


def _tally_line(tally: EndpointTally) -> str:
    size, failures = show_size(tally.sent), counted("failure", tally.failures)
    return show_text(line("done endpoint", endpoint=tally.endpoint, size=size, failures=failures))
