"""Repos at their commits, with every file's git id, size and sha256, and the proof of it. Pure.

Why so: a commit's 40 digits bind its bytes, but hashes cannot be run backwards. So the raw commit
object is kept; it names the root tree, the rows make the trees, and their git ids are the contents'
(or the pointers', which name the objects' sha256). All is proven from the 40 digits, whoever hands
it out. Small files have their sha256, too, for what sha1 does not promise.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from hfclone.errors import BadPointer
from hfclone.names import Pin, Repo
from hfclone.paths import show_path
from hfclone.pointer import Oid, Pointer, parse_pointer
from hfclone.wording import phrase

__all__ = [
    "LINK_MODE",
    "SUBMODULE_MODE",
    "Lock",
    "LockedFile",
    "LockedRepo",
    "directory_names",
    "flaw_of",
    "git_id",
    "tree_of_commit",
    "trees_of",
]

LINK_MODE = "120000"
SUBMODULE_MODE = "160000"
_TREE_LINE = re.compile(rb"tree ([0-9a-f]{40})\n")


@dataclass(frozen=True, slots=True)
class LockedFile:
    """A file, link or submodule; ``oid`` is git's id. ``size`` and ``sha256`` are its content's (a link's target).

    A submodule, of which only the commit is known, has size 0 and an empty ``sha256``.
    """

    path: bytes
    mode: str
    oid: str
    size: int
    sha256: Oid
    pointer_text: bytes | None = None
    """What git stores in place of the content, where that is an LFS object."""
    selected: bool = True
    """Whether the lock's user wants the object's content; else the pointer stays."""

    @property
    def pointer(self) -> Pointer | None:
        """The object, if it is one."""
        return None if self.pointer_text is None else Pointer(self.sha256, self.size)


@dataclass(frozen=True, slots=True)
class LockedRepo:
    """One repo at one commit. ``files`` are all of its tree's, sorted by path."""

    pin: Pin
    revision: str
    """What the commit was resolved from; for people, nothing is resolved from it again."""
    commit_object: bytes
    files: tuple[LockedFile, ...]

    @property
    def tree(self) -> str:
        """The root tree that the commit names."""
        return tree_of_commit(self.commit_object)


@dataclass(frozen=True, slots=True)
class Lock:
    """Repos, each once, sorted by type and id."""

    repos: tuple[LockedRepo, ...]


def directory_names(lock: Lock) -> Mapping[Repo, str]:
    """The directory of each repo: its name, or where two share one, ``org--name`` (a name holds no ``--``)."""
    names = [repo.pin.repo.name for repo in lock.repos]
    return {
        repo.pin.repo: name if names.count(name) == 1 else repo.pin.repo.path.replace("/", "--")
        for repo, name in zip(lock.repos, names, strict=True)
    }


# --- the proof ---------------------------------------------------------------------------------


def git_id(kind: str, data: bytes) -> str:
    """Git's id of an object. No proof against a crafted collision: git itself checks what it takes in."""
    return hashlib.sha1(b"%s %d\0" % (kind.encode(), len(data)) + data, usedforsecurity=False).hexdigest()


def tree_of_commit(commit_object: bytes) -> str:
    """The root tree that a raw commit names; empty if it is no commit."""
    found = _TREE_LINE.match(commit_object)
    return found[1].decode() if found else ""


def trees_of(files: Iterable[LockedFile]) -> dict[bytes, bytes]:
    """The raw tree of every folder by its path (the root's is empty), made from the rows alone."""
    below: dict[bytes, dict[bytes, tuple[str, str]]] = {b"": {}}
    for file in files:
        folder, _, name = file.path.rpartition(b"/")
        _folder(below, folder)[name] = (file.mode, file.oid)
    trees: dict[bytes, bytes] = {}
    for folder in sorted(below, key=lambda path: (path != b"", path.count(b"/"), path), reverse=True):
        raw = trees[folder] = _raw_tree(below[folder])
        if folder:
            parent, _, name = folder.rpartition(b"/")
            below[parent][name] = ("40000", git_id("tree", raw))
    return trees


def flaw_of(repo: LockedRepo) -> tuple[str, str] | None:
    """Which field of ``repo`` is not proven by its commit's 40 digits, and why; ``None`` if all are."""
    if git_id("commit", repo.commit_object) != repo.pin.commit:
        return "commit_object", phrase("sha1-not-commit")
    for number, file in enumerate(repo.files):
        why = _flaw_of_pointer(file)
        if why:
            return f"files[{number}]", phrase("flaw-at", path=show_path(file.path), reason=why)
    found = git_id("tree", trees_of(repo.files)[b""])
    if found != repo.tree:
        return "files", phrase("other-tree", found=found, expected=repo.tree)
    return None


def _flaw_of_pointer(file: LockedFile) -> str:
    if file.pointer_text is None:
        return ""
    if git_id("blob", file.pointer_text) != file.oid:
        return phrase("pointer-not-blob")
    try:
        read = parse_pointer(file.pointer_text)
    except BadPointer as error:
        return error.reason
    return "" if read == file.pointer else phrase("pointer-of-other")


def _folder(below: dict[bytes, dict[bytes, tuple[str, str]]], folder: bytes) -> dict[bytes, tuple[str, str]]:
    """The entries of ``folder``, which is made with all that it lies in."""
    found = below.setdefault(folder, {})
    while folder and (folder := folder.rpartition(b"/")[0]) not in below:
        below[folder] = {}
    return found


def _raw_tree(entries: Mapping[bytes, tuple[str, str]]) -> bytes:
    """Git's form: a folder sorts as if its name ended in a slash."""
    names = sorted(entries, key=lambda name: name + b"/" if entries[name][0] == "40000" else name)
    return b"".join(b"%s %s\0%s" % (entries[n][0].encode(), n, bytes.fromhex(entries[n][1])) for n in names)
