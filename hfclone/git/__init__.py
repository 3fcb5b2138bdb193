"""Git itself: the runner, and every command that hfclone runs with it."""

from hfclone.git.fetching import Fetch, drop_promisor, fetch, ls_remote
from hfclone.git.plumbing import GitRepo, IndexFlag, StagedEntry, TreeEntry, in_batches, scratch_repo
from hfclone.git.pointers import pointers_among
from hfclone.git.running import Git, GitCredential, OnProgress, load_git
from hfclone.git.staged import Staged
from hfclone.git.translating import redirects, translate

__all__ = [
    "Fetch",
    "Git",
    "GitCredential",
    "GitRepo",
    "IndexFlag",
    "OnProgress",
    "Staged",
    "StagedEntry",
    "TreeEntry",
    "drop_promisor",
    "fetch",
    "in_batches",
    "load_git",
    "ls_remote",
    "pointers_among",
    "redirects",
    "scratch_repo",
    "translate",
]
