"""A locked commit made again: from the lock what it holds, the rest from whoever has it.

Why so: with the lock in hand nothing of git's protocol is needed. The commit object and the pointers
are in it, the trees follow from its rows; only small files are missing, and each is accepted by what
the lock says of it. Git is still asked first, since one request brings many; where it is dead, each
file comes by HTTP.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

from hfclone.commits.blobs import HttpBlobs
from hfclone.errors import (
    BadTree,
    GitFailed,
    HfcloneError,
    IntegrityError,
    NotAsLocked,
    NotTheObject,
    ObjectMissing,
    RemoteError,
    TransferError,
)
from hfclone.events import Faulted, OnEvent, Working
from hfclone.files.folders import temporary_folder
from hfclone.files.ondisk import write_safely
from hfclone.flows.ls import digests_of
from hfclone.flows.revisions import waiting
from hfclone.flows.tools import Tools
from hfclone.git import Fetch, GitRepo, fetch, translate
from hfclone.http import Web
from hfclone.hub.endpoint import Endpoint
from hfclone.lock.model import LockedFile, LockedRepo, trees_of
from hfclone.paths import show_path
from hfclone.retry import Verdict, judge
from hfclone.wording import phrase

__all__ = ["Rebuilder"]

_GIT_BATCH = 1000
_FEW = 2
"""So few small files are not worth a git fetch."""


class Rebuilder:
    """Makes the commit of ``locked`` in a repo, whole."""

    def __init__(self, locked: LockedRepo, tools: Tools, web: Web, on_event: OnEvent) -> None:
        self._locked = locked
        self._tools = tools
        self._on_event = on_event
        self._sources = {
            endpoint: HttpBlobs(locked.pin, (endpoint,), web, tools.authorities) for endpoint in tools.health.endpoints
        }
        self._failing: set[Endpoint] = set()
        """Who failed last goes last, else each file would wait for him."""

    def __call__(self, repo: GitRepo) -> None:
        """Do it; what has arrived is kept, also when this raises.

        Raises:
            NotAsLocked: a small file is not what the lock says, and nobody is left to ask.
            HfcloneError: what patience ends with.
        """
        _write_commit(repo, self._locked)
        missing = self._missing(repo)
        self._by_git(repo)
        self._tools.patience.persist(
            lambda: self._by_http(repo), rng=self._tools.rng, on_wait=waiting(self._tools, self._on_event)
        )
        self._check(repo, missing)

    def _missing(self, repo: GitRepo) -> dict[str, LockedFile]:
        """Small files that are not here, by git id."""
        small = {file.oid: file for file in self._locked.files if file.sha256 and file.pointer is None}
        return {oid: small[oid] for oid, size in repo.blob_sizes(small).items() if size is None}

    def _check(self, repo: GitRepo, came: Mapping[str, LockedFile]) -> None:
        """What came by git, by its sha256: git's ids are sha1."""
        for oid, found in digests_of(repo, came, self._on_event):
            if found != (came[oid].size, came[oid].sha256):
                raise NotAsLocked(show_path(came[oid].path), "git", phrase("brought-sha256", sha256=found[1]))

    def _by_git(self, repo: GitRepo) -> None:
        """Many small files in few requests; whatever goes wrong here is HTTP's turn."""
        for endpoint in self._sources:
            oids = list(self._missing(repo))
            if len(oids) <= _FEW:
                return
            try:
                for start in range(0, len(oids), _GIT_BATCH):
                    batch = tuple(oids[start : start + _GIT_BATCH])
                    fetch(repo, endpoint.git_url(self._locked.pin.repo), Fetch(oids=batch, filter_spec="blob:none"))
                    self._on_event(Working(phrase("git", endpoint=endpoint), start + len(batch), len(oids)))
            except GitFailed as error:
                self._on_event(Faulted(str(endpoint), translate(error, endpoint, self._locked.pin)))

    def _by_http(self, repo: GitRepo) -> None:
        """One by one; all are tried before a failure is raised, first one that may pass."""
        missing = self._missing(repo)
        failures: list[HfcloneError] = []
        for number, file in enumerate(missing.values()):
            failure = self._fetch(repo, file)
            failures += [failure] if failure else []
            self._on_event(Working(phrase("small-files"), number + 1, len(missing)))
        if failures:
            raise _worth_most(failures)

    def _fetch(self, repo: GitRepo, file: LockedFile) -> HfcloneError | None:
        """One small file from the first endpoint that has it; else why not."""
        failures: list[HfcloneError] = []
        for endpoint, source in sorted(self._sources.items(), key=lambda pair: pair[0] in self._failing):
            try:
                data = _accepted(source, endpoint, file)
            except (RemoteError, TransferError, IntegrityError) as error:
                self._failing |= {endpoint} if isinstance(error, TransferError) else set()
                failures.append(error)
                self._on_event(Faulted(str(endpoint), error))
                continue
            self._failing.discard(endpoint)
            if repo.write_blob(data) == file.oid:
                return None
        return _worth_most(failures or [ObjectMissing(file.oid, "nobody")])


