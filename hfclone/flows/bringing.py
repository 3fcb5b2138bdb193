"""From a repo's name to a checkout with pointers: its commit is found, brought, and held open."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

from hfclone.checkout import Checkout, Target, open_checkout
from hfclone.commits import Conduct, bring_commit
from hfclone.commits.blobs import HttpBlobs
from hfclone.errors import (
    AccessDenied,
    DiskFull,
    HfcloneError,
    NotServed,
    PackTooLarge,
    PathNotFound,
    RepoNotFound,
    ServerFault,
)
from hfclone.events import OnEvent, Warned
from hfclone.files.folders import files_below, remove_folder
from hfclone.flows.revisions import find_pin, head_branch, waiting
from hfclone.flows.tools import Tools
from hfclone.git import MOST_BYTES, GitRepo, remote_of, scratch_repo
from hfclone.http import Web
from hfclone.hub import client as hub
from hfclone.hub.endpoint import EndpointKind
from hfclone.hub.origins import hub_repo_of
from hfclone.names import Pin, Repo, RepoSpec
from hfclone.paths import show_path
from hfclone.selection.select import check_quants

__all__ = ["Bringer", "held", "hub_checkout", "looked_at", "opened"]

GIT_REFUSALS = 5
"""So often git may be said not to be there; then it is not, and waiting for it would be in vain."""
GIT_SILENCES = 3
"""So many times ``--stall-after`` git may bring nothing: its far side has a pack to put together first."""
_REFUSED = {RepoNotFound: 401, AccessDenied: 403}


@contextmanager
def opened(spec: RepoSpec, dest: Path, tools: Tools, on_event: OnEvent) -> Iterator[Checkout]:
    """The revision becomes a commit, the commit a checkout with pointers."""
    with tools.web(on_event) as web:
        pin = find_pin(spec, tools, web, on_event)
        branch = head_branch(spec, pin, tools, web)
        made = not os.path.lexists(dest)  # of a name that cannot be, too
        pin, former = _under_one_name(spec, pin, dest, tools, web)
        bring = Bringer(spec, pin, tools, web, on_event)
        try:
            with held(hub_checkout(pin, dest, branch, tools, former), tools, bring, on_event) as checkout:
                if former is not None:
                    url = tools.hub.git_url(pin.repo)
                    on_event(Warned("origin-moved", {"path": dest, "before": former, "after": url}))
                yield checkout
        except HfcloneError:
            if made:
                _forget_if_empty(dest)
            raise


@contextmanager
def looked_at(spec: RepoSpec, tools: Tools, on_event: OnEvent) -> Iterator[tuple[Pin, GitRepo]]:
    """``spec``'s pin, and a repo with its commit that goes when it has been looked at. Raises as ``clone``."""
    with tools.web(on_event) as web, scratch_repo(tools.git()) as repo:
        pin = find_pin(spec, tools, web, on_event)
        Bringer(spec, pin, tools, web, on_event)(repo)
        yield pin, repo


def hub_checkout(pin: Pin, dest: Path, branch: str | None, tools: Tools, former: Repo | None = None) -> Target:
    """A checkout whose origin is the hub; made by git, it may have come from a mirror, or by a ``former`` name."""
    names = (pin.repo,) if former is None else (pin.repo, former)
    mirrors = tuple(endpoint.git_url(repo) for endpoint in (*tools.endpoints, tools.hub) for repo in names)
    return Target(pin, dest, branch, tools.hub.git_url(pin.repo), mirrors)


def _under_one_name(spec: RepoSpec, pin: Pin, dest: Path, tools: Tools, web: Web) -> tuple[Pin, Repo | None]:
    """``pin`` under its repo's present name, and the former one, if that is the origin of what is at ``dest``."""
    origin = _origin_of(dest, tools)
    if origin is None or origin == pin.repo:
        return pin, None
    known = {} if spec.repo == pin.repo else {spec.repo: pin.repo}
    now, wanted = (known.get(repo) or _name_now(repo, tools, web) for repo in (origin, pin.repo))
    if now != wanted:
        return pin, None
    return Pin(now, pin.commit), None if origin == now else origin


def _origin_of(dest: Path, tools: Tools) -> Repo | None:
    """The repo of the hub that the checkout at ``dest`` comes from, if there is one."""
    repo = GitRepo(tools.git(), dest)
    remote = remote_of(repo, repo.head_branch()) if os.path.isdir(repo.git_dir) else None
    return hub_repo_of(remote.url, (*tools.endpoints, tools.hub), tools.settings.hubs) if remote else None


