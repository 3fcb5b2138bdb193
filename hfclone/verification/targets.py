"""What must be at each path of a checkout, by its own commit or by a lock, and what can be wrong there.

Either is proven from the commit's 40 digits: trees' and pointers' git ids are computed anew, and only
then believed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from hfclone.checkout.existing import Existing
from hfclone.errors import GitFailed
from hfclone.git import GitRepo, pointers_among
from hfclone.lock.model import LockedRepo, git_id, tree_of_commit
from hfclone.pointer import MAX_POINTER_BYTES, Pointer
from hfclone.wording import phrase

__all__ = ["Finding", "Problem", "TargetFile", "committed_targets", "locked_targets"]


class Problem(Enum):
    """What is wrong with a file."""

    MISSING = "missing"
    POINTER = "pointer"
    """The object was not fetched: its pointer stands there."""
    DAMAGED = "damaged"
    """Other bytes than were written there, under the mtime of that time: nobody edited it."""
    CHANGED = "changed"
    """Other bytes: somebody edited it."""
    REMOVED = "removed"
    """Not there, and what the user staged is not the commit's either: a removal, a rename."""
    KIND = "kind"
    """A link in place of a file, a directory, or the like."""
    MODE = "mode"
    EXTRA = "extra"
    """Nobody's: neither of the commit, nor ignored."""
    UNREADABLE = "unreadable"
    COMMIT = "commit"
    """HEAD is another commit than the lock's."""
    GIT = "git"
    """Git's own objects are missing or wrong."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong; ``expected`` and ``found`` are ids, modes or words, empty where that says nothing."""

    path: bytes
    problem: Problem
    expected: str = ""
    found: str = ""


@dataclass(frozen=True, slots=True)
class TargetFile:
    """What must be at a path: git's blob ``oid``, or the object that it points to. ``sha256`` where it is known."""

    path: bytes
    mode: str
    oid: str
    pointer: Pointer | None = None
    sha256: str = ""
    selected: bool = True


def locked_targets(locked: LockedRepo) -> list[TargetFile]:
    """A lock is proven when it is read."""
    return [
        TargetFile(file.path, file.mode, file.oid, file.pointer, file.sha256, file.selected) for file in locked.files
    ]


def committed_targets(here: Existing, flaws: list[Finding]) -> list[TargetFile]:
    """What HEAD holds, as far as git's objects are sound; ``flaws`` hears where they are not."""
    try:
        flaws += _unsound(here.repo, here.commit)
        entries = here.repo.tree_entries(here.commit)
        pointers, bad = pointers_among(here.repo, entries)
        missing = here.repo.missing_blobs(here.commit)
    except GitFailed as error:
        flaws.append(Finding(b".git", Problem.GIT, here.commit, error.stderr))
        return []
    flaws += [Finding(_object_path(oid), Problem.GIT, oid, phrase("object-of-git-missing")) for oid in missing]
    flaws += [Finding(path, Problem.GIT, phrase("a-pointer"), error.reason) for path, error in bad.items()]
    return [TargetFile(entry.path, entry.mode, entry.oid, pointers.get(entry.path)) for entry in entries]


def _unsound(repo: GitRepo, commit: str) -> Iterator[Finding]:
    """The commit, its trees and its small blobs (pointers among them), each against its own id."""
    raw = repo.run("cat-file", "commit", commit)
    yield from _compared("commit", commit, raw)
    root = tree_of_commit(raw)
    listed = repo.run("ls-tree", "-r", "-t", "-z", "--full-tree", commit).split(b"\0")[:-1]
    rows = [row.partition(b"\t")[0].decode("ascii").split(" ") for row in listed]
    trees = dict.fromkeys([root, *(oid for _mode, kind, oid in rows if kind == "tree")])
    for oid, data in repo.read_blobs(list(trees)):
        yield from _compared("tree", oid, data)
    sizes = repo.blob_sizes(oid for _mode, kind, oid in rows if kind == "blob")
    small = [oid for oid, size in sizes.items() if size is not None and size < MAX_POINTER_BYTES]
    for oid, data in repo.read_blobs(small):
        yield from _compared("blob", oid, data)


def _compared(kind: str, oid: str, data: bytes) -> Iterator[Finding]:
    found = git_id(kind, data)
    if found != oid:
        yield Finding(_object_path(oid), Problem.GIT, oid, found)


def _object_path(oid: str) -> bytes:
    return f".git/objects/{oid[:2]}/{oid[2:]}".encode()
