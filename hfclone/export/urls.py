"""One URL a line, the best of each object: for ``wget --input-file``, and for whatever reads lists of addresses.

Such a list can name no file: the program takes the end of the URL, and for two of the same name another.
"""

from __future__ import annotations

from hfclone.export.listing import Listing

__all__ = ["write"]


def write(listing: Listing) -> str:
    """The text of the list."""
    return "".join(f"{item.urls[0]}\n" for item in listing.items)
