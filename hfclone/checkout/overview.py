"""How a checkout stands, answered from stamps and git's index: no large file is opened. Offline, and reads only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from hfclone.checkout.existing import Existing, state_directory
from hfclone.checkout.looking import blob_id_of, holds_pointer
from hfclone.checkout.stamps import Stamps
from hfclone.git import Staged, TreeEntry, pointers_among
from hfclone.git.index import Recorded, recorded_files
from hfclone.hub.origins import without_login
from hfclone.lock.model import SUBMODULE_MODE, git_id
from hfclone.partials import Partials
from hfclone.pointer import MAX_POINTER_BYTES, Pointer, format_pointer
from hfclone.selection.choices import ALL, Choice, read_choice
from hfclone.worktree import Abilities, Kind, Standing, WorkTree

__all__ = ["Look", "State", "Status", "lacking_objects", "status_of"]

_HASHED_BYTES = 1024 * 1024
"""A small file whose stat has changed is read if it is no larger than this; else it counts as edited."""


class State(Enum):
    """What stands at a path, as far as looks tell."""

    PRESENT = "present"
    POINTER = "pointer"
    """The object was not fetched."""
    MISSING = "missing"
    EDITED = "edited"
    UNVERIFIED = "unverified"
    """As large as the object, but never verified, or touched since: ``verify`` tells."""
    REMOVED = "removed"
    """Not there, and what the user staged is not the commit's either: a removal, a rename."""
    SKIPPED = "skipped"
    """Not there, and git was told to leave it out: a sparse checkout."""


_LACKING = frozenset({State.POINTER, State.MISSING})


@dataclass(frozen=True, slots=True)
class Status:
    """Counts of paths by state: of objects, and of small files and links."""

    path: Path
    commit: str
    branch: str | None
    """Its short name."""
    origin: str | None
    objects: Mapping[State, int]
    files: Mapping[State, int]
    partial_bytes: int
    """Bytes of objects that are not here yet, in partials."""
    unfinished: bool
    """Whether a move to another commit was interrupted: run the same command again."""
    choice: Choice = ALL
    """What the checkout was made with."""
    unselected: int = 0
    """Paths at which pointers stay because of that; ``objects`` counts them as such."""

    @property
    def complete(self) -> bool:
        """Whether every path is present, or a pointer that stays one."""
        right = (State.PRESENT, State.SKIPPED)
        counts = (count for each in (self.objects, self.files) for state, count in each.items() if state not in right)
        return sum(counts) == self.unselected


def status_of(here: Existing) -> Status:
    """Look at a checkout."""
    entries = here.repo.tree_entries(here.commit)
    state = state_directory(here.repo)
    stamps = Stamps(state / "stamps")
    pointers = _pointers(here, entries, stamps)
    with closing(WorkTree(here.path)) as tree:
        recorded = recorded_files(here.repo.git_dir / "index")
        look = Look(tree, stamps, recorded, Staged.read(here.repo), here.repo.abilities)
        states = {entry.path: look.at(entry, pointers.get(entry.path)) for entry in entries}
    partials, choice = Partials(state / "parts"), read_choice(state)
    lacking = {pointer for path, pointer in pointers.items() if states[path] in _LACKING}
    unfetched = {path for path in pointers if states[path] is State.POINTER}
    sizes = {path: pointer.size for path, pointer in pointers.items()}
    picked = choice.picks(sizes) if choice and unfetched else sizes
    return Status(
        here.path,
        here.commit,
        here.branch.removeprefix("refs/heads/") if here.branch else None,
        here.origin and without_login(here.origin),
        Counter(states[path] for path in pointers),
        Counter(found for path, found in states.items() if path not in pointers),
        sum(map(partials.claimed_bytes, lacking)),
        (state / "journal").exists(),
        choice,
        len(unfetched.difference(picked)),
    )


