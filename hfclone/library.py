"""The main job with plain arguments, named as ``huggingface_hub.snapshot_download`` names them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from hfclone import flows
from hfclone.errors import BadOption
from hfclone.events import OnEvent, Report, ignore
from hfclone.names import RepoType, Token, parse_repo_spec
from hfclone.settings import narrowed, read_settings

__all__ = ["clone"]


def clone(  # noqa: PLR0913  # the names of huggingface_hub.snapshot_download
    repo_id: str,
    local_dir: str | os.PathLike[str] | None = None,
    *,
    repo_type: str | None = None,
    revision: str | None = None,
    allow_patterns: str | Sequence[str] | None = None,
    ignore_patterns: str | Sequence[str] | None = None,
    mirrors: Sequence[str] = (),
    endpoint: str | None = None,
    token: str | None = None,
    max_workers: int | None = None,
    on_event: OnEvent = ignore,
) -> Report:
    """Make ``local_dir`` (default: the repo's name in the current directory) a verified checkout of ``repo_id``.

    ``repo_id`` may be all that the command line takes (``datasets/org/name@rev``, a page's URL). What
    is not given comes from the environment, as on the command line. ``max_workers`` caps the number
    of connections. ``on_event`` hears what happens, on this thread. Prints nothing.

    Raises:
        HfcloneError: by kind (``hfclone.UsageError``, ``RemoteError``, ``TransferError``,
            ``IntegrityError``, ``LocalError``, ``Incomplete``); what arrived is kept, and the same
            call goes on from there.
    """
    spec = parse_repo_spec(repo_id, repo_type=_kind(repo_type), revision=revision)
    flags = {
        "--mirror": tuple(mirrors),
        "--endpoint": (endpoint,) if endpoint else (),
        "--include": _patterns(allow_patterns),
        "--exclude": _patterns(ignore_patterns),
        "--connections": (str(max_workers),) if max_workers is not None else (),
    }
    settings = narrowed(read_settings(flags), spec)
    if token is not None:
        settings = replace(settings, token=Token(token))
    dest = Path(spec.repo.name if local_dir is None else local_dir)
    return flows.clone(spec, dest, settings, on_event)


def _kind(repo_type: str | None) -> RepoType | None:
    if repo_type is None:
        return None
    try:
        return RepoType(repo_type)
    except ValueError:
        names = ", ".join(kind.value for kind in RepoType)
        raise BadOption("repo_type", repo_type, f"write one of {names}") from None


def _patterns(given: str | Sequence[str] | None) -> tuple[str, ...]:
    """One pattern or several, as huggingface_hub takes them."""
    return () if given is None else (given,) if isinstance(given, str) else tuple(given)
