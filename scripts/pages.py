#!/usr/bin/env python3
"""Writes the tables of docs/ that are made from the code: scripts/pages.py [--check].

What is made stands between two marks, ``<!-- made: NAME -->`` and ``<!-- end -->``; all else is for hands.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from hfclone import errors  # noqa: E402
from hfclone.cli.messages import EXIT_CODES  # noqa: E402
from hfclone.settings import VARIABLES, Where  # noqa: E402
from hfclone.wording.errors import ERRORS  # noqa: E402

FAMILIES = {
    errors.UsageError: 2,
    errors.RemoteError: 3,
    errors.TransferError: 4,
    errors.IntegrityError: 5,
    errors.LocalError: 6,
}


def exit_codes() -> Iterator[str]:
    """What a run may end with."""
    yield "| Code | Meaning |"
    yield "| --- | --- |"
    for code, meaning in EXIT_CODES:
        yield f"| {code} | {meaning} |"


def error_codes() -> Iterator[str]:
    """Every kind of error, by exit code and name."""
    yield "| Exit | Code | What it says |"
    yield "| --- | --- | --- |"
    kinds = [kind for kind in map(vars(errors).__getitem__, errors.__all__) if kind not in FAMILIES]
    rows = {(code, kind.code): kind for kind in kinds for family, code in FAMILIES.items() if issubclass(kind, family)}
    for (code, name), kind in sorted(rows.items(), key=lambda row: row[0]):
        yield f"| {code} | `{name}` | {_meaning(kind)} |"


def settings() -> Iterator[str]:
    """Every setting, in the table's order."""
    yield "| Option | Environment | Files | Default | What it says |"
    yield "| --- | --- | --- | --- | --- |"
    files = {Where.ANY: "both", Where.USER: "your own", Where.NONE: "none"}
    for row in VARIABLES:
        option = f"`{row.option}`" if row.option.startswith("--") else ""
        names = ", ".join(f"`{name}`" for name in row.name.split())
        default = f"`{row.default}`" if row.default else ""
        yield f"| {option} | {names} | {files[row.where]} | {default} | {row.help.replace('|', chr(92) + '|')} |"


def _meaning(kind: type[errors.HfcloneError]) -> str:
    """Its sentence with the fields' names in place of values; where it has several, what its class says."""
    if any(name.startswith(f"{kind.code} ") and not name.endswith(" hint") for name in ERRORS):
        return (kind.__doc__ or "").partition("\n")[0].rstrip(".")
    return re.sub(r"\{(\w+)[^}]*\}", lambda field: field[1].upper(), ERRORS[kind.code])


MADE: dict[str, Callable[[], Iterator[str]]] = {
    "exit codes": exit_codes,
    "error codes": error_codes,
    "settings": settings,
}


def renewed(text: str) -> str:
    """A page with its tables made anew."""

    def table(found: re.Match[str]) -> str:
        return "\n".join([found[1], "", *MADE[found[2]](), "", "<!-- end -->"])

    return re.sub(r"(<!-- made: ([^>]+) -->)\n.*?<!-- end -->", table, text, flags=re.DOTALL)


def main() -> int:
    """Write, or only look; 1 if a page is out of date."""
    parser = argparse.ArgumentParser(description="write the tables of docs/ that are made from the code")
    parser.add_argument("--check", action="store_true", help="write nothing, name what is out of date")
    check = parser.parse_args().check
    old = False
    for page in sorted((ROOT / "docs").glob("*.md")):
        text = page.read_text(encoding="utf-8")
        if (new := renewed(text)) != text:
            old = True
            sys.stderr.write(f"{page.relative_to(ROOT)} is out of date\n")
            if not check:
                page.write_text(new, encoding="utf-8")
    return int(check and old)


if __name__ == "__main__":
    sys.exit(main())
