"""Endpoints: who can be asked, and the URL of everything on them. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from ipaddress import ip_address
from urllib.parse import quote, urlsplit

from hfclone.errors import BadOption
from hfclone.names import Pin, Repo
from hfclone.wording import phrase

__all__ = [
    "HUB_URL",
    "Endpoint",
    "EndpointKind",
    "TokenRule",
    "hub_first",
    "is_loopback",
    "origin_of",
    "parse_endpoint",
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


def parse_endpoint(text: str, option: str) -> str:
    """Normalise what a user typed for an endpoint; https where no scheme is given.

    Raises:
        BadOption: it is no http(s) URL of a host, or it holds a user name, a query or a fragment.
    """
    given = text.strip()
    try:
        url = urlsplit(given if "://" in given else f"https://{given}")
        port = url.port
    except ValueError as error:  # a port that is no number, brackets that hold no IPv6 address
        raise BadOption(option, given, phrase("no-url-since", reason=error)) from None
    if url.scheme not in ("http", "https"):
        raise BadOption(option, given, phrase("scheme-not-http", scheme=url.scheme))
    if not url.hostname or any(c.isspace() or c in "\\\"'<>" or ord(c) < 32 for c in url.netloc):
        raise BadOption(option, given, phrase("no-host"))
    if url.username is not None or url.password is not None:
        raise BadOption(option, "(hidden)", phrase("secret-in-url"))
    if url.query or url.fragment:
        raise BadOption(option, given, phrase("no-query"))
    host = f"[{url.hostname}]" if ":" in url.hostname else url.hostname
    return f"{url.scheme}://{host}{f':{port}' if port else ''}{url.path.rstrip('/')}"


def origin_of(url: str) -> tuple[str, str, int]:
    """Scheme, host and port: what must be equal for a token to follow."""
    parts = urlsplit(url)
    default = 443 if parts.scheme == "https" else 80
    return parts.scheme, (parts.hostname or "").lower(), parts.port or default


@lru_cache(maxsize=64)
def _label_of(url: str) -> str:
    """What a URL of an endpoint is called in messages."""
    parts = urlsplit(url)
    return parts.netloc + parts.path


def is_loopback(url: str) -> bool:
    """Whether ``url`` names this machine, where plain http is as safe as https."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
