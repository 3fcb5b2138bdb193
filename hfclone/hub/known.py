"""The hubs that are known by name: a row for each. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from hfclone.hub.endpoint import HUB_URL, EndpointKind
from hfclone.hub.huggingface import HUGGING_FACE
from hfclone.hub.site import Site

__all__ = ["KNOWN_HUBS", "KnownHub", "known_as", "site_at"]


@dataclass(frozen=True, slots=True)
class KnownHub:
    """A hub, its site, and the hosts by which it is known: without ``www.``, and with a port where there is one."""

    url: str
    """What ``origin`` is in a checkout of it, whoever served the bytes; no slash at its end."""
    site: Site
    names: tuple[str, ...]
    """Hosts that are the hub, or only redirect to it."""
    mirrors: tuple[str, ...] = ()
    """Public mirrors of it that are run by others."""

    def kind_of(self, url: str) -> EndpointKind | None:
        """What the host of ``url`` is to this hub; ``None``: nothing that is known."""
        parts = urlsplit(url)
        hosts = {host.removeprefix("www.") for host in (parts.hostname or "", parts.netloc.lower())}
        if hosts.intersection(self.names):
            return EndpointKind.HUB
        return EndpointKind.MIRROR if hosts.intersection(self.mirrors) else None


KNOWN_HUBS = (KnownHub(HUB_URL, HUGGING_FACE, names=("huggingface.co", "hf.co"), mirrors=("hf-mirror.com",)),)


def known_as(url: str, hubs: Iterable[KnownHub] = KNOWN_HUBS) -> tuple[KnownHub, EndpointKind] | None:
    """The hub to which the host of ``url`` is something, and what."""
    return next(((hub, kind) for hub in hubs if (kind := hub.kind_of(url)) is not None), None)


def site_at(url: str, hubs: Iterable[KnownHub] = KNOWN_HUBS) -> Site:
    """How the endpoint at ``url`` speaks; who is not known is taken to speak as the Hugging Face Hub does."""
    found = known_as(url, hubs)
    return found[0].site if found else HUGGING_FACE
