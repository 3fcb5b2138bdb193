"""A configuration for ``curl --config``: the best URL of each object, and its name.

``globoff``, since a ``#1`` in a name would stand for a part of the URL. ``continue-at``, so that the same
command again goes on where the last one was cut; it needs a directory in which no other files lie. Of nothing that is
here it asks without a range; what needs one (``ListedObject.needs_range``) has it instead, and begins anew when it is
cut: curl takes but one of the two (from 8.11.1 on).
"""

from __future__ import annotations

from hfclone.export.listing import ListedObject, Listing

__all__ = ["write"]

_OPTIONS = """\
fail
location
globoff
create-dirs
retry = 10
"""
_USUAL = f"""\
# For a directory of its own: a file that lies there under one of these names is gone on with.
{_OPTIONS}continue-at = "-"
"""
_RANGED = f"""\
# So large that the hub's CDN wants a range for it: begun anew each time.
{_OPTIONS}range = "0-"
"""


def write(listing: Listing) -> str:
    """The text of the configuration."""
    usual = "".join(_entry(item) for item in listing.items if not item.needs_range)
    ranged = "".join(_entry(item) for item in listing.items if item.needs_range)
    groups = [_USUAL + usual] if usual or not ranged else []
    return f"# {listing.title}\n" + "next\n".join([*groups, _RANGED + ranged] if ranged else groups)


def _entry(item: ListedObject) -> str:
    return f"url = {_quoted(item.urls[0])}\noutput = {_quoted(item.name)}\n"


def _quoted(text: str) -> str:
    r"""As curl reads it (its manual, ``-K``): within quotes ``\`` and ``"`` are the two that need a ``\``."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
