"""Files of git's own, written by git beside the work tree and renamed into it.

Why so: git alone knows line ends and ``ident``, and git alone would write through links and over
a user's files. So it writes where nothing is, and each file goes to its place by a walk of ours.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from hfclone.git import GitRepo, TreeEntry
from hfclone.gitindex import Fresh
from hfclone.locked import SUBMODULE_MODE
from hfclone.ondisk import settle_mtime
from hfclone.worktree import Kind, Standing, WorkTree

__all__ = ["put_files", "stage"]


def put_files(
    repo: GitRepo,
    tree: WorkTree,
    index: Path,
    staging: Path,
    entries: Sequence[TreeEntry],
    standing: Mapping[bytes, Standing],
) -> dict[bytes, Fresh]:
    """Have git write ``entries`` of ``index`` beside the tree, and rename each to its place.

    ``standing`` is what the caller saw at each path, and lets go.
    """
    fresh: dict[bytes, Fresh] = {}
    stage(repo, index, staging, [e.path for e in entries if e.mode != SUBMODULE_MODE])
    for entry in entries:
        if entry.mode == SUBMODULE_MODE:
            tree.make_directory(entry.path)
            continue
        staged = os.path.join(staging, os.fsdecode(entry.path))
        settle_mtime(staged, os.lstat(staged))
        seen = standing[entry.path]
        if seen.kind in (Kind.BLOCKED, Kind.DIRECTORY):
            seen = tree.look(entry.path)  # what blocked it has been removed
        fresh[entry.path] = Fresh(entry.oid, tree.place(staged, entry.path, seen))
    shutil.rmtree(staging, ignore_errors=True)
    return fresh


def stage(repo: GitRepo, index: Path, staging: Path, paths: list[bytes]) -> None:
    """Have git write ``paths`` of ``index`` into ``staging``, as it would into a work tree."""
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(mode=0o700)
    repo.checkout_files(index, staging, paths)
