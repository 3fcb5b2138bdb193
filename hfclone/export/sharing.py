"""Large files of a checkout at a second place: by reflink, hardlink or copy.

Why so: a reflink costs nothing and binds nothing, so it comes first. A hardlink costs nothing either,
but is one file with two names: it is made read-only, so that an edit in place fails and does not spoil
both (programs that write a new file and rename it, as git and most editors do, are not hindered).
Never a symbolic link into the checkout: its next commit would change what stands behind the old name.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from hfclone.errors import BadOption, Conflicts, NotAsCommitted
from hfclone.events import ByteCount
from hfclone.export.holdings import Holding
from hfclone.files.hashing import blocks, write_at
from hfclone.files.ondisk import WRITE_BITS, share_blocks
from hfclone.files.refusals import lacks, refused
from hfclone.names import CacheLink
from hfclone.paths import show_path
from hfclone.wording import phrase
from hfclone.worktree import WorkTree

__all__ = ["Sharer", "way_between"]

_PROBE = "link-probe"


def way_between(source: Path, target: Path, choice: CacheLink) -> CacheLink:
    """What ``choice`` comes to for files of the directory ``source`` in ``target``; never ``AUTO``.

    Raises:
        BadOption: the file system cannot do what was chosen.
    """
    if choice is CacheLink.COPY:
        return choice
    # A hardlink has its file's attributes, and Windows lets nobody delete what is read-only.
    wanted = [CacheLink.REFLINK, *[CacheLink.HARDLINK] * (os.name == "posix")] if choice is CacheLink.AUTO else [choice]
    for way in wanted:
        reason = _why_not(way, source / _PROBE, target / f"{_PROBE}-{os.getpid()}.incomplete")
        if not reason:
            return way
    if choice is CacheLink.AUTO:
        return CacheLink.COPY
    raise BadOption("--cache-link", choice.value, phrase("cannot-between", source=source, target=target, reason=reason))


@dataclass(frozen=True)
class Sharer:
    """Brings objects out of the work tree ``tree`` of a checkout of ``commit`` by ``way``. For one thread."""

    tree: WorkTree
    commit: str
    way: CacheLink
    may_copy: bool
    """What cannot be linked; the user has not asked for links."""

    def bring(self, one: Holding, fresh: Path, steps: ByteCount) -> None:
        """Make ``fresh``, which is not there, the object of a file that is present.

        Raises:
            Conflicts: it was changed since it was looked at.
            NotAsCommitted: a copy shows that the disk has other bytes than were written there.
            CannotWrite, DiskFull: this machine cannot.
        """
        try:
            self._bring(one, fresh, steps)
            now = self.tree.look(one.path).stat
        except OSError as error:
            raise refused(error, fresh, one.size) from error
        if now is None or one.stat is None or _looks(now) != _looks(one.stat):
            raise Conflicts(str(self.tree.root), (show_path(one.path),))

    def _bring(self, one: Holding, fresh: Path, steps: ByteCount) -> None:
        descriptor = self.tree.open_file(one.path)
        try:
            if self.way is CacheLink.HARDLINK and self._linked(one, descriptor, fresh):
                return
            with fresh.open("xb") as new:
                if self.way is CacheLink.REFLINK:
                    share_blocks(descriptor, new.fileno())
                else:
                    self._copy(one, descriptor, new.fileno(), steps)
                os.fsync(new.fileno())
        finally:
            os.close(descriptor)

    def _linked(self, one: Holding, descriptor: int, fresh: Path) -> bool:
        """Whether ``fresh`` is another name of the file now; another user's may be neither changed nor linked."""
        try:
            mode = os.fstat(descriptor).st_mode
            if mode & WRITE_BITS and hasattr(os, "fchmod"):
                os.fchmod(descriptor, mode & ~WRITE_BITS)
            self.tree.link_to(one.path, fresh)
        except OSError as error:
            if self.may_copy and lacks(error):
                return False
            raise
        return True

    def _copy(self, one: Holding, source: int, target: int, steps: ByteCount) -> None:
        """Hashed on its way: the bytes pass by anyhow."""
        digest, at = hashlib.sha256(), 0
        for block in blocks(source, 0, one.size):
            digest.update(block)
            write_at(target, block, at)
            at += len(block)
            steps.advance(len(block))
        if digest.hexdigest() != one.etag:
            raise NotAsCommitted(str(self.tree.root), self.commit, 1)


def _why_not(way: CacheLink, source: Path, target: Path) -> str:
    """What the system says to a few bytes; empty where it can."""
    try:
        source.write_bytes(bytes(4096))
        if way is CacheLink.HARDLINK:
            os.link(source, target)
        else:
            with source.open("rb") as old, target.open("xb") as new:
                share_blocks(old.fileno(), new.fileno())
    except OSError as error:
        return error.strerror or str(error)
    finally:
        for probe in (source, target):
            with contextlib.suppress(OSError):
                probe.unlink()
    return ""


def _looks(stat: os.stat_result) -> tuple[int, int, int]:
    return stat.st_size, stat.st_mtime_ns, stat.st_ino
