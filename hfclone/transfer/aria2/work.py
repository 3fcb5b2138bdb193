"""What is done on threads beside aria2c: proving, asking for URLs, journalling, hashing, asking why."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from hfclone import errors
from hfclone.endpoints import Endpoint, origin_of
from hfclone.errors import HfcloneError, LocalError
from hfclone.hashing import blocks
from hfclone.health import Board, RangeSupport
from hfclone.http import Web
from hfclone.names import Pin
from hfclone.partials import RECORD_BYTES, Partials, Record
from hfclone.pointer import Pointer
from hfclone.ranges import RangeSet
from hfclone.transfer.aria2.downloads import is_plain
from hfclone.transfer.aria2.tasks import Task
from hfclone.transfer.exchange import follow, request_range
from hfclone.transfer.sources import Source, Sources
from hfclone.wording import phrase

__all__ = ["Examined", "Prepared", "Workshop", "chunks_of"]


PROBE_BYTES = 1024 * 1024
"""Objects up to this size are fetched over one connection, which needs no range."""


class _NeedsSecret(Exception):
    """The endpoint serves the object itself and only with a secret, which aria2c must not have."""


@dataclass(slots=True)
class Prepared:
    """An object that can be handed over: where it can be had, and who did not say so."""

    opened: bool = False
    """Its partial was opened just now."""
    sources: list[Source] = field(default_factory=list)
    errors: list[tuple[Endpoint, HfcloneError, Source | None]] = field(default_factory=list)
    """With the source that was asked, where that was not the endpoint itself."""
    local: LocalError | None = None
    secret: bool = False
    """Somebody has it, for us alone."""


@dataclass(slots=True)
class Examined:
    """What is here of an object that aria2c gave back, and what its endpoints say."""

    records: list[Record] = field(default_factory=list)
    errors: list[tuple[Source, HfcloneError]] = field(default_factory=list)
    local: LocalError | None = None


@dataclass(frozen=True, slots=True)
class Workshop:
    """Everything the jobs need. Its methods run on threads, one at a time for an object."""

    web: Web
    pin: Pin
    sources: Sources
    board: Board
    partials: Partials
    now: Callable[[], float]
    note_bytes: Callable[[int], None]
    judged: set[tuple[Endpoint, tuple[str, str, int]]] = field(default_factory=set)
    """Origins that we were let ask by what an endpoint named: how far inside they lie was judged then."""

    def prepare(self, task: Task, endpoints: Sequence[Endpoint], next_up: Sequence[Pointer]) -> Prepared:
        """Open the object's partial and find where it can be had; nobody is asked for what is here."""
        done = Prepared(opened=task.partial is None)
        try:
            if task.partial is None:
                task.partial = self.partials.open(task.pointer, self.note_bytes)
        except LocalError as error:
            done.local, done.opened = error, False
            return done
        held = task.partial.held() if done.opened else task.held
        if held.size < task.pointer.size:
            self.locate(task, endpoints, next_up, done)
        return done

    def locate(self, task: Task, endpoints: Sequence[Endpoint], next_up: Sequence[Pointer], done: Prepared) -> Prepared:
        """Find a URL on each of ``endpoints`` that needs no token."""
        for endpoint in endpoints:
            source = None
            try:
                found = self.sources.find(task.pointer, endpoint, lambda: next_up)
                if found is not None:
                    source = self._bare(task.pointer, found)
                    self._probe(task.pointer, source)
                    done.sources.append(source)
            except _NeedsSecret:
                done.secret = True
            except HfcloneError as error:
                done.errors.append((endpoint, error, source))
        return done

    def follow(self, task: Task, chunks: Sequence[tuple[int, int]], prefix: int) -> list[Record]:
        """Journal ``chunks``, which have arrived, and hash the object up to ``prefix``."""
        records = []
        for start, stop in chunks:
            records.append(task.opened.record_written(start, stop, task.sender))
            self.note_bytes(stop - start)
        self._hash(task, prefix)
        return records

    def finish(self, task: Task) -> str:
        """The sha256 of an object that is whole."""
        self._hash(task, task.pointer.size)
        return task.digest.hexdigest()

    def examine(self, task: Task) -> Examined:
        """Take over what aria2c accounts for, and ask the endpoints what is wrong, since it tells little."""
        found = Examined()
        try:
            found.records = self.partials.absorb(task.opened, task.held, task.sender)
        except LocalError as error:
            found.local = error
            return found
        here = RangeSet([*task.held, *((record.start, record.stop) for record in found.records)])
        gap = next(here.gaps(task.pointer.size), None)
        for source in () if task.stopping or gap is None else task.sources:
            try:
                self._ask(source, task.pointer, gap[0] if gap else 0)
            except HfcloneError as error:
                found.errors.append((source, error))
        return found

    def _bare(self, pointer: Pointer, source: Source) -> Source:
        """The same without a secret: aria2c would send a header along every redirect.

        Raises:
            _NeedsSecret: the bytes come only with it.
        """
        known = (source.endpoint, origin_of(source.url)) in self.judged
        if not (source.signed and known) or source.authority or source.headers:
            source = self._resolved(pointer, source)
        if not is_plain(source.url):
            raise errors.BadRedirect(str(source.endpoint), ascii(source.url[:60]), phrase("target-no-plain-url"))
        return source

    def _resolved(self, pointer: Pointer, source: Source) -> Source:
        """Where a request of our own ends up."""
        now = self.now()
        body = follow(self.web, self.sources, source, self.pin, pointer, now)
        self.board.met(source.endpoint)
        self.board.note_ranges(source.endpoint, body.ranges)
        if not body.answer.hops and (source.authority or source.headers):
            raise _NeedsSecret
        self.judged.add((source.endpoint, origin_of(body.answer.url)))
        if source.signed and not body.answer.hops:
            return source
        if not source.signed and self.sources.has_url(pointer, source.endpoint):
            learned = self.sources.find(pointer, source.endpoint, tuple)  # with the end of its life
            if learned is not None:
                return learned
        return Source(source.endpoint, body.answer.url, born=now, signed=bool(body.answer.hops))

    def _probe(self, pointer: Pointer, source: Source) -> None:
        """Whether the endpoint knows ranges, before sixteen connections find out."""
        if pointer.size > PROBE_BYTES and self.board.ranges(source.endpoint) is RangeSupport.UNKNOWN:
            self._ask(source, pointer, 1)

    def _ask(self, source: Source, pointer: Pointer, offset: int) -> None:
        """One byte, to hear what the endpoint says and whether it knows ranges."""
        body = request_range(self.web, source, self.pin, pointer, offset, offset + 1, self.now())
        self.board.note_ranges(source.endpoint, body.ranges)
        body.answer.close()

    def _hash(self, task: Task, stop: int) -> None:
        try:
            for block in blocks(task.opened.descriptor, task.hashed, stop):
                task.digest.update(block)
                task.hashed += len(block)
                self.note_bytes(len(block))
        except OSError as error:
            raise errors.CannotWrite(str(task.opened.path), error.strerror or os.strerror(error.errno or 0)) from error


def chunks_of(whole: RangeSet, held: RangeSet, size: int) -> list[tuple[int, int]]:
    """The pieces of a journal line's length that have arrived whole and are not in the journal."""
    fresh = RangeSet(whole)
    for start, stop in held:
        fresh.remove(start, stop)
    found = []
    for start, stop in fresh:
        for low in range(-(-start // RECORD_BYTES) * RECORD_BYTES, stop, RECORD_BYTES):
            high = min(size, low + RECORD_BYTES)
            if high <= stop:
                found.append((low, high))
    return found
