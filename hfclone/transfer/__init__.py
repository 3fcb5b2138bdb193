"""Ways of moving objects: the seam between what has to arrive and how it arrives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from hfclone.errors import NotInOrigin
from hfclone.events import Failed, OnEvent
from hfclone.names import Pin
from hfclone.partials import Partials
from hfclone.pointer import Oid, Pointer

__all__ = ["Arrived", "NoTransfer", "Transfer", "Wanted"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a transfer is asked for. ``paths`` names each object for endpoints that know only paths."""

    pin: Pin
    objects: Sequence[Pointer]
    paths: Mapping[Oid, tuple[bytes, ...]]
    partials: Partials


@dataclass(frozen=True, slots=True)
class Arrived:
    """An object whose bytes lie in ``part``, whole; ``digest`` is the sha256 of what lies there."""

    pointer: Pointer
    part: Path
    digest: Oid
    synced: bool = False
    """Whether the disk has them."""


class Transfer(Protocol):
    """A way of moving objects; it resolves, fetches and hashes, and decides nothing about placing."""

    def fetch(self, wanted: Wanted, on_event: OnEvent) -> Iterator[Arrived | Failed]:
        """Yield exactly one outcome for each wanted object, in any order, as each settles.

        Resumes each object's partial and goes on through faults as patience allows. What is given
        up is yielded as ``Failed``, never raised. Closing the iterator stops the work within a
        second and keeps the partials. ``on_event`` is called on the caller's thread only.

        Raises:
            LocalError: this machine cannot, and no waiting will change that.
        """
        ...


@dataclass(frozen=True, slots=True)
class NoTransfer:
    """For a checkout that comes from a folder of this machine: what was not found there is to be had from nobody."""

    folder: str

    def fetch(self, wanted: Wanted, on_event: OnEvent) -> Iterator[Arrived | Failed]:  # noqa: ARG002  # as Transfer's
        """As ``Transfer.fetch``; all fail."""
        for pointer in wanted.objects:
            yield Failed(pointer, NotInOrigin(pointer.oid, self.folder))
