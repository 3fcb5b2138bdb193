"""Moving a work tree from one commit to another by reconciliation, never by ``git checkout``.

Why so: ``git checkout`` overwrites ignored files, and a kill in its middle leaves a tree that it
calls the user's changes. Here every path that differs is first looked at: it must hold what the old
commit or the new one has there, or nothing; anything else is a user's, and then nothing is touched.
A journal says from where to where, HEAD moves last, and so any kill is mended by doing it again.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from hfclone.checkout.aside import Aside
from hfclone.checkout.beside import beside, clear_beside
from hfclone.checkout.looking import as_git_has_it, blob_id_of, digest_of, holds_pointer
from hfclone.checkout.replacing import Replacement
from hfclone.checkout.staging import place_staged, stage
from hfclone.checkout.stamps import Stamps
from hfclone.errors import Conflicts, HfcloneError
from hfclone.files.access import UMASK, Access
from hfclone.files.ondisk import write_safely
from hfclone.files.refusals import refused
from hfclone.git import GitRepo, IndexFlag, Staged, TreeEntry, pointers_among
from hfclone.git.index import Fresh, IndexLock, index_lock
from hfclone.lock.model import LINK_MODE, SUBMODULE_MODE
from hfclone.paths import show_path
from hfclone.pointer import Oid, Pointer
from hfclone.worktree import FileMode, Kind, Standing, WorkTree

__all__ = ["Journal", "Move", "Side", "Unfinished", "held_objects", "read_side"]


class _Verdict(Enum):
    DONE = "done"
    REPLACE = "replace"
    CONFLICT = "conflict"


@dataclass(frozen=True, slots=True)
class Side:
    """One commit: its entries and its pointers by path."""

    entries: Mapping[bytes, TreeEntry]
    pointers: Mapping[bytes, Pointer]


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A move that was begun, from one commit (empty: from nothing) to another, while HEAD was at ``head``."""

    before: str
    after: str
    head: str

    def is_from(self, head: str) -> bool:
        """Whether it is what left the work tree as it is; not where git itself has gone elsewhere since."""
        return head in (self.head, self.after)


@dataclass(frozen=True, slots=True)
class Journal:
    """The file that says which move is under way."""

    file: Path
    access: Access = UMASK

    def read(self) -> Unfinished | None:
        """The move that has not been finished; ``None`` if none is under way."""
        try:
            said = json.loads(self.file.read_bytes())
        except (OSError, ValueError):
            return None
        if not isinstance(said, dict) or said.get("version") != 1:
            return None
        before = str(said["from"])
        return Unfinished(before, str(said["to"]), str(said.get("head", before)))

    def write(self, move: Unfinished) -> None:
        """Begin a move."""
        said = {"version": 1, "from": move.before, "to": move.after, "head": move.head}
        write_safely(self.file, json.dumps(said).encode(), access=self.access)

    def drop(self) -> None:
        """End it."""
        self.file.unlink(missing_ok=True)


def read_side(repo: GitRepo, commit: str) -> Side:
    """Read a commit's entries and pointers; an empty ``commit`` has none."""
    if not commit:
        return Side({}, {})
    entries = repo.tree_entries(commit)
    return Side({entry.path: entry for entry in entries}, pointers_among(repo, entries)[0])


