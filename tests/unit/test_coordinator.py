"""The coordinator, where time passes as the test says."""

from __future__ import annotations

import hashlib
import threading
import time
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import cast

import pytest

from hfclone.errors import DiskFull
from hfclone.http import AbortHandle, Web
from hfclone.hub.endpoint import Endpoint, EndpointKind
from hfclone.names import Pin, Repo
from hfclone.partials import RECORD_BYTES, Partial, Partials
from hfclone.pointer import Oid, Pointer
from hfclone.retry import Clock, Patience
from hfclone.transfer import Arrived, coordinator
from hfclone.transfer.byte_source import RangeStream
from hfclone.transfer.coordinator import Context, Coordinator
from hfclone.transfer.exchange import HttpSource
from hfclone.transfer.health import EndpointHealth, RangeSupport
from hfclone.transfer.leases import Lease
from hfclone.transfer.rate_limiter import RateLimiter, Schedule
from hfclone.transfer.sources import Sources
from hfclone.transfer.state import Item
from hfclone.transfer.worker import Worker, _Recorder

CONTENT = bytes(3 * 1024 * 1024)
OBJECT = Pointer(Oid(hashlib.sha256(CONTENT).hexdigest()), len(CONTENT))


def _asked(work: Coordinator) -> Lease:
    """What is fetched next; its answer begins."""
    lease = work.next_job()
    assert isinstance(lease, Lease)
    work.answers(lease, RangeSupport.YES)
    return lease


@pytest.fixture
def _small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coordinator, "HASH_PIECE", 1024 * 1024)


def coordinator_of(
    objects: list[Pointer],
    partials: Partials,
    health: EndpointHealth,
    clock: Clock,
    web: Web,
    *,
    connections: int = 4,
) -> tuple[Coordinator, HttpSource]:
    """One that nothing limits but ``connections``, and what its workers ask."""
    pin = Pin(Repo("acme/model"), "0" * 40)
    sources = Sources(pin, {}, web=web, health=health, authorities=(), now=clock.now)
    limits = RateLimiter(None), Schedule(None, time.time), connections
    work = Coordinator(objects, Context(partials, health, sources, Patience(60, 60, clock), clock, *limits))
    return work, HttpSource(web, sources, pin, clock, work.upcoming)


@pytest.mark.usefixtures("_small_pieces")
def test_hashing_what_was_here_already_does_not_end_patience(tmp_path: Path) -> None:
    """A resume near the end of a large object: no byte arrives while all of it is hashed."""
    now = [0.0]
    clock = Clock(lambda: now[0], time.sleep)
    health = EndpointHealth([Endpoint("http://127.0.0.1:9", EndpointKind.HUB)], clock.now, Random(1))
    partials = Partials(tmp_path)
    begun = partials.open(OBJECT)
    begun.write(CONTENT, 0)
    assert len(CONTENT) <= RECORD_BYTES
    begun.record_written(0, len(CONTENT), "127.0.0.1:9")
    begun.close()
    with Web(user_agent="hfclone-tests") as web:
        work, _ = coordinator_of([OBJECT], partials, health, clock, web)
        item = work.next_job()
        assert isinstance(item, Item)
        work.opened(item, partials.open(OBJECT, work.checked))
        for _ in range(3):
            job = work.next_prefix()
            assert job is not None
            _, start, stop = job
            for block in item.opened.blocks(start, stop):
                item.digest.update(block)
            now[0] += 50
            work.hashed(item, stop)
            work.tick()
        outcomes, _, settled = work.collect(0)
        work.close()
    assert settled
    assert [type(outcome) for outcome in outcomes] == [Arrived]


