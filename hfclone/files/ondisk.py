"""Files as they come to lie on the disk: whole or not at all, synced, with blocks shared where they can be."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
import sys
import time
from collections.abc import Callable
from pathlib import Path

from hfclone.errors import CannotWrite
from hfclone.files.access import UMASK, Access
from hfclone.files.refusals import lacks, refused
from hfclone.wording import phrase

__all__ = [
    "WRITE_BITS",
    "clone_file",
    "free_bytes",
    "replace_across",
    "settle_mtime",
    "share_blocks",
    "sync_directory",
    "sync_file",
    "take_across",
    "write_safely",
]

WRITE_BITS = 0o222
"""What a file of two names must not have: one edit would be two."""

_NOFOLLOW: int = getattr(os, "O_NOFOLLOW", 0)
_FICLONE = 0x40049409
"""Linux: let a file share another's blocks until one is written to."""
_COPY_BYTES = 1024 * 1024
_NO_SYNC = (errno.EINVAL, errno.EBADF, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)
_PAST_SECONDS = 10
"""How far back an mtime is set. Git takes a file as young as its index for possibly changed, and
reads it; builds without nanoseconds need a whole second, network file systems have clocks of their own."""


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


def free_bytes(folder: Path) -> int | None:
    """Room on the file system of ``folder``; ``None`` where that does not say. Raises ``OSError``."""
    try:
        found = shutil.disk_usage(folder)
    except OSError as error:
        if lacks(error):
            return None
        raise
    return found.free if found.total else None


def sync_directory(directory: Path | int) -> None:
    """Have the names in a directory (or an open one) on the disk, where its file system can. Raises ``OSError``.

    Some know no sync of a directory (FUSE, 9p and SMB among them): what a loss of power undoes there is a rename,
    and what was renamed is found again as a part. A disk that fails is another matter.
    """
    if os.name == "nt":  # it opens no directories
        return
    handle = directory if isinstance(directory, int) else os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise
    finally:
        if handle is not directory:
            os.close(handle)


def sync_file(path: Path) -> None:
    """Have what the file holds on the disk. Raises ``OSError``."""
    access = os.O_RDWR if os.name == "nt" else os.O_RDONLY  # Windows syncs only what may be written
    descriptor = os.open(path, access | getattr(os, "O_BINARY", 0))
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_safely(path: Path, data: bytes, mode: int = 0o666, access: Access = UMASK) -> None:
    """Replace a file of ours by ``data`` so that a crash leaves the old or the new one.

    It gets ``mode`` less the umask, and what ``access`` gives beyond.

    Raises:
        CannotWrite: the system refuses.
    """
    if not path.name:
        raise CannotWrite(str(path), phrase("names-no-file"))
    fresh = path.with_name(path.name + ".new")
    try:
        fresh.unlink(missing_ok=True)
        with open(fresh, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as out:  # through no link
            access.give(out.fileno())
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        os.replace(fresh, path)
        sync_directory(path.parent)
    except OSError as error:
        raise refused(error, path) from error


def settle_mtime(path: Path | str, seen: os.stat_result) -> None:
    """Give a file that is about to be placed an mtime that no index is as young as. Links have their own.

    ``seen`` is how it looks, no link followed.

    One that is old keeps its own: the file may have another name elsewhere, where its mtime counts, too. Where
    no mtime can be set (SMB, or another user's file) git reads such files once more, and that is all.

    Raises:
        CannotWrite: the disk fails.
    """
    past = int(time.time()) - _PAST_SECONDS
    if 0 < seen.st_mtime <= past:
        return
    try:
        if os.utime in os.supports_follow_symlinks:
            os.utime(path, (past, past), follow_symlinks=False)
        elif not stat.S_ISLNK(seen.st_mode):
            os.utime(path, (past, past))
    except OSError as error:
        if not lacks(error):
            raise refused(error, path) from error


def replace_across(source: Path, name: str, handle: int | None) -> None:
    """What rename cannot do between file systems: ``name`` in the open directory ``handle`` becomes ``source``.

    Raises:
        OSError: the system refuses; ``source`` is still there then.
    """
    beside = os.path.join(os.path.dirname(name), f".hfclone-{os.getpid()}.new")
    try:
        _copy(source, None, beside, handle)
        os.replace(beside, name, src_dir_fd=handle, dst_dir_fd=handle)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(beside, dir_fd=handle)
        raise
    os.unlink(source)


def take_across(name: str, handle: int | None, target: Path) -> None:
    """The same the other way: ``name`` in the open directory ``handle`` goes to ``target``. Raises as above."""
    target.unlink(missing_ok=True)
    try:
        _copy(name, handle, target, None)
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    os.unlink(name, dir_fd=handle)


def _copy(source: Path | str, source_fd: int | None, target: Path | str, target_fd: int | None) -> None:
    """The link or the file, synced, with its mode and its mtime; each name is in the open directory behind it."""
    found = os.stat(source, dir_fd=source_fd, follow_symlinks=False)
    if stat.S_ISLNK(found.st_mode):
        os.symlink(os.readlink(source, dir_fd=source_fd), target, dir_fd=target_fd)
        return
    binary = getattr(os, "O_BINARY", 0)
    reading = os.open(source, os.O_RDONLY | _NOFOLLOW | binary, dir_fd=source_fd)
    with os.fdopen(reading, "rb") as old:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NOFOLLOW | binary
        descriptor = os.open(target, flags, stat.S_IMODE(found.st_mode), dir_fd=target_fd)
        with os.fdopen(descriptor, "wb") as new:
            shutil.copyfileobj(old, new, _COPY_BYTES)
            new.flush()
            os.fsync(descriptor)
            try:
                os.utime(descriptor if os.utime in os.supports_fd else target, ns=(found.st_mtime_ns,) * 2)
            except OSError as error:
                if not lacks(error):
                    raise
