"""Too few threads, processes, descriptors, too little memory: fewer of them do, or the run says which limit it was."""

from __future__ import annotations

import errno
import os
import resource
import signal
from collections.abc import Callable

import pytest

from hfclone.errors import GitFailed, LimitReached, Unreachable
from hfclone.limits import limit_of
from tests.e2e.command import Command, Outcome, git, placed
from tests.hub import Hub, Lfs, LivingRepo
from tests.refusing import KILL, Refusal, Refusing

PYTHON = "*/python*"
KB = 1024


@pytest.fixture
def many(hub: Hub) -> LivingRepo:
    """Enough for several connections."""
    return hub.repo("acme/many", {f"{number}.bin": Lfs(400 * KB, seed=number) for number in range(12)})


def limited(hfclone: Command, *args: str, **limits: tuple[int, int]) -> Outcome:
    """With limits of the system's, soft and hard, by what ``resource`` calls them."""

    def limit() -> None:
        for name, values in limits.items():
            resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), values)

    return hfclone.end(hfclone.start(*args, preexec_fn=limit))


def assert_right(hfclone: Command, name: str, files: int) -> None:
    dest = hfclone.cwd / name
    assert len(placed(dest)) == files
    assert git(dest, "status", "--porcelain") == ""


@pytest.mark.parametrize("there", [0, 4, 16])
def test_threads(hfclone: Command, many: LivingRepo, refusing: Refusing, there: int) -> None:
    """Few are enough, though not one for each connection; with fewer still it says so. How many is nobody's promise."""
    env = refusing.environ(Refusal("thread", "EAGAIN", PYTHON, skip=there))
    done = hfclone("acme/many", env=env)
    assert refusing.refused()
    if there < 16:
        assert (done.code, "no more threads" in done.error, "ulimit -u" in done.hint) == (6, True, True), done.stderr
        done = hfclone("acme/many")
    assert done.code == 0, done.stderr
    assert_right(hfclone, "many", 12)


def test_one_thread_to_verify(hfclone: Command, many: LivingRepo, refusing: Refusing) -> None:
    assert hfclone("acme/many").code == 0
    for there, code in ((1, 0), (0, 6)):
        done = hfclone("verify", "many", env=refusing.environ(Refusal("thread", "EAGAIN", PYTHON, skip=there)))
        assert done.code == code, done.stderr
    assert len(refusing.refused()) >= 2


@pytest.mark.parametrize("there", [0, 4])
def test_sockets(hub: Hub, hfclone: Command, many: LivingRepo, refusing: Refusing, there: int) -> None:
    """A connection that finds no descriptor is no hub that cannot be reached: nobody waits for it."""
    done = hfclone("acme/many", env=refusing.environ(Refusal("socket", "EMFILE", PYTHON, skip=there)))
    assert refusing.refused()
    if there:
        assert done.code == 0, done.stderr
        assert_right(hfclone, "many", 12)
    else:
        assert (done.code, "no more open files" in done.error, "ulimit -n" in done.hint) == (6, True, True), done.stderr
    assert "waiting" not in done.stderr


def test_open_files(hfclone: Command, many: LivingRepo) -> None:
    """What is asked for at first is raised to what may be had."""
    done = limited(hfclone, "acme/many", NOFILE=(12, 12))
    assert (done.code, "no more open files" in done.error, "ulimit -n" in done.hint) == (6, True, True), done.stderr
    done = limited(hfclone, "acme/many", NOFILE=(12, 256))
    assert done.code == 0, done.stderr
    assert_right(hfclone, "many", 12)


def test_memory(hfclone: Command, many: LivingRepo) -> None:
    """Address space, of which each thread takes much: it does with fewer, or says what there is too little of."""
    for size in (100, 300):
        done = limited(hfclone, "acme/many", AS=(size * KB * KB, size * KB * KB))
        assert done.code in (0, 6), (size, done.stderr)
        assert done.code == 0 or "memory" in done.error or "threads" in done.error, done.stderr
        assert "waiting" not in done.stderr
    assert hfclone("acme/many").code == 0
    assert_right(hfclone, "many", 12)


