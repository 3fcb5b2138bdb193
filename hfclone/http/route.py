"""How others are reached: by which proxy, and who goes without one. Pure."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

__all__ = ["Route"]


@dataclass(frozen=True, slots=True)
class Route:
    """How to reach others: proxies by scheme (``http``, ``https``, ``all``), and the hosts that go without."""

    proxies: Mapping[str, str]
    no_proxy: Sequence[str] = ()
    ca_bundle: str | None = None
    """A file or a directory of certificates; ``None`` for those of certifi."""

    def proxy_for(self, parts: SplitResult) -> str:
        """The proxy to ask for a URL; empty for none."""
        proxy = self.proxies.get(parts.scheme) or self.proxies.get("all") or ""
        if not proxy or any(_names(entry, parts) for entry in self.no_proxy):
            return ""
        return proxy if "://" in proxy else f"http://{proxy}"

    def proxy_name(self, url: str) -> str:
        """The host of the proxy that a request for ``url`` goes through, without its password; empty without one."""
        try:
            proxy = self.proxy_for(urlsplit(url))
        except ValueError:  # a URL that names no host goes nowhere
            return ""
        return proxy.rpartition("//")[2].rpartition("@")[2].partition("/")[0]


def _names(entry: str, parts: SplitResult) -> bool:
    """Whether an entry of ``no_proxy`` names a URL's host: ``*``, a host or domain (with a port), an address or net."""
    import ipaddress

    host, port = (parts.hostname or "").rstrip("."), parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    entry = entry.strip().lower()
    if entry == "*":
        return True
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host) in ipaddress.ip_network(entry.strip("[]"), strict=False)
    name, colon, number = entry.rpartition(":")
    if colon and number.isdecimal():
        if int(number) != port:
            return False
        entry = name
    domain = entry.lstrip("*").strip(".[]")
    return bool(domain) and (host == domain or host.endswith(f".{domain}"))
