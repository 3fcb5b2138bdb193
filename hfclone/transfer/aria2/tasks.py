"""Objects on their way through aria2c. Plain data, of the caller's thread."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from enum import Enum

from hfclone.endpoints import Endpoint
from hfclone.errors import HfcloneError
from hfclone.partials import Partial, Record
from hfclone.pointer import Pointer
from hfclone.ranges import RangeSet
from hfclone.transfer.aria2.downloads import Look
from hfclone.transfer.sources import Source

__all__ = ["Phase", "Task"]


class Phase(Enum):
    """Where an object is."""

    WAITING = "waiting"
    PREPARING = "preparing"
    """Its partial is opened and proven, its URLs are looked for."""
    FETCHING = "fetching"
    """aria2c has it."""
    ENDING = "ending"
    """aria2c has done with it, well or not."""


@dataclass(slots=True, eq=False)
class Task:
    """One object on its way."""

    pointer: Pointer
    phase: Phase = Phase.WAITING
    busy: bool = False
    """A job of it is under way."""
    partial: Partial | None = None
    held: RangeSet = field(default_factory=RangeSet)
    """What is here by the journal."""
    senders: set[str] = field(default_factory=set)
    """Whose bytes lie in it, by the names that the journal gives them."""
    sources: tuple[Source, ...] = ()
    asked: tuple[Endpoint, ...] = ()
    gid: str = ""
    split: int = 1
    position: int = 0
    """Bytes that are here, as last told."""
    began: float = 0.0
    progressed: bool = False
    """Something arrived since it was handed over."""
    topped_up: float = 0.0
    stopping: bool = False
    """It was taken back from aria2c; nobody is to blame."""
    last: Look | None = None
    digest: hashlib._Hash = field(default_factory=hashlib.sha256)
    hashed: int = 0
    barred: dict[Endpoint, HfcloneError] = field(default_factory=dict)
    """Who is not asked for it again, and why."""
    absences: Counter[Endpoint] = field(default_factory=Counter)
    other_files: Counter[Endpoint] = field(default_factory=Counter)
    unforeseen: Counter[Endpoint] = field(default_factory=Counter)
    wrong: Counter[Endpoint] = field(default_factory=Counter)
    """How often an endpoint that sent all of it sent it wrong."""
    alone: Endpoint | None = None
    """After wrong bytes from several: the only one asked, so that the next time names the liar."""
    doubts: list[Record] = field(default_factory=list)
    """What was thrown away as wrong; whose bytes differ from the right ones is named in the end."""
    error: HfcloneError | None = None
    """What last went wrong with it."""
    ready_at: float = 0.0
    vain: int = 0
    """Failures in a row that brought no byte and that nobody explains."""

    @property
    def opened(self) -> Partial:
        """The partial; only where it has been opened."""
        assert self.partial is not None
        return self.partial

    @property
    def sender(self) -> str:
        """The name for bytes that come now; several together cannot be told apart."""
        return "+".join(sorted(str(source.endpoint) for source in self.sources))

    @property
    def urls(self) -> tuple[str, ...]:
        """Where aria2c fetches it from."""
        return tuple(source.url for source in self.sources)

    def handed_over(self, now: float, told: int) -> None:
        """It is aria2c's from now on, which was told of ``told`` bytes that are here."""
        self.gid, self.phase, self.began, self.topped_up = "", Phase.FETCHING, now, now
        self.progressed, self.stopping, self.last = False, False, None
        self.position = min(self.position, told)

    def journalled(self, records: list[Record]) -> None:
        """These stand in the journal now."""
        for record in records:
            self.held.add(record.start, record.stop)
            self.senders.add(record.endpoint)
        self.opened.records += records

    def begin_anew(self) -> None:
        """Nothing of it is here any more."""
        self.held, self.senders, self.position = RangeSet(), set(), 0
        self.digest, self.hashed, self.partial = hashlib.sha256(), 0, None

    def close(self) -> None:
        """Let its files go."""
        if self.partial is not None:
            self.partial.close()
            self.partial = None
