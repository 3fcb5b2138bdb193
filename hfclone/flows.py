"""The mission, readable top to bottom: a repo's name becomes a verified checkout.

Data moves one way: spec, pin, checkout, pointers, plan, fetch, verify, place, report. The disk is the
truth: a run looks at it, fetches what is missing, verifies, places; whatever stopped the last run, the
next one starts from there.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from shutil import disk_usage, rmtree
from stat import S_ISREG

from hfclone import hub
from hfclone.blobs import HttpBlobs
from hfclone.checkout import Checkout, Edits, open_checkout
from hfclone.commits import bring_commit
from hfclone.errors import (
    AccessDenied,
    Conflicts,
    DiskFull,
    HashMismatch,
    HfcloneError,
    Incomplete,
    NotServed,
    PathNotFound,
    RepoNotFound,
    ServerFault,
)
from hfclone.events import Failed, Finished, OnEvent, Planned, Report, Verified, Warned, ignore
from hfclone.git import GitRepo, pointers_among, scratch_repo
from hfclone.http import Web
from hfclone.names import LfsStore, Pin, RepoSpec
from hfclone.partials import Partials
from hfclone.plan import Plan, Presence, make_plan
from hfclone.pointer import Pointer
from hfclone.reuse.adopting import reuse
from hfclone.revisions import find_pin, head_branch, waiting
from hfclone.selection import check_quants, select
from hfclone.settings import Settings
from hfclone.tools import Tools
from hfclone.transfer import Arrived, Wanted
from hfclone.treepaths import show_path

__all__ = ["Bringer", "clone", "complete", "looked_at", "pinned_checkout", "plan", "plan_of"]

GIT_REFUSALS = 5
"""So often git may be said not to be there; then it is not, and waiting for it would be in vain."""
_REFUSED = {RepoNotFound: 401, AccessDenied: 403}

SPARE_BYTES = 64 * 1024 * 1024
"""Kept free beyond what is needed: a file system that is full to the last block fails in odd places."""


def clone(spec: RepoSpec, dest: Path, settings: Settings, on_event: OnEvent = ignore) -> Report:
    """Make ``dest`` an exact, verified checkout of ``spec``, pinned to one commit.

    Raises:
        HfcloneError: by kind; everything that arrived is kept, and the same call goes on from there.
    """
    tools = Tools.of(settings, spec)
    with _opened(spec, dest, tools, on_event) as checkout:
        return complete(checkout, tools, on_event)


def plan(spec: RepoSpec, dest: Path, settings: Settings, on_event: OnEvent = ignore) -> Plan:
    """What ``clone`` would fetch into ``dest``, which stays as it is: git's objects come into a folder that goes.

    What looks like an object there (by its size) counts as here; only ``clone`` itself looks closer.
    """
    tools = Tools.of(settings, spec)
    with looked_at(spec, tools, on_event) as (pin, repo):
        files, _bad = pointers_among(repo, repo.tree_entries(pin.commit))
    partials = Partials(dest / ".git" / "hfclone" / "parts")
    made = make_plan(
        pin,
        files,
        {path: _looks(dest, path, pointer) for path, pointer in files.items()},
        selected=select(_sizes(files), settings).__contains__,
        held=partials.claimed_bytes,
        reserved=partials.reserved_bytes,
        free=disk_usage(
            next(parent for parent in (dest.absolute(), *dest.absolute().parents) if os.path.exists(parent))
        ).free,
        stored=lambda pointer: pointer.size if settings.lfs_store is LfsStore.COPY else 0,
    )
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
    _check_space(checkout, todo)
    failures = _wanted_but_bad(checkout, tools)
    for pointer in todo.copies:
        checkout.copy(pointer, todo.paths[pointer.oid])
    partials = Partials(checkout.parts_dir)
    silent = {pointer.oid for pointer in todo.missing}
    for outcome in _arrivals(checkout, partials, todo, tools, on_event):
        silent.discard(outcome.pointer.oid)
        verified = outcome if isinstance(outcome, Failed) else _verified(outcome)
        if isinstance(verified, Verified):
            checkout.place(verified.pointer, partials.part_path(verified.pointer), todo.paths[verified.pointer.oid])
            partials.discard(verified.pointer)
        else:
            failures.append(verified.error)
        on_event(verified)
    checkout.settle()
    assert not silent, f"no word of {len(silent)} objects"  # exit 0 means all of it is right, also where we are wrong
    if failures:
        raise Incomplete(str(checkout.path), len(failures), tuple(failures))
    return _finished(checkout, todo, tools, on_event)


@contextmanager
def looked_at(spec: RepoSpec, tools: Tools, on_event: OnEvent) -> Iterator[tuple[Pin, GitRepo]]:
    """``spec``'s pin, and a repo with its commit that goes when it has been looked at. Raises as ``clone``."""
    with tools.web() as web, scratch_repo(tools.git()) as repo:
        pin = find_pin(spec, tools, web, on_event)
        Bringer(spec, pin, tools, web, on_event)(repo)
        yield pin, repo


