"""One unfinished object: its bytes, and what is recorded of them."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from hfclone.errors import CannotRead
from hfclone.files.access import UMASK, Access
from hfclone.files.hashing import blocks, range_digest, same_bytes, write_at
from hfclone.files.refusals import refused
from hfclone.partials.allocation import begin_writeback
from hfclone.partials.journal import Record, open_journal
from hfclone.pointer import Pointer
from hfclone.ranges import RangeSet

__all__ = ["Partial", "reading"]


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
        access: Access = UMASK,
    ) -> None:
        self.pointer = pointer
        self.path = path
        self.descriptor = descriptor
        self.records = records
        self._journal_path = journal_path
        self._on_journal = on_journal
        self._access = access
        self._journal: int | None = None
        self._journal_end = 0
        self._journal_lock = threading.Lock()
        self._write_lock = threading.Lock()
        """One file's writers take turns in the kernel; there, who waits keeps a core busy that a hasher could use."""

    def held(self) -> RangeSet:
        """What was provably here when it was opened."""
        return RangeSet((record.start, record.stop) for record in self.records)

    def write(self, data: memoryview | bytes, offset: int) -> None:
        """Put ``data`` at ``offset``.

        Raises:
            DiskFull, CannotWrite: this machine cannot.
        """
        try:
            with self._write_lock:
                write_at(self.descriptor, memoryview(data), offset)
        except OSError as error:
            raise refused(error, self.path, self.pointer.size) from error

    def blocks(self, start: int, stop: int) -> Iterator[memoryview]:
        """What lies at ``[start, stop)``, in views that are valid until the next one. Raises ``CannotRead``."""
        with reading(self.path):
            yield from blocks(self.descriptor, start, stop)

    def digest(self, start: int, stop: int) -> str:
        """The journal's digest of what lies at ``[start, stop)``. Raises ``CannotRead``."""
        with reading(self.path):
            return range_digest(self.descriptor, start, stop)

    def holds(self, data: memoryview, offset: int) -> bool:
        """Whether ``data`` is what lies at ``offset``. Raises ``CannotRead``."""
        with reading(self.path):
            return same_bytes(self.descriptor, data, offset)

    def begin_writeback(self, start: int, stop: int) -> None:
        """Have the disk begin with ``[start, stop)``, so that little is left for the last sync; may wait for the disk.

        Linux alone has it, and not on every file system; elsewhere the last sync does all.
        """
        begin_writeback(self.descriptor, start, stop)

    def record(self, record: Record, slot: int | None = None) -> int:
        """Journal what was written before; returns where its line is.

        ``slot`` is where the line of the same range was before it grew. Raises as ``write`` does.
        """
        line = record.line().encode()
        try:
            with self._journal_lock:
                if self._journal is None:
                    self._on_journal(self.pointer)
                    self._journal, self._journal_end = open_journal(self._journal_path, self._access)
                if slot is None:
                    slot = self._journal_end
                    self._journal_end += len(line)
                write_at(self._journal, memoryview(line), slot)
            return slot
        except OSError as error:
            raise refused(error, self._journal_path, self.pointer.size) from error

    def record_written(self, start: int, stop: int, sender: str) -> Record:
        """Journal ``[start, stop)`` as another process wrote it. Raises as ``digest`` and ``record``."""
        record = Record(start, stop, sender, self.digest(start, stop))
        self.record(record)
        return record

    def close(self) -> None:
        """Let the files go; what they hold stays."""
        os.close(self.descriptor)
        if self._journal is not None:
            os.close(self._journal)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Around what reads a part: a disk that fails is no bug of ours."""
    try:
        yield
    except OSError as error:
        raise CannotRead(str(path), error.strerror or str(error)) from error
