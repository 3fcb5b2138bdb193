"""``verify --repair`` of a large file, through the real command: how little is fetched, and what is never lost."""

from __future__ import annotations

import hashlib
import json
import os
import re
from pathlib import Path

import pytest

from hfclone.files.hashing import range_digest
from tests.e2e.command import Command, assert_checkout, git, sha256
from tests.hub import Hub, Lfs, LivingRepo
from tests.hub.streams import HoldAt

MB = 1_000_000
SIZE = 22 * MB
MODEL = Lfs(SIZE, seed=4)
OID = hashlib.sha256(MODEL.content).hexdigest()
RANGE = (4 * 1024 + 256) * 1024
"""At most so much is in a line of the journal: 4 MiB and what came with the last of them."""


@pytest.fixture
def repo(hub: Hub) -> LivingRepo:
    return hub.repo("acme/big", {".gitattributes": "*.bin filter=lfs -text\n", "m.bin": MODEL, "small.bin": Lfs(MB, 5)})


@pytest.fixture
def checkout(hub: Hub, repo: LivingRepo, hfclone: Command, tmp_path: Path) -> Path:
    dest = tmp_path / "big"
    assert hfclone("acme/big", dest).code == 0
    return dest


def rot(path: Path, *, at: int = SIZE // 2, size: int | None = None) -> None:
    """A flipped byte, or another length, under the old mtime."""
    stat = path.stat()
    if size is not None:
        os.truncate(path, size)
    else:
        with path.open("r+b") as file:
            file.seek(at)
            byte = file.read(1)[0]
            file.seek(at)
            file.write(bytes([byte ^ 0xFF]))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def sent(hub: Hub, before: int) -> int:
    return sum(entry.bytes_sent for entry in hub.log.entries[before:] if entry.kind == "cdn")


def repaired(hub: Hub, hfclone: Command, checkout: Path, *more: str, code: int = 0) -> int:
    """How many bytes of objects it took."""
    before = len(hub.log.entries)
    outcome = hfclone("verify", checkout, "--repair", *more)
    assert outcome.code == code, f"\n{outcome.stderr}"
    return sent(hub, before)


def assert_right(hub: Hub, repo: LivingRepo, checkout: Path) -> None:
    assert sha256(checkout / "m.bin") == OID
    assert_checkout(checkout, repo.commit, f"{hub.url}/acme/big")


def kept_journals(checkout: Path) -> set[str]:
    folder = checkout / ".git/hfclone/journals"
    return set(os.listdir(folder)) if folder.exists() else set()


def test_a_rotten_byte_costs_one_range(hub: Hub, repo: LivingRepo, hfclone: Command, checkout: Path) -> None:
    assert kept_journals(checkout) == {OID}  # the small one is fetched again whole
    rot(checkout / "m.bin")
    rot(checkout / "small.bin", at=7)
    assert MB < repaired(hub, hfclone, checkout) <= MB + RANGE
    assert_right(hub, repo, checkout)
    rot(checkout / "m.bin", at=0)  # what was repaired can be repaired again
    rot(checkout / "m.bin", at=SIZE - 1)
    assert 0 < repaired(hub, hfclone, checkout) <= 2 * RANGE
    assert_right(hub, repo, checkout)


def test_a_file_that_was_cut_short(hub: Hub, repo: LivingRepo, hfclone: Command, checkout: Path) -> None:
    """Under its old mtime it is rot. With a new one it is somebody's: listed, or moved aside where that is allowed."""
    rot(checkout / "m.bin", size=SIZE - 3 * MB)
    assert 3 * MB <= repaired(hub, hfclone, checkout) <= 3 * MB + RANGE
    assert_right(hub, repo, checkout)
    os.truncate(checkout / "m.bin", SIZE - 3 * MB)
    assert repaired(hub, hfclone, checkout, code=5) == 0
    assert (checkout / "m.bin").stat().st_size == SIZE - 3 * MB
    mine = sha256(checkout / "m.bin")
    # The right ranges of the copy aside were not fetched again.
    assert 3 * MB <= repaired(hub, hfclone, checkout, "--backup") <= 3 * MB + RANGE
    assert sha256(checkout / "m.bin.hfclone-orig-1") == mine
    (checkout / "m.bin.hfclone-orig-1").unlink()
    assert_right(hub, repo, checkout)


def test_backup_moves_small_files_and_links_too(hub: Hub, repo: LivingRepo, hfclone: Command, checkout: Path) -> None:
    (checkout / ".gitattributes").write_bytes(b"mine")
    (checkout / "small.bin").unlink()
    (checkout / "small.bin").symlink_to("m.bin")
    outcome = hfclone("verify", checkout, "--repair", "--backup", "--json")
    data = json.loads(outcome.stdout)
    aside = [".gitattributes.hfclone-orig-1", "small.bin.hfclone-orig-1"]
    assert (outcome.code, data["ok"], data["wrong"], data["aside"]) == (0, True, [], aside)
    assert (checkout / ".gitattributes.hfclone-orig-1").read_bytes() == b"mine"
    assert os.readlink(checkout / "small.bin.hfclone-orig-1") == "m.bin"
    for name in aside:
        (checkout / name).unlink()
    assert_right(hub, repo, checkout)


def test_what_lies_aside_is_right_for_good(hub: Hub, repo: LivingRepo, hfclone: Command, checkout: Path) -> None:
    """A whole directory, too; what only looks like one of ours is extra, as ever. Nothing is asked of the hub."""
    assert hub.url and repo.commit
    (checkout / "small.bin").unlink()
    (checkout / "small.bin").mkdir()
    (checkout / "small.bin/deep").write_bytes(b"mine")
    assert repaired(hub, hfclone, checkout, "--backup") > 0
    assert (checkout / "small.bin.hfclone-orig-1/deep").read_bytes() == b"mine"
    asked = len(hub.log)
    outcome = hfclone("verify", checkout)
    assert (outcome.code, outcome.stdout) == (0, "")
    assert "1 file of yours was moved aside: small.bin.hfclone-orig-1/deep\n" in outcome.stderr
    lookalikes = ["hfclone-orig-1", ".hfclone-orig-1", "x.hfclone-orig-0", "x.hfclone-orig-1.txt", "x.hfclone-orig-1-"]
    for name in lookalikes:
        (checkout / name).write_bytes(b"x")
    outcome = hfclone("verify", checkout)
    assert (outcome.code, {line.split()[1] for line in outcome.stdout.splitlines()}) == (5, set(lookalikes))
    assert len(hub.log) == asked


@pytest.mark.parametrize("how", ["torn", "forged", "another format", "gone"])
def test_a_journal_is_only_a_claim(hub: Hub, repo: LivingRepo, hfclone: Command, checkout: Path, how: str) -> None:
    rot(checkout / "m.bin")
    journal = checkout / ".git/hfclone/journals" / OID
    data = journal.read_bytes()
    match how:
        case "torn":
            journal.write_bytes(data[: len(data) // 2])
        case "forged":
            journal.write_bytes(_vouching_for(checkout / "m.bin", data))
        case "another format":
            journal.write_bytes(data.replace(b"hfclone-journal 1", b"hfclone-journal 9"))
        case "gone":
            journal.unlink()
    took = repaired(hub, hfclone, checkout)
    assert took > RANGE
    assert took >= SIZE or how in ("torn", "forged")
    assert_right(hub, repo, checkout)


def _vouching_for(file: Path, journal: bytes) -> bytes:
    """The same journal with the digests of what ``file`` holds now."""
    with file.open("rb") as opened:

        def digest(line: re.Match[bytes]) -> bytes:
            return line[1] + range_digest(opened.fileno(), int(line[2]), int(line[3])).encode()

        return re.sub(rb"(?m)^((\d+) (\d+) \S+ )[0-9a-f]{16}$", digest, journal)


def test_killed_in_a_repair(hub: Hub, repo: LivingRepo, hfclone: Command, checkout: Path) -> None:
    """Whatever was right is somewhere on the disk at any moment, and is used."""
    rot(checkout / "m.bin", at=MB)
    rot(checkout / "m.bin", at=SIZE - MB)
    hold = HoldAt(MB // 10)
    hub.faults.add(hold, on="cdn", times=1)
    before = len(hub.log.entries)
    process = hfclone.start("verify", checkout, "--repair")
    assert hold.held.wait(30)
    hfclone.kill(process)
    hold.release()
    left = [path.stat().st_size for path in checkout.rglob(f"*{OID}.part")]
    assert left == [SIZE]
    assert not (checkout / "m.bin").exists()  # wrong bytes do not stand under the name
    assert repaired(hub, hfclone, checkout) <= 2 * RANGE
    assert sent(hub, before) <= 4 * RANGE
    assert_right(hub, repo, checkout)


def test_another_name_of_the_file_is_not_written_to(
    hub: Hub, repo: LivingRepo, hfclone: Command, checkout: Path, tmp_path: Path
) -> None:
    rot(checkout / "m.bin")
    os.link(checkout / "m.bin", tmp_path / "theirs")
    wrong = sha256(tmp_path / "theirs")
    assert 0 < repaired(hub, hfclone, checkout) <= RANGE
    assert sha256(tmp_path / "theirs") == wrong
    assert_right(hub, repo, checkout)


def test_a_second_copy_costs_nothing(hub: Hub, repo: LivingRepo, hfclone: Command, tmp_path: Path) -> None:
    repo.add_commit({"again.bin": MODEL}, branch="main", message="twice")
    checkout = tmp_path / "big"
    assert hfclone("acme/big", checkout).code == 0
    rot(checkout / "again.bin")
    assert repaired(hub, hfclone, checkout) == 0
    assert sha256(checkout / "again.bin") == OID
    assert_right(hub, repo, checkout)


def test_journals_go_with_their_objects(hub: Hub, repo: LivingRepo, hfclone: Command, checkout: Path) -> None:
    other = Lfs(9 * MB, seed=6)
    repo.add_commit({"m.bin": other}, branch="main", message="next")
    assert hfclone("pull", checkout).code == 0
    assert OID not in kept_journals(checkout)
    assert git(checkout, "status", "--porcelain") == ""


def test_patterns_limit_a_repair(hub: Hub, repo: LivingRepo, hfclone: Command, checkout: Path) -> None:
    rot(checkout / "m.bin")
    (checkout / "small.bin").unlink()
    assert repaired(hub, hfclone, checkout, "--exclude", "m.*", code=5) == MB
    assert (checkout / "m.bin").stat().st_size == SIZE  # damaged, but not asked for: it stays where it is
    assert repaired(hub, hfclone, checkout) <= RANGE
    assert_right(hub, repo, checkout)
