"""``hfclone fetch``: checkouts that plain git made, from the hub and from any other git host."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tests.e2e.command import Command, git, placed
from tests.hub import Hub, Lfs, LivingRepo, pointer_text

OBJECTS = {"model.safetensors", "sub/dir/w.bin", "sub/same.bin"}
SKIP = {"GIT_LFS_SKIP_SMUDGE": "1"}


def clone(hfclone: Command, url: str, folder: Path, *more: str) -> Path:
    hfclone.git(folder, "clone", "-q", *more, url, "plain", env=SKIP)
    return folder / "plain"


@pytest.mark.parametrize("more", [(), ("--depth=1",), ("--branch=feat/slash",)])
def test_of_the_hub(hub: Hub, tiny_repo: LivingRepo, hfclone: Command, tmp_path: Path, more: tuple[str, ...]) -> None:
    dest = clone(hfclone, f"{hub.url}/acme/tiny", tmp_path, *more)
    head = git(dest, "rev-parse", "HEAD"), git(dest, "symbolic-ref", "HEAD")
    tiny_repo.add_commit({"later.txt": "x"})
    outcome = hfclone("fetch", dest)
    assert outcome.code == 0, outcome.stderr
    assert placed(dest) >= OBJECTS
    assert (git(dest, "rev-parse", "HEAD"), git(dest, "symbolic-ref", "HEAD")) == head
    assert git(dest, "status", "--porcelain") == ""
    assert hfclone("verify", dest).code == 0


@pytest.mark.parametrize("suffix", ["", ".git"])
def test_of_any_git_host(hub: Hub, tiny_repo: LivingRepo, hfclone: Command, tmp_path: Path, suffix: str) -> None:
    """A host that is neither the hub nor a mirror is asked for git and LFS alone, and gets no token."""
    hub.tokens.add("hf_secret")
    host = hub.mirror("host")
    dest = clone(hfclone, f"{host.url}/acme/tiny{suffix}", tmp_path)
    before = len(hub.log.entries)
    outcome = hfclone("fetch", dest, env={"HF_ENDPOINT": "http://127.0.0.1:9", "HF_TOKEN": "hf_secret"})
    assert outcome.code == 0, outcome.stderr
    assert placed(dest) == OBJECTS
    assert git(dest, "remote", "get-url", "origin") == f"{host.url}/acme/tiny{suffix}"
    assert git(dest, "status", "--porcelain") == ""
    asked = hub.log.entries[before:]
    assert {entry.kind for entry in asked} == {"batch", "cdn"}
    assert not any(entry.token for entry in asked)


def test_lfsconfig_is_not_heard_and_the_users_word_is(hub: Hub, hfclone: Command, tmp_path: Path) -> None:
    evil, host, store = hub.mirror("evil"), hub.mirror("host"), hub.mirror("store")
    hub.repo("acme/sly", {".lfsconfig": f"[lfs]\n\turl = {evil.url}/acme/sly.git/info/lfs\n", "w.bin": Lfs(9_000)})
    dest = clone(hfclone, f"{host.url}/acme/sly", tmp_path)
    git(dest, "config", "lfs.url", f"{store.url}/acme/sly.git/info/lfs")
    host.faults.clear()
    outcome = hfclone("fetch", dest, env={"HF_ENDPOINT": "http://127.0.0.1:9"})
    assert outcome.code == 0, outcome.stderr
    assert {entry.listener for entry in hub.log.entries if entry.kind == "batch"} == {"store"}
    git(dest, "config", "--unset", "lfs.url")
    (dest / "w.bin").unlink()
    assert hfclone("fetch", dest, env={"HF_ENDPOINT": "http://127.0.0.1:9"}).code == 0
    assert {entry.listener for entry in hub.log.entries if entry.kind == "batch"} == {"store", "host"}


def test_edits_and_choices(hub: Hub, tiny_repo: LivingRepo, hfclone: Command, tmp_path: Path) -> None:
    dest = clone(hfclone, f"{hub.url}/acme/tiny", tmp_path)
    (dest / "config.json").write_bytes(b"mine")
    assert hfclone("fetch", dest, "--include", "model*").code == 0
    assert placed_without_edit(dest) == {"model.safetensors"}
    (dest / "sub/same.bin").write_bytes(b"mine")
    outcome = hfclone("fetch", dest)
    assert (outcome.code, "sub/same.bin" in outcome.error) == (6, True)
    assert (dest / "sub/same.bin").read_bytes() == b"mine"


def placed_without_edit(dest: Path) -> set[str]:
    assert (dest / "config.json").read_bytes() == b"mine"
    git(dest, "checkout", "-q", "config.json")
    return placed(dest)


def test_an_object_of_no_bytes(hub: Hub, hfclone: Command, tmp_path: Path) -> None:
    """Nobody is asked for it, and the checkout is clean: one of ours, and one that git made with git-lfs set up."""
    nothing = hashlib.sha256(b"").hexdigest()
    hub.repo("acme/zero", {"zero.bin": pointer_text(nothing, 0), "m.bin": Lfs(9_000)})
    hfclone.git(tmp_path, "lfs", "install", "--skip-repo")
    plain = clone(hfclone, f"{hub.url}/acme/zero", tmp_path)
    for words in (("acme/zero", tmp_path / "ours"), ("fetch", plain)):
        assert hfclone(*words).code == 0
        dest = Path(words[1])
        assert (dest / "zero.bin").read_bytes() == b""
        (dest / "zero.bin").touch()
        assert hfclone.git(dest, "status", "--porcelain") == ""
        assert hfclone("verify", dest).code == 0
    assert not any(entry.oid == nothing for entry in hub.log.entries)
