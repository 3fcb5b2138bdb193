"""Objects that need not be fetched, since their bytes are in a file here: taken into our parts, and verified there.

Whoever made the file is not believed: what is hashed is what lies in the parts then. It is brought by
sharing blocks where the file system can, else by a copy that is hashed on its way. One inode in two
places is spoiled in both by an edit, so a hard link is made only for those who ask for it.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from stat import S_IMODE, S_ISREG

from hfclone.events import ByteCount, OnEvent, Reused, Warned, Working
from hfclone.files.hashing import blocks, write_at
from hfclone.files.ondisk import WRITE_BITS, share_blocks
from hfclone.files.refusals import refused
from hfclone.names import Taking
from hfclone.partials import Partials
from hfclone.pointer import Oid, Pointer
from hfclone.reuse.searching import Found, found_by_name, found_by_size
from hfclone.transfer import Arrived
from hfclone.wording import phrase

__all__ = ["Adopted", "Adopter", "Unlike", "Unused", "finish_move", "reuse"]

_OPEN = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
"""A pipe that took a file's place does not hold us up."""
_CREATE = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)


@dataclass(frozen=True, slots=True)
class Adopted:
    """An object that came from the file ``source``."""

    arrived: Arrived
    source: Path
    shared: tuple[int, int] | None = None
    """Device and inode, where the part is another name of ``source``, which is to be moved: see ``finish_move``."""


@dataclass(frozen=True, slots=True)
class Unused:
    """A file that should have been an object, by its name, or could not be read."""

    path: Path
    reason: str


@dataclass(frozen=True, slots=True)
class Unlike:
    """A file as large as an object that is missing, and none of them."""

    path: Path
    sha256: Oid


def reuse(
    left: dict[Oid, Pointer], places: Sequence[Path], partials: Partials, taking: Taking, on_event: OnEvent
) -> Iterator[Arrived]:
    """Those of ``left`` that lie in one of ``places``, each as it is taken; they are not in ``left`` any more.

    What cannot be read or is wrong is told, and stays in ``left``: it can be fetched.
    """
    adopter = Adopter(partials, taking, on_event)
    for place in places if left else ():
        before = dict(left)
        for found in adopter.adopt(place, left):
            if isinstance(found, Adopted):
                yield found.arrived
            elif isinstance(found, Unused):
                on_event(Warned("not-reused", {"path": found.path, "reason": found.reason}))
        taken = [pointer for oid, pointer in before.items() if oid not in left]
        if taken:
            on_event(Reused(str(place), len(taken), sum(pointer.size for pointer in taken)))


