"""A checkout as it stands, whoever made it: where it is, its commit, branch and origin. Reads only."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hfclone.errors import GitFailed, NotACheckout
from hfclone.git import Git, GitRepo
from hfclone.gitindex import index_entries

__all__ = ["Existing", "Recorded", "find_existing", "recorded_files", "state_directory"]

_MTIME_AND_SIZE = struct.Struct(">8xLL20xL")
"""Of an index entry's stat fields: ctime, mtime (seconds, nanoseconds), dev, ino, mode, uid, gid, size."""
_WORD = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Existing:
    """A git checkout at ``path``. ``branch`` is the full name of what HEAD is on, ``None`` if it is detached."""

    path: Path
    repo: GitRepo
    commit: str
    branch: str | None
    origin: str | None


@dataclass(frozen=True, slots=True)
class Recorded:
    """What git's index says of a file that it wrote or looked at last."""

    oid: str
    mtime: tuple[int, int]
    size: int

    def fits(self, mtime_ns: int, size: int) -> bool:
        """Whether a file that looks so has not been touched since. Builds of git may drop nanoseconds."""
        seconds, rest = divmod(mtime_ns, 10**9)
        return (self.mtime in ((seconds & _WORD, rest), (seconds & _WORD, 0))) and self.size == size & _WORD


def find_existing(directory: Path | None, git: Git) -> Existing:
    """The checkout at ``directory``; without one, that which the current directory lies in.

    Raises:
        NotACheckout: there is none, or it has no commit yet.
    """
    path = _above(Path.cwd()) if directory is None else directory.absolute()
    if not path.is_dir():
        raise NotACheckout(str(path), "there is no such directory")
    if not (path / ".git").exists():
        raise NotACheckout(str(path), "it holds no .git")
    repo = GitRepo(git, path)
    try:
        commit = repo.run("rev-parse", "--verify", "--quiet", "HEAD^{commit}").decode("ascii", "replace").strip()
    except GitFailed as error:
        raise NotACheckout(str(path), error.stderr or "its HEAD names no commit that is here") from error
    return Existing(path, repo, commit, repo.head_branch(), repo.config_get("remote.origin.url"))


def recorded_files(repo: GitRepo) -> Mapping[bytes, Recorded]:
    """What git's index records by path; nothing where the index has a form that is not read."""
    try:
        data = (repo.git_dir / "index").read_bytes()
        return {
            entry.path: _recorded(data, entry.offset, entry.oid) for entry in index_entries(data) if not entry.stage
        }
    except (OSError, ValueError, struct.error, IndexError):
        return {}


def state_directory(repo: GitRepo) -> Path:
    """Where hfclone keeps what belongs to the checkout; need not exist."""
    return repo.git_dir / "hfclone"


def _above(directory: Path) -> Path:
    return next((one for one in (directory, *directory.parents) if (one / ".git").exists()), directory)


def _recorded(data: bytes, offset: int, oid: str) -> Recorded:
    seconds, rest, size = _MTIME_AND_SIZE.unpack_from(data, offset)
    return Recorded(oid, (seconds, rest), size)
