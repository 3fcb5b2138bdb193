"""A checkout that is held: what stands at the paths of its large files, and placing objects there."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import cached_property
from pathlib import Path
from stat import S_IMODE

from hfclone.checkout.aside import Aside
from hfclone.checkout.beside import beside, clear_beside
from hfclone.checkout.books import Books
from hfclone.checkout.ground import Ground
from hfclone.checkout.inventory import take_inventory
from hfclone.checkout.local_edits import kept_files
from hfclone.checkout.moving import held_objects
from hfclone.checkout.salvage import salvage
from hfclone.checkout.staging import place_staged, stage
from hfclone.checkout.stamps import looks_placed
from hfclone.checkout.vouchers import Vouchers
from hfclone.errors import BadPointer, Conflicts
from hfclone.events import ByteCount, OnEvent, Warned, Working, ignore
from hfclone.files.access import change_mode, made_mode
from hfclone.files.hashing import sha256_of
from hfclone.files.ondisk import clone_file, settle_mtime, sync_file
from hfclone.files.refusals import refused
from hfclone.git import Staged
from hfclone.git.index import Fresh, Patched, SizeRule, patch_index, recorded_files
from hfclone.names import Pin
from hfclone.partials import Partials
from hfclone.paths import show_path
from hfclone.plan import Presence
from hfclone.pointer import Oid, Pointer
from hfclone.wording import phrase
from hfclone.worktree import FileMode, Kind, Standing, with_mode

__all__ = ["Checkout"]

_MUNGING_GIT = (2, 43)
_SIZE_WORD = 2**32
_TELL_EVERY = 256
"""Objects between two words of progress, where no bytes are moved."""


class Checkout:
    """A checkout at ``pin``, held by us. For one thread."""

    def __init__(self, pin: Pin, ground: Ground, bad: Mapping[bytes, BadPointer], on_event: OnEvent) -> None:
        self.pin = pin
        self.path = ground.repo.path
        self.state = ground.state
        self.parts_dir = ground.state / "parts"
        self.access = ground.repo.access
        self._ground = ground
        self._bad = bad
        self._on_event = on_event
        self._vouchers = Vouchers(ground.state / "journals", self.access)
        self._kept = ByteCount(phrase("copying-for-lfs"), 0, on_event)
        self._books = Books(ground.repo.git_dir / "index", ground.stamps.file, ground.state / "settled", self.access)
        self._all_fit = True
        """Whether every stamp was as its file; one that is not may fit again (a file moved away and back)."""
        self._unsynced: dict[bytes, bytes] = {}
        """Directories that something was renamed into, each by one of its paths."""

    def partials(self) -> Partials:
        """What there is of objects that are not whole."""
        return Partials(self.parts_dir, self.access, self._ground.repo.check_place)

    def files(self) -> Mapping[bytes, Pointer]:
        """The commit's pointers by path, in the tree's order."""
        return self._ground.files

    def inodes(self) -> AbstractSet[tuple[int, int]]:
        """Device and inode of what stands at the pointers' paths."""
        stats = (self._ground.tree.look(path).stat for path in self.files())
        return {(stat.st_dev, stat.st_ino) for stat in stats if stat is not None}

    def bad_pointers(self) -> Mapping[bytes, BadPointer]:
        """Files that claim to be pointers and are not; they stay as git has them."""
        return self._bad

    def unread(self) -> AbstractSet[Oid]:
        """Objects that were found in place unread: their files look as they did when they were verified."""
        return self._ground.unread

    def left_alone(self) -> AbstractSet[bytes]:
        """Paths that nothing is fetched for: outside of a sparse checkout, or removed by the user (``git rm``)."""
        return self._ground.skipped | self._ground.removed

    def staged(self) -> AbstractSet[bytes]:
        """Paths at which the user staged something else than the commit has."""
        return self._ground.changed

    def free_bytes(self) -> int | None:
        """Room on the checkout's file system, in bytes; ``None`` where that does not say."""
        return self._ground.tree.free_bytes()

    def inventory(self, on_event: OnEvent = ignore) -> Mapping[bytes, Presence]:
        """What stands at the path of every pointer: see ``take_inventory``."""
        return take_inventory(self._ground, on_event)

    def give_up(self, paths: Iterable[bytes]) -> None:
        """Have large files that were found to be wrong count as absent; not those that somebody wrote to.

        They stand where they are until they are replaced or salvaged.
        """
        ground, recorded = self._ground, recorded_files(self._ground.repo.git_dir / "index")
        for path in paths:
            pointer, standing, stamp = ground.files[path], ground.tree.look(path), ground.stamps.get(path)
            if standing.kind is not Kind.FILE or standing.stat is None:
                continue
            blob = ground.side.entries[path].oid
            if looks_placed(pointer, blob, standing.stat, stamp, recorded.get(path)):
                ground.damaged[path] = standing
                ground.stamps.forget(path)

    def salvage(self, pointer: Pointer, paths: Iterable[bytes]) -> bool:
        """Begin a missing object's partial with what stood at ``paths``: see ``salvage``."""
        progress = ByteCount(phrase("copying"), pointer.size, self._on_event)
        return salvage(self._ground, self._vouchers, self.partials(), pointer, paths, progress.advance)

    def place(
        self,
        pointer: Pointer,
        part: Path,
        paths: Sequence[bytes],
        *,
        is_synced: bool = False,
        finish: Callable[[], None] | None = None,
    ) -> None:
        """Put the object in ``part``, which the caller has verified, to all ``paths``; ``part`` is gone then.

        ``is_synced``: the disk has it already. ``finish`` takes away the other name of a part that is moved from
        elsewhere, once it is in place.

        The first is a rename, the others are copies (never links: an edit would change them all).

        Raises:
            Conflicts: something stands there that is neither the pointer nor nothing.
            CannotWrite, DiskFull: this machine cannot.
        """
        self._ground.repo.check_place()
        free = self._placeable(pointer, paths)
        if not free:
            return
        first, seen = next(iter(free.items()))
        try:
            if not is_synced:
                sync_file(part)
            self._put(pointer, part, first, seen, finish)
        except OSError as error:
            raise refused(error, part, pointer.size) from error
        del free[first]
        self._copy_to(pointer, first, free)
        self._vouchers.keep(pointer, self.parts_dir)

    def copy(self, pointer: Pointer, paths: Sequence[bytes]) -> None:
        """Put an object that ``inventory`` has found at another path or in git-lfs's store to ``paths``, too.

        Raises as ``place`` does.
        """
        free = self._placeable(pointer, paths)
        if pointer.oid not in self._ground.objects and free:
            first = next(iter(free))
            self._take_stored(pointer, first, free.pop(first))
        if free:
            self._copy_to(pointer, self._ground.objects[pointer.oid], free)

    def store_bytes(self, pointer: Pointer) -> int:
        """Bytes of disk that git-lfs's store will take for the object."""
        return self._ground.store.needs(pointer)

    def set_aside(self, paths: Collection[bytes]) -> None:
        """Rename files of the user's at ``paths`` to free names beside them, take back what was staged, and say so."""
        if not paths:
            return
        ground, entries = self._ground, self._ground.side.entries
        theirs = frozenset((entry.mode, entry.oid) for entry in entries.values())
        way = Aside(ground.repo, ground.tree, ground.state, Staged.read(ground.repo), entries, theirs)
        for path, aside in way.move(paths):
            ground.aside.setdefault(path, aside)
            self._on_event(Warned("set-aside", {"path": show_path(path), "aside": show_path(aside)}))
        ground.note_staged(Staged.read(ground.repo))

    def kept(self) -> tuple[bytes, ...]:
        """Where the user's own stands in place of the commit's, once all is settled: see ``kept_files``."""
        return kept_files(self._ground, self.pin.commit)

    def restore(self, paths: Collection[bytes]) -> None:
        """Write files of git's own (not large ones) at ``paths`` as the commit has them, whatever stands there.

        Raises:
            CannotWrite, DiskFull: this machine cannot, or a directory that is not empty stands there.
        """
        state = self._ground.state
        index = state / "restore.index"
        entries = [self._ground.side.entries[path] for path in paths if path not in self._ground.side.pointers]
        if not entries:
            return
        index.unlink(missing_ok=True)
        self._ground.repo.update_index(index, self._ground.side.entries.values(), ())
        standing = {entry.path: self._ground.tree.look(entry.path) for entry in entries}
        stage(self._ground.repo, index, state / "co", entries)
        self._ground.fresh.update(place_staged(self._ground.tree, state / "co", entries, standing))
        index.unlink(missing_ok=True)

    def restore_modes(self, paths: Iterable[bytes]) -> None:
        """Give regular files at ``paths`` the executable bits that the commit says."""
        for path in paths:
            if self._ground.tree.look(path).kind is Kind.FILE:
                self._ground.tree.set_executable(path, FileMode(self._ground.side.entries[path].mode))

    def settle(self) -> None:
        """Tell git and our stamps what was placed. Cheap if that was nothing; may be called often.

        Directories are synced here, once each, before anything says that their files are in place. Until
        then a loss of power undoes renames at worst, and what was renamed is still found as a part.

        Raises:
            CheckoutBusy: a git command is changing the index just now.
            CheckoutMoved: the checkout is no longer here; nothing was written.
        """
        ground = self._ground
        ground.repo.check_place()
        self._sync_directories()
        if not ground.fresh and not ground.store.is_filled and self._books.are_as_noted(self._about):
            self._books.tell()
            return
        was_told = self._books.is_told()
        if not was_told or ground.store.is_filled:  # filling it may change how a file looks
            self._find_fresh()
        told = self._patch_index() if ground.fresh or not was_told else True
        if ground.store.is_filled:
            self._fill_store()
        ground.stamps.save(self.files())
        ground.fresh.clear()
        self._books.tell()
        if told and self._all_fit:
            self._books.write_note(self._about)

    # --- beneath -----------------------------------------------------------------------------

    @property
    def _about(self) -> str:
        """What a note of the books is worth nothing without: the commit, what was forgotten, git's rule for sizes."""
        return f"{self.pin.commit} {self._ground.stamps.is_dirty} {self._rule_of_sizes}"

    @cached_property
    def _rule_of_sizes(self) -> str:
        """Git's rule, where a size here is one that it is about."""
        concerned = any(pointer.size and not pointer.size % _SIZE_WORD for pointer in self.files().values())
        return self._size_rule.value if concerned else ""

    def _sync_directories(self) -> None:
        while self._unsynced:
            _, path = self._unsynced.popitem()
            try:
                self._ground.tree.sync_directory(path)
            except OSError as error:
                raise refused(error, show_path(path), folder=self.path) from error

    def _find_fresh(self) -> None:
        """Whatever is as its stamp has it, placed by us or not: the index may not know of it."""
        ground, self._all_fit = self._ground, True
        for path, pointer in self.files().items():
            stamp, told = ground.stamps.get(path), ground.fresh.get(path)
            if stamp is None:
                continue
            stat = told.stat if told is not None else ground.tree.look(path).stat
            if stat is not None and stamp.fits(pointer, stat):
                ground.fresh.setdefault(path, Fresh(ground.side.entries[path].oid, stat))
            elif told is not None:
                ground.stamps.forget(path)  # we have written something else there
            else:
                self._all_fit = False

    def _patch_index(self) -> bool:
        """Tell the index what is fresh; whether that could be done."""
        index = self._ground.repo.git_dir / "index"
        if isinstance(patch_index(index, self._ground.fresh, self._size_rule, self.access), Patched):
            return True
        self._ground.repo.write_plain_index()
        return isinstance(patch_index(index, self._ground.fresh, self._size_rule, self.access), Patched)

    @property
    def _size_rule(self) -> SizeRule:
        return SizeRule.MUNGED if self._ground.repo.git.version >= _MUNGING_GIT else SizeRule.ZERO

    def note_written(self, fresh: Mapping[bytes, Fresh]) -> None:
        """Files that git has just written, pointers too; ``settle`` tells the index."""
        entries = self._ground.side.entries
        ours = {path: one for path, one in fresh.items() if path in entries and entries[path].oid == one.oid}
        self._ground.fresh.update(ours)
        for path in ours.keys() & self.files().keys():
            self._ground.holds_text(path, ours[path].stat)

    def adopt_held(self) -> None:
        """Place objects that the move from another commit set aside; drop what is of no use, journals too."""
        wanted: dict[Oid, list[bytes]] = {}
        for path, pointer in self.files().items():
            if path not in self.left_alone() | self.staged():
                wanted.setdefault(pointer.oid, []).append(path)
        self._vouchers.tidy(wanted)
        held = held_objects(beside(self._ground.tree.root, self.state))
        progress = ByteCount(
            phrase("verifying"), sum(held[oid].stat().st_size for oid in held.keys() & wanted), self._on_event
        )
        for oid, part in held.items():
            if oid in wanted and sha256_of(part, progress.advance) == oid:
                with contextlib.suppress(Conflicts):
                    self.place(self.files()[wanted[oid][0]], part, wanted[oid])
            part.unlink(missing_ok=True)
        clear_beside(self._ground.tree.root, self.state)

    def _take_stored(self, pointer: Pointer, path: bytes, seen: Standing) -> None:
        target = self.parts_dir / f"{pointer.oid}.copy"
        progress = ByteCount(phrase("copying"), pointer.size, self._on_event)
        try:
            self._ground.store.take(pointer, target, progress.advance)
            self._put(pointer, target, path, seen)
        except OSError as error:
            raise refused(error, show_path(path), pointer.size, folder=self.parts_dir) from error
        finally:
            target.unlink(missing_ok=True)

    def _fill_store(self) -> None:
        """Have git-lfs's store hold all that is in place, too."""
        files, store = self.files(), self._ground.store
        lacking = [path for path in self._ground.objects.values() if not store.holds(files[path])]
        progress = ByteCount(
            phrase("copying-for-lfs"), sum(store.needs(files[path]) for path in lacking), self._on_event
        )
        for number, path in enumerate(lacking, start=1):
            self._keep(path, progress)
            if number % _TELL_EVERY == 0:
                self._on_event(Working(phrase("lfs-objects"), number, len(lacking)))

    def _keep(self, path: bytes, progress: ByteCount) -> None:
        """Have the object that is in place at ``path`` in git-lfs's store, too."""
        pointer, stat, stamp = self.files()[path], self._ground.tree.look(path).stat, self._ground.stamps.get(path)
        if stat is None or stamp is None or not stamp.fits(pointer, stat):
            return  # edited since
        try:
            self._ground.store.keep_placed(pointer, self._ground.tree, path, progress.advance)
        except OSError as error:
            raise refused(error, show_path(path), pointer.size, folder=self.path) from error

    def _placeable(self, pointer: Pointer, paths: Sequence[bytes]) -> dict[bytes, Standing]:
        """Those of ``paths`` that do not hold the object yet, and what stands there: nothing else may go for it."""
        free: dict[bytes, Standing] = {}
        conflicts: list[str] = []
        for path in paths:
            standing = self._ground.tree.look(path)
            stat = standing.stat
            stamp = self._ground.stamps.get(path)
            if standing.kind is Kind.ABSENT or self._ground.is_damaged(path, standing):
                free[path] = standing
            elif standing.kind is not Kind.FILE or stat is None:
                conflicts.append(show_path(path))
            elif stamp is not None and stamp.fits(pointer, stat):
                continue
            elif self._ground.has_text(path, stat) or (stat.st_size == 0 and pointer.size == 0):
                free[path] = standing
            else:
                conflicts.append(show_path(path))
        if conflicts:
            raise Conflicts(str(self.path), tuple(conflicts))
        return free

    def _put(
        self,
        pointer: Pointer,
        source: Path,
        path: bytes,
        seen: Standing,
        finish: Callable[[], None] | None = None,
    ) -> None:
        """Rename ``source`` to ``path`` with git's mode and a past mtime, and stamp it.

        ``seen`` stood there before the copying and syncing: what a user has saved there since stays.
        """
        found = os.lstat(source)
        if os.name == "posix":
            self._set_mode(source, found, path, is_ours=finish is not None or found.st_nlink == 1)
        settle_mtime(source, found)
        if self._ground.store.is_filled:
            self._ground.store.keep_part(pointer, source, self._kept.advance)
        stat = self._ground.tree.place(source, path, seen)
        if finish is not None:
            finish()
            stat = self._ground.tree.look(path).stat or stat  # a name less is a change to git
        self._unsynced[path.rpartition(b"/")[0]] = path
        self._ground.damaged.pop(path, None)
        self._ground.holds(path, pointer, stat)

    def _set_mode(self, source: Path, found: os.stat_result, path: bytes, *, is_ours: bool) -> None:
        """Give ``source`` the permissions that a new file at ``path`` has; what is somebody's as well keeps theirs.

        Raises ``OSError``, also where git would see another mode than the commit's.
        """
        entry = self._ground.side.entries[path]
        mode = with_mode(self._made_mode if is_ours else found.st_mode, FileMode(entry.mode))
        if S_IMODE(found.st_mode) == mode:
            return
        change_mode(source, mode)
        if not self._ground.repo.abilities.has_mode(os.lstat(source), entry.mode):
            raise PermissionError(errno.EPERM, phrase("no-such-mode", mode=entry.mode), str(source))

    @cached_property
    def _made_mode(self) -> int:
        return made_mode(self.state)

    def _copy_to(self, pointer: Pointer, source: bytes, paths: Mapping[bytes, Standing]) -> None:
        progress = ByteCount(phrase("copying"), pointer.size * len(paths), self._on_event)
        for path, seen in paths.items():
            target = self.parts_dir / f"{pointer.oid}.copy"
            try:
                descriptor = self._ground.tree.open_file(source)
                try:
                    clone_file(descriptor, target, progress.advance)
                finally:
                    os.close(descriptor)
                stat = self._ground.tree.look(source).stat
                if stat is None or not self._ground.stamps[source].fits(pointer, stat):
                    raise Conflicts(str(self.path), (show_path(source),))
                self._put(pointer, target, path, seen)
            except OSError as error:
                raise refused(error, show_path(path), pointer.size, folder=self.parts_dir) from error
            finally:
                target.unlink(missing_ok=True)
