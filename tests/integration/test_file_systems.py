"""File systems that lack something, or fail: each call that the main job makes, refused with what systems say."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.command import Command, Outcome, git, sha256, tree_of
from tests.e2e.forked import Forked
from tests.hub import Executable, Hub, Lfs, LivingRepo, Symlink
from tests.hub.fixtures import make_tiny
from tests.refusing import Refusal, Refusing

ANYWHERE = "{dest}*"
IN_STATE = "{dest}/.git/hfclone/*"
IN_TREE = "{dest}/[!.]*"
GOES_ON, ENDS = 0, 6

CASES = [
    *[("fsync", "dir", ANYWHERE, name, GOES_ON) for name in ("EINVAL", "EOPNOTSUPP", "EBADF")],
    *[("fsync", "dir", ANYWHERE, name, ENDS) for name in ("EIO", "ENOSPC")],
    *[("fsync", "any", ANYWHERE, name, ENDS) for name in ("EINVAL", "EIO")],
    ("fsync", "file", IN_STATE, "EIO", ENDS),
    *[("utime", "any", ANYWHERE, name, GOES_ON) for name in ("EPERM", "ENOSYS")],
    ("utime", "any", ANYWHERE, "EIO", ENDS),
    ("chmod", "any", ANYWHERE, "EPERM", ENDS),
    *[("link", "any", ANYWHERE, name, GOES_ON) for name in ("EPERM", "EXDEV")],
    *[("symlink", "any", ANYWHERE, name, GOES_ON) for name in ("EPERM", "ENOSYS")],
    ("symlink", "any", IN_STATE, "EPERM", ENDS),
    *[("rename", "any", ANYWHERE, name, ENDS) for name in ("EIO", "ENOSPC")],
    *[("rename", "any", IN_STATE, name, ENDS) for name in ("EINVAL", "EXDEV")],
    ("rename", "none", IN_TREE, "EIO", ENDS),
    ("mkdir", "any", ANYWHERE, "EPERM", ENDS),
    ("mkdir", "any", IN_TREE, "ENOSPC", ENDS),
    ("unlink", "any", ANYWHERE, "EPERM", ENDS),
    ("truncate", "any", ANYWHERE, "EINVAL", ENDS),
    *[("fallocate", "any", ANYWHERE, name, GOES_ON) for name in ("EOPNOTSUPP", "EINVAL", "ENOSYS")],
    ("reflink", "any", ANYWHERE, "EXDEV", GOES_ON),
    *[("lock", "any", ANYWHERE, name, GOES_ON) for name in ("ENOSYS", "EOPNOTSUPP")],
    ("statvfs", "any", ANYWHERE, "ENOSYS", GOES_ON),
    ("statvfs", "any", ANYWHERE, "EIO", ENDS),
]
"""A call, what it meets there, where, what the system says, and how the run ends."""


NAMES = (".git", "HEAD", "README.md", "link.json", "tiny", "sub/")
"""One of them is in an error: a path, or git's name for what it wrote."""


class World:
    """A hub with one repo, a mirror before it, and what a right checkout of the repo is."""

    def __init__(self, folder: Path, hub: Hub, library: Path) -> None:
        self.hub = hub
        self.repo: LivingRepo = make_tiny(hub)
        self.mirror = hub.mirror("mirror")
        self.hfclone = Forked(Command(folder / "user", hub.url), {"LD_PRELOAD": str(library)})
        self.right = folder / "right"
        assert self.clone(self.right).code == 0

    def clone(self, dest: Path, *more: str, env: dict[str, str] | None = None) -> Outcome:
        return self.hfclone(f"acme/tiny{''.join(more)}", dest, "--mirror", self.mirror.url, env=env)

    def sent(self, oid: str, since: int) -> int:
        return self.hub.log.bytes_sent(oid=oid, since=since)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, refusing_library: Path) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("file-systems")
    with Hub(folder / "hub") as hub:
        world = World(folder, hub, refusing_library)
        with world.hfclone:
            yield world


def whole(dest: Path, repo: LivingRepo) -> set[str]:
    """The objects whose bytes are all here, wherever they lie."""
    sizes = set(repo.objects.values())
    files = [path for path in dest.rglob("*") if path.is_file() and path.stat().st_size in sizes]
    return repo.objects.keys() & {sha256(path) for path in files}


