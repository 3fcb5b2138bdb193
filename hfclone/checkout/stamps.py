"""Stamps: which files of a work tree were verified, and how they looked then. Only a cache.

The file is a header and records that end in NUL, appended as objects are placed: a torn last one is
dropped, a lost or unknown file means that contents are hashed again.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from hfclone.files.access import UMASK, Access
from hfclone.files.ondisk import write_safely
from hfclone.files.refusals import refused
from hfclone.git.index import Recorded
from hfclone.pointer import Oid, Pointer

__all__ = ["Stamp", "Stamps", "looks_placed"]

_HEADER = b"hfclone-stamps 1\n"
OID_DIGITS = 64


@dataclass(frozen=True, slots=True)
class Stamp:
    """A file that held object ``oid`` of ``size`` bytes when its mtime and inode were these."""

    oid: Oid
    size: int
    mtime_ns: int
    inode: int

    def fits(self, pointer: Pointer, stat: os.stat_result) -> bool:
        """Whether a file that looks like ``stat`` may be taken for ``pointer``'s object unread."""
        return (self.oid, self.size) == (pointer.oid, pointer.size) and self.is_untouched(stat)

    def is_untouched(self, stat: os.stat_result) -> bool:
        """Whether the file looks as it did when it was verified."""
        return (self.size, self.mtime_ns, self.inode) == (stat.st_size, stat.st_mtime_ns, stat.st_ino)


def looks_placed(
    pointer: Pointer, blob: str, stat: os.stat_result, stamp: Stamp | None, known: Recorded | None
) -> bool:
    """Whether a file that held ``pointer``'s object has the mtime of that time: nobody wrote to it since.

    That is what tells rot from an edit. ``stamp`` is ours, ``known`` what git's index says of the file,
    whose blob (the pointer's text) is ``blob``. A file of another size under the old mtime was cut
    short by a disk or a crash; by another inode and size it is another file with a mtime that was copied.
    """
    if stamp is not None and stamp.oid == pointer.oid:
        return (stamp.mtime_ns, stamp.inode) == (stat.st_mtime_ns, stat.st_ino)
    if known is None or known.oid != blob or not known.is_of_size(pointer.size):
        return False
    return known.fits(stat.st_mtime_ns, stat.st_size)


class Stamps(Mapping[bytes, Stamp]):
    """The stamps of one checkout by path."""

    def __init__(self, file: Path, access: Access = UMASK) -> None:
        self.file = file
        self._access = access
        self._read = _content(file)
        self._stamps = dict(_stamps_in(self._read))
        self._begun = bool(self._read)
        self._out: int | None = None
        """The file, open to be appended to; each call of the system is a chance for another thread to take our turn."""
        self.is_dirty = False
        """Whether something was forgotten that the file still tells."""
        self._is_tidy: bool | None = None
        """Whether the file is what ``save`` would write: nothing appended, nothing torn. Looked at when it is asked."""

    def __getitem__(self, path: bytes) -> Stamp:
        return self._stamps[path]

    def __iter__(self):  # type: ignore[no-untyped-def]  # Mapping's own type says it
        return iter(self._stamps)

    def __len__(self) -> int:
        return len(self._stamps)

    def add(self, path: bytes, pointer: Pointer, stat: os.stat_result) -> None:
        """Remember that ``path`` holds the object now; on the disk at once, though not synced.

        Raises:
            CannotWrite, DiskFull: the system refuses.
        """
        stamp = Stamp(pointer.oid, pointer.size, stat.st_mtime_ns, stat.st_ino)
        if self._stamps.get(path) == stamp:
            return
        self._stamps[path] = stamp
        self._is_tidy = False
        record = (b"" if self._begun else _HEADER) + _record(path, stamp)
        try:
            self._append(record)
        except OSError as error:
            raise refused(error, self.file, len(record)) from error
        self._begun = True

    def _append(self, record: bytes) -> None:
        if self._out is None:
            self._out = os.open(self.file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0), 0o666)
            self._access.give(self._out)
        if os.write(self._out, record) != len(record):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _close(self) -> None:
        if self._out is not None:
            os.close(self._out)
            self._out = None

    def __del__(self) -> None:
        self._close()

    def forget(self, path: bytes) -> None:
        """The file at ``path`` is not what it was; on the disk with the next ``save``."""
        if self._stamps.pop(path, None) is not None:
            self._is_tidy = False
            self.is_dirty = True

    def save(self, paths: Iterable[bytes]) -> None:
        """Write the file anew with the stamps of ``paths`` alone, if that changes it."""
        kept = {path: self._stamps[path] for path in paths if path in self._stamps}
        if self._is_tidy is None:
            self._is_tidy = self._read == _text(self._stamps)
        if self._is_tidy and len(kept) == len(self._stamps):
            return
        self._stamps = kept
        self._close()
        write_safely(self.file, _text(kept), access=self._access)
        self._is_tidy = self._begun = True
        self.is_dirty = False


def _record(path: bytes, stamp: Stamp) -> bytes:
    return b"%s %d %d %d %s\0" % (stamp.oid.encode(), stamp.size, stamp.mtime_ns, stamp.inode, path)


def _text(stamps: Mapping[bytes, Stamp]) -> bytes:
    return _HEADER + b"".join(_record(path, stamp) for path, stamp in stamps.items())


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:
        return b""


def _stamps_in(data: bytes) -> Iterable[tuple[bytes, Stamp]]:
    if not data.startswith(_HEADER):
        return
    for record in data[len(_HEADER) :].split(b"\0")[:-1]:
        try:
            oid, size, mtime_ns, inode, path = record.split(b" ", 4)
            stamp = Stamp(Oid(oid.decode("ascii")), int(size), int(mtime_ns), int(inode))
        except ValueError:
            continue  # torn
        if len(oid) == OID_DIGITS:
            yield path, stamp
