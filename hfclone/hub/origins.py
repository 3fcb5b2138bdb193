"""What a checkout's origin says: a repo of the hub, or one of any other git host. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import unquote, urlsplit

from hfclone.hub.endpoint import Endpoint
from hfclone.hub.githost import GitHostSite
from hfclone.hub.known import KNOWN_HUBS, KnownHub
from hfclone.names import Repo

__all__ = ["folder_of", "git_host_of", "hub_repo_of", "without_login"]

_SCP_FORM = re.compile(r"(?:[^@/:]+@)?([^/:@]+):(?!//)(.+)")
"""``git@host:path``; git takes what has no ``://`` and a colon before any slash for it."""
_FILE = "file://"
"""Before a path: git decodes it, and knows neither queries nor fragments of it."""


def hub_repo_of(origin: str, endpoints: Iterable[Endpoint], hubs: Iterable[KnownHub] = KNOWN_HUBS) -> Repo | None:
    """The hub's repo that ``origin`` is, if its host is a known hub or mirror or one of ``endpoints``."""
    asked = ((endpoint.url, endpoint.site) for endpoint in endpoints)
    known = ((f"https://{host}", hub.site) for hub in hubs for host in (*hub.names, *hub.mirrors))
    paths = ((site, _below(origin, base)) for base, site in (*asked, *known))
    return next((repo for site, path in paths if path and (repo := site.repo_of(path)) is not None), None)


def git_host_of(origin: str, lfs_url: str | None) -> tuple[Endpoint, Repo] | None:
    """Where the objects of ``origin`` are by git-lfs's rules; ``None`` for what no http(s) URL is known for.

    ``lfs_url`` is what the user's own configuration says, an http(s) URL. A repo's ``.lfsconfig`` is not heard: it
    would send us wherever a stranger likes.
    """
    found = _split(origin)
    if found is None and not (lfs_url and folder_of(origin, Path())):
        return None
    base, path = found or ("", origin.removeprefix("file://").strip("/"))
    lfs_url = (lfs_url or f"{base}/{path}.git/info/lfs").rstrip("/")
    over_http = origin.startswith(("http://", "https://"))
    site = GitHostSite(lfs_url, _without_user(origin) if over_http else "")
    return Endpoint(_host_of(lfs_url), site=site), Repo(path)


def folder_of(origin: str, base: Path) -> Path | None:
    """The folder that ``origin`` is, by git's rule for paths and ``file://``; ``base`` is what it is relative to."""
    if origin.startswith(_FILE):
        path = unquote(origin.removeprefix(_FILE), errors="surrogateescape")
        return Path("/" + path.partition("/")[2])  # whatever host stands before it
    if not origin or "://" in origin or _SCP_FORM.fullmatch(origin):
        return None
    return base / origin


def without_login(origin: str) -> str:
    """``origin`` for people and logs: its password, or a token in the user's place, is left out."""
    scheme, separator, rest = origin.partition("://")
    authority, slash, path = rest.partition("/")
    login, at, host = authority.rpartition("@")
    user = login.partition(":")[0] if "ssh" in scheme else ""
    return f"{scheme}{separator}{user}{'@' if user else ''}{host}{slash}{path}" if at else origin


def _split(origin: str) -> tuple[str, str] | None:
    """Scheme and host of an origin, and the path of its repo; ssh is asked over https, as git-lfs does."""
    scp = None if "://" in origin else _SCP_FORM.fullmatch(origin)
    if scp:
        base, path = f"https://{scp[1]}", scp[2]
    else:
        try:
            url = urlsplit(origin)
            _ = url.port
        except ValueError:  # brackets that hold no IPv6 address, a port that is no number
            return None
        if url.scheme in ("ssh", "git+ssh", "git"):
            host = url.hostname or ""
            base = f"https://[{host}]" if ":" in host else f"https://{host}"
        elif url.scheme in ("http", "https"):
            base = _host_of(origin)
        else:
            return None
        path = unquote(url.path)
    path = path.strip("/").removesuffix(".git")
    return (base, path) if path and base.partition("://")[2] else None


def _host_of(url: str) -> str:
    """Scheme and host of a URL."""
    parts = urlsplit(_without_user(url))
    return f"{parts.scheme}://{parts.netloc}"


def _without_user(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _below(origin: str, base: str) -> str:
    """The path of ``origin`` below the endpoint ``base``; empty if it is not below it."""
    found = _split(origin)
    known = _split(base + "/x")
    if found is None or known is None:
        return ""
    host, path = found
    if host.partition("://")[2].lower() != known[0].partition("://")[2].lower():
        return ""
    before = known[1].removesuffix("x")
    return path[len(before) :] if path.startswith(before) else ""
