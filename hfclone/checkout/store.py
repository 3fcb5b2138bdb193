"""git-lfs's own store, ``.git/lfs/objects``: what lies there need not be fetched, and what is fetched may lie there.

Why so: git-lfs looks only there. But a copy there doubles the disk, and one inode in both places is
spoiled in both by an edit in place: so the default is to share blocks where the file system can
(``FICLONE``), and else to leave the store as it is.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

from hfclone.errors import NoReflink
from hfclone.events import OnEvent, Warned
from hfclone.files.access import Access
from hfclone.files.ondisk import WRITE_BITS, clone_file, share_blocks
from hfclone.files.refusals import refused
from hfclone.git import GitRepo
from hfclone.names import LfsStore
from hfclone.pointer import Oid, Pointer
from hfclone.worktree import WorkTree

__all__ = ["Store", "open_store"]

_PROBE = "reflink-probe"


class Store:
    """The store of one checkout. ``way`` is how it is filled, and never ``AUTO``."""

    def __init__(self, folder: Path, way: LfsStore, access: Access) -> None:
        self.way = way
        self._access = access
        self._objects = folder / "objects"
        self._temporary = folder / "tmp"
        self._right: dict[Oid, bool] = {}

    @property
    def is_filled(self) -> bool:
        """Whether objects are put here."""
        return self.way is not LfsStore.NONE

    def path_of(self, oid: Oid) -> Path:
        """Where git-lfs would look for the object."""
        return Path(self._name_of(oid))

    def _name_of(self, oid: Oid) -> str:
        return os.path.join(self._objects, oid[:2], oid[2:4], oid)

    def holds(self, pointer: Pointer) -> bool:
        """Whether something of the object's size lies here; says nothing of its bytes."""
        try:
            return os.stat(self._name_of(pointer.oid)).st_size == pointer.size
        except OSError:
            return False

    def has(self, pointer: Pointer, digest: Callable[[Path], str]) -> bool:
        """Whether the object lies here; ``digest`` is asked once for each."""
        if pointer.size == 0 or not self.holds(pointer):
            return False
        if pointer.oid not in self._right:
            self._right[pointer.oid] = digest(self.path_of(pointer.oid)) == pointer.oid
        return self._right[pointer.oid]

    def needs(self, pointer: Pointer) -> int:
        """Bytes of disk that keeping the object here will take."""
        return pointer.size if self.way is LfsStore.COPY and not self.holds(pointer) else 0

    def keep_part(self, pointer: Pointer, part: Path, on_bytes: Callable[[int], None]) -> None:
        """Put the verified object in ``part`` here, too. One inode that serves both is made read-only.

        ``on_bytes`` hears how many bytes more were copied.
        """
        if self.way is LfsStore.HARDLINK:
            os.chmod(part, os.stat(part).st_mode & ~WRITE_BITS)
        with open(part, "rb") as file:
            self._keep(pointer, file.fileno(), lambda target: os.link(part, target), on_bytes)

    def keep_placed(self, pointer: Pointer, tree: WorkTree, path: bytes, on_bytes: Callable[[int], None]) -> None:
        """The same for an object that is in place in ``tree`` already."""
        if self.holds(pointer):
            return
        descriptor = tree.open_file(path)
        try:
            if self.way is LfsStore.HARDLINK:
                os.fchmod(descriptor, os.fstat(descriptor).st_mode & ~WRITE_BITS)
            self._keep(pointer, descriptor, lambda target: tree.link_to(path, target), on_bytes)
        finally:
            os.close(descriptor)

    def take(self, pointer: Pointer, target: Path, on_bytes: Callable[[int], None]) -> None:
        """Make ``target`` the object that lies here; takes no disk where the way has none. Raises ``OSError``.

        ``on_bytes`` hears how many bytes more were copied.
        """
        source = self.path_of(pointer.oid)
        target.unlink(missing_ok=True)
        if self.way is LfsStore.HARDLINK:
            os.link(source, target)
            return
        with open(source, "rb") as file:
            clone_file(file.fileno(), target, on_bytes)

    def _keep(
        self, pointer: Pointer, source: int, link: Callable[[Path], None], on_bytes: Callable[[int], None]
    ) -> None:
        """By way of a name of ours in git-lfs's own directory for temporary files: a kill leaves no half object.

        Raises:
            CannotWrite, DiskFull: this machine cannot.
        """
        target, fresh = self.path_of(pointer.oid), self._temporary / f"{pointer.oid}.hfclone"
        if (
            not pointer.size
            or self.way is LfsStore.NONE
            or (self.holds(pointer) and self._right.get(pointer.oid, True))
        ):
            return
        try:
            for folder in (self._temporary, target.parent):
                self._access.make_folder(folder)
            fresh.unlink(missing_ok=True)
            match self.way:
                case LfsStore.HARDLINK:
                    link(fresh)
                case LfsStore.REFLINK:
                    with open(fresh, "xb") as new:
                        self._access.give(new.fileno())
                        share_blocks(source, new.fileno())
                case _:
                    clone_file(source, fresh, on_bytes)
                    self._access.give(fresh)
            os.replace(fresh, target)
        except OSError as error:
            raise refused(error, target, pointer.size) from error
        finally:
            with contextlib.suppress(OSError):
                fresh.unlink(missing_ok=True)
        self._right[pointer.oid] = True


def open_store(repo: GitRepo, choice: LfsStore, on_event: OnEvent) -> Store:
    """The store that git-lfs would use; finds out what ``AUTO`` means here.

    Raises:
        NoReflink: that was asked for, and the file system has none.
    """
    configured = repo.config.in_force("lfs.storage").get("lfs.storage", "")
    folder = repo.common_dir / (configured or "lfs")
    parts = repo.git_dir / "hfclone" / "parts"
    if choice is LfsStore.HARDLINK:
        on_event(Warned("lfs-store-hardlink"))
    if choice not in (LfsStore.AUTO, LfsStore.REFLINK):
        return Store(folder, choice, repo.access)
    reason = _why_no_reflink(parts, folder, repo.access)
    if not reason:
        return Store(folder, LfsStore.REFLINK, repo.access)
    if choice is LfsStore.REFLINK:
        raise NoReflink(str(folder), reason)
    return Store(folder, LfsStore.NONE, repo.access)


def _why_no_reflink(parts: Path, folder: Path, access: Access) -> str:
    """What a file of a few bytes says when it is to share them; empty if it does. ``folder`` may have to be made."""
    made = not folder.exists()
    source, target = parts / _PROBE, folder / f".{_PROBE}"
    try:
        access.make_folder(folder)
        source.write_bytes(bytes(4096))
        with open(source, "rb") as one, open(target, "wb") as other:
            share_blocks(one.fileno(), other.fileno())
    except OSError as error:
        return error.strerror or str(error)
    finally:
        with contextlib.suppress(OSError):
            source.unlink(missing_ok=True)
            target.unlink(missing_ok=True)
            if made:
                folder.rmdir()
    return ""
