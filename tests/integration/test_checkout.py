"""A checkout made with real git from a real hub, in the three worlds of git-lfs."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from hfclone.checkout import Target, open_checkout
from hfclone.checkout.stamps import Stamps
from hfclone.errors import (
    CheckoutBusy,
    Conflicts,
    DiskFull,
    NotACheckout,
    OtherCheckout,
    OwnCommits,
    UnsafePath,
)
from hfclone.git import Git, GitRepo
from hfclone.names import Pin, Repo
from hfclone.plan import Presence
from tests.hub import Executable, Hub, Lfs, LivingRepo, Symlink
from tests.integration.worlds import ORIGIN, WORLDS, World, fill, opened, pin_of, spoil_unseen, status


@pytest.fixture(params=WORLDS)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    return World(tmp_path, request.param)


@pytest.fixture
def home(tmp_path: Path) -> World:
    return World(tmp_path)


def test_new_checkout_is_exact_and_clean(hub: Hub, tiny_repo: LivingRepo, world: World, tmp_path: Path) -> None:
    dest = tmp_path / "x" / "tiny"
    with opened(hub, pin_of(tiny_repo), dest, world.git) as checkout:
        assert set(checkout.inventory().values()) == {Presence.POINTER}
        fill(checkout, tiny_repo)
        assert set(checkout.inventory().values()) == {Presence.CONTENT}
    assert status(world, dest) == ""
    spoil_unseen(dest / "model.safetensors")
    assert status(world, dest) == ""  # so git did not read it
    assert (dest / "run.sh").stat().st_mode & 0o777 == 0o755
    assert (dest / "link.json").readlink() == Path("config.json")
    assert (dest / "sub/same.bin").stat().st_nlink == 1
    assert world.command("rev-parse", "HEAD", cwd=dest).strip() == pin_of(tiny_repo).commit
    assert world.command("symbolic-ref", "HEAD", cwd=dest).strip() == "refs/heads/main"
    assert world.command("rev-parse", "main@{upstream}", cwd=dest).strip() == pin_of(tiny_repo).commit
    assert world.command("fsck", "--full", "--strict", cwd=dest) == ""
    assert world.command("config", "remote.origin.url", cwd=dest).strip() == ORIGIN


def test_nothing_of_the_mirror_or_a_promisor_is_left(
    hub: Hub, tiny_repo: LivingRepo, home: World, tmp_path: Path
) -> None:
    dest = tmp_path / "tiny"
    with opened(hub, pin_of(tiny_repo), dest, home.git) as checkout:
        fill(checkout, tiny_repo)
    for path in (dest / ".git").rglob("*"):
        if path.is_file():
            assert hub.url.encode() not in path.read_bytes(), path
            assert b"partialclone" not in path.read_bytes(), path
            assert path.suffix != ".promisor"
    assert not (dest / ".git/FETCH_HEAD").exists()


@pytest.mark.parametrize("kind", ["cp", "mv", "stash", "switch", "reset", "commit"])
def test_clean_after_what_users_do(hub: Hub, tiny_repo: LivingRepo, world: World, tmp_path: Path, kind: str) -> None:
    dest = tmp_path / "tiny"
    with opened(hub, pin_of(tiny_repo), dest, world.git) as checkout:
        fill(checkout, tiny_repo)
    spoil_unseen(dest / "model.safetensors")
    match kind:
        case "cp":
            subprocess.run(["cp", "-a", dest, tmp_path / "copy"], check=True)
            dest = tmp_path / "copy"
        case "mv":
            dest = dest.rename(tmp_path / "moved")
        case "stash":
            (dest / "config.json").write_text("{}")
            world.command("stash", cwd=dest)
        case "switch":
            world.command("checkout", "-q", "-b", "other", cwd=dest)
            world.command("checkout", "-q", "main", cwd=dest)
        case "reset":
            world.command("reset", "-q", "--hard", cwd=dest)
        case "commit":
            (dest / "config.json").write_text("{}")
            world.command("commit", "-qam", "mine", cwd=dest)
    assert status(world, dest) == ""
    assert (dest / "model.safetensors").stat().st_size == 300_000


@pytest.mark.parametrize("form", ["version 2", "version 3", "version 4", "split"])
def test_forms_of_the_index(hub: Hub, tiny_repo: LivingRepo, home: World, tmp_path: Path, form: str) -> None:
    dest = tmp_path / "tiny"
    with opened(hub, pin_of(tiny_repo), dest, home.git):
        pass
    if form == "split":
        home.command("update-index", "--split-index", cwd=dest)
    else:
        if form == "version 3":
            home.command("update-index", "--skip-worktree", "README.md", cwd=dest)
        home.command("update-index", "--index-version", form[-1], cwd=dest)
    with opened(hub, pin_of(tiny_repo), dest, home.git) as checkout:
        fill(checkout, tiny_repo)
    spoil_unseen(dest / "model.safetensors")
    assert status(home, dest) == ""


def test_second_run_asks_nothing_and_keeps_inodes(hub: Hub, tiny_repo: LivingRepo, home: World, tmp_path: Path) -> None:
    dest = tmp_path / "tiny"
    with opened(hub, pin_of(tiny_repo), dest, home.git) as checkout:
        fill(checkout, tiny_repo)
    before = (dest / "model.safetensors").stat()
    asked = len(hub.log.entries)
    with opened(hub, pin_of(tiny_repo), dest, home.git) as checkout:
        assert set(checkout.inventory().values()) == {Presence.CONTENT}
    assert len(hub.log.entries) == asked
    after = (dest / "model.safetensors").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_an_index_made_anew_is_told_again(hub: Hub, tiny_repo: LivingRepo, home: World, tmp_path: Path) -> None:
    dest = tmp_path / "tiny"
    with opened(hub, pin_of(tiny_repo), dest, home.git) as checkout:
        fill(checkout, tiny_repo)
    (dest / ".git" / "index").unlink()
    home.command("read-tree", "HEAD", cwd=dest)
    with opened(hub, pin_of(tiny_repo), dest, home.git):
        pass
    spoil_unseen(dest / "model.safetensors")
    assert status(home, dest) == ""


def test_a_signal_between_the_books_leaves_nothing_for_git_to_doubt(
    hub: Hub, tiny_repo: LivingRepo, home: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dest = tmp_path / "tiny"
    add = Stamps.add

    def interrupted(stamps: Stamps, *more: Any) -> None:
        add(stamps, *more)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Stamps, "add", interrupted)
        with opened(hub, pin_of(tiny_repo), dest, home.git) as checkout:
            fill(checkout, tiny_repo)
    with opened(hub, pin_of(tiny_repo), dest, home.git) as checkout:
        fill(checkout, tiny_repo)
    assert status(home, dest) == ""


def test_a_large_file_moved_away_and_back(hub: Hub, tiny_repo: LivingRepo, home: World, tmp_path: Path) -> None:
    dest = tmp_path / "tiny"
    with opened(hub, pin_of(tiny_repo), dest, home.git) as checkout:
        fill(checkout, tiny_repo)
    (dest / "model.safetensors").rename(tmp_path / "away")
    with opened(hub, pin_of(tiny_repo), dest, home.git):
        pass
    (tmp_path / "away").rename(dest / "model.safetensors")
    with opened(hub, pin_of(tiny_repo), dest, home.git) as checkout:
        assert set(checkout.inventory().values()) == {Presence.CONTENT}
    assert status(home, dest) == ""


def test_an_index_made_anew_while_objects_come(hub: Hub, tiny_repo: LivingRepo, home: World, tmp_path: Path) -> None:
    dest = tmp_path / "tiny"
    with opened(hub, pin_of(tiny_repo), dest, home.git) as checkout:
        fill(checkout, tiny_repo)
    with opened(hub, pin_of(tiny_repo), dest, home.git):
        (dest / ".git" / "index").unlink()
        home.command("read-tree", "HEAD", cwd=dest)
    spoil_unseen(dest / "model.safetensors")
    assert status(home, dest) == ""


@pytest.mark.parametrize("spoiled", [b"", b"x", b"hfclone-pointers 1\n"], ids=["empty", "torn", "another"])
def test_what_was_read_of_git_is_believed_whole_or_not_at_all(
    hub: Hub, tiny_repo: LivingRepo, home: World, tmp_path: Path, spoiled: bytes
) -> None:
    dest = tmp_path / "tiny"
    with opened(hub, pin_of(tiny_repo), dest, home.git) as checkout:
        files = dict(checkout.files())
    cache = dest / ".git" / "hfclone" / "pointers"
    known = cache.read_bytes()
    oid = next(iter(files.values())).oid.encode()
    assert oid in known
    for text in (spoiled, known[:-1], known.replace(oid, oid[::-1])):
        cache.write_bytes(text)
        with opened(hub, pin_of(tiny_repo), dest, home.git) as checkout:
            assert checkout.files() == files
        assert cache.read_bytes() == known


def test_move_keeps_what_both_commits_have(hub: Hub, tiny_repo: LivingRepo, world: World, tmp_path: Path) -> None:
    dest = tmp_path / "tiny"
    with opened(hub, pin_of(tiny_repo), dest, world.git) as checkout:
        fill(checkout, tiny_repo)
    inode = (dest / "model.safetensors").stat().st_ino
    moved = hashlib.sha256((dest / "sub/dir/w.bin").read_bytes()).hexdigest()
    tiny_repo.add_commit(
        {"config.json": "{}\n", "sub/dir/w.bin": None, "renamed.bin": Lfs(70_000, seed=2), "new/a/b": "n"},
        branch="main", message="next",
    )  # fmt: skip
    (dest / "README.md").write_text("my edit")
    with opened(hub, pin_of(tiny_repo), dest, world.git) as checkout:
        presence = checkout.inventory()
        assert presence[b"renamed.bin"] in (Presence.CONTENT, Presence.POINTER)
        fill(checkout, tiny_repo)
    assert (dest / "model.safetensors").stat().st_ino == inode
    assert hashlib.sha256((dest / "renamed.bin").read_bytes()).hexdigest() == moved
    assert not (dest / "sub/dir").exists()
    assert status(world, dest) == " M README.md\n"


def test_conflicts_are_all_listed_and_nothing_is_touched(
    hub: Hub, tiny_repo: LivingRepo, home: World, tmp_path: Path
) -> None:
    dest = tmp_path / "tiny"
    old = pin_of(tiny_repo)
    with opened(hub, old, dest, home.git) as checkout:
        fill(checkout, tiny_repo)
    tiny_repo.add_commit({"config.json": "{}\n", "x.bin": Lfs(10_000, seed=9), "y": "y"}, branch="main", message="n")
    (dest / ".git/info").mkdir(exist_ok=True)
    (dest / ".git/info/exclude").write_text("x.bin\n")
    for name in ("config.json", "x.bin", "y"):
        (dest / name).write_text("mine")
    with pytest.raises(Conflicts) as raised, opened(hub, pin_of(tiny_repo), dest, home.git):
        pass
    assert raised.value.paths == ("config.json", "x.bin", "y")
    assert {(dest / name).read_text() for name in raised.value.paths} == {"mine"}
    assert home.command("rev-parse", "HEAD", cwd=dest).strip() == old.commit


def test_browsers_file_is_adopted_and_an_edit_is_foreign(
    hub: Hub, tiny_repo: LivingRepo, home: World, tmp_path: Path
) -> None:
    dest = tmp_path / "tiny"
    with opened(hub, pin_of(tiny_repo), dest, home.git) as checkout:
        pointer = checkout.files()[b"model.safetensors"]
        shutil.copyfile(tiny_repo.object_path(pointer.oid), dest / "model.safetensors")
        (dest / "sub/same.bin").write_text("mine")
        presence = checkout.inventory()
        assert presence[b"model.safetensors"] is Presence.CONTENT
        assert presence[b"sub/same.bin"] is Presence.FOREIGN
        part = checkout.parts_dir / "p"
        part.write_bytes(b"x")
        with pytest.raises(Conflicts):
            checkout.place(checkout.files()[b"sub/same.bin"], part, [b"sub/same.bin"])
    assert status(home, dest) == " M sub/same.bin\n"


def test_damage_is_mended(hub: Hub, tiny_repo: LivingRepo, home: World, tmp_path: Path) -> None:
    dest = tmp_path / "tiny"
    with opened(hub, pin_of(tiny_repo), dest, home.git) as checkout:
        fill(checkout, tiny_repo)
    spoil_unseen(dest / "model.safetensors")
    with opened(hub, pin_of(tiny_repo), dest, home.git) as checkout:
        checkout.give_up([b"model.safetensors"])
        assert checkout.inventory()[b"model.safetensors"] is Presence.ABSENT
        pointer = checkout.files()[b"model.safetensors"]
        part = checkout.parts_dir / "p"
        shutil.copyfile(tiny_repo.object_path(pointer.oid), part)
        checkout.place(pointer, part, [b"model.safetensors"])
        assert checkout.inventory()[b"model.safetensors"] is Presence.CONTENT
    assert status(home, dest) == ""


def test_refuses_what_is_not_ours(hub: Hub, tiny_repo: LivingRepo, home: World, tmp_path: Path) -> None:
    pin = pin_of(tiny_repo)
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").write_text("mine")
    with pytest.raises(NotACheckout), opened(hub, pin, tmp_path / "full", home.git):
        pass
    assert os.listdir(tmp_path / "full") == ["file"]
    other = tmp_path / "other"
    home.command("init", "-q", str(other), cwd=tmp_path)
    home.command("remote", "add", "origin", "https://user:secret@example.org/a/b", cwd=other)
    with pytest.raises(OtherCheckout) as raised, opened(hub, pin, other, home.git):
        pass
    assert "secret" not in str(raised.value)
    assert not (other / ".git/hfclone").exists()


def test_second_run_at_once_is_told_who_holds_it(hub: Hub, tiny_repo: LivingRepo, home: World, tmp_path: Path) -> None:
    with (
        opened(hub, pin_of(tiny_repo), tmp_path / "t", home.git),
        pytest.raises(CheckoutBusy) as raised,
        opened(hub, pin_of(tiny_repo), tmp_path / "t", home.git),
    ):
        pass
    assert str(os.getpid()) in raised.value.owner


@pytest.mark.parametrize("how", ["plain", "skip smudge", "no checkout"])
def test_gits_own_clone_is_adopted(hub: Hub, tiny_repo: LivingRepo, home: World, tmp_path: Path, how: str) -> None:
    dest = tmp_path / "tiny"
    home.command(
        "clone", "-q", *(["-n"] if how == "no checkout" else []), f"{hub.url}/acme/tiny", str(dest), cwd=tmp_path
    )
    pin = pin_of(tiny_repo)
    with opened(hub, pin, dest, home.git, mirrors=(f"{hub.url}/acme/tiny",)) as checkout:
        fill(checkout, tiny_repo)
    assert status(home, dest) == ""
    assert home.command("config", "remote.origin.url", cwd=dest).strip() == ORIGIN


def test_a_branch_with_own_commits_is_not_moved(hub: Hub, tiny_repo: LivingRepo, home: World, tmp_path: Path) -> None:
    dest = tmp_path / "tiny"
    with opened(hub, pin_of(tiny_repo), dest, home.git):
        pass
    (dest / "config.json").write_text("{}")
    home.command("commit", "-qam", "mine", cwd=dest)
    tiny_repo.add_commit({"z": "z"}, branch="main", message="z")
    with pytest.raises(OwnCommits), opened(hub, pin_of(tiny_repo), dest, home.git):
        pass


def test_detached_at_a_pin(hub: Hub, tiny_repo: LivingRepo, home: World, tmp_path: Path) -> None:
    pin = pin_of(tiny_repo, "refs/pr/1")
    with opened(hub, pin, tmp_path / "t", home.git, branch=None):
        pass
    assert home.command("rev-parse", "--abbrev-ref", "HEAD", cwd=tmp_path / "t").strip() == "HEAD"
    assert home.command("rev-parse", "HEAD", cwd=tmp_path / "t").strip() == pin.commit


def test_link_in_place_of_a_directory_is_not_followed(
    hub: Hub, tiny_repo: LivingRepo, home: World, tmp_path: Path
) -> None:
    dest, outside = tmp_path / "tiny", tmp_path / "outside"
    outside.mkdir()
    with opened(hub, pin_of(tiny_repo), dest, home.git) as checkout:
        shutil.rmtree(dest / "sub/dir")
        (dest / "sub/dir").symlink_to(outside)
        pointer = checkout.files()[b"sub/dir/w.bin"]
        assert checkout.inventory()[b"sub/dir/w.bin"] is Presence.FOREIGN
        part = checkout.parts_dir / "p"
        shutil.copyfile(tiny_repo.object_path(pointer.oid), part)
        with pytest.raises(Conflicts):
            checkout.place(pointer, part, [b"sub/dir/w.bin"])
    assert os.listdir(outside) == []


def test_gits_index_is_on_the_disk_before_it_has_its_name(
    hub: Hub, tiny_repo: LivingRepo, home: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A loss of power must not leave an index that no git can read."""
    synced: set[int] = set()
    named: list[bool] = []
    sync, replace = os.fsync, os.replace

    def note_sync(descriptor: int) -> None:
        sync(descriptor)
        synced.add(os.fstat(descriptor).st_ino)

    def note_name(source: Path, target: Path, **more: int) -> None:
        if str(target).endswith("/index"):
            named.append(os.stat(source).st_ino in synced)
        replace(source, target, **more)

    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(os, "replace", note_name)
    with opened(hub, pin_of(tiny_repo), tmp_path / "tiny", home.git) as checkout:
        fill(checkout, tiny_repo)
    assert len(named) >= 2
    assert all(named)


