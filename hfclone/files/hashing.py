"""Digests: sha256 for the truth, XXH3 for the journal (only user of xxhash).

Why two: a journal's digest only has to find what a crash or a torn write left behind, on our own
disk; a second sha256 of every byte would double the CPU of a download. What decides about an
object is its sha256, always.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import xxhash

from hfclone.pointer import Oid

__all__ = ["READ_BYTES", "RangeDigest", "blocks", "range_digest", "same_bytes", "sha256_of", "write_at"]

READ_BYTES = 1024 * 1024
"""One read of a file to be hashed: after each, other threads may run; larger ones fall out of the processor's cache."""

RangeDigest = xxhash.xxh3_64
"""Running digest of one range: ``update(bytes)``, ``hexdigest()`` of 16 digits."""

_pread_into = getattr(os, "preadv", None)
_pwrite = getattr(os, "pwrite", None)
_SEEKING = threading.Lock()
"""Where the platform cannot read and write at a position, a descriptor's one position is shared."""


def read_at(descriptor: int, view: memoryview, offset: int) -> int:
    """Fill ``view`` from ``offset`` on; how many bytes there were. Several may run on one descriptor."""
    if _pread_into is not None:
        got: int = _pread_into(descriptor, [view], offset)
        return got
    with _SEEKING:
        os.lseek(descriptor, offset, os.SEEK_SET)
        data = os.read(descriptor, len(view))
    view[: len(data)] = data
    return len(data)


def write_at(descriptor: int, view: memoryview, offset: int) -> None:
    """Put all of ``view`` at ``offset``. Several may run on one descriptor. Raises ``OSError``."""
    while view:
        if _pwrite is not None:
            done: int = _pwrite(descriptor, view, offset)
        else:
            with _SEEKING:
                os.lseek(descriptor, offset, os.SEEK_SET)
                done = os.write(descriptor, view)
        view, offset = view[done:], offset + done


def blocks(descriptor: int, start: int, stop: int) -> Iterator[memoryview]:
    """The bytes ``[start, stop)`` of an open file, in views that are valid until the next one.

    Ends early where the file does. Reads at absolute positions: several may run on one descriptor.
    """
    buffer = bytearray(min(READ_BYTES, max(0, stop - start)))
    view = memoryview(buffer)
    while start < stop:
        got = read_at(descriptor, view[: min(READ_BYTES, stop - start)], start)
        if got == 0:
            return
        yield view[:got]
        start += got


def range_digest(descriptor: int, start: int, stop: int) -> str:
    """The journal's digest of ``[start, stop)`` of an open file."""
    digest = RangeDigest()
    for block in blocks(descriptor, start, stop):
        digest.update(block)
    return digest.hexdigest()


def same_bytes(descriptor: int, data: memoryview, offset: int) -> bool:
    """Whether ``data`` is what an open file has at ``offset``."""
    at = 0
    for block in blocks(descriptor, offset, offset + len(data)):
        if data[at : at + len(block)] != block:
            return False
        at += len(block)
    return at == len(data)


def sha256_of(path: Path, on_bytes: Callable[[int], None] = lambda _count: None) -> Oid:
    """The sha256 of a file's content. ``on_bytes`` hears the size of each block; raises ``OSError``."""
    digest = hashlib.sha256()
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0))
    try:
        for block in blocks(descriptor, 0, os.fstat(descriptor).st_size):
            digest.update(block)
            on_bytes(len(block))
    finally:
        os.close(descriptor)
    return Oid(digest.hexdigest())