def _accepted(source: HttpBlobs, endpoint: Endpoint, file: LockedFile) -> bytes:
    """The file, if it is what the lock says."""
    path = show_path(file.path)
    try:
        data = source.fetch(file.path, file.oid)
    except NotTheObject as error:
        raise NotAsLocked(path, str(endpoint), phrase("sent-else", reason=error.reason)) from error
    found = hashlib.sha256(data).hexdigest()
    if (len(data), found) != (file.size, file.sha256):
        raise NotAsLocked(path, str(endpoint), phrase("sent-sha256", sha256=found))
    return data


def _worth_most(failures: list[HfcloneError]) -> HfcloneError:
    """What may pass is waited for; of what is final, wrong bytes say most."""
    may_pass = (error for error in failures if judge(error) is Verdict.AGAIN)
    wrong = (error for error in failures if isinstance(error, NotAsLocked))
    return next(may_pass, None) or next(wrong, None) or failures[0]


# --- what the lock holds -----------------------------------------------------------------------


def _write_commit(repo: GitRepo, locked: LockedRepo) -> None:
    """The commit, its trees and its pointers, from the lock alone; all ids are proven to be git's."""
    texts = {file.oid: file.pointer_text for file in locked.files if file.pointer_text is not None}
    _write_objects(repo, "blob", [texts[oid] for oid, size in repo.blob_sizes(texts).items() if size is None])
    if not _has_trees(repo, locked):
        _write_objects(repo, "tree", trees_of(locked.files).values())
        made = repo.run("hash-object", "-t", "commit", "-w", "--stdin", stdin=locked.commit_object).decode().strip()
        if made != locked.pin.commit:
            raise BadTree(locked.pin.commit, phrase("the-lockfile"), phrase("other-commit", commit=made))
    _note_shallow(repo, locked)
    repo.update_ref(f"refs/hfclone/{locked.pin.commit}", locked.pin.commit)


def _has_trees(repo: GitRepo, locked: LockedRepo) -> bool:
    """Whether commit and trees are all here: a killed run may have left some."""
    try:
        return len(repo.tree_entries(locked.pin.commit)) == len(locked.files)
    except GitFailed:
        return False


def _write_objects(repo: GitRepo, kind: str, contents: Iterable[bytes]) -> None:
    """Store many objects with one git process."""
    with temporary_folder() as scratch:
        names: list[str] = []
        for number, content in enumerate(contents):
            file = scratch / str(number)
            file.write_bytes(content)
            names.append(f"{file}\n")
        if names:
            repo.run("hash-object", "-t", kind, "-w", "--no-filters", "--stdin-paths", stdin="".join(names).encode())


def _note_shallow(repo: GitRepo, locked: LockedRepo) -> None:
    """Tell git that the past of the commit is not here, where it is not."""
    header = locked.commit_object.partition(b"\n\n")[0].split(b"\n")
    parents = [line[7:].decode("ascii") for line in header if line.startswith(b"parent ")]
    if None not in repo.blob_sizes(parents).values():
        return
    file = repo.common_dir / "shallow"
    known = set(file.read_text("ascii").split()) if file.exists() else set()
    if locked.pin.commit not in known:
        write_safely(
            file, "".join(f"{commit}\n" for commit in sorted({*known, locked.pin.commit})).encode(), access=repo.access
        )