def test_line_ends_follow_attributes(hub: Hub, tiny_repo: LivingRepo, home: World, tmp_path: Path) -> None:
    home.command("config", "--global", "core.autocrlf", "true", cwd=tmp_path)
    tiny_repo.add_commit({".gitattributes": "*.crlf eol=crlf\n", "a.crlf": "a\nb\n"}, branch="main", message="n")
    dest = tmp_path / "t"
    with opened(hub, pin_of(tiny_repo), dest, home.git):
        pass
    assert (dest / "a.crlf").read_bytes() == b"a\r\nb\r\n"
    assert (dest / "config.json").read_bytes() == b'{"a": 1}\n'
    assert status(home, dest) == ""
    tiny_repo.add_commit({"a.crlf": "c\nd\n"}, branch="main", message="n")
    with opened(hub, pin_of(tiny_repo), dest, home.git):
        pass
    assert (dest / "a.crlf").read_bytes() == b"c\r\nd\r\n"


def test_filters_of_the_user_do_not_run(hub: Hub, tiny_repo: LivingRepo, home: World, tmp_path: Path) -> None:
    tiny_repo.add_commit({".gitattributes": "*.bin filter=evil\n*.json filter=lfs\n"}, branch="main", message="n")
    for key, value in (
        ("evil.smudge", "false"),
        ("evil.required", "true"),
        ("lfs.required", "true"),
        ("lfs.smudge", "x"),
    ):
        home.command("config", "--global", f"filter.{key}", value, cwd=tmp_path)
    with opened(hub, pin_of(tiny_repo), tmp_path / "t", home.git) as checkout:
        assert checkout.inventory()[b"sub/same.bin"] is Presence.POINTER


