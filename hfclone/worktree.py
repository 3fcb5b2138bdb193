"""The files of a work tree: what stands at a path, and how something comes to stand there.

Why so: a directory of the tree may be replaced by a link at any moment, by its user or by another
on a shared disk. So every path is walked from an open handle of the root, one directory at a time
and following no link, and the last step (rename, unlink, stat) is relative to the handle reached.
Where the system has no such calls (Windows), each component is looked at before it is used.
Not for several threads at once: one directory is kept open between calls.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import shutil
import stat
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from hfclone.errors import CannotWrite, DiskFull, HfcloneError
from hfclone.treepaths import show_path
from hfclone.wording import phrase

__all__ = [
    "WRITE_BITS",
    "FileMode",
    "Kind",
    "Standing",
    "WorkTree",
    "clone_file",
    "settle_mtime",
    "share_blocks",
    "with_mode",
    "write_safely",
]

WRITE_BITS = 0o222
"""What a file of two names must not have: one edit would be two."""

_HANDLES = os.open in os.supports_dir_fd and os.rename in os.supports_dir_fd
_NOFOLLOW: int = getattr(os, "O_NOFOLLOW", 0)
_DIRECTORY: int = getattr(os, "O_DIRECTORY", 0)
_FICLONE = 0x40049409
"""Linux: let a file share another's blocks until one is written to."""
_COPY_BYTES = 1024 * 1024
_PAST_SECONDS = 10
"""How far back an mtime is set. Git takes a file as young as its index for possibly changed, and
reads it; builds without nanoseconds need a whole second, network file systems have clocks of their own."""


class Kind(Enum):
    """What stands at a path."""

    ABSENT = "absent"
    FILE = "file"
    LINK = "link"
    DIRECTORY = "directory"
    BLOCKED = "blocked"
    """Something on the way to it is no directory."""
    OTHER = "other"


_KINDS = {stat.S_IFREG: Kind.FILE, stat.S_IFLNK: Kind.LINK, stat.S_IFDIR: Kind.DIRECTORY}


class FileMode(Enum):
    """Git knows two kinds of regular file."""

    PLAIN = "100644"
    EXECUTABLE = "100755"


@dataclass(frozen=True, slots=True)
class Standing:
    """What stands at a path; ``stat`` (of itself, no link followed) unless absent or blocked."""

    kind: Kind
    stat: os.stat_result | None = None

    def is_same(self, other: Standing) -> bool:
        """Whether nothing happened to it between two looks."""
        if self.stat is None or other.stat is None:
            return self.kind is other.kind
        mine, its = self.stat, other.stat
        return (mine.st_mode, mine.st_ino, mine.st_size, mine.st_mtime_ns) == (
            its.st_mode, its.st_ino, its.st_size, its.st_mtime_ns,
        )  # fmt: skip


