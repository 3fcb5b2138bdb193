"""The lock of a checkout: one run works on it, the next says who.

The kernel holds it (``flock``), so that a dead owner's is free at once. What the file says is for
people, and for the next run: a file that is not empty when the lock is got was left by a killed one.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import Enum
from pathlib import Path

from hfclone.errors import CheckoutBusy, GitFailed
from hfclone.files.access import UMASK, Access
from hfclone.files.refusals import refused
from hfclone.wording import phrase

__all__ = ["LastRun", "owned"]


class LastRun(Enum):
    """How the run before this one left the checkout."""

    ENDED = "ended"
    KILLED = "killed"
    """It, or a git of its."""


@contextmanager
def owned(lock: Path, checkout: Path, access: Access = UMASK) -> Iterator[LastRun]:
    """Hold ``lock`` for ``checkout``; the directory that it is in is made, if need be.

    Who may is whoever ``access`` lets write there.

    Raises:
        CheckoutBusy: another run holds it.
        CannotWrite: the file cannot be made.
    """
    try:
        access.make_folder(lock.parent)
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
        access.give(descriptor)
    except OSError as error:
        raise refused(error, lock) from error
    with os.fdopen(descriptor, "r+b", buffering=0) as file:
        if not _take(descriptor):
            raise CheckoutBusy(str(checkout), _read(descriptor) or phrase("other-run"))
        last = LastRun.KILLED if _read(descriptor) else LastRun.ENDED
        try:
            file.truncate(0)
            file.write(phrase("process-on", number=os.getpid(), host=socket.gethostname()).encode())
        except OSError as error:
            raise refused(error, lock) from error
        is_clean = True
        try:
            yield last
        except GitFailed as error:
            is_clean = not error.is_killed  # its locks are still there
            raise
        finally:
            if is_clean:
                with suppress(OSError):  # else the next run looks for what a killed one leaves, and finds nothing
                    file.truncate(0)


def _read(descriptor: int) -> str:
    os.lseek(descriptor, 0, os.SEEK_SET)
    text = os.read(descriptor, 200).decode("utf-8", "replace")
    os.lseek(descriptor, 0, os.SEEK_SET)
    return "".join(c for c in text if c.isprintable())


if sys.platform == "win32":

    def _take(descriptor: int) -> bool:
        import msvcrt

        # One byte far behind the text: Windows would not let others read what is locked.
        os.lseek(descriptor, 1 << 20, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:

    def _take(descriptor: int) -> bool:
        import fcntl

        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:  # some network file systems have no locks: the sums guard correctness, the lock only bandwidth
            return True
        return True
