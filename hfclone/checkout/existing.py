"""A checkout as it stands, whoever made it: where it is, its commit, branch and origin. Reads only.

Its origin is the remote that its branch follows, else the only one, else ``origin``.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from hfclone.errors import GitFailed, NotACheckout
from hfclone.git import Git, GitRepo, address_of, remote_of
from hfclone.wording import phrase

__all__ = ["Existing", "find_existing", "place_of", "state_directory"]


@dataclass(frozen=True, slots=True)
class Existing:
    """A git checkout at ``path``. ``branch`` is the full name of what HEAD is on, ``None`` if it is detached."""

    path: Path
    repo: GitRepo
    commit: str
    branch: str | None
    origin: str | None
    """Where git goes for what the checkout comes from, ``insteadOf`` applied; ``None`` if it has no remote."""
    url: str | None
    """The same as the checkout's configuration has it."""


def find_existing(directory: Path | None, git: Git) -> Existing:
    """The checkout at ``directory``; without one, that which the current directory lies in.

    Raises:
        NotACheckout: there is none, it has no commit yet, or its ids are not sha1.
    """
    path = place_of(directory)
    _expect_git_dir(path)
    repo = GitRepo(git, path)
    repo.check_ids()
    branch = repo.head_branch()
    try:
        commit = repo.run("rev-parse", "--verify", "--quiet", "HEAD^{commit}").decode("ascii", "replace").strip()
    except GitFailed as error:
        if error.is_killed:
            raise
        raise _without_commit(repo, branch, error) from error
    remote = remote_of(repo, branch)
    if remote is None:
        return Existing(path, repo, commit, branch, None, None)
    repo.remote = remote.name
    return Existing(path, repo, commit, branch, address_of(repo, remote.url), remote.url)


def _without_commit(repo: GitRepo, branch: str | None, error: GitFailed) -> NotACheckout:
    """Why HEAD names no commit: the repo was empty when it was cloned, or something is wrong with it."""
    if branch is not None and not error.stderr and not repo.refs():
        return NotACheckout(str(repo.path), phrase("empty-repo"), phrase("first-commit"))
    return NotACheckout(str(repo.path), error.stderr or phrase("no-head"), phrase("name-checkout"))


def place_of(directory: Path | None) -> Path:
    """Where that checkout would be; nothing is looked at but whether there is a ``.git``."""
    return _above(Path.cwd()) if directory is None else directory.absolute()


def state_directory(repo: GitRepo) -> Path:
    """Where hfclone keeps what belongs to the checkout; need not exist."""
    return repo.git_dir / "hfclone"


def _above(directory: Path) -> Path:
    return next((one for one in (directory, *directory.parents) if os.path.lexists(one / ".git")), directory)


def _expect_git_dir(path: Path) -> None:
    try:
        os.scandir(path).close()
    except FileNotFoundError:
        raise NotACheckout(str(path), phrase("no-such-directory"), phrase("name-checkout")) from None
    except OSError as error:
        raise NotACheckout(str(path), error.strerror or str(error), phrase("name-checkout")) from error
    if not os.path.lexists(path / ".git"):
        raise NotACheckout(str(path), phrase("no-git"), phrase("name-checkout"))