class WorkTree:
    """The tree below ``root``. Paths are those of git: bytes, ``/`` between parts, checked by ``check_tree``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._root_fd = os.open(root, os.O_RDONLY | _DIRECTORY) if _HANDLES else None
        self._open: tuple[bytes, int] | None = None

    def close(self) -> None:
        """Let the handles go."""
        self._forget()
        if self._root_fd is not None:
            os.close(self._root_fd)
            self._root_fd = None

    def look(self, path: bytes) -> Standing:
        """What stands at ``path``."""
        try:
            name, handle = self._leaf(path)
            found = os.stat(name, dir_fd=handle, follow_symlinks=False)
        except FileNotFoundError:
            return Standing(Kind.ABSENT)
        except OSError as error:
            if error.errno in (errno.ENOTDIR, errno.ELOOP):
                return Standing(Kind.BLOCKED)
            raise CannotWrite(show_path(path), error.strerror or str(error)) from error
        return Standing(_kind(found.st_mode), found)

    def open_file(self, path: bytes) -> int:
        """A descriptor of the regular file at ``path``, for reading. The caller closes it.

        Raises:
            OSError: it cannot be opened, or is a link.
        """
        name, handle = self._leaf(path)
        return os.open(name, os.O_RDONLY | _NOFOLLOW | getattr(os, "O_BINARY", 0), dir_fd=handle)

    def read_link(self, path: bytes) -> bytes:
        """Where the link at ``path`` leads."""
        name, handle = self._leaf(path)
        return os.fsencode(os.readlink(name, dir_fd=handle))

    def list_files(self, path: bytes) -> list[bytes]:
        """Everything below the directory ``path`` that is no directory itself."""
        found: list[bytes] = []
        folders = [path]
        while folders:
            folder = folders.pop()
            for entry in self._names(folder):
                below = folder + b"/" + entry
                (folders if self.look(below).kind is Kind.DIRECTORY else found).append(below)
        return found

    def place(self, source: Path, path: bytes, expected: Standing) -> os.stat_result:
        """Rename ``source`` to ``path``, making its directories, and return the stat it has there.

        ``expected`` is what the caller saw there last. Across file systems it is copied beside
        ``path``, synced, and renamed.

        Raises:
            CannotWrite: something else stands there by now, or the system refuses.
            DiskFull: no room.
        """
        self._expect(path, expected)
        try:
            name, handle = self._leaf(path, make=True)
            if expected.kind is Kind.DIRECTORY:
                os.rmdir(name, dir_fd=handle)
            try:
                os.replace(source, name, dst_dir_fd=handle)
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                _replace_across(source, name, handle)
            return os.stat(name, dir_fd=handle, follow_symlinks=False)
        except OSError as error:
            raise self._translated(error, path) from error

    def sync_directory(self, path: bytes) -> None:
        """Have the directory of ``path`` on the disk."""
        _, handle = self._leaf(path)
        if handle is not None:
            os.fsync(handle)

    def set_mtime(self, path: bytes, mtime_ns: int) -> None:
        """Set the mtime of the regular file at ``path``."""
        descriptor = self.open_file(path)
        try:
            os.utime(descriptor if os.utime in os.supports_fd else self.root / os.fsdecode(path), ns=(mtime_ns,) * 2)
        finally:
            os.close(descriptor)

    def set_executable(self, path: bytes, mode: FileMode) -> None:
        """Give or take the regular file's executable bits, following who may read it."""
        descriptor = self.open_file(path)
        try:
            if hasattr(os, "fchmod"):
                os.fchmod(descriptor, with_mode(os.fstat(descriptor).st_mode, mode))
        finally:
            os.close(descriptor)

    def make_directory(self, path: bytes) -> None:
        """Make an (empty) directory: what git has for a submodule."""
        try:
            name, handle = self._leaf(path, make=True)
            os.mkdir(name, dir_fd=handle)
        except FileExistsError:
            return
        except OSError as error:
            raise self._translated(error, path) from error

    def remove(self, path: bytes, expected: Standing) -> None:
        """Remove the file, link or empty directory at ``path``, and the directories that are empty then.

        ``expected`` is what the caller saw there last.

        Raises:
            CannotWrite: another file stands there by now, or the system refuses.
        """
        if expected.kind is not Kind.DIRECTORY:  # of one, only what is empty goes
            self._expect(path, expected)
        try:
            name, handle = self._leaf(path)
            if expected.kind is Kind.DIRECTORY:
                os.rmdir(name, dir_fd=handle)
            else:
                os.unlink(name, dir_fd=handle)
        except FileNotFoundError:
            pass  # its directories may have to go all the same
        except OSError as error:
            raise self._translated(error, path) from error
        self._prune(path)

    def take(self, path: bytes, target: Path, expected: Standing) -> None:
        """Rename the file at ``path`` to ``target``, out of the tree; on another file system it is removed.

        ``expected`` is what the caller saw there last. Raises as ``remove``.
        """
        self._expect(path, expected)
        try:
            name, handle = self._leaf(path)
            os.replace(name, target, src_dir_fd=handle)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise self._translated(error, path) from error
            self.remove(path, expected)

    def link_to(self, path: bytes, target: Path) -> None:
        """Make ``target``, out of the tree, another name of the regular file at ``path``. Raises ``OSError``."""
        name, handle = self._leaf(path)
        os.link(name, target, src_dir_fd=handle, follow_symlinks=False)

    def set_aside(self, path: bytes) -> bytes:
        """Rename what stands at ``path`` (a directory with all below it) to a free name beside it, and return that."""
        self._forget()
        for number in itertools.count(1):
            aside = b"%s.hfclone-orig-%d" % (path, number)
            if self.look(aside).kind in (Kind.ABSENT, Kind.BLOCKED):
                break
        try:
            name, handle = self._leaf(path)
            new = os.path.join(os.path.dirname(name), os.fsdecode(aside.rpartition(b"/")[2]))
            os.rename(name, new, src_dir_fd=handle, dst_dir_fd=handle)
        except OSError as error:
            raise self._translated(error, path) from error
        self._forget()  # what was open may be what has moved
        return aside

    def free_bytes(self) -> int:
        """Room on the tree's file system, in bytes."""
        return shutil.disk_usage(self.root).free

    def _translated(self, error: OSError, path: bytes) -> HfcloneError:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return DiskFull(show_path(path), 0, self.free_bytes())
        return CannotWrite(show_path(path), error.strerror or str(error))

    def _expect(self, path: bytes, expected: Standing) -> None:
        """Make sure that what the caller saw at ``path`` still stands there; the directories are walked anew."""
        self._forget()
        if not self.look(path).is_same(expected):
            raise CannotWrite(show_path(path), phrase("changed-meanwhile"))

    def _prune(self, path: bytes) -> None:
        while b"/" in path:
            path = path.rpartition(b"/")[0]
            self._forget()
            try:
                name, handle = self._leaf(path)
                os.rmdir(name, dir_fd=handle)
            except FileNotFoundError:
                continue
            except OSError:
                return  # not empty, or not ours to remove

    def _names(self, folder: bytes) -> list[bytes]:
        if self._root_fd is None:
            return [os.fsencode(name) for name in os.listdir(self.root / os.fsdecode(folder))]
        return [os.fsencode(name) for name in os.listdir(self._directory(folder, make=False))]

    def _leaf(self, path: bytes, *, make: bool = False) -> tuple[str, int | None]:
        """The last part of ``path`` and the open directory it is in (or a whole path and ``None``)."""
        folder, _, name = path.rpartition(b"/")
        if self._root_fd is None:
            return self._checked(folder, name, make=make), None
        return os.fsdecode(name), self._directory(folder, make=make) if folder else self._root_fd

    def _directory(self, folder: bytes, *, make: bool) -> int:
        """An open handle of ``folder``; ours, valid until the next call."""
        if self._open and self._open[0] == folder:
            return self._open[1]
        self._forget()
        assert self._root_fd is not None  # the portable way does not come here
        handle = os.dup(self._root_fd)
        for part in folder.split(b"/"):
            try:
                below = _step(os.fsdecode(part), handle, make=make)
            finally:
                os.close(handle)
            handle = below
        self._open = (folder, handle)
        return handle

    def _forget(self) -> None:
        if self._open:
            os.close(self._open[1])
            self._open = None

    def _checked(self, folder: bytes, name: bytes, *, make: bool) -> str:
        """The portable way: no component may be a link or a reparse point."""
        here = self.root
        for part in folder.split(b"/") if folder else ():
            here = here / os.fsdecode(part)
            if make and not os.path.lexists(here):
                os.mkdir(here)
            found = os.lstat(here)
            reparse = getattr(found, "st_file_attributes", 0) & getattr(stat, "FILE_ATTRIBUTE_REPARSE_POINT", 0)
            if not stat.S_ISDIR(found.st_mode) or reparse:
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(here))
        return str(here / os.fsdecode(name))


