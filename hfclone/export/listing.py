"""What every format writes down, and the names under which a program may store it."""

from __future__ import annotations

from dataclasses import dataclass

from hfclone.errors import UnsafePath
from hfclone.paths import Platform, check_tree
from hfclone.pointer import Oid, Pointer

__all__ = ["MOST_UNRANGED", "ListedObject", "Listing", "safe_name"]


MOST_UNRANGED = 165 * 10**9
"""Bytes of an object that the hub's CDN is known to send to who asks without a range; to 411 GB it answers 400."""


@dataclass(frozen=True, slots=True)
class ListedObject:
    """An object, the path it belongs to, and where it can be had, best first.

    The URLs are printable ASCII without blanks, and hold no token.
    """

    path: bytes
    pointer: Pointer
    urls: tuple[str, ...]

    @property
    def name(self) -> str:
        """Where a program is to store it, below its own directory."""
        return safe_name(self.path, self.pointer.oid)

    @property
    def needs_range(self) -> bool:
        """Whether it may be refused to a program that asks without a range."""
        return self.pointer.size > MOST_UNRANGED


@dataclass(frozen=True, slots=True)
class Listing:
    """The objects that are missing of ``repo`` at ``commit``, each once."""

    repo: str
    commit: str
    items: tuple[ListedObject, ...]
    expires: str = ""
    """Until when the URLs are good, as ISO 8601; empty where they last."""

    @property
    def title(self) -> str:
        """One line about it, in printable ASCII."""
        end = f"; its addresses are good until {self.expires}" if self.expires else ""
        return f"{self.repo} at commit {self.commit}{end}"


def safe_name(path: bytes, oid: Oid) -> str:
    """``path`` as text, if it is harmless to every program on every system; else ``oid``, which always is.

    Harmless is what is printable, can be no option, leaves no directory and needs no quotes.
    """
    try:
        name = path.decode("utf-8")
        check_tree([path], platform=Platform.WINDOWS)
    except (UnicodeDecodeError, UnsafePath):
        return oid
    padded = any(part != part.strip() for part in name.split("/"))
    return oid if padded or name[0] in "-~" or not name.isprintable() else name
