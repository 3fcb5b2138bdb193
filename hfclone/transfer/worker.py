"""What one connection does: open objects, fetch ranges, write and journal them. Knows no rules."""

from __future__ import annotations

from hfclone.errors import HfcloneError, LocalError
from hfclone.hashing import RangeDigest
from hfclone.http import Answer, Web
from hfclone.names import Pin
from hfclone.partials import Partial, Record
from hfclone.patience import Clock
from hfclone.transfer.desk import Desk, Item
from hfclone.transfer.exchange import Body, request_range
from hfclone.transfer.pool import Lease
from hfclone.transfer.sources import Sources

__all__ = ["Worker"]

RECORD_BYTES = 4 * 1024 * 1024
"""Bytes after which a range is journalled: what a kill costs each connection at most."""
RECORD_SECONDS = 0.5
"""The same for slow lines."""


class Worker:
    """One of the threads that fetch. Everything it needs is handed in; it ends when the desk says so."""

    def __init__(self, number: int, *, desk: Desk, sources: Sources, web: Web, pin: Pin, clock: Clock) -> None:
        self._number = number
        self._desk = desk
        self._sources = sources
        self._web = web
        self._pin = pin
        self._clock = clock
        self.fetching: tuple[Lease, Answer] | None = None
        """What it reads from just now, so that the coordinator can break it off."""

    def run(self) -> None:
        """Take jobs until there are none."""
        while (job := self._desk.next_job(self._number)) is not None:
            if isinstance(job, Item):
                self._open(job)
            else:
                self._fetch(job)

    def _open(self, item: Item) -> None:
        try:
            partial = self._desk.partials.open(item.pointer)
        except LocalError as error:
            self._desk.cannot_open(item, error)
        else:
            self._desk.opened(item, partial)

    def _fetch(self, lease: Lease) -> None:
        """Fetch a range; however it ends, its rest goes back."""
        failure: HfcloneError | None = None
        try:
            self._request(lease)
        except HfcloneError as error:
            failure = error
        finally:
            self.fetching = None
            self._desk.ended(lease, failure)

    def _request(self, lease: Lease) -> None:
        pointer = lease.task.pointer
        source = self._sources.find(pointer, lease.endpoint, self._desk.upcoming)
        asked_at = self._clock.now()
        body = request_range(self._web, source, self._pin, pointer, lease.position, lease.stop, asked_at)
        with body.answer:
            self._sources.learn(pointer, source, body.answer)
            partial = self._desk.answers(lease, body.ranges, body.answer.hold)
            self.fetching = (lease, body.answer)
            self._receive(lease, body, partial)

    def _receive(self, lease: Lease, body: Body, partial: Partial) -> None:
        """Write what comes, hash it where it is next in line, and journal it."""
        recorder = _Recorder(partial, str(lease.endpoint), self._clock)
        digest = self._desk.hash_here(lease)
        try:
            offset = body.start
            for chunk in body.answer.chunks(body.stop - body.start):
                for piece, at in _wanted(chunk, offset, lease):
                    partial.write(piece, at)
                    recorder.add(piece, at)
                    if digest is not None:
                        digest.update(piece)
                offset += len(chunk)
                pause = self._desk.arrived(lease, offset)
                if offset >= lease.stop:
                    break
                if pause:
                    self._clock.sleep(pause)
        finally:
            if not (lease.whole and lease.position == lease.stop):  # what is whole is placed at once
                recorder.flush()
            if digest is not None:
                self._desk.hashed(self._desk.item_of(lease), lease.position)


def _wanted(chunk: bytes, offset: int, lease: Lease) -> list[tuple[memoryview, int]]:
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
        self._begin(0)

    def add(self, piece: memoryview, at: int) -> None:
        """``piece`` was written at ``at``."""
        if at != self._stop:
            self.flush()
            self._begin(at)
        self._digest.update(piece)
        self._stop += len(piece)
        if self._stop - self._start >= RECORD_BYTES or self._clock.now() - self._since >= RECORD_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Journal what was gathered."""
        if self._stop > self._start:
            self._partial.record(Record(self._start, self._stop, self._endpoint, self._digest.hexdigest()))
            self._begin(self._stop)

    def _begin(self, at: int) -> None:
        self._start = self._stop = at
        self._digest = RangeDigest()
        self._since = self._clock.now()
