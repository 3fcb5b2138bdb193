"""What has to be fetched: what the commit needs, what the user wants of it, and what is here."""

from __future__ import annotations

import os
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path
from stat import S_ISREG

from hfclone.checkout import Checkout, Edits
from hfclone.errors import Conflicts, DiskFull, HfcloneError
from hfclone.events import OnEvent, Planned, Warned, ignore
from hfclone.files.ondisk import free_bytes
from hfclone.flows.tools import Tools
from hfclone.git import Git, GitRepo, Staged, state_dir_of
from hfclone.names import LfsStore, Pin
from hfclone.partials import Partials
from hfclone.paths import show_path
from hfclone.plan import SPARE_BYTES, Disk, Plan, Presence, make_plan
from hfclone.pointer import Pointer
from hfclone.selection.select import select
from hfclone.settings import Settings

__all__ = ["check_space", "plan_by_looks", "plan_of", "wanted_but_bad"]


def plan_of(
    checkout: Checkout, tools: Tools, on_event: OnEvent = ignore, *, leave: AbstractSet[bytes] = frozenset()
) -> Plan:
    """Compare what the commit needs with what is here, and begin with what can be saved of files that are wrong.

    Raises:
        Conflicts: files of the user's are in the way, and are to be kept.
    """
    presence = checkout.inventory(on_event)
    files = checkout.files()
    wanted = select(_sizes(files), tools.settings) - leave - checkout.left_alone()
    if files and not wanted and tools.settings.include:
        on_event(Warned("nothing-selected", {"patterns": ", ".join(tools.settings.include)}))
    edited = [path for path in files if path in wanted and presence[path] is Presence.FOREIGN]
    if edited and tools.edits is Edits.KEPT:
        raise Conflicts(str(checkout.path), tuple(map(show_path, edited)))
    checkout.set_aside(edited)
    wanted -= checkout.staged() - set(edited)
    presence = {**presence, **dict.fromkeys(edited, Presence.ABSENT)}
    made = _planned(checkout, presence, wanted)
    if sum(checkout.salvage(pointer, made.paths[pointer.oid]) for pointer in made.missing):
        made = _planned(checkout, presence, wanted)
    on_event(Planned(made))
    return made


def plan_by_looks(pin: Pin, files: Mapping[bytes, Pointer], dest: Path, settings: Settings, git: Git) -> Plan:
    """What a checkout at ``dest`` would lack of ``files``, as far as the sizes of what stands there tell.

    There need not be one yet, nor the directory. ``git`` asks what its user wants left alone.
    """
    partials = Partials(state_dir_of(dest) / "parts")
    there = next(parent for parent in (dest.absolute(), *dest.absolute().parents) if os.path.exists(parent))
    disk = Disk(
        free_bytes(there),
        partials.claimed_bytes,
        partials.reserved_bytes,
        stored=lambda pointer: pointer.size if settings.lfs_store is LfsStore.COPY else 0,
    )
    presence = {path: _looks(dest, path, pointer) for path, pointer in files.items()}
    wanted = select(_sizes(files), settings) - _left_alone(GitRepo(git, dest))
    return make_plan(pin, files, presence, wanted, disk)


def check_space(checkout: Checkout, todo: Plan) -> None:
    """Refuse what cannot fit before the first byte is fetched.

    Raises:
        DiskFull: with what is needed and what is free.
    """
    need = todo.need_bytes
    if need > 0 and todo.free is not None and need + SPARE_BYTES > todo.free:
        raise DiskFull(str(checkout.path), need + SPARE_BYTES, todo.free)


def wanted_but_bad(checkout: Checkout, tools: Tools) -> list[HfcloneError]:
    """What is wrong with pointers that the user asked for."""
    bad = checkout.bad_pointers()
    if not bad:
        return []
    wanted = select({**dict.fromkeys(bad, 0), **_sizes(checkout.files())}, tools.settings)
    return [bad[path] for path in sorted(bad.keys() & wanted)]


def _planned(checkout: Checkout, presence: Mapping[bytes, Presence], wanted: AbstractSet[bytes]) -> Plan:
    partials = checkout.partials()
    disk = Disk(checkout.free_bytes(), partials.claimed_bytes, partials.reserved_bytes, checkout.store_bytes)
    return make_plan(checkout.pin, checkout.files(), presence, wanted, disk)


def _looks(dest: Path, path: bytes, pointer: Pointer) -> Presence:
    """A guess from a file's size; opens nothing and follows no link."""
    try:
        stat = os.lstat(os.path.join(os.fsencode(dest), path))
    except OSError:
        return Presence.ABSENT
    whole = S_ISREG(stat.st_mode) and stat.st_size == pointer.size
    return Presence.CONTENT if whole else Presence.POINTER


def _left_alone(repo: GitRepo) -> frozenset[bytes]:
    """As ``Checkout.left_alone``, of a checkout that nobody holds, if it is one."""
    staged = Staged.read(repo)
    head = repo.resolve("HEAD") if staged.has_index else None
    removed = staged.removed(entry.path for entry in repo.tree_entries(head)) if head else frozenset()
    return staged.skipped() | removed


def _sizes(files: Mapping[bytes, Pointer]) -> dict[bytes, int]:
    return {path: pointer.size for path, pointer in files.items()}
