"""Every sentence that a user reads while hfclone runs, in one place, so that a translator finds them all. Pure.

Tables of templates by name: ``ERRORS`` by an error's code, ``LINES`` and ``WARNINGS`` for what views say,
``PHRASES`` for what stands inside of these (reasons, work that is being done). A template names its fields as
``str.format`` has it. A name may have a variant behind a space, where a sentence depends on its fields.

Not here: what ``--help`` prints stands where its options are declared, and what git, aria2c or the system
say is theirs.
"""

from __future__ import annotations

from collections.abc import Mapping

from hfclone.wording.errors import ERRORS
from hfclone.wording.lines import COUNTS, LINES, UNITS, WARNINGS
from hfclone.wording.phrases import PHRASES

__all__ = ["counted", "error_hint", "error_text", "line", "measured", "phrase", "warning"]

_ANY_ERROR = "hfclone-error"


def error_text(code: str, variant: str, fields: Mapping[str, object]) -> str:
    """What happened. Where a code has no such variant its own sentence fits."""
    return _first(f"{code} {variant}", code, _ANY_ERROR).format(**fields)


def error_hint(code: str, variant: str, fields: Mapping[str, object]) -> str:
    """What the user can do about it; empty where there is nothing to say."""
    return _first(f"{code} {variant} hint", f"{code} hint").format(**fields)


def _first(*names: str) -> str:
    return next((ERRORS[name] for name in names if name in ERRORS), "")


def warning(code: str, fields: Mapping[str, object]) -> str:
    """What the user has to know, though the run goes on."""
    return WARNINGS[code].format(**fields)


def line(name: str, /, **fields: object) -> str:
    """A line of a view, or a part of one."""
    return LINES[name].format(**fields)


def phrase(name: str, /, **fields: object) -> str:
    """A reason, or whatever else stands inside of a sentence."""
    return PHRASES[name].format(**fields)


def counted(noun: str, number: int) -> str:
    """``1 object``, ``1,200 objects``. Which form a number takes is the language's affair, and so decided here."""
    return COUNTS[f"{noun} {'one' if number == 1 else 'many'}"].format(number=number)


def measured(number: str, unit: str) -> str:
    """``1.23 MB``, ``12 s``: a number with its unit."""
    return UNITS[unit].format(number=number)
