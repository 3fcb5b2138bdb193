"""Checkouts handed on to huggingface_hub: which repo and revision they are there."""

from __future__ import annotations

from pathlib import Path

from hfclone.checkout.existing import find_existing
from hfclone.events import Event, OnEvent, Planned, Report, Shared, Warned, ignore
from hfclone.export.hf_cache import fill_cache, foretell
from hfclone.export.local_dir import note_local_dir
from hfclone.flows.clone import clone
from hfclone.flows.pull import expect_hub_repo, offline_git, upstream
from hfclone.git import state_dir_of
from hfclone.hub.huggingface import HUGGING_FACE
from hfclone.names import RepoSpec
from hfclone.settings import Settings

_COSTS = ("cache-hardlink", "cache-copies")
"""What is told before the download need not be told again after it."""

__all__ = ["clone_and_fill", "export_local_dir", "export_to_cache"]


def clone_and_fill(spec: RepoSpec, dest: Path, settings: Settings, on_event: OnEvent = ignore) -> tuple[Report, Shared]:
    """``clone``; then the Hub cache has it, too, under the name and the revision that ``spec`` says.

    Why the name: a renamed repo's users go on to load it by the old one.

    Raises:
        HfcloneError: as ``clone`` and ``fill_cache``.
    """
    once = _Once(on_event)

    def hear(event: Event) -> None:
        once(event)
        if isinstance(event, Planned):
            foretell(event.plan, state_dir_of(dest), spec.repo, settings, once)

    report = clone(spec, dest, settings, hear)
    here = find_existing(report.path, offline_git(settings))
    return report, fill_cache(here, spec.repo, spec.revision or HUGGING_FACE.default_branch, settings, once)


class _Once:
    """Passes events on; of warnings the first of each kind."""

    def __init__(self, on_event: OnEvent) -> None:
        self._on_event = on_event
        self._warned: set[str] = set()

    def __call__(self, event: Event) -> None:
        if isinstance(event, Warned) and event.code in _COSTS:
            if event.code in self._warned:
                return
            self._warned.add(event.code)
        self._on_event(event)


def export_to_cache(
    directory: Path | None, revision: str | None, settings: Settings, on_event: OnEvent = ignore
) -> Shared:
    """``fill_cache`` from the checkout at ``directory``, as ``revision``, else as the branch that it is on.

    Raises:
        NotACheckout: there is none. ForeignOrigin: its origin is no repo of the hub.
        HfcloneError: as ``fill_cache``.
    """
    here = find_existing(directory, offline_git(settings))
    repo = expect_hub_repo(here, settings)
    return fill_cache(here, repo, upstream(here) if revision is None else revision, settings, on_event)


def export_local_dir(directory: Path | None, settings: Settings, on_event: OnEvent = ignore) -> Shared:
    """``note_local_dir`` for the checkout at ``directory``.

    Raises:
        NotACheckout: there is none.
        HfcloneError: as ``note_local_dir``.
    """
    return note_local_dir(find_existing(directory, offline_git(settings)), on_event)
