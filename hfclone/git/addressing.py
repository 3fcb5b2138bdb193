"""The addresses of a far side, which git is told: those that our own connections found, the one that answers first.

Why so: of each family libcurl tries one address after the other, and gives each of them two minutes and more; no
setting of git's ends that sooner (``http.lowSpeedTime`` begins when there is a connection).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from urllib.parse import urlsplit

from hfclone.errors import GitFailed, GitUnconnected
from hfclone.git.translating import is_stall, is_unconnected
from hfclone.http.reach import is_plain_host

__all__ = ["addressed"]

_PORTS = {"http": 80, "https": 443}


@contextmanager
def addressed(url: str, proxy: str = "") -> Iterator[Sequence[tuple[str, str]]]:
    """The configuration of a git that connects to ``url``; it need not look the name up then, either.

    ``url`` is the proxy's where git goes through one: ``proxy`` is then its name.

    Raises:
        GitUnconnected: no address answers, so that git would wait in vain.
    """
    from hfclone.http import CONNECT_SECONDS, SHARED, reason_of

    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or (0 if proxy else _PORTS.get(parts.scheme, 0))
    if not port:  # of a proxy, where git and we mean different ones
        yield ()
        return
    try:
        found = SHARED.reach(host, port, CONNECT_SECONDS)
    except OSError as error:
        raise GitUnconnected("fetch", 0, reason_of(error), proxy) from error
    try:
        yield _told(host, port, [each for each in found if "%" not in each])
    except GitFailed as error:
        if is_stall(error) or is_unconnected(error):
            SHARED.forget(host, port)
        raise


def _told(host: str, port: int, addresses: Sequence[str]) -> Sequence[tuple[str, str]]:
    """Git's configuration (from 2.37 on) for the addresses of a name."""
    if not addresses or host in addresses or not is_plain_host(host) or ":" in host:
        return ()
    return (("http.curloptResolve", f"{host}:{port}:{','.join(map(_bracketed, addresses))}"),)


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address
