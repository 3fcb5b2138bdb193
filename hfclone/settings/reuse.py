"""Where objects may lie on this machine already: what the user names, and the Hub's own cache."""

from __future__ import annotations

from pathlib import Path

from hfclone.errors import BadOption
from hfclone.settings.layers import Said
from hfclone.wording import phrase

__all__ = ["reused_places"]

NOTHING = "none"
"""In place of a directory: look nowhere that is not named, not even into the Hub's cache."""


def reused_places(said: Said, cache: Path) -> tuple[Path, ...]:
    """The directories that are named, and after them the Hub's ``cache``, if there is one.

    Raises:
        BadOption: there is no such directory.
    """
    named = [_directory(text, said.name) for text in said.values if text != NOTHING]
    with_cache = NOTHING not in said.values and _is_directory(cache)
    return tuple(dict.fromkeys([*named, cache] if with_cache else named))


def _directory(text: str, option: str) -> Path:
    try:
        path = Path(text).expanduser().absolute()
    except RuntimeError:  # no such user
        path = Path(text).absolute()
    if not _is_directory(path):
        raise BadOption(option, text, phrase("no-readable-directory"))
    return path


def _is_directory(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False
