"""What commands that look at something print: lines for people, data for programs. Pure."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

from hfclone.checkout.overview import State, Status
from hfclone.cli.words import columns, show_size, show_text
from hfclone.lock.model import LINK_MODE, SUBMODULE_MODE, LockedFile, LockedRepo
from hfclone.paths import show_path
from hfclone.selection.quants import quant_of
from hfclone.wording import counted, line

if TYPE_CHECKING:  # none is needed to show a status
    from hfclone.export import Format
    from hfclone.flows.export import Exported
    from hfclone.flows.import_ import Imported, Taken
    from hfclone.selection.choices import Choice
    from hfclone.verification import Audit
    from hfclone.verification.targets import Finding

__all__ = [
    "aside_line",
    "audit_data",
    "audit_lines",
    "choice_line",
    "exported_lines",
    "imported_data",
    "imported_lines",
    "lacking_line",
    "listing_data",
    "listing_lines",
    "right_line",
    "status_data",
    "status_lines",
    "to_json",
]

VERSION = 1
_SIZE_WIDTH = 15
_SHA256_DIGITS = 64
_SHORT_DIGITS = 12
_LONGEST_CHOICE = 300
"""Characters; JSON has all of it."""


def to_json(data: Mapping[str, object]) -> str:
    """One line; paths that are no UTF-8 as ``--progress json`` has them."""
    return json.dumps({"v": VERSION, **data}, ensure_ascii=True, separators=(",", ":"))


def audit_lines(audit: Audit) -> Iterator[str]:
    """One line for each thing that is wrong."""
    for finding in audit.findings:
        why, path = _words(finding), show_path(finding.path)
        yield line("finding why" if why else "finding", problem=finding.problem.value, path=path, why=why)


def right_line(audit: Audit) -> str:
    """Nothing was found, and how much was looked at."""
    files, objects, size = (
        counted("file", audit.files),
        counted("large object", audit.objects),
        show_size(audit.read_bytes),
    )
    return line("right", commit=audit.commit, files=files, objects=objects, size=size)


def choice_line(audit: Audit) -> str:
    """Which choice held, though nobody said it."""
    return show_text(line("choice held", choice=_shown(audit.choice)))


def _shown(choice: Choice) -> str:
    text = str(choice)
    return text if len(text) <= _LONGEST_CHOICE else text[:_LONGEST_CHOICE] + "..."


def _choice_data(choice: Choice) -> dict[str, object] | None:
    return asdict(choice) if choice else None


def aside_line(audit: Audit) -> str:
    """What lies beside the commit's files, and is no fault of theirs."""
    files, first = counted("file", len(audit.aside)), show_path(audit.aside[0])
    return line("right aside" if len(audit.aside) == 1 else "right aside many", files=files, first=first)


def _words(finding: Finding) -> str:
    if not finding.found:
        return ""
    if not finding.expected:
        return show_text(finding.found)
    return show_text(line("finding found", found=finding.found, expected=finding.expected))


def audit_data(audit: Audit) -> dict[str, object]:
    """The whole of it."""
    return {
        "path": str(audit.path),
        "commit": audit.commit,
        "ok": not audit.findings,
        "files": audit.files,
        "objects": audit.objects,
        "read_bytes": audit.read_bytes,
        "wrong": [
            {
                "path": os.fsdecode(finding.path),
                "problem": finding.problem.value,
                "expected": finding.expected,
                "found": finding.found,
            }
            for finding in audit.findings
        ],
        "choice": _choice_data(audit.choice),
        "aside": [os.fsdecode(path) for path in audit.aside],
    }


def status_lines(status: Status) -> Iterator[str]:
    """How a checkout stands."""
    yield show_text(line("status checkout", path=status.path))
    yield show_text(line("status origin" if status.origin else "status origin none", origin=status.origin))
    yield show_text(
        line("status commit branch" if status.branch else "status commit", commit=status.commit, branch=status.branch)
    )
    yield line("status objects", counts=_counts(status.objects))
    yield line("status files", counts=_counts(status.files))
    if status.choice:
        number, choice = status.unselected, show_text(_shown(status.choice))
        yield line("status choice", choice=choice, pointers=counted("pointer", number))
    if status.partial_bytes:
        yield line("status partials", size=show_size(status.partial_bytes))
    if status.unfinished:
        yield line("status unfinished")


def _counts(counts: Mapping[State, int]) -> str:
    total = sum(counts.values())
    each = [line(_STATES[state], number=counts[state]) for state in State if counts.get(state)]
    return line("status counts", total=total, counts=", ".join(each)) if each else line("status counts none")


_STATES = {
    State.PRESENT: "status present",
    State.POINTER: "status pointer",
    State.MISSING: "status missing",
    State.EDITED: "status edited",
    State.UNVERIFIED: "status unverified",
    State.REMOVED: "status removed",
    State.SKIPPED: "status skipped",
}


