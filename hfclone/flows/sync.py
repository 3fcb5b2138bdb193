"""Lock and sync: repos pinned in a lockfile, and checkouts made from it, whoever serves the bytes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hfclone.checkout.existing import find_existing
from hfclone.errors import BadOption, BadTree
from hfclone.events import OnEvent, Pinned, Report, ignore
from hfclone.flows.bringing import held, hub_checkout
from hfclone.flows.clone import complete
from hfclone.flows.ls import read_repo
from hfclone.flows.pull import offline_git
from hfclone.flows.rebuild import Rebuilder
from hfclone.flows.tools import Tools
from hfclone.lock.model import Lock, LockedRepo, directory_names, flaw_of
from hfclone.names import RepoSpec
from hfclone.selection.choices import leaving, remember
from hfclone.selection.select import wanting_all
from hfclone.settings import Settings
from hfclone.verification import Audit, Trust, audit_checkout
from hfclone.wording import phrase

__all__ = ["audit_synced", "lock", "places", "sync", "sync_one"]


def lock(specs: Sequence[RepoSpec], settings: Settings, on_event: OnEvent = ignore) -> Lock:
    """Pin ``specs`` at the commits that their revisions are now.

    Raises:
        BadOption: a repo is named twice.
        HfcloneError: as ``clone`` until the first large byte.
    """
    if len({spec.repo for spec in specs}) < len(specs):
        raise BadOption("REPO", "", phrase("named-twice"))
    locked = [read_repo(spec, settings, on_event) for spec in specs]
    for one in locked:
        flaw = flaw_of(one)
        if flaw:
            raise BadTree(one.pin.commit, str(one.pin.repo), phrase("flaw-in", field=flaw[0], reason=flaw[1]))
    if len({one.pin.repo for one in locked}) < len(locked):
        raise BadOption("REPO", "", phrase("one-repo"))
    return Lock(tuple(sorted(locked, key=lambda one: (one.pin.repo.repo_type.value, one.pin.repo.repo_id))))


def places(pinned: Lock, directory: Path) -> list[tuple[LockedRepo, Path]]:
    """Each repo of a lock, and where below ``directory`` its checkout belongs."""
    names = directory_names(pinned)
    return [(one, directory / names[one.pin.repo]) for one in pinned.repos]


def sync(pinned: Lock, directory: Path, settings: Settings, on_event: OnEvent = ignore) -> list[Report]:
    """Make the checkouts of all repos of ``pinned`` below ``directory``; raises as ``sync_one``."""
    return [sync_one(one, dest, settings, on_event) for one, dest in places(pinned, directory)]


def audit_synced(locked: LockedRepo, dest: Path, settings: Settings, on_event: OnEvent = ignore) -> Audit:
    """Compare the checkout that ``sync_one`` made with the lock: every small file, and objects by their stamps."""
    here = find_existing(dest, offline_git(settings))
    return audit_checkout(here, locked, trust=Trust.STAMPS, on_event=on_event)


def sync_one(locked: LockedRepo, dest: Path, settings: Settings, on_event: OnEvent = ignore) -> Report:
    """Make ``dest`` a checkout of ``locked`` at its commit, HEAD detached.

    Raises:
        NotAsLocked: nobody serves what the lock says; names the path.
        HfcloneError: as ``clone``.
    """
    pin = locked.pin
    tools = Tools.of(wanting_all(settings), RepoSpec(pin.repo, pin.commit))  # the lock has chosen
    on_event(Pinned(pin, locked.revision, phrase("the-lockfile")))
    unselected = frozenset(file.path for file in locked.files if not file.selected)
    with tools.web(on_event) as web:
        bring = Rebuilder(locked, tools, web, on_event)
        with held(hub_checkout(pin, dest, None, tools), tools, bring, on_event) as checkout:
            remember(checkout.state, leaving(unselected), checkout.access)
            return complete(checkout, tools, on_event, leave=unselected)
