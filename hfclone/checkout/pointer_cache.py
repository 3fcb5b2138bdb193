"""Which of git's blobs are pointers, and to what: a cache of what was read of git once.

A git id names bytes, so what was read under it stays right for every commit. The file ends in a digest of
the rest; a torn or spoiled one is as good as none, and the blobs are read again. ``verify`` asks git itself.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from hfclone.errors import CannotWrite
from hfclone.files.access import Access
from hfclone.files.ondisk import write_safely
from hfclone.git import TreeEntry
from hfclone.pointer import Oid, Pointer

__all__ = ["read_known", "write_known"]

_HEADER = b"hfclone-pointers 1\n"
"""Its number must rise when ``parse_pointer`` becomes stricter: what it once took for a pointer is told here."""


def read_known(file: Path) -> dict[str, Pointer]:
    """The pointers that ``file`` tells of by their git id; none if it cannot be believed."""
    try:
        data = file.read_bytes()
    except OSError:
        return {}
    text, _, digest = data.rpartition(b"\n")
    if not data.startswith(_HEADER) or _digest(text) != digest:
        return {}
    rows = (row.split(" ") for row in text.decode("ascii").splitlines()[1:])
    return {blob: Pointer(Oid(oid), int(size)) for blob, oid, size in rows}


def write_known(
    file: Path,
    known: Mapping[str, Pointer],
    entries: Iterable[TreeEntry],
    pointers: Mapping[bytes, Pointer],
    access: Access,
) -> None:
    """Have ``file`` tell of the ``pointers`` (by path) of a commit, if it can; ``known`` is what it tells now."""
    found = {entry.oid: pointers[entry.path] for entry in entries if entry.path in pointers}
    if found == known:
        return
    rows = (f"{blob} {pointer.oid} {pointer.size}\n" for blob, pointer in found.items())
    text = _HEADER + "".join(rows).encode("ascii")
    with contextlib.suppress(CannotWrite):
        write_safely(file, text + b"\n" + _digest(text), access=access)


def _digest(text: bytes) -> bytes:
    return hashlib.sha1(text, usedforsecurity=False).hexdigest().encode("ascii")
