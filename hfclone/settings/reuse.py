"""Where objects may lie on this machine already: what the user names, and the Hub's own cache."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from hfclone.errors import BadOption
from hfclone.settings.layers import Said

__all__ = ["reused_places"]

NOTHING = "none"
"""In place of a directory: look nowhere that is not named, not even into the Hub's cache."""


def reused_places(said: Said, environ: Mapping[str, str]) -> tuple[Path, ...]:
    """The directories that are named, and after them the Hub's cache.

    Raises:
        BadOption: there is no such directory.
    """
    named = [_directory(text, said.name) for text in said.values if text != NOTHING]
    cache = None if NOTHING in said.values else _hub_cache(environ)
    return tuple(dict.fromkeys([*named, cache] if cache else named))


def _directory(text: str, option: str) -> Path:
    try:
        path = Path(text).expanduser().absolute()
    except RuntimeError:  # no such user
        path = Path(text).absolute()
    if not path.is_dir():
        raise BadOption(option, text, "there is no such directory")
    return path


def _hub_cache(environ: Mapping[str, str]) -> Path | None:
    """Where huggingface_hub keeps what it has fetched, by its own rules; read here, since its import takes long."""
    home = environ.get("HF_HOME") or f"{environ.get('XDG_CACHE_HOME') or '~/.cache'}/huggingface"
    text = environ.get("HF_HUB_CACHE") or environ.get("HUGGINGFACE_HUB_CACHE") or f"{home}/hub"
    try:
        path = Path(os.path.expandvars(text)).expanduser().absolute()
        return path if path.is_dir() else None
    except (OSError, RuntimeError, ValueError):
        return None
