"""What stands at the paths of a checkout's large files; what is right there is adopted."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from hfclone.checkout.ground import Ground
from hfclone.checkout.looking import digest_of
from hfclone.checkout.stamps import Stamp
from hfclone.events import ByteCount, OnEvent
from hfclone.files.hashing import sha256_of
from hfclone.plan import Presence
from hfclone.pointer import Pointer
from hfclone.wording import phrase
from hfclone.worktree import Kind, Standing

__all__ = ["take_inventory"]

_RECENT_NS = 2 * 10**9


def take_inventory(ground: Ground, on_event: OnEvent) -> Mapping[bytes, Presence]:
    """What stands at the path of every pointer.

    A file of the right size without a stamp (a browser may have put it there) is hashed, and
    adopted if it is the object. What lies in git-lfs's store is hashed, too, where it is of use.
    """
    found: dict[bytes, Presence] = {}
    others: dict[bytes, Standing] = {}
    for path, pointer in ground.files.items():
        standing, stamp = ground.tree.look(path), ground.stamps.get(path)
        if stamp is not None and _is_as_stamped(pointer, standing, stamp):
            ground.objects[pointer.oid] = path
            found[path] = Presence.CONTENT
        else:
            others[path] = standing
    stamped = {ground.files[path].oid for path in found}
    to_hash = sum(_to_hash(ground, path, others[path]) for path in others)
    progress = ByteCount(phrase("verifying"), to_hash, on_event)
    found.update((path, _presence(ground, path, others[path], progress)) for path in others)
    ground.unread = frozenset(stamped - {ground.files[p].oid for p in others if found[p] is Presence.CONTENT})
    ground.foreign = tuple(path for path, what in found.items() if what is Presence.FOREIGN)
    lacking = [path for path, what in found.items() if what in (Presence.ABSENT, Presence.POINTER)]
    return found | dict.fromkeys(_in_store(ground, lacking, on_event), Presence.STORED)


def _is_as_stamped(pointer: Pointer, standing: Standing, stamp: Stamp) -> bool:
    return standing.kind is Kind.FILE and standing.stat is not None and stamp.fits(pointer, standing.stat)


def _to_hash(ground: Ground, path: bytes, standing: Standing) -> int:
    """Bytes that have to be read of a file that is not as its stamp has it."""
    pointer, stat = ground.files[path], standing.stat
    if standing.kind is not Kind.FILE or stat is None or stat.st_size != pointer.size:
        return 0
    return 0 if ground.is_damaged(path, standing) else pointer.size


def _presence(ground: Ground, path: bytes, standing: Standing, progress: ByteCount) -> Presence:
    pointer, stat = ground.files[path], standing.stat
    if standing.kind is Kind.ABSENT or ground.is_damaged(path, standing):
        return Presence.ABSENT
    if standing.kind is not Kind.FILE or stat is None:
        return Presence.FOREIGN
    if stat.st_size == pointer.size:
        right = digest_of(ground.tree, path, progress.advance) == pointer.oid
        if right and ground.tree.look(path).is_same(standing):  # nobody wrote to it while it was read
            _adopt(ground, path, pointer, stat)
            return Presence.CONTENT
    if not ground.has_text(path, stat):
        return Presence.FOREIGN
    if stat.st_mtime_ns <= _recent(ground):  # a younger one may be written to once more and look the same
        ground.holds_text(path, stat)
    return Presence.POINTER


def _adopt(ground: Ground, path: bytes, pointer: Pointer, stat: os.stat_result) -> None:
    """Take a file whose content is right for the object's; old enough that git need not read it."""
    recent = _recent(ground)
    if stat.st_mtime_ns > recent:
        with contextlib.suppress(OSError):  # another user's file: git will read it once
            ground.tree.set_mtime(path, recent - 8 * 10**9)
    now = ground.tree.look(path).stat
    if now is not None:
        ground.holds(path, pointer, now)


def _recent(ground: Ground) -> int:
    """The mtime from which on a file is too young to be known by it."""
    return ground.began_ns - _RECENT_NS


def _in_store(ground: Ground, paths: Sequence[bytes], on_event: OnEvent) -> list[bytes]:
    """Those of ``paths`` whose object git-lfs has stored."""
    sizes = {p.oid: p.size for path in paths if ground.store.holds(p := ground.files[path])}
    digest = _digester(ByteCount(phrase("verifying"), sum(sizes.values()), on_event))
    return [path for path in paths if ground.store.has(ground.files[path], digest)]


def _digester(progress: ByteCount) -> Callable[[Path], str]:
    def digest(path: Path) -> str:
        try:
            return sha256_of(path, progress.advance)
        except OSError:
            return ""

    return digest
