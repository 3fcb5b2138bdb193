"""The commit and its trees from one endpoint, by the first way that leads there."""

from __future__ import annotations

from hfclone.commits.remote import ALL_BUT_LARGE, NO_BLOBS, GitEndpoint
from hfclone.errors import GitUnconnected, RateLimited, RevisionNotFound, TransferError
from hfclone.events import Faulted
from hfclone.git import Fetch

__all__ = ["Reaching"]

_DEEPEST = 4096
"""Commits back from a branch's tip before all of its history is asked for."""
_VIA = "refs/hfclone/via"


class Reaching:
    """From ``remote``, to whom the commit may be known by ``branch`` alone (a branch, tag or ``refs/...``)."""

    def __init__(self, remote: GitEndpoint, branch: str | None) -> None:
        self._remote = remote
        self._repo = remote.repo
        self._commit = remote.pin.commit
        self._branch = branch

    def commit(self) -> None:
        """The commit and its trees, with the small blobs where the line holds long enough."""
        try:
            self._fetch(ALL_BUT_LARGE)
        except RevisionNotFound:
            self._by_name()
        except TransferError as error:
            self._remote.on_event(Faulted(str(self._remote.endpoint), error))
            if isinstance(error, RateLimited) or isinstance(error.__cause__, GitUnconnected):
                raise
            self._fetch(NO_BLOBS)

    def _fetch(self, filter_spec: str) -> None:
        """By the bare commit. Its ref is set afterwards: for one in the refspec git has all refs listed first."""
        self._remote.fetch(Fetch(refspecs=(self._commit,), depth=1, filter_spec=filter_spec))
        self._name()

    def _name(self) -> None:
        self._repo.update_ref(f"refs/hfclone/{self._commit}", self._commit)

    def everything(self) -> None:
        """All branches and tags with all of their past, and the commit if none of them leads to it."""
        refspecs = (f"+refs/heads/*:refs/remotes/{self._repo.remote}/*", "+refs/tags/*:refs/tags/*")
        self._remote.fetch(Fetch(refspecs=refspecs, unshallow=self._is_shallow()))
        if not self._is_here():
            self._remote.fetch(Fetch(refspecs=(self._commit,)))
        self._name()

    def _by_name(self) -> None:
        """For servers that give no bare commit: a ref that names it, or one that it lies behind.

        Raises:
            RevisionNotFound: no ref of the endpoint leads to the commit.
        """
        refs = self._remote.refs()
        exact = [name.removesuffix("^{}") for name, oid in refs.items() if oid == self._commit and name != "HEAD"]
        try:
            if exact:
                self._fetch_tip(exact[0], depth=1)
            else:
                self._deepen(refs)
            if not self._is_here():
                endpoint, repo = self._remote.endpoint, self._remote.pin.repo
                raise RevisionNotFound(str(repo), self._commit, str(endpoint), endpoint.page(repo))
            self._name()
        finally:
            for ref in self._repo.refs(_VIA):
                self._repo.delete_ref(ref)

    def _deepen(self, refs: dict[str, str]) -> None:
        """Ever further back from the likeliest ref; at last all of them, with all of their past."""
        name = self._likeliest(refs)
        if name is not None:
            self._fetch_tip(name, depth=1)
            step = 1
            while not self._is_here() and step <= _DEEPEST and self._is_shallow():
                self._fetch_tip(name, deepen=step)
                step *= 2
        if not self._is_here():
            every = (f"refs/*:{_VIA}/all/*",)
            self._remote.fetch(Fetch(refspecs=every, unshallow=self._is_shallow(), filter_spec=ALL_BUT_LARGE))

    def _likeliest(self, refs: dict[str, str]) -> str | None:
        branch = self._branch
        named = () if branch is None else (branch, f"refs/heads/{branch}", f"refs/tags/{branch}")
        return next((name for name in (*named, "HEAD") if name in refs), None)

    def _fetch_tip(self, name: str, *, depth: int | None = None, deepen: int | None = None) -> None:
        refspec = f"{name}:{_VIA}/tip"
        self._remote.fetch(Fetch(refspecs=(refspec,), depth=depth, deepen=deepen, filter_spec=ALL_BUT_LARGE))

    def _is_here(self) -> bool:
        return self._repo.has_commit(self._commit)

    def _is_shallow(self) -> bool:
        return (self._repo.common_dir / "shallow").exists()