def pinned_checkout(
    pin: Pin, dest: Path, tools: Tools, *, branch: str | None, bring: Callable[[GitRepo], None], on_event: OnEvent
) -> AbstractContextManager[Checkout]:
    """``open_checkout`` as the settings have it, with the hub as its origin."""
    return open_checkout(
        pin,
        dest,
        tools.git(),
        branch=branch,
        origin=tools.hub.git_url(pin.repo),
        bring=bring,
        mirrors=tuple(endpoint.git_url(pin.repo) for endpoint in tools.endpoints),
        lfs_store=tools.settings.lfs_store,
        edits=tools.edits,
        on_event=on_event,
    )


@contextmanager
def _opened(spec: RepoSpec, dest: Path, tools: Tools, on_event: OnEvent) -> Iterator[Checkout]:
    """The revision becomes a commit, the commit a checkout with pointers."""
    with tools.web() as web:
        pin = find_pin(spec, tools, web, on_event)
        branch = head_branch(spec, pin, tools, web)
        made = not os.path.lexists(dest)  # of a name that cannot be, too
        bring = Bringer(spec, pin, tools, web, on_event)
        try:
            with pinned_checkout(pin, dest, tools, branch=branch, bring=bring, on_event=on_event) as checkout:
                yield checkout
        except HfcloneError:
            if made:
                _forget_if_empty(dest)
            raise


def _forget_if_empty(dest: Path) -> None:
    """Remove the directory that this run has made, if nothing has come into it: a repo that is not to be had."""
    git_dir = dest / ".git"
    with suppress(OSError):  # it was not even made, or somebody is at work there
        nothing_came = not any(path.is_file() for path in (git_dir / "objects").rglob("*"))
        if nothing_came and os.listdir(dest) == [git_dir.name]:
            rmtree(git_dir)
            dest.rmdir()


class Bringer:
    """Gets the commit into the repo, endpoint by endpoint, for as long as patience lasts."""

    def __init__(self, spec: RepoSpec, pin: Pin, tools: Tools, web: Web, on_event: OnEvent) -> None:
        self._spec = spec
        self._pin = pin
        self._tools = tools
        self._web = web
        self._on_event = on_event
        self._blobs = HttpBlobs(pin, tools.board.endpoints, web, tools.authorities)
        self._refusals = 0

    def __call__(self, repo: GitRepo) -> None:
        """Raise what patience ends with; what has arrived by then is kept."""
        tools = self._tools
        tools.patience.persist(lambda: self._once(repo), rng=tools.rng, on_wait=waiting(tools, self._on_event))
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
            asked = self._tools.board.endpoints[-1]
            why = hub.why(self._pin, asked, self._web, self._tools.authorities)
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
            self._tools.board.endpoints,
            history=self._tools.settings.history,
            branch=self._spec.revision,
            blob_source=self._blobs,
            probe=self._final_url,
            on_event=self._on_event,
        )

    def _final_url(self, url: str) -> str:
        """Where a git URL redirects to: git itself is not let follow, since it would take the token along."""
        service = "/info/refs?service=git-upload-pack"
        with self._web.ask(url + service, label=url.partition("://")[2].partition("/")[0]) as answer:
            return answer.url.removesuffix(service)


