"""What the parts of a run through aria2c work with."""

from __future__ import annotations

from dataclasses import dataclass

from hfclone.events import OnEvent
from hfclone.health import Board
from hfclone.partials import Partials
from hfclone.patience import Clock, Patience
from hfclone.transfer.aria2.crew import Crew
from hfclone.transfer.aria2.downloads import Downloads
from hfclone.transfer.aria2.verdicts import Verdicts
from hfclone.transfer.aria2.work import Workshop
from hfclone.transfer.sources import Sources
from hfclone.transfer.tempo import Hours

__all__ = ["Kit"]


@dataclass(frozen=True, slots=True)
class Kit:
    """Everything that one fetch needs."""

    downloads: Downloads
    workshop: Workshop
    crew: Crew
    verdicts: Verdicts
    board: Board
    sources: Sources
    partials: Partials
    patience: Patience
    clock: Clock
    hours: Hours
    connections: int
    silence: float
    """Seconds after which a silent connection is left, where a first try came to nothing."""
    on_event: OnEvent
    floor: float
    """Bytes a second below which an endpoint crawls."""
    early: bool
    """Whether what aria2c says it has is on disk at once, so that it can be hashed while the rest arrives."""
    ahead: int = 0
    """Objects that may wait in aria2c for their turn; 0 where how many run at once is not ours to say."""
    shares: int | None = None
    """Bytes a second that are shared out among the downloads; ``None`` where aria2c keeps the limit itself."""
    daemon: str = ""
    """The URL of an aria2 that does not end with us; empty for our own."""
