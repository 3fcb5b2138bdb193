"""Directories made, walked and removed, however deep they are: a tree may be as deep as a path is long.

Why so: ``shutil.rmtree``, ``os.walk``, ``pathlib``'s ``rglob`` and ``mkdir(parents=True)`` call themselves for each
level (the first three until Python 3.12 or 3.13), and 1,000 levels end that.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp

from hfclone.errors import CheckoutMoved

__all__ = ["FixedFolders", "files_below", "make_folders", "missing_folders", "remove_folder", "temporary_folder"]

_HANDLES = os.open in os.supports_dir_fd and os.rename in os.supports_dir_fd and os.listdir in os.supports_fd
_OPEN_BY_LINK: int = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0)
_OPEN: int = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)


class FixedFolders:
    """Directories that a run works in by their names: each has to stay the one that it was.

    Why so: most calls name whole paths. If another directory stands there by then (a checkout that was moved away, and
    another in its place), they would write into that.
    """

    def __init__(self, *folders: Path) -> None:
        """Raises ``OSError`` where one is not there."""
        # Held open: some file systems number a directory anew when nobody uses it.
        self._held = {folder: os.open(folder, _OPEN_BY_LINK) for folder in folders} if _HANDLES else {}
        self._seen = {folder: _identity(os.stat(self._held.get(folder, folder))) for folder in folders}

    def check(self) -> None:
        """Raises ``CheckoutMoved`` where one is another, or is there no more."""
        for folder, seen in self._seen.items():
            try:
                found = _identity(os.stat(folder))
            except OSError as error:
                raise CheckoutMoved(str(folder)) from error
            if found != seen:
                raise CheckoutMoved(str(folder))

    def close(self) -> None:
        """Let the handles go."""
        while self._held:
            os.close(self._held.popitem()[1])


def _identity(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino


def make_folders(folder: Path) -> None:
    """Make a directory, which may be there, and those that it lies in. Raises ``OSError``."""
    for each in missing_folders(folder):
        each.mkdir(exist_ok=True)


def missing_folders(folder: Path) -> list[Path]:
    """Of a directory and those that it lies in what is not there, the outermost first."""
    missing: list[Path] = []
    while not folder.is_dir() and folder != folder.parent:
        missing.insert(0, folder)
        folder = folder.parent
    return missing


def files_below(folder: Path, *, without: str = "") -> Iterator[Path]:
    """All below ``folder`` that is no directory, in order; no link is followed. What cannot be read has nothing.

    Directories with the name ``without`` are left out.
    """
    folders = [folder]
    while folders:
        folder = folders.pop()
        try:
            with os.scandir(folder) as listed:
                entries = sorted(listed, key=lambda entry: entry.name)
        except OSError:
            continue
        yield from (Path(entry.path) for entry in entries if not entry.is_dir(follow_symlinks=False))
        below = (entry for entry in reversed(entries) if entry.is_dir(follow_symlinks=False))
        folders += [Path(entry.path) for entry in below if entry.name != without]


def remove_folder(folder: Path) -> None:
    """Remove a directory and all below it, as far as that can be done; no link is followed."""
    with contextlib.suppress(OSError):
        if _HANDLES:
            _empty(folder)
            folder.rmdir()
        else:
            shutil.rmtree(folder)


def _empty(folder: Path) -> None:
    """Each directory's own are moved up before it goes: two handles do for any depth, and no path is too long."""
    top = os.open(folder, _OPEN)
    try:
        left = os.listdir(top)
        number = 0
        while left:
            name = left.pop()
            if not _is_folder(name, top):
                _unlink(name, top)
                continue
            here = os.open(name, _OPEN, dir_fd=top)
            try:
                for child in os.listdir(here):
                    if not _is_folder(child, here):
                        _unlink(child, here)
                        continue
                    number += 1
                    fresh = f"{number}.removed-{os.getpid()}"
                    os.rename(child, fresh, src_dir_fd=here, dst_dir_fd=top)
                    left.append(fresh)
            finally:
                os.close(here)
            os.rmdir(name, dir_fd=top)
    finally:
        os.close(top)


def _is_folder(name: str, handle: int) -> bool:
    return stat.S_ISDIR(os.stat(name, dir_fd=handle, follow_symlinks=False).st_mode)


def _unlink(name: str, handle: int) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name, dir_fd=handle)


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A directory of our own that goes, with what is in it then. Raises ``OSError``."""
    folder = Path(mkdtemp(prefix="hfclone-"))
    try:
        yield folder
    finally:
        remove_folder(folder)
