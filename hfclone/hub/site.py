"""What a hub has to say for itself: all that is one hub's own, and not HTTP's, git's or LFS's.

Another hub is one file with a ``Site`` (``huggingface`` is the longest that there is, ``githost`` the shortest) and
one row in ``known``. A site asks nobody, keeps nothing and imports no HTTP: it says where something is and what an
answer means. Who is asked when, redirects, tokens and waiting are the same for every hub. What a site says is
believed as far as its endpoint is: commit, tree and pointer decide about every byte.

``base`` is always the URL of the endpoint that is asked, without a slash at its end; it may have a path of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from hfclone.errors import HfcloneError
from hfclone.names import Pin, Repo, RepoSpec

if TYPE_CHECKING:
    from hfclone.http import Answer

__all__ = ["DEFAULT_BRANCH", "Api", "Asked", "Files", "Site"]

DEFAULT_BRANCH = "main"
"""What most hubs call the branch that is meant where none is named."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked, in the words of errors about it."""

    endpoint: str
    repo: Repo
    revision: str | None
    """``None`` is the default branch."""
    page: str
    """What a person opens."""
    with_token: bool


class Files(Protocol):
    """A site's files by their path at a commit."""

    def url(self, base: str, pin: Pin, path: bytes) -> str:
        """The content of a file; for a pointer, that of its object."""

    def blob_urls(self, base: str, pin: Pin, path: bytes) -> Sequence[str]:
        """Where what git stores for a file may be had, in this order; what comes is checked by its git id."""


class Api(Protocol):
    """A site's answers about revisions. ``told`` is an answer's JSON, which may be anything at all."""

    def revision_url(self, base: str, repo: Repo, revision: str | None) -> str:
        """Which commit a revision is; ``None`` asks for the default branch."""

    def read_revision(self, told: Any) -> tuple[object, object]:
        """The commit, and the id by which the hub knows the repo now; unchecked, ``None`` where it says none."""

    def branches_url(self, base: str, repo: Repo) -> str:
        """Which branches a repo has."""

    def read_branches(self, told: Any) -> frozenset[str] | None:
        """Their names; ``None`` where it says nothing of them."""


class Site(Protocol):
    """One hub, or all hosts that speak as it does. Equal sites are the same site."""

    @property
    def default_branch(self) -> str:
        """The branch that is meant where none is named."""

    @property
    def has_mirrors(self) -> bool:
        """Whether others may have its repos under the same names: errors advise another ``--mirror`` then."""

    @property
    def files(self) -> Files | None:
        """``None``: it has git and LFS alone. Then a no of its batch API is a no for all objects."""

    @property
    def api(self) -> Api | None:
        """``None``: it resolves no revision, and is asked for full commits alone."""

    def page(self, base: str, repo: Repo) -> str:
        """What a person opens."""

    def git_url(self, base: str, repo: Repo) -> str:
        """What git clones. Where there is no git, a request for it ends in a no, and somebody else is asked."""

    def repo_of(self, path: str) -> Repo | None:
        """The repo whose ``git_url`` ends in ``path`` below the endpoint, without ``.git``; ``None``: there is none."""

    def read_page(self, path: str, given: str) -> RepoSpec:
        """What the page at ``path`` names, which is as a browser has it, still quoted; its ``site`` is not said here.

        Raises:
            BadRepoSpec: of ``given``, the whole URL: it names no repo.
        """

    def git_probe_url(self, base: str, repo: Repo) -> str | None:
        """Where the repo's git tells its refs, which shows whether anything stands in between; ``None``: unknown."""

    def batch_url(self, base: str, repo: Repo) -> str | None:
        """Its LFS batch API; ``None``: it has none, and its ``files`` are asked for each object by itself."""

    def explain(self, answer: Answer, asked: Asked) -> HfcloneError | None:
        """What a no means in the hub's own words; ``None`` where it says nothing but its status.

        429 never comes here, which means the same everywhere. Headers cost nothing; a body may come late or never.
        """

    def names_error(self, answer: Answer) -> bool:
        """Whether a no bears the hub's own mark; else anything on the way may have said it."""
