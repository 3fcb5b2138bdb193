"""The files of a work tree: what stands at a path, and how something comes to stand there.

Why so: a directory of the tree may be replaced by a link at any moment, by its user or by another
on a shared disk. So every path is walked from an open handle of the root, one directory at a time
and following no link, and the last step (rename, unlink, stat) is relative to the handle reached.
Where the system has no such calls (Windows), each component is looked at before it is used.
"""

from hfclone.worktree.standing import Abilities, FileMode, Kind, Standing, kind_of, with_mode
from hfclone.worktree.tree import WorkTree

__all__ = ["Abilities", "FileMode", "Kind", "Standing", "WorkTree", "kind_of", "with_mode"]
