"""A user who works on in the checkout while hfclone works on it: nothing of theirs is lost, nothing is called right."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from hfclone.checkout.moving import Move, read_side
from hfclone.checkout.stamps import Stamps
from hfclone.errors import CannotWrite, CheckoutBusy, Conflicts
from hfclone.events import Event, Working
from hfclone.git import GitRepo, Staged, TreeEntry
from hfclone.git.index import Fresh, Patched, patch_index
from hfclone.plan import Presence
from hfclone.worktree import Standing, WorkTree
from tests.hub import Hub, Lfs, LivingRepo
from tests.integration.worlds import World, bring_from, fill, opened, pin_of, status


@pytest.fixture
def home(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.mark.parametrize("path", ["sub/dir/w.bin", "sub/same.bin"], ids=["the first", "a copy"])
def test_a_file_that_is_saved_while_an_object_is_synced_or_copied_stays(
    hub: Hub, tiny_repo: LivingRepo, home: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    dest = tmp_path / "tiny"
    sync = os.fsync

    def save(descriptor: int) -> None:
        sync(descriptor)
        (dest / path).write_text("mine")

    with pytest.raises(CannotWrite), opened(hub, pin_of(tiny_repo), dest, home.git) as checkout:
        pointer = checkout.files()[b"sub/same.bin"]
        part = checkout.parts_dir / f"{pointer.oid}.part"
        shutil.copyfile(tiny_repo.object_path(pointer.oid), part)
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", save)
            checkout.place(pointer, part, [b"sub/dir/w.bin", b"sub/same.bin"])
    assert (dest / path).read_text() == "mine"


def test_a_file_that_is_edited_while_it_is_hashed_is_not_adopted(
    hub: Hub, tiny_repo: LivingRepo, home: World, tmp_path: Path
) -> None:
    dest = tmp_path / "tiny"
    model = dest / "model.safetensors"

    def edit(event: Event) -> None:
        if isinstance(event, Working) and event.what == "verifying":
            with model.open("r+b") as file:
                file.write(b"an edit")

    with opened(hub, pin_of(tiny_repo), dest, home.git) as checkout:
        pointer = checkout.files()[b"model.safetensors"]
        shutil.copyfile(tiny_repo.object_path(pointer.oid), model)
        os.utime(model, (1, 1))
        assert checkout.inventory(edit)[b"model.safetensors"] is Presence.FOREIGN
    assert status(home, dest) == " M model.safetensors\n"


def edit_in_place(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"an edit")


@pytest.mark.parametrize("path", ["sub/dir/w.bin", "config.json", "run.sh"], ids=["object", "changed", "removed"])
def test_a_file_that_is_edited_after_a_move_was_judged_stays(
    hub: Hub, tiny_repo: LivingRepo, home: World, tmp_path: Path, path: str
) -> None:
    """Judging may take minutes: objects without a stamp are hashed."""
    dest = tmp_path / "tiny"
    with opened(hub, pin_of(tiny_repo), dest, home.git) as checkout:
        fill(checkout, tiny_repo)
    old = pin_of(tiny_repo)
    tiny_repo.add_commit(
        {"config.json": "{}\n", "run.sh": None, "sub/dir/w.bin": None, "renamed.bin": Lfs(70_000, seed=2)},
        branch="main", message="next",
    )  # fmt: skip
    new = pin_of(tiny_repo)
    repo, tree, state = GitRepo(home.git, dest), WorkTree(dest), dest / ".git/hfclone"
    bring_from(hub, new)(repo)
    sides = read_side(repo, old.commit), read_side(repo, new.commit)
    move = Move(repo, tree, Stamps(state / "stamps"), state, *sides, Staged.read(repo), lambda _count: None)
    assert not move.judge()
    edit_in_place(dest / path)
    edited = (dest / path).read_bytes()
    with pytest.raises(CannotWrite):
        move.apply(new.commit, no_refs)
    tree.close()
    assert (dest / path).read_bytes() == edited


def no_refs() -> None:
    """What has been moved is looked at, and no ref."""


def moving(hub: Hub, repo: LivingRepo, dest: Path, home: World, kind: type[GitRepo] = GitRepo) -> tuple[Move, str]:
    """A move to a commit with another ``config.json``, judged."""
    with opened(hub, pin_of(repo), dest, home.git) as checkout:
        fill(checkout, repo)
    old = pin_of(repo)
    repo.add_commit({"config.json": "theirs\n"}, branch="main", message="next")
    new = pin_of(repo)
    here, state = kind(home.git, dest), dest / ".git/hfclone"
    bring_from(hub, new)(here)
    sides = read_side(here, old.commit), read_side(here, new.commit)
    move = Move(here, WorkTree(dest), Stamps(state / "stamps"), state, *sides, Staged.read(here), lambda _count: None)
    assert not move.judge()
    return move, new.commit


def test_what_is_staged_while_the_index_is_written_is_not_lost(
    hub: Hub, tiny_repo: LivingRepo, home: World, tmp_path: Path
) -> None:
    """Git refuses it, and takes it afterwards."""
    dest = tmp_path / "tiny"
    said: list[str] = []

    class Meddled(GitRepo):
        def update_index(self, index: Path, changes: Iterable[TreeEntry], gone: Iterable[bytes]) -> None:
            said.append(home.run("add", "mine.txt", cwd=dest).stderr)
            super().update_index(index, changes, gone)

    move, commit = moving(hub, tiny_repo, dest, home, Meddled)
    (dest / "mine.txt").write_text("mine")
    move.apply(commit, no_refs)
    assert len(said) == 1
    assert "index.lock" in said[0]
    home.command("add", "mine.txt", cwd=dest)
    assert home.command("ls-files", "mine.txt", cwd=dest) == "mine.txt\n"
    assert (dest / "config.json").read_text() == "theirs\n"


def test_what_is_staged_after_a_move_was_judged_is_in_its_way(
    hub: Hub, tiny_repo: LivingRepo, home: World, tmp_path: Path
) -> None:
    dest = tmp_path / "tiny"
    move, commit = moving(hub, tiny_repo, dest, home)
    was = (dest / "config.json").read_text()
    (dest / "config.json").write_text("mine")
    home.command("add", "config.json", cwd=dest)
    (dest / "config.json").write_text(was)
    with pytest.raises(Conflicts, match=r"config\.json"):
        move.apply(commit, no_refs)
    assert home.command("show", ":config.json", cwd=dest) == "mine"
    assert (dest / "config.json").read_text() == was
    assert not (dest / ".git/index.lock").exists()


def test_a_file_that_comes_while_others_are_placed_stays(
    hub: Hub, tiny_repo: LivingRepo, home: World, tmp_path: Path
) -> None:
    """It ends the move, and all else is as before."""
    dest = tmp_path / "tiny"
    with opened(hub, pin_of(tiny_repo), dest, home.git) as checkout:
        fill(checkout, tiny_repo)
    old = pin_of(tiny_repo)
    tiny_repo.add_commit({"a.txt": "theirs", "config.json": "theirs", "z.txt": "theirs"}, branch="main", message="n")
    new = pin_of(tiny_repo)

    class Meddled(WorkTree):
        def place(self, source: Path | str, path: bytes, expected: Standing) -> os.stat_result:
            (dest / "z.txt").write_text("mine")
            return super().place(source, path, expected)

    repo, state = GitRepo(home.git, dest), dest / ".git/hfclone"
    bring_from(hub, new)(repo)
    sides = read_side(repo, old.commit), read_side(repo, new.commit)
    before = (dest / "config.json").read_text(), home.command("ls-files", "-s", cwd=dest)
    move = Move(repo, Meddled(dest), Stamps(state / "stamps"), state, *sides, Staged.read(repo), lambda _count: None)
    assert not move.judge()
    with pytest.raises(CannotWrite, match=r"z\.txt"):
        move.apply(new.commit, no_refs)
    assert move.is_as_before
    assert (dest / "z.txt").read_text() == "mine"
    assert not (dest / "a.txt").exists()
    assert ((dest / "config.json").read_text(), home.command("ls-files", "-s", cwd=dest)) == before
    assert status(home, dest) == "?? z.txt\n"


def test_a_file_that_comes_where_another_was_taken_from_stays(
    hub: Hub, tiny_repo: LivingRepo, home: World, tmp_path: Path
) -> None:
    """It ends the move, and what was there before is not put back over it."""
    dest = tmp_path / "tiny"
    move, commit = moving(hub, tiny_repo, dest, home)

    class Meddled(WorkTree):
        def place(self, source: Path | str, path: bytes, expected: Standing) -> os.stat_result:
            if not (dest / "config.json").exists():
                (dest / "config.json").write_text("mine")
            return super().place(source, path, expected)

    move.tree = Meddled(dest)
    with pytest.raises(CannotWrite, match=r"config\.json"):
        move.apply(commit, no_refs)
    assert (dest / "config.json").read_text() == "mine"
    assert status(home, dest) == " M config.json\n"


def test_a_git_command_that_runs_is_in_the_way_of_a_move(
    hub: Hub, tiny_repo: LivingRepo, home: World, tmp_path: Path
) -> None:
    """Before anything is touched; and its lock stays its own."""
    dest = tmp_path / "tiny"
    move, commit = moving(hub, tiny_repo, dest, home)
    (dest / ".git/index.lock").touch()
    with pytest.raises(CheckoutBusy):
        move.apply(commit, no_refs)
    assert (dest / "config.json").read_text() != "theirs\n"
    assert (dest / ".git/index.lock").exists()


def test_the_lock_of_who_comes_next_is_not_taken_away(
    hub: Hub, tiny_repo: LivingRepo, home: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A git command takes it in the moment in which ours has become the index."""
    dest, replace = tmp_path / "tiny", os.replace
    with opened(hub, pin_of(tiny_repo), dest, home.git) as checkout:
        fill(checkout, tiny_repo)
    lock = dest / ".git/index.lock"
    model = dest / "model.safetensors"
    model.touch()

    def replaced(source: os.PathLike[str], target: os.PathLike[str], **more: int) -> None:
        replace(source, target, **more)
        if Path(source) == lock:
            lock.touch()

    fresh = {
        b"model.safetensors": Fresh(home.command("rev-parse", ":model.safetensors", cwd=dest).strip(), model.stat())
    }
    monkeypatch.setattr(os, "replace", replaced)
    assert patch_index(dest / ".git/index", fresh) == Patched(1)
    assert lock.exists()


