"""Endpoints: who can be asked, and the URL of everything on them. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from urllib.parse import quote, urlsplit

from hfclone.names import Pin, Repo

__all__ = [
    "HUB_URL",
    "Endpoint",
    "EndpointKind",
    "TokenRule",
    "hub_first",
]

HUB_URL = "https://huggingface.co"
"""The canonical hub: what ``origin`` is in a checkout, whoever served the bytes."""


class EndpointKind(Enum):
    """The hub decides what a revision is; a mirror is an untrusted pipe."""

    HUB = "hub"
    MIRROR = "mirror"


class TokenRule(Enum):
    """Whether the user's token may go to this endpoint's origin."""

    NEVER = "never"
    SEND = "send"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A host that speaks the Hub's paths. ``url`` has no trailing slash."""

    url: str
    kind: EndpointKind = EndpointKind.MIRROR
    token_rule: TokenRule = TokenRule.NEVER

    def __hash__(self) -> int:
        return hash(self.url)  # asked for some twenty times for each object

    def __str__(self) -> str:
        return _label_of(self.url)

    @property
    def has_hub_paths(self) -> bool:
        """Whether it is asked for ``file_url``, ``blob_url``, ``revision_url`` and ``refs_url``."""
        return True

    def git_url(self, repo: Repo) -> str:
        """What git clones."""
        return f"{self.url}/{repo.path}"

    def batch_url(self, repo: Repo) -> str:
        """The LFS batch API of ``repo``; here the hub insists on ``.git``."""
        return f"{self.url}/{repo.path}.git/info/lfs/objects/batch"

    def file_url(self, pin: Pin, path: bytes) -> str:
        """The content of a file at a commit (the hub's ``/resolve/``)."""
        return f"{self.url}/{pin.repo.path}/resolve/{pin.commit}/{quote(path)}"

    def blob_url(self, pin: Pin, path: bytes) -> str:
        """What git stores for a file at a commit (the hub's ``/raw/``)."""
        return f"{self.url}/{pin.repo.path}/raw/{pin.commit}/{quote(path)}"

    def revision_url(self, repo: Repo, revision: str | None) -> str:
        """The API's answer about a revision; ``None`` asks for the default branch.

        Of that the hub is asked to tell the commit alone: 20,000 files' names are a megabyte. Who does not know
        ``expand`` tells all.
        """
        named = f"/revision/{quote(revision, safe='')}" if revision is not None else "?expand=sha"
        return f"{self._api(repo)}{named}"

    def refs_url(self, repo: Repo) -> str:
        """The API's list of branches and tags."""
        return f"{self._api(repo)}/refs"

    def _api(self, repo: Repo) -> str:
        return f"{self.url}/api/{repo.repo_type.value}s/{repo.repo_id}"

    def page(self, repo: Repo) -> str:
        """The page a person opens."""
        return f"{self.url}/{repo.path}"


def hub_first(endpoints: Iterable[Endpoint]) -> list[Endpoint]:
    """``endpoints`` in the order of who is believed: the hub decides what a revision is, a mirror may be behind."""
    return sorted(endpoints, key=lambda endpoint: endpoint.kind is not EndpointKind.HUB)


@lru_cache(maxsize=64)
def _label_of(url: str) -> str:
    """What a URL of an endpoint is called in messages."""
    parts = urlsplit(url)
    return parts.netloc + parts.path
