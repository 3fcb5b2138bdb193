"""Checkouts that exist: moved to what their branch is now (pull), or completed where they are (fetch)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from hfclone.checkout import Checkout, Target
from hfclone.checkout.existing import Existing, find_existing
from hfclone.endpoints import parse_endpoint
from hfclone.errors import BadOption, ForeignOrigin
from hfclone.events import OnEvent, Report, ignore
from hfclone.flows.bringing import Bringer, held
from hfclone.flows.clone import clone, complete
from hfclone.flows.tools import Tools
from hfclone.git import Git, address_of
from hfclone.hub.origins import folder_of, git_host_of, hub_repo_of, without_login
from hfclone.hub.pasted import parse_repo_spec
from hfclone.names import History, Pin, Repo, RepoSpec
from hfclone.selection.choices import chosen, remember
from hfclone.settings import Settings, endpoints_of
from hfclone.wording import phrase

__all__ = [
    "asked_of",
    "expect_hub_repo",
    "fetch",
    "no_address",
    "offline_git",
    "opened_where_it_is",
    "pull",
    "upstream",
]


def pull(directory: Path | None, revision: str | None, settings: Settings, on_event: OnEvent = ignore) -> Report:
    """Move a checkout to what ``revision`` is now, or else the branch that it is on; then as ``clone``.

    Raises:
        BadOption: it is on no branch, and no revision is given.
        ForeignOrigin: its origin is no repo of the hub.
        HfcloneError: as ``clone``.
    """
    here = find_existing(directory, offline_git(settings))
    repo = expect_hub_repo(here, settings)
    wanted = revision or upstream(here)
    if wanted is None:
        reason = phrase("on-no-branch", commit=here.commit)
        raise BadOption("--revision", "", reason)
    spec = parse_repo_spec(repo.path, revision=wanted)
    return clone(spec, here.path, _keeping_history(here, settings), on_event)


def fetch(directory: Path | None, settings: Settings, on_event: OnEvent = ignore) -> Report:
    """Complete a checkout at the commit where it is, whoever made it and wherever it comes from.

    Raises:
        ForeignOrigin: its origin is nothing that has objects over http(s).
        BadOption: ``lfs.url`` is no URL.
        HfcloneError: as ``complete``.
    """
    with opened_where_it_is(find_existing(directory, offline_git(settings)), settings, on_event) as (checkout, tools):
        remember(checkout.state, chosen(settings), checkout.access)
        return complete(checkout, tools, on_event)


@contextmanager
def opened_where_it_is(
    here: Existing, settings: Settings, on_event: OnEvent = ignore, *, needs_host: bool = True
) -> Iterator[tuple[Checkout, Tools]]:
    """A checkout that was found, held at the commit where it is, with those who are asked for its objects.

    Raises as ``fetch``; where it ``needs_host`` no longer, nobody need be known who has them.
    """
    tools, repo = asked_of(here, settings, needs_host=needs_host)
    pin = Pin(repo, here.commit)
    with tools.web(on_event) as web:
        bring = Bringer(RepoSpec(repo, here.commit), pin, _asked_for_git(here, tools), web, on_event)
        # On no branch: HEAD is at the commit, and stays on whatever it is on.
        target = Target(pin, here.path, branch=None, origin=None)
        with held(target, tools, bring, on_event) as checkout:
            yield checkout, tools


def offline_git(settings: Settings) -> Git:
    """Git for questions about what is here; it has no token."""
    return Git(settings.environment)


def asked_of(here: Existing, settings: Settings, *, needs_host: bool = True) -> tuple[Tools, Repo]:
    """Who is asked for the objects of a checkout, and for which repo.

    Raises:
        ForeignOrigin: nobody can be, and one is needed.
    """
    repo = _hub_repo(here.origin, settings)
    if repo is not None:
        return Tools.of(settings, RepoSpec(repo)), repo
    origin = here.origin or ""
    found = git_host_of(origin, _lfs_url(here))
    if found is not None:
        host, repo = found
        return Tools(settings, (host,)), repo
    folder = folder_of(origin, here.path)
    if folder is not None:
        return Tools(replace(settings, reuse=(folder, *settings.reuse)), (), str(folder)), Repo(str(folder))
    if needs_host:
        raise no_address(here)
    return Tools(settings, ()), Repo(origin or here.path.name)


def _asked_for_git(here: Existing, tools: Tools) -> Tools:
    """Who is asked for what git lacks of the commit: ``lfs.url`` leads to another host for the objects alone."""
    if all(endpoint.site.files is not None for endpoint in tools.endpoints):
        return tools
    found = git_host_of(here.origin or "", None)
    return replace(tools, endpoints=(found[0],) if found else ())


def _hub_repo(origin: str | None, settings: Settings) -> Repo | None:
    """The repo of the hub (or of a mirror that the settings name) that ``origin`` is."""
    if origin is None:
        return None
    return hub_repo_of(origin, endpoints_of(replace(settings, only_mirrors=False)), settings.hubs)


def no_address(here: Existing) -> ForeignOrigin:
    """What is wrong where nobody can be asked for a checkout's objects."""
    reason, suggestion = phrase("no-address-of-objects"), phrase("import-or-name")
    return ForeignOrigin(str(here.path), without_login(here.origin or phrase("nowhere")), reason, suggestion)


def expect_hub_repo(here: Existing, settings: Settings) -> Repo:
    """The repo of the hub that the origin is, as it stands or as git is told to reach it.

    Raises:
        ForeignOrigin: it is none.
    """
    repo = _hub_repo(here.origin, settings) or _hub_repo(here.url, settings)
    if repo is None:
        raise ForeignOrigin(
            str(here.path), without_login(str(here.origin)), phrase("no-repo-of", endpoint=settings.endpoint)
        )
    return repo


def _lfs_url(here: Existing) -> str | None:
    """Where the user's own configuration says that the objects are; git-lfs's order.

    Raises:
        BadOption: it says so in a URL that is none.
    """
    for key in ("lfs.url", f"remote.{here.repo.remote}.lfsurl"):
        configured = here.repo.config.in_force(key).get(key)
        scheme, _, rest = (address_of(here.repo, configured) if configured else "").partition("://")
        if scheme.lower() not in ("http", "https"):
            continue
        host, slash, path = rest.partition("/")
        user, at, host = host.rpartition("@")
        plain = parse_endpoint(f"{scheme}://{host}{slash}{path}", key)
        return plain.replace("://", f"://{user}{at}", 1)
    return None


def _keeping_history(here: Existing, settings: Settings) -> Settings:
    """A clone that has all of its past must not be cut short."""
    return settings if (here.repo.common_dir / "shallow").exists() else replace(settings, history=History.FULL)


def upstream(here: Existing) -> str | None:
    """The branch of origin that the checkout's branch follows; its own name where git does not say."""
    if here.branch is None:
        return None
    branch = here.branch.removeprefix("refs/heads/")
    merge = here.repo.config.get(f"branch.{branch}.merge")
    return (merge or here.branch).removeprefix("refs/heads/")
