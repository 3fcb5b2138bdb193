"""What one connection does: open objects, fetch ranges, write and journal them. Knows no rules."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Iterator
from typing import Protocol

from hfclone.errors import HfcloneError, LocalError, Truncated
from hfclone.files.hashing import RangeDigest
from hfclone.http import AbortHandle
from hfclone.limits import limit_of
from hfclone.partials import RECORD_BYTES, Partial, Record
from hfclone.retry import Clock
from hfclone.transfer.byte_source import ByteSource, RangeStream
from hfclone.transfer.coordinator import Coordinator
from hfclone.transfer.leases import Lease
from hfclone.transfer.state import Item

__all__ = ["Worker"]

RECORD_SECONDS = 0.05
"""So often a growing line is brought up to date while bytes keep coming: what a kill costs each connection."""
LULL = 0.005
"""Seconds without a byte after which a line is brought up to date: the next byte may be long in coming."""
NAP = 0.2
"""Seconds slept at once, so that the end never waits for the rate limit."""


class Carries(Protocol):
    """How a lease that is a carrier's is done."""

    def carry(self, lease: Lease) -> HfcloneError | None:
        """Have it moved; why it was broken off, if it was. Raises what it failed of."""
        ...


class Worker:
    """One of the threads that fetch. Everything it needs is handed in; it ends when the coordinator says so."""

    def __init__(
        self,
        coordinator: Coordinator,
        source: ByteSource,
        clock: Clock,
        read_bytes: int,
        carrying: Carries | None = None,
    ) -> None:
        self._coordinator = coordinator
        self._source = source
        self._clock = clock
        self._read_bytes = read_bytes
        self._carrying = carrying
        self.fetching: Lease | None = None
        """What it is about just now, so that the coordinator sees who waits in vain."""

    def run(self) -> None:
        """Take jobs until there are none."""
        while (job := self._coordinator.next_job()) is not None:
            if isinstance(job, Item):
                self._open(job)
            else:
                self._fetch(job)

    def _open(self, item: Item) -> None:
        try:
            partial = self._coordinator.partials.open(item.pointer, self._coordinator.checked)
        except LocalError as error:
            self._coordinator.cannot_open(item, error)
        else:
            self._coordinator.opened(item, partial)

    def _fetch(self, lease: Lease) -> None:
        """Fetch a range; however it ends, its rest goes back.

        Raises:
            LimitReached: the system gives us no more.
        """
        failure: HfcloneError | None = None
        try:
            if lease.to_carry and self._carrying is not None:
                self.fetching = lease
                failure = self._carrying.carry(lease)
            else:
                self._request(lease)
        except HfcloneError as error:
            limit = limit_of(error)
            if limit is not None:  # nobody else's failure
                raise limit from error
            failure = error
        finally:
            self.fetching = None
            self._coordinator.ended(lease, failure)

    def _request(self, lease: Lease) -> None:
        pointer = lease.task.pointer
        start, stop = (0, pointer.size) if lease.gaps is not None else (lease.position, lease.stop)

        def begun(handle: AbortHandle, signed: bool) -> None:  # noqa: FBT001  # of ByteSource
            self.fetching = lease
            self._coordinator.asks(lease, handle, signed=signed)

        stream = self._source.open(pointer, lease.endpoint, start, stop, lacking=lease.position, begun=begun)
        if stream is None:
            return
        with stream:
            lease.signed = stream.signed
            self._receive(lease, stream, self._coordinator.answers(lease, stream.ranges))

    def _receive(self, lease: Lease, stream: RangeStream, item: Item) -> None:
        """Write what comes, hash it where it is next in line, and journal it."""
        chunks = self._chunks(lease, stream, LULL if item.partial is None else 0.0)
        if item.partial is None:
            first = next(chunks, None)
            if first is not None:
                if self._came_whole(lease, item, *first):
                    return
                chunks = itertools.chain([first], chunks)
            self._coordinator.opened_late(item, self._coordinator.partials.open(item.pointer))
        recorder = _Recorder(item.opened, str(lease.endpoint), self._clock)
        try:
            self._write_all(lease, stream, item, chunks, recorder)
        finally:
            if not (lease.whole and lease.position == lease.stop):  # what is whole is placed at once
                recorder.flush()

    def _came_whole(self, lease: Lease, item: Item, content: bytes | memoryview, unused: int) -> bool:
        """Whether ``content`` is the object, and is one file now.

        Why so: to open, to reserve and to journal a small file costs more than to receive it.
        """
        if len(content) != item.pointer.size or not lease.whole or lease.checking:
            return False
        digest = hashlib.sha256(content)
        if digest.hexdigest() != item.pointer.oid or not self._coordinator.partials.put_whole(item.pointer, content):
            return False
        self._coordinator.came_whole(item, lease, digest, unused)
        return True

    def _write_all(
        self,
        lease: Lease,
        stream: RangeStream,
        item: Item,
        chunks: Iterable[tuple[bytes | memoryview, int]],
        recorder: _Recorder,
    ) -> None:
        offset = stream.start
        for chunk, unused in chunks:
            self._coordinator.writes(lease, offset + len(chunk))
            for piece, at in _wanted(chunk, offset, lease):
                if not lease.checking:
                    item.opened.write(piece, at)
                elif not item.opened.holds(piece, at):
                    self._coordinator.differs(item, at, at + len(piece))
                    item.opened.write(piece, at)
                recorder.add(piece, at)
                self._hash(lease, item, piece, at)
            offset += len(chunk)
            self._coordinator.arrived(item, lease, offset, unused)
            if offset >= lease.stop:
                return
            if recorder.dirty and stream.is_quiet(LULL):
                recorder.flush()
        want = min(stream.stop, lease.stop)
        if offset < want:  # a body that says no length may end anywhere, and no layer below sees that
            raise Truncated(str(lease.endpoint), offset - stream.start, want - stream.start)

    def _hash(self, lease: Lease, item: Item, piece: memoryview, at: int) -> None:
        digest = self._coordinator.hash_next(item, lease, at)
        if digest is not None:
            digest.update(piece)
            self._coordinator.arrived(item, lease, at + len(piece), 0)  # whatever follows: nobody else is to bring that
            self._coordinator.hashed(item, at + len(piece))

    def _chunks(self, lease: Lease, stream: RangeStream, lull: float) -> Iterator[tuple[bytes | memoryview, int]]:
        """What arrives, each with what was set aside for it and not used; no faster than the rate limit allows."""
        chunks = stream.chunks(self._read_bytes, lull)
        while True:
            self._nap(self._coordinator.pause(lease, self._read_bytes))
            chunk = next(chunks, None)
            if chunk is None:
                return
            yield chunk, self._read_bytes - len(chunk)

    def _nap(self, seconds: float) -> None:
        until = self._clock.now() + seconds
        while (left := until - self._clock.now()) > 0 and not self._coordinator.stopped:
            self._clock.sleep(min(left, NAP))


