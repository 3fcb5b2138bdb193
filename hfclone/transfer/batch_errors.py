"""What a no in an LFS batch answer means, with the server's own words. Pure."""

from __future__ import annotations

from typing import Any

from hfclone.endpoints import Endpoint
from hfclone.errors import HfcloneError, ObjectMissing, ObjectRefused, ServerFault
from hfclone.patience import is_final
from hfclone.pointer import Pointer

__all__ = ["of_object"]

MOST_CHARACTERS = 200
"""Of a server's words: enough for a sentence, too little to fill a screen."""


def of_object(error: dict[str, Any], pointer: Pointer, endpoint: Endpoint) -> HfcloneError:
    """The ``error`` of one object's row; it may say anything."""
    code, said, label = error.get("code"), _in_one_line(error.get("message")), str(endpoint)
    status = code if isinstance(code, int) and 100 <= code < 600 else 500
    if status in (404, 410):
        return ObjectMissing(pointer.oid, label, status, said, endpoint.has_hub_paths)
    if is_final(status):
        return ObjectRefused(pointer.oid, label, status, said, endpoint.has_hub_paths)
    return ServerFault(label, status, said=said)


def _in_one_line(text: object) -> str:
    """What a stranger says, so that it can stand in a sentence of ours."""
    if not isinstance(text, str):
        return ""
    words = " ".join("".join(char if char.isprintable() else " " for char in text[: 4 * MOST_CHARACTERS]).split())
    return words if len(words) <= MOST_CHARACTERS else f"{words[: MOST_CHARACTERS - 3]}..."
