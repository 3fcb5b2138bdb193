"""What a commit needs, what is here, and therefore what to fetch. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import Enum

from hfclone.names import Pin
from hfclone.pointer import Oid, Pointer

__all__ = ["SPARE_BYTES", "Disk", "Plan", "Presence", "make_plan"]

SPARE_BYTES = 64 * 1024 * 1024
"""Kept free beyond what is needed: a file system that is full to the last block fails in odd places."""


class Presence(Enum):
    """What stands at a path of the work tree that should hold an object."""

    CONTENT = "content"
    """The object itself, verified now or by a stamp."""
    POINTER = "pointer"
    """The pointer's text, as git put it there."""
    ABSENT = "absent"
    STORED = "stored"
    """Absent or a pointer; but git-lfs's store has the object, verified now."""
    FOREIGN = "foreign"
    """Something else: a user's edit. Never overwritten."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Every selected object of ``pin``, sorted by what has to happen to it."""

    pin: Pin
    missing: tuple[Pointer, ...]
    """To be fetched, largest first: a large object begun late would hold the end."""
    copies: tuple[Pointer, ...]
    """Here, but not yet at all of its paths."""
    present: tuple[Pointer, ...]
    """In place at all of its paths."""
    unselected: int
    """Objects the user did not ask for; they stay as pointers."""
    paths: Mapping[Oid, tuple[bytes, ...]]
    """Where each object of ``missing`` and ``copies`` has to be put, in the tree's order."""
    held: Mapping[Oid, int]
    """Bytes of missing objects that lie in partials."""
    reserved: int
    """Bytes of disk that the partials of missing objects take up already, filled or not."""
    free: int | None
    """Bytes free on the checkout's file system; ``None`` where that does not say."""
    store_bytes: int = 0
    """Bytes of disk that copies for git-lfs's store will take."""

    @property
    def objects(self) -> int:
        """How many objects are selected."""
        return len(self.missing) + len(self.copies) + len(self.present)

    @property
    def total_bytes(self) -> int:
        """Bytes of all selected objects, each counted once."""
        return sum(pointer.size for pointer in (*self.missing, *self.copies, *self.present))

    @property
    def fetch_bytes(self) -> int:
        """Bytes that have to come over the line."""
        return sum(pointer.size - self.held.get(pointer.oid, 0) for pointer in self.missing)

    @property
    def here_bytes(self) -> int:
        """Bytes of selected objects that are here already, in place or in partials."""
        return self.total_bytes - self.fetch_bytes

    @property
    def need_bytes(self) -> int:
        """Disk space still to be taken: one copy for each path, and what the store takes."""
        more = sum(p.size * len(self.paths[p.oid]) for p in (*self.missing, *self.copies))
        return max(0, more + self.store_bytes - self.reserved)


@dataclass(frozen=True, slots=True)
class Disk:
    """What a checkout's file system has for its objects, in bytes."""

    free: int | None
    """``None`` where that is not known."""
    held: Callable[[Pointer], int]
    """What a partial holds of an object; asked of missing ones alone, as is ``reserved``."""
    reserved: Callable[[Pointer], int]
    """What that partial takes up, filled or not."""
    stored: Callable[[Pointer], int] = lambda _pointer: 0
    """What git-lfs's store will take for an object."""


def make_plan(
    pin: Pin,
    files: Mapping[bytes, Pointer],
    presence: Mapping[bytes, Presence],
    selected: AbstractSet[bytes],
    disk: Disk,
) -> Plan:
    """Sort the objects of ``files`` (path to pointer) by what has to happen to them.

    A ``FOREIGN`` path counts as neither here nor to be filled: the caller reports it.
    """
    wanted: dict[Oid, Pointer] = {}
    fill: dict[Oid, list[bytes]] = {}
    here: set[Oid] = set()
    unselected: set[Oid] = set()
    for path, pointer in files.items():
        if presence[path] in (Presence.CONTENT, Presence.STORED):
            here.add(pointer.oid)
        if path not in selected:
            unselected.add(pointer.oid)
        elif presence[path] is not Presence.FOREIGN:
            wanted[pointer.oid] = pointer
            if presence[path] is not Presence.CONTENT:
                fill.setdefault(pointer.oid, []).append(path)
    missing = sorted((p for p in wanted.values() if p.oid not in here), key=lambda p: (-p.size, p.oid))
    return Plan(
        pin,
        missing=tuple(missing),
        copies=tuple(p for p in wanted.values() if p.oid in here and p.oid in fill),
        present=tuple(p for p in wanted.values() if p.oid in here and p.oid not in fill),
        unselected=len(unselected - wanted.keys()),
        paths={oid: tuple(paths) for oid, paths in fill.items()},
        held={p.oid: disk.held(p) for p in missing},
        reserved=sum(map(disk.reserved, missing)),
        free=disk.free,
        store_bytes=sum(map(disk.stored, wanted.values())),
    )
