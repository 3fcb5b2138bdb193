"""Metalink 4 (RFC 5854): size, sha256 and every URL by priority; aria2, and many a download manager, read it."""

from __future__ import annotations

from html import escape

from hfclone.export.listing import ListedObject, Listing

__all__ = ["write"]

_LEAST = 999_999
"""The largest number, and so the least priority, that RFC 5854 (4.2.16.3) allows."""


def write(listing: Listing) -> str:
    """The text of the document."""
    head = '<?xml version="1.0" encoding="UTF-8"?>\n<metalink xmlns="urn:ietf:params:xml:ns:metalink">\n'
    return f"{head}{''.join(_file(item, listing) for item in listing.items)}</metalink>\n"


def _file(item: ListedObject, listing: Listing) -> str:
    urls = (
        f'    <url priority="{min(number, _LEAST)}">{escape(url)}</url>\n'
        for number, url in enumerate(item.urls, start=1)
    )
    return (
        f'  <file name="{escape(item.name)}">\n'
        f"    <description>{escape(listing.title)}</description>\n"
        f"    <size>{item.pointer.size}</size>\n"
        f'    <hash type="sha-256">{item.pointer.oid}</hash>\n'
        f"{''.join(urls)}"
        "  </file>\n"
    )
