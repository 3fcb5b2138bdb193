"""From what a user writes to a commit, and from a path to a file of it."""

from __future__ import annotations

import re
from urllib.parse import unquote, unquote_to_bytes

from .access import error
from .blobs import Row
from .messages import Response
from .repos import LivingRepo
from .site import Hosted, Manners

FULL = re.compile(r"[0-9a-f]{40}")
SHORT = re.compile(r"[0-9a-f]{7,39}")


def commit_for(hosted: Hosted, revision: str, manners: Manners) -> str | Response:
    """Resolve a revision as sent (percent-encoded) or answer 404."""
    name = unquote(revision)
    if "/" in name and not manners.slash_revisions:
        return error(404, "RepoNotFound", "Repository not found")
    for ref in (f"refs/heads/{name}", f"refs/tags/{name}", name if name.startswith("refs/") else ""):
        if ref and (commit := hosted.repo.commit_of(ref)):
            return commit
    is_sha = FULL.fullmatch(name) or (manners.short_shas and SHORT.fullmatch(name))
    if is_sha and (commit := hosted.repo.commit_of(name)):
        return commit
    return error(404, "RevisionNotFound", f"Invalid rev id: {name}")


def file_at(repo: LivingRepo, commit: str, segments: tuple[str, ...]) -> Row | None:
    """Return a file of a commit by its path as sent."""
    path = unquote_to_bytes("/".join(segments))
    return repo.file(commit, path)


def no_entry(commit: str) -> Response:
    """Answer for a path that a commit does not have."""
    return error(404, "EntryNotFound", "Entry not found", {"X-Repo-Commit": commit})
