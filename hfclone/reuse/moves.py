"""Which files a run has begun to move into the checkout: a kill leaves the rest to the next one.

Why so: a file that is moved has two names for a moment, and then its old one is gone. Who runs the same command
again is to find it done, and no file may be left that an edit at one place would change at the other.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Collection
from pathlib import Path

from hfclone.access import Access
from hfclone.refusals import refused
from hfclone.reuse.adopting import finish_move

__all__ = ["Moves"]


class Moves:
    """The list of them in ``file``: device, inode and old name of each, with a NUL behind."""

    def __init__(self, file: Path, access: Access) -> None:
        self._file = file
        self._access = access

    def begin(self, source: Path, shared: tuple[int, int]) -> None:
        """``source`` has another name here by now, and is to lose its own.

        Raises:
            CannotWrite, DiskFull: the system refuses.
        """
        row = b"%d %d %s\0" % (*shared, os.fsencode(source))
        try:
            with self._file.open("ab") as out:
                self._access.give(out.fileno())
                out.write(row)
        except OSError as error:
            raise refused(error, self._file, len(row)) from error

    def finish(self, in_place: Callable[[], Collection[tuple[int, int]]]) -> Collection[Path]:
        """Take away the old names that a killed run has left, of files that are ``in_place``; all that it had begun.

        Raises:
            CannotWrite: the system refuses.
        """
        begun = self._rows()
        there = in_place() if begun else ()
        for source, shared in begun.items():
            if shared in there:
                finish_move(source, shared)
        return begun.keys()

    def drop(self) -> None:
        """All is done."""
        with contextlib.suppress(OSError):
            self._file.unlink(missing_ok=True)

    def _rows(self) -> dict[Path, tuple[int, int]]:
        found: dict[Path, tuple[int, int]] = {}
        with contextlib.suppress(OSError, ValueError):
            for row in self._file.read_bytes().split(b"\0")[:-1]:
                device, inode, name = row.split(b" ", 2)
                found[Path(os.fsdecode(name))] = int(device), int(inode)
        return found
