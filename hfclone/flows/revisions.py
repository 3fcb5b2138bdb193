"""What a revision is: the hub's word, or git's own where the hub has none (an abbreviated commit)."""

from __future__ import annotations

from collections.abc import Callable

from hfclone.errors import (
    GitFailed,
    HfcloneError,
    RemoteError,
    RepoEmpty,
    RevisionAmbiguous,
    RevisionNotFound,
    TransferError,
)
from hfclone.events import OnEvent, Pinned, Renamed, Waiting
from hfclone.flows.tools import Tools
from hfclone.git import Fetch, fetch, scratch_repo, translate
from hfclone.http import Web
from hfclone.hub import client as hub
from hfclone.hub.endpoint import Endpoint, hub_first
from hfclone.names import Pin, Repo, RepoSpec, is_full_sha, is_short_sha

__all__ = ["find_pin", "head_branch", "waiting"]


def find_pin(spec: RepoSpec, tools: Tools, web: Web, on_event: OnEvent) -> Pin:
    """The commit that ``spec`` means now; waits out what may pass.

    Raises:
        RemoteError: the hub says no; TransferError: nobody answers, and patience is at its end.
    """

    def once() -> tuple[Pin, str]:
        try:
            return hub.resolve(spec, tools.endpoints, web, tools.authorities)
        except RevisionNotFound as error:
            if spec.revision in (None, tools.hub.site.default_branch) and _is_empty(spec.repo, tools, web):
                raise RepoEmpty(str(spec.repo), error.endpoint) from error
            if spec.revision is None or not is_short_sha(spec.revision):
                raise
            return _by_abbreviation(spec, spec.revision, tools)

    if spec.revision is not None and is_full_sha(spec.revision):
        pin, said_by = Pin(spec.repo, spec.revision), ""  # nobody was asked, so nobody has answered
    else:
        try:
            pin, said_by = tools.patience.persist(once, rng=tools.rng, on_wait=waiting(tools, on_event))
        except TransferError as error:
            if isinstance(error.__cause__, RemoteError):
                raise error.__cause__ from error  # with nobody else left, a mirror's no tells the most
            raise
    if pin.repo != spec.repo:
        on_event(Renamed(spec.repo, pin.repo))
    on_event(Pinned(pin, spec.revision, said_by))
    return pin


def head_branch(spec: RepoSpec, pin: Pin, tools: Tools, web: Web) -> str | None:
    """The branch that HEAD should be on: the default or a named one; ``None`` for tags, commits and ``refs/``."""
    revision, default = spec.revision, tools.hub.site.default_branch
    if revision is None or revision == default:
        return default
    if revision.startswith("refs/") or is_full_sha(revision) or pin.commit.startswith(revision):
        return None
    named = hub.branches(spec.repo, tools.endpoints, web, tools.authorities)
    return revision if named is not None and revision in named else None


def waiting(tools: Tools, on_event: OnEvent) -> Callable[[float, HfcloneError], None]:
    """What tells the user that a single call is waited for."""
    return lambda seconds, error: on_event(Waiting(seconds, str(error), tools.patience.remaining))


def _is_empty(repo: Repo, tools: Tools, web: Web) -> bool:
    return hub.branches(repo, tools.endpoints, web, tools.authorities) == frozenset()


def _by_abbreviation(spec: RepoSpec, short: str, tools: Tools) -> tuple[Pin, str]:
    """The one commit that begins with ``short``, from a history without trees (a few KB)."""
    failure: HfcloneError | None = None
    for endpoint in hub_first(tools.endpoints):
        try:
            return Pin(spec.repo, _search(spec, short, endpoint, tools)), str(endpoint)
        except RevisionAmbiguous:
            raise
        except HfcloneError as error:
            failure = failure or error
    assert failure is not None  # there is at least one endpoint
    raise failure


def _search(spec: RepoSpec, short: str, endpoint: Endpoint, tools: Tools) -> str:
    with scratch_repo(tools.git()) as repo:
        try:
            fetch(repo, endpoint.git_url(spec.repo), Fetch(refspecs=("refs/*:refs/found/*",), filter_spec="tree:0"))
        except GitFailed as error:
            raise translate(error, endpoint, Pin(spec.repo, short)) from error
        found = repo.commits_beginning(short)
    if len(found) > 1:
        raise RevisionAmbiguous(str(spec.repo), short, tuple(sorted(found)))
    if not found:
        raise RevisionNotFound(str(spec.repo), short, str(endpoint), endpoint.page(spec.repo))
    return found.pop()
