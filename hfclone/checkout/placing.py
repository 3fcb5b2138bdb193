"""A checkout that is held: what stands at the paths of its large files, and placing objects there."""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Callable, Collection, Mapping, Sequence
from enum import Enum
from pathlib import Path

from hfclone.checkout.looking import digest_of, holds_pointer
from hfclone.checkout.moving import Side, held_objects, put_files
from hfclone.checkout.stamps import Stamps
from hfclone.checkout.store import Store
from hfclone.errors import BadPointer, CannotWrite, Conflicts
from hfclone.events import ByteCount, OnEvent, Warned, ignore
from hfclone.git import GitRepo
from hfclone.gitindex import Fresh, SizeRule, Unpatched, index_entries, patch_index
from hfclone.hashing import sha256_of
from hfclone.names import Pin
from hfclone.plan import Presence
from hfclone.pointer import Oid, Pointer
from hfclone.treepaths import show_path
from hfclone.worktree import FileMode, Kind, Standing, WorkTree, clone_file, settle_mtime, with_mode

__all__ = ["Checkout", "Trust"]

_MUNGING_GIT = (2, 43)
_RECENT_NS = 2 * 10**9
_WORD = 0xFFFFFFFF


class Trust(Enum):
    """What is believed of a file that looks like one we verified."""

    STAMPS = "stamps"
    NOTHING = "nothing"
    """Everything is read and hashed again."""
    REPAIR = "repair"
    """The same; and a file that we had placed and that is not the object any more is damage, even if it looks
    edited (it is cut short, say). Only for those who ask for a repair: an edit would be lost."""


