"""Git itself: the runner, and every command that hfclone runs with it."""

from hfclone.git.plumbing import Fetch, GitRepo, TreeEntry, in_batches, scratch_repo
from hfclone.git.running import Git, GitCredential, OnProgress

__all__ = ["Fetch", "Git", "GitCredential", "GitRepo", "OnProgress", "TreeEntry", "in_batches", "scratch_repo"]
