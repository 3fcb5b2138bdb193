"""Where files wait that have left a work tree: on its own file system, so that a rename is all that it takes.

Why so: git's directory may be on another disk (``--separate-git-dir``, a linked work tree). To copy objects there and
back takes long, and that disk may have no room for them.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from hfclone.files.folders import remove_folder

__all__ = ["beside", "clear_beside"]


def beside(root: Path, state: Path) -> Path:
    """``state``, our directory in git's, or one in the tree at ``root`` where that is on another disk."""
    if os.stat(root).st_dev == os.stat(state).st_dev:
        return state
    return root / f".hfclone-{hashlib.sha256(os.fsencode(state)).hexdigest()[:16]}"


def clear_beside(root: Path, state: Path) -> None:
    """Remove the one in the tree, with all that waits there."""
    folder = beside(root, state)
    if folder != state:
        remove_folder(folder)
