"""Small objects take a short way; on a bad line it is the long one, and costs no more than there."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest

from hfclone.errors import DiskFull
from hfclone.partials import Partials
from hfclone.pointer import Pointer
from tests.faults.rig import Rig, same_file
from tests.hub.faults import Serve
from tests.hub.messages import Request, Response
from tests.hub.streams import CloseShort, FlipByte, HoldAt

pytestmark = pytest.mark.parametrize("kind", ["threads"])
"""A carrier takes them as all others."""


class TwiceTheLength:
    """Content-Length has its value twice, as when two servers on the way have each added theirs."""

    def answer(self, request: Request, serve: Serve) -> Response:
        response = serve(request)
        response.length = f"{response.length}, {response.length}"  # type: ignore[assignment]  # as it is written
        return response.wrap(in_two_halves)

    def release(self) -> None:
        """Nothing waits."""


def in_two_halves(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """With a break between them, so that the first is seen alone."""
    body = b"".join(pieces)
    yield body[: len(body) // 2]
    time.sleep(0.05)
    yield body[len(body) // 2 :]


@pytest.fixture(autouse=True)
def _small_ones(rig: Rig) -> None:
    rig.objects = [pointer for pointer in rig.objects if pointer.size <= 30_000]
    rig.total = sum(pointer.size for pointer in rig.objects)
    assert len(rig.objects) == 30


def test_each_is_one_request_and_one_file_that_the_disk_has(rig: Rig) -> None:
    ran = rig.fetch()
    assert not ran.failed
    assert len(rig.hub.log.of(kind="cdn")) == len(rig.objects)
    assert rig.sent() == 1
    in_one_piece = [arrived for arrived in ran.arrived if arrived.synced]
    assert len(in_one_piece) > len(rig.objects) // 2  # the first are opened before it is known what is here
    names = set(os.listdir(rig.directory))
    assert {f"{arrived.pointer.oid}.part" for arrived in in_one_piece} <= names
    assert not {f"{arrived.pointer.oid}.journal" for arrived in in_one_piece} & names


def test_what_came_before_a_break_is_not_asked_for_again(rig: Rig) -> None:
    oid = rig.objects[-1].oid
    rule = rig.hub.faults.add(CloseShort(11_000), on="cdn", oid=oid, times=1)
    ran = rig.fetch()
    assert not ran.failed
    assert rule.hits == 1
    first, second = rig.hub.log.of(kind="cdn", oid=oid)
    assert first.range is None
    assert second.range is not None
    assert second.range[0] == 11_000


def test_what_came_before_a_pause_is_on_record_while_it_lasts(rig: Rig) -> None:
    last = rig.objects[-1]
    hold = HoldAt(11_000)
    rig.hub.faults.add(hold, on="cdn", oid=last.oid, times=1)
    with rig.in_background() as run:
        assert hold.held.wait(10)
        deadline = time.monotonic() + 10
        while rig.partials.claimed_bytes(last) != 11_000:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        hold.go.set()
        ran = run.done()
    assert not ran.failed
    assert rig.sent() == 1


def test_what_came_and_was_not_taken_is_not_asked_for_again(rig: Rig) -> None:
    outcomes = rig.transfer().fetch(rig.wanted, lambda _event: None)
    next(outcomes)
    outcomes.close()  # type: ignore[attr-defined]  # a generator
    here = {pointer.oid for pointer in rig.objects if is_whole(rig, pointer)}
    assert here
    rig.partials = Partials(rig.directory)
    since = len(rig.hub.log)
    assert not rig.fetch().failed
    assert not here & {entry.oid for entry in rig.hub.log.entries[since:] if entry.kind == "cdn"}


def is_whole(rig: Rig, pointer: Pointer) -> bool:
    part = rig.partials.part_path(pointer)
    return part.exists() and same_file(part, rig.repo.object_path(pointer.oid))


def test_a_length_that_two_readers_read_differently(rig: Rig) -> None:
    """urllib3 takes ``30000, 30000`` for a length, http.client does not."""
    rule = rig.hub.faults.add(TwiceTheLength(), on="cdn", times=5)
    ran = rig.fetch()
    assert not ran.failed
    assert rule.hits == 5
    assert rig.sent() <= 1.2


def test_a_wrong_byte_is_found_and_its_object_fetched_again(rig: Rig) -> None:
    oid = rig.objects[-1].oid
    rig.hub.faults.add(FlipByte(17_000), on="cdn", oid=oid)
    ran = rig.fetch()
    assert not ran.failed
    assert "hash-mismatch" in ran.faults
    assert len(rig.hub.log.of(kind="cdn", oid=oid)) == 2


def test_what_is_there_already_is_not_written_over(rig: Rig) -> None:
    last = rig.objects[-1]
    content = rig.repo.object_path(last.oid).read_bytes()
    assert not rig.partials.is_new(last)  # nobody has looked yet
    rig.partials.await_writers()
    assert rig.partials.is_new(last)
    rig.partials.part_path(last).write_bytes(b"somebody's")
    assert not rig.partials.put_whole(last, content)
    assert rig.partials.part_path(last).read_bytes() == b"somebody's"
    rig.partials.part_path(last).unlink()
    assert rig.partials.put_whole(last, content)
    assert rig.partials.part_path(last).read_bytes() == content
    assert not rig.partials.is_new(last)
    rig.partials.discard(last)
    assert os.listdir(rig.directory) == []


def test_what_does_not_fit_leaves_nothing(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is full at the sync: then the file must not look like one that holds something."""
    last = rig.objects[-1]
    rig.partials.await_writers()

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskFull):
        rig.partials.put_whole(last, bytes(last.size))
    assert os.listdir(rig.directory) == []
    assert rig.partials.is_new(last)
