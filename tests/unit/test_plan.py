"""What is missing, what is here, and what it costs."""

import pytest

from hfclone.names import Pin, Repo
from hfclone.plan import Disk, Plan, Presence, make_plan
from hfclone.pointer import Oid, Pointer

PIN = Pin(Repo("org/name"), "a" * 40)
A, B, C = (Pointer(Oid(letter * 64), size) for letter, size in (("a", 10), ("b", 30), ("c", 30)))
HERE, THERE, NONE, EDIT = Presence.CONTENT, Presence.POINTER, Presence.ABSENT, Presence.FOREIGN


def plan_of(*files: tuple[bytes, Pointer, Presence], without: frozenset[bytes] = frozenset(), held: int = 0) -> Plan:
    return make_plan(
        PIN,
        {path: pointer for path, pointer, _ in files},
        {path: presence for path, _, presence in files},
        {path for path, _, _ in files} - without,
        Disk(1000, held=lambda _pointer: held, reserved=lambda _pointer: held),
    )


def test_nothing() -> None:
    plan = plan_of()
    assert (plan.objects, plan.total_bytes, plan.fetch_bytes, plan.need_bytes, plan.unselected) == (0, 0, 0, 0, 0)


def test_largest_first_then_by_name() -> None:
    plan = plan_of((b"1", A, THERE), (b"2", C, THERE), (b"3", B, NONE))
    assert plan.missing == (B, C, A)
    assert (plan.fetch_bytes, plan.here_bytes, plan.need_bytes) == (70, 0, 70)


def test_one_object_at_many_paths_is_fetched_once_and_stored_at_each() -> None:
    plan = plan_of((b"1", A, THERE), (b"2", A, NONE))
    assert plan.missing == (A,)
    assert plan.paths == {A.oid: (b"1", b"2")}
    assert (plan.fetch_bytes, plan.need_bytes, plan.objects) == (10, 20, 1)


def test_a_copy_needs_no_line() -> None:
    plan = plan_of((b"1", A, HERE), (b"2", A, THERE))
    assert (plan.missing, plan.copies, plan.present) == ((), (A,), ())
    assert plan.paths == {A.oid: (b"2",)}
    assert (plan.fetch_bytes, plan.here_bytes, plan.need_bytes) == (0, 10, 10)


def test_in_place() -> None:
    plan = plan_of((b"1", A, HERE), (b"2", B, HERE))
    assert (plan.missing, plan.copies, plan.present) == ((), (), (A, B))
    assert (plan.fetch_bytes, plan.need_bytes, plan.here_bytes) == (0, 0, 40)


def test_partials_count_as_here() -> None:
    plan = plan_of((b"1", A, THERE), (b"2", B, HERE), held=4)
    assert plan.held == {A.oid: 4}
    assert (plan.fetch_bytes, plan.here_bytes, plan.need_bytes) == (6, 34, 6)


def test_what_was_not_asked_for() -> None:
    plan = plan_of((b"1", A, THERE), (b"2", B, THERE), (b"3", A, THERE), without=frozenset({b"2", b"3"}))
    assert plan.missing == (A,)
    assert plan.paths == {A.oid: (b"1",)}
    assert plan.unselected == 1


def test_an_object_at_an_unselected_path_serves_as_source() -> None:
    plan = plan_of((b"1", A, THERE), (b"2", A, HERE), without=frozenset({b"2"}))
    assert (plan.missing, plan.copies) == ((), (A,))


@pytest.mark.parametrize("other", [HERE, THERE])
def test_an_edit_is_neither_here_nor_filled(other: Presence) -> None:
    assert plan_of((b"1", A, EDIT)).objects == 0
    plan = plan_of((b"1", A, EDIT), (b"2", A, other))
    assert plan.paths.get(A.oid, ()) == (() if other is HERE else (b"2",))
