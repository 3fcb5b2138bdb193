"""The pool as a state machine: whatever connections do, each byte is fetched by one at a time, and none is lost."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule

from hfclone.hub.endpoint import Endpoint
from hfclone.pointer import Oid, Pointer
from hfclone.ranges import RangeSet
from hfclone.transfer.leases import MOST_RANGE_BYTES, Lease, LeaseQueue, Task

ENDPOINT = Endpoint("https://mirror.example")
MIB = 1024 * 1024
SIZES = st.sampled_from([0, 1, 1000, MIB, 3 * MIB, 16 * MIB, 40 * MIB + 7])


def pointer(number: int, size: int) -> Pointer:
    return Pointer(Oid(f"{number:064x}"), size)


class PoolMachine(RuleBasedStateMachine):
    """Workers that take, take over, advance and end, as badly as they like."""

    leases = Bundle("leases")

    @initialize(sizes=st.lists(SIZES, min_size=1, max_size=7))
    def start(self, sizes: list[int]) -> None:
        self.now = 0.0
        self.objects = [pointer(number, size) for number, size in enumerate(sizes)]
        self.pool = LeaseQueue(self.objects)
        self.here: dict[Oid, RangeSet] = {p.oid: RangeSet() for p in self.objects}
        self.settled: list[Oid] = []

    @rule(target=leases, limit=st.integers(1, 20 * MIB), held=st.integers(0, 5 * MIB), first=st.integers(0, MIB))
    def take(self, limit: int, held: int, first: int) -> object:
        self.now += 1
        task = self.pool.begin(self.now)
        if task is not None:
            size = task.pointer.size
            on_disk = RangeSet([(min(first, size), min(first + held, size))])
            self.pool.opened(task, on_disk)
            for start, stop in on_disk:
                self.here[task.pointer.oid].add(start, stop)
        lease = self.pool.take(self.now, lambda _task: ENDPOINT, lambda _endpoint: limit)
        return multiple() if lease is None else lease

    @rule(target=leases, lease=leases, share=st.floats(0, 1))
    def take_over(self, lease: Lease, share: float) -> object:
        if lease.gaps is not None or not lease.rest:
            return multiple()
        return self.pool.take_over(lease, ENDPOINT, share, self.now)

    @rule(lease=leases, share=st.floats(0, 1.2))
    def advance(self, lease: Lease, share: float) -> None:
        before = lease.task.received
        self._bring(lease, share)
        assert lease.task.received >= before

    @rule(lease=leases)
    def widen(self, lease: Lease) -> None:
        """A body that is the whole object in place of the range."""
        if lease.position == lease.start and lease.gaps is None and lease.rest:
            self.pool.widen(lease)

    @rule(lease=consumes(leases), share=st.floats(0, 1))
    def end(self, lease: Lease, share: float) -> None:
        self._bring(lease, share)
        self.pool.give_back(lease)

    @rule()
    def settle_and_shelve(self) -> None:
        for task in list(self.pool.active.values()):
            if task.arrived:
                assert list(self.here[task.pointer.oid].gaps(task.pointer.size)) == []
                self.pool.settle(task)
                self.settled.append(task.pointer.oid)

    @invariant()
    def each_byte_is_in_one_place(self) -> None:
        if not hasattr(self, "pool"):
            return
        for task in self.pool.active.values():
            parts = [*self.here[task.pointer.oid], *task.todo]
            parts += [part for lease in task.leases for part in lease.rest]
            parts.sort()
            assert parts == [] or parts[0][0] == 0
            assert all(left[1] == right[0] for left, right in pairwise(parts)), parts
            assert sum(stop - start for start, stop in parts) == task.pointer.size
            assert task.received == self.here[task.pointer.oid].size
            widened = any(lease.gaps is not None for lease in task.leases)
            true = self.here[task.pointer.oid].prefix()
            assert task.prefix <= true if widened else task.prefix == true

    def teardown(self) -> None:
        """It ends: whoever takes what there is and brings it, brings everything."""
        if not hasattr(self, "pool"):
            return
        for lease in list(self.pool.leases()):
            self.pool.give_back(lease)
        for _ in range(200):
            self.settle_and_shelve()
            if not self.pool.unsettled:
                break
            task = self.pool.begin(self.now)
            if task is not None:
                self.pool.opened(task, RangeSet())
            lease = self.pool.take(self.now, lambda _task: ENDPOINT, lambda _endpoint: 16 * MIB)
            if lease is not None:
                self._bring(lease, 1.0)
                self.pool.give_back(lease)
        assert sorted(self.settled) == sorted(p.oid for p in self.objects)

    def _bring(self, lease: Lease, share: float) -> None:
        position = lease.position + int((lease.stop - lease.position) * share)
        rest, before = lease.rest, lease.position
        new = self.pool.advance(lease, position, self.now)
        brought = [(start, min(stop, lease.position)) for start, stop in rest if start < lease.position]
        assert new == sum(stop - start for start, stop in brought)
        assert lease.position >= before
        for start, stop in brought:
            self.here[lease.task.pointer.oid].add(start, stop)


PoolMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestPool = PoolMachine.TestCase


def drained(pool: LeaseQueue) -> Iterator[Task]:
    yield from pool.drain()


def test_draining_returns_everything() -> None:
    pool = LeaseQueue([pointer(n, 10) for n in range(5)])
    task = pool.begin(0.0)
    assert task is not None
    pool.shelve(task, 50.0)
    assert pool.begin(0.0) is not None
    assert {task.pointer.oid for task in drained(pool)} == {pointer(n, 10).oid for n in range(5)}
    assert pool.unsettled == 0


def test_a_shelved_object_does_not_hold_up_the_others() -> None:
    pool = LeaseQueue([pointer(n, 10) for n in range(2)])
    first = pool.begin(0.0)
    assert first is not None
    pool.shelve(first, 100.0)
    second = pool.begin(0.0)
    assert second is not None
    assert second.pointer != first.pointer
    assert pool.begin(99.0) is None
    assert pool.begin(101.0) is first


def test_what_is_compared_goes_in_small_steps() -> None:
    pool = LeaseQueue([pointer(1, 1000 * MIB)])
    task = pool.begin(0.0)
    assert task is not None
    pool.opened(task, RangeSet([(0, 1000 * MIB)]))
    task.todo, task.checking = RangeSet([(0, 500 * MIB)]), True
    leases = []
    while (lease := pool.take(0.0, lambda _task: ENDPOINT, lambda _endpoint: 16 * MIB)) is not None:
        leases.append(lease)
    assert all(lease.checking for lease in leases)
    assert sum(lease.stop - lease.start for lease in leases) <= 1000 * MIB / 30
    assert leases[0].stop - leases[0].start < MOST_RANGE_BYTES
