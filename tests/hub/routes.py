"""Which repo and which service a path means. Works on the path as sent, since ``%2F`` and ``/`` differ."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote

API_VERBS = ("revision", "tree", "refs", "paths-info", "commits", "auth-check", "xet-read-token")
GIT_VERBS = ("info/refs", "git-upload-pack", "git-receive-pack")
BATCH = "info/lfs/objects/batch"
PLURAL = {"models": "model", "datasets": "dataset", "spaces": "space"}


@dataclass(frozen=True, slots=True)
class Route:
    """A path taken apart. ``kind`` is git, batch, resolve, raw, cache, api or other; ``args`` are segments as sent."""

    kind: str
    repo_type: str = ""
    repo_id: str = ""
    verb: str = ""
    args: tuple[str, ...] = ()


def route(path: str) -> Route:
    """Take a path apart."""
    segments = path.strip("/").split("/")
    if segments[0] == "api":
        return _api(segments[1:])
    repo_type = PLURAL.get(segments[0], "model")
    rest = segments if repo_type == "model" else segments[1:]
    for count in (1, 2):
        if found := _served(repo_type, rest[:count], rest[count:]):
            return found
    return Route("other")


def _served(repo_type: str, name: list[str], rest: list[str]) -> Route | None:
    repo_id = unquote("/".join(name))
    if len(rest) >= 3 and rest[0] in ("resolve", "raw"):
        return Route(rest[0], repo_type, repo_id, rest[0], tuple(rest[1:]))
    tail = "/".join(rest)
    if tail in GIT_VERBS:
        return Route("git", repo_type, repo_id.removesuffix(".git"), tail)
    if tail == BATCH:
        return Route("batch", repo_type, repo_id.removesuffix(".git"), tail)
    return None


def _api(segments: list[str]) -> Route:
    if not segments or segments[0] not in (*PLURAL, "resolve-cache"):
        return Route("api", verb="/".join(segments))
    kind = "api"
    if segments[0] == "resolve-cache":
        kind, segments = "cache", segments[1:]
    repo_type, rest = PLURAL.get(segments[0], "model") if segments else "model", segments[1:]
    if kind == "cache":
        count = 1 if len(rest) > 1 and len(rest[1]) == 40 else 2
        return Route(kind, repo_type, "/".join(rest[:count]), "resolve-cache", tuple(rest[count:]))
    count = 1 if len(rest) == 1 or (len(rest) > 1 and rest[1] in API_VERBS) else 2
    repo_id, tail = unquote("/".join(rest[:count])), rest[count:]
    return Route(kind, repo_type, repo_id, tail[0] if tail else "info", tuple(tail[1:]))
