"""SIGKILL at every step of a move: the next run ends where an undisturbed one would.

Where a step fails instead, or a signal comes behind it, all stands as before the move. The steps are the process's
own audit events (renames, removals, new directories, started programs), and its calls of the system: nothing of the
package is changed for it.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.hub import Executable, Hub, Lfs, LivingRepo, Symlink

CHILD = """
import errno, os, shutil, signal, sys
from pathlib import Path
from hfclone.checkout import Target, open_checkout
from hfclone.commits import bring_commit
from hfclone.hub.endpoint import Endpoint
from hfclone.errors import HfcloneError, ObjectMissing
from hfclone.events import ignore
from hfclone.git import Git
from hfclone.names import History, Pin, Repo
from hfclone.plan import Presence

import git.cmd, git.util, hashlib, json, traceback

CALLS = {"rename", "replace", "unlink", "rmdir", "mkdir", "utime", "link", "open", "fsync", "stat", "lstat"}

class NoBlobs:
    def fetch(self, path, oid):
        raise ObjectMissing(oid, "nobody")

def work(url, commit, dest, objects, stop, how):
    left = [stop]
    pin = Pin(Repo("acme/tiny"), commit)

    def bring(repo):
        bring_commit(repo, pin, [Endpoint(url)], history=History.SHALLOW, branch="main", blob_source=NoBlobs(),
                     probe=lambda url: url, on_event=ignore)

    def count(event, args):
        if event in ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "subprocess.Popen", "os.utime"):
            left[0] -= 1
            if left[0] == 0 and how == "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            elif left[0] == 0:
                raise OSError(errno.EIO, os.strerror(errno.EIO))

    def returned(frame, event, function):
        if event == "c_return" and function.__module__ == "posix" and function.__name__ in CALLS:
            left[0] -= 1
            if left[0] == 0:
                sys.setprofile(None)
                raise KeyboardInterrupt

    if how == "stopped":
        sys.setprofile(returned)
    else:
        sys.addaudithook(count)
    target = Target(pin, Path(dest), "main", "https://huggingface.co/acme/tiny")
    with open_checkout(target, Git(os.environ), bring) as checkout:
        for path, what in checkout.inventory().items():
            assert what is not Presence.FOREIGN, path
            pointer = checkout.files()[path]
            if what is not Presence.CONTENT:
                part = checkout.parts_dir / "part"
                shutil.copyfile(Path(objects) / pointer.oid, part)
                checkout.place(pointer, part, [path])
    return 3 if how != "killed" and left[0] > 0 else 0

for line in sys.stdin:
    child = os.fork()
    if child == 0:
        try:
            code = work(*json.loads(line))
        except BaseException as error:
            if not isinstance(error, (OSError, HfcloneError, KeyboardInterrupt)):
                traceback.print_exc()
                os._exit(2)
            os._exit(1)
        os._exit(code)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


FEWER_STEPS = 3


