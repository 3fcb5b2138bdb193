"""``hfclone pull``: a checkout goes where its branch is now, and loses nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.command import Command, assert_checkout, git
from tests.hub import Hub, Lfs, LivingRepo


@pytest.fixture
def checkout(tiny_repo: LivingRepo, hfclone: Command, tmp_path: Path) -> Path:
    dest = tmp_path / "tiny"
    assert hfclone("acme/tiny", dest).code == 0
    return dest


def test_to_what_the_branch_is_now(hub: Hub, tiny_repo: LivingRepo, hfclone: Command, checkout: Path) -> None:
    inode = (checkout / "model.safetensors").stat().st_ino
    commit = tiny_repo.add_commit({"config.json": '{"a": 2}\n', "new.bin": Lfs(9_000, seed=9), "run.sh": None})
    before = len(hub.log.entries)
    outcome = hfclone("pull", checkout)
    assert outcome.code == 0, outcome.stderr
    assert_checkout(checkout, commit, f"{hub.url}/acme/tiny")
    assert git(checkout, "symbolic-ref", "HEAD") == "refs/heads/main"
    assert (checkout / "model.safetensors").stat().st_ino == inode
    sent = sum(entry.bytes_sent for entry in hub.log.entries[before:] if entry.kind == "cdn")
    assert sent == 9_000
    hfclone.cwd = checkout
    assert hfclone("pull").code == 0


def test_to_a_revision_and_back(hub: Hub, tiny_repo: LivingRepo, hfclone: Command, checkout: Path) -> None:
    assert hfclone("pull", checkout, "--revision", "feat/slash").code == 0
    assert git(checkout, "symbolic-ref", "HEAD") == "refs/heads/feat/slash"
    assert (checkout / "more.bin").stat().st_size == 50_000
    commit = tiny_repo.add_commit({"c.txt": "c\n"}, branch="feat/slash")
    assert hfclone("pull", checkout).code == 0
    assert git(checkout, "rev-parse", "HEAD") == commit
    assert hfclone("pull", checkout, "--revision", "v1.0").code == 0
    assert_checkout(checkout, tiny_repo.commit, f"{hub.url}/acme/tiny")
    outcome = hfclone("pull", checkout)
    assert (outcome.code, "on no branch" in outcome.error) == (2, True)
    assert hfclone("pull", checkout, "--revision", "main").code == 0
    assert git(checkout, "symbolic-ref", "HEAD") == "refs/heads/main"


def test_a_conflict_touches_nothing(tiny_repo: LivingRepo, hfclone: Command, checkout: Path) -> None:
    before = git(checkout, "rev-parse", "HEAD")
    (checkout / "config.json").write_bytes(b"mine")
    (checkout / "new.txt").write_bytes(b"mine")
    tiny_repo.add_commit({"config.json": '{"a": 2}\n', "new.txt": "theirs\n", "b.bin": Lfs(9_000, seed=9)})
    outcome = hfclone("pull", checkout)
    assert outcome.code == 6
    assert "config.json, new.txt" in outcome.error
    assert git(checkout, "rev-parse", "HEAD") == before
    assert (checkout / "config.json").read_bytes() == b"mine"
    assert not (checkout / "b.bin").exists()


def test_a_mirrors_clone_and_another_hosts(hub: Hub, tiny_repo: LivingRepo, hfclone: Command, tmp_path: Path) -> None:
    front = hub.mirror()
    hfclone.git(tmp_path, "clone", "-q", f"{front.url}/acme/tiny", "plain", env={"GIT_LFS_SKIP_SMUDGE": "1"})
    outcome = hfclone("pull", tmp_path / "plain")
    assert (outcome.code, front.url in outcome.error) == (6, True)
    assert "hfclone fetch" in outcome.hint
    assert hfclone("pull", tmp_path / "plain", "--mirror", front.url).code == 0
    assert (tmp_path / "plain" / "model.safetensors").stat().st_size == 300_000


def test_a_full_history_stays_full(hub: Hub, tiny_repo: LivingRepo, hfclone: Command, tmp_path: Path) -> None:
    tiny_repo.add_commit({"second.txt": "2\n"})
    hfclone.git(tmp_path, "clone", "-q", f"{hub.url}/acme/tiny", "plain", env={"GIT_LFS_SKIP_SMUDGE": "1"})
    commit = tiny_repo.add_commit({"third.txt": "3\n"})
    assert hfclone("pull", tmp_path / "plain").code == 0
    assert git(tmp_path / "plain", "rev-parse", "HEAD") == commit
    assert len(git(tmp_path / "plain", "log", "--format=%H").splitlines()) == 3
    assert hfclone("verify", tmp_path / "plain").code == 0
