"""What was chosen of a repo for its checkout: kept beside it, so that ``verify`` need not be told again.

A file of ours in ``.git/hfclone``. Each run that brings objects leaves there what it was told; lost or damaged it
is as if all had been chosen. What a lockfile says is not touched by it.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from glob import escape
from os import fsdecode
from pathlib import Path

from hfclone.errors import QuantNotFound
from hfclone.files.access import UMASK, Access
from hfclone.files.ondisk import write_safely
from hfclone.settings import Settings

__all__ = ["ALL", "Choice", "chosen", "leaving", "read_choice", "remember"]

_VERSION = 1


@dataclass(frozen=True, slots=True)
class Choice:
    """The settings that say which objects are wanted. The default leaves nothing out."""

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    quants: tuple[str, ...] = ()
    max_size: int | None = None

    def __bool__(self) -> bool:
        """Whether it may leave anything out."""
        return self != Choice()

    def applied(self, settings: Settings) -> Settings:
        """``settings`` with this choice in place of theirs."""
        return replace(settings, **asdict(self))

    def picks(self, sizes: Mapping[bytes, int]) -> Collection[bytes]:
        """The paths of ``sizes`` (bytes by path) that are wanted; all where a quantisation is not among them any more.

        Slow for the first time where there are patterns: huggingface_hub is imported.
        """
        from hfclone.selection.select import select  # and its imports

        try:
            return select(sizes, self.applied(Settings()))
        except QuantNotFound:
            return sizes.keys()

    def __str__(self) -> str:
        """The options that say this on a command line."""
        lists = (("--include", self.include), ("--exclude", self.exclude), ("--quant", self.quants))
        words = [word for option, values in lists for value in values for word in (option, value)]
        return shlex.join([*words, *(() if self.max_size is None else ("--max-size", str(self.max_size)))])


ALL = Choice()
"""Nothing is left out."""


def chosen(settings: Settings) -> Choice:
    """What ``settings`` choose."""
    return Choice(settings.include, settings.exclude, settings.quants, settings.max_size)


def leaving(paths: Iterable[bytes]) -> Choice:
    """All but ``paths``."""
    return Choice(exclude=tuple(escape(fsdecode(path)) for path in sorted(paths)))


def remember(state: Path, choice: Choice, access: Access = UMASK) -> None:
    """Keep ``choice`` for the checkout whose directory of ours is ``state``, for those that ``access`` lets read it.

    Raises:
        CannotWrite, DiskFull: the system refuses.
    """
    file = _file(state)
    if not choice:
        file.unlink(missing_ok=True)
    elif read_choice(state) != choice:
        write_safely(file, json.dumps({"version": _VERSION, **asdict(choice)}).encode("ascii"), access=access)


def read_choice(state: Path) -> Choice:
    """What was kept there; all, if that is nothing that can be read."""
    try:
        said = json.loads(_file(state).read_bytes())
        if said["version"] != _VERSION:
            return ALL
        include, exclude, quants = (_texts(said[name]) for name in ("include", "exclude", "quants"))
        limit = said["max_size"]
        return Choice(include, exclude, quants, None if limit is None else int(limit))
    except (OSError, ValueError, KeyError, TypeError):
        return ALL


def _texts(said: object) -> tuple[str, ...]:
    if not isinstance(said, list) or not all(isinstance(one, str) for one in said):
        raise ValueError
    return tuple(said)


def _file(state: Path) -> Path:
    return state / "choice"
