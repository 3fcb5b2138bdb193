"""Patching an index changes stat fields and nothing else."""

from __future__ import annotations

import hashlib
import os
import struct
import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from hfclone.git.index import Fresh, Patched, SizeRule, Unpatched, index_entries, patch_index

names = st.binary(min_size=1, max_size=30).filter(lambda n: b"\0" not in n)
words = st.integers(0, 2**32 - 1)


def make_index(version: int, entries: list[tuple[bytes, bytes]], extensions: bytes, trailer: bool) -> bytes:
    """An index with zeroed stat fields, as git writes it."""
    out = struct.pack(">4sLL", b"DIRC", version, len(entries))
    previous = b""
    for path, oid in entries:
        extended = 0x4000 if version == 3 else 0
        head = struct.pack(">10L", 0, 0, 0, 0, 0, 0, 0o100644, 0, 0, 0) + oid
        head += struct.pack(">H", min(len(path), 0xFFF) | extended) + (b"\0\0" if extended else b"")
        if version == 4:
            common = len(os.path.commonprefix([previous, path]))  # noqa: RUF071  # bytes, as git has it
            out += head + _varint(len(previous) - common) + path[common:] + b"\0"
        else:
            entry = head + path
            out += entry + b"\0" * (8 - len(entry) % 8)
        previous = path
    out += extensions
    return out + (hashlib.sha1(out).digest() if trailer else b"\0" * 20)


def _varint(value: int) -> bytes:
    found = [value & 0x7F]
    while value := value >> 7:
        value -= 1
        found.insert(0, 0x80 | (value & 0x7F))
    return bytes(found)


def stat_of(size: int, mtime: int) -> os.stat_result:
    """What os.lstat would say."""
    with tempfile.NamedTemporaryFile() as file:
        os.utime(file.name, (mtime, mtime))
        os.truncate(file.name, size)
        os.utime(file.name, (mtime, mtime))
        return os.lstat(file.name)


@given(
    st.sampled_from([2, 3, 4]),
    st.dictionaries(names, st.binary(min_size=20, max_size=20), max_size=8),
    st.sampled_from([b"", b"TREE\0\0\0\2xx", b"UNTR\0\0\0\0EOIE\0\0\0\1y"]),
    st.booleans(),
    st.data(),
)
def test_round_trip(
    version: int, tree: dict[bytes, bytes], extensions: bytes, trailer: bool, data: st.DataObject
) -> None:
    entries = sorted(tree.items())
    before = make_index(version, entries, extensions, trailer)
    assert [(e.path, bytes.fromhex(e.oid)) for e in index_entries(before)] == entries
    chosen = data.draw(st.lists(st.sampled_from(entries), unique=True)) if entries else []
    stat = stat_of(300, 1_000_000_000)
    with tempfile.TemporaryDirectory() as folder:
        index = Path(folder) / "index"
        index.write_bytes(before)
        fresh = {path: Fresh(oid.hex(), stat) for path, oid in chosen}
        assert patch_index(index, fresh) == Patched(len(chosen))
        after = index.read_bytes()
        assert os.listdir(folder) == ["index"]
    offsets = {e.path: e.offset for e in index_entries(after)}
    restored = bytearray(after)
    for path, _oid in chosen:
        fields = struct.unpack_from(">10L", after, offsets[path])
        assert (fields[2], fields[6], fields[9]) == (1_000_000_000, 0o100644, 300)
        restored[offsets[path] : offsets[path] + 40] = struct.pack(">10L", 0, 0, 0, 0, 0, 0, 0o100644, 0, 0, 0)
    assert restored[:-20] == before[:-20]
    if trailer:
        assert after[-20:] == hashlib.sha1(after[:-20]).digest()
    else:
        assert after[-20:] == b"\0" * 20


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_in_order(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        index = Path(folder) / "index"
        index.write_bytes(b"DIRC\0\0\0\2" + data)
        done = patch_index(index, {b"a": Fresh("0" * 40, os.lstat(folder))})
        assert isinstance(done, Unpatched | Patched)
        assert index.read_bytes() == b"DIRC\0\0\0\2" + data or done != Patched(0)


def test_size_of_a_multiple_of_4_gib() -> None:
    oid = b"\1" * 20
    for rule, shown in ((SizeRule.ZERO, 0), (SizeRule.MUNGED, 0x80000000)):
        with tempfile.TemporaryDirectory() as folder:
            index = Path(folder) / "index"
            index.write_bytes(make_index(2, [(b"a", oid)], b"", trailer=True))
            patch_index(index, {b"a": Fresh(oid.hex(), stat_of(2**32, 5))}, rule)
            assert struct.unpack_from(">10L", index.read_bytes(), 12)[9] == shown
