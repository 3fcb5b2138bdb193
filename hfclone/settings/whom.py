"""Whom to ask, and who of them may see the token."""

from __future__ import annotations

from urllib.parse import urlsplit

from hfclone.endpoints import is_loopback, origin_of, parse_endpoint
from hfclone.errors import BadOption
from hfclone.hub.endpoint import HUB_URL, Endpoint, EndpointKind, TokenRule
from hfclone.hub.known import known_as, site_at
from hfclone.settings.chosen import Settings
from hfclone.settings.layers import Said
from hfclone.wording import phrase

__all__ = ["endpoints", "endpoints_of", "hub_and_mirrors", "hub_of"]


def hub_and_mirrors(endpoint: Said, mirrors: Said) -> tuple[str, tuple[str, ...]]:
    """The hub's URL, and the mirrors that come before it.

    A known public mirror that was given as the endpoint (``HF_ENDPOINT=https://hf-mirror.com``, as
    its own page advises) is a mirror in front of huggingface.co. Why so: an endpoint is the hub, and
    the hub gets the token, decides what a revision is and stands in ``origin``. Nobody who follows
    that advice means to hand a stranger these rights.
    """
    before = endpoints(mirrors)
    url = parse_endpoint(endpoint.last, endpoint.name or "--endpoint")
    found = known_as(url)
    if found is None:
        return url, before
    hub, kind = found
    return hub.url, before if kind is EndpointKind.HUB else _unique((*before, url))


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
    hub = hub_of(settings)
    urls = list(settings.mirrors)
    if site is not None:
        urls += _added_by(site, settings)
    trusted = {origin_of(url) for url in settings.trusted}
    mirrors = tuple(
        Endpoint(
            url,
            token_rule=_rule(url) if origin_of(url) in trusted else TokenRule.NEVER,
            site=site_at(url, settings.hubs),
        )
        for url in _unique(tuple(urls))
        if url != hub.url
    )
    if not settings.only_mirrors:
        return (*mirrors, hub)
    if not mirrors:
        raise BadOption("--only-mirrors", "", phrase("no-mirror-given"))
    return mirrors


def hub_of(settings: Settings) -> Endpoint:
    """The hub, whether or not it is asked: pages and origins name it."""
    url = settings.endpoint
    return Endpoint(url, EndpointKind.HUB, _rule(url), site_at(url, settings.hubs))


def _added_by(site: str, settings: Settings) -> list[str]:
    """The endpoint to which a page at the host ``site`` belongs."""
    found = known_as(site, settings.hubs)
    if found is None or found[1] is EndpointKind.MIRROR:
        return [parse_endpoint(site, "REPO")]
    return [] if found[0].url == HUB_URL else [found[0].url]


def _rule(url: str) -> TokenRule:
    """A token goes where nobody on the way can read it."""
    safe = urlsplit(url).scheme == "https" or is_loopback(url)
    return TokenRule.SEND if safe else TokenRule.NEVER
