"""Checkouts looked at: verified byte by byte, and what is wrong fetched anew."""

from __future__ import annotations

from contextlib import closing
from functools import partial
from pathlib import Path

from hfclone.audit import Audit, Select, audit_checkout, audit_directory
from hfclone.checkout import Trust
from hfclone.errors import BadOption, NotACheckout
from hfclone.events import OnEvent, ignore
from hfclone.existing import Existing, find_existing
from hfclone.lockfiles import locked_for, read_lock
from hfclone.selection import select
from hfclone.settings import Settings
from hfclone.targets import Problem
from hfclone.updating import fetch_into, offline_git
from hfclone.worktree import FileMode, Kind, WorkTree

__all__ = ["repair", "verify"]

_MENDED = (Problem.MISSING, Problem.POINTER, Problem.DAMAGED, Problem.MODE)
_USERS = (Problem.CHANGED, Problem.KIND)
"""What a user did: never touched."""


def verify(directory: Path | None, lockfile: Path | None, settings: Settings, on_event: OnEvent = ignore) -> Audit:
    """Read every byte of a checkout: against its own commit, or against what ``lockfile`` pins.

    With a lockfile, a copy without ``.git`` will do. Speaks to nobody.

    Raises:
        NotACheckout: there is nothing to verify. BadLockfile, BadOption: ``lockfile`` is of no use.
    """
    git = offline_git(settings)
    if lockfile is None:
        return audit_checkout(find_existing(directory, git), select=_select(settings), on_event=on_event)
    lock = read_lock(lockfile)
    try:
        here = find_existing(directory, git)
    except NotACheckout:
        path = (directory or Path()).absolute()
        if not path.is_dir() or (path / ".git").exists():
            raise
        locked = locked_for(lock, lockfile, here=None, directory=path)
        return audit_directory(path, git, locked, select=_select(settings), on_event=on_event)
    locked = locked_for(lock, lockfile, here=here, directory=here.path)
    return audit_checkout(here, locked, select=_select(settings), on_event=on_event)


def repair(found: Audit, settings: Settings, on_event: OnEvent = ignore) -> Audit:
    """Fetch what ``found`` says is damaged or missing, and look again; a user's edits stay as they are.

    Raises:
        HfcloneError: as ``updating.fetch``.
    """
    here = find_existing(found.path, offline_git(settings))
    if here.commit != found.commit:
        raise BadOption("--repair", "", f"HEAD is not at commit {found.commit}; 'hfclone sync' moves it there")
    if any(finding.problem in _MENDED or finding.problem is Problem.GIT for finding in found.findings):
        _make_way(found, here)
        edited = {finding.path for finding in found.findings if finding.problem in _USERS}
        fetch_into(here, settings, on_event, trust=Trust.NOTHING, leave=edited)
    return audit_checkout(here, select=_select(settings), trust=Trust.STAMPS, on_event=on_event)


def _make_way(found: Audit, here: Existing) -> None:
    """Take away small files that are damaged (git's objects have them whole), and put modes right."""
    objects = here.repo.pointers(here.commit)[0]
    entries = {entry.path: entry for entry in here.repo.tree_entries(here.commit)}
    with closing(WorkTree(here.path)) as tree:
        for finding in found.findings:
            if finding.problem is Problem.DAMAGED and finding.path not in objects:
                tree.remove(finding.path)
            elif finding.problem is Problem.MODE and tree.look(finding.path).kind is Kind.FILE:
                tree.set_executable(finding.path, FileMode(entries[finding.path].mode))


def _select(settings: Settings) -> Select:
    return partial(select, settings=settings)
