"""File systems that lack something, or fail: each call that the main job makes, refused with what systems say."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.command import Command, Outcome, git, sha256, tree_of
from tests.hub import Hub, LivingRepo
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

    def __init__(self, folder: Path, hub: Hub) -> None:
        self.hub = hub
        self.repo: LivingRepo = make_tiny(hub)
        self.mirror = hub.mirror("mirror")
        self.hfclone = Command(folder / "user", hub.url)
        self.right = folder / "right"
        assert self.clone(self.right).code == 0

    def clone(self, dest: Path, *more: str, env: dict[str, str] | None = None) -> Outcome:
        return self.hfclone(f"acme/tiny{''.join(more)}", dest, "--mirror", self.mirror.url, env=env)

    def sent(self, oid: str, since: int) -> int:
        return self.hub.log.bytes_sent(oid=oid, since=since)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("file-systems")
    with Hub(folder / "hub") as hub:
        yield World(folder, hub)


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
