"""Secrets that other libraries' words may hold, taken out of them. Pure."""

from __future__ import annotations

import re

__all__ = ["without_secrets"]

_SECRETS = (
    re.compile(r"\b(hf_)[A-Za-z0-9]{6,}"),
    re.compile(r"(?i)\b((?:bearer|basic) )[A-Za-z0-9+/=._~-]{6,}"),
    re.compile(r"(://)[^\s/@'\"]+(?=@)"),
    re.compile(r"([\w/%.-]\?)[^\s'\"<>?]*=[^\s'\"<>]{8,}"),
)
"""Each with what stays in front of the secret."""


def without_secrets(text: str) -> str:
    """``text`` without what looks like a token, a password in a URL or a signature behind one.

    Our own errors never hold these; what other libraries say of a request may.
    """
    for pattern in _SECRETS:
        text = pattern.sub(r"\1***", text)
    return text
