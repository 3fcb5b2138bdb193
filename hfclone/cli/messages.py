"""Errors as text and as exit codes; the only place that knows an exit code.

Every text is safe to print: paths, names and whatever a server said stand there with their control
characters escaped.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence

from hfclone.cli.words import show_text
from hfclone.errors import (
    HfcloneError,
    Incomplete,
    IntegrityError,
    LocalError,
    RemoteError,
    TransferError,
    UsageError,
)
from hfclone.redaction import without_secrets
from hfclone.wording import line

__all__ = [
    "EXIT_BROKEN_PIPE",
    "EXIT_BUG",
    "EXIT_CODES",
    "EXIT_INTERRUPTED",
    "EXIT_LOCAL",
    "EXIT_OK",
    "EXIT_USAGE",
    "bug_lines",
    "error_lines",
    "exit_code",
    "interrupted_lines",
    "usage_lines",
]

EXIT_OK = 0
EXIT_BUG = 1
EXIT_USAGE = 2
EXIT_REMOTE = 3
EXIT_INCOMPLETE = 4
EXIT_INTEGRITY = 5
EXIT_LOCAL = 6
EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141

EXIT_CODES = (
    (EXIT_OK, "every selected byte is verified and in place"),
    (EXIT_BUG, "a bug in hfclone"),
    (EXIT_USAGE, "the request cannot be meant: a wrong option or repo name"),
    (EXIT_REMOTE, "the far side said no: no such repo or revision, no access"),
    (EXIT_INCOMPLETE, "some bytes did not arrive; what did is kept"),
    (EXIT_INTEGRITY, "bytes arrived and are wrong; they are not in the checkout"),
    (EXIT_LOCAL, "this machine cannot: disk full, directory in use, git missing"),
    (EXIT_INTERRUPTED, "Ctrl-C (143: SIGTERM); run the same command again to go on"),
)
"""What ``--help`` and the README list."""

MAX_PATHS = 10
"""Paths shown of each group of failures."""

Naming = Callable[[HfcloneError], Sequence[str]]
"""The paths that a failure concerns; none where that is not known."""


def exit_code(error: HfcloneError) -> int:
    """The exit code that ``error`` ends a run with."""
    match error:
        case UsageError():
            return EXIT_USAGE
        case RemoteError():
            return EXIT_REMOTE
        case TransferError():
            return EXIT_INCOMPLETE
        case IntegrityError():
            return EXIT_INTEGRITY
        case LocalError():
            return EXIT_LOCAL
        case Incomplete(failures=failures):
            return _exit_of(failures)
        case _:
            return EXIT_BUG


def _exit_of(failures: Sequence[HfcloneError]) -> int:
    """Wrong bytes are worth most; "the far side said no" only where nothing else was in the way."""
    if any(isinstance(failure, IntegrityError) for failure in failures):
        return EXIT_INTEGRITY
    if failures and all(isinstance(failure, RemoteError) for failure in failures):
        return EXIT_REMOTE
    return EXIT_INCOMPLETE


def _unknown(_error: HfcloneError) -> Sequence[str]:
    return ()


def error_lines(error: HfcloneError, name: Naming = _unknown) -> tuple[str, ...]:
    """``hfclone: error: ...``, for ``Incomplete`` its failures in groups, and ``hint: ...``."""
    failures = _failure_lines(error.failures, name) if isinstance(error, Incomplete) else ()
    return (*_error_and(str(error)), *failures, *_hint(error.hint))


def usage_lines(message: str, hint: str) -> tuple[str, ...]:
    """A command line that cannot be read at all."""
    return (*_error_and(message), *_hint(hint))


def interrupted_lines(signal: str = "") -> tuple[str, ...]:
    """After Ctrl-C, or the signal of that name, which ends the run."""
    return (line("interrupted by" if signal else "interrupted", signal=signal),)


def bug_lines(error: BaseException, *, with_traceback: bool) -> tuple[str, ...]:
    """An exception that nobody foresaw; people paste this into reports."""
    said = without_secrets(str(error))
    what = f"{type(error).__name__}: {said}" if said else type(error).__name__
    first = _error_and(line("bug", what=what))
    if not with_traceback:
        return (*first, *_hint(line("bug hint")))
    text = without_secrets("".join(traceback.format_exception(error)))
    return (*map(show_text, text.splitlines()), *first)


def _error_and(message: str) -> tuple[str, ...]:
    """The first line behind ``hfclone: error:``, the others (git's, say) set in beneath."""
    first, *others = [each for each in message.splitlines() if each.strip()] or [""]
    return (line("error", error=show_text(first)), *(f"  {show_text(each)}" for each in others))


def _hint(hint: str) -> tuple[str, ...]:
    return (line("hint", hint=show_text(hint)),) if hint else ()


def _failure_lines(failures: Sequence[HfcloneError], name: Naming) -> tuple[str, ...]:
    groups: dict[tuple[str, str], list[HfcloneError]] = {}
    for failure in failures:
        groups.setdefault((failure.code, _endpoint(failure)), []).append(failure)
    return tuple(each for key, group in groups.items() for each in _group_lines(key, group, name))


def _endpoint(failure: HfcloneError) -> str:
    fields = failure.fields()
    many = fields.get("endpoints", ())
    return str(fields.get("endpoint") or (", ".join(map(str, many)) if isinstance(many, tuple) else ""))


def _group_lines(key: tuple[str, str], group: Sequence[HfcloneError], name: Naming) -> tuple[str, ...]:
    code, endpoint = key
    fields = {"code": code, "endpoint": endpoint, "number": len(group), "error": " ".join(str(group[0]).split())}
    many = len(group) > 1
    if endpoint:
        head = line("failures at many" if many else "failures at", **fields)
    else:
        head = line("failures many" if many else "failures", **fields)
    paths = list(dict.fromkeys(path for failure in group for path in name(failure)))
    more = (line("failures more", number=len(paths) - MAX_PATHS),) if len(paths) > MAX_PATHS else ()
    return (
        show_text(head),
        *(f"    {show_text(path)}" for path in paths[:MAX_PATHS]),
        *more,
    )
