"""How a user names a repo, and what that name resolves to.

Pure. The rules of repo ids are huggingface_hub's (``utils/_validators.py``). What people paste of a hub's pages is
read by ``hub.pasted``.
"""

from __future__ import annotations

import re
from collections.abc import Container
from dataclasses import dataclass
from enum import Enum

from hfclone.errors import BadRepoSpec
from hfclone.wording import phrase

__all__ = [
    "CacheLink",
    "History",
    "LfsStore",
    "Pin",
    "Repo",
    "RepoSpec",
    "RepoType",
    "Taking",
    "Token",
    "check_revision",
    "is_full_sha",
    "is_revision",
    "is_short_sha",
    "parse_name",
    "split_repo",
]

_PART = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,94}[A-Za-z0-9_])?")
_FULL_SHA = re.compile(r"[0-9a-f]{40}")
_SHORT_SHA = re.compile(r"[0-9a-f]{4,39}")
_BAD_REVISION = re.compile(
    r"[\x00-\x20\x7f~^:?*\[\\\ud800-\udfff]|\.\.|@\{|^[-/]|/$|//|\.lock(?:/|$)|(?:^|/)\.|\.$|^@$"
)
"""git's rules (git-check-ref-format), and what would not be one argument or one part of a URL."""


class RepoType(Enum):
    """The Hub's kinds of repos."""

    MODEL = "model"
    DATASET = "dataset"
    SPACE = "space"

    @property
    def prefix(self) -> str:
        """What stands before the repo id in URLs."""
        return "" if self is RepoType.MODEL else f"{self.value}s/"


class History(Enum):
    """How much of the past a checkout holds."""

    SHALLOW = "shallow"
    """The commit alone."""
    FULL = "full"


class LfsStore(Enum):
    """How git-lfs's own store (``.git/lfs/objects``) is filled beside the work tree."""

    AUTO = "auto"
    """By reflink where the file system can, else not at all: one copy's worth of disk either way."""
    REFLINK = "reflink"
    HARDLINK = "hardlink"
    """One inode, read-only: an edit in place would spoil both."""
    COPY = "copy"
    NONE = "none"


class Taking(Enum):
    """How the bytes of a file on this machine become an object of a checkout."""

    AUTO = "auto"
    """By shared blocks where the file system can, else by a copy."""
    HARDLINK = "hardlink"
    """One inode, read-only: an edit in place would spoil both. Else as ``AUTO``."""
    MOVE = "move"
    """The file is gone from where it was. On another file system, or for files of others, as ``AUTO``."""


class CacheLink(Enum):
    """How a large file of a checkout comes to stand in the Hub cache, too."""

    AUTO = "auto"
    """By reflink where the file system can, else by hardlink, else (another file system, Windows) as a copy."""
    REFLINK = "reflink"
    HARDLINK = "hardlink"
    """One inode, read-only: an edit in place would spoil both."""
    COPY = "copy"


class Token:
    """A secret that no log, traceback or ``dataclasses.asdict`` shows.

    Why so: a plain class and not a dataclass, since ``asdict`` walks into dataclasses.
    """

    __slots__ = ("_secret",)

    def __init__(self, secret: str) -> None:
        self._secret = secret

    def __repr__(self) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Token) and self._secret == other._secret

    def __hash__(self) -> int:
        return hash(self._secret)

    def reveal(self) -> str:
        """The secret itself; for the header of a request and nothing else."""
        return self._secret


@dataclass(frozen=True, slots=True)
class Repo:
    """One repo of the Hub."""

    repo_id: str
    repo_type: RepoType = RepoType.MODEL

    @property
    def path(self) -> str:
        """The repo's path on every endpoint: ``datasets/org/name``."""
        return self.repo_type.prefix + self.repo_id

    @property
    def name(self) -> str:
        """The last part of the id: the directory that git would make."""
        return self.repo_id.rpartition("/")[2]

    def __str__(self) -> str:
        return self.path


@dataclass(frozen=True, slots=True)
class Pin:
    """A repo at one commit (40 hex digits). All work below the first step needs one."""

    repo: Repo
    commit: str

    def __str__(self) -> str:
        return f"{self.repo.path}@{self.commit}"


@dataclass(frozen=True, slots=True)
class RepoSpec:
    """What the user asked for."""

    repo: Repo
    revision: str | None = None
    """As written: branch, tag, ``refs/pr/N`` or a commit; ``None`` is the default branch."""
    file: str | None = None
    """The only path to fetch; everything below it where it ends in ``/``."""
    site: str | None = None
    """Scheme and host of the pasted page, where a URL was given."""


def is_full_sha(revision: str) -> bool:
    """Whether ``revision`` is a commit as it stands."""
    return bool(_FULL_SHA.fullmatch(revision))


def is_short_sha(revision: str) -> bool:
    """Whether ``revision`` may be the beginning of a commit (it may be a branch's name, too)."""
    return bool(_SHORT_SHA.fullmatch(revision))


def parse_name(name: str) -> RepoSpec:
    """``[datasets/|spaces/|models/]id[@revision]``.

    Raises:
        BadRepoSpec: it names no repo.
    """
    given = name
    path, at, revision = name.partition("@")
    if at and not revision:
        raise BadRepoSpec(given, phrase("nothing-behind-at"))
    repo, rest = split_repo(path.removesuffix("/").split("/"), given)
    if rest:
        raise BadRepoSpec(given, phrase("two-parts-at-most"))
    return RepoSpec(repo, check_revision(revision, given) if at else None)


def split_repo(parts: list[str], given: str, pages: Container[str] = ()) -> tuple[Repo, list[str]]:
    """The repo that ``parts`` begin with, and what follows it; one of ``pages`` is no second part of an id.

    Raises:
        BadRepoSpec: of ``given``, which does not name a repo so.
    """
    repo_type = RepoType.MODEL
    for kind in RepoType:
        if len(parts) > 1 and parts[0] == f"{kind.value}s":
            repo_type, parts = kind, parts[1:]
            break
    one_part = len(parts) == 1 or (len(parts) > 2 and parts[1] in pages)
    count = 1 if one_part else 2
    names = parts[:count]
    if names:
        names[-1] = names[-1].removesuffix(".git")
    for name in names or [""]:
        _check_part(name, given)
    return Repo("/".join(names), repo_type), parts[count:]


def _check_part(part: str, given: str) -> None:
    if not part:
        raise BadRepoSpec(given, phrase("empty-part-of-name"))
    if not _PART.fullmatch(part) or "--" in part or ".." in part or part.endswith(".git"):
        raise BadRepoSpec(given, phrase("name-not-allowed", name=part))


def is_revision(text: str) -> bool:
    """Whether a branch or tag can be called so; what can leads nowhere as the end of a path."""
    return bool(text) and not _BAD_REVISION.search(text)


def check_revision(revision: str, given: str) -> str:
    """``revision``, if a branch or tag can be called so. Raises BadRepoSpec, of ``given``."""
    if not is_revision(revision):
        raise BadRepoSpec(given, phrase("cannot-be-revision", revision=revision))
    return revision
