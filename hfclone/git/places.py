"""Where a work tree's repo is: ``.git``, or what that leads to. Source: gitrepository-layout(5)."""

from __future__ import annotations

from pathlib import Path

__all__ = ["common_dir_of", "git_dir_of", "run_lock_of", "state_dir_of"]

_POINTS_TO = "gitdir: "
_LONGEST = 8192
"""Bytes of a ``.git`` that is a file: a path and a few letters."""


def git_dir_of(work_tree: Path) -> Path:
    """The git directory of a work tree: its HEAD and its index lie there.

    ``.git`` is a file that names it in submodules, in linked work trees and with ``--separate-git-dir``. Where it is
    neither, or not there, what would be made is returned: git says what is wrong with it.
    """
    found = work_tree / ".git"
    named = _text_of(found)  # of a directory there is none
    return work_tree / named.removeprefix(_POINTS_TO) if named.startswith(_POINTS_TO) else found


def common_dir_of(git_dir: Path) -> Path:
    """Where objects, refs and configuration are: linked work trees share them."""
    named = _text_of(git_dir / "commondir")
    return git_dir / named if named else git_dir


def state_dir_of(work_tree: Path) -> Path:
    """The directory of hfclone's own notes on a work tree; need not exist."""
    return git_dir_of(work_tree) / "hfclone"


def run_lock_of(work_tree: Path) -> Path:
    """The file that a run of hfclone holds while it works on the repo, on whichever of its work trees."""
    return common_dir_of(git_dir_of(work_tree)) / "hfclone" / "lock"


def _text_of(file: Path) -> str:
    try:
        with file.open(encoding="utf-8", errors="surrogateescape") as opened:
            return opened.read(_LONGEST).rstrip("\n")
    except OSError:
        return ""
