"""Checkouts looked at: verified byte by byte, and what is wrong fetched anew."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from hfclone.checkout.existing import Existing, find_existing, place_of, state_directory
from hfclone.errors import BadOption, NotACheckout
from hfclone.events import OnEvent, ignore
from hfclone.flows.lock import locked_for, read_lock
from hfclone.git import Git
from hfclone.selection.choices import ALL, Choice, chosen, read_choice
from hfclone.selection.select import select
from hfclone.settings import Settings
from hfclone.verification import Audit, Reading, Select, Trust, audit_checkout, audit_directory
from hfclone.verification.targets import Problem
from hfclone.wording import phrase

if TYPE_CHECKING:
    from hfclone.checkout import Checkout

__all__ = ["repair", "verify"]

_MENDED = frozenset({Problem.MISSING, Problem.POINTER, Problem.DAMAGED, Problem.UNREADABLE, Problem.MODE, Problem.GIT})
_USERS = frozenset({Problem.CHANGED, Problem.REMOVED, Problem.KIND})
"""What a user did: touched only where ``--backup`` allows it to be moved aside."""


def verify(directory: Path | None, lockfile: Path | None, settings: Settings, on_event: OnEvent = ignore) -> Audit:
    """Read every byte of a checkout: against its own commit, or against what ``lockfile`` pins.

    With a lockfile, a copy without ``.git`` will do. Where neither it nor the settings choose, that holds which
    the checkout was made with. Speaks to nobody.

    Raises:
        NotACheckout: there is nothing to verify. BadLockfile, BadOption: ``lockfile`` is of no use.
    """
    with Reading.of_checkout(place_of(directory)) as reading:
        reading.begin()
        return _verify(directory, lockfile, settings, on_event, reading)


def _verify(
    directory: Path | None, lockfile: Path | None, settings: Settings, on_event: OnEvent, reading: Reading
) -> Audit:
    git = Git(settings.environment)
    if lockfile is None:
        here = find_existing(directory, git)
        choice = ALL if chosen(settings) else read_choice(state_directory(here.repo))
        return _audited(here, choice, settings, on_event, reading=reading)
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
    return audit_checkout(here, locked, select=_select(settings), on_event=on_event, reading=reading)


def repair(found: Audit, settings: Settings, on_event: OnEvent = ignore) -> Audit:
    """Fetch what ``found`` says is damaged or missing, and look again.

    A user's edits stay as they are; with ``settings.backup`` they are moved aside, and count as missing.
    Of a large file only those ranges are fetched that its journal cannot prove, if that was kept.

    Raises:
        HfcloneError: as ``pull.fetch``.
    """
    from hfclone.flows.clone import complete  # verifying needs none of it, and is a third quicker begun
    from hfclone.flows.pull import opened_where_it_is

    here = find_existing(found.path, Git(settings.environment))
    settings = found.choice.applied(settings) if found.choice else settings
    if here.commit != found.commit:
        raise BadOption("--repair", "", phrase("head-elsewhere", commit=found.commit))
    mended = _MENDED | _USERS if settings.backup else _MENDED
    if any(finding.problem in mended for finding in found.findings):
        with opened_where_it_is(here, settings, on_event) as (checkout, tools):
            _mend(found, checkout, settings)
            edited = {finding.path for finding in found.findings if finding.problem in _USERS - mended}
            complete(checkout, tools, on_event, leave=edited)
    return _audited(here, found.choice, settings, on_event, trust=Trust.STAMPS)


def _audited(
    here: Existing,
    choice: Choice,
    settings: Settings,
    on_event: OnEvent,
    *,
    trust: Trust = Trust.NOTHING,
    reading: Reading | None = None,
) -> Audit:
    """Against its own commit; ``choice`` is the checkout's, and goes before the settings'."""
    picks = choice.picks if choice else _select(settings)
    found = audit_checkout(here, select=picks, trust=trust, on_event=on_event, reading=reading)
    return replace(found, choice=choice)


def _mend(found: Audit, checkout: Checkout, settings: Settings) -> None:
    """Put right what needs no fetch (git has small files whole), and give up large files that are wrong."""
    paths: dict[Problem, list[bytes]] = {}
    for finding in found.findings:
        paths.setdefault(finding.problem, []).append(finding.path)
    objects = checkout.files()
    wrong = [*paths.get(Problem.DAMAGED, ()), *paths.get(Problem.UNREADABLE, ())]
    small = [path for path in wrong if path not in objects]
    if settings.backup:
        edited = [path for problem in _USERS for path in paths.get(problem, ())]
        # Large files that were edited: see planning.
        edited = [path for path in edited if path not in objects or path in paths.get(Problem.REMOVED, ())]
        checkout.set_aside(edited)
        small += (path for path in edited if path not in objects)
    checkout.restore(small)
    checkout.restore_modes(paths.get(Problem.MODE, ()))
    checkout.give_up(path for path in wrong if path in objects)


def _select(settings: Settings) -> Select:
    return partial(select, settings=settings)
