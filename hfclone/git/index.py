"""Git's index file: writing what ``stat`` says of a file into its entry, and nothing else.

Why so: the index records the size of the pointer that git wrote. When the content takes its place,
git calls the file modified without asking any filter (``ie_modified``), and ``git add`` would hash
or even store all of it. With the entry's stat fields right, git believes the file unchanged and
reads none of it. Format: git ``Documentation/gitformat-index.txt``, versions 2 to 4.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from hfclone.errors import CheckoutBusy
from hfclone.files.access import UMASK, Access
from hfclone.files.ondisk import sync_file
from hfclone.files.refusals import refused
from hfclone.wording import phrase

__all__ = [
    "Fresh",
    "IndexEntry",
    "IndexLock",
    "Patched",
    "Recorded",
    "SizeRule",
    "Unpatched",
    "Wholeness",
    "index_entries",
    "index_lock",
    "patch_index",
    "recorded_files",
    "wholeness_of",
]

_HEADER = struct.Struct(">4sLL")
_STAT = struct.Struct(">10L")
_MTIME_AND_SIZE = struct.Struct(">8xLL20xL")
"""Of an entry's stat fields: ctime, mtime (seconds, nanoseconds), dev, ino, mode, uid, gid, size."""
_ENTRY = struct.Struct(">24xL8xL20sH")
"""Mode, size, git id and flags of an entry, from its beginning to its path."""
_EXTENDED = 0x4000
_STAGE = 0x3000
_TRAILER = 20
_WORD = 0xFFFFFFFF
_MODES = (0o100644, 0o100755, 0o120000, 0o160000, 0o040000)
"""Of an entry; the last is a directory in a sparse index."""
_MUNGED = 0x80000000


class SizeRule(Enum):
    """What git records for a size that is a multiple of 4 GiB, of which 32 bits show 0 ("not known")."""

    ZERO = "zero"
    """Git before 2.43: such a file is hashed at every status, whatever we write."""
    MUNGED = "munged"
    """Git 2.43 and later (``munge_st_size``): 0x80000000 stands there."""


@dataclass(frozen=True, slots=True)
class Fresh:
    """``stat`` of a file whose content is that of the entry with git id ``oid``."""

    oid: str
    stat: os.stat_result


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """One entry: where its stat fields begin in the file, and what it says."""

    offset: int
    path: bytes
    oid: str
    mode: int
    stage: int
    size: int
    """Of the file in the work tree, as git saw it last; 32 bits of it."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """What git's index says of a file that it wrote or looked at last."""

    oid: str
    mtime: tuple[int, int]
    size: int

    def fits(self, mtime_ns: int, size: int) -> bool:
        """Whether a file that looks so has not been touched since. Builds of git may drop nanoseconds."""
        seconds, rest = divmod(mtime_ns, 10**9)
        return self.mtime in ((seconds & _WORD, rest), (seconds & _WORD, 0)) and self.is_of_size(size)

    def is_of_size(self, size: int) -> bool:
        """Whether it was ``size`` bytes long, as far as the index can say."""
        return self.size == size & _WORD


@dataclass(frozen=True, slots=True)
class Patched:
    """The index says now what the files are. ``entries`` were changed."""

    entries: int


@dataclass(frozen=True, slots=True)
class Unpatched:
    """The index has a form that is not patched; nothing was written."""

    reason: str


def patch_index(
    index: Path, fresh: Mapping[bytes, Fresh], size_rule: SizeRule = SizeRule.ZERO, access: Access = UMASK
) -> Patched | Unpatched:
    """Write the stat fields of ``fresh`` (by path) into ``index``, under git's own ``index.lock``.

    An entry whose git id is not the one given is left alone: the user staged something else.
    The files' mtimes must be older than this call, or git will read them again ("racily clean").

    Raises:
        CheckoutBusy: a git command holds the lock.
        CannotWrite: the index cannot be read or replaced.
    """
    with index_lock(index, access) as lock:
        try:
            done = _patched(data := bytearray(index.read_bytes()), fresh, size_rule)
            if isinstance(done, Patched) and done.entries:
                lock.write(data)
        except OSError as error:
            raise refused(error, index) from error
    return done


