"""A list that Internet Download Manager imports (``.ef2``): one URL an entry, every line ended by CRLF."""

from __future__ import annotations

from hfclone.export.listing import Listing

__all__ = ["write"]


def write(listing: Listing) -> str:
    """The text of the list; IDM names the files by their URLs."""
    return "".join(f"<\r\n{item.urls[0]}\r\n>\r\n" for item in listing.items)
