"""What a lease holds that a carrier moves: bytes come in any order, and of some it is not known yet where they lie."""

from __future__ import annotations

import hashlib

import pytest

from hfclone.hub.endpoint import Endpoint
from hfclone.pointer import Oid, Pointer
from hfclone.ranges import RangeSet
from hfclone.transfer.leases import Lease, LeaseQueue

SIZE = 100
HERE = Endpoint("https://here.example")


@pytest.fixture
def pool() -> LeaseQueue:
    return LeaseQueue([Pointer(Oid(hashlib.sha256(b"x").hexdigest()), SIZE)])


@pytest.fixture
def lease(pool: LeaseQueue) -> Lease:
    """Over all that lacks beside ``[20, 40)``."""
    task = pool.begin(0.0)
    assert task is not None
    pool.opened(task, RangeSet([(20, 40)]))
    lease = pool.take(0.0, lambda _task: HERE, lambda _endpoint: 10)
    assert lease is not None
    pool.widen(lease)
    lease.came = RangeSet()
    lease.connections = 2
    return lease


def test_only_what_is_new_counts(pool: LeaseQueue, lease: Lease) -> None:
    told = [((), 5), ([(60, 70)], 12), ([(60, 70)], 12), ([(15, 45), (60, 70)], 25)]
    assert [pool.carry(lease, here, received, 1.0) for here, received in told] == [5, 7, 0, 13]
    assert (lease.moved, lease.due) == (25, 55)
    assert lease.brought == [(15, 20), (40, 45), (60, 70)]
    assert lease.task.received == SIZE - 55


def test_the_prefix_ends_where_something_lacks(pool: LeaseQueue, lease: Lease) -> None:
    assert lease.task.prefix == 0
    pool.carry(lease, [(0, 20), (60, 70)], 35, 1.0)
    assert lease.task.prefix == 40


def test_what_did_not_come_goes_back(pool: LeaseQueue, lease: Lease) -> None:
    pool.carry(lease, [(0, 60)], 50, 1.0)
    pool.give_back(lease)
    assert lease.task.todo == RangeSet([(60, 100)])


def test_its_rate_is_that_of_one_connection(pool: LeaseQueue, lease: Lease) -> None:
    pool.carry(lease, (), 10, 1.0)
    pool.carry(lease, (), 50, 2.0)
    assert lease.rate(2.0) == 20
