"""A checkout in the Hub cache and as a ``local_dir``: huggingface_hub itself finds all of it, and asks for no byte."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hfclone import HfcloneError, clone, fill_cache, note_local_dir, pull
from hfclone.cli.commands import run as main
from hfclone.errors import Conflicts, DiskFull, NotAsCommitted
from hfclone.events import Event, Planned, Shared, Warned, Working
from hfclone.lock.model import git_id
from tests.e2e.command import Command, git, sha256
from tests.hub import Hub, Lfs, LivingRepo
from tests.integration.test_lfs_store import MEBIBYTE, used
from tests.integration.test_lfs_store import btrfs as btrfs  # noqa: PLC0414  # a fixture
from tests.integration.worlds import spoil_unseen

LARGE = 300_000 + 70_000
ASK = """
import json, sys, huggingface_hub
from huggingface_hub.errors import IncompleteSnapshotError
name, more = json.loads(sys.argv[1])
try:
    print(json.dumps({"said": getattr(huggingface_hub, name)(**more)}, default=str))
except (IncompleteSnapshotError, huggingface_hub.errors.LocalEntryNotFoundError) as error:
    print(json.dumps({"error": type(error).__name__}))
"""


class User:
    """Somebody with huggingface_hub and hfclone, one home for both."""

    def __init__(self, hfclone: Command, hub: Hub) -> None:
        self.hfclone, self.hub = hfclone, hub
        self.cache = hfclone.home / "hf/hub"
        self.folder = self.cache / "models--acme--tiny"
        self.environ = {
            **hfclone.environ,
            "HF_ENDPOINT": hub.url,
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "HF_HUB_DISABLE_XET": "1",
        }

    def ask(self, function: str, *, offline: bool = False, **more: object) -> Any:
        """What a function of huggingface_hub says, in a process of its own."""
        env = {**self.environ, "HF_HUB_OFFLINE": "1" if offline else "0"}
        command = [sys.executable, "-c", ASK, json.dumps([function, more])]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, cwd=self.hfclone.cwd)
        assert done.returncode == 0, done.stderr
        said = json.loads(done.stdout)
        return said.get("said", said)

    def hf(self, *args: str) -> str:
        """What the ``hf`` command says; it has to succeed."""
        words = [sys.executable, "-m", "huggingface_hub.cli.hf", *args]
        done = subprocess.run(words, env=self.environ, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def bytes_asked(self, since: int) -> list[str]:
        """What was asked for since that was not a word about the repo."""
        assert self.hub.log.wait_quiet()
        return [entry.path for entry in self.hub.log.of(since=since) if not entry.path.startswith("/api/")]


@pytest.fixture
def user(hfclone: Command, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> User:
    """We are in their world, too: the library is called in this process."""
    made = User(hfclone, hub)
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HUB_DISABLE_SYMLINKS", "HF_TOKEN", "HFCLONE_CACHE_LINK"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HOME", "HF_HOME", "HF_ENDPOINT"):
        monkeypatch.setenv(name, made.environ[name])
    monkeypatch.chdir(hfclone.cwd)
    return made


def files_of(folder: Path) -> set[str]:
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {str(path) for path in found if path.parts[0] != ".git" and path.parts[:2] != (".cache", "huggingface")}


def assert_snapshot(folder: Path, dest: Path) -> None:
    """Every file of the checkout, byte for byte; a link's text, as the hub serves it."""
    assert files_of(folder) == files_of(dest)
    for name in files_of(dest):
        if (dest / name).is_symlink():
            assert (folder / name).read_bytes() == os.fsencode(os.readlink(dest / name))
        else:
            assert sha256(folder / name) == sha256(dest / name), name


