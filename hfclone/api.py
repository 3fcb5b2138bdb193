"""The jobs with plain arguments, named as ``huggingface_hub.snapshot_download`` names them. Nothing is printed."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, overload

from hfclone.checkout.overview import Status
from hfclone.errors import BadOption
from hfclone.events import OnEvent, Report, Shared, ignore
from hfclone.flows import clone as clone_flow
from hfclone.hub.pasted import parse_repo_spec
from hfclone.names import RepoType, Token
from hfclone.plan import Plan
from hfclone.settings import Settings, narrowed, read_settings
from hfclone.verification import Audit
from hfclone.wording import phrase

__all__ = ["clone", "fill_cache", "note_local_dir", "pull", "status", "verify"]

AnyPath = str | os.PathLike[str]
Patterns = str | Sequence[str] | None


@overload
def clone(
    repo_id: str,
    local_dir: AnyPath | None = None,
    *,
    repo_type: str | None = None,
    revision: str | None = None,
    allow_patterns: Patterns = None,
    ignore_patterns: Patterns = None,
    mirrors: str | Sequence[str] = (),
    endpoint: str | None = None,
    token: str | None = None,
    proxies: Mapping[str, str] | None = None,
    max_workers: int | None = None,
    cache_dir: AnyPath | None = None,
    dry_run: Literal[False] = False,
    on_event: OnEvent = ignore,
) -> Report: ...


@overload
def clone(
    repo_id: str,
    local_dir: AnyPath | None = None,
    *,
    repo_type: str | None = None,
    revision: str | None = None,
    allow_patterns: Patterns = None,
    ignore_patterns: Patterns = None,
    mirrors: str | Sequence[str] = (),
    endpoint: str | None = None,
    token: str | None = None,
    proxies: Mapping[str, str] | None = None,
    max_workers: int | None = None,
    cache_dir: AnyPath | None = None,
    dry_run: Literal[True],
    on_event: OnEvent = ignore,
) -> Plan: ...


def clone(  # noqa: PLR0913  # the names of huggingface_hub.snapshot_download
    repo_id: str,
    local_dir: AnyPath | None = None,
    *,
    repo_type: str | None = None,
    revision: str | None = None,
    allow_patterns: Patterns = None,
    ignore_patterns: Patterns = None,
    mirrors: str | Sequence[str] = (),
    endpoint: str | None = None,
    token: str | None = None,
    proxies: Mapping[str, str] | None = None,
    max_workers: int | None = None,
    cache_dir: AnyPath | None = None,
    dry_run: bool = False,
    on_event: OnEvent = ignore,
) -> Report | Plan:
    """Make ``local_dir`` (default: the repo's name in the current directory) a verified checkout of ``repo_id``.

    ``repo_id`` may be all that the command line takes (``datasets/org/name@rev``, a page's URL). What
    is not given comes from the environment, as on the command line. The patterns say which large
    files are fetched; the others stay as pointers. ``max_workers`` caps the number of connections.
    ``proxies`` are URLs by scheme (``http``, ``https``, ``all``). With ``cache_dir`` the Hub cache
    there is filled from the checkout, too, as ``fill_cache`` does. ``dry_run`` fetches and writes
    nothing, and returns the plan. ``on_event`` hears what happens, on this thread.

    Raises:
        HfcloneError: by kind (``hfclone.UsageError``, ``RemoteError``, ``TransferError``,
            ``IntegrityError``, ``LocalError``, ``Incomplete``); what arrived is kept, and the same
            call goes on from there.
    """
    spec = parse_repo_spec(repo_id, repo_type=_kind(repo_type), revision=revision)
    settings = _settings(
        mirrors=mirrors,
        endpoint=endpoint,
        token=token,
        max_workers=max_workers,
        allow_patterns=allow_patterns,
        ignore_patterns=ignore_patterns,
        proxies=proxies,
        cache_dir=cache_dir,
    )
    settings = narrowed(settings, spec)
    dest = Path(spec.repo.name if local_dir is None else local_dir)
    if dry_run:
        return clone_flow.plan(spec, dest, settings, on_event)
    if cache_dir is None:
        return clone_flow.clone(spec, dest, settings, on_event)
    from hfclone.flows.handing import clone_and_fill

    return clone_and_fill(spec, dest, settings, on_event)[0]


def pull(  # noqa: PLR0913  # as clone
    local_dir: AnyPath,
    *,
    revision: str | None = None,
    allow_patterns: Patterns = None,
    ignore_patterns: Patterns = None,
    mirrors: str | Sequence[str] = (),
    endpoint: str | None = None,
    token: str | None = None,
    proxies: Mapping[str, str] | None = None,
    max_workers: int | None = None,
    on_event: OnEvent = ignore,
) -> Report:
    """Move the checkout in ``local_dir`` to what ``revision`` is now, or else the branch that it is on.

    Arguments and errors as those of ``clone``.
    """
    from hfclone.flows import pull as pull_flow

    settings = _settings(
        mirrors=mirrors,
        endpoint=endpoint,
        token=token,
        max_workers=max_workers,
        allow_patterns=allow_patterns,
        ignore_patterns=ignore_patterns,
        proxies=proxies,
    )
    return pull_flow.pull(Path(local_dir), revision, settings, on_event)


def verify(local_dir: AnyPath, *, lockfile: AnyPath | None = None, on_event: OnEvent = ignore) -> Audit:
    """Read every byte of a checkout, against its commit or a lockfile. Right if ``findings`` is empty. Asks nobody.

    Raises:
        HfcloneError: ``local_dir`` or ``lockfile`` is not what it has to be. What is wrong in the files is no error.
    """
    from hfclone.flows import verify as verify_flow

    lock = None if lockfile is None else Path(lockfile)
    return verify_flow.verify(Path(local_dir), lock, read_settings({}), on_event)


def status(local_dir: AnyPath) -> Status:
    """How a checkout stands, by what was noted; reads no large file.

    Raises:
        HfcloneError: ``local_dir`` is no checkout.
    """
    from hfclone.checkout.existing import find_existing
    from hfclone.checkout.overview import status_of
    from hfclone.git import Git

    return status_of(find_existing(Path(local_dir), Git(read_settings({}).environment)))


def fill_cache(
    local_dir: AnyPath,
    *,
    revision: str | None = None,
    cache_dir: AnyPath | None = None,
    endpoint: str | None = None,
    on_event: OnEvent = ignore,
) -> Shared:
    """Let ``from_pretrained("org/name")`` and huggingface_hub find a checkout's files in the Hub cache, offline.

    ``revision``: the name that it can be asked for by, where that is not the checkout's branch.
    ``cache_dir``: another cache than huggingface_hub's own. Large files are shared with the checkout
    where the file system can.

    Raises:
        HfcloneError: a large file was edited, or this machine cannot.
    """
    from hfclone.flows.handing import export_to_cache

    settings = _settings(endpoint=endpoint, cache_dir=cache_dir)
    return export_to_cache(Path(local_dir), revision, settings, on_event)


def note_local_dir(local_dir: AnyPath, *, on_event: OnEvent = ignore) -> Shared:
    """Let ``snapshot_download(local_dir=...)`` and ``hf download --local-dir`` see that a checkout is complete.

    Raises:
        HfcloneError: a file was edited (they would write over it), or this machine cannot.
    """
    from hfclone.flows.handing import export_local_dir

    return export_local_dir(Path(local_dir), read_settings({}), on_event)


def _settings(  # what several jobs take
    *,
    mirrors: str | Sequence[str] = (),
    endpoint: str | None = None,
    token: str | None = None,
    max_workers: int | None = None,
    allow_patterns: Patterns = None,
    ignore_patterns: Patterns = None,
    proxies: Mapping[str, str] | None = None,
    cache_dir: AnyPath | None = None,
) -> Settings:
    flags = {
        "--mirror": _texts(mirrors),
        "--endpoint": (endpoint,) if endpoint else (),
        "--include": _texts(allow_patterns),
        "--exclude": _texts(ignore_patterns),
        "--connections": (str(max_workers),) if max_workers is not None else (),
        "--cache-dir": (os.fspath(cache_dir),) if cache_dir is not None else (),
        **_proxy_flags(proxies or {}),
    }
    settings = read_settings(flags)
    return settings if token is None else replace(settings, token=Token(token))


def _proxy_flags(proxies: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    for scheme in proxies:
        if scheme not in ("http", "https", "all"):
            raise BadOption("proxies", scheme, phrase("write-by-scheme"))
    return {f"{scheme}-proxy": (url,) for scheme, url in proxies.items()}


def _kind(repo_type: str | None) -> RepoType | None:
    if repo_type is None:
        return None
    try:
        return RepoType(repo_type)
    except ValueError:
        names = ", ".join(kind.value for kind in RepoType)
        raise BadOption("repo_type", repo_type, phrase("write-one-of", names=names)) from None


def _texts(given: Patterns) -> tuple[str, ...]:
    """One or several, as huggingface_hub takes patterns; a text is not the sequence of its letters."""
    return () if given is None else (given,) if isinstance(given, str) else tuple(given)
