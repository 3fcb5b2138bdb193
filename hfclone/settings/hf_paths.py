"""Where huggingface_hub keeps its things, by its own rules; read here, since its import takes long."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from hfclone.settings.chosen import Settings

__all__ = ["cache_at", "has_cache_links", "hub_cache"]

_YES = ("1", "ON", "YES", "TRUE")


def hub_cache(settings: Settings) -> Path:
    """The Hub cache: what was chosen, else ``HF_HOME/hub``, else ``XDG_CACHE_HOME/huggingface/hub``. Need not exist."""
    return cache_at(settings.cache_dir, settings.environment)


def cache_at(chosen: str, environ: Mapping[str, str]) -> Path:
    """The same, before there are settings; ``chosen`` is empty for the usual place."""
    home = environ.get("HF_HOME") or f"{environ.get('XDG_CACHE_HOME') or '~/.cache'}/huggingface"
    return Path(os.path.expandvars(os.path.expanduser(chosen or f"{home}/hub"))).absolute()  # noqa: PTH111  # never raises


def has_cache_links(settings: Settings) -> bool:
    """Whether the user lets the cache be made of symbolic links, as it is by default."""
    return settings.environment.get("HF_HUB_DISABLE_SYMLINKS", "").upper() not in _YES