def _wanted(chunk: bytes | memoryview, offset: int, lease: Lease) -> list[tuple[memoryview, int]]:
    """The parts of a chunk that the lease is there to bring, each with its offset in the object."""
    view = memoryview(chunk)
    parts = []
    for start, stop in lease.rest:
        low, high = max(start, offset), min(stop, offset + len(chunk))
        if low < high:
            parts.append((view[low - offset : high - offset], low))
    return parts


class _Recorder:
    """Gathers written pieces into journal records."""

    def __init__(self, partial: Partial, endpoint: str, clock: Clock) -> None:
        self._partial = partial
        self._endpoint = endpoint
        self._clock = clock
        self._digest = RangeDigest()
        self._slot: int | None = None
        self._since = clock.now()
        self._start = self._stop = self._said = 0

    def add(self, piece: memoryview, at: int) -> None:
        """``piece`` was written at ``at``."""
        if at != self._stop:
            self.flush()
            self._begin(at)
        self._digest.update(piece)
        self._stop += len(piece)
        now = self._clock.now()
        full = self._stop - self._start >= RECORD_BYTES
        if full or now - self._since >= RECORD_SECONDS:
            self.flush()
            self._since = now
        if full:
            self._begin(self._stop)

    @property
    def dirty(self) -> bool:
        """Whether something was gathered and not journalled."""
        return self._stop > self._said

    def flush(self) -> None:
        """Journal what was gathered."""
        if self.dirty:
            record = Record(self._start, self._stop, self._endpoint, self._digest.hexdigest())
            self._slot = self._partial.record(record, self._slot)
            self._said = self._stop

    def _begin(self, at: int) -> None:
        self._start = self._stop = self._said = at
        self._slot = None
        self._digest = RangeDigest()
        self._since = self._clock.now()