class IndexLock:
    """Git's own lock of its index, held: whoever runs git meanwhile is told so, and changes nothing."""

    def __init__(self, index: Path, access: Access) -> None:
        self.index = index
        self._access = access
        self._file = index.with_name(index.name + ".lock")
        self._is_held = False

    def take(self) -> None:
        """Get the lock. Raises as ``index_lock``; where anything else is raised, ``drop`` it all the same."""
        self._is_held = True  # before it is: a signal may come just behind, and no later run would get it
        try:
            os.close(os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        except OSError as error:
            self._is_held = False
            if isinstance(error, FileExistsError):
                raise CheckoutBusy(str(self.index.parent.parent), phrase("git-command")) from None
            raise refused(error, self._file) from error

    def write(self, data: bytes | bytearray) -> None:
        """Make ``data`` the index, synced; the lock is gone then. Raises ``OSError``."""
        with open(self._file, "wb") as new:
            self._access.give(new.fileno())
            new.write(data)
            new.flush()
            os.fsync(new.fileno())
        os.replace(self._file, self.index)
        self._is_held = False  # a lock that is there now is somebody else's

    def replace(self, new: Path) -> None:
        """Make the file ``new`` the index, synced; the lock stays. Raises ``OSError``."""
        self._access.give(new)
        sync_file(new)  # git's own are not synced; after a loss of power none could be read
        os.replace(new, self.index)

    def drop(self) -> None:
        """Let the lock go, if it is held still. Raises CannotWrite."""
        if self._is_held:
            self._is_held = False
            try:
                self._file.unlink(missing_ok=True)
            except OSError as error:
                raise refused(error, self._file) from error


@contextmanager
def index_lock(index: Path, access: Access = UMASK) -> Iterator[IndexLock]:
    """Hold the lock; what is read of ``index`` before that may be old.

    Raises:
        CheckoutBusy: a git command holds it.
        CannotWrite, DiskFull: the system refuses.
    """
    lock = IndexLock(index, access)
    try:
        lock.take()
        yield lock
    finally:
        lock.drop()


def index_entries(data: bytes | bytearray) -> Iterator[IndexEntry]:
    """The entries of an index file, in its order.

    Raises:
        ValueError: it is no index of version 2, 3 or 4 with sha1 ids, or it is cut short.
    """
    yield from (entry for entry, _ in _walk(data))


def recorded_files(index: Path) -> Mapping[bytes, Recorded]:
    """What an index file records by path; nothing where it has a form that is not read."""
    try:
        data = index.read_bytes()
        unpack = _MTIME_AND_SIZE.unpack_from
        found = {}
        for entry, _ in _walk(data):
            if not entry.stage:
                seconds, rest, size = unpack(data, entry.offset)
                found[entry.path] = Recorded(entry.oid, (seconds, rest), size)
    except (OSError, ValueError, struct.error, IndexError):
        return {}
    return found


class Wholeness(Enum):
    """Whether an index file is what some git wrote."""

    WHOLE = "whole"
    """Its checksum is right, or it has none; of whichever form it is."""
    DOUBTFUL = "doubtful"
    """The checksum is wrong, and the entries are none that could not be. Git looks at no checksum, and may read it."""
    TORN = "torn"
    """The entries cannot be. Git may take them for some all the same: it reads on behind the end of the file."""


def wholeness_of(index: Path) -> Wholeness:
    """Judge an index file; one that cannot be read at all is for git to complain about."""
    try:
        data = bytearray(index.read_bytes())
    except OSError:
        return Wholeness.WHOLE
    if len(data) >= _HEADER.size + _TRAILER and any(data[-_TRAILER:]) and data[-_TRAILER:] == _digest(data):
        return Wholeness.WHOLE
    if not _has_sane_entries(data):
        return Wholeness.TORN
    return Wholeness.DOUBTFUL if any(data[-_TRAILER:]) else Wholeness.WHOLE


def _has_sane_entries(data: bytearray) -> bool:
    """Whether all entries are there, in order, each with what every entry has."""
    before = (b"", -1)
    try:
        for entry in index_entries(data):
            here = (entry.path, entry.stage)
            if here <= before or not entry.path or entry.mode not in _MODES or not int(entry.oid, 16):
                return False
            before = here
    except (ValueError, struct.error, IndexError):
        return False
    return True


def _patched(data: bytearray, fresh: Mapping[bytes, Fresh], size_rule: SizeRule) -> Patched | Unpatched:
    count, end = 0, _HEADER.size
    changes: list[tuple[IndexEntry, os.stat_result]] = []
    try:
        for entry, end in _walk(data):  # noqa: B007  # the last end is where the extensions begin
            known = fresh.get(entry.path)
            if known is not None and not entry.stage and known.oid == entry.oid:
                changes.append((entry, known.stat))
        reason = _unusual(data, end)
        stored = bytes(data[-_TRAILER:])
        if not reason and any(stored) and stored != _digest(data):
            reason = "its checksum is not sha1, or wrong"
    except (ValueError, struct.error, IndexError) as error:
        return Unpatched(f"git's index cannot be read: {error}")
    if reason:
        return Unpatched(reason)
    for entry, stat in changes:
        count += _write_stat(data, entry, stat, size_rule)
    if count and any(data[-_TRAILER:]):
        # An all-zero trailer is index.skipHash: it stays.
        data[-_TRAILER:] = _digest(data)
    return Patched(count)


def _digest(data: bytearray) -> bytes:
    return hashlib.sha1(bytes(data[:-_TRAILER]), usedforsecurity=False).digest()


def _walk(data: bytes | bytearray) -> Iterator[tuple[IndexEntry, int]]:
    """Every entry with the offset behind it."""
    signature, version, count = _HEADER.unpack_from(data)
    if signature != b"DIRC" or version not in (2, 3, 4):
        raise ValueError(f"version {version} is not known")
    offset, path, limit = _HEADER.size, b"", len(data) - _TRAILER
    for _ in range(count):
        mode, size, oid, flags = _ENTRY.unpack_from(data, offset)
        name_at = offset + _ENTRY.size + (2 if flags & _EXTENDED else 0)
        stripped = 0
        if version == 4:
            stripped, name_at = _varint(data, name_at)
        stop = data.index(b"\0", name_at)
        name = bytes(data[name_at:stop])
        path = path[: len(path) - stripped] + name if version == 4 else name
        entry = IndexEntry(offset, path, oid.hex(), mode, (flags & _STAGE) >> 12, size)
        # Versions 2 and 3 pad with one to eight NULs to a multiple of eight bytes.
        offset = stop + 1 if version == 4 else offset + (stop - offset + 8) // 8 * 8
        if offset > limit:
            raise ValueError("it is cut short")
        yield entry, offset


def _varint(data: bytes | bytearray, offset: int) -> tuple[int, int]:
    """Git's ``decode_varint``: how many bytes of the previous path to drop."""
    byte = data[offset]
    value = byte & 0x7F
    while byte & 0x80:
        offset += 1
        byte = data[offset]
        value = ((value + 1) << 7) | (byte & 0x7F)
    return value, offset + 1


def _unusual(data: bytearray, offset: int) -> str | None:
    """Why the index must not be patched, judged by its extensions."""
    limit = len(data) - _TRAILER
    while offset < limit:
        if offset + 8 > limit:
            return "its extensions are cut short"
        name, size = bytes(data[offset : offset + 4]), int.from_bytes(data[offset + 4 : offset + 8], "big")
        if name == b"link":
            return "it is a split index"
        if name == b"sdir":
            return "it is a sparse index"
        if not name[:1].isupper():
            return f"its extension {name!r} is not known"
        offset += 8 + size
    return None if offset == limit else "its ids are not sha1"


def _write_stat(data: bytearray, entry: IndexEntry, stat: os.stat_result, size_rule: SizeRule) -> int:
    """Write one entry's fields; 1 if that changed anything."""
    old = _STAT.unpack_from(data, entry.offset)
    size = stat.st_size & _WORD
    if size == 0 and stat.st_size and size_rule is SizeRule.MUNGED:
        size = _MUNGED
    new = (
        *(part & _WORD for part in divmod(stat.st_ctime_ns, 10**9)),
        *(part & _WORD for part in divmod(stat.st_mtime_ns, 10**9)),
        stat.st_dev & _WORD,
        stat.st_ino & _WORD,
        entry.mode,
        stat.st_uid & _WORD,
        stat.st_gid & _WORD,
        size,
    )
    if new == old:
        return 0
    _STAT.pack_into(data, entry.offset, *new)
    return 1