def test_the_cache_is_found(user: User, tiny_repo: LivingRepo) -> None:
    """By branch and by commit, offline, by every function; online nothing but the API is asked."""
    done = user.hfclone("acme/tiny", "x", "--cache")
    assert done.code == 0, done.stderr
    dest, snapshot = user.hfclone.cwd / "x", user.folder / "snapshots" / tiny_repo.commit
    assert f"in {snapshot}; took" in done.stderr
    assert git(dest, "status", "--porcelain", "--ignored") == ""
    assert (user.folder / "refs/main").read_bytes() == tiny_repo.commit.encode()
    assert os.readlink(snapshot / "sub/dir/w.bin").startswith("../../../../blobs/")
    since = len(user.hub.log)
    assert user.ask("snapshot_download", offline=True, repo_id="acme/tiny") == str(snapshot)
    assert user.ask("snapshot_download", repo_id="acme/tiny", local_files_only=True) == str(snapshot)
    asked = {"repo_id": "acme/tiny", "filename": "sub/dir/w.bin"}
    assert user.ask("hf_hub_download", offline=True, **asked) == str(snapshot / "sub/dir/w.bin")
    assert user.ask("try_to_load_from_cache", revision=tiny_repo.commit, **asked) == str(snapshot / "sub/dir/w.bin")
    assert user.hub.log.of(since=since) == ()
    assert_snapshot(snapshot, dest)
    assert user.ask("snapshot_download", repo_id="acme/tiny") == str(snapshot)
    assert user.bytes_asked(since) == []
    assert "verified" in user.hf("cache", "verify", "acme/tiny").lower()
    assert "warning" not in user.hf("cache", "ls", "--format", "json").lower()
    assert {path.name for path in user.folder.iterdir()} == {"blobs", "refs", "snapshots", "trees"}
    assert not list(user.folder.rglob("*.incomplete"))


