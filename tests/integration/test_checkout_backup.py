"""Files in the way: listed, or set aside; and damage: mended where that is asked for."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from hfclone.checkout import Edits
from hfclone.errors import Conflicts
from hfclone.events import Event, Warned
from hfclone.plan import Presence
from tests.hub import Executable, Hub, Lfs, LivingRepo, Symlink
from tests.integration.worlds import World, fill, opened, pin_of, spoil_unseen, status


@pytest.fixture
def home(tmp_path: Path) -> World:
    return World(tmp_path)


def moved_aside(events: list[Event]) -> list[str]:
    return [event.text for event in events if isinstance(event, Warned) and event.code == "set-aside"]


def texts(dest: Path, pattern: str = "*.hfclone-orig-*") -> dict[str, str]:
    return {str(p.relative_to(dest)): p.read_text() for p in dest.rglob(pattern) if p.is_file()}


def test_everything_in_the_way_is_set_aside(hub: Hub, tiny_repo: LivingRepo, home: World, tmp_path: Path) -> None:
    dest, events = tmp_path / "t", list[Event]()
    with opened(hub, pin_of(tiny_repo), dest, home.git) as checkout:
        fill(checkout, tiny_repo)
    tiny_repo.add_commit(
        {
            "config.json": "{}\n", "README.md": None, "x.bin": Lfs(10_000, seed=9), "dir/y": "y", "under/z": "z",
            "link": Symlink(b"y"), "model.safetensors": Lfs(20_000, seed=8),
        },
        branch="main", message="n",
    )  # fmt: skip
    (dest / "config.json").write_text("mine 1")
    (dest / "README.md").write_text("mine 2")
    (dest / "x.bin").write_text("mine 3")
    (dest / "dir/y").mkdir(parents=True)
    (dest / "dir/y/deep").write_text("mine 4")
    (dest / "under").write_text("mine 5")
    (dest / "link").write_text("mine 6")
    (dest / "model.safetensors").write_text("mine 7")
    (dest / "config.json.hfclone-orig-1").write_text("older")
    with pytest.raises(Conflicts) as raised, opened(hub, pin_of(tiny_repo), dest, home.git):
        pass
    assert len(raised.value.paths) == 7
    assert texts(dest) == {"config.json.hfclone-orig-1": "older"}
    with opened(hub, pin_of(tiny_repo), dest, home.git, edits=Edits.ASIDE, on_event=events.append) as checkout:
        fill(checkout, tiny_repo)
    assert texts(dest) == {
        "config.json.hfclone-orig-1": "older", "config.json.hfclone-orig-2": "mine 1",
        "README.md.hfclone-orig-1": "mine 2", "x.bin.hfclone-orig-1": "mine 3", "under.hfclone-orig-1": "mine 5",
        "link.hfclone-orig-1": "mine 6", "model.safetensors.hfclone-orig-1": "mine 7",
    }  # fmt: skip
    assert (dest / "dir/y.hfclone-orig-1/deep").read_text() == "mine 4"
    assert len(moved_aside(events)) == 7
    assert {line[:2] for line in status(home, dest).splitlines()} == {"??"}
    assert (dest / "x.bin").stat().st_size == 10_000
    assert (dest / "under/z").read_text() == "z"


def test_what_was_staged_becomes_a_file(hub: Hub, tiny_repo: LivingRepo, home: World, tmp_path: Path) -> None:
    dest = tmp_path / "t"
    with opened(hub, pin_of(tiny_repo), dest, home.git):
        pass
    tiny_repo.add_commit({"config.json": "{}\n", "new": "n"}, branch="main", message="n")
    for name in ("config.json", "new"):
        (dest / name).write_text(f"staged {name}")
        home.command("add", name, cwd=dest)
    (dest / "config.json").write_text("in the work tree")
    with opened(hub, pin_of(tiny_repo), dest, home.git, edits=Edits.ASIDE):
        pass
    assert texts(dest) == {
        "config.json.hfclone-orig-1": "in the work tree",
        "config.json.hfclone-orig-2": "staged config.json",
        "new.hfclone-orig-1": "staged new",
    }
    assert {line[:2] for line in status(home, dest).splitlines()} == {"??"}


def test_an_edited_object_is_set_aside(hub: Hub, tiny_repo: LivingRepo, home: World, tmp_path: Path) -> None:
    dest, events = tmp_path / "t", list[Event]()
    with opened(hub, pin_of(tiny_repo), dest, home.git) as checkout:
        fill(checkout, tiny_repo)
    (dest / "model.safetensors").write_text("mine")
    with opened(hub, pin_of(tiny_repo), dest, home.git, edits=Edits.ASIDE, on_event=events.append) as checkout:
        presence = checkout.inventory()
        assert presence[b"model.safetensors"] is Presence.FOREIGN
        checkout.set_aside([path for path, what in presence.items() if what is Presence.FOREIGN])
        fill(checkout, tiny_repo)
    assert texts(dest) == {"model.safetensors.hfclone-orig-1": "mine"}
    assert moved_aside(events) == ["model.safetensors was moved to model.safetensors.hfclone-orig-1"]
    assert status(home, dest) == "?? model.safetensors.hfclone-orig-1\n"


@pytest.mark.parametrize("stamps", ["kept", "lost"])
@pytest.mark.parametrize("how", ["cut", "longer", "empty", "bits"])
@pytest.mark.parametrize("mtime", ["old", "new"])
def test_only_what_nobody_wrote_to_is_given_up(
    hub: Hub, tiny_repo: LivingRepo, home: World, tmp_path: Path, how: str, stamps: str, mtime: str
) -> None:
    """A file under its old mtime is rot; without a stamp git's index knows that, of files of the old size."""
    dest = tmp_path / "t"
    with opened(hub, pin_of(tiny_repo), dest, home.git) as checkout:
        fill(checkout, tiny_repo)
    file = dest / "model.safetensors"
    placed = file.stat().st_mtime_ns
    match how:
        case "cut":
            os.truncate(file, 150_000)
        case "longer":
            file.write_bytes(file.read_bytes() + b"x")
        case "empty":
            os.truncate(file, 0)
        case "bits":
            spoil_unseen(file)
    if mtime == "old":
        os.utime(file, ns=(placed, placed))
    else:
        file.touch()
    if stamps == "lost":
        (dest / ".git/hfclone/stamps").unlink()
    rot = mtime == "old" and (stamps == "kept" or how == "bits")
    with opened(hub, pin_of(tiny_repo), dest, home.git) as checkout:
        checkout.give_up([b"model.safetensors"])
        assert checkout.inventory()[b"model.safetensors"] is (Presence.ABSENT if rot else Presence.FOREIGN)
        if rot:
            fill(checkout, tiny_repo)
    if rot:
        assert file.read_bytes() == Lfs(300_000, seed=1).content
        assert status(home, dest) == ""


