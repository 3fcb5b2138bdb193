"""Any lock reads back as itself; no change of one byte of its text is read as another lock."""

from __future__ import annotations

import hashlib

from hypothesis import given, settings
from hypothesis import strategies as st

from hfclone.errors import BadLockfile
from hfclone.lock.format import format_lock, parse_lock
from hfclone.lock.model import Lock, LockedFile, LockedRepo, git_id, trees_of
from hfclone.names import Pin, Repo, RepoType
from hfclone.pointer import Oid, Pointer, format_pointer

parts = st.binary(min_size=1, max_size=5).map(lambda raw: b"p" + raw.replace(b"/", b"-").replace(b"\0", b"_"))
folders = st.sampled_from([b"", b"d/", b"d/e/", b"d.x/", "ü/".encode(), b"\xff/"])
paths = st.builds(lambda folder, part: folder + part + b"q", folders, parts)
digests = st.binary(min_size=32, max_size=32).map(lambda digest: Oid(digest.hex()))
repos = st.builds(Repo, st.sampled_from(["gpt2", "a/b", "a/c", "z/b"]), st.sampled_from(RepoType))


def a_file(path: bytes, kind: str, sha256: Oid, size: int, selected: bool) -> LockedFile:
    if kind == "lfs":
        text = format_pointer(Pointer(sha256, size + 1))
        return LockedFile(path, "100755", git_id("blob", text), size + 1, sha256, text, selected)
    if kind == "160000":
        return LockedFile(path, kind, sha256[:40], 0, Oid(""))
    return LockedFile(path, kind, sha256[:40], size, sha256)


kinds = st.sampled_from(["lfs", "100644", "100755", "120000", "160000"])
files = st.builds(a_file, paths, kinds, digests, st.integers(0, 2**62), st.booleans())


def a_repo(repo: Repo, files: list[LockedFile], message: bytes) -> LockedRepo:
    files = sorted(files, key=lambda file: file.path)
    raw = b"tree %s\nauthor\n\n%s" % (git_id("tree", trees_of(files)[b""]).encode(), message)
    return LockedRepo(Pin(repo, git_id("commit", raw)), "main", raw, tuple(files))


locked = st.builds(a_repo, repos, st.lists(files, max_size=8, unique_by=lambda file: file.path), st.binary(max_size=9))
locks = st.lists(locked, max_size=3, unique_by=lambda one: one.pin.repo).map(
    lambda some: Lock(tuple(sorted(some, key=lambda one: (one.pin.repo.repo_type.value, one.pin.repo.repo_id))))
)


@given(locks)
@settings(deadline=None)
def test_there_and_back(lock: Lock) -> None:
    text = format_lock(lock)
    assert parse_lock(text.encode()) == lock
    assert format_lock(parse_lock(text.encode())) == text


@given(locks, st.integers(0, 10**6), st.integers(0, 255))
@settings(deadline=None)
def test_no_changed_byte_is_read_as_another_lock(lock: Lock, at: int, byte: int) -> None:
    text = bytearray(format_lock(lock).encode())
    text[at % len(text)] = byte
    try:
        assert parse_lock(bytes(text)) == lock  # white space, or the same byte
    except BadLockfile as error:
        assert error.where
        assert error.reason


@given(st.binary(max_size=200))
def test_no_other_bytes_are_a_lock(text: bytes) -> None:
    try:
        parse_lock(text)
    except BadLockfile:
        return
    raise AssertionError(text)


@given(st.lists(paths, max_size=6, unique=True))
def test_trees_are_folders(listed: list[bytes]) -> None:
    rows = [LockedFile(path, "100644", hashlib.sha1(path).hexdigest(), 0, Oid("")) for path in listed]
    assert set(trees_of(rows)) == {b""} | {path.rpartition(b"/")[0] for path in listed} | {
        b"d" for path in listed if path.startswith(b"d/e/")
    }
