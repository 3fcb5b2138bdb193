"""A list for ``aria2c --input-file``: each object with all of its URLs, its name and its sha256.

The form has no quotes: a name ends with its line, so only names that are harmless (``ListedObject.name``) get in.
"""

from __future__ import annotations

from hfclone.export.listing import ListedObject, Listing

__all__ = ["write"]


def write(listing: Listing) -> str:
    """The text of the list."""
    return f"# {listing.title}\n" + "".join(map(_entry, listing.items))


def _entry(item: ListedObject) -> str:
    """Without ``auto-file-renaming`` a file that is there stays, and is no second copy of it fetched."""
    options = {
        "out": item.name,
        "checksum": f"sha-256={item.pointer.oid}",
        "auto-file-renaming": "false",
    }
    return "\t".join(item.urls) + "\n" + "".join(f"  {name}={value}\n" for name, value in options.items())