class Checkout:
    """A checkout at ``pin``, held by us. For one thread."""

    def __init__(
        self,
        pin: Pin,
        repo: GitRepo,
        tree: WorkTree,
        side: Side,
        bad: Mapping[bytes, BadPointer],
        stamps: Stamps,
        *,
        store: Store,
        on_event: OnEvent,
    ) -> None:
        self.pin = pin
        self.path = repo.path
        self.parts_dir = repo.git_dir / "hfclone" / "parts"
        self._repo = repo
        self._tree = tree
        self._side = side
        self._bad = bad
        self._stamps = stamps
        self._store = store
        self._on_event = on_event
        self._fresh: dict[bytes, Fresh] = {}
        self._settled = False
        """Whether git's index knows of all that has a stamp, but for what is fresh."""
        self._damaged: dict[bytes, Standing] = {}
        self._objects: dict[Oid, bytes] = {}

    def files(self) -> Mapping[bytes, Pointer]:
        """The commit's pointers by path, in the tree's order."""
        return self._side.pointers

    def bad_pointers(self) -> Mapping[bytes, BadPointer]:
        """Files that claim to be pointers and are not; they stay as git has them."""
        return self._bad

    def free_bytes(self) -> int:
        """Room on the checkout's file system, in bytes."""
        return self._tree.free_bytes()

    def inventory(self, trust: Trust, on_event: OnEvent = ignore) -> Mapping[bytes, Presence]:
        """What stands at the path of every pointer.

        A file of the right size without a stamp (a browser may have put it there) is hashed, and
        adopted if it is the object. With ``Trust.NOTHING`` a file that has changed under an
        untouched mtime is damage and not an edit: it counts as absent. What lies in git-lfs's store
        is hashed, too, where it is of use.
        """
        standing = {path: self._tree.look(path) for path in self.files()}
        placed = self._placed_paths() if trust is Trust.REPAIR else frozenset()
        progress = ByteCount("verifying", sum(self._to_hash(p, standing[p], trust) for p in standing), on_event)
        found = {path: self._presence(path, standing[path], trust, placed, progress) for path in standing}
        lacking = [path for path, what in found.items() if what in (Presence.ABSENT, Presence.POINTER)]
        return found | dict.fromkeys(self._in_store(lacking, on_event), Presence.STORED)

    def place(self, pointer: Pointer, part: Path, paths: Sequence[bytes]) -> None:
        """Put the object in ``part``, which the caller has verified, to all ``paths``; ``part`` is gone then.

        The first is a rename, the others are copies (never links: an edit would change them all).

        Raises:
            Conflicts: something stands there that is neither the pointer nor nothing.
            CannotWrite, DiskFull: this machine cannot.
        """
        free = self._placeable(pointer, paths)
        if not free:
            return
        try:
            with open(part, "rb") as file:
                os.fsync(file.fileno())
            self._put(pointer, part, free[0])
        except OSError as error:
            raise CannotWrite(str(part), error.strerror or str(error)) from error
        self._copy_to(pointer, free[0], free[1:])

    def copy(self, pointer: Pointer, paths: Sequence[bytes]) -> None:
        """Put an object that ``inventory`` has found at another path or in git-lfs's store to ``paths``, too.

        Raises as ``place`` does.
        """
        free = self._placeable(pointer, paths)
        if pointer.oid not in self._objects and free:
            self._take_stored(pointer, free.pop(0))
        if free:
            self._copy_to(pointer, self._objects[pointer.oid], free)

    def store_bytes(self, pointer: Pointer) -> int:
        """Bytes of disk that git-lfs's store will take for the object."""
        return self._store.needs(pointer)

    def set_aside(self, paths: Collection[bytes]) -> None:
        """Rename files of the user's at ``paths`` to free names beside them, and say so."""
        for path in paths:
            aside = self._tree.set_aside(path)
            self._on_event(Warned("set-aside", f"{show_path(path)} was moved to {show_path(aside)}"))

    def restore(self, paths: Collection[bytes]) -> None:
        """Write files of git's own (not large ones) at ``paths`` as the commit has them, whatever stands there.

        Raises:
            CannotWrite, DiskFull: this machine cannot, or a directory that is not empty stands there.
        """
        state = self._repo.git_dir / "hfclone"
        index = state / "restore.index"
        entries = [self._side.entries[path] for path in paths if path not in self._side.pointers]
        index.unlink(missing_ok=True)
        self._repo.update_index(index, self._side.entries.values(), ())
        standing = {entry.path: self._tree.look(entry.path) for entry in entries}
        self._fresh.update(put_files(self._repo, self._tree, index, state / "co", entries, standing))
        index.unlink(missing_ok=True)

    def settle(self) -> None:
        """Tell git and our stamps what was placed. Cheap if that was nothing; may be called often.

        Raises:
            CheckoutBusy: a git command is changing the index just now.
        """
        if not self._settled or self._store.is_filled:  # filling it may change how a file looks
            self._find_fresh()
        if self._fresh or not self._settled:
            self._patch_index()
        if self._store.is_filled:
            for path in self._objects.values():
                self._keep(path)
        self._stamps.save(self.files())
        self._fresh.clear()
        self._settled = True

    # --- beneath -----------------------------------------------------------------------------

    def _find_fresh(self) -> None:
        """Whatever is as its stamp has it, placed by us or not: the index may not know of it."""
        for path, pointer in self.files().items():
            stamp = self._stamps.get(path)
            if stamp is not None and stamp.oid == pointer.oid and path not in self._fresh:
                stat = self._tree.look(path).stat
                if stat is not None and stamp.fits(pointer, stat):
                    self._fresh[path] = Fresh(self._side.entries[path].oid, stat)

    def _patch_index(self) -> None:
        rule = SizeRule.MUNGED if self._repo.git.version >= _MUNGING_GIT else SizeRule.ZERO
        index = self._repo.git_dir / "index"
        if isinstance(patch_index(index, self._fresh, rule), Unpatched):
            self._repo.write_plain_index()
            patch_index(index, self._fresh, rule)

    def note_written(self, fresh: Mapping[bytes, Fresh]) -> None:
        """Files of git's own that were just written; ``settle`` tells the index."""
        self._fresh.update(fresh)

    def adopt_held(self) -> None:
        """Place objects that the move from another commit set aside; drop what is of no use."""
        wanted: dict[Oid, list[bytes]] = {}
        for path, pointer in self.files().items():
            wanted.setdefault(pointer.oid, []).append(path)
        for oid, part in held_objects(self._repo.git_dir / "hfclone").items():
            if oid in wanted and sha256_of(part) == oid:
                with contextlib.suppress(Conflicts):
                    self.place(self.files()[wanted[oid][0]], part, wanted[oid])
            part.unlink(missing_ok=True)

    def _to_hash(self, path: bytes, standing: Standing, trust: Trust) -> int:
        """Bytes that the inventory has to read of a file."""
        pointer, stat = self.files()[path], standing.stat
        if standing.kind is not Kind.FILE or stat is None or stat.st_size != pointer.size:
            return 0
        stamp = self._stamps.get(path)
        trusted = trust is Trust.STAMPS and stamp is not None and stamp.fits(pointer, stat)
        return 0 if trusted else pointer.size

    def _placed_paths(self) -> frozenset[bytes]:
        """Paths of which git's index says that the object was there, and not its pointer."""
        try:
            entries = list(index_entries((self._repo.git_dir / "index").read_bytes()))
        except (OSError, ValueError, IndexError, struct.error):
            return frozenset()  # a form that is not read: the stamps alone tell
        ours, files = self._side.entries, self.files()
        return frozenset(
            entry.path
            for entry in entries
            if entry.path in files
            and entry.oid == ours[entry.path].oid
            and entry.size == files[entry.path].size & _WORD
        )

    def _in_store(self, paths: Sequence[bytes], on_event: OnEvent) -> list[bytes]:
        """Those of ``paths`` whose object git-lfs has stored."""
        sizes = {p.oid: p.size for path in paths if self._store.holds(p := self.files()[path])}
        progress = ByteCount("verifying", sum(sizes.values()), on_event)
        return [path for path in paths if self._store.has(self.files()[path], _digester(progress))]

    def _take_stored(self, pointer: Pointer, path: bytes) -> None:
        target = self.parts_dir / f"{pointer.oid}.copy"
        try:
            self._store.take(pointer, target)
            self._put(pointer, target, path)
        except OSError as error:
            raise CannotWrite(show_path(path), error.strerror or str(error)) from error
        finally:
            target.unlink(missing_ok=True)

    def _keep(self, path: bytes) -> None:
        """Have the object that is in place at ``path`` in git-lfs's store, too."""
        pointer, stat, stamp = self.files()[path], self._tree.look(path).stat, self._stamps.get(path)
        if stat is None or stamp is None or not stamp.fits(pointer, stat):
            return  # edited since
        try:
            self._store.keep_placed(pointer, self._tree, path)
        except OSError as error:
            raise CannotWrite(show_path(path), error.strerror or str(error)) from error

    def _presence(
        self, path: bytes, standing: Standing, trust: Trust, placed: Collection[bytes], progress: ByteCount
    ) -> Presence:
        pointer, stat = self.files()[path], standing.stat
        if standing.kind is Kind.ABSENT:
            return Presence.ABSENT
        if standing.kind is not Kind.FILE or stat is None:
            return Presence.FOREIGN
        if stat.st_size == pointer.size:
            if not self._to_hash(path, standing, trust) and pointer.size:
                self._objects[pointer.oid] = path
                return Presence.CONTENT
            if digest_of(self._tree, path, progress.advance) == pointer.oid:
                self._adopt(path, pointer, stat)
                return Presence.CONTENT
        if holds_pointer(self._tree, path, stat.st_size, pointer):
            return Presence.POINTER
        if self._is_damage(path, stat, trust, placed):
            self._damaged[path] = standing
            return Presence.ABSENT
        return Presence.FOREIGN

    def _is_damage(self, path: bytes, stat: os.stat_result, trust: Trust, placed: Collection[bytes]) -> bool:
        """Whether a file that is not its object was, and no user is believed to have changed it."""
        stamp = self._stamps.get(path)
        ours = stamp is not None and stamp.oid == self.files()[path].oid
        match trust:
            case Trust.STAMPS:
                return False
            case Trust.NOTHING:
                return ours and stamp is not None and stamp.is_untouched(stat)
            case Trust.REPAIR:
                return ours or path in placed

    def _adopt(self, path: bytes, pointer: Pointer, stat: os.stat_result) -> None:
        """Take a file whose content is right for the object's; old enough that git need not read it."""
        recent = os.stat(self._repo.git_dir / "hfclone" / "lock").st_mtime_ns - _RECENT_NS
        if stat.st_mtime_ns > recent:
            with contextlib.suppress(OSError):  # another user's file: git will read it once
                self._tree.set_mtime(path, recent - 8 * 10**9)
        now = self._tree.look(path).stat
        if now is not None:
            self._stamps.add(path, pointer, now)
            self._objects[pointer.oid] = path
            self._fresh[path] = Fresh(self._side.entries[path].oid, now)

    def _placeable(self, pointer: Pointer, paths: Sequence[bytes]) -> list[bytes]:
        """Those of ``paths`` that do not hold the object yet."""
        free: list[bytes] = []
        conflicts: list[str] = []
        for path in paths:
            standing = self._tree.look(path)
            stat = standing.stat
            stamp = self._stamps.get(path)
            if standing.kind is Kind.ABSENT or self._is_damaged(path, standing):
                free.append(path)
            elif standing.kind is not Kind.FILE or stat is None:
                conflicts.append(show_path(path))
            elif stamp is not None and stamp.fits(pointer, stat):
                continue
            elif holds_pointer(self._tree, path, stat.st_size, pointer) or (stat.st_size == 0 and pointer.size == 0):
                free.append(path)
            else:
                conflicts.append(show_path(path))
        if conflicts:
            raise Conflicts(str(self.path), tuple(conflicts))
        return free

    def _is_damaged(self, path: bytes, standing: Standing) -> bool:
        return path in self._damaged and self._damaged[path].is_same(standing)

    def _put(self, pointer: Pointer, source: Path, path: bytes) -> None:
        """Rename ``source`` to ``path`` with git's mode and a past mtime, and stamp it."""
        mode = FileMode(self._side.entries[path].mode)
        if os.name == "posix":
            os.chmod(source, with_mode(os.stat(source).st_mode, mode))
        settle_mtime(source)
        if self._store.is_filled:
            self._store.keep_part(pointer, source)
        stat = self._tree.place(source, path, self._tree.look(path))
        self._tree.sync_directory(path)
        self._damaged.pop(path, None)
        self._stamps.add(path, pointer, stat)
        self._objects[pointer.oid] = path
        self._fresh[path] = Fresh(self._side.entries[path].oid, stat)

    def _copy_to(self, pointer: Pointer, source: bytes, paths: Sequence[bytes]) -> None:
        for path in paths:
            target = self.parts_dir / f"{pointer.oid}.copy"
            try:
                descriptor = self._tree.open_file(source)
                try:
                    clone_file(descriptor, target)
                finally:
                    os.close(descriptor)
                stat = self._tree.look(source).stat
                if stat is None or not self._stamps[source].fits(pointer, stat):
                    raise Conflicts(str(self.path), (show_path(source),))
                self._put(pointer, target, path)
            except OSError as error:
                raise CannotWrite(show_path(path), error.strerror or str(error)) from error
            finally:
                target.unlink(missing_ok=True)


def _digester(progress: ByteCount) -> Callable[[Path], str]:
    def digest(path: Path) -> str:
        try:
            return sha256_of(path, progress.advance)
        except OSError:
            return ""

    return digest
