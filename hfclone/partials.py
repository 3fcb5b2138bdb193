"""Objects that are not whole yet: their bytes, and a journal of what is provably among them.

An object's partial is ``<oid>.part``, of full size from its first byte on, and ``<oid>.journal``.
A journal line is ``start stop endpoint digest``, written after the bytes it speaks of. The line of
a range that still grows is written over in place, so that a kill costs little and the journal stays
short. Lines are claims: a range counts only if its digest is found again in the part, so a torn
line, a lost page or a half-written range costs that range and nothing else. Both names are stable
and follow from the oid: nothing has to be remembered for a resume, whoever was killed, and however.

aria2c writes into the same part, beside ``<oid>.part.aria2``, its own account. Whoever opens the
partial next takes that over into the journal, and so each fetcher goes on from what the other brought.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import functools
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG

from hfclone.aria2control import BLOCK, format_control, parse_control
from hfclone.errors import CannotRead, LocalError
from hfclone.hashing import blocks, range_digest, same_bytes, write_at
from hfclone.pointer import Oid, Pointer
from hfclone.ranges import RangeSet
from hfclone.refusals import refused

__all__ = ["RECORD_BYTES", "UNKNOWN_SENDER", "Partial", "Partials", "Record"]

RECORD_BYTES = 4 * 1024 * 1024
"""Bytes of one journal line at most: what a byte lost with the power costs."""
UNKNOWN_SENDER = "aria2c"
"""Who sent what is only in aria2c's account; if the object is wrong, these bytes are doubted first."""

_HEADER = "hfclone-journal 1"
_DIGEST_DIGITS = 16
_SYNC_FILE_RANGE_WRITE = 2
_OPEN = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
_ZEROS = bytes(512)


@dataclass(frozen=True, slots=True)
class Record:
    """One line of a journal: ``endpoint`` sent the bytes ``[start, stop)``."""

    start: int
    stop: int
    endpoint: str
    digest: str

    def line(self) -> str:
        """The record as the journal has it, as long for any ``stop``; the digest is last: a torn line is seen."""
        return f"{self.start} {self.stop:015} {self.endpoint} {self.digest}\n"