def test_one_file_of_two_names(user: User, tiny_repo: LivingRepo, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hardlink is read-only, and told; a small file is one of its own. Again is nothing to do."""
    monkeypatch.setenv("HFCLONE_CACHE_LINK", "hardlink")
    events: list[Event] = []
    dest = clone("acme/tiny", "x", cache_dir=user.cache, on_event=events.append).path
    assert codes(events) == ["cache-hardlink"]
    order = [type(event) for event in events if isinstance(event, Planned | Warned | Shared)]
    assert order == [Planned, Warned, Shared]
    before = looks_of(user.folder)
    shared = [path for path in (user.folder / "blobs").iterdir() if path.stat().st_nlink == 2]
    assert {path.stat().st_mode & 0o777 for path in shared} == {0o444}
    assert sum(path.stat().st_size for path in shared) == LARGE
    assert {path.name for path in shared} == {sha256(dest / "model.safetensors"), sha256(dest / "sub/same.bin")}
    events.clear()
    again = fill_cache("x", on_event=events.append)
    assert (again.disk_bytes, again.lacking) == (0, 0)
    assert codes(events) == []
    assert looks_of(user.folder) == before
    assert git(dest, "status", "--porcelain", "--ignored") == ""
    assert tiny_repo.commit


def test_copies(user: User, tiny_repo: LivingRepo, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the cache has is kept where it is right and replaced where it is not; leavings of the dead go."""
    monkeypatch.setenv("HFCLONE_CACHE_LINK", "copy")
    dest = clone("acme/tiny", "x").path
    oid, blobs = sha256(dest / "model.safetensors"), user.folder / "blobs"
    first = fill_cache(dest)
    assert (first.way, first.files, first.disk_bytes) == ("copy", 13, LARGE + small_bytes(user))
    kept, store = blobs / sha256(dest / "sub/same.bin"), user.cache / "blobs/aa/shared"
    store.parent.mkdir(parents=True)
    kept.rename(store)  # as huggingface_hub shares what two repos have
    kept.symlink_to("../../blobs/aa/shared")
    spoil_unseen(blobs / oid)
    (user.folder / "snapshots" / tiny_repo.commit / "README.md").resolve().write_text(
        "---\nlicense: no!\n---\n# tiny\n"
    )
    host = "".join(c for c in socket.gethostname() if c.isalnum())
    dead, living = (blobs / f"0.hfclone-{host}-{pid}-aa.incomplete" for pid in (dead_process(), 1))
    for left in (dead, living):
        left.touch()
    (dest / ".git/hfclone/cache-stamps").unlink()
    events: list[Event] = []
    again = fill_cache(dest, on_event=events.append)
    assert codes(events) == ["cache-damaged", "cache-damaged"]
    assert again.disk_bytes == 300_000 + (dest / "README.md").stat().st_size
    assert (kept.is_symlink(), sha256(store)) == (True, sha256(dest / "sub/same.bin"))
    assert (dead.exists(), living.exists()) == (False, True)
    assert_snapshot(again.path, dest)


def test_blocks_are_shared(user: User, hub: Hub, btrfs: Path) -> None:
    """A checkout and a cache on one file system with reflinks: one copy's worth of disk, and an edit spoils nothing."""
    big = Lfs(8 * MEBIBYTE, seed=5)
    hub.repo("acme/big", {"big.bin": big, "a.txt": "a\n"})
    before = used(btrfs)
    events: list[Event] = []
    clone("acme/big", btrfs / "x", cache_dir=btrfs / "hub", on_event=events.append)
    assert used(btrfs) - before < big.size * 1.25
    assert codes(events) == []
    assert [event.way for event in events if isinstance(event, Shared)] == ["reflink"]
    with (btrfs / "x/big.bin").open("r+b") as file:
        file.write(b"edited")
    (blob,) = (path for path in (btrfs / "hub/models--acme--big/blobs").iterdir() if len(path.name) == 64)
    assert blob.read_bytes() == big.content


def test_another_file_system(user: User, hub: Hub, btrfs: Path) -> None:
    """Only copies can be had there: told before the first byte is fetched, and refused if they do not fit."""
    hub.repo("acme/small", {"a.bin": Lfs(100_000, seed=1)})
    events: list[Event] = []
    done = clone("acme/small", "x", cache_dir=btrfs / "hub", on_event=events.append)
    assert codes(events) == ["cache-copies"]
    assert [event.way for event in events if isinstance(event, Shared)] == ["copy"]
    snapshot = btrfs / "hub/models--acme--small/snapshots" / done.pin.commit
    assert sha256(snapshot / "a.bin") == sha256(done.path / "a.bin")
    hub.repo("acme/huge", {"a.bin": Lfs(300 * MEBIBYTE, sparse=True)})
    since = len(hub.log)
    with pytest.raises(DiskFull) as full:
        clone("acme/huge", "y", cache_dir=btrfs / "hub")
    assert str(btrfs) in full.value.path
    assert hub.log.of(kind="cdn", since=since) == ()
    assert user.cache.exists() is False


def test_without_links(user: User, tiny_repo: LivingRepo, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows: the files themselves stand in the snapshot."""
    monkeypatch.setenv("HF_HUB_DISABLE_SYMLINKS", "1")
    done = clone("acme/tiny", "x", cache_dir=user.cache)
    snapshot = user.folder / "snapshots" / tiny_repo.commit
    assert not any(path.is_symlink() for path in snapshot.rglob("*"))
    assert_snapshot(snapshot, done.path)
    assert list((user.folder / "blobs").iterdir()) == []
    assert user.ask("snapshot_download", offline=True, repo_id="acme/tiny") == str(snapshot)
    before = looks_of(user.folder)
    assert fill_cache("x").disk_bytes == 0
    assert looks_of(user.folder) == before


def test_a_part_of_a_repo(user: User, tiny_repo: LivingRepo) -> None:
    """What is not here is known to be missing: offline an error, online it alone is fetched."""
    clone("acme/tiny", "x", revision="v1.0", allow_patterns="*.bin", cache_dir=user.cache)
    whole = {"repo_id": "acme/tiny", "revision": "v1.0"}
    snapshot = str(user.folder / "snapshots" / tiny_repo.commit)
    assert user.ask("snapshot_download", offline=True, **whole) == {"error": "IncompleteSnapshotError"}
    assert user.ask("snapshot_download", offline=True, allow_patterns=["*.bin", "*.json"], **whole) == snapshot
    since = len(user.hub.log)
    assert user.ask("snapshot_download", **whole) == snapshot
    assert {path.rpartition("/")[2] for path in user.bytes_asked(since) if "/resolve/" in path} == {"model.safetensors"}


def test_edits(user: User, tiny_repo: LivingRepo) -> None:
    """An edited large file is no object: nothing is touched. A small one comes from git, as it was committed."""
    dest = clone("acme/tiny", "x").path
    (dest / "config.json").write_text("mine")
    assert fill_cache(dest).path.joinpath("config.json").read_text() == '{"a": 1}\n'
    shutil.rmtree(user.cache)
    (dest / "model.safetensors").write_bytes(b"mine")
    with pytest.raises(Conflicts) as conflicts:
        fill_cache(dest)
    assert conflicts.value.paths == ("model.safetensors",)
    assert [path for path in user.cache.rglob("*") if path.is_file()] == []
    assert tiny_repo.commit


def test_a_disk_that_rots(user: User, tiny_repo: LivingRepo, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy is hashed on its way: what no stamp shows does not get into the cache."""
    monkeypatch.setenv("HFCLONE_CACHE_LINK", "copy")
    dest = clone("acme/tiny", "x").path
    oid = sha256(dest / "model.safetensors")
    spoil_unseen(dest / "model.safetensors")
    with pytest.raises(NotAsCommitted):
        fill_cache(dest)
    assert not (user.folder / "blobs" / oid).exists()
    assert not (user.folder / "refs/main").exists()
    assert tiny_repo.commit


def test_a_fill_that_is_cut_short(user: User, tiny_repo: LivingRepo) -> None:
    """No name before its bytes, no ref before all of it; nothing of ours is left, and the next one ends well."""

    def stop(event: Event) -> None:
        if isinstance(event, Working) and event.what == "small files":
            raise KeyError

    dest = clone("acme/tiny", "x").path
    with pytest.raises(KeyError):
        fill_cache(dest, on_event=stop)
    assert not (user.folder / "refs").exists()
    assert not list(user.folder.rglob("*.incomplete"))
    asked = {"repo_id": "acme/tiny", "revision": tiny_repo.commit, "local_files_only": True}
    said = user.ask("snapshot_download", **asked)
    assert said == {"error": "IncompleteSnapshotError"}
    assert_snapshot(fill_cache(dest).path, dest)


def test_all_at_once(user: User, hub: Hub, tiny_repo: LivingRepo) -> None:
    """Two runs and huggingface_hub itself on one cache: each ends well, and what stands there is right."""
    for name in ("x", "y"):
        clone("acme/tiny", name)
    command = "import hfclone, sys; print(hfclone.fill_cache(sys.argv[1]).path)"
    theirs = "import huggingface_hub; print(huggingface_hub.snapshot_download('acme/tiny'))"
    env = {**user.environ, "PYTHONWARNINGS": "ignore"}
    runs = [
        subprocess.Popen([sys.executable, "-c", *code], env=env, cwd=user.hfclone.cwd, stdout=-1, stderr=-1, text=True)
        for code in ([theirs], [command, "x"], [command, "y"])
    ]
    ends = [run.communicate(timeout=120) for run in runs]
    snapshot = user.folder / "snapshots" / tiny_repo.commit
    assert [run.returncode for run in runs] == [0, 0, 0], ends
    assert {out.strip() for out, _err in ends} == {str(snapshot)}
    assert_snapshot(snapshot, user.hfclone.cwd / "x")
    for blob in (user.folder / "blobs").iterdir():
        assert blob.name in (sha256(blob), git_id("blob", blob.read_bytes())), blob
    assert hub.url


def test_the_next_commit(user: User, tiny_repo: LivingRepo) -> None:
    """The branch moves on; what the cache had of the last commit stays right, since pull writes new files."""
    done = clone("acme/tiny", "x", cache_dir=user.cache)
    old = user.folder / "snapshots" / done.pin.commit
    was = sha256(old / "model.safetensors")
    new = tiny_repo.add_commit({"model.safetensors": Lfs(300_000, seed=9)})
    pull("x")
    exported = fill_cache("x")
    assert exported.path.name == new == (user.folder / "refs/main").read_text()
    assert sha256(old / "model.safetensors") == was
    assert_snapshot(exported.path, done.path)


def test_export(user: User, tiny_repo: LivingRepo) -> None:
    """The commands: stdout says where huggingface_hub finds the files; what says nothing about a format is refused."""
    clone("acme/tiny", "x", revision="v1.0")
    snapshot = str(user.folder / "snapshots" / tiny_repo.commit)
    done = user.hfclone("export", "x", "--format", "hf-cache", "--revision", "v1.0", "--include", "*.bin")
    assert (done.code, done.stdout) == (0, f"{snapshot}\n"), done.stderr
    assert "12 files (1 are not here)" in done.stderr
    assert (user.folder / "refs/v1.0").read_text() == tiny_repo.commit
    assert not (user.folder / "refs/main").exists()
    noted = user.hfclone("export", "x", "--format", "local-dir")
    assert (noted.code, noted.stdout) == (0, f"{user.hfclone.cwd / 'x'}\n"), noted.stderr
    refused = [
        ("hf-cache", "--signed"),
        ("local-dir", "-o", "file"),
        ("hf-cache", "--revision", "../../../out"),
        ("hf-cache", "--revision", "/tmp/out"),
        ("hf-cache", "--revision", ""),
        ("local-dir", "--revision", "v1"),
        ("urls", "--revision", "v1"),
    ]
    for words in refused:
        assert main(["export", "x", "--format", *words]) == 2, words


def test_an_old_name(user: User, hub: Hub, tiny_repo: LivingRepo) -> None:
    """Who loads a renamed repo by its old name goes on to do so."""
    hub.site.rename("acme/tiny", "acme/new")
    done = user.hfclone("acme/tiny", "x", "--cache-dir", user.cache, "--progress", "json")
    assert done.code == 0, done.stderr
    snapshot = str(user.folder / "snapshots" / tiny_repo.commit)
    told = done.event("shared")
    assert (told["form"], told["path"], told["files"], told["lacking"]) == ("hf-cache", snapshot, 13, 0)
    assert user.ask("snapshot_download", offline=True, repo_id="acme/tiny") == snapshot


def test_a_local_dir(user: User, tiny_repo: LivingRepo) -> None:
    """huggingface_hub asks what the branch is, and for nothing else; git sees nothing of its notes."""
    dest = clone("acme/tiny", "x").path
    told = note_local_dir(dest)
    assert (told.files, told.lacking, told.path) == (13, 0, dest.absolute())
    assert git(dest, "status", "--porcelain", "--ignored") == "!! .cache/"
    assert git(dest, "status", "--porcelain") == ""
    since = len(user.hub.log)
    before = {name: (dest / name).lstat().st_mtime_ns for name in files_of(dest)}
    assert user.ask("snapshot_download", repo_id="acme/tiny", local_dir=str(dest)) == str(dest.resolve())
    asked = [entry.path for entry in user.hub.log.of(since=since)]
    assert asked == ["/api/models/acme/tiny/revision/main"]
    assert {name: (dest / name).lstat().st_mtime_ns for name in files_of(dest)} == before
    (dest / "config.json").write_text("mine")
    with pytest.raises(Conflicts):
        note_local_dir(dest)


def test_a_local_dir_in_part(user: User, tiny_repo: LivingRepo) -> None:
    """A pointer is no file to huggingface_hub: that file is fetched, the others are not."""
    dest = clone("acme/tiny", "x", allow_patterns="*.bin").path
    assert note_local_dir(dest).lacking == 1
    since = len(user.hub.log)
    user.ask("snapshot_download", repo_id="acme/tiny", local_dir=str(dest))
    fetched = {path.rpartition("/")[2] for path in user.bytes_asked(since) if "/resolve/" in path}
    assert fetched == {"model.safetensors"}
    assert tiny_repo.commit


def test_notes_that_are_committed(user: User, hub: Hub) -> None:
    """Some repos hold what huggingface_hub once left in a folder: it stays as it is."""
    theirs = ".cache/huggingface/download/a.txt.metadata"
    hub.repo("acme/odd", {"a.txt": "a\n", theirs: "x\n"})
    events: list[Event] = []
    dest = clone("acme/odd", "x").path
    note_local_dir(dest, on_event=events.append)
    assert codes(events) == ["local-dir-committed"]
    assert (dest / theirs).read_text() == "x\n"
    assert git(dest, "status", "--porcelain") == ""
    assert user.cache.exists() is False


def test_not_a_repo_of_the_hub(user: User, tiny_repo: LivingRepo) -> None:
    """Another host's checkout has no name in the cache."""
    dest = clone("acme/tiny", "x").path
    git(dest, "remote", "set-url", "origin", "https://example.org/a/b")
    with pytest.raises(HfcloneError) as error:
        fill_cache(dest)
    assert error.value.code == "foreign-origin"
    assert (user.cache.exists(), bool(tiny_repo.commit)) == (False, True)


def codes(events: list[Event]) -> list[str]:
    """Of all warnings."""
    return [event.code for event in events if isinstance(event, Warned)]


def looks_of(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Every file below a folder as a writer would change it."""
    found = ((path, path.lstat()) for path in sorted(folder.rglob("*")) if not path.is_dir())
    return {str(path): (stat.st_ino, stat.st_size, stat.st_mtime_ns) for path, stat in found}


def small_bytes(user: User) -> int:
    """Of all blobs that are git's own."""
    return sum(path.stat().st_size for path in (user.folder / "blobs").iterdir() if len(path.name) == 40)


def dead_process() -> int:
    """A number that was a process's."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    return ended.pid
