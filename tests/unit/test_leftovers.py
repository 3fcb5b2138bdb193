"""Of which object a file that is not whole is, and what of it is kept."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from hfclone.partials import Partials, Record
from hfclone.pointer import Oid, Pointer
from hfclone.ranges import RangeSet
from hfclone.reuse.leftovers import LEAST_BYTES, Contradiction, Leftover, find_leftovers, keep_leftover

WHOLE = bytes(range(256)) * 1024
SIZE = len(WHOLE)


def pointer(name: str, size: int = SIZE) -> Pointer:
    return Pointer(Oid(hashlib.sha256(name.encode()).hexdigest()), size)


MODEL, ONE, TWO = pointer("model"), pointer("one"), pointer("two")
PATHS = {MODEL.oid: (b"model.bin", b"copy/other.bin"), ONE.oid: (b"a/w.bin",), TWO.oid: (b"b/w.bin",)}
LEFT = {each.oid: each for each in (MODEL, ONE, TWO)}


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("model.bin", MODEL),
        ("other.bin.part", MODEL),
        ("model.bin.crdownload", MODEL),
        ("model (1).bin", MODEL),
        ("model.bin.1", MODEL),
        (f"{ONE.oid}.incomplete", ONE),
        (f"Zm9v.{TWO.oid}.incomplete", TWO),
        (f"{TWO.oid}1234567890", None),
        ("w.bin", None),
        ("a/w.bin.part", ONE),
        ("a/w.bin", ONE),
        ("x/b/w.bin", TWO),
        ("unknown.bin", None),
        ("model.bin.aria2", None),
    ],
)
def test_a_file_is_known_by_its_name(tmp_path: Path, name: str, meant: Pointer | None) -> None:
    file = tmp_path / "deep" / name
    file.parent.mkdir(parents=True)
    file.write_bytes(WHOLE[:LEAST_BYTES])
    found = list(find_leftovers(tmp_path, LEFT, PATHS))
    assert found == ([Leftover(file, meant, RangeSet([(0, LEAST_BYTES)]))] if meant else [])


@pytest.mark.parametrize("size", [LEAST_BYTES - 1, SIZE, SIZE + 1])
def test_what_is_too_small_or_no_part_is_left(tmp_path: Path, size: int) -> None:
    (tmp_path / "model.bin").write_bytes(bytes(size))
    assert list(find_leftovers(tmp_path, LEFT, PATHS)) == []


def test_only_what_we_lack_is_copied(tmp_path: Path) -> None:
    partials = Partials(tmp_path / "parts")
    partial = partials.open(MODEL)
    partial.write(WHOLE[1000:2000], 1000)
    partial.record(Record(1000, 2000, "hub", _digest(WHOLE[1000:2000])))
    partial.close()
    (tmp_path / "file").write_bytes(WHOLE[:100_000])
    told: list[int] = []
    leftover = Leftover(tmp_path / "file", MODEL, RangeSet([(500, 1500), (1800, 90_000)]))
    assert keep_leftover(leftover, partials, told.append) == 500 + 88_000
    assert sum(told) == 500 + 88_000
    again = partials.open(MODEL)
    try:
        assert again.held() == RangeSet([(500, 90_000)])
        assert {record.endpoint for record in again.records} == {"hub", "a-file-here"}
        assert again.path.read_bytes()[500:90_000] == WHOLE[500:90_000]
    finally:
        again.close()


def test_what_contradicts_us_is_not_kept(tmp_path: Path) -> None:
    partials = Partials(tmp_path / "parts")
    (tmp_path / "file").write_bytes(WHOLE[:100_000])
    assert keep_leftover(Leftover(tmp_path / "file", MODEL, RangeSet([(0, 70_000)])), partials, lambda _count: None)
    other = bytearray(WHOLE[:100_000])
    other[69_999] ^= 1
    (tmp_path / "file").write_bytes(other)
    with pytest.raises(Contradiction):
        keep_leftover(Leftover(tmp_path / "file", MODEL, RangeSet([(0, 100_000)])), partials, lambda _count: None)
    assert partials.claimed_bytes(MODEL) == 70_000


def test_a_file_that_has_shrunk_gives_what_it_has(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(WHOLE[:1000])
    leftover = Leftover(tmp_path / "file", MODEL, RangeSet([(0, 100_000)]))
    assert keep_leftover(leftover, Partials(tmp_path / "parts"), lambda _count: None) == 1000


def _digest(data: bytes) -> str:
    from hfclone.files.hashing import RangeDigest

    digest = RangeDigest()
    digest.update(data)
    return digest.hexdigest()
