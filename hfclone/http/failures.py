"""What an exception means that ended an exchange."""

from __future__ import annotations

import socket
from http.client import HTTPException

from hfclone.errors import HfcloneError, Stalled, Truncated, Unforeseen
from hfclone.redaction import without_secrets
from hfclone.wording import phrase

__all__ = ["body_error", "reason_of", "unforeseen"]

LONGEST_REASON = 200
"""Characters of what another library, or a far side, says was wrong."""


def unforeseen(error: Exception, label: str) -> Unforeseen:
    """What nobody foresaw in an exchange with ``label``, in a few words for a report: what it was, and where."""
    import traceback
    from pathlib import PurePath

    frame = traceback.extract_tb(error.__traceback__)[-1:]
    where = "".join(f" ({PurePath(at.filename).name}:{at.lineno})" for at in frame)
    text = " ".join(str(error)[:LONGEST_REASON].split())
    return Unforeseen(label, without_secrets(f"{type(error).__name__}: {text}{where}"))


def body_error(error: Exception, label: str, got: int, want: int, silence: float) -> HfcloneError:
    """What an exception while a body was read means."""
    if isinstance(error, TimeoutError):
        return Stalled(label, silence)
    if isinstance(error, (HTTPException, OSError, ValueError, AttributeError)):
        return Truncated(label, got, want)  # ValueError, AttributeError: the response was closed under us
    return unforeseen(error, label)


def reason_of(error: BaseException) -> str:
    """Why there is no connection, in a few words, by the innermost cause."""
    seen: set[int] = set()
    cause: BaseException | None = error
    innermost = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        innermost = cause
        nested = next((arg for arg in cause.args if isinstance(arg, BaseException)), None)
        cause = nested or cause.__cause__ or cause.__context__
    if isinstance(innermost, socket.gaierror):
        return phrase("does-not-resolve")
    if isinstance(innermost, TimeoutError):
        return phrase("no-connection-in-time")
    text = getattr(innermost, "strerror", None) or str(innermost) or type(innermost).__name__
    return str(text)[:LONGEST_REASON]
