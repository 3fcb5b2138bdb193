"""What hfclone knows or has, in the form of somebody else's tools.

Here: what is missing, as a list for other programs to fetch, one pure module for each format. It gets a
``Listing`` and makes the text of a file; where programs differ in how they name what they have fetched, or
cannot be told, ``hfclone import`` finds it by its sha256. And what is here, for huggingface_hub: ``hf_cache``
fills its cache, ``local_dir`` writes its notes.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from hfclone.export import aria2_input, curl_config, idm, metalink, urls
from hfclone.export.listing import MOST_UNRANGED, ListedObject, Listing

__all__ = ["MOST_UNRANGED", "Format", "ListedObject", "Listing", "formatted"]


class Format(Enum):
    """For whom the list is."""

    ARIA2 = "aria2"
    METALINK = "metalink"
    URLS = "urls"
    CURL = "curl"
    WGET = "wget"
    IDM = "idm"


_WRITERS: dict[Format, Callable[[Listing], str]] = {
    Format.ARIA2: aria2_input.write,
    Format.METALINK: metalink.write,
    Format.URLS: urls.write,
    Format.CURL: curl_config.write,
    Format.WGET: urls.write,
    Format.IDM: idm.write,
}


def formatted(listing: Listing, made_for: Format) -> bytes:
    """The file of ``listing`` for a program; the same listing gives the same bytes."""
    return _WRITERS[made_for](listing).encode("utf-8")
