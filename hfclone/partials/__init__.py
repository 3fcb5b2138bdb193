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
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from hfclone.files.access import UMASK, Access
from hfclone.files.hashing import blocks, range_digest, sha256_of, write_at
from hfclone.files.refusals import refused
from hfclone.partials.account import claimed, filled, read_control
from hfclone.partials.allocation import OPEN_FLAGS, await_lock, leave_to_others, reserve
from hfclone.partials.aria2control import format_control
from hfclone.partials.journal import RECORD_BYTES, Record, read_journal
from hfclone.partials.part import Partial, reading
from hfclone.pointer import Oid, Pointer
from hfclone.ranges import RangeSet

__all__ = ["RECORD_BYTES", "SMALL_BYTES", "UNKNOWN_SENDER", "Partial", "Partials", "Record"]

UNKNOWN_SENDER = "aria2c"
"""Who sent what is only in aria2c's account, or in none; if the object is wrong, these bytes are doubted first."""
SMALL_BYTES = 1024 * 1024
"""Objects up to this size may come in one piece, which no journal tells of."""


class Partials:
    """The directory of a checkout's partials. Its methods may be called from any thread."""

    def __init__(self, directory: Path, access: Access = UMASK, check_place: Callable[[], None] = lambda: None) -> None:
        """``check_place`` says whether this is still the directory; it may raise."""
        self.directory = directory
        self.access = access
        self._check_place = check_place
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
        if not os.path.exists(self._part(pointer)):  # a Path's raises where a name is too long
            return 0
        return self._all_claimed(pointer).size

    def reserved_bytes(self, pointer: Pointer) -> int:
        """Bytes of disk that the object's partial takes up; it is reserved whole where the disk can."""
        try:
            return min(pointer.size, os.stat(self._part(pointer)).st_blocks * 512)
        except (OSError, AttributeError):  # Windows knows no blocks
            return 0

    def open(self, pointer: Pointer, on_bytes: Callable[[int], None] = lambda _count: None) -> Partial:
        """The object's partial, begun if there is none; what it holds has been checked by digest.

        ``on_bytes`` hears how many bytes were checked.

        Raises:
            DiskFull, CannotWrite, CannotRead: this machine cannot.
        """
        path = self.part_path(pointer)
        self._check_place()
        try:
            self.await_writers()
            if pointer.oid not in self._left and (fresh := self._begun(pointer, path)) is not None:
                return fresh
            self._is_told_of(pointer)
            self._regain(pointer)
            leave_to_others(path)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | OPEN_FLAGS, 0o666)
            try:
                self.access.give(descriptor)
                with self._reserving:  # first: reading what is here is in vain where the disk is full
                    reserve(descriptor, pointer.size)
                records = list(self._provable(pointer, descriptor, on_bytes))
            except BaseException:
                os.close(descriptor)
                raise
        except OSError as error:
            raise refused(error, path, pointer.size) from error
        partial = Partial(
            pointer, path, self.journal_path(pointer), descriptor, records, self._before_journal, self.access
        )
        try:
            records += self.absorb(partial, partial.held(), UNKNOWN_SENDER)
            if not records and 0 < pointer.size <= SMALL_BYTES:
                records += _proven_whole(partial)
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
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | OPEN_FLAGS, 0o666)
        except (FileExistsError, FileNotFoundError):
            return None
        try:
            self.access.give(descriptor)
            with self._reserving:
                reserve(descriptor, pointer.size)
        except BaseException:
            os.close(descriptor)
            raise
        return Partial(pointer, path, self.journal_path(pointer), descriptor, [], self._before_journal, self.access)

    def _before_journal(self, pointer: Pointer) -> None:
        self._check_place()
        self._is_told_of(pointer)

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
        self._check_place()
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | OPEN_FLAGS, 0o666)
        except (FileExistsError, FileNotFoundError):
            return False
        except OSError as error:
            raise refused(error, path, pointer.size) from error
        self._bare.add(pointer.oid)
        self._left.add(pointer.oid)
        try:
            try:
                self.access.give(descriptor)
                write_at(descriptor, memoryview(content), 0)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            self._left.discard(pointer.oid)
            with contextlib.suppress(OSError):
                os.unlink(path)
            raise refused(error, path, pointer.size) from error
        return True

    def absorb(self, partial: Partial, held: RangeSet, sender: str) -> list[Record]:
        """Journal what aria2's account has beyond ``held``, as sent by ``sender``, and remove the account.

        A block with a hole is not believed: after a power cut the account may be there and the bytes not.

        Raises:
            DiskFull, CannotWrite, CannotRead: this machine cannot.
        """
        path = self.control_path(partial.pointer)
        told = read_control(path, partial.pointer)
        for start, stop in held:
            told.remove(start, stop)
        with reading(partial.path):
            records = [
                partial.record_written(start, stop, sender)
                for low, high in told
                for start, stop in filled(partial.descriptor, low, high)
            ]
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise refused(error, path, 0) from error
        return records

    def write_control(self, pointer: Pointer, held: RangeSet) -> RangeSet:
        """Tell aria2 what it need not fetch: whole blocks of ``held``. Returns what it was told.

        Raises:
            DiskFull, CannotWrite: this machine cannot.
        """
        self._before_journal(pointer)
        path = self.control_path(pointer)
        content = format_control(held, pointer.size)
        try:
            path.write_bytes(content)
            self.access.give(path)
        except OSError as error:
            raise refused(error, path, len(content)) from error
        return claimed(content, pointer)

    def lend(self, pointer: Pointer, writer: str) -> None:
        """Note, for runs to come, that ``writer`` outlives us and may be writing into the object's part.

        Raises:
            DiskFull, CannotWrite: this machine cannot.
        """
        self._before_journal(pointer)
        path = self._lent_path(pointer)
        try:
            with path.open("w", encoding="utf-8") as file:
                file.write(writer)
                file.flush()
                self.access.give(file.fileno())
                os.fsync(file.fileno())
        except OSError as error:
            raise refused(error, path, len(writer)) from error

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
            self.access.give(new.fileno())
            reserve(new.fileno(), pointer.size)
            for start, stop in self._all_claimed(pointer):
                at = start
                for block in blocks(old.fileno(), start, min(stop, os.fstat(old.fileno()).st_size)):
                    write_at(new.fileno(), block, at)
                    at += len(block)
            fresh.replace(path)
        mark.unlink()

    def _all_claimed(self, pointer: Pointer) -> RangeSet:
        every = RangeSet((r.start, r.stop) for r in read_journal(self.journal_path(pointer), pointer))
        for start, stop in read_control(self.control_path(pointer), pointer):
            every.add(start, stop)
        return every

    def _lent_path(self, pointer: Pointer) -> Path:
        return self.directory / f"{pointer.oid}.lent"

    def await_writers(self) -> None:
        """Wait until no aria2c of an earlier run writes here: it ends within seconds of its hfclone. Once is enough.

        Raises ``OSError``.
        """
        with self._awaiting:
            if not self._alone:
                self.make_directory()
                await_lock(self.directory)
                self._left.update(name.partition(".")[0] for name in os.listdir(self.directory))
                self._alone = True

    def make_directory(self) -> None:
        """Make ours, but not what it lies in: if that is gone, this is not the place any more. Raises ``OSError``."""
        self.directory.mkdir(exist_ok=True)
        self.access.give(self.directory)

    def discard(self, pointer: Pointer) -> None:
        """Forget an object's partial: it has been placed, or nothing of it is right.

        Raises:
            CannotWrite: the system refuses.
        """
        paths: list[str | Path] = [self._part(pointer)]
        if pointer.oid not in self._bare:
            paths += [self.journal_path(pointer), self.control_path(pointer), self._lent_path(pointer)]
        for path in paths:
            try:
                os.unlink(path)
            except FileNotFoundError:
                pass
            except OSError as error:
                raise refused(error, path, 0) from error

    def _provable(self, pointer: Pointer, descriptor: int, on_bytes: Callable[[int], None]) -> Iterator[Record]:
        for record in read_journal(self.journal_path(pointer), pointer):
            with reading(self.part_path(pointer)):
                found = range_digest(descriptor, record.start, record.stop)
            if found == record.digest:
                yield record
            on_bytes(record.stop - record.start)


def _proven_whole(partial: Partial) -> list[Record]:
    """The one record of a part that is all that its pointer says."""
    pointer = partial.pointer
    with reading(partial.path):
        whole = sha256_of(partial.path) == pointer.oid
    return [partial.record_written(0, pointer.size, UNKNOWN_SENDER)] if whole else []