def test_processes_of_git(hfclone: Command, many: LivingRepo, refusing: Refusing) -> None:
    done = hfclone("acme/many", env=refusing.environ(Refusal("fork", "EAGAIN", "*/git")))
    assert refusing.refused()
    assert done.code == 6, done.stderr
    assert ("fork" in done.error, "ulimit -u" in done.hint) == (True, True), done.stderr
    assert "waiting" not in done.stderr


def test_processes(hfclone: Command, many: LivingRepo) -> None:
    """Of a user who may have but one: root is not limited, and becomes another."""
    words = ("prlimit", "--nproc=1")
    if os.geteuid() == 0:
        words = (*words, "setpriv", "--reuid=2001", "--regid=2001", "--clear-groups")
        for path in (hfclone.base, *hfclone.base.rglob("*")):
            os.chown(path, 2001, 2001)
        for parent in hfclone.base.parents:
            if parent.stat().st_uid == 0 and len(parent.parts) > 2:
                parent.chmod(parent.stat().st_mode | 0o011)
    done = hfclone("acme/many", before=words)
    assert (done.code, "no more threads or processes" in done.error, "ulimit -u" in done.hint) == (6, True, True), done


@pytest.mark.parametrize(
    ("call", "path", "said"),
    [
        ("fsync", "*/tmp_pack_*", "died of signal 9"),
        ("rename", "*/.git/HEAD*", "git init was ended by signal 9"),
        ("rename", "*/hfclone/index", "was ended by signal 9"),
        ("rename", "*/refs/heads/main", "git update-ref was ended by signal 9"),
        ("rename", "*/.git/config", "git init was ended by signal 9"),
    ],
    ids=["index-pack", "HEAD", "index", "ref", "config"],
)
def test_a_git_that_is_killed(
    hfclone: Command, many: LivingRepo, refusing: Refusing, call: str, path: str, said: str
) -> None:
    """By the system, short of memory: the far side has no part in it, and the same command goes on."""
    done = hfclone("acme/many", env=refusing.environ(Refusal(call, KILL, path)))
    assert refusing.refused()
    assert (done.code, said in done.error, "dmesg" in done.hint) == (6, True, True), done.stderr
    assert "waiting" not in done.stderr
    assert hfclone("acme/many").code == 0
    assert_right(hfclone, "many", 12)


def wrapped(inner: Exception, *outer: Callable[[Exception], Exception]) -> Exception:
    """As errors are raised from one another."""
    for make in outer:
        error = make(inner)
        error.__cause__, inner = inner, error
    return inner


@pytest.mark.parametrize(
    ("error", "what"),
    [
        (OSError(errno.EMFILE, "x"), "files"),
        (OSError(errno.ENFILE, "x"), "files"),
        (OSError(errno.ENOMEM, "x"), "memory"),
        (MemoryError(), "memory"),
        (RuntimeError("can't start new thread"), "tasks"),
        (BlockingIOError(errno.EAGAIN, "x"), "tasks"),
        (wrapped(OSError(errno.EMFILE, "x"), ValueError, lambda _: Unreachable("hub", "x")), "files"),
        (wrapped(MemoryError(), lambda _: KeyError()), "memory"),
        (LimitReached("memory", "x"), "memory"),
        (Unreachable("hub", "Too many open files"), None),
        (wrapped(BlockingIOError(errno.EAGAIN, "x"), lambda e: Unreachable("hub", "x")), None),
        (RuntimeError("other"), None),
        (OSError(errno.EACCES, "x"), None),
    ],
)
def test_which_limit_an_error_tells_of(error: BaseException, what: str | None) -> None:
    found = limit_of(error)
    assert (found.what if found else None) == what


def test_which_gits_were_killed() -> None:
    killed = ("error: index-pack died of signal 9", "x; error: git-remote-https died of signal 11; fatal: y")
    assert all(GitFailed("fetch", 128, said).is_killed for said in killed)
    ended = ("remote: error: pack-objects died of signal 9", "error: x died of signal 13", "fatal: a died of signal 99")
    assert not any(GitFailed("fetch", 128, said).is_killed for said in ended)
    assert GitFailed("fetch", -signal.SIGKILL, "").is_killed
    assert str(GitFailed("fetch", -9, "")) == "git fetch was ended by signal 9"