def settle_mtime(path: Path) -> None:
    """Give a file that is about to be placed an mtime that no index is as young as. Links have their own.

    One that is old keeps its own: the file may have another name elsewhere, where its mtime counts, too.
    """
    past = int(time.time()) - _PAST_SECONDS
    if 0 < path.lstat().st_mtime <= past:
        return
    if os.utime in os.supports_follow_symlinks:
        os.utime(path, (past, past), follow_symlinks=False)
    elif not path.is_symlink():
        os.utime(path, (past, past))


def with_mode(permissions: int, mode: FileMode) -> int:
    """``permissions`` as git would have them for ``mode``: who may read may execute, or nobody."""
    plain = stat.S_IMODE(permissions) & 0o666
    return plain | (plain & 0o444) >> 2 if mode is FileMode.EXECUTABLE else plain


def clone_file(source: int, target: Path, on_bytes: Callable[[int], None] = lambda _count: None) -> None:
    """Copy an open file to ``target``, sharing its blocks where the file system can; synced.

    ``on_bytes`` hears how many bytes more are there.
    """
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | _NOFOLLOW, 0o666)
    with os.fdopen(descriptor, "wb") as new, os.fdopen(os.dup(source), "rb") as old:
        try:
            share_blocks(source, descriptor)
            on_bytes(os.fstat(source).st_size)
        except OSError:
            old.seek(0)
            while block := old.read(_COPY_BYTES):
                new.write(block)
                on_bytes(len(block))
        new.flush()
        os.fsync(descriptor)