@dataclass(slots=True)
class Move:
    """One move. ``state`` is a directory of ours on the tree's file system.

    Use: ``judge`` (reads only), then ``apply``.
    """

    repo: GitRepo
    tree: WorkTree
    stamps: Stamps
    state: Path
    before: Side
    after: Side
    staged: Staged
    on_bytes: Callable[[int], None]
    """Hears how many bytes more were read of large files that no stamp knows."""
    _standing: dict[bytes, Standing] = field(default_factory=dict)
    _changed: Collection[bytes] = ()
    """Paths that the commits do not have alike."""
    _doubtful: list[bytes] = field(default_factory=list)
    _contents: dict[bytes, Pointer] = field(default_factory=dict)
    """Paths that hold an object of the old commit."""
    _submodules: list[bytes] = field(default_factory=list)
    """Submodules whose directory is there, perhaps of files that go: it may go with them."""
    _bits: list[bytes] = field(default_factory=list)
    """Paths that are right but for the executable bit."""
    _held: set[Oid] = field(default_factory=set)
    """Objects of the old commit that wait for another path."""
    _outside: Collection[bytes] = ()
    """Paths that are new with this commit and outside of the user's sparse checkout."""
    fresh: dict[bytes, Fresh] = field(default_factory=dict)
    """Files of git's own that were written."""
    is_as_before: bool = True
    """Whether ``apply`` has touched nothing, or has failed and left all as it was."""

    def judge(self) -> list[bytes]:
        """Look at everything that differs; returns all paths that hold what is neither commit's, sorted."""
        verdicts = {path: self._judge(path) for path in self._differing()}
        for path in self._settle_doubts():
            verdicts[path] = _Verdict.REPLACE
        conflicts = {path for path, verdict in verdicts.items() if verdict is _Verdict.CONFLICT}
        conflicts.update(self._staged_conflicts(self.staged))
        self._standing = {p: s for p, s in self._standing.items() if verdicts.get(p) is _Verdict.REPLACE}
        return sorted(conflicts)

    def set_aside(self, conflicts: Iterable[bytes]) -> list[tuple[bytes, bytes]]:
        """Rename what is in the way at ``conflicts``; returns from where to where: see ``Aside``."""
        known = frozenset((e.mode, e.oid) for side in (self.before, self.after) for e in side.entries.values())
        return Aside(self.repo, self.tree, self.state, self.staged, self.before.entries, known).move(conflicts)

    @property
    def is_nothing(self) -> bool:
        """Whether no file has to be touched."""
        return not self._standing and not self._bits

    def apply(self, commit: str, set_refs: Callable[[], None]) -> None:
        """Make the tree and the index those of ``commit``, then ``set_refs``; if anything fails, all is as before.

        Git's lock of the index is held to the end: what a user stages meanwhile is refused by git.

        Raises:
            CheckoutBusy, Conflicts: a git command runs, or has staged something since ``judge``. Nothing was touched.
            CannotWrite, DiskFull, GitFailed: this machine cannot.
        """
        with index_lock(self.repo.git_dir / "index", self.repo.access) as lock:
            conflicts = sorted(self._staged_conflicts(Staged.read(self.repo)))
            if conflicts:
                raise Conflicts(str(self.repo.path), tuple(map(show_path, conflicts)))
            index = self._make_index(commit)
            entries = [self.after.entries[path] for path in self._standing if path in self.after.entries]
            stage(self.repo, index, self._staging, entries)
            self._flag(index)
            replacement = Replacement(self.tree, self._beside / "replaced")
            former = _second_name(lock.index, self.state / "index.before")
            self.is_as_before = False
            try:
                self._take_out(replacement)
                _replace(lock, index)
                self._put_in(replacement, entries)
                set_refs()
            except BaseException:
                self._revert(replacement, lock, former, commit)
                raise
            former.unlink(missing_ok=True)
            replacement.keep()

    # --- looking -----------------------------------------------------------------------------

    def _differing(self) -> list[bytes]:
        """Paths that change, and those that do not but are gone from the tree."""
        old, new = self.before.entries, self.after.entries
        self._changed = [path for path in {**old, **new} if old.get(path) != new.get(path)]
        for path in self._changed:
            self._standing[path] = self.tree.look(path)
        users = self.staged.changed(old, new)
        for path in self.tree.absent(path for path, entry in new.items() if old.get(path) == entry):
            if path not in users:
                self._standing[path] = Standing(Kind.ABSENT)
        self._outside = self._outside_sparse()
        left_out = self._outside | self.staged.skipped()
        return [path for path, seen in self._standing.items() if seen.kind is not Kind.ABSENT or path not in left_out]

    def _outside_sparse(self) -> set[bytes]:
        """Paths that git would not write into the user's sparse checkout, of those that its index does not have yet."""
        new = [entry for path, entry in self.after.entries.items() if path not in self.staged.entries]
        users = self.staged.changed(self.before.entries, self.after.entries)
        return self.repo.outside_sparse([entry for entry in new if entry.path not in users], self._staging)

    def _judge(self, path: bytes) -> _Verdict:
        standing = self._standing[path]
        old, new = self.before.entries.get(path), self.after.entries.get(path)
        match standing.kind:
            case Kind.ABSENT:
                return _Verdict.REPLACE
            case Kind.BLOCKED if new is None:
                return _Verdict.DONE
            case Kind.BLOCKED:
                return _Verdict.REPLACE if self._is_under_removed(path) else _Verdict.CONFLICT
            case Kind.DIRECTORY:
                return self._judge_directory(path, old, new)
            case Kind.LINK | Kind.FILE:
                if new is not None and self._is_entry(path, standing, new, self.after):
                    if standing.stat is not None and not self._has_bits(standing.stat, new):
                        self._bits.append(path)
                    return _Verdict.DONE
                if old is not None and self._is_entry(path, standing, old, self.before):
                    return _Verdict.REPLACE
                if standing.kind is Kind.FILE:
                    self._doubtful.append(path)
        return _Verdict.CONFLICT

    def _is_under_removed(self, path: bytes) -> bool:
        while b"/" in path:
            path = path.rpartition(b"/")[0]
            if path in self.before.entries and path not in self.after.entries:
                return True
        return False

    def _judge_directory(self, path: bytes, old: TreeEntry | None, new: TreeEntry | None) -> _Verdict:
        if new is not None and new.mode == SUBMODULE_MODE:
            self._submodules.append(path)
            return _Verdict.DONE
        below = self.tree.list_files(path)
        if old is not None and old.mode == SUBMODULE_MODE:
            # As git does it: what a user put into a submodule stays, unless a file has to go there.
            return _Verdict.REPLACE if not below else (_Verdict.DONE if new is None else _Verdict.CONFLICT)
        if new is None:
            return _Verdict.DONE  # what was to be removed there has gone already
        ours = all(one in self.before.entries and one not in self.after.entries for one in below)
        return _Verdict.REPLACE if ours else _Verdict.CONFLICT

    def _is_entry(self, path: bytes, standing: Standing, entry: TreeEntry, side: Side) -> bool:
        """Whether the file or link at ``path`` is ``entry``: its blob, its pointer's text or its object."""
        assert standing.stat is not None  # a file or a link stands there
        size = standing.stat.st_size
        if standing.kind is Kind.LINK:
            if entry.mode != LINK_MODE:
                return False
            return self.repo.write_blob(self.tree.read_link(path)) == entry.oid
        if not self.repo.abilities.can_be(standing.kind, entry.mode):
            return False
        pointer = side.pointers.get(path)
        if pointer is None:
            return blob_id_of(self.tree, path, size) == entry.oid
        if size == pointer.size and self._is_object(path, pointer, standing.stat):
            self._contents[path] = pointer
            return True
        return holds_pointer(self.tree, path, size, pointer)

    def _has_bits(self, stat: os.stat_result, entry: TreeEntry) -> bool:
        return not entry.is_file or self.repo.abilities.has_mode(stat, entry.mode)

    def _is_object(self, path: bytes, pointer: Pointer, stat: os.stat_result) -> bool:
        stamp = self.stamps.get(path)
        if stamp is not None and stamp.fits(pointer, stat):
            return True
        return digest_of(self.tree, path, self.on_bytes) == pointer.oid

    def _settle_doubts(self) -> set[bytes]:
        """Paths whose bytes are no blob's, but are what git has made of one (line ends, ``ident``)."""
        found: set[bytes] = set()
        for side in (self.before, self.after):
            doubtful = [e for p in self._doubtful if (e := side.entries.get(p)) and e.is_file]
            found |= as_git_has_it(self.repo, self.tree, doubtful, side.entries.values(), self.state)
        return found

    def _staged_conflicts(self, staged: Staged) -> Iterable[bytes]:
        """What the user staged that is in the way, also where nothing stands or may be written."""
        return staged.conflicts(self._changed, self.before.entries, self.after.entries)

    # --- touching ----------------------------------------------------------------------------

    @property
    def _beside(self) -> Path:
        return beside(self.tree.root, self.state)

    @property
    def _staging(self) -> Path:
        """Where git writes files before they are renamed to their places."""
        return self.state / "co"

    def _make_index(self, commit: str) -> Path:
        """An index with the new commit's entries, which keeps what git knows of all others."""
        new, now = self.state / "index", self.repo.git_dir / "index"
        try:
            new.unlink(missing_ok=True)
            if now.exists():
                shutil.copyfile(now, new)
        except OSError as error:
            raise refused(error, new) from error
        old_entries, entries = self.before.entries, self.after.entries
        changed = [entry for path, entry in entries.items() if old_entries.get(path) != entry]
        gone = [path for path in old_entries if path not in entries]
        if not new.exists():
            self.repo.read_tree(commit, new)
        elif changed or gone:
            self.repo.update_index(new, changed, gone)
        return new

    def _flag(self, index: Path) -> None:
        """Have git leave alone what it was told to, also where the entry is a new one."""
        old, new, there = self.before.entries, self.after.entries, self.staged.entries
        again = [path for path in new if path in there and old.get(path) != new[path]]
        assumed = [path for path in again if there[path].assume_unchanged]
        skipped = [path for path in again if there[path].skip_worktree]
        self.repo.set_flag(index, IndexFlag.ASSUME_UNCHANGED, assumed)
        self.repo.set_flag(index, IndexFlag.SKIP_WORKTREE, [*skipped, *self._outside])

    def _take_out(self, replacement: Replacement) -> None:
        """Move what stands in the way; objects that the new commit has at other paths are held for these."""
        removed = [path for path in self._standing if path not in self.after.entries]
        needed = {pointer.oid for pointer in self.after.pointers.values()}
        objects = {path: self._contents[path] for path in self._standing if path in self._contents}
        held = {p for p, one in objects.items() if one.oid in needed and self.before.pointers.get(p) == one}
        for path in held:
            replacement.take(path, self._standing[path], self._holding_place(objects[path]))
        for path in removed:
            if path in held:
                self.tree.prune(path)
            else:
                replacement.remove(path, self._standing[path])
        for path in self._standing.keys() - held - set(removed):
            seen = self._standing[path]
            if seen.kind not in (Kind.DIRECTORY, Kind.BLOCKED):
                replacement.take(path, seen)
            elif (now := self.tree.look(path)).kind is Kind.DIRECTORY:
                # What stood below it, or in the way to the path, has been removed; a file there is a user's, and new.
                replacement.take(path, now)

    def _put_in(self, replacement: Replacement, entries: Sequence[TreeEntry]) -> None:
        """Rename the new files to their places, where nothing stands any more: what does is a user's, and new."""
        standing = {entry.path: Standing(Kind.ABSENT) for entry in entries}
        self.fresh.update(place_staged(replacement, self._staging, entries, standing))
        for path in self._submodules:
            replacement.make_directory(path)
        for path in self._bits:
            replacement.set_executable(path, FileMode(self.after.entries[path].mode))

    def _revert(self, replacement: Replacement, lock: IndexLock, former: Path, commit: str) -> None:
        """Leave all as it was; what cannot be put back is mended when the move is made again."""
        if not self.before.entries or self.before.entries == self.after.entries:
            return  # there was nothing before, or it is only to be finished
        with contextlib.suppress(OSError, HfcloneError):
            if self.repo.resolve("HEAD") == commit:
                return  # refs come last: it is whole
            is_reverted = replacement.revert()
            if former.exists():
                lock.replace(former)
            else:
                lock.index.unlink(missing_ok=True)
            self.is_as_before = is_reverted
            if is_reverted:
                clear_beside(self.tree.root, self.state)

    def _holding_place(self, pointer: Pointer) -> Path | None:
        """Where an object waits for its new path; ``None`` if one like it does already."""
        if pointer.oid in self._held:
            return None
        self._held.add(pointer.oid)
        held = self._beside / "held"
        try:
            self.repo.access.make_folder(held)
        except OSError as error:
            raise refused(error, held) from error
        return held / pointer.oid


def _second_name(file: Path, name: Path) -> Path:
    """``name``, by which ``file`` can still be had when it has been replaced; not there where ``file`` is not."""
    try:
        name.unlink(missing_ok=True)
        if file.exists():
            try:
                os.link(file, name)
            except OSError:  # not every file system has links
                shutil.copyfile(file, name)
    except OSError as error:
        raise refused(error, name) from error
    return name


def _replace(lock: IndexLock, index: Path) -> None:
    try:
        lock.replace(index)
    except OSError as error:
        raise refused(error, lock.index) from error


def held_objects(folder: Path) -> dict[Oid, Path]:
    """Objects that a move set aside in ``folder`` (see ``beside``) and has not yet placed."""
    held = folder / "held"
    return {Oid(path.name): path for path in held.iterdir()} if held.is_dir() else {}
