"""A checkout as it stands, whoever made it: where it is, its commit, branch and origin. Reads only."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from hfclone.errors import GitFailed, NotACheckout
from hfclone.git import Git, GitRepo
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


def find_existing(directory: Path | None, git: Git) -> Existing:
    """The checkout at ``directory``; without one, that which the current directory lies in.

    Raises:
        NotACheckout: there is none, or it has no commit yet.
    """
    path = place_of(directory)
    _expect_git_dir(path)
    repo = GitRepo(git, path)
    try:
        commit = repo.run("rev-parse", "--verify", "--quiet", "HEAD^{commit}").decode("ascii", "replace").strip()
    except GitFailed as error:
        reason = error.stderr or phrase("no-head")
        raise NotACheckout(str(path), reason, phrase("name-checkout")) from error
    return Existing(path, repo, commit, repo.head_branch(), repo.config.get("remote.origin.url"))


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