def _name_now(repo: Repo, tools: Tools, web: Web) -> Repo:
    """What the hub itself calls ``repo``: a mirror's word decides nothing. Its own name where the hub is silent."""
    hubs = [endpoint for endpoint in tools.endpoints if endpoint.kind is EndpointKind.HUB]
    with suppress(HfcloneError):
        return hub.resolve(RepoSpec(repo), hubs, web, tools.authorities)[0].repo if hubs else repo
    return repo


def held(
    target: Target, tools: Tools, bring: Callable[[GitRepo], None], on_event: OnEvent
) -> AbstractContextManager[Checkout]:
    """``open_checkout`` as the settings have it."""
    return open_checkout(
        target, tools.git(), bring, lfs_store=tools.settings.lfs_store, edits=tools.edits, on_event=on_event
    )


class Bringer:
    """Gets the commit into the repo, endpoint by endpoint, for as long as patience lasts."""

    def __init__(self, spec: RepoSpec, pin: Pin, tools: Tools, web: Web, on_event: OnEvent) -> None:
        self._spec = spec
        self._pin = pin
        self._tools = tools
        self._web = web
        self._on_event = on_event
        self._blobs = HttpBlobs(pin, tools.health.endpoints, web, tools.authorities)
        self._refusals = 0
        self._conduct = Conduct(GIT_SILENCES * tools.settings.stall_after)

    def __call__(self, repo: GitRepo) -> None:
        """Raise what patience ends with; what has arrived by then is kept."""
        tools = self._tools
        try:
            tools.patience.persist(lambda: self._once(repo), rng=tools.rng, on_wait=waiting(tools, self._on_event))
        except PackTooLarge as error:
            if error.size < MOST_BYTES:
                raise DiskFull(str(repo.path), 0, error.free) from error
            raise
        self._check_file(repo)
        if tools.settings.quants:
            check_quants((entry.path for entry in repo.tree_entries(self._pin.commit)), tools.settings)

    def _check_file(self, repo: GitRepo) -> None:
        """A page's URL may name a file that the commit does not hold: that is no empty selection, but a mistake.

        Raises:
            PathNotFound: it does.
        """
        asked = self._spec.file
        if asked is None:
            return
        wanted = asked.encode("utf-8", "surrogateescape")
        paths = (entry.path for entry in repo.tree_entries(self._pin.commit))
        if not any(path == wanted or (wanted.endswith(b"/") and path.startswith(wanted)) for path in paths):
            page = self._tools.hub.page(self._pin.repo)
            raise PathNotFound(str(self._pin.repo), show_path(wanted), self._pin.commit, page)

    def _once(self, repo: GitRepo) -> None:
        try:
            self._bring(repo)
        except (RepoNotFound, AccessDenied) as error:
            asked = self._tools.health.endpoints[-1]
            files = asked.site.files
            if files is None:
                raise
            why = hub.why(self._pin, asked, files, self._web, self._tools.authorities)
            # It hands out files of this commit, so its git's refusal is a mood on the way, and may pass.
            raise why or ServerFault(str(asked), _REFUSED[type(error)]) from error
        except NotServed as error:
            self._refusals += 1
            if self._refusals < GIT_REFUSALS:
                raise ServerFault(error.endpoint, error.status) from error
            raise

    def _bring(self, repo: GitRepo) -> None:
        bring_commit(
            repo,
            self._pin,
            self._tools.health.endpoints,
            history=self._tools.settings.history,
            branch=self._spec.revision,
            blob_source=self._blobs,
            probe=self._final_url,
            on_event=self._on_event,
            conduct=self._conduct,
        )

    def _final_url(self, url: str) -> str:
        """Where a git URL redirects to: git itself is not let follow, since it would take the token along."""
        service = "/info/refs?service=git-upload-pack"
        host = url.partition("://")[2].partition("/")[0]

        def ask() -> str:
            with self._web.ask(url + service, label=host) as answer:
                return answer.url.removesuffix(service)

        return self._web.exchange(host, ask)


def _forget_if_empty(dest: Path) -> None:
    """Remove the directory that this run has made, if nothing has come into it: a repo that is not to be had."""
    git_dir = dest / ".git"
    with suppress(OSError):  # it was not even made, or somebody is at work there
        nothing_came = not any(files_below(git_dir / "objects"))
        if nothing_came and os.listdir(dest) == [git_dir.name] and (git_dir / "hfclone").is_dir():
            remove_folder(git_dir)
            dest.rmdir()
