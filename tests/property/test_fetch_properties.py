"""Who sent wrong bytes: for any shares of any liars, the object comes out right and no honest endpoint is blamed."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from hfclone.ranges import RangeSet
from hfclone.transfer.provenance import Provenance

BLOCKS = 12
RIGHT = "right"


class World:
    """Endpoints that send blocks; each liar has its own wrong version of some of them."""

    def __init__(self, names: list[str], lies: dict[str, set[int]]) -> None:
        self.names, self.lies = names, lies
        self.barred: set[str] = set()
        self.blamed: set[str] = set()
        self.fetched = 0

    def block(self, sender: str, number: int) -> str:
        return f"{sender} lies" if number in self.lies.get(sender, ()) else RIGHT


@given(
    st.integers(1, 4),
    st.lists(st.integers(0, 3), min_size=BLOCKS, max_size=BLOCKS),
    st.dictionaries(st.integers(0, 3), st.sets(st.integers(0, BLOCKS - 1), min_size=1), max_size=3),
    st.randoms(use_true_random=False),
)
@settings(max_examples=400, deadline=None)
def test_tracing_ends_and_blames_only_liars(count, shares, lies, rng) -> None:  # type: ignore[no-untyped-def]
    names = [f"e{i}" for i in range(count)]
    world = World(names, {f"e{i}": blocks for i, blocks in lies.items() if i < count})
    disk = [world.block(names[share % count], number) for number, share in enumerate(shares)]
    provenance = Provenance(BLOCKS)
    for number, share in enumerate(shares):
        provenance.note(names[share % count], number, number + 1)
    honest = [name for name in names if not world.lies.get(name)]

    for _ in range(40):
        if all(block == RIGHT for block in disk):
            break
        left = [name for name in names if name not in world.barred]
        ruling = provenance.rule(left, {})
        if ruling.liar:
            world.blamed.add(ruling.liar)
            if ruling.barred:
                world.barred.add(ruling.liar)
        left = [name for name in names if name not in world.barred]
        if not left:
            break
        refetch(world, provenance, disk, ruling.suspects, left, rng)
    else:
        raise AssertionError("it does not end")
    if all(block == RIGHT for block in disk):
        world.blamed |= set(provenance.liars(lambda start, stop: digest(disk, start, stop)))
    else:
        assert not honest
    assert not world.blamed & set(honest)
    assert world.fetched <= BLOCKS * count * (count + 1)


def refetch(world, provenance, disk, suspects, left, rng) -> None:  # type: ignore[no-untyped-def]
    for start, stop in list(suspects):
        for number in range(start, stop):
            able = [name for name in left if name not in provenance.doubted] or left
            sender = rng.choice(able)
            world.fetched += 1
            block = world.block(sender, number)
            if block != disk[number]:
                provenance.differs(number, number + 1, lambda low, high: digest(disk, low, high))
                disk[number] = block
            provenance.note(sender, number, number + 1)


def digest(disk: list[str], start: int, stop: int) -> str:
    return "|".join(disk[start:stop])


def test_one_of_two_is_doubted_and_the_other_asked() -> None:
    provenance = Provenance(100)
    provenance.note("a", 0, 60)
    provenance.note("b", 60, 100)
    ruling = provenance.rule(["a", "b"], {})
    assert ruling.liar is None
    assert ruling.suspects == RangeSet([(0, 60)])
    assert provenance.doubted == {"a"}


def test_who_lied_before_is_doubted_first() -> None:
    provenance = Provenance(100)
    provenance.note("a", 0, 60)
    provenance.note("b", 60, 100)
    assert provenance.rule(["a", "b"], {"b": 1}).suspects == RangeSet([(60, 100)])


def test_a_sender_of_an_earlier_run_that_cannot_be_asked_is_doubted_first() -> None:
    provenance = Provenance(100)
    provenance.note("a", 0, 60)
    provenance.note("gone", 60, 100)
    assert provenance.rule(["a", "b"], {}).suspects == RangeSet([(60, 100)])


def test_one_sender_and_nobody_else_has_one_more_chance() -> None:
    provenance = Provenance(10)
    provenance.note("a", 0, 10)
    assert not provenance.rule(["a"], {}).barred
    provenance.note("a", 0, 10)
    second = provenance.rule(["a"], {})
    assert second.liar == "a"
    assert second.barred
