"""Manners of fronts that were seen in the world."""

from __future__ import annotations

from .site import Manners


def files_only() -> Manners:
    """API and resolve as on the hub, but neither git nor LFS batch."""
    return Manners(git=False, batch=False)


def olah_proxy() -> Manners:
    """Olah 0.5.4 as a proxy: bytes for a redirect, no blobs=true, no revisions with a slash."""
    return Manners(git=False, batch=False, resolve_bytes=True, resolve_cache=False, slash_revisions=False, blobs=False)


def olah_local() -> Manners:
    """Olah 0.5.4 on its own: as its proxy, and chunked, bare ETags; add `IgnoreRange` for all of it."""
    manners = olah_proxy()
    manners.content_length = manners.quoted_etag = False
    return manners


def reverse_proxy() -> Manners:
    """A proxy of everything, the CDN's host too (listener ``mirror-cdn``), that leaves Link alone."""
    return Manners(own_cdn=True)


def moved(origin: str) -> Manners:
    """308 to another origin for everything."""
    return Manners(redirect_all=origin)
