"""Any git host: it has git and the LFS batch API of a repo, and need not know a hub's paths."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote

from hfclone.errors import HfcloneError
from hfclone.hub.site import DEFAULT_BRANCH, Asked
from hfclone.names import Repo, RepoSpec

if TYPE_CHECKING:
    from hfclone.http import Answer

__all__ = ["GitHostSite"]


@dataclass(frozen=True, slots=True)
class GitHostSite:
    """The git host of one repo."""

    lfs_url: str
    """The LFS API of that repo."""
    origin: str = ""
    """The repo's git, perhaps on another host, without user and password; empty where it is not reached by http(s)."""

    default_branch = DEFAULT_BRANCH
    has_mirrors = False
    files = None
    api = None

    def page(self, base: str, repo: Repo) -> str:
        """The page a person opens."""
        return f"{base}/{repo.path}"

    def git_url(self, base: str, repo: Repo) -> str:
        """What git clones."""
        return f"{base}/{repo.path}"

    def repo_of(self, path: str) -> Repo | None:
        """Any path may be one."""
        return Repo(path)

    def read_page(self, path: str, given: str) -> RepoSpec:
        """That of the repo itself; what others are called is each host's own."""
        return RepoSpec(Repo(unquote(path).strip("/").removesuffix(".git")))

    def git_probe_url(self, base: str, repo: Repo) -> str | None:
        """What git asks first."""
        return f"{self.origin.rstrip('/')}/info/refs?service=git-upload-pack" if self.origin else None

    def batch_url(self, base: str, repo: Repo) -> str:
        """The LFS API is the repo's own."""
        return f"{self.lfs_url}/objects/batch"

    def explain(self, answer: Answer, asked: Asked) -> HfcloneError | None:
        """What it says beside the status stands in the batch API's own form."""
        return None

    def names_error(self, answer: Answer) -> bool:
        """It has no marks of its own."""
        return False
