"""Moving a work tree from one commit to another by reconciliation, never by ``git checkout``.

Why so: ``git checkout`` overwrites ignored files, and a kill in its middle leaves a tree that it
calls the user's changes. Here every path that differs is first looked at: it must hold what the old
commit or the new one has there, or nothing; anything else is a user's, and then nothing is touched.
A journal says from where to where, HEAD moves last, and so any kill is mended by doing it again.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from hfclone.checkout.staging import put_files, stage
from hfclone.errors import Conflicts
from hfclone.git import GitRepo, TreeEntry, pointers_among
from hfclone.gitindex import Fresh, IndexLock, index_lock
from hfclone.hashing import sha256_of
from hfclone.locked import LINK_MODE, SUBMODULE_MODE
from hfclone.looking import blob_id_of, digest_of, holds_pointer
from hfclone.ondisk import write_safely
from hfclone.pointer import Oid, Pointer
from hfclone.refusals import refused
from hfclone.stamps import Stamps
from hfclone.treepaths import show_path
from hfclone.worktree import FileMode, Kind, Standing, WorkTree

__all__ = ["Journal", "Move", "Side", "held_objects", "read_side"]


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
class Journal:
    """The file that says which move is under way."""

    file: Path

    def read(self) -> str | None:
        """The commit that an unfinished move comes from: empty for none; ``None`` if no move is under way."""
        try:
            said = json.loads(self.file.read_bytes())
        except (OSError, ValueError):
            return None
        return str(said["from"]) if isinstance(said, dict) and said.get("version") == 1 else None

    def write(self, before: str, after: str) -> None:
        """Begin a move."""
        write_safely(self.file, json.dumps({"version": 1, "from": before, "to": after}).encode())

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
    on_bytes: Callable[[int], None]
    """Hears how many bytes more were read of large files that no stamp knows."""
    _standing: dict[bytes, Standing] = field(default_factory=dict)
    _judged: Collection[bytes] = ()
    """Paths that were looked at."""
    _doubtful: list[bytes] = field(default_factory=list)
    _contents: dict[bytes, Pointer] = field(default_factory=dict)
    """Paths that hold an object of the old commit."""
    _bits: list[bytes] = field(default_factory=list)
    """Paths that are right but for the executable bit."""
    fresh: dict[bytes, Fresh] = field(default_factory=dict)
    """Files of git's own that were written."""

    def judge(self) -> list[bytes]:
        """Look at everything that differs; returns all paths that hold what is neither commit's, sorted."""
        verdicts = {path: self._judge(path) for path in self._differing()}
        for path in self._settle_doubts():
            verdicts[path] = _Verdict.REPLACE
        conflicts = {path for path, verdict in verdicts.items() if verdict is _Verdict.CONFLICT}
        self._judged = verdicts.keys()
        conflicts |= self._staged_conflicts(self._judged)
        self._standing = {p: s for p, s in self._standing.items() if verdicts.get(p) is _Verdict.REPLACE}
        return sorted(conflicts)

    def set_aside(self, conflicts: Iterable[bytes]) -> list[tuple[bytes, bytes]]:
        """Rename what is in the way at ``conflicts``; returns from where to where. What was staged becomes a file."""
        moved: list[tuple[bytes, bytes]] = []
        staged = self.repo.staged() if (self.repo.git_dir / "index").exists() else {}
        known = {(e.mode, e.oid) for side in (self.before, self.after) for e in side.entries.values()}
        for path in conflicts:
            blocked = self._blocking(path)
            kind = self.tree.look(blocked).kind
            if kind is not Kind.ABSENT:
                moved.append((blocked, self.tree.set_aside(blocked)))
            there = staged.get(path)
            if there is not None and there[0].startswith("100") and there not in known:
                moved += self._write_staged(path, there[1], dict(moved).get(path))
        old = self.before.entries
        again = [path for path in conflicts if path in staged]
        index = self.repo.git_dir / "index"
        self.repo.update_index(index, [old[p] for p in again if p in old], [p for p in again if p not in old])
        return moved

    def _blocking(self, path: bytes) -> bytes:
        """``path``, or what stands where a directory on the way to it should be."""
        while self.tree.look(path).kind is Kind.BLOCKED:
            path = path.rpartition(b"/")[0]
        return path

    def _write_staged(self, path: bytes, oid: str, aside: bytes | None) -> list[tuple[bytes, bytes]]:
        """Make a file of what the user staged at ``path``, unless that is what has just been set ``aside``."""
        stat = self.tree.look(aside).stat if aside else None
        if aside and stat is not None and blob_id_of(self.tree, aside, stat.st_size) == oid:
            return []
        staged = self.state / "staged"
        staged.write_bytes(next(iter(self.repo.read_blobs([oid])))[1])
        self.tree.place(staged, path, self.tree.look(path))
        return [(path, self.tree.set_aside(path))]

    @property
    def is_nothing(self) -> bool:
        """Whether no file has to be touched."""
        return not self._standing and not self._bits

    def apply(self, commit: str) -> None:
        """Make the tree and the index those of ``commit``; files first, the index at once, no ref.

        Git's lock of the index is held until that has been written: what a user stages meanwhile is refused by git.

        Raises:
            CheckoutBusy, Conflicts: a git command runs, or has staged something since ``judge``. Nothing was touched.
            CannotWrite, DiskFull: this machine cannot; the move goes on when it is made again.
        """
        with index_lock(self.repo.git_dir / "index") as lock:
            staged = self._staged_conflicts(self._judged)
            if staged:
                raise Conflicts(str(self.repo.path), tuple(map(show_path, sorted(staged))))
            self._keep_needed()
            for path, standing in self._standing.items():
                if path not in self.after.entries:
                    self.tree.remove(path, standing)
            self._write_index(commit, lock)
        self._write_files()
        for path in self._bits:
            self.tree.set_executable(path, FileMode(self.after.entries[path].mode))

    # --- looking -----------------------------------------------------------------------------

    def _differing(self) -> list[bytes]:
        """Paths that change, and those that do not but are gone from the tree."""
        old, new = self.before.entries, self.after.entries
        changed = [path for path in {**old, **new} if old.get(path) != new.get(path)]
        for path in changed:
            self._standing[path] = self.tree.look(path)
        for path in self.tree.absent(path for path, entry in new.items() if old.get(path) == entry):
            self._standing[path] = Standing(Kind.ABSENT)
        return list(self._standing)

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
                    if os.name == "posix" and standing.stat is not None and not _same_bits(standing.stat, new):
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
            return _Verdict.DONE
        below = self.tree.list_files(path)
        if old is not None and old.mode == SUBMODULE_MODE:
            # As git does it: what a user put into a submodule stays, unless a file has to go there.
            return _Verdict.REPLACE if not below else (_Verdict.DONE if new is None else _Verdict.CONFLICT)
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
        if not entry.is_file:
            return False
        pointer = side.pointers.get(path)
        if pointer is None:
            return blob_id_of(self.tree, path, size) == entry.oid
        if size == pointer.size and self._is_object(path, pointer, standing.stat):
            self._contents[path] = pointer
            return True
        return holds_pointer(self.tree, path, size, pointer)

    def _is_object(self, path: bytes, pointer: Pointer, stat: os.stat_result) -> bool:
        stamp = self.stamps.get(path)
        if stamp is not None and stamp.fits(pointer, stat):
            return True
        return digest_of(self.tree, path, self.on_bytes) == pointer.oid

    def _settle_doubts(self) -> list[bytes]:
        """Paths whose bytes are no blob's, but are what git writes for one (line ends, ``ident``)."""
        found: list[bytes] = []
        for number, side in enumerate((self.before, self.after)):
            paths = [p for p in self._doubtful if p in side.entries and side.entries[p].is_file]
            if not paths:
                continue
            staging = self.state / f"compare{number}"
            index = self.state / "compare.index"
            index.unlink(missing_ok=True)
            self.repo.update_index(index, side.entries.values(), ())
            stage(self.repo, index, staging, paths)
            for path in paths:
                staged = staging / os.fsdecode(path)
                if staged.is_file() and digest_of(self.tree, path) == sha256_of(staged):
                    found.append(path)
            shutil.rmtree(staging, ignore_errors=True)
            index.unlink(missing_ok=True)
        return found

    def _staged_conflicts(self, paths: Collection[bytes]) -> set[bytes]:
        """Those of ``paths`` for which the user staged something that is neither commit's."""
        if not paths or not (self.repo.git_dir / "index").exists():
            return set()
        staged = self.repo.staged()
        found: set[bytes] = set()
        for path in paths:
            there = staged.get(path)
            if there is None:
                continue
            known = [(e.mode, e.oid) for side in (self.before, self.after) if (e := side.entries.get(path))]
            if there not in known:
                found.add(path)
        return found

    # --- touching ----------------------------------------------------------------------------

    def _keep_needed(self) -> None:
        """Move objects that the new commit has at other paths out of the way of what follows."""
        needed = {pointer.oid for pointer in self.after.pointers.values()}
        for path, pointer in self._contents.items():
            if path in self._standing and pointer.oid in needed and self.before.pointers.get(path) == pointer:
                held = self.state / "held"
                held.mkdir(mode=0o700, exist_ok=True)
                self.tree.take(path, held / pointer.oid, self._standing[path])
                self._standing[path] = self.tree.look(path)

    def _write_index(self, commit: str, lock: IndexLock) -> None:
        """Put the new entries into the index, keeping what git knows of all others."""
        new = self.state / "index"
        try:
            new.unlink(missing_ok=True)
            if lock.index.exists():
                shutil.copyfile(lock.index, new)
                old_entries, entries = self.before.entries, self.after.entries
                changed = [entry for path, entry in entries.items() if old_entries.get(path) != entry]
                self.repo.update_index(new, changed, [path for path in old_entries if path not in entries])
            else:
                self.repo.read_tree(commit, new)
            lock.replace(new)
        except OSError as error:
            raise refused(error, lock.index) from error

    def _write_files(self) -> None:
        entries = [self.after.entries[path] for path in self._standing if path in self.after.entries]
        index = self.repo.git_dir / "index"
        self.fresh.update(put_files(self.repo, self.tree, index, self.state / "co", entries, self._standing))


def _same_bits(stat: os.stat_result, entry: TreeEntry) -> bool:
    return not entry.is_file or FileMode.of(stat).value == entry.mode


def held_objects(state: Path) -> dict[Oid, Path]:
    """Objects that a move set aside and has not yet placed."""
    held = state / "held"
    return {Oid(path.name): path for path in held.iterdir()} if held.is_dir() else {}