def test_what_was_never_placed_is_not_given_up(hub: Hub, tiny_repo: LivingRepo, home: World, tmp_path: Path) -> None:
    dest = tmp_path / "t"
    with opened(hub, pin_of(tiny_repo), dest, home.git):
        pass
    (dest / "model.safetensors").write_text("mine")  # in place of the pointer
    with opened(hub, pin_of(tiny_repo), dest, home.git) as checkout:
        checkout.give_up([b"model.safetensors"])
        assert checkout.inventory()[b"model.safetensors"] is Presence.FOREIGN


def test_small_files_are_restored(hub: Hub, home: World, tmp_path: Path) -> None:
    repo = hub.repo(
        "acme/tiny",
        {"a": "a\n", "run.sh": Executable(b"#!/bin/sh\n"), "l": Symlink(b"a"), "d/gone": "g\n", "x.crlf": "1\n2\n"},
    )
    repo.add_commit({".gitattributes": "*.crlf eol=crlf\n"}, branch="main", message="n")
    dest = tmp_path / "t"
    with opened(hub, pin_of(repo), dest, home.git):
        pass
    spoil_unseen(dest / "a")
    os.truncate(dest / "run.sh", 3)
    (dest / "run.sh").chmod(0o644)
    (dest / "l").unlink()
    (dest / "l").write_text("no link")
    shutil.rmtree(dest / "d")
    (dest / "x.crlf").write_text("1\n2\n3")
    with opened(hub, pin_of(repo), dest, home.git) as checkout:
        checkout.restore([b"a", b"run.sh", b"l", b"d/gone", b"x.crlf"])
    assert (dest / "a").read_text() == "a\n"
    assert (dest / "run.sh").stat().st_mode & 0o111
    assert (dest / "run.sh").read_text() == "#!/bin/sh\n"
    assert (dest / "l").readlink() == Path("a")
    assert (dest / "x.crlf").read_bytes() == b"1\r\n2\r\n"
    assert status(home, dest) == ""
    assert home.command("diff", "HEAD", cwd=dest) == ""