def test_file_becomes_directory_and_back(hub: Hub, home: World, tmp_path: Path) -> None:
    repo = hub.repo("acme/tiny", {"a": "a", "b/c": "c", "d": Symlink(b"a"), "e": Executable(b"e")})
    dest = tmp_path / "t"
    with opened(hub, pin_of(repo), dest, home.git):
        pass
    repo.add_commit(
        {"a": None, "a/x": "x", "b/c": None, "b": "b", "d": "d", "e": Symlink(b"a")}, branch="main", message="n"
    )
    with opened(hub, pin_of(repo), dest, home.git):
        pass
    assert status(home, dest) == ""
    assert (dest / "a/x").read_text() == "x"
    assert (dest / "b").read_text() == "b"


def test_hostile_tree_is_refused_before_anything_is_written(home: World, tmp_path: Path) -> None:
    git = Git(home.environ, protocols=())
    dest = tmp_path / "t"

    def bring(repo: GitRepo) -> None:
        blob = repo.write_blob(b"x")
        tree = repo.run("mktree", "-z", stdin=f"100644 blob {blob}\tGIT~1\x00100644 blob {blob}\ta\x00".encode())
        commit = repo.run(
            "commit-tree", tree.decode().strip(), "-m", "m", config=(("user.name", "a"), ("user.email", "b"))
        )
        pins.append(commit.decode().strip())
        raise _Made

    pins: list[str] = []
    for _ in range(2):
        commit = pins[0] if pins else "0" * 40
        expected: type[Exception] = UnsafePath if pins else _Made
        with (
            pytest.raises(expected),
            open_checkout(
                Target(Pin(Repo("acme/tiny"), commit), dest, None, ORIGIN),
                git,
                (lambda _repo: None) if pins else bring,
            ),
        ):
            pass
    assert os.listdir(dest) == [".git"]


class _Made(Exception):
    """The commit is made."""


def test_a_directory_on_another_disk(hub: Hub, tiny_repo: LivingRepo, home: World, tmp_path: Path) -> None:
    """Where rename cannot go it is copied; where that does not fit, nothing of it is left."""
    dest = tmp_path / "tiny"
    with opened(hub, pin_of(tiny_repo), dest, home.git):
        pass
    for size in ("64k", "4m"):
        with mounted(dest / "sub", size):
            with opened(hub, pin_of(tiny_repo), dest, home.git) as checkout:
                if size == "64k":
                    with pytest.raises(DiskFull):
                        fill(checkout, tiny_repo)
                else:
                    fill(checkout, tiny_repo)
            assert not [path.name for path in (dest / "sub").iterdir() if path.name.startswith(".")]
            if size == "4m":
                assert (dest / "sub/same.bin").stat().st_size > 1024


@contextmanager
def mounted(folder: Path, size: str) -> Iterator[None]:
    """A disk of its own at ``folder``."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder]
    if os.geteuid() or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a small disk")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)