STEPS: dict[str, Callable[[WorkTree, Path, bytes, Standing], object]] = {
    "place": lambda tree, source, path, seen: tree.place(source, path, seen),
    "take": lambda tree, source, path, seen: tree.take(path, source, seen),
    "remove": lambda tree, _source, path, seen: tree.remove(path, seen),
}


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_a_directory_that_is_replaced_meanwhile_is_not_taken_for_the_old_one(
    tmp_path: Path, step: Callable[[WorkTree, Path, bytes, Standing], object]
) -> None:
    root, source = tmp_path / "root", tmp_path / "source"
    (root / "d").mkdir(parents=True)
    (root / "d/w").write_text("old")
    source.write_text("new")
    tree = WorkTree(root)
    seen = tree.look(b"d/w")  # the directory is open now
    (root / "d").rename(tmp_path / "mine")
    (root / "d").mkdir()
    (root / "d/w").write_text("theirs")
    with pytest.raises(CannotWrite):
        step(tree, source, b"d/w", seen)
    tree.close()
    assert (tmp_path / "mine/w").read_text() == "old"
    assert (root / "d/w").read_text() == "theirs"


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
@pytest.mark.parametrize("moved", ["d", "d/e"])
def test_a_directory_to_which_a_link_leads_by_now_is_left_alone(
    tmp_path: Path, step: Callable[[WorkTree, Path, bytes, Standing], object], moved: str
) -> None:
    """The very directory that is open, or one on the way to it, was moved elsewhere and is linked to."""
    root, source = tmp_path / "root", tmp_path / "source"
    (root / "d/e").mkdir(parents=True)
    (root / "d/e/w").write_text("old")
    source.write_text("new")
    tree = WorkTree(root)
    seen = tree.look(b"d/e/w")
    (root / moved).rename(tmp_path / "mine")
    (root / moved).symlink_to(tmp_path / "mine")
    with pytest.raises(CannotWrite):
        step(tree, source, b"d/e/w", seen)
    tree.close()
    assert source.read_text() == "new"
    assert (root / "d/e/w").read_text() == "old"


def test_a_directory_that_is_gone_is_made_anew(tmp_path: Path) -> None:
    root, source = tmp_path / "root", tmp_path / "source"
    (root / "d").mkdir(parents=True)
    source.write_text("new")
    tree = WorkTree(root)
    seen = tree.look(b"d/w")
    (root / "d").rename(tmp_path / "mine")
    tree.place(source, b"d/w", seen)
    tree.close()
    assert (root / "d/w").read_text() == "new"
    assert not any((tmp_path / "mine").iterdir())
