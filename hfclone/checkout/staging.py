"""Files of git's own, written by git beside the work tree and renamed into it.

Why so: git alone knows line ends and ``ident``, and git alone would write through links and over
a user's files. So it writes where nothing is, and each file goes to its place by a walk of ours.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Protocol

from hfclone.files.folders import remove_folder
from hfclone.files.ondisk import settle_mtime
from hfclone.files.refusals import refused
from hfclone.git import GitRepo, TreeEntry
from hfclone.git.index import Fresh
from hfclone.lock.model import SUBMODULE_MODE
from hfclone.worktree import Standing

__all__ = ["place_staged", "stage"]


class Placer(Protocol):
    """Who renames files into a work tree: a ``WorkTree``, or a ``Replacement`` that can take it back."""

    def place(self, source: Path | str, path: bytes, expected: Standing, /) -> os.stat_result:
        """As ``WorkTree.place``."""
        ...

    def make_directory(self, path: bytes, /) -> None:
        """As ``WorkTree.make_directory``."""
        ...


def stage(repo: GitRepo, index: Path, staging: Path, entries: Iterable[TreeEntry]) -> None:
    """Have git write ``entries`` of ``index`` into ``staging``, as it would into a work tree.

    Raises:
        GitFailed: git cannot. CannotWrite, DiskFull: the system refuses.
    """
    remove_folder(staging)
    try:
        repo.access.make_folder(staging)
    except OSError as error:
        raise refused(error, staging) from error
    paths = [entry.path for entry in entries if entry.mode != SUBMODULE_MODE]
    if paths:
        repo.checkout_files(index, staging, paths)


def place_staged(
    placer: Placer, staging: Path, entries: Iterable[TreeEntry], standing: Mapping[bytes, Standing]
) -> dict[bytes, Fresh]:
    """Rename each of ``entries`` from ``staging``, which is gone then, to its place in the work tree.

    ``standing`` is what the caller saw at each path, and lets go.
    """
    fresh: dict[bytes, Fresh] = {}
    for entry in entries:
        if entry.mode == SUBMODULE_MODE:
            placer.make_directory(entry.path)
            continue
        staged = os.path.join(staging, os.fsdecode(entry.path))
        settle_mtime(staged, os.lstat(staged))
        fresh[entry.path] = Fresh(entry.oid, placer.place(staged, entry.path, standing[entry.path]))
    remove_folder(staging)
    return fresh
