"""Git's index and our stamps: whether anybody but us has touched them since they last told of the same files.

Why so: with 20,000 large files and nothing to do, going through both was a third of a run. That they are as
noted is an opinion (inode, mtime, size), like a stamp: where it is wrong, git reads a file that it need not.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

from hfclone.files.access import Access

__all__ = ["Books"]


@dataclass(slots=True)
class Books:
    """The two files; ``note`` is where a run leaves how they looked when it ended."""

    index: Path
    stamps: Path
    note: Path
    access: Access
    _told: str = ""
    """The index as this run has left it."""

    def is_told(self) -> bool:
        """Whether the index is as this run has left it: what it was not told since is all that it may lack."""
        return bool(self._told) and self._told == _look(self.index)

    def tell(self) -> None:
        """The index says all now."""
        self._told = _look(self.index)

    def are_as_noted(self, about: str) -> bool:
        """Whether both are as a run left them that wrote ``about`` beside."""
        with contextlib.suppress(OSError, ValueError):
            return self.note.read_text("ascii") == self._text(about)
        return False

    def write_note(self, about: str) -> None:
        """Nothing waits for the disk: if the note is lost or torn, all files are looked at again."""
        with contextlib.suppress(OSError):
            self.note.write_text(self._text(about), "ascii")
            self.access.give(self.note)

    def _text(self, about: str) -> str:
        return f"{about}\n{_look(self.index)}\n{_look(self.stamps)}\n"


def _look(book: Path) -> str:
    """Who replaces it leaves another inode or mtime; empty where there is none."""
    try:
        found = os.stat(book)
    except OSError:
        return ""
    return f"{found.st_ino} {found.st_mtime_ns} {found.st_size}"
