"""What it is called when the system refuses: a full disk, a limit that is reached, or another reason, in its own words.

Why so: room may be refused at every step, the last ``fsync`` and the ``close`` among them, and what helps then is
not what helps against missing rights. So nobody who writes decides this by himself.
"""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

from hfclone.errors import CannotWrite, DiskFull, LimitReached, LocalError
from hfclone.limits import limit_of

__all__ = ["expect_file", "lacks", "refused", "refused_by_machine"]

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_LACKING = (errno.EPERM, errno.EACCES, errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)


def refused(
    error: OSError, path: Path | str = "", need: int = 0, *, folder: Path | None = None
) -> CannotWrite | DiskFull | LimitReached:
    """What ``error`` is to whoever wrote ``path``, a file of ``need`` bytes as far as that is known.

    ``folder`` lies on its file system where ``path`` is only a name to be shown. Without a ``path`` it is
    the one that ``error`` names, or ``folder`` itself.
    """
    limit = limit_of(error)
    if limit is not None:
        return limit
    named = [name for name in (path, error.filename2, error.filename) if name and not isinstance(name, int)]
    shown = os.fsdecode(named[0]) if named else str(folder)
    if error.errno not in _NO_ROOM:
        return CannotWrite(shown, error.strerror or str(error))
    folder = Path(shown).parent if folder is None else folder
    return DiskFull(str(folder), need, _free_bytes(folder))


def refused_by_machine(error: BaseException) -> LocalError | None:
    """What an exception of Python's own is that nobody awaited where it came; ``None`` where it is no refusal.

    A file that cannot be had is one, whichever call said so: no step of a run is safe from a disk that fails or
    a directory that is moved away. What names no file is not: that may be a mistake of ours.
    """
    limit = limit_of(error)
    if limit is None and isinstance(error, OSError) and (error.errno in _NO_ROOM or error.filename is not None):
        return refused(error)
    return limit


def expect_file(error: OSError) -> None:
    """Where ``error`` would be taken for a word on one file: that there is no more memory or descriptor is none.

    Raises:
        LimitReached: it is so.
    """
    limit = limit_of(error)
    if limit is not None:
        raise limit from error


def lacks(error: OSError) -> bool:
    """Whether a file system says so to what it does not know, or lets nobody do."""
    return error.errno in _LACKING


def _free_bytes(folder: Path) -> int:
    """Room where ``folder`` is, or is to be made; none where nobody says."""
    try:
        return next((shutil.disk_usage(one).free for one in (folder, *folder.parents) if one.exists()), 0)
    except OSError:
        return 0
