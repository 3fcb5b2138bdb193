"""The LFS pointers of a commit, found by content."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from hfclone.errors import BadPointer
from hfclone.git.plumbing import GitRepo, TreeEntry
from hfclone.paths import show_path
from hfclone.pointer import MAX_POINTER_BYTES, Oid, Pointer, parse_pointer
from hfclone.wording import phrase

__all__ = ["pointers_among"]


def pointers_among(
    repo: GitRepo, entries: Iterable[TreeEntry], known: Mapping[str, Pointer] = MappingProxyType({})
) -> tuple[dict[bytes, Pointer], dict[bytes, BadPointer]]:
    """The pointers among some entries of a tree by path, and those that claim to be one and are not.

    Links and submodules are never pointers. The blobs of ``known`` (by git id) are not read: the
    caller vouches for them.
    """
    files = [entry for entry in entries if entry.is_file]
    sizes = repo.blob_sizes(entry.oid for entry in files if entry.oid not in known)
    small = [oid for oid, size in sizes.items() if size is not None and 0 < size < MAX_POINTER_BYTES]
    del sizes
    read = {oid: said for oid, text in repo.read_blobs(small) if (said := _said(text)) is not None}
    found: dict[bytes, Pointer] = {}
    bad: dict[bytes, BadPointer] = {}
    sizes_said: dict[Oid, int] = {}
    for entry in files:
        pointer = known.get(entry.oid) or read.get(entry.oid)
        if pointer is None:
            continue
        if isinstance(pointer, BadPointer):
            bad[entry.path] = BadPointer(show_path(entry.path), pointer.reason)
            continue
        if sizes_said.setdefault(pointer.oid, pointer.size) != pointer.size:
            bad[entry.path] = BadPointer(show_path(entry.path), phrase("other-size"))
            continue
        found[entry.path] = pointer
    return found, bad


def _said(text: bytes) -> Pointer | BadPointer | None:
    """What a blob is, for all of its paths; ``None`` if it is no pointer."""
    try:
        return parse_pointer(text)
    except BadPointer as error:
        return error