class Partials:
    """The directory of a checkout's partials. Its methods may be called from any thread."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._reserving = threading.Lock()  # one that does not fit takes all there is for a moment
        self._awaiting = threading.Lock()
        self._alone = False
        self._left: set[str] = set()
        """Objects of which earlier runs have left something."""
        self._bare: set[Oid] = set()
        """Objects of which there is nothing but a part that this run began: no journal, account or mark to look for."""

    def part_path(self, pointer: Pointer) -> Path:
        """Where the bytes of an unfinished object lie."""
        return Path(self._part(pointer))

    def _part(self, pointer: Pointer) -> str:
        return f"{self.directory}{os.sep}{pointer.oid}.part"  # no Path: those cost more than what is done with them

    def journal_path(self, pointer: Pointer) -> Path:
        """Where its journal lies."""
        return self.directory / f"{pointer.oid}.journal"

    def control_path(self, pointer: Pointer) -> Path:
        """Where aria2 keeps account of what it has brought."""
        return self.directory / f"{pointer.oid}.part.aria2"

    def claimed_bytes(self, pointer: Pointer) -> int:
        """Bytes that are claimed to be here; for a plan, which need not be exact. Reads no content."""
        if not os.path.exists(self.part_path(pointer)):  # a Path's raises where a name is too long
            return 0
        return self._all_claimed(pointer).size

    def reserved_bytes(self, pointer: Pointer) -> int:
        """Bytes of disk that the object's partial takes up; it is reserved whole where the disk can."""
        try:
            return min(pointer.size, os.stat(self.part_path(pointer)).st_blocks * 512)
        except (OSError, AttributeError):  # Windows knows no blocks
            return 0

    def open(self, pointer: Pointer, on_bytes: Callable[[int], None] = lambda _count: None) -> Partial:
        """The object's partial, begun if there is none; what it holds has been checked by digest.

        ``on_bytes`` hears how many bytes were checked.

        Raises:
            DiskFull, CannotWrite, CannotRead: this machine cannot.
        """
        path = self.part_path(pointer)
        try:
            self.await_writers()
            if pointer.oid not in self._left and (fresh := self._begun(pointer, path)) is not None:
                return fresh
            self._is_told_of(pointer)
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._regain(pointer)
            _leave_to_others(path)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | _OPEN, 0o644)
            try:
                with self._reserving:  # first: reading what is here is in vain where the disk is full
                    _reserve(descriptor, pointer.size)
                records = list(self._provable(pointer, descriptor, on_bytes))
            except BaseException:
                os.close(descriptor)
                raise
        except OSError as error:
            raise local_error(error, path, pointer.size) from error
        partial = Partial(pointer, path, self.journal_path(pointer), descriptor, records)
        try:
            records += self.absorb(partial, partial.held(), UNKNOWN_SENDER)
        except BaseException:
            partial.close()
            raise
        return partial

    def _begun(self, pointer: Pointer, path: Path) -> Partial | None:
        """The partial of an object of which nothing was here, as of nearly all; ``None`` where something is by now.

        Why so: looking for all that might be here cost more than fetching a small object. Raises ``OSError``.
        """
        self._bare.add(pointer.oid)  # before it may be opened by another, who knows better then
        self._left.add(pointer.oid)  # whoever opens it again looks at what there is
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | _OPEN, 0o644)
        except (FileExistsError, FileNotFoundError):
            return None
        try:
            with self._reserving:
                _reserve(descriptor, pointer.size)
        except BaseException:
            os.close(descriptor)
            raise
        return Partial(pointer, path, self.journal_path(pointer), descriptor, [], self._is_told_of)

    def _is_told_of(self, pointer: Pointer) -> None:
        """Something beside its part tells of the object."""
        self._bare.discard(pointer.oid)

    def is_new(self, pointer: Pointer) -> bool:
        """Whether nothing of the object is here, as far as is known without looking."""
        return self._alone and pointer.oid not in self._left

    def put_whole(self, pointer: Pointer, content: bytes | memoryview) -> bool:
        """Make the part of a ``new`` object, which the caller has verified, in one go and synced.

        ``False`` where something is there by now: it is to be opened. Nothing is left where that fails.

        Raises:
            DiskFull, CannotWrite: this machine cannot.
        """
        path = self._part(pointer)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _OPEN, 0o644)
        except (FileExistsError, FileNotFoundError):
            return False
        except OSError as error:
            raise local_error(error, Path(path), pointer.size) from error
        self._bare.add(pointer.oid)
        self._left.add(pointer.oid)
        try:
            write_at(descriptor, memoryview(content), 0)
            os.fsync(descriptor)
        except OSError as error:
            self._left.discard(pointer.oid)
            os.unlink(path)
            raise local_error(error, Path(path), pointer.size) from error
        finally:
            os.close(descriptor)
        return True

    def absorb(self, partial: Partial, held: RangeSet, sender: str) -> list[Record]:
        """Journal what aria2's account has beyond ``held``, as sent by ``sender``, and remove the account.

        A block with a hole is not believed: after a power cut the account may be there and the bytes not.

        Raises:
            DiskFull, CannotWrite: this machine cannot.
        """
        path = self.control_path(partial.pointer)
        claimed = _read_control(path, partial.pointer)
        for start, stop in held:
            claimed.remove(start, stop)
        records = [
            partial.record_written(start, stop, sender)
            for low, high in claimed
            for start, stop in _filled(partial.descriptor, low, high)
        ]
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise local_error(error, path, 0) from error
        return records

    def write_control(self, pointer: Pointer, held: RangeSet) -> RangeSet:
        """Tell aria2 what it need not fetch: whole blocks of ``held``. Returns what it was told.

        Raises:
            DiskFull, CannotWrite: this machine cannot.
        """
        self._is_told_of(pointer)
        path = self.control_path(pointer)
        content = format_control(held, pointer.size)
        try:
            path.write_bytes(content)
        except OSError as error:
            raise local_error(error, path, len(content)) from error
        return _claimed(content, pointer)

    def lend(self, pointer: Pointer, writer: str) -> None:
        """Note, for runs to come, that ``writer`` outlives us and may be writing into the object's part.

        Raises:
            DiskFull, CannotWrite: this machine cannot.
        """
        self._is_told_of(pointer)
        path = self._lent_path(pointer)
        try:
            with path.open("w", encoding="utf-8") as file:
                file.write(writer)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise local_error(error, path, len(writer)) from error

    def end_lending(self, writer: str) -> None:
        """``writer`` has let go of everything here."""
        for path in self.directory.glob("*.lent"):
            with contextlib.suppress(OSError, ValueError):
                if path.read_text(encoding="utf-8") == writer:
                    path.unlink()

    def _regain(self, pointer: Pointer) -> None:
        """Take what is claimed of a part that was lent into a file of its own: whoever still writes, writes elsewhere.

        Why so: what is verified and placed must not change afterwards. Raises ``OSError``.
        """
        mark, path = self._lent_path(pointer), self.part_path(pointer)
        if not mark.exists():
            return
        fresh = self.directory / f"{pointer.oid}.regained"
        with contextlib.suppress(FileNotFoundError), path.open("rb") as old, fresh.open("wb") as new:
            _reserve(new.fileno(), pointer.size)
            for start, stop in self._all_claimed(pointer):
                at = start
                for block in blocks(old.fileno(), start, min(stop, os.fstat(old.fileno()).st_size)):
                    write_at(new.fileno(), block, at)
                    at += len(block)
            fresh.replace(path)
        mark.unlink()

    def _all_claimed(self, pointer: Pointer) -> RangeSet:
        claimed = RangeSet((r.start, r.stop) for r in _read_journal(self.journal_path(pointer), pointer))
        for start, stop in _read_control(self.control_path(pointer), pointer):
            claimed.add(start, stop)
        return claimed

    def _lent_path(self, pointer: Pointer) -> Path:
        return self.directory / f"{pointer.oid}.lent"

    def await_writers(self) -> None:
        """Wait until no aria2c of an earlier run writes here: it ends within seconds of its hfclone. Once is enough.

        Raises ``OSError``.
        """
        with self._awaiting:
            if not self._alone:
                self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
                _await_lock(self.directory)
                self._left.update(name.partition(".")[0] for name in os.listdir(self.directory))
                self._alone = True

    def discard(self, pointer: Pointer) -> None:
        """Forget an object's partial: it has been placed, or nothing of it is right.

        Raises:
            CannotWrite: the system refuses.
        """
        part = self._part(pointer)
        others = (self.journal_path(pointer), self.control_path(pointer), self._lent_path(pointer))
        for path in (part,) if pointer.oid in self._bare else (part, *others):
            try:
                os.unlink(path)
            except FileNotFoundError:
                pass
            except OSError as error:
                raise local_error(error, Path(path), 0) from error

    def _provable(self, pointer: Pointer, descriptor: int, on_bytes: Callable[[int], None]) -> Iterator[Record]:
        for record in _read_journal(self.journal_path(pointer), pointer):
            with _reading(self.part_path(pointer)):
                found = range_digest(descriptor, record.start, record.stop)
            if found == record.digest:
                yield record
            on_bytes(record.stop - record.start)


