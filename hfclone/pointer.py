"""A Git LFS pointer: the small text that stands in git for a large object.

Rules: git-lfs ``docs/spec.md`` ("The Pointer") and what ``git lfs pointer --check`` really
accepts; the lenient forms are read too, since git-lfs would fetch them, but marked.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NewType

from hfclone.errors import BadPointer
from hfclone.wording import phrase

__all__ = ["MAX_POINTER_BYTES", "Oid", "Pointer", "format_pointer", "parse_pointer"]

Oid = NewType("Oid", str)
"""sha256 of an object: 64 lower-case hex digits."""

MAX_POINTER_BYTES = 1024
"""git-lfs looks for pointers only in blobs of fewer bytes than this."""

MAX_SIZE = 2**63 - 1
"""git-lfs reads the size as an int64."""

_VERSIONS = (
    b"https://git-lfs.github.com/spec/v1",
    b"https://hawser.github.com/spec/v1",
    b"http://git-media.io/v/2",
)
_CLAIM = re.compile(
    rb"\s*(?:ext-[^\n]*\n\s*)*version (?:" + b"|".join(map(re.escape, _VERSIONS)) + rb")\r?\n(?:.*\n)*\s*oid "
)
_CANONICAL = re.compile(rb"version " + re.escape(_VERSIONS[0]) + rb"\noid sha256:([0-9a-f]{64})\nsize ([0-9]{1,18})\n")
"""What git-lfs itself writes, and nearly every pointer is: read by one match."""
_OID = re.compile(rb"sha256:([0-9a-f]{64})")
_SIZE = re.compile(rb"\+?[0-9]+")


@dataclass(frozen=True, slots=True)
class Pointer:
    """What a pointer file says: the object's sha256 and its size in bytes."""

    oid: Oid
    size: int


def format_pointer(pointer: Pointer) -> bytes:
    """The canonical text of ``pointer``; an empty object is its own pointer."""
    if pointer.size == 0:
        return b""
    return b"version %s\noid sha256:%s\nsize %d\n" % (_VERSIONS[0], pointer.oid.encode(), pointer.size)


def parse_pointer(text: bytes, path: str = "") -> Pointer | None:
    """Read a pointer; ``None`` if ``text`` is ordinary content (as is all of 1,024 bytes or more).

    ``path`` only names the file in an error. Text that names another spec version is ordinary,
    as git-lfs has it; text that claims a known one and an oid, but cannot be read, is not: silence
    would leave a file that looks fetched.

    Raises:
        BadPointer: ``text`` claims to be a pointer and is malformed, or needs a git-lfs extension
            (a program of the user's).
    """
    if canonical := _CANONICAL.fullmatch(text):
        return Pointer(Oid(canonical[1].decode()), int(canonical[2]))
    if len(text) >= MAX_POINTER_BYTES or not _CLAIM.match(text):
        return None
    lines = [line.removesuffix(b"\r") for line in text.strip().split(b"\n")]
    pairs = [line.partition(b" ")[::2] for line in lines if line]
    extensions = [key for key, _ in pairs if key.startswith(b"ext-")]
    if extensions:
        raise BadPointer(path, phrase("pointer-extension", name=extensions[0].decode("ascii", "replace")))
    if [key for key, _ in pairs] != [b"version", b"oid", b"size"]:
        raise BadPointer(path, phrase("pointer-keys"))
    return Pointer(_read_oid(pairs[1][1], path), _read_size(pairs[2][1], path))


def _read_oid(value: bytes, path: str) -> Oid:
    matched = _OID.fullmatch(value)
    if not matched:
        raise BadPointer(path, phrase("pointer-oid"))
    return Oid(matched[1].decode())


def _read_size(value: bytes, path: str) -> int:
    digits = value.rstrip(b" ")
    if not _SIZE.fullmatch(digits) or int(digits) > MAX_SIZE:
        raise BadPointer(path, phrase("pointer-size"))
    return int(digits)
