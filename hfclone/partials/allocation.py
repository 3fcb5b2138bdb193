"""What a part asks of its file system, each where that can do it: room set aside, early writing, a lock."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import functools
import os
from pathlib import Path
from stat import S_ISREG

__all__ = ["OPEN_FLAGS", "await_lock", "begin_writeback", "leave_to_others", "reserve"]

OPEN_FLAGS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
_SYNC_FILE_RANGE_WRITE = 2


def reserve(descriptor: int, size: int) -> None:
    """Make the file ``size`` long, its blocks reserved where the file system can do that quickly.

    Not ``posix_fallocate``: where the file system cannot, glibc writes every block instead.
    """
    if os.fstat(descriptor).st_size > size:
        os.ftruncate(descriptor, size)
    before = os.fstat(descriptor).st_size
    if before == size:
        return
    fallocate = getattr(_libc(), "fallocate", None)
    if fallocate is not None and size:
        offsets = (ctypes.c_int64(0), ctypes.c_int64(size))
        if fallocate(descriptor, 0, *offsets) == 0:
            return
        if ctypes.get_errno() == errno.ENOSPC:
            os.ftruncate(descriptor, before)  # ext4 keeps what it had found until then: all that was free
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    os.ftruncate(descriptor, size)


def begin_writeback(descriptor: int, start: int, stop: int) -> None:
    """Have the disk begin with ``[start, stop)`` of an open file; may wait for the disk. Linux alone has it."""
    sync_file_range = getattr(_libc(), "sync_file_range", None)
    if sync_file_range is not None:
        span = (ctypes.c_int64(start), ctypes.c_int64(stop - start))
        sync_file_range(descriptor, *span, _SYNC_FILE_RANGE_WRITE)


def leave_to_others(path: Path) -> None:
    """Begin anew where the part has another name somewhere: to write into it would be to write into that, too.

    A kill leaves one so, while a file is moved here or into git-lfs's store.
    """
    with contextlib.suppress(FileNotFoundError):
        stat = os.lstat(path)
        if S_ISREG(stat.st_mode) and stat.st_nlink > 1:
            path.unlink()


def await_lock(directory: Path) -> None:
    """Take ``directory``'s lock and let it go again; who writes there holds it."""
    try:
        import fcntl

        descriptor = os.open(directory, os.O_RDONLY)
    except (ImportError, OSError):
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    except OSError:  # not every file system knows locks
        return
    finally:
        os.close(descriptor)


@functools.cache
def _libc() -> ctypes.CDLL | None:
    try:
        return ctypes.CDLL(None, use_errno=True)
    except (OSError, TypeError):
        return None
