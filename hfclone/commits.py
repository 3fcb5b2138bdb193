"""Getting a commit: one pass over the endpoints, from one fetch of everything down to single blobs.

Why so: git cannot resume a pack. Over a good line one shallow fetch brings all; over a bad one the
skeleton (commit and trees, a few KB) comes first, then blobs in batches that are halved when they
do not get through, and at last one by one over ranged HTTP. What has arrived stays in git's object
database, so that each step, and each later pass, asks only for what is missing. All is accepted by
its git id alone: it does not matter who sent it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from hfclone.endpoints import Endpoint
from hfclone.errors import (
    BadTree,
    GitFailed,
    HfcloneError,
    IntegrityError,
    NotServed,
    ObjectMissing,
    RateLimited,
    RemoteError,
    RevisionNotFound,
    TransferError,
)
from hfclone.events import Faulted, OnEvent, Working
from hfclone.git import Fetch, GitRepo, fetch, ls_remote, redirects, translate
from hfclone.names import History, Pin
from hfclone.patience import Verdict, judge
from hfclone.wording import phrase

__all__ = ["BlobSource", "bring_commit"]

_FILTER = "blob:limit=1m"
"""Blobs above this come by ranged HTTP: a cut costs a range of theirs, not all."""
_SKELETON = "blob:none"
_BATCH = 256
_DEEPEST = 4096
"""Commits back from a branch's tip before all of its history is asked for."""
_VIA = "refs/hfclone/via"


class BlobSource(Protocol):
    """Fetches a small file of the pinned commit by HTTP, resumably, from whoever works."""

    def fetch(self, path: bytes, oid: str) -> bytes:
        """The blob at ``path`` as git stores it; the caller checks it against ``oid``.

        Raises:
            HfcloneError: nobody sends it.
        """
        ...


def bring_commit(
    repo: GitRepo,
    pin: Pin,
    sources: Sequence[Endpoint],
    *,
    history: History,
    branch: str | None,
    blob_source: BlobSource,
    probe: Callable[[str], str],
    on_event: OnEvent,
) -> str:
    """Get ``pin``'s commit and all its blobs into ``repo``; who served it is returned (empty: it was here).

    ``branch`` is the name that the commit was resolved from (branch, tag or ``refs/...``), asked for
    where an endpoint serves no bare commit. ``probe`` tells where a URL redirects to, since git is
    not let follow. What has arrived is kept, also when this raises: call it again to go on.

    Raises:
        RemoteError, TransferError, IntegrityError: the last endpoint's failure, all others' being
            reported as ``Faulted``.
    """
    if _is_whole(repo, pin.commit, history):
        return ""
    failure: HfcloneError = NotServed("git", "nobody", 0)
    for endpoint in sources:
        try:
            _Pass(repo, pin, endpoint, history, branch, blob_source, probe, on_event).bring()
        except HfcloneError as error:
            if not _is_remote(error):
                raise
            # What may pass is worth waiting for, whoever else has no git.
            if judge(failure) is not Verdict.AGAIN or judge(error) is Verdict.AGAIN:
                failure = error
            on_event(Faulted(str(endpoint), error))
            continue
        return str(endpoint)
    raise failure


def _is_remote(error: HfcloneError) -> bool:
    return isinstance(error, RemoteError | TransferError | IntegrityError)


def _is_whole(repo: GitRepo, commit: str, history: History) -> bool:
    if history is History.FULL and (repo.git_dir / "shallow").exists():
        return False
    return repo.has_commit(commit) and _has_trees(repo, commit) and not repo.missing_blobs(commit)


def _has_trees(repo: GitRepo, commit: str) -> bool:
    """Whether all trees are here: a killed fetch may have left some of them."""
    try:
        repo.tree_entries(commit)
    except GitFailed:
        return False
    return True


