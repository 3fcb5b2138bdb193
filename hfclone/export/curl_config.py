"""A configuration for ``curl --config``: the best URL of each object, and its name.

``globoff``, since a ``#1`` in a name would stand for a part of the URL. ``continue-at``, so that the same
command again goes on where the last one was cut; it needs a directory in which no other files lie.
"""

from __future__ import annotations

from hfclone.export.listing import Item, Listing

__all__ = ["write"]

_HEAD = """\
# For a directory of its own: a file that lies there under one of these names is gone on with.
fail
location
globoff
create-dirs
continue-at = "-"
retry = 10
"""


def write(listing: Listing) -> str:
    """The text of the configuration."""
    return f"# {listing.title}\n{_HEAD}{''.join(map(_entry, listing.items))}"


def _entry(item: Item) -> str:
    return f"url = {_quoted(item.urls[0])}\noutput = {_quoted(item.name)}\n"


def _quoted(text: str) -> str:
    r"""As curl reads it (its manual, ``-K``): within quotes ``\`` and ``"`` are the two that need a ``\``."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
