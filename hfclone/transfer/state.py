"""What a transfer holds in memory while it runs. Plain data; the coordinator's lock guards all of it."""

from __future__ import annotations

import hashlib
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from hfclone.errors import LocalError
from hfclone.events import Event, Failed, Position, Working
from hfclone.hub.endpoint import Endpoint
from hfclone.partials import Partial
from hfclone.pointer import Oid, Pointer
from hfclone.ranges import RangeSet
from hfclone.transfer import Arrived
from hfclone.transfer.carrier import Carrier
from hfclone.transfer.leases import SMALL_BESIDE, Lease, LeaseQueue, Task
from hfclone.transfer.provenance import Provenance
from hfclone.wording import phrase

__all__ = ["TELL_BYTES", "Item", "TransferState", "Trial"]

TELL_BYTES = 64 * 1024 * 1024
"""So many bytes are read here before that is told, where none arrives: a second of an ordinary disk."""


@dataclass(frozen=True, slots=True)
class Trial:
    """Where to go on when the object turns out to be still wrong."""

    digest: hashlib._Hash
    hashed: int
    todo: RangeSet


@dataclass(slots=True, eq=False)
class Item:
    """One active object with its files and its running sha256. ``busy``: somebody is hashing it."""

    task: Task
    provenance: Provenance
    partial: Partial | None = None
    digest: hashlib._Hash = field(default_factory=hashlib.sha256)
    hashed: int = 0
    busy: bool = False
    stale: bool = False
    """What has been hashed may have been written over: it is hashed anew once nobody is at it."""
    flushed: int = 0
    """The disk was told to begin with so much."""
    flushing: bool = False
    trial: Trial | None = None
    """Bytes were replaced, and the whole is being hashed to see whether that was all."""
    shown: int = -1
    synced: bool = False
    """All of it is here, and the disk has it."""

    @property
    def pointer(self) -> Pointer:
        """The object itself."""
        return self.task.pointer

    @property
    def opened(self) -> Partial:
        """The partial; only for those who hold a lease or hash, since it is open then."""
        assert self.partial is not None
        return self.partial

    @property
    def idle(self) -> bool:
        """Whether nobody uses its files."""
        return not self.busy and not self.flushing and not self.task.leases

    def hash_anew(self) -> None:
        """Forget what was hashed, now or when whoever is at it has ended."""
        self.stale = self.busy
        if not self.busy:
            self.digest, self.hashed = hashlib.sha256(), 0

    def close(self) -> None:
        """Let go of the files, once nobody uses them."""
        if self.idle and self.partial is not None:
            self.partial.close()
            self.partial = None


@dataclass(slots=True)
class TransferState:
    """The objects, and what is to be told to the caller's thread."""

    pool: LeaseQueue
    items: dict[Oid, Item] = field(default_factory=dict)
    provenances: dict[Oid, Provenance] = field(default_factory=dict)
    in_flight: Counter[Endpoint] = field(default_factory=Counter)
    received_from: Counter[Endpoint] = field(default_factory=Counter)
    """New bytes of objects, of those in ``received``."""
    ranged: Counter[Endpoint] = field(default_factory=Counter)
    """Of those in flight, the ones that ask for a part of an object."""
    late: set[Lease] = field(default_factory=set)
    """Of those in flight, the ones whose answer should have begun: they take nothing of the line."""
    _late_at: Counter[Endpoint] = field(default_factory=Counter)
    outcomes: deque[Arrived | Failed] = field(default_factory=deque)
    events: deque[Event] = field(default_factory=deque)
    orphans: list[Item] = field(default_factory=list)
    """Settled while somebody still used their files."""
    received: int = 0
    read: int = 0
    """Bytes that were read here: to prove what an earlier run left, or for an object's sha256."""
    _told: int = 0
    """So many had been read when something was last told of."""
    fatal: LocalError | None = None
    carrier: Carrier | None = None
    """What moves bytes in place of our own connections, as long as it can."""

    @property
    def busy(self) -> int:
        """Connections that share the line now."""
        return sum(self.busy_at(endpoint) for endpoint in self.in_flight)

    def busy_at(self, endpoint: Endpoint) -> int:
        """Connections to it that share the line now: those of small objects that wait beside large ones do not."""
        late = self._late_at[endpoint]
        return max(0, self.in_flight[endpoint] - late - min(SMALL_BESIDE, self.pool.small_waiting(endpoint)))

    def note_late(self, leases: Iterable[Lease]) -> None:
        """These are late now, and no others."""
        self.late = set(leases)
        self._late_at = Counter(lease.endpoint for lease in self.late)

    def not_late(self, lease: Lease) -> None:
        """It is answered, or over."""
        if lease in self.late:
            self.late.remove(lease)
            self._late_at[lease.endpoint] -= 1

    def began(self, lease: Lease) -> None:
        """It is in flight."""
        lease.counted = not (lease.whole or lease.to_carry)
        self.in_flight[lease.endpoint] += lease.connections
        self.ranged[lease.endpoint] += lease.counted

    def ended(self, lease: Lease) -> None:
        """It is not any more; an endpoint without any is not looked at where only those in use matter."""
        self.not_late(lease)
        self.in_flight[lease.endpoint] -= lease.connections
        self.ranged[lease.endpoint] -= lease.counted
        if not self.in_flight[lease.endpoint]:
            del self.in_flight[lease.endpoint], self.ranged[lease.endpoint]

    def begin(self, task: Task) -> Item:
        """An item for a task that has become active."""
        provenance = self.provenances[task.pointer.oid] = Provenance(task.pointer.size)
        item = self.items[task.pointer.oid] = Item(task, provenance)
        return item

    def settle(self, task: Task, outcome: Arrived | Failed) -> None:
        """The object is done with; its files are closed when nobody uses them."""
        self.pool.settle(task)
        self.provenances.pop(task.pointer.oid, None)
        item = self.items.pop(task.pointer.oid, None)
        if item is not None:
            self.orphans.append(item)
            self.close_orphans()
        self.outcomes.append(outcome)

    def shelve(self, item: Item, ready_at: float) -> None:
        """Let an object's files go, to be opened anew from ``ready_at`` on."""
        self.pool.shelve(item.task, ready_at)
        self.provenances.pop(item.pointer.oid, None)
        del self.items[item.pointer.oid]
        self.orphans.append(item)
        self.close_orphans()

    def close_orphans(self) -> None:
        """Let go of the files that nobody uses any more."""
        for item in self.orphans:
            item.close()
        self.orphans = [item for item in self.orphans if not item.idle]  # one may be about to be opened

    def positions(self) -> list[Position]:
        """Of those objects that have moved since the last call."""
        moved = []
        for item in self.items.values():
            received = item.task.received
            if item.partial is not None and received != item.shown:
                item.shown = received
                moved.append(Position(item.pointer.oid, received))
        return moved

    def progress(self) -> Sequence[Event]:
        """How far it is since the last call: by what arrives, and where nothing does, by what is read."""
        moved = self.positions()
        if not moved and self.read - self._told < TELL_BYTES:
            return ()
        self._told = self.read
        return moved or [Working(phrase("verifying"), self.read, 0)]