def status_data(status: Status) -> dict[str, object]:
    """The same as data; every state has a count."""
    return {
        "path": str(status.path),
        "origin": status.origin,
        "commit": status.commit,
        "branch": status.branch,
        "complete": status.complete,
        "objects": {state.value: status.objects.get(state, 0) for state in State},
        "files": {state.value: status.files.get(state, 0) for state in State},
        "partial_bytes": status.partial_bytes,
        "unfinished": status.unfinished,
        "choice": _choice_data(status.choice),
        "unselected": status.unselected,
    }


def listing_lines(files: Iterable[LockedFile], width: int | None = None) -> list[str]:
    """Size, what it is, sha256, path: in columns; where there are quantisations, these before the path.

    Of a terminal that has fewer columns, ``width``, the sha256 takes less: its beginning, or nothing.
    """
    listed = list(files)
    made = _rows(listed, _SHA256_DIGITS)
    for digits in (_SHORT_DIGITS, 0):
        if width is None or max(map(columns, made), default=0) <= width:
            break
        made = _rows(listed, digits)
    return made


def _rows(files: list[LockedFile], digits: int) -> list[str]:
    """With so many ``digits`` of the sha256."""
    quants = [quant_of(file.path) or "" for file in files]
    widest = max(map(len, quants), default=0)
    sizes = [f"{file.size:,}" for file in files]
    room = _SIZE_WIDTH if digits else max(map(len, sizes), default=0)
    made = []
    for file, quant, size in zip(files, quants, sizes, strict=True):
        digest = [f"{(file.sha256 or '-')[:digits]:<{digits}}"] if digits else []
        last = [f"{quant or '-':<{widest}}"] if widest else []
        made.append("  ".join([f"{size:>{room}}", f"{_kind(file):<9}", *digest, *last, show_path(file.path)]))
    return made


def listing_data(repo: LockedRepo, files: Iterable[LockedFile]) -> Iterator[dict[str, object]]:
    """One object for each file."""
    for file in files:
        yield {
            "path": os.fsdecode(file.path),
            "size": file.size,
            "kind": _kind(file),
            "sha256": file.sha256,
            "quant": quant_of(file.path) or "",
            "oid": file.oid,
            "mode": file.mode,
            "repo": repo.pin.repo.path,
            "commit": repo.pin.commit,
        }


def _kind(file: LockedFile) -> str:
    if file.pointer is not None:
        return "object"
    return {LINK_MODE: "link", SUBMODULE_MODE: "submodule"}.get(file.mode, "file")


def exported_lines(made: Exported, made_for: Format, how: str) -> Iterator[str]:
    """What the list holds, and what is to be done with it."""
    from hfclone.export import MOST_UNRANGED, Format

    listing = made.listing
    objects, size = counted("object", len(listing.items)), show_size(made.size)
    yield show_text(line("exported", objects=objects, size=size, path=made.path))
    if listing.expires:
        yield line("exported expiring", expires=listing.expires)
    large = sum(item.needs_range for item in listing.items)
    if large and made_for is not Format.METALINK:  # with the size at hand aria2c asks for ranges from the first on
        objects, size = counted("object", large), show_size(MOST_UNRANGED)
        begins_anew = made_for is Format.CURL
        yield line("exported large curl" if begins_anew else "exported large", objects=objects, size=size)
    if listing.items:
        yield show_text(line("exported how", how=how))
        yield show_text(line("exported then", path=shlex.quote(str(made.path))))


def imported_lines(made: Imported) -> Iterator[str]:
    """One line for each file that was used, or looked as if it could be."""
    for one in made.objects:
        yield show_text(line("imported object", path=show_path(one.path), source=one.source))
    for one in made.partials:
        size = show_size(one.size)
        yield show_text(line("imported partial", path=show_path(one.path), size=size, source=one.source))
    for unused in made.unused:
        yield show_text(line("imported unused", path=unused.path, reason=unused.reason))


def lacking_line(made: Imported) -> str:
    """What is left to do."""
    if not made.missing:
        return line("imported all")
    size = show_size(sum(pointer.size for pointer in made.missing))
    objects, path = counted("object", len(made.missing)), shlex.quote(str(made.path))
    return show_text(line("imported lacking", objects=objects, size=size, path=path))


def imported_data(made: Imported) -> dict[str, object]:
    """The whole of it."""
    return {
        "path": str(made.path),
        "objects": list(map(_taken, made.objects)),
        "partials": list(map(_taken, made.partials)),
        "unused": [{"source": str(one.path), "reason": one.reason} for one in made.unused],
        "missing": len(made.missing),
        "missing_bytes": sum(pointer.size for pointer in made.missing),
    }


def _taken(one: Taken) -> dict[str, object]:
    return {"path": os.fsdecode(one.path), "source": str(one.source), "size": one.size}
