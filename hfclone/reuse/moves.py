"""Which files a run has moved into the checkout, or begun to: a kill leaves the rest to the next one.

Why so: a file that is moved has two names for a moment, and then its old one is gone. Who runs the same command
again is to find it done, and no file may be left that an edit at one place would change at the other.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Collection, Iterable
from itertools import starmap
from pathlib import Path

from hfclone.files.access import Access
from hfclone.files.ondisk import write_safely
from hfclone.files.refusals import refused
from hfclone.reuse.adopting import finish_move

__all__ = ["Moves"]


_DONE = (0, 0)
"""In place of device and inode: should the user give the file its old name again, it is his."""


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
        row = _row(source, shared)
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

    def keep(self, places: Iterable[Path]) -> None:
        """All is done; only what came from ``places``, which were named now, may be asked for once more.

        Raises:
            CannotWrite, DiskFull: the system refuses.
        """
        named = [place.absolute() for place in places]
        rows = self._rows()
        kept = dict.fromkeys((source for source in rows if any(map(source.is_relative_to, named))), _DONE)
        if kept != rows:
            write_safely(self._file, b"".join(starmap(_row, kept.items())), access=self._access)

    def _rows(self) -> dict[Path, tuple[int, int]]:
        found: dict[Path, tuple[int, int]] = {}
        with contextlib.suppress(OSError, ValueError):
            for row in self._file.read_bytes().split(b"\0")[:-1]:
                device, inode, name = row.split(b" ", 2)
                found[Path(os.fsdecode(name))] = int(device), int(inode)
        return found


def _row(source: Path, shared: tuple[int, int]) -> bytes:
    return b"%d %d %s\0" % (*shared, os.fsencode(source))
