"""Which remote a checkout comes from, and what its URL is for git: ``insteadOf`` may have it elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hfclone.errors import GitFailed
from hfclone.git.plumbing import GitRepo

__all__ = ["Remote", "address_of", "remote_of", "remotes_of"]

_DEFAULT = "origin"


@dataclass(frozen=True, slots=True)
class Remote:
    """A remote of the repo's own configuration; ``url`` as it stands there, the one that git fetches from."""

    name: str
    url: str


def remotes_of(repo: GitRepo) -> Iterator[Remote]:
    """All that have a URL."""
    for name in repo.config.names("remote"):
        url = repo.config.first(f"remote.{name}.url")
        if url:
            yield Remote(name, url)


def remote_of(repo: GitRepo, branch: str | None) -> Remote | None:
    """The remote that ``branch`` (a full name) follows, else the only one, else ``origin``.

    Git and git-lfs choose so, too (git-lfs-config(5), ``remote.lfsdefault``).
    """
    there = {remote.name: remote for remote in remotes_of(repo)}
    of_branch = repo.config.get(f"branch.{branch.removeprefix('refs/heads/')}.remote") if branch else None
    for name in (of_branch, repo.config.get("remote.lfsdefault")):
        if name in there:
            return there[name]
    return next(iter(there.values())) if len(there) == 1 else there.get(_DEFAULT)


def address_of(repo: GitRepo, url: str) -> str:
    """Where git goes for ``url``: ``url.<base>.insteadOf`` of the user's configuration applied."""
    try:
        listed = repo.run("ls-remote", "--get-url", "--", url)
    except GitFailed:
        return url
    return listed.decode("utf-8", "surrogateescape").removesuffix("\n") or url