def plan_of(
    checkout: Checkout, tools: Tools, on_event: OnEvent = ignore, *, leave: AbstractSet[bytes] = frozenset()
) -> Plan:
    """Compare what the commit needs with what is here, and begin with what can be saved of files that are wrong.

    Raises:
        Conflicts: files of the user's are in the way, and are to be kept.
    """
    presence = checkout.inventory(on_event)
    files = checkout.files()
    wanted = select(_sizes(files), tools.settings) - leave
    if files and not wanted and tools.settings.include:
        on_event(Warned("nothing-selected", {"patterns": ", ".join(tools.settings.include)}))
    edited = [path for path in files if path in wanted and presence[path] is Presence.FOREIGN]
    if edited and tools.edits is Edits.KEPT:
        raise Conflicts(str(checkout.path), tuple(map(show_path, edited)))
    checkout.set_aside(edited)
    presence = {**presence, **dict.fromkeys(edited, Presence.ABSENT)}
    made = _planned(checkout, presence, wanted)
    if sum(checkout.salvage(pointer, made.paths[pointer.oid]) for pointer in made.missing):
        made = _planned(checkout, presence, wanted)
    on_event(Planned(made))
    return made


def _planned(checkout: Checkout, presence: Mapping[bytes, Presence], wanted: AbstractSet[bytes]) -> Plan:
    partials = Partials(checkout.parts_dir)
    return make_plan(
        checkout.pin,
        checkout.files(),
        presence,
        selected=wanted.__contains__,
        held=partials.claimed_bytes,
        reserved=partials.reserved_bytes,
        free=checkout.free_bytes(),
        stored=checkout.store_bytes,
    )


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


def _looks(dest: Path, path: bytes, pointer: Pointer) -> Presence:
    """A guess from a file's size; opens nothing and follows no link."""
    try:
        stat = os.lstat(os.path.join(os.fsencode(dest), path))
    except OSError:
        return Presence.ABSENT
    whole = S_ISREG(stat.st_mode) and stat.st_size == pointer.size
    return Presence.CONTENT if whole else Presence.POINTER


def _wanted_but_bad(checkout: Checkout, tools: Tools) -> list[HfcloneError]:
    """What is wrong with pointers that the user asked for."""
    bad = checkout.bad_pointers()
    if not bad:
        return []
    wanted = select({**dict.fromkeys(bad, 0), **_sizes(checkout.files())}, tools.settings)
    return [bad[path] for path in sorted(bad.keys() & wanted)]


def _sizes(files: Mapping[bytes, Pointer]) -> dict[bytes, int]:
    return {path: pointer.size for path, pointer in files.items()}


def _check_space(checkout: Checkout, todo: Plan) -> None:
    """Refuse what cannot fit before the first byte is fetched.

    Raises:
        DiskFull: with what is needed and what is free.
    """
    need = todo.need_bytes
    if need > 0 and need + SPARE_BYTES > todo.free:
        raise DiskFull(str(checkout.path), need + SPARE_BYTES, todo.free)


def _verified(outcome: Arrived) -> Verified | Failed:
    """The only way from partial to work tree: sha256 and size are the pointer's."""
    pointer = outcome.pointer
    if outcome.digest == pointer.oid and outcome.part.stat().st_size == pointer.size:
        return Verified(pointer)
    return Failed(pointer, HashMismatch(pointer.oid, outcome.digest, ()))


def _finished(checkout: Checkout, todo: Plan, tools: Tools, on_event: OnEvent) -> Report:
    tallies = tools.board.tallies()
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
        kept=checkout.kept(),
    )
    on_event(Finished(report))
    return report
