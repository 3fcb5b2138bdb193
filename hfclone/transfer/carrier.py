"""What moves bytes in place of our own connections: another program, which knows no rule of ours.

A carrier is handed what is left of an object at one endpoint, says how far it is, and ends, well or
with an error. Whom to ask, when to go on, whose bytes are wrong: all of that is the coordinator's, as for
our own connections, and whatever a carrier cannot move or does not live to move those fetch.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from hfclone.pointer import Pointer
from hfclone.transfer import Wanted

__all__ = ["LEAST_SPLIT_BYTES", "CannotRun", "Carrier", "Load", "Lost", "Moved", "StartsCarrier", "Unfit"]

LEAST_SPLIT_BYTES = 1024 * 1024
"""For less a carrier opens no second connection."""


class CannotRun(Exception):
    """There is no carrier that can be worked with; says why."""


class Lost(Exception):
    """The carrier is gone, or does not answer as it would; says how that was seen."""


class Unfit(Exception):
    """The carrier cannot move this object, whoever sends it; says why."""


@dataclass(frozen=True, slots=True)
class Load:
    """All of ``pointer`` that ``path`` lacks, as aria2's control file beside it says, from ``url``."""

    pointer: Pointer
    path: Path
    """Absolute."""
    url: str
    """Needs no secret; leads no further."""
    sender: str
    """Whom errors name."""
    connections: int
    """To open at the most."""
    silence: float
    """Seconds after which a silent connection is left."""


@dataclass(frozen=True, slots=True)
class Moved:
    """How far a load is."""

    here: Iterable[tuple[int, int]] = ()
    """Ranges that are in the file now."""
    received: int = 0
    """Bytes that came, of pieces that are not whole as well."""
    waits: bool = False
    """Its turn has not come yet."""
    flows: bool = False
    """Bytes come, and too few of them to be told of yet."""


class Carrier(Protocol):
    """A program that moves bytes. Its methods may be called from any thread."""

    @property
    def name(self) -> str:
        """What users call it."""
        ...

    @property
    def most_connections(self) -> int:
        """That it opens for one object."""
        ...

    @property
    def outlives_us(self) -> str:
        """The address of one that goes on writing when we are killed; empty where it ends with us."""
        ...

    def carry(self, load: Load) -> Generator[Moved, None, None]:
        """Move ``load``; tell how far it is some times a second, until it is whole. Closing ends that soon.

        When it has ended, well or not, nothing is written any more, and the control file says what came.

        Raises:
            TransferError: it failed, as its own words have it; whoever sends may know better.
            Unfit, Lost: see there.
        """
        ...


class StartsCarrier(Protocol):
    """How a carrier is had."""

    def start(self, wanted: Wanted) -> AbstractContextManager[Carrier]:
        """One for a fetch of ``wanted``, which ends with the context. Raises CannotRun."""
        ...
