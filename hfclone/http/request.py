"""Whom a request goes to, and its head as it is sent. Pure.

Nothing that could be read as the end of a line, or of the head, gets into one, whoever named it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from hfclone.wording import phrase

__all__ = ["Place", "head_of", "is_odd", "place_of", "target_of"]

_PORTS = {"http": 80, "https": 443}
_HOST = re.compile(r"[\x21-\x7e]+")
_AMBIGUOUS = re.compile(r"\\|^[^\[]*%")
"""A backslash ends the host for some and not for others; ``%`` begins an address's zone, and is decoded elsewhere."""
_TO_QUOTE = re.compile(r"[^A-Za-z0-9!$&'()*+,;=:@/?._~%-]|%(?![0-9A-Fa-f]{2})")
_LONE_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Place:
    """A host as it is connected to: its name in ASCII, or an address without brackets."""

    host: str
    port: int
    authority: str
    """Both, as a URL has them."""
    header: str
    """The same without a port that goes without saying: a Host header."""


def is_odd(url: str) -> bool:
    """Whether there are control characters in it, some of which ``urlsplit`` would leave out."""
    return _CONTROL.search(url) is not None


def place_of(scheme: str, netloc: str) -> Place:
    """Where a URL leads. Raises ValueError where it leads nowhere."""
    from urllib3.util import parse_url

    named = netloc.rpartition("@")[2]
    found = parse_url(f"{scheme}://{named}")  # spells names of other alphabets as IDNA has it
    host = (found.host or "").rstrip(".")
    if scheme not in _PORTS or _AMBIGUOUS.search(named) or not _HOST.fullmatch(host):
        raise ValueError(phrase("target-no-plain-url"))
    port = _PORTS[scheme] if found.port is None else found.port
    spelt = f"{host.partition('%')[0]}]" if "%" in host else host
    authority = f"{spelt}:{port}"
    return Place(host.strip("[]"), port, authority, spelt if port == _PORTS[scheme] else authority)


def target_of(url: str) -> str:
    """A URL's path and query; what may not stand there as it is, is escaped."""
    parts = urlsplit(url)
    target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    if not _TO_QUOTE.search(target):
        return target
    return quote(_LONE_PERCENT.sub("%25", target), safe="!$&'()*+,;=:@/?~%")


def head_of(method: str, target: str, headers: Mapping[str, str]) -> bytes:
    """The head of a request. Raises ValueError where a header could be read as more than one."""
    lines = [f"{method} {target} HTTP/1.1"]
    for name, value in headers.items():
        if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            raise ValueError(phrase("odd-header", name=name[:60]))
        lines.append(f"{name}: {value}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1")
