"""Machines of users, in all worlds of git-lfs, and a checkout filled as the program fills it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hfclone.checkout import Checkout, Target, open_checkout
from hfclone.commits import bring_commit
from hfclone.errors import ObjectMissing
from hfclone.events import ignore
from hfclone.git import Git, GitRepo
from hfclone.hub.endpoint import Endpoint
from hfclone.names import History, Pin, Repo
from hfclone.plan import Presence
from hfclone.pointer import Pointer
from tests.hub import Hub, LivingRepo

ORIGIN = "https://huggingface.co/acme/tiny"
WORLDS = ("configured", "unconfigured", "absent", "stale")
"""Of git-lfs: set up; on the PATH alone; nowhere; set up and then uninstalled."""
FILTER_PROGRAMS = ("dd", "od", "tee", "wc", "dirname", "sha256sum")

LFS_CONFIG = {
    "clean": "git-lfs clean -- %f", "smudge": "git-lfs smudge -- %f", "process": "git-lfs filter-process",
    "required": "true",
}  # fmt: skip
"""What ``git lfs install`` writes."""


class NoBlobs:
    def fetch(self, path: bytes, oid: str) -> bytes:
        raise ObjectMissing(oid, "nobody")


class World:
    """A user's machine: home, configuration and PATH of their own."""

    def __init__(self, folder: Path, kind: str = "absent") -> None:
        self.kind = kind
        home = folder / "home"
        home.mkdir()
        path = os.environ["PATH"]
        if kind in ("absent", "stale"):
            path = str(_links_without_lfs(folder / "bin"))
        self.environ = {
            "PATH": path,
            "HOME": str(home),
            "GIT_CONFIG_GLOBAL": str(home / "gitconfig"),
            "GIT_CONFIG_NOSYSTEM": "1",
        }
        self.command("config", "--global", "user.email", "a@b.c", cwd=home)
        self.command("config", "--global", "user.name", "a", cwd=home)
        if kind in ("configured", "stale"):
            for key, value in LFS_CONFIG.items():
                self.command("config", "--global", f"filter.lfs.{key}", value, cwd=home)
        self.git = Git(self.environ)

    def run(self, *args: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        """Run git as the user would."""
        return subprocess.run(["git", *args], cwd=cwd, env=self.environ, capture_output=True, text=True, check=False)

    def command(self, *args: str, cwd: Path) -> str:
        """Run git, which has to succeed."""
        done = self.run(*args, cwd=cwd)
        assert done.returncode == 0, done.stderr
        return done.stdout


def _links_without_lfs(folder: Path) -> Path:
    folder.mkdir()
    for name in ("git", "sh", "env", "setpriv", "cat", "true", "sed", "git-upload-pack", *FILTER_PROGRAMS):
        found = shutil.which(name)
        if found:
            (folder / name).symlink_to(found)
    return folder


def pin_of(repo: LivingRepo, ref: str = "refs/heads/main") -> Pin:
    commit = repo.commit_of(ref)
    assert commit is not None
    return Pin(Repo("acme/tiny"), commit)


def bring_from(hub: Hub, pin: Pin, branch: str | None = "main") -> Callable[[GitRepo], None]:
    def bring(repo: GitRepo) -> None:
        bring_commit(
            repo, pin, [Endpoint(hub.url)], history=History.SHALLOW, branch=branch, blob_source=NoBlobs(),
            probe=lambda url: url, on_event=ignore,
        )  # fmt: skip

    return bring


@contextmanager
def opened(hub: Hub, pin: Pin, dest: Path, git: Git, branch: str | None = "main", **more: Any) -> Iterator[Checkout]:
    """A checkout that is held. ``more`` as ``Target`` and ``open_checkout`` have it."""
    target = Target(pin, dest, branch, more.pop("origin", ORIGIN), more.pop("mirrors", ()))
    with open_checkout(target, git, more.pop("bring", None) or bring_from(hub, pin, branch), **more) as checkout:
        yield checkout


def fill(checkout: Checkout, repo: LivingRepo) -> None:
    """Fetch as the real program does, but from the hub's own disk."""
    presence = checkout.inventory()
    wanted: dict[Pointer, list[bytes]] = {}
    there = (Presence.CONTENT, Presence.STORED)
    here = {checkout.files()[path].oid for path, what in presence.items() if what in there}
    for path, what in presence.items():
        if what in (Presence.ABSENT, Presence.POINTER, Presence.STORED):
            wanted.setdefault(checkout.files()[path], []).append(path)
    for pointer, paths in wanted.items():
        if pointer.oid in here:
            checkout.copy(pointer, paths)
            continue
        part = checkout.parts_dir / f"{pointer.oid}.part"
        shutil.copyfile(repo.object_path(pointer.oid), part)
        checkout.place(pointer, part, paths)
        assert not part.exists()


def status(world: World, dest: Path) -> str:
    return world.command("status", "--porcelain", "--ignored", cwd=dest)


def spoil_unseen(path: Path) -> None:
    """Change bytes in a way that only reading them can show."""
    stat = path.stat()
    with path.open("r+b") as file:
        file.write(b"spoiled!")
    os.utime(path, ns=(stat.st_mtime_ns, stat.st_mtime_ns))
