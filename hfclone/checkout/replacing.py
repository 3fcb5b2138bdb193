"""Replacing files of a work tree so that all of it can be taken back while it is not finished.

Why so: a move to another commit that fails halfway must leave the checkout as it was. So nothing is written over or
deleted: what is in the way is renamed to a folder of ours first, and renamed back if anything fails. What is about to
be done is noted first: a signal may come just behind it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from hfclone.errors import HfcloneError
from hfclone.files.folders import remove_folder
from hfclone.files.refusals import refused
from hfclone.worktree import FileMode, Kind, Standing, WorkTree, kind_of

__all__ = ["Replacement"]


class Replacement:
    """Changes to ``tree`` that are either kept or reverted. ``folder`` is ours, best on the tree's file system.

    For one thread. What a killed run left in ``folder`` is of no use: the checkout's journal says how to go on.
    """

    def __init__(self, tree: WorkTree, folder: Path) -> None:
        self._tree = tree
        self._folder = folder
        self._taken: list[tuple[bytes, Path]] = []
        self._placed: list[tuple[bytes, Standing]] = []
        self._modes: list[tuple[bytes, FileMode]] = []
        self._is_whole = True
        """Whether all that was taken is still there."""
        remove_folder(folder)

    def take(self, path: bytes, seen: Standing, target: Path | None = None) -> None:
        """Rename the file or link that was ``seen`` at ``path`` out of the tree (to ``target``), or remove a directory.

        Raises:
            CannotWrite: something else stands there by now, or the system refuses.
        """
        if seen.kind is Kind.DIRECTORY:
            self._taken.append((path, self._folder))
            self._tree.remove(path, seen)
        elif seen.kind in (Kind.FILE, Kind.LINK):
            saved = target or self._fresh_name()
            self._taken.append((path, saved))
            self._is_whole &= self._tree.take(path, saved, seen)

    def remove(self, path: bytes, seen: Standing) -> None:
        """The same for good, with the directories that are empty then."""
        self.take(path, seen)
        self._tree.prune(path)

    def place(self, source: Path | str, path: bytes, seen: Standing) -> os.stat_result:
        """As ``WorkTree.place``."""
        coming = os.lstat(source)
        self._placed.append((path, Standing(kind_of(coming.st_mode), coming)))
        stat = self._tree.place(source, path, seen)
        self._placed[-1] = path, Standing(kind_of(stat.st_mode), stat)  # across file systems it is another file
        return stat

    def make_directory(self, path: bytes) -> None:
        """As ``WorkTree.make_directory``."""
        if self._tree.look(path).kind is Kind.ABSENT:
            self._placed.append((path, Standing(Kind.DIRECTORY)))
        self._tree.make_directory(path)

    def set_executable(self, path: bytes, mode: FileMode) -> None:
        """As ``WorkTree.set_executable``."""
        before = self._tree.look(path).stat
        if before is not None:
            self._modes.append((path, FileMode.of(before)))
        self._tree.set_executable(path, mode)

    def revert(self) -> bool:
        """Put back what was there; whether that was possible for all of it. What somebody else has put there stays."""
        steps: list[Callable[[], None]] = [
            *(partial(self._tree.set_executable, path, mode) for path, mode in reversed(self._modes)),
            *(partial(self._remove_placed, path, placed) for path, placed in reversed(self._placed)),
            *(partial(self._put_back, path, saved) for path, saved in reversed(self._taken)),
        ]
        is_reverted = self._is_whole
        for step in steps:
            try:
                step()
            except (HfcloneError, OSError):
                is_reverted = False  # the others still go back
        if is_reverted:
            self.keep()
        return is_reverted

    def keep(self) -> None:
        """All is done: what was replaced is deleted."""
        remove_folder(self._folder)

    def _remove_placed(self, path: bytes, placed: Standing) -> None:
        if self._tree.look(path).is_same(placed):
            self._tree.remove(path, placed)
        elif self._tree.look(path).kind is Kind.ABSENT:
            self._tree.prune(path)

    def _put_back(self, path: bytes, saved: Path) -> None:
        if saved == self._folder:
            self._tree.make_directory(path)
        elif os.path.lexists(saved) and self._tree.look(path).kind is Kind.ABSENT:
            self._tree.place(saved, path, Standing(Kind.ABSENT))

    def _fresh_name(self) -> Path:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise refused(error, self._folder) from error
        return self._folder / str(len(self._taken))
