"""Git itself: the runner, and every command that hfclone runs with it."""

from hfclone.git.fetching import MOST_BYTES, QUIET_SECONDS, Fetch, drop_promisor, fetch, is_partial_clone, ls_remote
from hfclone.git.places import git_dir_of, run_lock_of, state_dir_of
from hfclone.git.plumbing import GitRepo, IndexFlag, StagedEntry, TreeEntry, in_batches, scratch_repo
from hfclone.git.pointers import pointers_among
from hfclone.git.remotes import Remote, address_of, remote_of, remotes_of
from hfclone.git.running import Git, GitCredential, OnProgress, load_git
from hfclone.git.staged import Staged
from hfclone.git.translating import is_stall, is_unconnected, redirects, translate

__all__ = [
    "MOST_BYTES",
    "QUIET_SECONDS",
    "Fetch",
    "Git",
    "GitCredential",
    "GitRepo",
    "IndexFlag",
    "OnProgress",
    "Remote",
    "Staged",
    "StagedEntry",
    "TreeEntry",
    "address_of",
    "drop_promisor",
    "fetch",
    "git_dir_of",
    "in_batches",
    "is_partial_clone",
    "is_stall",
    "is_unconnected",
    "load_git",
    "ls_remote",
    "pointers_among",
    "redirects",
    "remote_of",
    "remotes_of",
    "run_lock_of",
    "scratch_repo",
    "state_dir_of",
    "translate",
]
