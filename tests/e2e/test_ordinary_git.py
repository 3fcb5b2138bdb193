"""What the command leaves is an ordinary checkout: moved, copied, switched, linked; and who chose what of it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.e2e.command import Command, assert_checkout, git, placed, sha256
from tests.hub import Hub, Lfs, LivingRepo

LARGE = {"model.safetensors", "sub/dir/w.bin", "sub/same.bin"}


@pytest.fixture
def dest(tiny_repo: LivingRepo, hfclone: Command) -> Path:
    """A checkout of the tiny repo."""
    assert tiny_repo.commit
    assert hfclone("acme/tiny").code == 0
    return hfclone.cwd / "tiny"


def assert_settled(hub: Hub, repo: LivingRepo, hfclone: Command, dest: Path) -> None:
    """Clean for git, right for us, and another run asks for no byte of an object."""
    assert git(dest, "status", "--porcelain") == ""
    assert hfclone("verify", dest).code == 0
    before = len(hub.log.entries)
    done = hfclone("acme/tiny", dest)
    assert done.code == 0, done.stderr
    assert not [entry for entry in hub.log.entries[before:] if entry.kind in ("cdn", "resolve") and entry.bytes_sent]
    assert_checkout(dest, repo.commit, f"{hub.url}/acme/tiny")
    assert placed(dest) == LARGE


@pytest.mark.parametrize("how", ["cp", "mv", "switch", "index 2", "index 3", "index 4", "split"])
def test_it_is_used_as_any_other(
    hub: Hub, tiny_repo: LivingRepo, hfclone: Command, tmp_path: Path, dest: Path, how: str
) -> None:
    match how.split():
        case ["cp"]:
            subprocess.run(["cp", "-a", dest, tmp_path / "copy"], check=True)
            dest = tmp_path / "copy"
        case ["mv"]:
            dest = dest.rename(tmp_path / "moved")
        case ["switch"]:
            large = {name: (dest / name).stat().st_ino for name in LARGE}
            git(dest, "switch", "--quiet", "--create", "other")
            (dest / "config.json").write_text("mine\n")
            git(dest, "-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "--quiet", "--all", "--message", "m")
            git(dest, "switch", "--quiet", "main")
            assert {name: (dest / name).stat().st_ino for name in LARGE} == large
        case ["index", "3"]:  # git writes it where an entry has a flag that version 2 has no room for
            git(dest, "update-index", "--skip-worktree", "README.md")
            git(dest, "update-index", "--no-skip-worktree", "run.sh")
        case ["index", version]:
            git(dest, "update-index", "--index-version", version)
        case ["split"]:
            git(dest, "update-index", "--split-index")
    assert_settled(hub, tiny_repo, hfclone, dest)


def test_a_linked_work_tree(hub: Hub, tiny_repo: LivingRepo, hfclone: Command, tmp_path: Path, dest: Path) -> None:
    """Git makes one, and is content with it. Its branch is not moved from there; what it lacks is fetched."""
    linked = tmp_path / "linked"
    git(dest, "worktree", "add", "--quiet", "--detach", str(linked))
    assert git(linked, "status", "--porcelain") == ""
    done = hfclone("acme/tiny", linked)
    assert done.code == 6, done.stderr
    assert f"is checked out at {dest}, too" in done.error
    assert git(linked, "status", "--porcelain") == ""
    assert hfclone("fetch", linked).code == 0
    assert (linked / "model.safetensors").stat().st_size == 300_000
    assert git(linked, "status", "--porcelain") == ""
    assert_settled(hub, tiny_repo, hfclone, dest)
    git(dest, "worktree", "remove", str(linked))


@pytest.mark.parametrize("choice", ["none", "copy", "hardlink", "auto", "reflink"])
def test_lfs_store(hub: Hub, tiny_repo: LivingRepo, hfclone: Command, choice: str) -> None:
    """Each way of filling git-lfs's store; where blocks cannot be shared, who insists is told so."""
    done = hfclone("acme/tiny", "--lfs-store", choice)
    dest = hfclone.cwd / "tiny"
    store = dest / ".git/lfs/objects"
    stored = {path.name: path for path in store.rglob("*") if path.is_file()}
    if done.code:
        assert (choice, done.code) == ("reflink", 6), done.stderr
        assert "--lfs-store" in done.hint
        assert not stored
        return
    assert_checkout(dest, tiny_repo.commit, f"{hub.url}/acme/tiny")
    digests = {sha256(dest / name) for name in LARGE}
    assert set(stored) == (digests if choice in ("copy", "hardlink") or stored else set())
    assert choice != "none" or not stored
    assert {sha256(path) for path in stored.values()} == set(stored)
    inodes = {path.stat().st_ino for path in stored.values()} & {(dest / name).stat().st_ino for name in LARGE}
    assert bool(inodes) is (choice == "hardlink")
    if choice == "hardlink" and os.name == "posix":
        assert not {(dest / name).stat().st_mode & 0o222 for name in LARGE} - {0}
        assert "lfs-store" in done.stderr


def test_backup(hub: Hub, tiny_repo: LivingRepo, hfclone: Command, dest: Path) -> None:
    """Without it edits end the run; with it they lie beside what the commit has, each under a name that was free."""
    mine = {"model.safetensors": b"my model", "config.json": b"my config", "new.bin": b"my own"}
    for name, data in mine.items():
        (dest / name).write_bytes(data)
    tiny_repo.add_commit({"config.json": "theirs\n", "new.bin": Lfs(5_000, seed=8)}, branch="main", message="next")
    for command in (["acme/tiny", dest], ["pull", dest]):
        done = hfclone(*command)
        assert done.code == 6, done.stderr
        assert {name: (dest / name).read_bytes() for name in mine} == mine
    (dest / "config.json.hfclone-orig-1").write_bytes(b"older")
    done = hfclone("pull", dest, "--backup")
    assert done.code == 0, done.stderr
    aside = {"model.safetensors": 1, "config.json": 2, "new.bin": 1}
    for name, number in aside.items():
        assert f"{name}.hfclone-orig-{number}" in done.stderr
        kept = dest / f"{name}.hfclone-orig-{number}"
        assert kept.read_bytes() == mine[name]
        kept.unlink()
    assert (dest / "config.json.hfclone-orig-1").read_bytes() == b"older"
    (dest / "config.json.hfclone-orig-1").unlink()
    assert_checkout(dest, tiny_repo.commit, f"{hub.url}/acme/tiny")
    assert (dest / "config.json").read_text() == "theirs\n"
    assert placed(dest) == {*LARGE, "new.bin"}
