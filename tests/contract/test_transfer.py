"""Every promise of ``Transfer.fetch``, line by line, for each way of moving objects."""

from __future__ import annotations

import hashlib
import threading
import time
from pathlib import Path

import pytest

from hfclone import errors
from hfclone.events import Event, Position, Started
from hfclone.files.hashing import RangeDigest
from hfclone.partials import Record
from hfclone.pointer import Oid, Pointer
from hfclone.ranges import RangeSet
from hfclone.transfer import Arrived
from tests.faults.rig import MB, Rig, served
from tests.hub import Lfs, LfsBytes, LivingRepo
from tests.hub.answers import Status
from tests.hub.streams import Throttle


@pytest.fixture
def fetcher(rig: Rig) -> Rig:
    """The same transfer, whatever moves the bytes."""
    return rig


def test_one_outcome_for_each_object(fetcher: Rig) -> None:
    ran = fetcher.fetch()
    assert not ran.failed
    assert fetcher.sent() <= fetcher.fair


def test_nothing_wanted_is_nothing_done(fetcher: Rig) -> None:
    fetcher.objects = []
    assert fetcher.fetch().outcomes == []
    assert len(fetcher.hub.log) == 0


def test_an_object_that_nobody_has_fails_and_the_others_arrive(fetcher: Rig) -> None:
    lost = fetcher.objects[2]
    fetcher.hub.faults.add(Status(404), on="cdn", oid=lost.oid)
    mirror = fetcher.hub.mirror()
    ran = fetcher.fetch(mirror)
    assert [failed.pointer for failed in ran.failed] == [lost]
    assert isinstance(ran.failed[0].error, errors.ObjectMissing)


def test_events_come_on_the_callers_thread_and_in_order(fetcher: Rig) -> None:
    seen: list[tuple[int, Event | Arrived]] = []
    here = threading.get_ident()

    def note(event: Event) -> None:
        seen.append((threading.get_ident(), event))

    for outcome in fetcher.transfer().fetch(fetcher.wanted, note):
        assert isinstance(outcome, Arrived)
        seen.append((here, outcome))
    assert {thread for thread, _ in seen} == {here}
    ended: set[str] = set()
    begun: set[str] = set()
    for _, event in seen:
        if isinstance(event, Started):
            begun.add(event.oid)
        if isinstance(event, Position):
            assert event.oid not in ended
            assert 0 <= event.received <= {p.oid: p.size for p in fetcher.objects}[event.oid]
        if isinstance(event, Arrived):
            assert event.pointer.oid in begun
            ended.add(event.pointer.oid)
    assert len(ended) == len(fetcher.objects)


def test_closing_the_iterator_stops_within_a_second_and_keeps_partials(fetcher: Rig) -> None:
    fetcher.objects.sort(key=lambda pointer: pointer.size)  # a small one arrives while large ones are under way
    fetcher.hub.faults.add(Throttle(total=8 * MB), on="cdn")
    outcomes = fetcher.transfer().fetch(fetcher.wanted, lambda _event: None)
    next(outcomes)
    came = 1
    while not any(fetcher.hub.log.bytes_sent(oid=p.oid) > 2 * MB for p in fetcher.objects if p.size > MB):
        if came < 25:
            next(outcomes)
            came += 1
        time.sleep(0.05)
    began = time.monotonic()
    outcomes.close()  # type: ignore[attr-defined]  # a generator
    assert time.monotonic() - began < 2.5  # a busy machine has its part in it
    fetcher.hub.faults.clear()
    before = len(fetcher.hub.log)
    placed = {path.stem for path in fetcher.directory.glob("*.part")}
    assert placed
    ran = fetcher.fetch()
    assert not ran.failed
    assert len(fetcher.hub.log) > before
    assert fetcher.sent() <= 1.35  # what lay in the buffers, and small ones that nobody took


def test_an_empty_object_and_one_at_many_paths(tmp_path: Path, fetcher: Rig) -> None:
    repo = LivingRepo(
        tmp_path / "repo", {"a.bin": Lfs(5000, seed=1), "b.bin": Lfs(5000, seed=1), "c.bin": LfsBytes(b"x")}
    )
    for hub in served(tmp_path / "hub2", repo):
        rig = Rig(hub, repo, tmp_path / "parts2", kind=fetcher.kind)
        assert len(rig.objects) == 2
        assert not rig.fetch().failed
        assert (
            len(hub.log.of(oid=rig.objects[0].oid, kind="cdn", status=200))
            + len(hub.log.of(oid=rig.objects[0].oid, kind="cdn", status=206))
            <= 2
        )
    repo.close()


def test_a_zero_byte_object_needs_no_request(fetcher: Rig) -> None:
    """Only by an odd pointer: git-lfs never makes one. Nobody is asked for nothing."""
    empty = Pointer(Oid(hashlib.sha256(b"").hexdigest()), 0)
    fetcher.objects = [empty]
    fetcher.paths[empty.oid] = (b"empty.bin",)
    events: list[Event] = []
    outcomes = list(fetcher.transfer().fetch(fetcher.wanted, events.append))
    assert isinstance(outcomes[0], Arrived)
    assert outcomes[0].part.stat().st_size == 0
    assert len(fetcher.hub.log) == 0


def test_only_what_is_missing_is_asked_for(fetcher: Rig) -> None:
    """Whole blocks of 16 KiB are what aria2c can be told, and one byte is asked to see whether there are ranges."""
    rig = fetcher
    large = max(rig.objects, key=lambda pointer: pointer.size)
    rig.objects = [large]
    content = rig.repo.object_path(large.oid).read_bytes()
    held = RangeSet([(1 * MB, 5 * MB), (9 * MB, 20 * MB)])
    partial = rig.partials.open(large)
    for start, stop in held:
        partial.write(content[start:stop], start)
        digest = RangeDigest()
        digest.update(content[start:stop])
        partial.record(Record(start, stop, "elsewhere", digest.hexdigest()))
    partial.close()
    assert not rig.fetch().failed
    asked = RangeSet()
    for entry in rig.hub.log.of(kind="cdn", oid=large.oid):
        assert entry.range is not None
        assert entry.range[1] is not None
        asked.add(entry.range[0], entry.range[1] + 1)
    if rig.kind == "threads":
        assert asked == RangeSet(held.gaps(large.size))
        assert rig.hub.log.bytes_sent(kind="cdn") == asked.size
    else:
        assert rig.hub.log.bytes_sent(kind="cdn") <= rig.fair * (large.size - held.size) + 8 * 16384


def test_a_whole_partial_needs_no_request(fetcher: Rig) -> None:
    rig = fetcher
    small = min(rig.objects, key=lambda pointer: pointer.size)
    rig.objects = [small]
    content = rig.repo.object_path(small.oid).read_bytes()
    partial = rig.partials.open(small)
    partial.write(content, 0)
    digest = RangeDigest()
    digest.update(content)
    partial.record(Record(0, small.size, "elsewhere", digest.hexdigest()))
    partial.close()
    assert not rig.fetch().failed
    assert len(rig.hub.log) == 0


def test_a_machine_that_cannot_ends_the_fetch(fetcher: Rig) -> None:
    rig = fetcher
    rig.directory.write_text("a file where the directory should be")
    with pytest.raises(errors.LocalError):
        list(rig.transfer().fetch(rig.wanted, lambda _event: None))
