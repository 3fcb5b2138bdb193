"""What a no in an LFS batch answer means, of the request as a whole or of one object, with the server's own words."""

from __future__ import annotations

import json
import time
from typing import Any
from urllib.parse import urlsplit

from hfclone.errors import (
    HfcloneError,
    LfsRefused,
    NotTheObject,
    ObjectMissing,
    ObjectRefused,
    RateLimited,
    ServerFault,
)
from hfclone.http import Answer, wall_clock
from hfclone.hub.endpoint import Endpoint
from hfclone.pointer import Pointer
from hfclone.retry import is_final
from hfclone.wording import phrase

__all__ = ["is_lfs", "of_object", "of_request"]

MOST_CHARACTERS = 200
"""Of a server's words: enough for a sentence, too little to fill a screen."""
MOST_BYTES = 16 * 1024
"""Of an answer in which they are looked for."""
MOST_SECONDS = 3.0
"""For which they are waited for."""


def of_request(answer: Answer, label: str, *, foreign: bool, passes: bool) -> HfcloneError:
    """What a git host's answer to a whole batch request means that lists no objects.

    ``foreign``: it need not be the host's LFS API that gave it; ``passes``: whatever gave it may go away.
    """
    status, wait = answer.status, answer.retry_after(wall_clock())
    if status == 429:
        return RateLimited(label, wait)
    if status < 400 and passes:
        return NotTheObject(label, phrase("page-for-lfs", url=_place_of(answer)))
    if status >= 400 and (passes or not is_final(status)):
        return ServerFault(label, status, wait, _words_in(answer))
    return LfsRefused(label, status, _words_in(answer), _place_of(answer) if foreign else "")


def of_object(error: dict[str, Any], pointer: Pointer, endpoint: Endpoint) -> HfcloneError:
    """The ``error`` of one object's row; it may say anything."""
    code, said, label = error.get("code"), _in_one_line(error.get("message")), str(endpoint)
    status = code if isinstance(code, int) and 100 <= code < 600 else 500
    if status in (404, 410):
        return ObjectMissing(pointer.oid, label, status, said, endpoint.site.has_mirrors)
    if is_final(status):
        return ObjectRefused(pointer.oid, label, status, said, endpoint.site.has_mirrors)
    return ServerFault(label, status, said=said)


def is_lfs(answer: Answer) -> bool:
    """Whether the answer may be of an LFS API, by its type: a portal, a proxy or a web site sends pages."""
    return answer.content_type.endswith("json")


def _words_in(answer: Answer) -> str:
    """The ``message`` of a refusal; empty where it has none, or does not come at once."""
    if not is_lfs(answer):
        return ""
    body, until = bytearray(), time.monotonic() + MOST_SECONDS
    try:
        for chunk in answer.steadily(MOST_BYTES):  # lines of chunks may come byte by byte
            body += chunk
            if time.monotonic() > until:
                return ""
        told = json.loads(body)
    except (HfcloneError, ValueError, RecursionError):
        return ""
    return _in_one_line(told.get("message")) if isinstance(told, dict) else ""


def _place_of(answer: Answer) -> str:
    """Where it came from, without what may be a secret."""
    parts = urlsplit(answer.url)
    return _in_one_line(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}")


def _in_one_line(text: object) -> str:
    """What a stranger says, so that it can stand in a sentence of ours."""
    if not isinstance(text, str):
        return ""
    words = " ".join("".join(char if char.isprintable() else " " for char in text[: 4 * MOST_CHARACTERS]).split())
    return words if len(words) <= MOST_CHARACTERS else f"{words[: MOST_CHARACTERS - 3]}..."