def test_who_waits_until_an_endpoint_is_known_goes_on_at_once(tmp_path: Path) -> None:
    """Its batch answer shows that it is there; all others may ask it as the first request goes out."""
    endpoint = Endpoint("http://127.0.0.1:9", EndpointKind.HUB)
    clock = Clock(time.monotonic, time.sleep)
    health = EndpointHealth([endpoint], clock.now, Random(1))
    objects = [Pointer(Oid(f"{number:064x}"), 1000) for number in range(2)]
    taken: list[object] = []
    with Web(user_agent="hfclone-tests") as web:
        work, _ = coordinator_of(objects, Partials(tmp_path), health, clock, web)
        while isinstance(first := work.next_job(), Item):
            work.opened(first, work.partials.open(first.pointer))
        assert first is not None
        waiting = threading.Thread(target=lambda: taken.append(work.next_job()), daemon=True)
        waiting.start()
        waiting.join(0.05)
        assert not taken, "nobody knows yet whether it answers"
        health.met(endpoint)
        work.asks(first, AbortHandle(), signed=True)
        waiting.join(0.7)  # it would look again by itself after a second
        assert [type(each) for each in taken] == [Lease]
        work.stop()
        work.close()


def test_what_is_being_written_is_given_to_nobody(tmp_path: Path) -> None:
    """Where the end is shared: of two that write there, the one would be hashed, and the other's wrong byte stay."""
    now = [0.0]
    clock = Clock(lambda: now[0], time.sleep)
    honest, liar = Endpoint("http://127.0.0.1:8"), Endpoint("http://127.0.0.1:9", EndpointKind.HUB)
    health = EndpointHealth([honest, liar], clock.now, Random(1))
    partials = Partials(tmp_path)
    with Web(user_agent="hfclone-tests") as web:
        work, _ = coordinator_of([OBJECT], partials, health, clock, web, connections=8)
        item = work.next_job()
        assert isinstance(item, Item)
        work.opened(item, partials.open(OBJECT))
        leases = [_asked(work) for _ in range(2)]
        first, piece = leases[0], CONTENT[:100_000]
        work.writes(first, len(piece))
        item.opened.write(piece, 0)
        digest = work.hash_next(item, first, 0)
        assert digest is not None
        taken = work._pool.take_over(first, liar, 0.99, 0.0)  # by the rules of the end, which need a line to see
        assert taken is not None
        work._state.began(taken)
        work.answers(taken, RangeSupport.YES)
        item.opened.write(b"!", taken.start)
        digest.update(piece)
        work.hashed(item, len(piece))
        leases.append(taken)
        while leases:
            lease = leases.pop()
            work.arrived(item, lease, lease.stop, 0)
            work.ended(lease, None)
            if item.task.todo:
                leases.append(_asked(work))
        hashed = 0
        while hashed < OBJECT.size:
            job = work.next_prefix()
            assert job is not None
            hashed = job[2]
            for block in item.opened.blocks(*job[1:]):
                item.digest.update(block)
            work.hashed(*job[::2])
        outcomes, _, _ = work.collect(0)
        work.close()
    assert not outcomes, "a wrong byte was taken for right"


def test_what_was_hashed_is_brought_by_nobody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a body over two gaps the first piece is hashed from memory; then the disk is full."""
    content = bytes(600_000)
    pointer = Pointer(Oid(hashlib.sha256(content).hexdigest()), len(content))
    clock = Clock(lambda: 0.0, time.sleep)
    health = EndpointHealth([Endpoint("http://127.0.0.1:9", EndpointKind.HUB)], clock.now, Random(1))
    partials = Partials(tmp_path)
    begun = partials.open(pointer)
    begun.record_written(200_000, 400_000, "127.0.0.1:9")
    begun.close()
    write = Partial.write

    def fills(self: Partial, data: memoryview, offset: int) -> None:
        if offset:
            raise DiskFull(str(tmp_path), 0, 0)
        write(self, data, offset)

    monkeypatch.setattr(Partial, "write", fills)
    with Web(user_agent="hfclone-tests") as web:
        work, source = coordinator_of([pointer], partials, health, clock, web)
        item = work.next_job()
        assert isinstance(item, Item)
        work.opened(item, partials.open(pointer))
        lease = work.next_job()
        assert isinstance(lease, Lease)
        work.answers(lease, RangeSupport.NO)
        stream = cast("RangeStream", SimpleNamespace(start=0, stop=len(content)))
        recorder = _Recorder(item.opened, "127.0.0.1:9", clock)
        with pytest.raises(DiskFull):
            Worker(work, source, clock, len(content))._write_all(lease, stream, item, [(content, 0)], recorder)
        work.ended(lease, None)
        assert 0 < item.hashed <= item.task.prefix
        work.close()
