"""What git says is told apart by who speaks: this machine, the far side, or the way there."""

import pytest

from hfclone.errors import GitFailed, HfcloneError, Unreachable
from hfclone.git import translate
from hfclone.hub.endpoint import Endpoint
from hfclone.names import Pin, Repo

ENDPOINT = Endpoint("https://hub.example")
PIN = Pin(Repo("acme/tiny"), "a" * 40)


def translated(said: str, status: int = 128) -> HfcloneError:
    return translate(GitFailed("fetch", status, said), ENDPOINT, PIN)


@pytest.mark.parametrize(
    ("said", "hint"),
    [
        ("fatal: fsync error on '/t/.git/objects/pack/tmp_idx_x': Invalid argument; fatal: index-pack failed", ""),
        ("error: unable to create file a: Operation not permitted; fatal: early EOF", ""),
        ("fatal: sha1 file '.git/objects/pack/tmp_idx_x' write error. Out of diskspace; fatal: index-pack failed", ""),
        ("fatal: cannot create '/t/.git/shallow.lock': Input/output error; fatal: the remote end hung up", ""),
        ("fatal: cannot change to '/t': No such file or directory", ""),
        ("fatal: not a git repository: '/t/.git'", ""),
        ("error: index-pack died of signal 9; fatal: index-pack failed", "dmesg"),
        ("error: git-remote-https died of signal 11", "dmesg"),
        ("fatal: Out of memory, malloc failed (tried to allocate 1 bytes); fatal: index-pack failed", "ulimit -v"),
        ("fatal: mmap failed: Cannot allocate memory; fatal: early EOF", "ulimit -v"),
        ("fatal: unable to create thread: Resource temporarily unavailable; fatal: index-pack failed", "ulimit -u"),
        ("error: cannot fork() for remote-https: Resource temporarily unavailable", "ulimit -u"),
        ("fatal: fetch-pack: unable to fork off index-pack", ""),
        ("error: pipe: Too many open files; fatal: unable to find remote helper for 'https'", "ulimit -n"),
        ("fatal: unable to access 'https://x/': Could not resolve host: x; error: pipe: Too many open files", "ulimit"),
    ],
)
def test_what_is_of_this_machine(said: str, hint: str) -> None:
    error = translated(said)
    assert isinstance(error, GitFailed)
    assert hint in error.hint


def test_a_git_that_was_killed_without_a_word() -> None:
    error = translated("", -9)
    assert isinstance(error, GitFailed)
    assert "signal 9" in str(error)


@pytest.mark.parametrize(
    "said",
    [
        "remote: fatal: Out of memory, malloc failed; fatal: early EOF",
        "remote: error: pack-objects died of signal 9; fatal: the remote end hung up unexpectedly",
        "remote: fatal: unable to write: No space left on device; fatal: early EOF",
        "fatal: remote error: unable to open '/srv/x': Permission denied",
        "fatal: unable to access 'https://x/': Failed to connect to x port 443: Operation not permitted",
        "fatal: protocol error: unexpected 'x: No such file or directory",
        "fatal: expected wanted-ref, got 'x': Input/output error",
        "error: RPC failed, curl 56 Recv failure: Connection reset by peer; fatal: early EOF",
        "error: remote-curl died of signal 13; fatal: the remote end hung up unexpectedly",
        "fatal: unable to look up x (port 9418) (Temporary failure in name resolution)",
    ],
)
def test_what_is_of_the_far_side_or_the_way_there(said: str) -> None:
    assert isinstance(translated(said), Unreachable)
