"""Journals of objects that are in place: what of a file that rots need not be fetched again.

A journal vouches for ranges of an object by digests. While the object arrives it lies beside its
part; when the object is placed it is kept here under the object's id, for as long as the commit
has that object. As ever its lines are claims, each proven anew before it counts: a torn, stale or
forged one costs a fetch and nothing else.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Collection
from pathlib import Path

from hfclone.files.access import Access
from hfclone.partials import Partials
from hfclone.pointer import Oid, Pointer

__all__ = ["Vouchers"]

LEAST_BYTES = 8 * 1024 * 1024
"""Smaller objects are fetched again whole: a file for each of them would cost more than it saves."""
MOST_BYTES = 8 * 1024 * 1024
"""Of one journal; a line of some 70 bytes speaks of up to 4 MiB. A longer one is not kept."""


class Vouchers:
    """The journals that are kept in ``folder``, which need not exist."""

    def __init__(self, folder: Path, access: Access) -> None:
        self._folder = folder
        self._access = access

    def keep(self, pointer: Pointer, parts: Path) -> None:
        """Move the journal of an object that was placed here, if it has one in ``parts`` and it is of use."""
        if pointer.size < LEAST_BYTES:
            return
        journal = Partials(parts).journal_path(pointer)
        with contextlib.suppress(OSError):  # the next repair fetches more, that is all
            if journal.stat().st_size <= MOST_BYTES:
                self._access.make_folder(self._folder)
                os.replace(journal, self._folder / pointer.oid)

    def lay_out(self, pointer: Pointer, partials: Partials) -> bool:
        """Put a copy of the object's journal beside its part, which is to follow; whether there is any.

        Not where a part is already: that one has a journal of its own.

        Raises:
            OSError: the system refuses.
        """
        kept = self._folder / pointer.oid
        if not kept.exists() or partials.part_path(pointer).exists():
            return False
        shutil.copyfile(kept, partials.journal_path(pointer))
        self._access.give(partials.journal_path(pointer))
        return True

    def tidy(self, wanted: Collection[Oid]) -> None:
        """Remove those of all other objects."""
        with contextlib.suppress(OSError):
            for name in os.listdir(self._folder):
                if name not in wanted:
                    (self._folder / name).unlink(missing_ok=True)
