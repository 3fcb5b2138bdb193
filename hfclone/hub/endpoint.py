"""Endpoints: who can be asked, and as what. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from urllib.parse import urlsplit

from hfclone.hub.huggingface import HUGGING_FACE
from hfclone.hub.site import Site
from hfclone.names import Repo

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
    """A host that has repos. ``url`` has no trailing slash; ``site`` knows where everything is below it."""

    url: str
    kind: EndpointKind = EndpointKind.MIRROR
    token_rule: TokenRule = TokenRule.NEVER
    site: Site = field(default=HUGGING_FACE, repr=False)  # it may hold a user's own address, with a password

    def __hash__(self) -> int:
        return hash(self.url)  # asked for some twenty times for each object

    def __str__(self) -> str:
        return _label_of(self.url)

    def git_url(self, repo: Repo) -> str:
        """What git clones."""
        return self.site.git_url(self.url, repo)

    def page(self, repo: Repo) -> str:
        """What a person opens."""
        return self.site.page(self.url, repo)


def hub_first(endpoints: Iterable[Endpoint]) -> list[Endpoint]:
    """``endpoints`` in the order of who is believed: the hub decides what a revision is, a mirror may be behind."""
    return sorted(endpoints, key=lambda endpoint: endpoint.kind is not EndpointKind.HUB)


@lru_cache(maxsize=64)
def _label_of(url: str) -> str:
    """What a URL of an endpoint is called in messages."""
    parts = urlsplit(url)
    return parts.netloc + parts.path
