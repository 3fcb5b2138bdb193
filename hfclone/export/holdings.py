"""What a checkout has of its commit: each file, what the hub calls its bytes, and whether it is right where it stands.

A stamp or git's index tells; an object that neither knows is read once, and stamped.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace

from hfclone.checkout.existing import Existing, state_directory
from hfclone.checkout.looking import digest_of
from hfclone.checkout.opening import check_paths
from hfclone.checkout.overview import Look, State
from hfclone.checkout.stamps import Stamps
from hfclone.errors import Conflicts, NotAsCommitted
from hfclone.events import ByteCount, OnEvent
from hfclone.git import Staged, pointers_among
from hfclone.git.index import recorded_files
from hfclone.lock.model import SUBMODULE_MODE
from hfclone.paths import show_path
from hfclone.pointer import Pointer
from hfclone.wording import phrase
from hfclone.worktree import WorkTree

__all__ = ["Holding", "read_holdings", "refuse_edits"]

_SETTLED_NS = 2 * 10**9
"""A file younger than this may change again under the same mtime: it is not stamped."""


@dataclass(frozen=True, slots=True)
class Holding:
    """One file or link of the commit. ``size`` in bytes of what the hub serves for it (no pointer's)."""

    path: bytes
    blob_id: str
    size: int
    pointer: Pointer | None
    state: State
    stat: os.stat_result | None
    """How it looked when ``state`` was found; of what is present only."""

    @property
    def etag(self) -> str:
        """The hub's name for the bytes: an object's sha256, else git's id."""
        return self.blob_id if self.pointer is None else self.pointer.oid


def read_holdings(here: Existing, tree: WorkTree, on_event: OnEvent) -> tuple[Holding, ...]:
    """Every file and link of the commit, in the tree's order. ``tree`` is that of ``here``, held by the caller.

    Raises:
        UnsafePath: the commit holds what must not be written here.
        NotAsCommitted: git itself lacks small files of it.
    """
    entries = [entry for entry in here.repo.tree_entries(here.commit) if entry.mode != SUBMODULE_MODE]
    check_paths(here.repo, entries)  # git made this checkout, perhaps, and asked less
    pointers, _bad = pointers_among(here.repo, entries)
    sizes = here.repo.blob_sizes(entry.oid for entry in entries)
    missing = [oid for oid, size in sizes.items() if size is None]
    if missing:
        raise NotAsCommitted(str(here.path), here.commit, len(missing))
    stamps = Stamps(state_directory(here.repo) / "stamps", here.repo.access)
    recorded = recorded_files(here.repo.git_dir / "index")
    look = Look(tree, stamps, recorded, Staged.read(here.repo), here.repo.abilities)
    found = []
    for entry in entries:
        pointer = pointers.get(entry.path)
        size = (sizes[entry.oid] or 0) if pointer is None else pointer.size
        state = look.at(entry, pointer)
        found.append(Holding(entry.path, entry.oid, size, pointer, state, tree.look(entry.path).stat))
    steps = ByteCount(phrase("verifying"), sum(one.size for one in found if one.state is State.UNVERIFIED), on_event)
    return tuple(_read(one, tree, stamps, steps) if one.state is State.UNVERIFIED else one for one in found)


def refuse_edits(here: Existing, found: Iterable[Holding]) -> None:
    """What a user changed is not the commit's, and cannot be handed on as such.

    Raises:
        Conflicts: something is.
    """
    edited = tuple(show_path(one.path) for one in found if one.state is State.EDITED)
    if edited:
        raise Conflicts(str(here.path), edited)


def _read(one: Holding, tree: WorkTree, stamps: Stamps, steps: ByteCount) -> Holding:
    """What its bytes say of an object's file."""
    assert one.pointer is not None  # what git has is judged by git's id
    if digest_of(tree, one.path, steps.advance) != one.pointer.oid:
        return replace(one, state=State.EDITED)
    now = tree.look(one.path).stat
    if now is None or one.stat is None or (now.st_mtime_ns, now.st_ino) != (one.stat.st_mtime_ns, one.stat.st_ino):
        return replace(one, state=State.EDITED)
    if now.st_mtime_ns < time.time_ns() - _SETTLED_NS:
        stamps.add(one.path, one.pointer, now)
    return replace(one, state=State.PRESENT)
