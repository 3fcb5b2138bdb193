"""How far inside a network an address lies: what a stranger's URL must not lead us to. Pure.

Why so: a mirror may answer with any URL, and we sit where it does not: beside the machine's own
services, the router, a cloud's metadata. So a URL that somebody else named never leads further
inside than that somebody is. An endpoint at home may lead to others at home.
"""

from __future__ import annotations

import contextlib
import functools
import re
import socket
from enum import IntEnum
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

__all__ = ["LONGEST_URL", "Reach", "is_plain_host", "reach_of", "reach_of_name"]

LONGEST_URL = 16 * 1024
"""Characters of a URL that a server may name; signed ones have a tenth of it."""

_FAKE = ip_network("198.18.0.0/15")
"""For benchmarks; local proxies hand these out in place of any public host's address."""
_NAT64 = ip_network("64:ff9b::/96")


class Reach(IntEnum):
    """From the outside in."""

    PUBLIC = 0
    PRIVATE = 1
    LOOPBACK = 2
    LINK = 3
    """Link-local: where clouds tell machines their secrets; no mirror has its files there."""


@functools.lru_cache(maxsize=1024)  # each request asks for that of its host
def reach_of(address: str) -> Reach:
    """Of an IP address.

    Raises:
        ValueError: it is none.
    """
    found: IPv4Address | IPv6Address = ip_address(address.partition("%")[0])
    if isinstance(found, IPv6Address):
        embedded = IPv4Address(int(found) & 0xFFFFFFFF) if found in _NAT64 else found.ipv4_mapped
        found = embedded or found
    if found.is_link_local:
        return Reach.LINK
    if found.is_loopback or found.is_unspecified:
        return Reach.LOOPBACK
    return Reach.PUBLIC if found.is_global or found in _FAKE else Reach.PRIVATE


@functools.lru_cache(maxsize=1024)
def reach_of_name(host: str) -> Reach | None:
    """Of a URL's host, as far as its name says it."""
    name = host.lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return Reach.LOOPBACK
    with contextlib.suppress(OSError):  # 127.1, 0x7f000001, 2130706433: what resolvers take for addresses, too
        name = socket.inet_ntoa(socket.inet_aton(name))
    try:
        return reach_of(name)
    except ValueError:
        return None


_HOST = re.compile(r"[a-z0-9._-]+|[0-9a-f:.]+", re.IGNORECASE | re.ASCII)


def is_plain_host(host: str) -> bool:
    """Whether all read the same out of a URL's host: resolvers and proxies fold other letters, and decode ``%``."""
    return _HOST.fullmatch(host) is not None
