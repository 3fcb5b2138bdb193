"""What a file of the work tree is: an object, its pointer's text, a blob of git's, or a user's own.

A small file is git's where git would store it as the commit's blob (line ends converted back), and also where a
checkout would write just these bytes: not every conversion leads back to what it came from.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Collection, Iterable
from pathlib import Path

from hfclone.errors import BadPointer
from hfclone.files.folders import remove_folder
from hfclone.files.hashing import blocks, sha256_of
from hfclone.files.refusals import expect_file
from hfclone.git import GitRepo, TreeEntry
from hfclone.pointer import MAX_POINTER_BYTES, Pointer, parse_pointer
from hfclone.worktree import WorkTree

__all__ = ["as_git_has_it", "blob_id_of", "digest_of", "holds_pointer"]


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
    except OSError as error:
        expect_file(error)
        return False
    try:
        text = os.read(descriptor, MAX_POINTER_BYTES)
        return parse_pointer(text.replace(b"\r\n", b"\n")) == pointer  # git may have converted it
    except (BadPointer, OSError):
        return False
    finally:
        os.close(descriptor)


def as_git_has_it(
    repo: GitRepo, tree: WorkTree, doubtful: Collection[TreeEntry], commit: Iterable[TreeEntry], scratch: Path
) -> set[bytes]:
    """Those of ``doubtful``, small files whose bytes are not their blobs', by path, that git has converted so.

    ``commit`` is all that the commit holds, its attributes among it; ``scratch`` is a directory of the caller's.

    Raises:
        GitFailed: git cannot say.
    """
    if not doubtful:
        return set()
    stored = repo.hash_files([entry.path for entry in doubtful])
    right = {entry.path for entry in doubtful if stored.get(entry.path) == entry.oid}
    others = [entry for entry in doubtful if entry.path not in right]
    sizes = repo.blob_sizes(entry.oid for entry in others)
    here = [entry.path for entry in others if sizes[entry.oid] is not None]
    if here:
        index, written = scratch / "compare.index", scratch / "compare"
        index.unlink(missing_ok=True)
        remove_folder(written)
        written.mkdir()
        repo.update_index(index, commit, ())
        repo.checkout_files(index, written, here)
        right |= {path for path in here if digest_of(tree, path) == _sha256_at(written / os.fsdecode(path))}
        remove_folder(written)
        index.unlink(missing_ok=True)
    return right


def _sha256_at(file: Path) -> str | None:
    return sha256_of(file) if file.is_file() else None


def _digest(tree: WorkTree, path: bytes, digest: hashlib._Hash, on_bytes: Callable[[int], None]) -> str:
    try:
        descriptor = tree.open_file(path)
    except OSError as error:
        expect_file(error)
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
