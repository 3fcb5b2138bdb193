"""Stamps: what is on the disk when, and when it is written anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from hfclone.checkout.stamps import Stamps
from hfclone.errors import CannotWrite
from hfclone.pointer import Oid, Pointer

POINTER = Pointer(Oid("a" * 64), 3)


def written(folder: Path) -> Path:
    """A file of stamps for the paths ``a`` and ``b``."""
    stamps = Stamps(folder / "stamps")
    for name in (b"a", b"b"):
        stamps.add(name, POINTER, (folder).stat())
    stamps.save([b"a", b"b"])
    return folder / "stamps"


def test_saving_what_is_there_writes_nothing(tmp_path: Path) -> None:
    file = written(tmp_path)
    inode = file.stat().st_ino
    stamps = Stamps(file)
    stamps.save([b"a", b"b", b"c"])
    assert file.stat().st_ino == inode
    stamps.save([b"b"])
    assert list(Stamps(file)) == [b"b"]
    stamps.add(b"c", POINTER, tmp_path.stat())
    assert list(Stamps(file)) == [b"b", b"c"]
    stamps.save([b"c"])
    assert list(Stamps(file)) == [b"c"]


def test_a_torn_end_is_put_right_before_anything_is_appended(tmp_path: Path) -> None:
    file = written(tmp_path)
    file.write_bytes(file.read_bytes()[:-2])
    stamps = Stamps(file)
    stamps.save([b"a", b"b"])
    stamps.add(b"c", POINTER, tmp_path.stat())
    assert list(Stamps(file)) == [b"a", b"c"]


def test_a_missing_file_is_made(tmp_path: Path) -> None:
    Stamps(tmp_path / "stamps").save([])
    assert (tmp_path / "stamps").exists()


def test_a_disk_that_refuses_is_named(tmp_path: Path) -> None:
    stamps = Stamps(tmp_path / "nowhere" / "stamps")
    with pytest.raises(CannotWrite, match="nowhere"):
        stamps.add(b"a", POINTER, tmp_path.stat())
