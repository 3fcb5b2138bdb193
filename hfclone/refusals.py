"""What it is called when the system refuses to write a file: a disk that is full, or another reason, in its own words.

Why so: room may be refused at every step, the last ``fsync`` and the ``close`` among them, and what helps then is
not what helps against missing rights. So nobody who writes decides this by himself.
"""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

from hfclone.errors import CannotWrite, DiskFull

__all__ = ["refused"]

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


def refused(
    error: OSError, path: Path | str = "", need: int = 0, *, folder: Path | None = None
) -> CannotWrite | DiskFull:
    """What ``error`` is to whoever wrote ``path``, a file of ``need`` bytes as far as that is known.

    ``folder`` lies on its file system where ``path`` is only a name to be shown. Without a ``path`` it is
    the one that ``error`` names, or ``folder`` itself.
    """
    shown = str(path or error.filename2 or error.filename or folder)
    if error.errno not in _NO_ROOM:
        return CannotWrite(shown, error.strerror or str(error))
    folder = Path(shown).parent if folder is None else folder
    return DiskFull(str(folder), need, _free_bytes(folder))


def _free_bytes(folder: Path) -> int:
    """Room where ``folder`` is, or is to be made."""
    return next((shutil.disk_usage(one).free for one in (folder, *folder.parents) if one.exists()), 0)
