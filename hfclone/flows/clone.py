"""The mission, readable top to bottom: a repo's name becomes a verified checkout.

Data moves one way: spec, pin, checkout, pointers, plan, fetch, verify, place, report. The disk is the
truth: a run looks at it, fetches what is missing, verifies, places; whatever stopped the last run, the
next one starts from there.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from pathlib import Path

from hfclone.checkout import Checkout
from hfclone.errors import HashMismatch, Incomplete
from hfclone.events import Failed, Finished, OnEvent, Planned, Report, Verified, ignore
from hfclone.flows.bringing import looked_at, opened
from hfclone.flows.planning import check_space, plan_by_looks, plan_of, wanted_but_bad
from hfclone.flows.tools import Tools
from hfclone.git import pointers_among
from hfclone.names import RepoSpec
from hfclone.partials import Partials
from hfclone.plan import Plan
from hfclone.reuse.adopting import reuse
from hfclone.selection.choices import chosen, remember
from hfclone.settings import Settings
from hfclone.transfer import Arrived, Wanted

__all__ = ["clone", "complete", "plan"]


def clone(spec: RepoSpec, dest: Path, settings: Settings, on_event: OnEvent = ignore) -> Report:
    """Make ``dest`` an exact, verified checkout of ``spec``, pinned to one commit.

    Raises:
        HfcloneError: by kind; everything that arrived is kept, and the same call goes on from there.
    """
    tools = Tools.of(settings, spec)
    tools.warm_up()
    with opened(spec, dest, tools, on_event) as checkout:
        remember(checkout.state, chosen(settings), checkout.access)
        return complete(checkout, tools, on_event)


def plan(spec: RepoSpec, dest: Path, settings: Settings, on_event: OnEvent = ignore) -> Plan:
    """What ``clone`` would fetch into ``dest``, which stays as it is: git's objects come into a folder that goes.

    What looks like an object there (by its size) counts as here; only ``clone`` itself looks closer.
    """
    tools = Tools.of(settings, spec)
    with looked_at(spec, tools, on_event) as (pin, repo):
        files, _bad = pointers_among(repo, repo.tree_entries(pin.commit))
    made = plan_by_looks(pin, files, dest, settings, tools.git())
    on_event(Planned(made))
    return made


def complete(
    checkout: Checkout,
    tools: Tools,
    on_event: OnEvent = ignore,
    *,
    leave: AbstractSet[bytes] = frozenset(),
) -> Report:
    """Fetch, verify and place whatever ``checkout`` lacks.

    The paths of ``leave`` stay as they are, as do those that the settings' patterns leave out.

    Raises:
        Incomplete: some objects could not be had; all others are in place.
        LocalError: this machine cannot go on.
    """
    todo = plan_of(checkout, tools, on_event, leave=leave)
    check_space(checkout, todo)
    failures = wanted_but_bad(checkout, tools)
    for pointer in todo.copies:
        checkout.copy(pointer, todo.paths[pointer.oid])
    partials = checkout.partials()
    silent = {pointer.oid for pointer in todo.missing}
    for outcome in _arrivals(checkout, partials, todo, tools, on_event):
        silent.discard(outcome.pointer.oid)
        verified = outcome if isinstance(outcome, Failed) else _verified(outcome)
        if isinstance(outcome, Arrived) and isinstance(verified, Verified):
            pointer = verified.pointer
            checkout.place(pointer, outcome.part, todo.paths[pointer.oid], is_synced=outcome.synced)
            partials.discard(pointer)
        elif isinstance(verified, Failed):
            failures.append(verified.error)
        on_event(verified)
    checkout.settle()
    assert not silent, f"no word of {len(silent)} objects"  # exit 0 means all of it is right, also where we are wrong
    if failures:
        raise Incomplete(str(checkout.path), len(failures), tuple(failures))
    return _finished(checkout, todo, tools, on_event)


def _arrivals(
    checkout: Checkout, partials: Partials, todo: Plan, tools: Tools, on_event: OnEvent
) -> Iterator[Arrived | Failed]:
    """What is missing: first what lies elsewhere on this machine, then what has to be fetched."""
    settings = tools.settings
    left = {pointer.oid: pointer for pointer in todo.missing}
    places = [place for place in settings.reuse if place != checkout.path]
    yield from reuse(left, places, partials, settings.reuse_by, on_event)
    wanted = Wanted(checkout.pin, tuple(left.values()), todo.paths, partials)
    yield from tools.transfer().fetch(wanted, on_event)


def _verified(outcome: Arrived) -> Verified | Failed:
    """The only way from partial to work tree: sha256 and size are the pointer's."""
    pointer = outcome.pointer
    if outcome.digest == pointer.oid and outcome.part.stat().st_size == pointer.size:
        return Verified(pointer)
    return Failed(pointer, HashMismatch(pointer.oid, outcome.digest, ()))


def _finished(checkout: Checkout, todo: Plan, tools: Tools, on_event: OnEvent) -> Report:
    tallies = tools.health.tallies()
    fetched = sum(tally.sent for tally in tallies)
    report = Report(
        pin=checkout.pin,
        path=checkout.path,
        objects=todo.objects,
        fetched_bytes=fetched,
        reused_bytes=max(0, todo.total_bytes - fetched),
        unselected=todo.unselected,
        seconds=tools.clock.now() - tools.began,
        endpoints=tallies,
        unread=sum(pointer.oid in checkout.unread() for pointer in (*todo.present, *todo.copies)),
        kept=checkout.kept(),
    )
    on_event(Finished(report))
    return report
