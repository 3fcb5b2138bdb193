"""The journal of a part: which ranges of it are claimed to be there, and who sent them.

A line is ``start stop endpoint digest``, written after the bytes it speaks of. The line of a range that
still grows is written over in place, so that a kill costs little and the journal stays short.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from hfclone.files.access import UMASK, Access
from hfclone.files.hashing import write_at
from hfclone.partials.allocation import OPEN_FLAGS
from hfclone.pointer import Pointer

__all__ = ["RECORD_BYTES", "Record", "open_journal", "read_journal"]

RECORD_BYTES = 4 * 1024 * 1024
"""Bytes of one journal line at most: what a byte lost with the power costs."""

_HEADER = "hfclone-journal 1"
_DIGEST_DIGITS = 16


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


def read_journal(path: Path, pointer: Pointer) -> list[Record]:
    """The well-formed lines of a journal; none if there is no journal, or it is another format's."""
    try:
        lines = path.read_text("utf-8", errors="replace").split("\n")
    except OSError:
        return []
    if lines[0] != _HEADER:
        return []
    return [record for record in map(_parse_record, lines[1:]) if record and record.stop <= pointer.size]


def open_journal(path: Path, access: Access = UMASK) -> tuple[int, int]:
    """The journal and its end; what it said before stays, since every claim is proven anew.

    Begun by the first record: an object that comes whole in one piece never has a journal. One of
    another format is begun anew.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | OPEN_FLAGS, 0o666)
    access.give(descriptor)
    header = f"{_HEADER}\n".encode()
    if os.read(descriptor, len(header)) != header:
        os.ftruncate(descriptor, 0)
    end = os.fstat(descriptor).st_size
    begin = b"\n" if end else header  # behind a torn line the next one must begin on its own
    write_at(descriptor, memoryview(begin), end)
    return descriptor, end + len(begin)


def _parse_record(line: str) -> Record | None:
    fields = line.split(" ")
    if len(fields) != 4 or len(fields[3]) != _DIGEST_DIGITS or not (fields[0].isdecimal() and fields[1].isdecimal()):
        return None
    start, stop = int(fields[0]), int(fields[1])
    return Record(start, stop, fields[2], fields[3]) if start < stop else None
