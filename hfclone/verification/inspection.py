"""Reading a file closely: what git and git-lfs would call its bytes."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass

from hfclone.checkout.looking import holds_pointer
from hfclone.files.hashing import blocks
from hfclone.lock.model import LINK_MODE, git_id
from hfclone.pointer import MAX_POINTER_BYTES
from hfclone.verification.targets import TargetFile
from hfclone.worktree import Kind, WorkTree

__all__ = ["Looked", "look_closely"]


@dataclass(frozen=True, slots=True)
class Looked:
    """What was found. An id that its target does not ask for is empty."""

    target: TargetFile
    size: int = 0
    sha256: str = ""
    git_id: str = ""
    is_pointer: bool = False
    """Whether the target's pointer stands there, in any of its forms."""
    is_read: bool = True


def look_closely(tree: WorkTree, target: TargetFile, stop: threading.Event, found: list[Looked]) -> Iterator[int]:
    """Look at one file; yields how many bytes were read, block by block, until ``stop`` is set.

    What is found is added to ``found``. Raises ``OSError`` where the file cannot be read.
    """
    if target.mode == LINK_MODE and tree.look(target.path).kind is Kind.LINK:
        leads_to = tree.read_link(target.path)
        sha256 = hashlib.sha256(leads_to).hexdigest()
        found.append(Looked(target, len(leads_to), sha256, git_id("blob", leads_to)))
        return
    descriptor = tree.open_file(target.path)
    try:
        size = os.fstat(descriptor).st_size
        digests = _digests(target, size)
        for block in blocks(descriptor, 0, size) if digests else ():
            for digest in digests.values():
                digest.update(block)
            yield len(block)
            if stop.is_set():
                return
    finally:
        os.close(descriptor)
    ids = {name: digest.hexdigest() for name, digest in digests.items()}
    sha256 = ids.get("sha256", "")
    is_pointer = (
        target.pointer is not None
        and sha256 != target.pointer.oid
        and size < MAX_POINTER_BYTES
        and holds_pointer(tree, target.path, size, target.pointer)
    )
    found.append(Looked(target, size, sha256, ids.get("sha1", ""), is_pointer))


def _digests(target: TargetFile, size: int) -> dict[str, hashlib._Hash]:
    """Only what can tell: nothing is hashed whose size is wrong already."""
    if target.pointer is not None:
        return {"sha256": hashlib.sha256()} if size == target.pointer.size else {}
    digests = {"sha1": hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)}
    return digests | ({"sha256": hashlib.sha256()} if target.sha256 else {})