class Machine:
    """Runs the child and git for one user."""

    def __init__(self, hub: Hub, folder: Path) -> None:
        (folder / "home").mkdir()
        self.hub, self.objects = hub, folder / "objects"
        self.objects.mkdir()
        self.environ = {
            "PATH": os.environ["PATH"], "HOME": str(folder / "home"), "GIT_CONFIG_NOSYSTEM": "1",
            "PYTHONPATH": str(Path(__file__).parents[2]),
        }  # fmt: skip

        # One process has everything imported, and forks for each run: nothing but the start is saved.
        self.runner = subprocess.Popen(
            [sys.executable, "-c", CHILD], env=self.environ, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def run(self, commit: str, dest: Path, stop: int = 0, how: str = "killed") -> int:
        """Go to ``commit``; at the step ``stop`` the process is killed or stopped, or the call fails. The exit code."""
        assert self.runner.stdin is not None
        assert self.runner.stdout is not None
        order = [self.hub.url, commit, str(dest), str(self.objects), stop, how]
        self.runner.stdin.write(json.dumps(order) + "\n")
        self.runner.stdin.flush()
        code = int(self.runner.stdout.readline())
        assert code in ((0, -signal.SIGKILL) if how == "killed" else (0, 1, FEWER_STEPS))
        return code

    def close(self) -> None:
        self.runner.communicate()

    def git(self, dest: Path, *args: str) -> str:
        done = subprocess.run(["git", *args], cwd=dest, env=self.environ, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def offer(self, repo: LivingRepo, *contents: Lfs) -> None:
        for content in contents:
            oid = repo.put(content)
            shutil.copyfile(repo.object_path(oid), self.objects / oid)


def content_of(dest: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(dest)): os.fsencode(os.readlink(path)) if path.is_symlink() else path.read_bytes()
        for path in dest.rglob("*")
        if not path.is_dir() and ".git" not in path.relative_to(dest).parts
    }


@dataclass(frozen=True)
class Way:
    """From one commit to another, on a machine that has the objects of both."""

    machine: Machine
    first: str
    second: str
    third: str
    right: dict[str, bytes]
    """What the second is."""


@pytest.fixture
def way(hub: Hub, tmp_path: Path) -> Iterator[Way]:
    one, two, three = Lfs(50_000, seed=1), Lfs(60_000, seed=2), Lfs(10_000, seed=3)
    repo = hub.repo(
        "acme/tiny", {"a": "a", "b/c": "c", "link": Symlink(b"a"), "one.bin": one, "two.bin": two, "x": "x"}
    )
    machine = Machine(hub, tmp_path)
    machine.offer(repo, one, two, three)
    first = str(repo.commit_of("refs/heads/main"))
    repo.add_commit(
        {"a": "A", "b/c": None, "b": Executable(b"b"), "link": "file", "one.bin": None, "d/one.bin": one,
         "two.bin": three},
        branch="main", message="n",
    )  # fmt: skip
    second = str(repo.commit_of("refs/heads/main"))
    repo.add_commit(
        {"a": "AA", "b": None, "b/c": "cc", "d/one.bin": three, "two.bin": one, "y": "y"}, branch="main", message="n"
    )
    third = str(repo.commit_of("refs/heads/main"))
    assert machine.run(second, tmp_path / "right") == 0
    yield Way(machine, first, second, third, content_of(tmp_path / "right"))
    machine.close()


def edited(way: Way, dest: Path) -> dict[str, bytes]:
    """A checkout of the first commit with an edit in nobody's way; what it has to become."""
    assert way.machine.run(way.first, dest) == 0
    (dest / "x").write_text("my edit")
    return {**way.right, "x": b"my edit"}


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("what", ["new", "move"])
def test_killed_at_every_step(way: Way, tmp_path: Path, what: str) -> None:
    start, machine, second = tmp_path / "start", way.machine, way.second
    right = edited(way, start) if what == "move" else way.right
    for step in range(1, 500):
        dest = tmp_path / f"at{step}"
        if what == "move":
            subprocess.run(["cp", "-a", start, dest], check=True)
        if machine.run(second, dest, step) == 0:
            break
        assert machine.run(second, dest) == 0, step
        assert content_of(dest) == right, step
        assert machine.git(dest, "status", "--porcelain") == (" M x\n" if what == "move" else ""), step
        assert machine.git(dest, "rev-parse", "HEAD").strip() == second, step
        assert not list((dest / ".git").rglob("*.lock")), step
        shutil.rmtree(dest)
    assert step > 30


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_killed_on_the_way_and_sent_to_another_commit(way: Way, tmp_path: Path) -> None:
    """What stands there by then is of two commits, and of neither that the next run goes between."""
    start, machine = tmp_path / "start", way.machine
    edited(way, start)
    assert machine.run(way.third, tmp_path / "other") == 0
    right = {**content_of(tmp_path / "other"), "x": b"my edit"}
    for step in range(1, 500, 5):
        dest = tmp_path / f"at{step}"
        subprocess.run(["cp", "-a", start, dest], check=True)
        if machine.run(way.second, dest, step) == 0:
            break
        assert machine.run(way.third, dest) == 0, step
        assert content_of(dest) == right, step
        assert machine.git(dest, "status", "--porcelain") == " M x\n", step
        assert machine.git(dest, "rev-parse", "HEAD").strip() == way.third, step
        shutil.rmtree(dest)
    assert step > 30


def test_killed_on_the_way_and_taken_elsewhere_by_git(way: Way, tmp_path: Path) -> None:
    """What a run left half done says nothing of a work tree that git has made another commit's since."""
    dest, machine = tmp_path / "at", way.machine
    assert machine.run(way.first, dest) == 0
    machine.git(dest, "fetch", "-q", "--depth", "1", f"{machine.hub.url}/acme/tiny", way.third)
    machine.run(way.second, dest, 40)
    assert (dest / ".git/hfclone/journal").exists()
    (dest / ".git/index.lock").unlink(missing_ok=True)  # as git tells its user
    machine.git(dest, "checkout", "-q", "-f", way.third)
    machine.git(dest, "clean", "-q", "-f", "-d")
    assert machine.run(way.second, dest) == 0
    assert content_of(dest) == way.right
    assert machine.git(dest, "status", "--porcelain") == ""


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("how", "stride"), [("fails", 1), ("stopped", 7)])
def test_every_step_ends_a_move_once(way: Way, tmp_path: Path, how: str, stride: int) -> None:
    """Until the move is whole the checkout stands as before: files, index, HEAD. The next run ends it."""
    start, machine = tmp_path / "start", way.machine
    right = edited(way, start)
    before = content_of(start), machine.git(start, "ls-files", "-s"), machine.git(start, "status", "--porcelain")
    outcomes = set()
    for step in range(1, 2000, stride):
        dest = tmp_path / f"at{step}"
        subprocess.run(["cp", "-a", start, dest], check=True)
        code = machine.run(way.second, dest, step, how)
        if code == FEWER_STEPS:
            break
        if code == 1:
            head = machine.git(dest, "rev-parse", "HEAD").strip()
            if head == way.first:
                status = machine.git(dest, "status", "--porcelain")
                assert (content_of(dest), machine.git(dest, "ls-files", "-s"), status) == before, step
            outcomes.add(head)
        (dest / ".git/index.lock").unlink(missing_ok=True)  # if it was this that could not be removed
        assert machine.run(way.second, dest) == 0, step
        assert content_of(dest) == right, step
        assert machine.git(dest, "status", "--porcelain") == " M x\n", step
        assert not list((dest / ".git").rglob("*.lock")), step
        shutil.rmtree(dest)
    assert outcomes == {way.first, way.second}
