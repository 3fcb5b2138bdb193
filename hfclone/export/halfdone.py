"""Names for what is half done in a folder that others use, too, and the clearing of what killed runs left there."""

from __future__ import annotations

import contextlib
import itertools
import os
import secrets
import socket
from pathlib import Path

__all__ = ["HalfDone"]


class HalfDone:
    """Files in ``folder`` that have no name of their own yet. For one thread; methods raise ``OSError``.

    They end in ``.incomplete``, by which ``hf cache prune`` knows them, should a kill leave them.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names = itertools.count()
        self._mark = _mark(f"{os.getpid()}-{secrets.token_hex(4)}")
        self._clear_dead()

    def name(self) -> Path:
        """A name that nobody has."""
        return self._folder / f"{next(self._names)}{self._mark}"

    def written(self, data: bytes) -> Path:
        """A file with ``data``, not synced."""
        fresh = self.name()
        with fresh.open("xb") as file:
            file.write(data)
        return fresh

    def linked(self, text: str) -> Path:
        """A symbolic link."""
        fresh = self.name()
        fresh.symlink_to(text)
        return fresh

    def can_link(self) -> bool:
        """Whether there can be symbolic links here."""
        try:
            self.linked("nothing").unlink()
        except OSError:
            return False
        return True

    def clear(self) -> None:
        """Take away what is still half done."""
        for left in self._folder.glob(f"*{self._mark}"):
            _remove(left)

    def _clear_dead(self) -> None:
        for left in self._folder.glob(f"*{_mark('*-*')}"):
            pid = left.name.rsplit("-", 2)[1]
            if pid.isdigit() and not _is_alive(int(pid)):
                _remove(left)


def _mark(run: str) -> str:
    """The end of a run's names; a process is known by its number on one machine alone."""
    host = "".join(c for c in socket.gethostname() if c.isalnum())
    return f".hfclone-{host}-{run}.incomplete"


def _is_alive(pid: int) -> bool:
    if os.name != "posix":
        return True  # to ask is to end it there
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _remove(file: Path) -> None:
    with contextlib.suppress(OSError):
        file.unlink()
