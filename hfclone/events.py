"""The facts a run reports. Views (bars, JSON lines, a test's list) compute what they show from them.

Positions are absolute: a restart is a smaller position, and nobody rolls a bar back. All events
reach the observer on the caller's thread, one at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hfclone.errors import HfcloneError
from hfclone.names import Pin, Repo
from hfclone.plan import Plan
from hfclone.pointer import Oid, Pointer
from hfclone.wording import warning

__all__ = [
    "ByteCount",
    "Demoted",
    "EndpointTally",
    "Event",
    "Failed",
    "Faulted",
    "Finished",
    "OnEvent",
    "Pinned",
    "Planned",
    "Position",
    "Renamed",
    "Report",
    "Reused",
    "Shared",
    "Started",
    "Verified",
    "Waiting",
    "Warned",
    "Working",
    "ignore",
]


@dataclass(frozen=True, slots=True)
class Pinned:
    """The revision is a commit now. ``endpoint`` said so; empty where the user gave the commit."""

    pin: Pin
    revision: str | None
    endpoint: str


@dataclass(frozen=True, slots=True)
class Renamed:
    """The repo has another name now; everything after this uses the new one."""

    before: Repo
    after: Repo


@dataclass(frozen=True, slots=True)
class Working:
    """Local or git work that may take long. ``total`` is 0 where it is not known; units by ``what``."""

    what: str
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Planned:
    """What will be done; comes before the first large byte."""

    plan: Plan
    fetching: bool = True
    """Whether what is missing will be fetched, or only be looked for on this machine."""


@dataclass(frozen=True, slots=True)
class Reused:
    """``objects`` of ``size`` bytes in all were taken from ``place`` on this machine, and need not be fetched."""

    place: str
    objects: int
    size: int


@dataclass(frozen=True, slots=True)
class Started:
    """An endpoint began to send bytes of an object."""

    oid: Oid
    endpoint: str


@dataclass(frozen=True, slots=True)
class Position:
    """``received`` bytes of the object lie in its partial."""

    oid: Oid
    received: int


@dataclass(frozen=True, slots=True)
class Verified:
    """The object's sha256 and size are its pointer's, and it is at its paths."""

    pointer: Pointer


@dataclass(frozen=True, slots=True)
class Failed:
    """The object is given up for this run; its partial is kept."""

    pointer: Pointer
    error: HfcloneError


@dataclass(frozen=True, slots=True)
class Warned:
    """Something that the user has to know, and that does not stop the run. ``code`` is kebab-case and stable."""

    code: str
    fields: Mapping[str, object] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """What is told of it."""
        return warning(self.code, self.fields)


@dataclass(frozen=True, slots=True)
class Faulted:
    """One request failed; the run goes on. For ``-v``."""

    endpoint: str
    error: HfcloneError


@dataclass(frozen=True, slots=True)
class Demoted:
    """An endpoint is not asked for ``what`` for a while."""

    endpoint: str
    what: str
    reason: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """Nothing moves for ``seconds`` from now, unless something comes earlier; Ctrl-C is safe.

    ``gives_up_in``: seconds until the run ends if nothing comes; ``None`` is never.
    """

    seconds: float
    reason: str
    gives_up_in: float | None


@dataclass(frozen=True, slots=True)
class EndpointTally:
    """What one endpoint did in a run. ``sent`` is in bytes of object content."""

    endpoint: str
    sent: int
    failures: int


@dataclass(frozen=True, slots=True)
class Report:
    """How a run ended well. Sizes in bytes, ``seconds`` of wall time."""

    pin: Pin
    path: Path
    objects: int
    """Objects in place, verified now or earlier."""
    fetched_bytes: int
    reused_bytes: int
    unselected: int
    """Objects that stay as pointers because they were not asked for."""
    seconds: float
    endpoints: tuple[EndpointTally, ...]
    unread: int = 0
    """Objects among them that were not read now: their files look as they did when they were verified."""
    kept: tuple[bytes, ...] = ()
    """Paths at which the user's own stands (an edited file, say), and not what the commit has."""


@dataclass(frozen=True, slots=True)
class Shared:
    """What a checkout holds is known to another tool now."""

    form: str
    """``hf-cache`` or ``local-dir``."""
    path: Path
    """Where the tool finds the files."""
    files: int
    lacking: int
    """Files that are not here: objects that were not fetched."""
    disk_bytes: int
    """Bytes of disk that it took."""
    way: str
    """How large files came there: ``reflink``, ``hardlink`` or ``copy``; empty where they stay."""


@dataclass(frozen=True, slots=True)
class Finished:
    """The last event of a run that ended well."""

    report: Report


Event = (
    Pinned
    | Renamed
    | Working
    | Planned
    | Reused
    | Started
    | Position
    | Verified
    | Failed
    | Faulted
    | Demoted
    | Waiting
    | Warned
    | Shared
    | Finished
)
OnEvent = Callable[[Event], None]


def ignore(_event: Event) -> None:
    """The observer that does not look."""


class ByteCount:
    """Bytes done of a long job, told as ``Working`` at most once in 16 MiB, and at the end.

    A ``total`` of 0 is one that nobody knows.
    """

    _STEP = 16 * 1024 * 1024

    def __init__(self, what: str, total: int, on_event: OnEvent) -> None:
        self._what, self._total, self._on_event = what, total, on_event
        self._done, self._told = 0, 0

    def advance(self, count: int) -> None:
        """So many more."""
        self._done += count
        if self._done - self._told >= self._STEP or self._done == self._total:
            self._told = self._done
            self._on_event(Working(self._what, self._done, self._total))
