"""Which headers of an LFS action are sent with its object's request. Pure.

Why so: a batch answer may name any header, and some would be read by whoever stands between: a Content-Length
lets a proxy take the next request for a body, a Host or an X-Forwarded-Host leads elsewhere, an
X-HTTP-Method-Override makes another method of a GET. So what servers are known to ask for is sent, and nothing else.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

__all__ = ["action_headers"]

_NAMES = frozenset({"accept", "authorization", "x-api-key", "x-auth-token"})
_PREFIXES = ("x-amz-", "x-cos-", "x-goog-", "x-ms-", "x-obs-", "x-oss-")
"""Of the stores that LFS servers lead to: those of Amazon, Tencent, Google, Microsoft, Huawei and Alibaba."""
_NAME = re.compile(r"[a-z0-9-]{1,64}")
_VALUE = re.compile(r"[!-~](?:[ -~]{0,8190}[!-~])?")
"""What is in one line, and read by everybody as the same."""
_MOST_HEADERS = 16
_MOST_CHARACTERS = 16 * 1024
"""Of all names and values together; servers take no more."""


def action_headers(named: object) -> dict[str, str]:
    """Those of an action's ``header`` that are sent, by their names in lower case; it may be anything."""
    given = named if isinstance(named, Mapping) else {}
    names = Counter(name.lower() for name in given if isinstance(name, str))
    taken = {
        name.lower(): value
        for name, value in given.items()
        if isinstance(name, str) and isinstance(value, str) and names[name.lower()] == 1 and _is_sent(name, value)
    }
    size = sum(len(name) + len(value) for name, value in taken.items())
    return taken if len(taken) <= _MOST_HEADERS and size <= _MOST_CHARACTERS else {}


def _is_sent(name: str, value: str) -> bool:
    name = name.lower()
    known = name in _NAMES or name.startswith(_PREFIXES)
    return known and bool(_NAME.fullmatch(name)) and bool(_VALUE.fullmatch(value))
