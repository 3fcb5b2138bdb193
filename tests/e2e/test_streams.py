"""Where stdout or stderr cannot be written: the run's own code, 141 or 6, and never Python's 120 or a bug's 1."""

from __future__ import annotations

import os
import pty
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from tests.e2e.command import Command, git
from tests.hub import Hub, Lfs, LivingRepo, streams


def broken_pipe() -> int:
    reader, writer = os.pipe()
    os.close(reader)
    return writer


def dead_terminal() -> int:
    master, slave = pty.openpty()
    os.close(master)
    return slave


def full_device() -> int:
    return os.open("/dev/full", os.O_WRONLY)


def read_only() -> int:
    return os.open(os.devnull, os.O_RDONLY)


SINKS = {broken_pipe: 141, dead_terminal: 6, full_device: 6, read_only: 6}
"""What cannot be written, and how a command ends whose data were to go there."""
SAYING = (("acme/tiny@v1.0", "here", "--progress", "bar"), ("verify", "here"), ("acme/none",))
TELLING = (("verify", "here", "--progress", "json"), ("status", "here"), ("--help",), ("--version",))


def run(hfclone: Command, args: tuple[str, ...], **sinks: int) -> int:
    quiet = {name: os.open(os.devnull, os.O_WRONLY) for name in ("stdout", "stderr") if name not in sinks}
    given = {**quiet, **sinks}
    process = hfclone.start(*args, env={"TERM": "xterm"}, preexec_fn=ignore_hangup, **given)
    for descriptor in given.values():
        with suppress(OSError):  # one may be both
            os.close(descriptor)
    return process.wait(60)


def ignore_hangup() -> None:
    """As ``nohup`` does."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


@pytest.fixture
def here(hfclone: Command, tiny_repo: LivingRepo) -> Path:
    assert hfclone("acme/tiny", "here").code == 0
    return hfclone.cwd / "here"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_what_is_said_is_not_worth_a_run(hfclone: Command, here: Path) -> None:
    for sink in SINKS:
        assert run(hfclone, ("acme/none",), stderr=sink()) == 3
        assert run(hfclone, SAYING[0], stderr=(both := sink()), stdout=both) == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_data_that_cannot_be_written(hfclone: Command, here: Path) -> None:
    for sink, code in SINKS.items():
        for args in TELLING:
            assert run(hfclone, args, stdout=sink()) == code, (sink, args)


@pytest.mark.parametrize("closed", ["<&- >&- 2>&-", "2>&- >/dev/full"])
def test_streams_that_are_closed(hfclone: Command, here: Path, closed: str) -> None:
    """They lead nowhere; of data that is no failure."""
    for args in (*SAYING, *TELLING):
        code = 3 if "acme/none" in args else 6 if "full" in closed and args in TELLING else 0
        done = hfclone(*args, before=["sh", "-c", f'exec "$@" {closed}', "sh"])
        assert done.code == code, (args, done)


@pytest.mark.parametrize("make", [os.pipe, pty.openpty], ids=["pipe", "terminal"])
def test_a_terminal_that_goes_in_the_middle(hub: Hub, hfclone: Command, make: Callable[[], tuple[int, int]]) -> None:
    """An ssh session that is lost under nohup costs nothing but the words."""
    hub.repo("acme/one", {"large.bin": Lfs(3_000_000, seed=1)})
    hold = streams.HoldAt(100_000)
    hub.faults.add(hold, on="cdn", times=1)
    reader, writer = make()
    process = hfclone.start(
        "acme/one", "--progress", "bar", env={"TERM": "xterm"}, preexec_fn=ignore_hangup, stderr=writer, stdout=writer
    )
    os.close(writer)
    assert hold.held.wait(30)
    os.close(reader)
    hold.release()
    assert process.wait(60) == 0
    assert git(hfclone.cwd / "one", "status", "--porcelain") == ""
