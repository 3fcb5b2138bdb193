"""The way to a path of a work tree, on which no link is followed."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import Path

__all__ = ["Walk"]

_HANDLES = os.open in os.supports_dir_fd and os.rename in os.supports_dir_fd
_DIRECTORY: int = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0)
_NO_LINK: int = _DIRECTORY | getattr(os, "O_NOFOLLOW", 0)


class Walk:
    """From the root to the directory of a path. Not for several threads at once: one is kept open between calls."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._root_fd = os.open(root, _DIRECTORY) if _HANDLES else None
        self._open: tuple[bytes, int] | None = None
        self._steps: list[tuple[str, int, int]] = []
        """On the way to what is open: each directory by its path, with its device and inode."""

    def close(self) -> None:
        """Let the handles go."""
        self.forget()
        if self._root_fd is not None:
            os.close(self._root_fd)
            self._root_fd = None

    def forget(self) -> None:
        """Walk the next path anew: what was open may have moved."""
        if self._open:
            os.close(self._open[1])
            self._open = None

    def renew(self, path: bytes) -> None:
        """Walk to ``path`` anew unless each directory on the way is still the one that is open.

        Why not always: to walk is to open and to close each of them, and many files share a directory.
        """
        if self._open and not (self._open[0] == path.rpartition(b"/")[0] and all(map(self._stands, self._steps))):
            self.forget()

    def _stands(self, step: tuple[str, int, int]) -> bool:
        name, device, inode = step
        try:
            found = os.stat(name, dir_fd=self._root_fd, follow_symlinks=False)
        except OSError:
            return False
        return (found.st_dev, found.st_ino) == (device, inode)

    def names(self, folder: bytes) -> list[bytes]:
        """What the directory ``folder`` (empty: the root) holds."""
        if self._root_fd is None:
            return [os.fsencode(name) for name in os.listdir(self._root / os.fsdecode(folder))]
        handle = self._directory(folder, make=False) if folder else self._root_fd
        return [os.fsencode(name) for name in os.listdir(handle)]

    def leaf(self, path: bytes, *, make: bool = False) -> tuple[str, int | None]:
        """The last part of ``path`` and the open directory it is in (or a whole path and ``None``).

        The handle is ours, and valid until the next call; ``make`` makes the directories that are not there.
        """
        folder, _, name = path.rpartition(b"/")
        if self._root_fd is None:
            return self._checked(folder, name, make=make), None
        return os.fsdecode(name), self._directory(folder, make=make) if folder else self._root_fd

    def _directory(self, folder: bytes, *, make: bool) -> int:
        """An open handle of ``folder``; ours, valid until the next call."""
        if self._open and self._open[0] == folder:
            return self._open[1]
        if self._open and self._open[0].rpartition(b"/")[0] == folder and self._has_gone_up():
            return self._open[1]
        self.forget()
        assert self._root_fd is not None  # the portable way does not come here
        handle = os.dup(self._root_fd)
        way = ""
        self._steps = []
        for part in os.fsdecode(folder).split("/"):
            try:
                below = _step(part, handle, make=make)
            finally:
                os.close(handle)
            handle = below
            found, way = os.fstat(handle), f"{way}{part}/"
            self._steps.append((way[:-1], found.st_dev, found.st_ino))
        self._open = (folder, handle)
        return handle

    def _has_gone_up(self) -> bool:
        """Whether the directory that what is open lies in could be opened instead, being the one that was passed.

        Why so: who removes directories, one after the other, would walk to each from the root.
        """
        assert self._open is not None  # whoever asks has looked
        folder, handle = self._open
        above = os.open("..", _NO_LINK, dir_fd=handle)
        found = os.fstat(above)
        if self._steps[-2][1:] != (found.st_dev, found.st_ino):
            os.close(above)
            return False
        os.close(handle)
        self._steps.pop()
        self._open = (folder.rpartition(b"/")[0], above)
        return True

    def _checked(self, folder: bytes, name: bytes, *, make: bool) -> str:
        """The portable way: no component may be a link or a reparse point."""
        here = self._root
        for part in folder.split(b"/") if folder else ():
            here = here / os.fsdecode(part)
            if make and not os.path.lexists(here):
                os.mkdir(here)
            found = os.lstat(here)
            reparse = getattr(found, "st_file_attributes", 0) & getattr(stat, "FILE_ATTRIBUTE_REPARSE_POINT", 0)
            if not stat.S_ISDIR(found.st_mode) or reparse:
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(here))
        return str(here / os.fsdecode(name))


def _step(name: str, handle: int, *, make: bool) -> int:
    try:
        return os.open(name, _NO_LINK, dir_fd=handle)
    except FileNotFoundError:
        if not make:
            raise
    with contextlib.suppress(FileExistsError):  # somebody else made it just now
        os.mkdir(name, dir_fd=handle)
    return os.open(name, _NO_LINK, dir_fd=handle)
