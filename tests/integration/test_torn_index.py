"""What a crash of others leaves of git's index: moved aside and made anew where it tells nothing any more."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.command import Command, assert_checkout, git
from tests.hub import Hub, LivingRepo

ZERO = bytes(20)


@pytest.fixture
def dest(hub: Hub, tiny_repo: LivingRepo, hfclone: Command) -> Path:
    """A checkout whose user has staged something."""
    assert hub.url and tiny_repo.commit
    assert hfclone("acme/tiny").code == 0
    dest = hfclone.cwd / "tiny"
    (dest / "mine.txt").write_text("staged")
    (dest / "config.json").write_text("staged, too")
    git(dest, "add", "mine.txt", "config.json")
    (dest / "mine.txt").write_text("edited since")
    return dest


def signed(data: bytes) -> bytes:
    return data + hashlib.sha1(data).digest()


TORN: dict[str, Callable[[bytes], bytes]] = {
    "cut short": lambda data: data[: len(data) // 2],
    "cut to its header": lambda data: data[:40],
    "cut at an entry's end": lambda data: (
        data[:12] + data[12:].partition(b"config.json\0")[0] + b"config.json" + bytes(25)
    ),
    "with an extension that is none": lambda data: data[:-20] + b"zzzz" + bytes(4) + b"\x01" * 20,
    "empty": lambda _data: b"",
    "zeros": lambda data: bytes(len(data)),
    "zeros at the end": lambda data: data[:100] + bytes(len(data) - 100),
    "another file": lambda data: b"\x7fELF" + data[4:],
}


@pytest.mark.parametrize("how", TORN)
def test_a_torn_index_is_made_anew(hub: Hub, tiny_repo: LivingRepo, hfclone: Command, dest: Path, how: str) -> None:
    index = dest / ".git/index"
    staged = git(dest, "rev-parse", ":mine.txt").strip()
    torn = TORN[how](index.read_bytes())
    before = hub.log.bytes_sent(kind="cdn")
    for number in (1, 2):
        index.write_bytes(torn)
        done = hfclone("acme/tiny")
        assert done.code == 0, done.stderr
        aside = dest / f".git/index.hfclone-orig-{number}"
        assert aside.read_bytes() == torn
        assert f"it was moved to {aside}" in done.stderr
    assert git(dest, "cat-file", "blob", staged) == "staged"
    assert git(dest, "status", "--porcelain").splitlines() == ["M config.json", "?? mine.txt"]
    assert (dest / "mine.txt").read_text() == "edited since"
    assert "config.json" in done.stderr.split("kept")[1]
    assert hub.log.bytes_sent(kind="cdn") == before
    (dest / "mine.txt").unlink()
    git(dest, "checkout", "config.json")
    assert_checkout(dest, tiny_repo.commit, f"{hub.url}/acme/tiny")


def test_a_move_to_another_commit(hub: Hub, tiny_repo: LivingRepo, hfclone: Command, dest: Path) -> None:
    """An edit in its way is found by its bytes, staged or not, and stays."""
    (dest / ".git/index").write_bytes(b"")
    tiny_repo.add_commit({"config.json": "theirs\n", "README.md": "theirs\n"}, branch="main", message="n")
    done = hfclone("pull", dest)
    assert done.code == 6
    assert "config.json" in done.error
    assert (dest / "config.json").read_text() == "staged, too"
    git(dest, "reset", "--quiet")
    git(dest, "checkout", "config.json")
    assert hfclone("pull", dest).code == 0
    assert (dest / "README.md").read_text() == "theirs\n"
    assert hub.log.of(kind="git")


def test_verify_and_status_need_none(hfclone: Command, dest: Path) -> None:
    (dest / ".git/index").write_bytes(b"")
    found = hfclone("verify", dest)
    assert [row.split()[:2] for row in found.stdout.splitlines()] == [["changed", "config.json"], ["extra", "mine.txt"]]
    assert "1 edited" in hfclone("status", dest).stdout
    assert (dest / ".git/index").read_bytes() == b""


@pytest.mark.parametrize("cut", [0, 1, 20])
def test_what_still_tells_what_is_staged_stays(hfclone: Command, dest: Path, cut: int) -> None:
    """A wrong checksum, or an extension that is cut short, alone: git does not look at them, and writes them anew."""
    index = dest / ".git/index"
    index.write_bytes(index.read_bytes()[: -20 - cut] + b"\x01" * 20)
    assert hfclone("acme/tiny").code == 0
    assert git(dest, "show", ":mine.txt") == "staged"
    assert not list(dest.glob(".git/index.hfclone-orig-*"))


def test_what_another_git_could_read_stays(hfclone: Command, dest: Path) -> None:
    """A version that this git does not know, whole: its user has a git that does."""
    index = dest / ".git/index"
    data = index.read_bytes()
    newer = signed(data[:4] + struct.pack(">L", 9) + data[8:-20])
    index.write_bytes(newer)
    done = hfclone("acme/tiny")
    assert done.code == 6
    assert "index" in done.error
    assert index.read_bytes() == newer
    assert not list(dest.glob(".git/index.hfclone-orig-*"))


def test_an_index_without_a_checksum(hfclone: Command, dest: Path) -> None:
    """As index.skipHash has it."""
    index = dest / ".git/index"
    index.write_bytes(index.read_bytes()[:-20] + ZERO)
    assert hfclone("acme/tiny").code == 0
    assert git(dest, "show", ":mine.txt") == "staged"
    assert not list(dest.glob(".git/index.hfclone-orig-*"))
