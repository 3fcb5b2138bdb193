"""Getting a commit: one pass over the endpoints, from one fetch of everything down to single blobs.

Why so: git cannot resume a pack. Over a good line one shallow fetch brings all; over a bad one the
skeleton (commit and trees, a few KB) comes first, then blobs in batches that are halved when they
do not get through, and at last one by one over ranged HTTP. What has arrived stays in git's object
database, so that each step, and each later pass, asks only for what is missing. All is accepted by
its git id alone: it does not matter who sent it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hfclone.commits.filling import BlobSource, Filling
from hfclone.commits.reaching import Reaching
from hfclone.commits.remote import Conduct, GitEndpoint, is_theirs
from hfclone.errors import HfcloneError, NotServed
from hfclone.events import Faulted, OnEvent
from hfclone.git import GitRepo
from hfclone.hub.endpoint import Endpoint
from hfclone.names import History, Pin
from hfclone.retry import Verdict, judge

__all__ = ["BlobSource", "Conduct", "bring_commit"]


def bring_commit(  # noqa: PLR0913  # what the run knows, and what it was asked for
    repo: GitRepo,
    pin: Pin,
    sources: Sequence[Endpoint],
    *,
    history: History,
    branch: str | None,
    blob_source: BlobSource,
    probe: Callable[[str], str],
    on_event: OnEvent,
    conduct: Conduct | None = None,
) -> str:
    """Get ``pin``'s commit and all its blobs into ``repo``; who served it is returned (empty: it was here).

    ``branch`` is the name that the commit was resolved from (branch, tag or ``refs/...``), asked for
    where an endpoint serves no bare commit. ``probe`` tells where a URL redirects to, since git is
    not let follow. What has arrived is kept, also when this raises: call it again to go on, with the same ``conduct``.

    Raises:
        RemoteError, TransferError, IntegrityError: the last endpoint's failure, all others' being
            reported as ``Faulted``.
    """
    if _is_whole(repo, pin.commit, history):
        return ""
    failure: HfcloneError = NotServed("git", "nobody", 0)
    conduct = conduct or Conduct()
    for endpoint in [one for one in sources if one not in conduct.spoilers] or sources:
        try:
            _bring(GitEndpoint(repo, pin, endpoint, probe, on_event, conduct), history, branch, blob_source)
        except HfcloneError as error:
            if not is_theirs(error):
                raise
            # What may pass is worth waiting for, whoever else has no git.
            if judge(failure) is not Verdict.AGAIN or judge(error) is Verdict.AGAIN:
                failure = error
            on_event(Faulted(str(endpoint), error))
            continue
        return str(endpoint)
    raise failure


def _bring(remote: GitEndpoint, history: History, branch: str | None, blobs: BlobSource) -> None:
    """All of the commit from one endpoint."""
    repo, commit = remote.repo, remote.pin.commit
    reaching = Reaching(remote, branch)
    if history is History.FULL and not _is_whole(repo, commit, history):
        reaching.everything()
        return
    if not (repo.has_commit(commit) and repo.has_trees(commit)):
        reaching.commit()
    Filling(remote, blobs).fill()


def _is_whole(repo: GitRepo, commit: str, history: History) -> bool:
    if history is History.FULL and (repo.common_dir / "shallow").exists():
        return False
    return repo.is_whole(commit)