def lacking_objects(here: Existing) -> dict[bytes, Pointer]:
    """The objects by path that are not there, as far as looks tell: their pointers stand there, or nothing."""
    stamps = Stamps(state_directory(here.repo) / "stamps")
    entries = here.repo.tree_entries(here.commit)
    pointers = _pointers(here, entries, stamps)
    with closing(WorkTree(here.path)) as tree:
        look = Look(tree, stamps, {}, Staged.read(here.repo), here.repo.abilities)
        states = {entry.path: look.at(entry, pointers.get(entry.path)) for entry in entries if entry.path in pointers}
        return {path: one for path, one in pointers.items() if states[path] in _LACKING}


def _pointers(here: Existing, entries: list[TreeEntry], stamps: Stamps) -> dict[bytes, Pointer]:
    """The commit's pointers. What a stamp's would be has the entry's git id, or git is asked."""
    found: dict[bytes, Pointer] = {}
    for entry in entries:
        stamp = stamps.get(entry.path)
        if stamp is not None:
            pointer = Pointer(stamp.oid, stamp.size)
            if git_id("blob", format_pointer(pointer)) == entry.oid:
                found[entry.path] = pointer
    others, _bad = pointers_among(here.repo, (entry for entry in entries if entry.path not in found))
    return found | others


@dataclass(frozen=True, slots=True)
class Look:
    """Judges one path at a time by its stat."""

    tree: WorkTree
    stamps: Stamps
    recorded: Mapping[bytes, Recorded]
    staged: Staged
    able: Abilities

    def at(self, entry: TreeEntry, pointer: Pointer | None) -> State:
        """Of a path of the commit; ``pointer`` where it should hold an object."""
        return self._at_file(entry) if pointer is None else self._at_object(entry, pointer)

    def _at_object(self, entry: TreeEntry, pointer: Pointer) -> State:
        """Of a path that should hold an object."""
        path, standing = entry.path, self.tree.look(entry.path)
        stat = standing.stat
        if standing.kind in (Kind.ABSENT, Kind.BLOCKED):
            return self._absent(entry)
        if standing.kind is not Kind.FILE or stat is None:
            return State.EDITED
        stamp = self.stamps.get(path)
        if stamp is not None and stamp.fits(pointer, stat):
            return State.PRESENT
        if stat.st_size < MAX_POINTER_BYTES and holds_pointer(self.tree, path, stat.st_size, pointer):
            return State.POINTER
        return State.UNVERIFIED if stat.st_size == pointer.size else State.EDITED

    def _at_file(self, entry: TreeEntry) -> State:
        """Of a path that should hold what git has."""
        standing = self.tree.look(entry.path)
        stat = standing.stat
        if standing.kind in (Kind.ABSENT, Kind.BLOCKED):
            return self._absent(entry)
        if entry.mode == SUBMODULE_MODE:
            return State.PRESENT if self.able.can_be(standing.kind, entry.mode) else State.EDITED
        if stat is None or not self.able.can_be(standing.kind, entry.mode):
            return State.EDITED
        if entry.is_file and not self.able.has_mode(stat, entry.mode):
            return State.EDITED
        known = self.recorded.get(entry.path)
        if known is not None and known.oid == entry.oid and known.fits(stat.st_mtime_ns, stat.st_size):
            return State.PRESENT
        return State.PRESENT if self._git_id(entry.path, standing) == entry.oid else State.EDITED

    def _absent(self, entry: TreeEntry) -> State:
        if self.staged.is_changed(entry.path, entry.mode, entry.oid):
            return State.REMOVED
        return State.SKIPPED if self.staged.is_skipped(entry.path) else State.MISSING

    def _git_id(self, path: bytes, standing: Standing) -> str:
        if standing.kind is Kind.LINK:
            return git_id("blob", self.tree.read_link(path))
        if standing.kind is not Kind.FILE or standing.stat is None or standing.stat.st_size > _HASHED_BYTES:
            return ""
        return blob_id_of(self.tree, path, standing.stat.st_size)
