"""What a checkout's origin says: a repo of the hub, or one of any other git host. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from hfclone.endpoints import HUB_URL, Endpoint
from hfclone.errors import BadRepoSpec
from hfclone.names import Repo, parse_repo_spec

__all__ = ["GitHost", "folder_of", "git_host_of", "hub_repo_of"]

_SCP_FORM = re.compile(r"(?:[^@/:]+@)?([^/:@]+):(?!//)(.+)")
"""``git@host:path``; git takes what has no ``://`` and a colon before any slash for it."""
_HUBS_OWN = (HUB_URL, "https://hf.co", "https://hf-mirror.com")


@dataclass(frozen=True, slots=True)
class GitHost(Endpoint):
    """A git host with LFS that need not know the hub's paths; ``lfs_url`` is its LFS API for one repo."""

    lfs_url: str = ""

    def batch_url(self, repo: Repo) -> str:  # noqa: ARG002  # the LFS API is the repo's own
        """The LFS batch API."""
        return f"{self.lfs_url}/objects/batch"


def hub_repo_of(origin: str, endpoints: Iterable[str]) -> Repo | None:
    """The hub's repo that ``origin`` is, if its host is the hub, a known mirror or one of ``endpoints`` (URLs)."""
    for base in (*endpoints, *_HUBS_OWN):
        path = _below(origin, base)
        if not path:
            continue
        try:
            spec = parse_repo_spec(path)
        except BadRepoSpec:
            continue
        if spec.revision is None:
            return spec.repo
    return None


def git_host_of(origin: str, lfs_url: str | None) -> tuple[GitHost, Repo] | None:
    """Where the objects of ``origin`` are by git-lfs's rules; ``None`` for what no http(s) URL is known for.

    ``lfs_url`` is what the user's own configuration says. A repo's ``.lfsconfig`` is not heard: it
    would send us wherever a stranger likes.
    """
    found = _split(origin)
    if found is None:
        return None
    base, path = found
    repo = Repo(path)
    return GitHost(base, lfs_url=(lfs_url or f"{base}/{path}.git/info/lfs").rstrip("/")), repo


def folder_of(origin: str, base: Path) -> Path | None:
    """The folder that ``origin`` is, by git's rule for paths and ``file://``; ``base`` is what it is relative to."""
    if origin.startswith("file://"):
        return Path(unquote(urlsplit(origin).path))
    if not origin or "://" in origin or _SCP_FORM.fullmatch(origin):
        return None
    return base / origin


def _split(origin: str) -> tuple[str, str] | None:
    """Scheme and host of an origin, and the path of its repo; ssh is asked over https, as git-lfs does."""
    scp = None if "://" in origin else _SCP_FORM.fullmatch(origin)
    if scp:
        base, path = f"https://{scp[1]}", scp[2]
    else:
        url = urlsplit(origin)
        host = url.netloc.rpartition("@")[2]
        if url.scheme in ("ssh", "git+ssh", "git"):
            base = f"https://{url.hostname}"
        elif url.scheme in ("http", "https"):
            base = f"{url.scheme}://{host}"
        else:
            return None
        path = unquote(url.path)
    path = path.strip("/").removesuffix(".git")
    return (base, path) if path and base.partition("://")[2] else None


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