class Partial:
    """One unfinished object, open for writing.

    ``write`` and ``record`` may run in several threads at once as long as their ranges are disjoint;
    ``records`` is what was provable at the start.
    """

    def __init__(
        self,
        pointer: Pointer,
        path: Path,
        journal_path: Path,
        descriptor: int,
        records: list[Record],
        on_journal: Callable[[Pointer], None] = lambda _pointer: None,
    ) -> None:
        self.pointer = pointer
        self.path = path
        self.descriptor = descriptor
        self.records = records
        self._journal_path = journal_path
        self._on_journal = on_journal
        self._journal: int | None = None
        self._journal_end = 0
        self._journal_lock = threading.Lock()

    def held(self) -> RangeSet:
        """What was provably here when it was opened."""
        return RangeSet((record.start, record.stop) for record in self.records)

    def write(self, data: memoryview | bytes, offset: int) -> None:
        """Put ``data`` at ``offset``.

        Raises:
            DiskFull, CannotWrite: this machine cannot.
        """
        try:
            write_at(self.descriptor, memoryview(data), offset)
        except OSError as error:
            raise local_error(error, self.path, self.pointer.size) from error

    def blocks(self, start: int, stop: int) -> Iterator[memoryview]:
        """What lies at ``[start, stop)``, in views that are valid until the next one. Raises ``CannotRead``."""
        with _reading(self.path):
            yield from blocks(self.descriptor, start, stop)

    def digest(self, start: int, stop: int) -> str:
        """The journal's digest of what lies at ``[start, stop)``. Raises ``CannotRead``."""
        with _reading(self.path):
            return range_digest(self.descriptor, start, stop)

    def holds(self, data: memoryview, offset: int) -> bool:
        """Whether ``data`` is what lies at ``offset``. Raises ``CannotRead``."""
        with _reading(self.path):
            return same_bytes(self.descriptor, data, offset)

    def begin_writeback(self, start: int, stop: int) -> None:
        """Have the disk begin with ``[start, stop)``, so that little is left for the last sync; may wait for the disk.

        Linux alone has it, and not on every file system; elsewhere the last sync does all.
        """
        sync_file_range = getattr(_libc(), "sync_file_range", None)
        if sync_file_range is not None:
            span = (ctypes.c_int64(start), ctypes.c_int64(stop - start))
            sync_file_range(self.descriptor, *span, _SYNC_FILE_RANGE_WRITE)

    def record(self, record: Record, slot: int | None = None) -> int:
        """Journal what was written before; returns where its line is.

        ``slot`` is where the line of the same range was before it grew. Raises as ``write`` does.
        """
        line = record.line().encode()
        try:
            with self._journal_lock:
                if self._journal is None:
                    self._on_journal(self.pointer)
                    self._journal, self._journal_end = _open_journal(self._journal_path)
                if slot is None:
                    slot = self._journal_end
                    self._journal_end += len(line)
                write_at(self._journal, memoryview(line), slot)
            return slot
        except OSError as error:
            raise local_error(error, self._journal_path, self.pointer.size) from error

    def record_written(self, start: int, stop: int, sender: str) -> Record:
        """Journal ``[start, stop)``, which another process wrote, as it lies there. Raises as ``record``."""
        try:
            record = Record(start, stop, sender, range_digest(self.descriptor, start, stop))
        except OSError as error:
            raise local_error(error, self.path, self.pointer.size) from error
        self.record(record)
        return record

    def close(self) -> None:
        """Let the files go; what they hold stays."""
        os.close(self.descriptor)
        if self._journal is not None:
            os.close(self._journal)


