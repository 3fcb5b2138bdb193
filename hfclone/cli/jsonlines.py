"""``--progress json``: one object a line, each with ``v`` (the version of this form) and ``event``.

A path's bytes that are no UTF-8 stand as lone surrogates (PEP 383), escaped by JSON, so that a program
gets the exact bytes back with ``.encode("utf-8", "surrogateescape")``, whatever the locale. Fields are only
ever added within a version.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any  # JSON values

from hfclone.errors import HfcloneError, Incomplete
from hfclone.events import (
    Demoted,
    Event,
    Failed,
    Faulted,
    Finished,
    Pinned,
    Planned,
    Position,
    Renamed,
    Report,
    Reused,
    Shared,
    Started,
    Verified,
    Waiting,
    Warned,
    Working,
)
from hfclone.names import Pin
from hfclone.plan import Plan
from hfclone.pointer import Pointer

__all__ = ["JsonLines", "error_data", "event_data"]

VERSION = 1


class JsonLines:
    """Writes each event as it comes; ``write`` takes one line without its end."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write

    def __call__(self, event: Event) -> None:
        self._put(event_data(event))

    def error(self, data: dict[str, Any]) -> None:
        """The last line of a run that did not end well; see ``error_data``."""
        self._put({"event": "error", **data})

    def _put(self, data: dict[str, Any]) -> None:
        self._write(json.dumps({"v": VERSION, **data}, ensure_ascii=True, separators=(",", ":")))

    def close(self) -> None:
        """Nothing to put right."""


def event_data(event: Event) -> dict[str, Any]:  # noqa: PLR0912  # one case an event
    """An event as JSON has it, without the version."""
    match event:
        case Pinned(pin, revision, endpoint):
            return {"event": "pinned", **_pin(pin), "revision": revision, "endpoint": endpoint}
        case Renamed(before, after):
            return {"event": "renamed", "before": before.path, "after": after.path}
        case Working(what, done, total):
            return {"event": "working", "what": what, "done": done, "total": total}
        case Planned(plan):
            return {"event": "plan", **_plan(plan)}
        case Reused(place, objects, size):
            return {"event": "reused", "place": place, "objects": objects, "bytes": size}
        case Started(oid, endpoint):
            return {"event": "started", "oid": oid, "endpoint": endpoint}
        case Position(oid, received):
            return {"event": "position", "oid": oid, "received": received}
        case Verified(pointer):
            return {"event": "verified", "oid": pointer.oid, "size": pointer.size}
        case Failed(pointer, error):
            return {"event": "failed", "oid": pointer.oid, "size": pointer.size, "error": error_data(error)}
        case Faulted(endpoint, error):
            return {"event": "faulted", "endpoint": endpoint, "error": error_data(error)}
        case Demoted(endpoint, what, reason):
            return {"event": "demoted", "endpoint": endpoint, "what": what, "reason": reason}
        case Waiting(seconds, reason, gives_up_in):
            return {"event": "waiting", "seconds": seconds, "reason": reason, "gives_up_in": gives_up_in}
        case Warned(code):
            return {"event": "warning", "code": code, "message": event.text}
        case Shared(form, path, files, lacking, disk_bytes, way):
            counts: dict[str, Any] = {"files": files, "lacking": lacking, "disk_bytes": disk_bytes, "way": way}
            return {"event": "shared", "form": form, "path": str(path), **counts}
        case Finished(report):
            return {"event": "report", **_report(report)}


def error_data(error: HfcloneError) -> dict[str, Any]:
    """An error by its stable code, with its fields as data."""
    fields = error.fields()
    if isinstance(error, Incomplete):
        fields["failures"] = [error_data(failure) for failure in error.failures]
    return {"code": error.code, "message": str(error), "hint": error.hint, "fields": fields}


def _pin(pin: Pin) -> dict[str, Any]:
    return {"repo_id": pin.repo.repo_id, "repo_type": pin.repo.repo_type.value, "commit": pin.commit}


def _plan(plan: Plan) -> dict[str, Any]:
    return {
        **_pin(plan.pin),
        "objects": plan.objects,
        "total_bytes": plan.total_bytes,
        "fetch_bytes": plan.fetch_bytes,
        "here_bytes": plan.here_bytes,
        "need_bytes": plan.need_bytes,
        "free_bytes": plan.free,
        "unselected": plan.unselected,
        "missing": _objects(plan, plan.missing),
        "copies": _objects(plan, plan.copies),
    }


def _objects(plan: Plan, pointers: Iterable[Pointer]) -> list[dict[str, Any]]:
    return [
        {
            "oid": pointer.oid,
            "size": pointer.size,
            "held": plan.held.get(pointer.oid, 0),
            "paths": [path.decode("utf-8", "surrogateescape") for path in plan.paths[pointer.oid]],
        }
        for pointer in pointers
    ]


def _report(report: Report) -> dict[str, Any]:
    return {
        **_pin(report.pin),
        "path": str(report.path),
        "objects": report.objects,
        "fetched_bytes": report.fetched_bytes,
        "reused_bytes": report.reused_bytes,
        "unselected": report.unselected,
        "unread": report.unread,
        "kept": [path.decode("utf-8", "surrogateescape") for path in report.kept],
        "seconds": round(report.seconds, 3),
        "endpoints": [
            {"endpoint": tally.endpoint, "sent": tally.sent, "failures": tally.failures} for tally in report.endpoints
        ],
    }