def as_committed(dest: Path, right: Path) -> bool:
    """Whether the work tree holds what ``right`` does; where there are no links a file may stand for one."""
    link = dest / "link.json"
    if link.is_file() and not link.is_symlink() and git(dest, "config", "core.symlinks") == "false":
        assert link.read_bytes() == b"config.json"
        return tree_of(dest, without=[".git", "link.json"]) == tree_of(right, without=[".git", "link.json"])
    return tree_of(dest, without=[".git"]) == tree_of(right, without=[".git"])


@pytest.mark.parametrize(("call", "kind", "where", "says", "ends"), CASES)
def test_a_clone(
    world: World, refusing: Refusing, tmp_path: Path, call: str, kind: str, where: str, says: str, ends: int
) -> None:
    """It ends right, or with the path; the next run, without the fault, fetches nothing that had come."""
    dest = tmp_path / "tiny"
    outcome = world.clone(dest, env=refusing.environ(Refusal(call, says, where.format(dest=dest), kind)))
    assert {name for name, _ in refusing.refused()} == {call}, outcome.stderr
    assert outcome.code == ends, outcome.stderr
    if ends == GOES_ON:
        assert world.hfclone("verify", dest).code == 0
    else:
        assert any(name in outcome.error for name in NAMES), outcome.error
        arrived, since = whole(dest, world.repo), len(world.hub.log)
        assert world.clone(dest).code == 0
        assert not any(world.sent(oid, since) for oid in arrived)
    assert git(dest, "status", "--porcelain") == ""
    assert as_committed(dest, world.right)


@pytest.mark.parametrize(
    ("call", "kind", "where", "says"),
    [
        ("rename", "none", "{dest}/new/more.bin", "EIO"),
        ("rename", "any", "{dest}/.git/index", "EPERM"),
        ("mkdir", "any", IN_TREE, "ENOSPC"),
        ("symlink", "any", IN_STATE, "EPERM"),
        ("rename", "any", "{dest}/.git/refs/*", "EIO"),
    ],
)
def test_a_pull(
    hub: Hub, tiny_repo: LivingRepo, hfclone: Command, refusing: Refusing, call: str, kind: str, where: str, says: str
) -> None:
    """What cannot be done ends it with the path, and no file that stood there is gone; objects move without a fetch."""
    dest = hfclone.cwd / "tiny"
    assert hfclone("acme/tiny").code == 0
    before = tree_of(dest, without=[".git"])
    moved = {"model.safetensors": None, "new/model.safetensors": Lfs(300_000, seed=1)}
    changed = {"link.json": Symlink(b"README.md"), "config.json": "{}\n", "run.sh": None}
    tiny_repo.add_commit({**moved, **changed, "new/more.bin": Lfs(40_000, seed=7)})
    times = 1 if where.endswith("more.bin") else 0  # what can be taken out again can be put back
    refusal = Refusal(call, says, where.format(dest=dest), kind, times=times)
    outcome = hfclone("pull", dest, env=refusing.environ(refusal))
    assert {name for name, _ in refusing.refused()} == {call}, outcome.stderr
    assert outcome.code == 6, outcome.stderr
    now = tree_of(dest, without=[".git"])
    if git(dest, "rev-parse", "HEAD") != tiny_repo.commit:
        assert now == before
    else:
        assert now.keys() >= before.keys() - {"model.safetensors", "run.sh"}
    since = len(hub.log)
    assert hfclone("pull", dest).code == 0
    assert hub.log.bytes_sent(kind="cdn", since=since) <= 40_000
    assert (hfclone("verify", dest).code, git(dest, "status", "--porcelain")) == (0, "")


