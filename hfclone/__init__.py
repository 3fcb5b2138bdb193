"""hfclone as a library: a Hugging Face repo as an exact, verified git checkout, over poor networks.

>>> from hfclone import clone
>>> report = clone("org/name", mirrors=["hf-mirror.com"])    # doctest: +SKIP
>>> report.pin.commit, report.path                           # doctest: +SKIP

Everything is imported when it is first used: ``hfclone --version`` has no time for more.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hfclone.api import clone, fill_cache, note_local_dir, pull, status, verify
    from hfclone.checkout.overview import Status
    from hfclone.errors import (
        HfcloneError,
        Incomplete,
        IntegrityError,
        LocalError,
        RemoteError,
        TransferError,
        UsageError,
    )
    from hfclone.events import Event, OnEvent, Report, Shared
    from hfclone.names import Pin, Repo, RepoType
    from hfclone.plan import Plan
    from hfclone.verification import Audit

__all__ = [
    "Audit",
    "Event",
    "HfcloneError",
    "Incomplete",
    "IntegrityError",
    "LocalError",
    "OnEvent",
    "Pin",
    "Plan",
    "RemoteError",
    "Repo",
    "RepoType",
    "Report",
    "Shared",
    "Status",
    "TransferError",
    "UsageError",
    "clone",
    "fill_cache",
    "note_local_dir",
    "pull",
    "status",
    "verify",
]

_HOMES = {
    **dict.fromkeys(("clone", "fill_cache", "note_local_dir", "pull", "status", "verify"), "api"),
    **dict.fromkeys(("Event", "Shared", "OnEvent", "Report"), "events"),
    **dict.fromkeys(("Pin", "Repo", "RepoType"), "names"),
    "Audit": "verification",
    "Plan": "plan",
    "Status": "checkout.overview",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES.get(name, 'errors')}"), name)
