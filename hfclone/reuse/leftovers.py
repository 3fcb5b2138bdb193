"""What other programs have left of objects: files that are not whole, of browsers, aria2, huggingface_hub, wget.

Nothing in such a file can be proven: only the sha256 of the whole is known. So its bytes go into our
partials under a sender that is no endpoint; if the whole comes out wrong, they are what is fetched again
first, and nobody is blamed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from stat import S_ISREG

from hfclone.files.hashing import RangeDigest, blocks, same_bytes
from hfclone.partials import Partial, Partials, Record
from hfclone.partials.aria2control import parse_control
from hfclone.pointer import Oid, Pointer
from hfclone.ranges import RangeSet
from hfclone.reuse.searching import walk

__all__ = ["CONTROL_SUFFIX", "Contradiction", "Leftover", "find_leftovers", "keep_leftover"]

SENDER = "a-file-here"
"""Who sent the bytes, in our journals: a name that no endpoint can have."""
LEAST_BYTES = 64 * 1024
"""What is smaller is rather a pointer or an error's page, and not worth a doubt."""
RECORD_BYTES = 64 * 1024 * 1024
"""Bytes of one line in the journal: what a torn write may cost."""
CONTROL_SUFFIX = ".aria2"
_SUFFIXES = (".incomplete", ".part", ".partial", ".crdownload", ".opdownload", ".download", ".tmp")
"""Behind the name of a file that is not whole (huggingface_hub, Firefox, Chromium, Opera, Safari, and others)."""
_OID = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
_COPY_MARK = re.compile(r" ?\([0-9]+\)(?=\.|$)|\.[0-9]+$")
"""What programs put into a name that is taken: ``model (1).bin``, ``model.bin.1``."""


@dataclass(frozen=True, slots=True)
class Leftover:
    """The bytes ``here`` of the file at ``path`` may be those of an object."""

    path: Path
    pointer: Pointer
    here: RangeSet


class Contradiction(Exception):
    """A file has other bytes than we hold already."""


def find_leftovers(
    place: Path, left: Mapping[Oid, Pointer], paths: Mapping[Oid, Sequence[bytes]]
) -> Iterator[Leftover]:
    """Files at or below ``place`` that tell by their names, or by aria2's control file, of which of ``left`` they are.

    ``paths`` are those of the objects in the checkout.
    """
    names = _Names(left, paths)
    for path in walk(place):
        try:
            stat = path.stat()
            control = Path(f"{path}{CONTROL_SUFFIX}")
            data = control.read_bytes() if control.is_file() else None
        except OSError:
            continue
        if not S_ISREG(stat.st_mode) or stat.st_size < LEAST_BYTES or path.suffix == CONTROL_SUFFIX:
            continue
        found = names.begun(path, stat.st_size) if data is None else names.of_aria2(path, stat.st_size, data)
        if found is not None and found.here:
            yield found


def keep_leftover(leftover: Leftover, partials: Partials, on_bytes: Callable[[int], None]) -> int:
    """Copy what our partial lacks into it; how many bytes that was. Raises ``OSError`` where it cannot be read.

    Raises:
        Contradiction: it differs from what we hold; then nothing of it was kept.
        DiskFull, CannotWrite: this machine cannot.
    """
    descriptor = os.open(leftover.path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    try:
        partial = partials.open(leftover.pointer)
        try:
            held = partial.held()
            _check_same(descriptor, leftover.here, partial, held)
            lacking = RangeSet(leftover.here)
            for start, stop in held:
                lacking.remove(start, stop)
            return sum(_copy(descriptor, partial, start, stop, on_bytes) for start, stop in lacking)
        finally:
            partial.close()
    finally:
        os.close(descriptor)


def _check_same(descriptor: int, here: RangeSet, partial: Partial, held: RangeSet) -> None:
    for start, stop in here:
        for low, high in held:
            for block_start in range(max(start, low), min(stop, high), RECORD_BYTES):
                at = block_start
                for block in blocks(descriptor, block_start, min(stop, high, block_start + RECORD_BYTES)):
                    if not same_bytes(partial.descriptor, block, at):
                        raise Contradiction
                    at += len(block)


def _copy(descriptor: int, partial: Partial, start: int, stop: int, on_bytes: Callable[[int], None]) -> int:
    copied = 0
    while start < stop:
        digest, at = RangeDigest(), start
        for block in blocks(descriptor, start, min(stop, start + RECORD_BYTES)):
            partial.write(block, at)
            digest.update(block)
            at += len(block)
            on_bytes(len(block))
        if at == start:  # it was cut meanwhile
            break
        partial.record(Record(start, at, SENDER, digest.hexdigest()))
        copied, start = copied + at - start, at
    return copied


class _Names:
    """Of which object a file is, judged by its name."""

    def __init__(self, left: Mapping[Oid, Pointer], paths: Mapping[Oid, Sequence[bytes]]) -> None:
        self._left = left
        self._by_name: dict[str, set[tuple[str, Oid]]] = {}
        for oid in left:
            for path in paths.get(oid, ()):
                text = os.fsdecode(path)
                self._by_name.setdefault(PurePosixPath(text).name, set()).add((text, oid))

    def begun(self, path: Path, size: int) -> Leftover | None:
        """A file that holds the beginning of its object."""
        pointer = self._pointer(path)
        if pointer is None or size >= pointer.size:
            return None
        return Leftover(path, pointer, RangeSet([(0, size)]))

    def of_aria2(self, path: Path, size: int, control: bytes) -> Leftover | None:
        """A file whose control file says what it holds."""
        said = parse_control(control)
        if said is None:
            return None
        named = self._pointer(path)
        sized = [pointer for pointer in self._left.values() if pointer.size == said.total]
        pointer = named if named in sized else sized[0] if len(sized) == 1 else None
        said.here.remove(size, said.total)
        return None if pointer is None else Leftover(path, pointer, said.here)

    def _pointer(self, path: Path) -> Pointer | None:
        for oid in _OID.findall(path.name):
            if oid in self._left:
                return self._left[Oid(oid)]
        for name in _plain_names(path.name):
            known = self._by_name.get(name, set())
            there = path.with_name(name).as_posix()
            oids = {oid for text, oid in known if there.endswith(f"/{text}")} or {oid for _text, oid in known}
            if len(oids) == 1:
                return self._left[oids.pop()]
        return None


def _plain_names(name: str) -> Iterator[str]:
    """What a file may have been meant to be called."""
    yield name
    for suffix in _SUFFIXES:
        if name.endswith(suffix):
            name = name.removesuffix(suffix)
            yield name
    yield _COPY_MARK.sub("", name)
