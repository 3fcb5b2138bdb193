"""What a run has left as its user has it, though the commit has something else there.

Why so: a small file that somebody edited is in nobody's way, and stays, and so does what was staged. Exit code 0 must
not be taken for a word on it, so the report names it. Git tells in one call, by looks, what may differ; only that is
read, and what git was told not to look at.
"""

from __future__ import annotations

from collections.abc import Iterator

from hfclone.checkout.ground import Ground
from hfclone.checkout.looking import as_git_has_it, blob_id_of
from hfclone.git import TreeEntry
from hfclone.lock.model import SUBMODULE_MODE, git_id
from hfclone.worktree import Kind

__all__ = ["kept_files"]


def kept_files(ground: Ground, commit: str) -> tuple[bytes, ...]:
    """The paths of ``commit`` at which the user's own stands, sorted; to be asked when git's index has been told.

    Large files are those that the inventory found to be neither object nor pointer, and that were not moved aside.
    """
    entries = ground.side.entries
    looked_at = {*_differing(ground, commit), *ground.unwatched} - ground.files.keys()
    doubtful = [entries[path] for path in sorted(looked_at) if path in entries]
    small = _edited(ground, [entry for entry in doubtful if entry.mode != SUBMODULE_MODE])
    large = (path for path in ground.foreign if path not in ground.aside)
    return tuple(sorted({*small, *large, *ground.changed}))


def _differing(ground: Ground, commit: str) -> list[bytes]:
    """Paths of the work tree or the index that do not look like the commit's."""
    listed = ground.repo.run("diff-index", "--name-only", "-z", "--no-renames", "--ignore-submodules=all", commit)
    return listed.split(b"\0")[:-1]


def _edited(ground: Ground, doubtful: list[TreeEntry]) -> Iterator[bytes]:
    """Those that are not their entries, as git has them or as it converts them."""
    other: list[TreeEntry] = []
    able = ground.repo.abilities
    for entry in doubtful:
        standing = ground.tree.look(entry.path)
        if standing.kind is Kind.ABSENT:
            continue
        if standing.stat is None or not able.can_be(standing.kind, entry.mode):
            yield entry.path
        elif standing.kind is Kind.LINK:
            if git_id("blob", ground.tree.read_link(entry.path)) != entry.oid:
                yield entry.path
        elif entry.is_file and not able.has_mode(standing.stat, entry.mode):
            yield entry.path
        elif not (found := blob_id_of(ground.tree, entry.path, standing.stat.st_size)):
            yield entry.path  # it cannot be read, by git neither
        elif found != entry.oid and not entry.is_file:
            yield entry.path  # nothing is converted that stands for a link
        elif found != entry.oid:
            other.append(entry)
    right = as_git_has_it(ground.repo, ground.tree, other, ground.side.entries.values(), ground.state)
    yield from (entry.path for entry in other if entry.path not in right)
