"""Who else may read and write what lies in a repo's ``.git``: ``core.sharedRepository``, as git itself follows it.

All that we make gets the rights that the umask leaves. Where a repo is shared beyond that, git gives them to
whatever it makes in ``.git``, and so do we: a run may be gone on with by anybody who may run git there. Files of
the work tree are not concerned, in git's eyes and ours. Nothing in ``.git/hfclone`` is secret.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from hfclone.files.folders import missing_folders
from hfclone.files.refusals import lacks

__all__ = ["UMASK", "Access", "change_mode", "made_mode"]

_OFF = ("false", "no", "off", "umask", "")
_GROUP = ("true", "yes", "on", "group")
_ALL = ("all", "world", "everybody")


@dataclass(frozen=True, slots=True)
class Access:
    """Rights beyond the umask. Git's own rules: its ``calc_shared_perm`` and ``git_config_perm``."""

    bits: int = 0
    is_exact: bool = False
    """Whether ``bits`` take the place of what the umask left."""

    @classmethod
    def said(cls, value: str | None) -> Access:
        """What a value of ``core.sharedRepository`` says; what git refuses, it refuses itself."""
        text = (value or "").lower()
        named = {0o660: _GROUP, 0o664: _ALL, 0: _OFF}
        for bits, words in named.items():
            if text in words:
                return cls(bits)
        try:
            number = int(text, 8)
        except ValueError:
            return cls()
        known = {0: 0, 1: 0o660, 2: 0o664}
        return cls(known[number]) if number in known else cls(number & 0o666, is_exact=True)

    def mode(self, found: int) -> int:
        """The permissions of what has the ``st_mode`` ``found``."""
        if not self.bits:
            return stat.S_IMODE(found)
        bits = self.bits if found & stat.S_IWUSR else self.bits & 0o444
        if found & stat.S_IXUSR:
            bits |= (bits & 0o444) >> 2
        before = stat.S_IMODE(found)
        mode = (before & ~0o777 | bits) if self.is_exact else before | bits
        if stat.S_ISDIR(found):
            mode |= (mode & 0o444) >> 2
            mode |= stat.S_ISGID if mode & 0o060 else 0
        return mode

    def give(self, target: Path | str | int) -> None:
        """Give these rights to a file or a directory (or an open one); another user's may have to stay as it is.

        Raises ``OSError``.
        """
        if not self.bits or os.name != "posix":
            return
        found = os.stat(target).st_mode
        mode = self.mode(found)
        if mode != stat.S_IMODE(found):
            change_mode(target, mode)

    def make_folder(self, folder: Path) -> None:
        """Make a directory, which may be there, and those that it lies in. Raises ``OSError``."""
        for each in missing_folders(folder):
            each.mkdir(exist_ok=True)
            self.give(each)


UMASK = Access()
"""What the umask leaves, and no more."""


def made_mode(folder: Path) -> int:
    """The permissions that a new file gets in ``folder``, by the umask or by what the folder hands down.

    Why so: to ask for the umask is to set it, for all threads. Raises ``OSError``.
    """
    probe = folder / f"mode-{os.getpid()}"
    probe.unlink(missing_ok=True)
    descriptor = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        return stat.S_IMODE(os.fstat(descriptor).st_mode)
    finally:
        os.close(descriptor)
        probe.unlink()


def change_mode(target: Path | str | int, mode: int) -> None:
    """Change the permissions where that can be done: not of another user's file, nor on every file system.

    Raises:
        OSError: the disk fails.
    """
    try:
        os.chmod(target, mode)
    except OSError as error:
        if not lacks(error):
            raise