def test_a_checkout_without_links(hub: Hub, tiny_repo: LivingRepo, hfclone: Command, refusing: Refusing) -> None:
    """A file that holds the target is git's link, whatever is done with the checkout."""
    dest = hfclone.cwd / "tiny"
    hfclone.environ |= refusing.environ(Refusal("symlink", "EPERM", f"{dest}*"))

    def is_right() -> bool:
        assert hfclone("verify", dest).code == 0
        assert json.loads(hfclone("status", dest, "--json").stdout)["complete"]
        return git(dest, "status", "--porcelain") == ""

    assert hfclone("acme/tiny").code == 0
    assert ("symlink", str(dest)) in {(call, path[: len(str(dest))]) for call, path in refusing.refused()}
    assert (dest / "link.json").read_bytes() == b"config.json"
    assert is_right()
    tiny_repo.add_commit({"link.json": Symlink(b"sub/ab"), "config.json": Symlink(b"x" * 5000), "new": Symlink(b"")})
    assert hfclone("pull", dest).code == 0
    assert [(dest / name).read_bytes() for name in ("link.json", "config.json", "new")] == [b"sub/ab", b"x" * 5000, b""]
    assert is_right()
    assert hfclone("export", dest, "--format", "local-dir").code == 0
    assert hfclone("export", dest, "--format", "hf-cache").code == 0
    (dest / "link.json").write_bytes(b"mine")
    outcome = hfclone("acme/tiny", "--progress", "json")
    assert outcome.event("report")["kept"] == ["link.json"]
    assert hfclone("verify", dest).code == 5
    tiny_repo.add_commit({"link.json": "a file\n"})
    outcome = hfclone("pull", dest)
    assert (outcome.code, "link.json" in outcome.error) == (6, True)
    assert (dest / "link.json").read_bytes() == b"mine"
    assert hfclone("pull", dest, "--backup").code == 0
    assert (dest / "link.json").read_bytes() == b"a file\n"
    assert hfclone("verify", dest).code == 0


def test_links_that_can_no_longer_be_made(tiny_repo: LivingRepo, hfclone: Command, refusing: Refusing) -> None:
    """A checkout that was copied to another disk says what is to be done, and that helps."""
    dest = hfclone.cwd / "tiny"
    assert hfclone("acme/tiny").code == 0
    tiny_repo.add_commit({"link.json": Symlink(b"README.md")})
    hfclone.environ |= refusing.environ(Refusal("symlink", "EOPNOTSUPP", f"{dest}*"))
    outcome = hfclone("pull", dest)
    assert (outcome.code, "link.json" in outcome.error) == (6, True)
    assert "git config core.symlinks false" in outcome.hint
    assert git(dest, "config", "core.symlinks", "false") == ""
    assert hfclone("pull", dest).code == 0
    assert (hfclone("verify", dest).code, git(dest, "status", "--porcelain")) == (0, "")


def test_a_checkout_whose_modes_say_nothing(tiny_repo: LivingRepo, hfclone: Command) -> None:
    """As on a vfat, where every file has the same."""
    dest = hfclone.cwd / "tiny"
    assert hfclone("acme/tiny").code == 0
    assert git(dest, "config", "core.fileMode", "false") == ""
    (dest / "run.sh").chmod(0o644)
    (dest / "config.json").chmod(0o755)
    (dest / "model.safetensors").chmod(0o755)
    assert (hfclone("verify", dest).code, git(dest, "status", "--porcelain")) == (0, "")
    assert json.loads(hfclone("status", dest, "--json").stdout)["complete"]
    tiny_repo.add_commit({"run.sh": "plain\n", "README.md": Executable(b"x\n")})
    assert hfclone("pull", dest).code == 0
    assert hfclone("verify", dest).code == 0


def test_a_mount_on_which_no_mode_can_be_changed(tiny_repo: LivingRepo, hfclone: Command, refusing: Refusing) -> None:
    """Drvfs without metadata, say: git itself cannot make a repo there, and what would help is said."""
    outcome = hfclone("acme/tiny", env=refusing.environ(Refusal("chmod", "EPERM", f"{hfclone.cwd}/*")))
    assert outcome.code == 6
    assert "chmod on" in outcome.error
    assert "metadata" in outcome.hint
    assert "uid" in outcome.hint
    assert os.listdir(hfclone.cwd) == []


def test_a_time_that_cannot_be_set_costs_git_one_look(
    tiny_repo: LivingRepo, hfclone: Command, refusing: Refusing, hub: Hub
) -> None:
    dest = hfclone.cwd / "tiny"
    env = refusing.environ(Refusal("utime", "EPERM", f"{dest}*"))
    assert hfclone("acme/tiny", env=env).code == 0
    since = len(hub.log)
    assert hfclone("acme/tiny", env=env).code == 0
    assert hub.log.bytes_sent(kind="cdn", since=since) == 0
    tiny_repo.add_commit({"config.json": "{}\n", "model.safetensors": Lfs(90_000, seed=9)})
    assert hfclone("pull", dest, env=env).code == 0
    assert git(dest, "status", "--porcelain") == ""
    assert hfclone("verify", dest).code == 0