def share_blocks(source: int, target: int) -> None:
    """Let the open file ``target`` have the bytes of ``source`` without a copy of them.

    Raises:
        OSError: the file system cannot, or the two are not on the same one.
    """
    if sys.platform != "linux":
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
    import fcntl

    fcntl.ioctl(target, _FICLONE, source)


def sync_file(path: Path) -> None:
    """Have what the file holds on the disk. Raises ``OSError``."""
    access = os.O_RDWR if os.name == "nt" else os.O_RDONLY  # Windows syncs only what may be written
    descriptor = os.open(path, access | getattr(os, "O_BINARY", 0))
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_safely(path: Path, data: bytes, mode: int = 0o666) -> None:
    """Replace a file of ours by ``data`` so that a crash leaves the old or the new one; ``mode`` less the umask.

    Raises:
        CannotWrite: the system refuses.
    """
    if not path.name:
        raise CannotWrite(str(path), phrase("names-no-file"))
    fresh = path.with_name(path.name + ".new")
    try:
        fresh.unlink(missing_ok=True)
        with open(
            fresh, "xb", opener=lambda name, flags: os.open(name, flags, mode)
        ) as out:  # never through a link that stands there
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        os.replace(fresh, path)
        if _HANDLES:
            handle = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
    except OSError as error:
        raise CannotWrite(str(path), error.strerror or str(error)) from error


def _step(name: str, handle: int, *, make: bool) -> int:
    flags = os.O_RDONLY | _DIRECTORY | _NOFOLLOW
    try:
        return os.open(name, flags, dir_fd=handle)
    except FileNotFoundError:
        if not make:
            raise
    with contextlib.suppress(FileExistsError):  # somebody else made it just now
        os.mkdir(name, dir_fd=handle)
    return os.open(name, flags, dir_fd=handle)


def _kind(mode: int) -> Kind:
    return _KINDS.get(stat.S_IFMT(mode), Kind.OTHER)


def _replace_across(source: Path, name: str, handle: int | None) -> None:
    """What rename cannot do between file systems."""
    beside = os.path.join(os.path.dirname(name), f".hfclone-{os.getpid()}.new")
    try:
        _copy_beside(source, beside, handle)
        os.replace(beside, name, src_dir_fd=handle, dst_dir_fd=handle)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(beside, dir_fd=handle)
        raise
    os.unlink(source)


def _copy_beside(source: Path, beside: str, handle: int | None) -> None:
    """The link or the file, synced, with its mode and its mtime."""
    found = os.lstat(source)
    if stat.S_ISLNK(found.st_mode):
        os.symlink(os.readlink(source), beside, dir_fd=handle)
        return
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NOFOLLOW
    descriptor = os.open(beside, flags, stat.S_IMODE(found.st_mode), dir_fd=handle)
    with os.fdopen(descriptor, "wb") as new, open(source, "rb") as old:
        shutil.copyfileobj(old, new, 1024 * 1024)
        new.flush()
        os.fsync(descriptor)
        os.utime(descriptor if os.utime in os.supports_fd else beside, ns=(found.st_mtime_ns,) * 2)
