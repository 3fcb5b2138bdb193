"""What git's index has that no commit has: what the user staged, and what git was told to leave alone.

The rule for going from one commit to another is git's own (git-read-tree(1), "Two Tree Merge"): a path that both
commits have alike keeps whatever the index says of it; of a path that changes, the index must have what one of the
commits has, or the user's work is in the way.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from hfclone.errors import GitFailed
from hfclone.git.index import Wholeness, wholeness_of
from hfclone.git.plumbing import GitRepo, StagedEntry, TreeEntry

__all__ = ["Staged"]

_Entries = Mapping[bytes, TreeEntry]


@dataclass(frozen=True, slots=True)
class Staged:
    """An index as it was when it was read; ``has_index`` is false where git has not written one yet."""

    entries: Mapping[bytes, StagedEntry] = field(default_factory=dict)
    has_index: bool = False

    @classmethod
    def read(cls, repo: GitRepo) -> Staged:
        """That of ``repo``; one that a crash has torn, or that cannot be read, is as good as none."""
        index = repo.git_dir / "index"
        if not index.exists() or wholeness_of(index) is Wholeness.TORN:
            return cls()
        try:
            return cls(repo.staged(), has_index=True)
        except GitFailed:
            return cls()

    def is_skipped(self, path: bytes) -> bool:
        """Whether git neither writes nor reads it: it is outside of a sparse checkout, or marked by hand."""
        there = self.entries.get(path)
        return there is not None and there.skip_worktree

    def is_changed(self, path: bytes, mode: str, oid: str) -> bool:
        """Whether the user staged something else for a path than the commit's ``mode`` and ``oid``, or its removal."""
        there = self.entries.get(path)
        return self.has_index and (there is None or (there.mode, there.oid) != (mode, oid))

    def skipped(self) -> frozenset[bytes]:
        """All paths that are skipped."""
        return frozenset(path for path, entry in self.entries.items() if entry.skip_worktree)

    def unwatched(self) -> frozenset[bytes]:
        """Paths at which git overlooks an edit, since it was told not to look."""
        return frozenset(path for path, entry in self.entries.items() if entry.skip_worktree or entry.assume_unchanged)

    def removed(self, commit: Iterable[bytes]) -> frozenset[bytes]:
        """Those paths of a commit that the user has removed from the index (``git rm``, ``git mv``)."""
        return frozenset(path for path in commit if self.has_index and path not in self.entries)

    def changed(self, before: _Entries, after: _Entries) -> frozenset[bytes]:
        """Paths that two commits have alike, and at which the user staged something else: an edit, a removal."""
        alike = (entry for path, entry in after.items() if before.get(path) == entry)
        return frozenset(entry.path for entry in alike if self.is_changed(entry.path, entry.mode, entry.oid))

    def conflicts(self, paths: Collection[bytes], before: _Entries, after: _Entries) -> Iterator[bytes]:
        """Where the user staged something that is in the way of a move; ``paths`` are all that change with it."""
        if not self.has_index:
            return
        for path in paths:
            old, new = before.get(path), after.get(path)
            if path not in self.entries:
                if old is not None and new is not None:
                    yield path  # removed by the user, edited by the repo
            elif all(entry is None or self.is_changed(path, entry.mode, entry.oid) for entry in (old, new)):
                yield path
        coming = {path for path in paths if path in after and path not in before}
        yield from self._beside(coming, self.entries.keys() - before.keys() - after.keys() if coming else ())

    def _beside(self, coming: Collection[bytes], added: Collection[bytes]) -> Iterator[bytes]:
        """What the user ``added`` where a directory is ``coming``, or below what is coming as a file."""
        folders = {parent for path in coming for parent in _parents(path)} if added else ()
        yield from (path for path in added if path in folders or any(one in coming for one in _parents(path)))


def _parents(path: bytes) -> Iterator[bytes]:
    while b"/" in path:
        path = path.rpartition(b"/")[0]
        yield path
