"""``--reuse``: what lies on this machine already is verified, taken, and not fetched."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.e2e.command import Command, assert_checkout, git, placed, sha256, tree_of
from tests.hub import Hub, LivingRepo

OBJECTS = {"model.safetensors", "sub/dir/w.bin", "sub/same.bin"}
SIZE = 370_000


def oids(repo: LivingRepo) -> list[str]:
    return sorted(repo.objects, key=lambda oid: -repo.objects[oid])


def hub_cache(repo: LivingRepo, cache: Path, name: str = "models--acme--tiny") -> Path:
    """A cache that holds every object of ``repo``, as huggingface_hub lays it out."""
    blobs = cache / name / "blobs"
    snapshot = cache / name / "snapshots" / repo.commit / "model.safetensors"
    blobs.mkdir(parents=True)
    snapshot.parent.mkdir(parents=True)
    for oid in repo.objects:
        shutil.copyfile(repo.object_path(oid), blobs / oid)
    snapshot.symlink_to(blobs / oids(repo)[0])
    return blobs


def stats_of(folder: Path) -> dict[str, tuple[int, int, int, int]]:
    found = {}
    for path in folder.rglob("*"):
        stat = path.lstat()
        found[str(path)] = (stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_mode)
    return found


@pytest.mark.parametrize("name", ["models--acme--tiny", "models--acme--fork"])
def test_the_hubs_cache_is_looked_at_unasked(hub: Hub, tiny_repo: LivingRepo, hfclone: Command, name: str) -> None:
    cache = hfclone.home / "hf" / "hub"
    hub_cache(tiny_repo, cache, name)
    before = tree_of(cache), stats_of(cache)
    outcome = hfclone("acme/tiny", "--progress", "json")
    assert outcome.code == 0, outcome.stderr
    assert hub.log.bytes_sent(kind="cdn") == 0
    report = outcome.event("report")
    assert (report["fetched_bytes"], report["reused_bytes"]) == (0, SIZE)
    assert outcome.event("reused") == {
        "v": 1, "event": "reused", "place": str(cache), "objects": 2, "bytes": SIZE
    }  # fmt: skip
    dest = hfclone.cwd / "tiny"
    assert placed(dest) == OBJECTS
    assert_checkout(dest, tiny_repo.commit, f"{hub.url}/acme/tiny")
    assert (tree_of(cache), stats_of(cache)) == before
    assert all(path.stat().st_nlink == 1 for path in (dest / "model.safetensors", dest / "sub/same.bin"))


def test_a_damaged_cache_is_told_and_its_object_fetched(hub: Hub, tiny_repo: LivingRepo, hfclone: Command) -> None:
    blobs = hub_cache(tiny_repo, hfclone.cwd / "cache")
    bad = blobs / oids(tiny_repo)[0]
    bad.write_bytes(b"x" * 300_000)
    outcome = hfclone("acme/tiny", env={"HF_HUB_CACHE": str(hfclone.cwd / "cache")})
    assert outcome.code == 0, outcome.stderr
    assert f"warning: {bad} was not used: its sha256 is {sha256(bad)}" in outcome.stderr
    assert "reused 1 object, 70.0 kB, from" in outcome.stderr
    assert hub.log.bytes_sent(kind="cdn") == 300_000
    assert_checkout(hfclone.cwd / "tiny", tiny_repo.commit, f"{hub.url}/acme/tiny")


def test_nothing_is_reused_where_none_is_said(hub: Hub, tiny_repo: LivingRepo, hfclone: Command) -> None:
    hub_cache(tiny_repo, hfclone.home / "hf" / "hub")
    outcome = hfclone("acme/tiny", "--reuse", "none")
    assert outcome.code == 0, outcome.stderr
    assert "reused 1 object" not in outcome.stderr
    assert hub.log.bytes_sent(kind="cdn") == SIZE


@pytest.mark.parametrize("state", ["as it is", "moved files", "store alone"])
def test_another_checkout(hub: Hub, tiny_repo: LivingRepo, hfclone: Command, state: str) -> None:
    """By its stamps, by its sizes whatever the names, by git-lfs's store."""
    store = "copy" if state == "store alone" else "none"
    assert hfclone("acme/tiny", "other", "--lfs-store", store).code == 0
    other = hfclone.cwd / "other"
    if state != "as it is":
        (other / ".git/hfclone/stamps").unlink()
    if state == "moved files":
        (other / "model.safetensors").rename(other / "renamed")
    if state == "store alone":
        for path in OBJECTS:
            (other / path).unlink()
    before = tree_of(other), stats_of(other)
    since = len(hub.log)
    outcome = hfclone("acme/tiny", env={"HFCLONE_REUSE": str(other)})
    assert outcome.code == 0, outcome.stderr
    assert hub.log.bytes_sent(kind="cdn", since=since) == 0
    assert f"reused 2 objects, 370 kB, from {other}" in outcome.stderr
    assert_checkout(hfclone.cwd / "tiny", tiny_repo.commit, f"{hub.url}/acme/tiny")
    assert (tree_of(other), stats_of(other)) == before


