"""Which of a repo's objects the user wants: by pattern, by quantisation, by size."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from hfclone.errors import QuantNotFound
from hfclone.hub.huggingface import select as matching
from hfclone.selection.quants import choose_quants, missing_quants, quants_among
from hfclone.settings import Settings

__all__ = ["check_quants", "select", "wanting_all"]


def select(sizes: Mapping[bytes, int], settings: Settings) -> frozenset[bytes]:
    """The paths of ``sizes`` (bytes by path) that the user asked for: what every rule picks.

    Raises:
        QuantNotFound: a quantisation that was asked for is not among them.
    """
    wanted = _matching(sizes, settings)
    if settings.quants:
        check_quants(sizes, settings)
        wanted &= choose_quants(sizes, settings.quants)
    limit = settings.max_size
    return wanted if limit is None else frozenset(path for path in wanted if sizes[path] <= limit)


def _matching(paths: Iterable[bytes], settings: Settings) -> frozenset[bytes]:
    if not settings.include and not settings.exclude:
        return frozenset(paths)
    return matching(paths, include=settings.include, exclude=settings.exclude)


def check_quants(paths: Iterable[bytes], settings: Settings) -> None:
    """See to it that every quantisation that was asked for is among ``paths``. Raises as ``select``."""
    listed = list(paths) if settings.quants else []
    missing = missing_quants(listed, settings.quants)
    if missing:
        raise QuantNotFound(missing, quants_among(listed))


def wanting_all(settings: Settings) -> Settings:
    """``settings`` that leave nothing out: where something else chooses."""
    return replace(settings, include=(), exclude=(), quants=(), max_size=None)
