"""What a file of the work tree is: an object, its pointer's text, a blob of git's, or a user's own."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable

from hfclone.errors import BadPointer
from hfclone.hashing import blocks
from hfclone.pointer import MAX_POINTER_BYTES, Pointer, parse_pointer
from hfclone.worktree import WorkTree

__all__ = ["blob_id_of", "digest_of", "holds_pointer"]


def digest_of(tree: WorkTree, path: bytes, on_bytes: Callable[[int], None] = lambda _count: None) -> str:
    """The sha256 of the file at ``path``; empty if it cannot be read."""
    return _digest(tree, path, hashlib.sha256(), on_bytes)


def blob_id_of(tree: WorkTree, path: bytes, size: int) -> str:
    """The id git would give the file's bytes as they are; empty if it cannot be read.

    Only to know a file again: what is *accepted* into git goes through git's own sha1.
    """
    return _digest(tree, path, hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False), lambda _count: None)


def holds_pointer(tree: WorkTree, path: bytes, size: int, pointer: Pointer) -> bool:
    """Whether the file's text is a pointer to the same object, in whichever form git-lfs writes it."""
    if size >= MAX_POINTER_BYTES:
        return False
    try:
        descriptor = tree.open_file(path)
    except OSError:
        return False
    try:
        return parse_pointer(os.read(descriptor, MAX_POINTER_BYTES)) == pointer
    except (BadPointer, OSError):
        return False
    finally:
        os.close(descriptor)


def _digest(tree: WorkTree, path: bytes, digest: hashlib._Hash, on_bytes: Callable[[int], None]) -> str:
    try:
        descriptor = tree.open_file(path)
    except OSError:
        return ""
    try:
        for block in blocks(descriptor, 0, os.fstat(descriptor).st_size):
            digest.update(block)
            on_bytes(len(block))
    except OSError:
        return ""
    finally:
        os.close(descriptor)
    return digest.hexdigest()