def test_files_of_the_same_size_and_odd_things(hub: Hub, tiny_repo: LivingRepo, hfclone: Command) -> None:
    """Not the object, a pipe, a link to a folder: passed over without a word. A link to the object will do."""
    folder = hfclone.cwd / "folder"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "same size").write_bytes(b"x" * 300_000)
    os.mkfifo(folder / "pipe")
    (folder / "loop").symlink_to(folder)
    (folder / "object").symlink_to(tiny_repo.object_path(oids(tiny_repo)[1]))
    outcome = hfclone("acme/tiny", "--reuse", folder)
    assert outcome.code == 0, outcome.stderr
    assert "warning" not in outcome.stderr
    assert hub.log.bytes_sent(kind="cdn") == 300_000
    assert_checkout(hfclone.cwd / "tiny", tiny_repo.commit, f"{hub.url}/acme/tiny")


def test_a_hard_link_is_made_for_those_who_ask(hub: Hub, tiny_repo: LivingRepo, hfclone: Command) -> None:
    """Read-only in both places, and git and the other place see nothing new of it."""
    blobs = hub_cache(tiny_repo, hfclone.home / "hf" / "hub")
    for blob in blobs.iterdir():
        os.utime(blob, (1_600_000_000, 1_600_000_000))
    outcome = hfclone("acme/tiny", "--reuse-by", "hardlink")
    assert outcome.code == 0, outcome.stderr
    dest, blob = hfclone.cwd / "tiny", blobs / oids(tiny_repo)[0]
    assert os.path.samefile(dest / "model.safetensors", blob)
    assert blob.stat().st_mode & 0o222 == 0
    assert blob.stat().st_mtime == 1_600_000_000
    assert_checkout(dest, tiny_repo.commit, f"{hub.url}/acme/tiny")
    assert hub.log.bytes_sent(kind="cdn") == 0


def test_fetch_pull_and_sync_reuse_too(hub: Hub, tiny_repo: LivingRepo, hfclone: Command) -> None:
    hub_cache(tiny_repo, hfclone.cwd / "cache")
    reuse = ("--reuse", hfclone.cwd / "cache")
    assert hfclone("lock", "acme/tiny").code == 0
    assert hfclone("sync", "synced", *reuse).code == 0
    plain = hfclone.cwd / "plain"
    hfclone.git(hfclone.cwd, "clone", "-q", f"{hub.url}/acme/tiny", "plain", env={"GIT_LFS_SKIP_SMUDGE": "1"})
    assert hfclone("fetch", plain, *reuse).code == 0
    assert hfclone("acme/tiny", "pulled", "--exclude", "*").code == 0
    assert hfclone("pull", "pulled", *reuse).code == 0
    for dest in (hfclone.cwd / "synced" / "tiny", plain, hfclone.cwd / "pulled"):
        assert placed(dest) == OBJECTS
        assert git(dest, "status", "--porcelain") == ""
    assert hub.log.bytes_sent(kind="cdn") == 0


def test_a_partial_gives_way_to_the_whole(hub: Hub, tiny_repo: LivingRepo, hfclone: Command) -> None:
    hub_cache(tiny_repo, hfclone.cwd / "cache")
    assert hfclone("acme/tiny", "--exclude", "*").code == 0
    parts = hfclone.cwd / "tiny" / ".git" / "hfclone" / "parts"
    oid = oids(tiny_repo)[0]
    (parts / f"{oid}.part").write_bytes(b"x" * 1000)
    (parts / f"{oid}.journal").write_text("hfclone-journal 1\n0 000000000001000 a 0123456789abcdef\n")
    (parts / "adopted.new").write_bytes(b"what a kill has left")
    assert hfclone("acme/tiny", "--reuse", hfclone.cwd / "cache").code == 0
    assert hub.log.bytes_sent(kind="cdn") == 0
    assert_checkout(hfclone.cwd / "tiny", tiny_repo.commit, f"{hub.url}/acme/tiny")


def test_what_cannot_be_meant(hub: Hub, tiny_repo: LivingRepo, hfclone: Command) -> None:
    for args in (("--reuse", "nowhere"), ("--reuse-by", "move"), ("--reuse-by", "x")):
        outcome = hfclone("acme/tiny", *args)
        assert (outcome.code, args[1] in outcome.error) == (2, True), outcome.stderr
    assert len(hub.log) == 0


@pytest.mark.skipif(os.geteuid() == 0 and shutil.which("setpriv") is None, reason="root, and no setpriv to be another")
@pytest.mark.parametrize(("what", "mode"), [("hub", 0), ("hub/models--acme--tiny", 0o444), ("", 0)])
def test_a_cache_that_may_not_be_read(hub: Hub, tiny_repo: LivingRepo, hfclone: Command, what: str, mode: int) -> None:
    """Another user's, with the token beside it: it is passed over."""
    home = hfclone.home / "hf"
    hub_cache(tiny_repo, home / "hub")
    (home / "token").write_text("hf_others")
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.geteuid() == 0 else []
    if nobody:
        for parent in (path for path in hfclone.cwd.parents if len(path.parts) > 2):
            parent.chmod(parent.stat().st_mode | 0o011)
        os.chown(hfclone.cwd, 65534, 65534)
        (home / "token").chmod(0)
    (home / what).chmod(mode)
    try:
        outcome = hfclone("acme/tiny", before=nobody)
    finally:
        (home / what).chmod(0o755)
    assert outcome.code == 0, outcome.stderr
    assert hub.log.bytes_sent(kind="cdn") == SIZE
    assert not any(entry.token for entry in hub.log.entries)