@dataclass
class _Pass:
    """One endpoint's turn."""

    repo: GitRepo
    pin: Pin
    endpoint: Endpoint
    history: History
    branch: str | None
    blob_source: BlobSource
    probe: Callable[[str], str]
    on_event: OnEvent

    def __post_init__(self) -> None:
        self.url = self.endpoint.git_url(self.pin.repo)

    def bring(self) -> None:
        """All of the commit, by the first way that works."""
        if self.history is History.FULL and not _is_whole(self.repo, self.pin.commit, self.history):
            self._fetch_everything()
            return
        if not (self.repo.has_commit(self.pin.commit) and _has_trees(self.repo, self.pin.commit)):
            self._fetch_commit()
        self._fill()

    def _ask(self, what: Fetch) -> None:
        """One fetch; where the endpoint redirects, from where it leads to.

        Raises:
            HfcloneError: git's failure in our words.
        """
        try:
            self._fetch(what)
        except GitFailed as error:
            if not redirects(error):
                raise translate(error, self.endpoint, self.pin) from error
            self.url = self.probe(self.url)
            try:
                self._fetch(what)
            except GitFailed as again:
                raise translate(again, self.endpoint, self.pin) from again

    def _fetch(self, what: Fetch) -> None:
        fetch(self.repo, self.url, what, lambda done, total: self.on_event(Working(phrase("git"), done, total)))

    def _own_ref(self) -> str:
        return f"{self.pin.commit}:refs/hfclone/{self.pin.commit}"

    def _fetch_commit(self) -> None:
        """The commit and its trees, with the small blobs where the line holds long enough."""
        try:
            self._ask(Fetch(refspecs=(self._own_ref(),), depth=1, filter_spec=_FILTER))
        except RevisionNotFound:
            self._fetch_by_name()
        except TransferError as error:
            self.on_event(Faulted(str(self.endpoint), error))
            if isinstance(error, RateLimited):
                raise
            self._ask(Fetch(refspecs=(self._own_ref(),), depth=1, filter_spec=_SKELETON))

    def _fetch_by_name(self) -> None:
        """For servers that give no bare commit: a ref that names it, or one that it lies behind.

        Raises:
            RevisionNotFound: no ref of the endpoint leads to the commit.
        """
        try:
            refs = ls_remote(self.repo, self.url)
        except GitFailed as error:
            raise translate(error, self.endpoint, self.pin) from error
        exact = [name.removesuffix("^{}") for name, oid in refs.items() if oid == self.pin.commit and name != "HEAD"]
        try:
            if exact:
                self._ask(Fetch(refspecs=(f"{exact[0]}:{_VIA}/tip",), depth=1, filter_spec=_FILTER))
            else:
                self._deepen(refs)
            if not self.repo.has_commit(self.pin.commit):
                page = self.endpoint.page(self.pin.repo)
                raise RevisionNotFound(str(self.pin.repo), self.pin.commit, str(self.endpoint), page)
            self.repo.update_ref(f"refs/hfclone/{self.pin.commit}", self.pin.commit)
        finally:
            for ref in self.repo.refs(_VIA):
                self.repo.delete_ref(ref)

    def _deepen(self, refs: dict[str, str]) -> None:
        for name in self._likely(refs):
            self._ask(Fetch(refspecs=(f"{name}:{_VIA}/tip",), depth=1, filter_spec=_FILTER))
            step = 1
            while not self.repo.has_commit(self.pin.commit) and step <= _DEEPEST and self._is_shallow():
                self._ask(Fetch(refspecs=(f"{name}:{_VIA}/tip",), deepen=step, filter_spec=_FILTER))
                step *= 2
            if self.repo.has_commit(self.pin.commit):
                return
        if not self.repo.has_commit(self.pin.commit):
            self._ask(Fetch(refspecs=(f"refs/*:{_VIA}/all/*",), unshallow=self._is_shallow(), filter_spec=_FILTER))

    def _likely(self, refs: dict[str, str]) -> list[str]:
        named = [] if self.branch is None else [self.branch, f"refs/heads/{self.branch}", f"refs/tags/{self.branch}"]
        return [name for name in [*named, "HEAD"] if name in refs][:1]

    def _is_shallow(self) -> bool:
        return (self.repo.git_dir / "shallow").exists()

    def _fetch_everything(self) -> None:
        """All branches and tags with all of their past, and the commit if none of them leads to it."""
        refspecs = ("+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*")
        self._ask(Fetch(refspecs=refspecs, unshallow=self._is_shallow()))
        if not self.repo.has_commit(self.pin.commit):
            self._ask(Fetch(refspecs=(self._own_ref(),)))
        else:
            self.repo.update_ref(f"refs/hfclone/{self.pin.commit}", self.pin.commit)

    # --- blobs -------------------------------------------------------------------------------

    def _fill(self) -> None:
        """Every blob that is not here yet: many by git in batches, few or large ones by HTTP.

        Raises:
            HfcloneError: the last failure, if some could be had in no way.
        """
        missing = self.repo.missing_blobs(self.pin.commit)
        oids = list(missing)
        numbers = {oid: number for number, oid in enumerate(oids, start=1)}
        failure: HfcloneError | None = None
        for start in range(0, len(oids), _BATCH):
            for batch in self._halving(oids[start : start + _BATCH]):
                for oid in batch:
                    failure = self._single(missing[oid], oid) or failure
                    self.on_event(Working(phrase("small-files"), numbers[oid], len(oids)))
        if failure is not None:
            raise failure

    def _halving(self, oids: list[str]) -> Iterator[list[str]]:
        """Get ``oids`` by git in ever smaller batches; what has to come one by one is yielded."""
        if len(oids) <= 2:
            yield oids
            return
        try:
            self._ask(Fetch(oids=tuple(oids), filter_spec=_SKELETON))
        except (RevisionNotFound, BadTree):
            yield oids  # it gives no single blobs: no batch will do better
        except RateLimited:
            raise
        except TransferError:
            half = len(oids) // 2
            yield from self._halving(oids[:half])
            yield from self._halving(oids[half:])

    def _single(self, path: bytes, oid: str) -> HfcloneError | None:
        """One blob by HTTP, else by git; the failure is returned, so that the others still come."""
        try:
            if self.repo.write_blob(self.blob_source.fetch(path, oid)) == oid:
                return None
            failure: HfcloneError = ObjectMissing(oid, str(self.endpoint))
        except HfcloneError as error:
            if not _is_remote(error):
                raise
            failure = error
        try:
            self._ask(Fetch(oids=(oid,), filter_spec=_SKELETON))
        except (TransferError, RevisionNotFound, BadTree) as error:
            return failure if isinstance(error, RevisionNotFound) else error
        return None
