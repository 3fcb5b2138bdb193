"""Whom to ask, and who of them may see the token."""

from __future__ import annotations

from urllib.parse import urlsplit

from hfclone.endpoints import is_loopback, origin_of, parse_endpoint
from hfclone.errors import BadOption
from hfclone.hub.endpoint import HUB_URL, Endpoint, EndpointKind, TokenRule
from hfclone.settings.chosen import Settings
from hfclone.settings.layers import Said
from hfclone.wording import phrase

__all__ = ["KNOWN_MIRRORS", "endpoints", "endpoints_of", "hub_and_mirrors"]

KNOWN_MIRRORS = frozenset({"hf-mirror.com", "www.hf-mirror.com"})
"""Public mirrors of the hub that are run by others; see ``hub_and_mirrors``."""

_HUB_NAMES = frozenset({"huggingface.co", "www.huggingface.co", "hf.co"})
"""Hosts that are the hub; ``hf.co`` only redirects to it."""


def hub_and_mirrors(endpoint: Said, mirrors: Said) -> tuple[str, tuple[str, ...]]:
    """The hub's URL, and the mirrors that come before it.

    A known public mirror that was given as the endpoint (``HF_ENDPOINT=https://hf-mirror.com``, as
    its own page advises) is a mirror in front of huggingface.co. Why so: an endpoint is the hub, and
    the hub gets the token, decides what a revision is and stands in ``origin``. Nobody who follows
    that advice means to hand a stranger these rights.
    """
    before = endpoints(mirrors)
    url = parse_endpoint(endpoint.last, endpoint.name or "--endpoint")
    host = urlsplit(url).hostname or ""
    if host in _HUB_NAMES:
        return HUB_URL, before
    if host in KNOWN_MIRRORS:
        return HUB_URL, _unique((*before, url))
    return url, before


def endpoints(said: Said) -> tuple[str, ...]:
    """Endpoints as URLs, each once."""
    return _unique(tuple(parse_endpoint(value, said.name) for value in said.values))


def _unique(urls: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(urls))


def endpoints_of(settings: Settings, site: str | None = None) -> tuple[Endpoint, ...]:
    """Whom to ask, in order: the mirrors, the site of a pasted page, the hub.

    A page of huggingface.co only names a repo, also for users of another hub: it adds nobody.

    Raises:
        BadOption: ``--only-mirrors`` leaves nobody to ask.
    """
    hub = Endpoint(settings.endpoint, EndpointKind.HUB, _rule(settings.endpoint))
    urls = list(settings.mirrors)
    if site is not None and urlsplit(site).hostname not in _HUB_NAMES:
        urls.append(parse_endpoint(site, "REPO"))
    trusted = {origin_of(url) for url in settings.trusted}
    mirrors = tuple(
        Endpoint(url, token_rule=_rule(url) if origin_of(url) in trusted else TokenRule.NEVER)
        for url in _unique(tuple(urls))
        if url != hub.url
    )
    if not settings.only_mirrors:
        return (*mirrors, hub)
    if not mirrors:
        raise BadOption("--only-mirrors", "", phrase("no-mirror-given"))
    return mirrors


def _rule(url: str) -> TokenRule:
    """A token goes where nobody on the way can read it."""
    safe = urlsplit(url).scheme == "https" or is_loopback(url)
    return TokenRule.SEND if safe else TokenRule.NEVER