def local_error(error: OSError, path: Path, need: int) -> LocalError:
    """What an ``OSError`` on a partial means to the user."""
    return refused(error, path, need)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Around what reads a part: a disk that fails is no bug of ours."""
    try:
        yield
    except OSError as error:
        raise CannotRead(str(path), error.strerror or str(error)) from error


def _read_journal(path: Path, pointer: Pointer) -> list[Record]:
    """The well-formed lines of a journal; none if there is no journal, or it is another format's."""
    try:
        lines = path.read_text("utf-8", errors="replace").split("\n")
    except OSError:
        return []
    if lines[0] != _HEADER:
        return []
    return [record for record in map(_parse_record, lines[1:]) if record and record.stop <= pointer.size]


def _parse_record(line: str) -> Record | None:
    fields = line.split(" ")
    if len(fields) != 4 or len(fields[3]) != _DIGEST_DIGITS or not (fields[0].isdecimal() and fields[1].isdecimal()):
        return None
    start, stop = int(fields[0]), int(fields[1])
    return Record(start, stop, fields[2], fields[3]) if start < stop else None


def _read_control(path: Path, pointer: Pointer) -> RangeSet:
    """What aria2's account claims; nothing where there is none, or it is of something else."""
    try:
        data = path.read_bytes()
    except OSError:
        return RangeSet()
    return _claimed(data, pointer)


def _claimed(control: bytes, pointer: Pointer) -> RangeSet:
    found = parse_control(control)
    return found.here if found is not None and found.total == pointer.size else RangeSet()


def _filled(descriptor: int, start: int, stop: int) -> Iterator[tuple[int, int]]:
    """The parts of ``[start, stop)`` whose blocks have no hole, each no longer than a journal line's."""
    begun = start
    for low in range(start, stop, BLOCK):
        high = min(stop, low + BLOCK)
        empty = _has_hole(b"".join(blocks(descriptor, low, high)))
        if empty or high - begun > RECORD_BYTES:
            if begun < low:
                yield begun, low
            begun = high if empty else low
    if begun < stop:
        yield begun, stop


def _has_hole(data: bytes) -> bool:
    """Whether a sector of it is all zeros, as what was never written is."""
    step = len(_ZEROS)
    return not data or (
        _ZEROS in data and any(data[at : at + step] == _ZEROS for at in range(0, len(data) - step + 1, step))
    )


def _await_lock(directory: Path) -> None:
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


def _open_journal(path: Path) -> tuple[int, int]:
    """The journal and its end; what it said before stays, since every claim is proven anew.

    Begun by the first record: an object that comes whole in one piece never has a journal. One of
    another format is begun anew.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | _OPEN, 0o644)
    header = f"{_HEADER}\n".encode()
    if os.read(descriptor, len(header)) != header:
        os.ftruncate(descriptor, 0)
    end = os.fstat(descriptor).st_size
    begin = b"\n" if end else header  # behind a torn line the next one must begin on its own
    write_at(descriptor, memoryview(begin), end)
    return descriptor, end + len(begin)


def _leave_to_others(path: Path) -> None:
    """Begin anew where the part has another name somewhere: to write into it would be to write into that, too.

    A kill leaves one so, while a file is moved here or into git-lfs's store.
    """
    with contextlib.suppress(FileNotFoundError):
        stat = os.lstat(path)
        if S_ISREG(stat.st_mode) and stat.st_nlink > 1:
            path.unlink()


def _reserve(descriptor: int, size: int) -> None:
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


@functools.cache
def _libc() -> ctypes.CDLL | None:
    try:
        return ctypes.CDLL(None, use_errno=True)
    except (OSError, TypeError):
        return None
