"""Moving a user's work aside, so that the commit's files can have its place: nothing of it is lost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from hfclone.checkout.looking import blob_id_of
from hfclone.git import GitRepo, Staged, TreeEntry
from hfclone.worktree import Kind, WorkTree

__all__ = ["Aside"]


@dataclass(frozen=True, slots=True)
class Aside:
    """Moves what stands at a path to a free name beside it, and takes back what was staged there.

    ``commit`` is what the index is to have then; ``theirs`` are all entries (mode, git id) that came from the repo.
    """

    repo: GitRepo
    tree: WorkTree
    state: Path
    staged: Staged
    commit: Mapping[bytes, TreeEntry]
    theirs: frozenset[tuple[str, str]]

    def move(self, paths: Iterable[bytes]) -> list[tuple[bytes, bytes]]:
        """From where to where. What was staged and stands nowhere becomes a file, too."""
        moved: list[tuple[bytes, bytes]] = []
        unstaged: list[bytes] = []
        for path in paths:
            blocked = self._blocking(path)
            if self.tree.look(blocked).kind is not Kind.ABSENT:
                moved.append((blocked, self.tree.set_aside(blocked)))
            there, entry = self.staged.entries.get(path), self.commit.get(path)
            if there is not None and there.mode.startswith("100") and (there.mode, there.oid) not in self.theirs:
                moved += self._write_staged(path, there.oid, dict(moved).get(path))
            if self.staged.has_index and (None if there is None else (there.mode, there.oid)) != _id_of(entry):
                unstaged.append(path)
        if unstaged:
            there_now = [self.commit[path] for path in unstaged if path in self.commit]
            gone = [path for path in unstaged if path not in self.commit]
            self.repo.update_index(self.repo.git_dir / "index", there_now, gone)
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


def _id_of(entry: TreeEntry | None) -> tuple[str, str] | None:
    return None if entry is None else (entry.mode, entry.oid)
