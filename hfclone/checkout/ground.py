"""What the parts of a held checkout share: where it is, its commit, and what is known of its large files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hfclone.checkout.looking import holds_pointer
from hfclone.checkout.moving import Side
from hfclone.checkout.stamps import Stamps
from hfclone.checkout.store import Store
from hfclone.git import GitRepo, Staged, run_lock_of
from hfclone.git.index import Fresh
from hfclone.pointer import Oid, Pointer
from hfclone.worktree import Standing, WorkTree

__all__ = ["Ground"]


@dataclass(slots=True)
class Ground:
    """One checkout, for one thread."""

    repo: GitRepo
    tree: WorkTree
    side: Side
    stamps: Stamps
    store: Store
    fresh: dict[bytes, Fresh] = field(default_factory=dict)
    """Files of which git's index is still to be told."""
    damaged: dict[bytes, Standing] = field(default_factory=dict)
    """Files that were ours and are to be replaced, as they were when that was decided."""
    aside: dict[bytes, bytes] = field(default_factory=dict)
    """Where a user's files were moved to, by the path that they had."""
    changed: frozenset[bytes] = frozenset()
    """Where the user staged something else than the commit has: an edit, a removal, a rename."""
    removed: frozenset[bytes] = frozenset()
    """Those of them at which the index has nothing: whatever stands there is not the commit's."""
    skipped: frozenset[bytes] = frozenset()
    """What git leaves alone: paths outside of a sparse checkout, or marked by hand."""
    unwatched: frozenset[bytes] = frozenset()
    """Paths at which git does not see an edit, since it was told not to look."""
    foreign: tuple[bytes, ...] = ()
    """Where the inventory found neither a large file's object nor its pointer."""
    unread: frozenset[Oid] = frozenset()
    """Objects that the inventory took for right by the look of their files alone."""
    objects: dict[Oid, bytes] = field(default_factory=dict)
    """A path at which each object was seen."""
    began_ns: int = field(init=False)
    """The mtime of our lock: when this run began, by the clock of the checkout's own disk."""
    texts: dict[bytes, tuple[int, int, int]] = field(default_factory=dict)
    """How files looked that were seen to hold their pointer's text: they need not be read again to be replaced."""

    def __post_init__(self) -> None:
        self.began_ns = os.stat(run_lock_of(self.repo.path)).st_mtime_ns

    @property
    def state(self) -> Path:
        """Our own directory in it."""
        return self.repo.git_dir / "hfclone"

    @property
    def files(self) -> Mapping[bytes, Pointer]:
        """The commit's pointers by path, in the tree's order."""
        return self.side.pointers

    def note_staged(self, staged: Staged) -> None:
        """Take over what git's index says beyond the commit."""
        self.changed = staged.changed(self.side.entries, self.side.entries)
        self.removed = staged.removed(self.side.entries)
        self.skipped = staged.skipped()
        self.unwatched = staged.unwatched()

    def holds(self, path: bytes, pointer: Pointer, stat: os.stat_result) -> None:
        """The object is at ``path``, in a file that looks like ``stat``."""
        # The stamp last: what has one and is not in ``fresh`` counts as told to git, also where a signal ends us here.
        self.fresh[path] = Fresh(self.side.entries[path].oid, stat)
        self.objects[pointer.oid] = path
        self.stamps.add(path, pointer, stat)

    def holds_text(self, path: bytes, stat: os.stat_result) -> None:
        """The pointer's text is at ``path``, in a file that looks like ``stat``; an edit would have another mtime."""
        self.texts[path] = _looks(stat)

    def has_text(self, path: bytes, stat: os.stat_result) -> bool:
        """Whether the file at ``path`` holds its pointer's text; read only where it was not seen before."""
        return self.texts.get(path) == _looks(stat) or holds_pointer(self.tree, path, stat.st_size, self.files[path])

    def is_damaged(self, path: bytes, standing: Standing) -> bool:
        """Whether what stands at ``path`` is still the file that is to be replaced."""
        return path in self.damaged and self.damaged[path].is_same(standing)


def _looks(stat: os.stat_result) -> tuple[int, int, int]:
    return stat.st_ino, stat.st_mtime_ns, stat.st_size