class Adopter:
    """Takes objects out of files into ``partials``. For one thread."""

    def __init__(self, partials: Partials, taking: Taking, on_event: OnEvent) -> None:
        self._partials = partials
        self._taking = taking
        self._on_event = on_event
        self._fresh = partials.directory / "adopted.new"
        self._fresh.unlink(missing_ok=True)  # a kill may have left one

    def adopt(self, place: Path, left: dict[Oid, Pointer]) -> Iterator[Adopted | Unused | Unlike]:
        """Look for the objects of ``left`` in the file or folder ``place``; what is found leaves ``left``."""
        named = list(found_by_name(place, left.values()))
        for one in self._each(named, left):
            yield Unused(one.path, phrase("its-sha256", sha256=one.sha256)) if isinstance(one, Unlike) else one
        if left:
            known = {found.path for found in named}
            sized = found_by_size(place, left.values(), lambda count: self._looking(place, count))
            yield from self._each([found for found in sized if found.path not in known], left)

    def _looking(self, place: Path, count: int) -> None:
        self._on_event(Working(phrase("looking", place=place), count, 0))

    def _each(self, listed: Sequence[Found], left: dict[Oid, Pointer]) -> Iterator[Adopted | Unused | Unlike]:
        progress = ByteCount(phrase("adopting"), sum(found.size for found in listed), self._on_event)
        for found in listed:
            if not any(pointer.size == found.size for pointer in left.values()):
                progress.advance(found.size)
                continue
            outcome: Adopted | Unused | Unlike
            try:
                oid = self._take(found, left, progress)
                outcome = self._judged(found, oid, left)
            except OSError as error:
                outcome = Unused(found.path, error.strerror or str(error))
            finally:
                self._fresh.unlink(missing_ok=True)
            yield outcome

    def _judged(self, found: Found, oid: Oid, left: dict[Oid, Pointer]) -> Adopted | Unlike:
        """What ``_fresh`` is; an object that is kept leaves ``left``, and no other does. Raises ``OSError``."""
        if oid not in left:
            return Unlike(found.path, oid)
        kept = self._kept(left[oid])
        here = os.lstat(kept.part)
        del left[oid]
        is_moved = self._taking is Taking.MOVE and os.path.samestat(os.lstat(found.path), here)
        return Adopted(kept, found.path, (here.st_dev, here.st_ino) if is_moved else None)

    def _take(self, found: Found, left: Collection[Oid], progress: ByteCount) -> Oid:
        """Make ``_fresh`` of the file; the sha256 of what lies there. Raises ``OSError``."""
        self._partials.make_directory()
        source = os.open(found.path, _OPEN)
        try:
            stat = os.fstat(source)
            if not S_ISREG(stat.st_mode) or stat.st_size != found.size:
                raise _changed()
            if self._taking is not Taking.AUTO and _is_own(found.path, stat):
                oid = _sha256(source, found.size, progress)
                if oid not in left or self._same_inode(found.path, stat):
                    return oid
            return self._copied(source, found.size, progress)
        finally:
            os.close(source)

    def _same_inode(self, path: Path, stat: os.stat_result) -> bool:
        """Make ``_fresh`` a second name of the file that was hashed, if there may be one; raises ``OSError``.

        Also where it is to be moved: its own name goes when its object is in place, so that it is never without one
        that lasts.
        """
        try:
            os.link(path, self._fresh)
        except OSError:
            return False  # another file system, or one without links
        if not _is_same(os.lstat(self._fresh), stat):
            raise _changed()
        if self._taking is Taking.HARDLINK:
            self._fresh.chmod(S_IMODE(stat.st_mode) & ~WRITE_BITS)
        return True

    def _copied(self, source: int, size: int, progress: ByteCount) -> Oid:
        target = os.open(self._fresh, _CREATE, 0o666)
        try:
            self._partials.access.give(target)
            try:
                share_blocks(source, target)
            except OSError:
                return _copy(source, target, size, progress)
            return _sha256(target, size, progress)
        finally:
            os.close(target)

    def _kept(self, pointer: Pointer) -> Arrived:
        """The object in place of what was its partial."""
        self._partials.discard(pointer)
        part = self._partials.part_path(pointer)
        self._fresh.replace(part)
        return Arrived(pointer, part, pointer.oid)


def finish_move(source: Path, shared: tuple[int, int]) -> None:
    """Take the old name of a file away, whose new one is where it belongs; not if another file has it by now.

    Raises:
        CannotWrite: the system refuses.
    """
    try:
        found = os.lstat(source)
        if (found.st_dev, found.st_ino) == shared:
            source.unlink()
    except FileNotFoundError:
        return
    except OSError as error:
        raise refused(error, source) from error


def _is_own(path: Path, stat: os.stat_result) -> bool:
    """Whether the file is the user's own under this very name; no link's target is moved or shared."""
    return not path.is_symlink() and (not hasattr(os, "geteuid") or stat.st_uid == os.geteuid())


def _is_same(now: os.stat_result, before: os.stat_result) -> bool:
    return (now.st_dev, now.st_ino, now.st_size, now.st_mtime_ns) == (
        before.st_dev, before.st_ino, before.st_size, before.st_mtime_ns,
    )  # fmt: skip


def _changed() -> OSError:
    return OSError(errno.EBUSY, phrase("changed-just-now"))


def _sha256(descriptor: int, size: int, progress: ByteCount) -> Oid:
    digest = hashlib.sha256()
    for block in blocks(descriptor, 0, size):
        digest.update(block)
        progress.advance(len(block))
    return Oid(digest.hexdigest())


def _copy(source: int, target: int, size: int, progress: ByteCount) -> Oid:
    """The same, on the way into ``target``."""
    digest, at = hashlib.sha256(), 0
    for block in blocks(source, 0, size):
        write_at(target, block, at)
        digest.update(block)
        at += len(block)
        progress.advance(len(block))
    return Oid(digest.hexdigest())
