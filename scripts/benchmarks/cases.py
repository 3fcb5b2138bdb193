"""The cases: what is on the servers, which tools run, and what each of them does in one round."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.hub import Lfs, Lost

from .measure import Command, FailedRun, Usage, run, touch_memory
from .servers import Files, Line, Stage, open_stage
from .tools import TOOLS, Place, hfclone, job, two_halves

__all__ = ["CASES", "Case", "Round", "opened"]

KB, MB, GIB = 1000, 1024 * 1024, 1024**3
DEADLINE = 120.0
KEPT_BYTES = 200 * MB
"""What a run has made of so many bytes stays until its case is over: an ext4 without a journal goes through all
files deleted in the last minutes for each that is made, and a tool would pay for those of the one before it."""

Round = Callable[[], Usage]


@dataclass(frozen=True, slots=True)
class Case:
    """``files`` makes the repo at a size (1.0 is the real one); ``rounds`` the tools' rounds on it."""

    name: str
    about: str
    files: Callable[[float], Files]
    tools: tuple[str, ...] = ()
    line: Line = field(default_factory=Line)
    rounds: Callable[[Case, Stage, Path], dict[str, Round]] | None = None


@contextmanager
def opened(case: Case, size: float, folder: Path) -> Iterator[tuple[Stage, dict[str, Round]]]:
    """The case's servers, and for each tool what does one round of it."""
    folder.mkdir(parents=True, exist_ok=True)
    with open_stage(folder, case.files(size), case.line) as stage:
        yield stage, (case.rounds or _fetching)(case, stage, folder)


# --- what is on the servers --------------------------------------------------------------------


def _big(size: float) -> Files:
    return {"model.safetensors": Lfs(_scaled(2 * GIB, size, MB), seed=1)}


def _many(size: float) -> Files:
    count = _scaled(5000, size, 10)
    return {f"data/{number // 500:02}/{number:05}.bin": Lfs(20 * KB, seed=number) for number in range(count)}


def _tiny(size: float) -> Files:
    count = _scaled(20_000, size, 10)
    return {f"data/{number // 500:02}/{number:05}.bin": Lfs(200, seed=number) for number in range(count)}


def _mixed(size: float) -> Files:
    shards: Files = {
        f"model-{n:05}-of-00008.safetensors": Lfs(_scaled(256 * MB, size, MB), seed=n) for n in range(1, 9)
    }
    return shards | {f"config/part-{n:02}.json": f'{{"part": {n}}}\n' * (20 + 40 * n) for n in range(30)}


def _slow(size: float) -> Files:
    count = _scaled(500, size, 4)
    return {f"data/{number:04}.bin": Lfs(MB, seed=number) for number in range(count)}


def _pointers(size: float) -> Files:
    count = _scaled(100_000, size, 10)
    return {
        f"data/{n // 500:03}/{n:06}.bin": Lost(hashlib.sha256(str(n).encode()).hexdigest(), 1000 + n)
        for n in range(count)
    }


def _scaled(number: int, size: float, least: int) -> int:
    return max(least, int(number * size))


# --- what a round is ---------------------------------------------------------------------------


def _fetching(case: Case, stage: Stage, folder: Path) -> dict[str, Round]:
    """Each tool fetches the repo into an empty folder."""
    return {tool: lambda tool=tool: _fetch(tool, stage, folder) for tool in case.tools}  # type: ignore[misc]


def _fetch(tool: str, stage: Stage, folder: Path) -> Usage:
    place = Place(folder / f"run-{len(os.listdir(folder))}")
    place.clean()
    try:
        return _measured(TOOLS[tool](stage, place), stage, place)
    finally:
        if stage.work.size > KEPT_BYTES:
            shutil.rmtree(place.folder)


def _measured(groups: list[list[Command]], stage: Stage, place: Place, *, check: bool = True) -> Usage:
    """Run, see that every file is there and right, and add what the servers sent."""
    stage.sent()
    touch_memory(2 * stage.work.size)
    usage = run(job(groups, stage, place))
    if check:
        check_files(stage, place.dest)
    return replace(usage, sent=stage.sent())


def check_files(stage: Stage, dest: Path) -> None:
    """See that every file holds what it should.

    Raises:
        FailedRun: with the first that does not.
    """

    def wrong(path: str) -> bool:
        oid, size = stage.work.files[path]
        file = dest / path
        if not file.is_file() or file.stat().st_size != size:
            return True
        with file.open("rb") as opened_file:
            return hashlib.file_digest(opened_file, "sha256").hexdigest() != oid  # type: ignore[attr-defined]

    with ThreadPoolExecutor(2) as pool:
        for path, bad in zip(stage.work.files, pool.map(wrong, stage.work.files), strict=True):
            if bad:
                raise FailedRun(f"{dest / path} is not what it should be")


def _again(_case: Case, stage: Stage, folder: Path) -> dict[str, Round]:
    """A checkout that is whole is asked for once more."""
    ours, theirs = Place(folder / "ours"), Place(folder / "theirs")
    for place, tool in ((ours, "hfclone"), (theirs, "git lfs")):
        place.clean()
        _measured(TOOLS[tool](stage, place), stage, place)
    pull = ["git", "-C", os.fspath(theirs.dest), "lfs", "pull"]
    return {
        "hfclone": lambda: _measured(TOOLS["hfclone"](stage, ours), stage, ours, check=False),
        "git lfs": lambda: _measured([[pull]], stage, theirs, check=False),
    }


def _resuming(_case: Case, stage: Stage, folder: Path) -> dict[str, Round]:
    """A run that is stopped when 90 % of the bytes were sent, and the next one, which is measured."""

    def resumed() -> Usage:
        place = Place(folder / "run")
        place.clean()
        with stage.stopping_at(stage.work.size * 9 // 10) as reached:
            _interrupted(stage, place, reached.wait)
        usage = _measured(TOOLS["hfclone"](stage, place), stage, place)
        place.clean()
        return usage

    return {"first run": lambda: _fetch("hfclone", stage, folder), "hfclone": resumed}


def _interrupted(stage: Stage, place: Place, reached: Callable[[float], bool]) -> None:
    started = job(TOOLS["hfclone"](stage, place), stage, place)
    with started.log.open("ab") as log:
        process = subprocess.Popen(started.groups[0][0], env=started.env, cwd=started.cwd, stdout=log, stderr=log)
    try:
        if not reached(DEADLINE):
            raise FailedRun(f"hfclone did not come to 90 %: {started.log.read_text()}")
    finally:
        process.terminate()  # a shell's background would not hear SIGINT
        process.wait()


def _verifying(_case: Case, stage: Stage, folder: Path) -> dict[str, Round]:
    """A whole checkout is hashed; ``git lfs fsck`` hashes its store, which is as large."""
    ours, theirs = Place(folder / "ours"), Place(folder / "theirs")
    for place, tool in ((ours, "hfclone"), (theirs, "git lfs")):
        place.clean()
        _measured(TOOLS[tool](stage, place), stage, place)
    halves = two_halves([ours.dest / path for path in stage.work.objects])
    rounds: dict[str, Round] = {
        "openssl x2": lambda: _measured([halves], stage, ours, check=False),
        "git lfs fsck": lambda: _measured(
            [[["git", "-C", os.fspath(theirs.dest), "lfs", "fsck"]]], stage, theirs, check=False
        ),
    }
    if _has_command("verify"):
        ask = hfclone("verify", os.fspath(ours.dest))
        rounds = {"hfclone": lambda: _measured([[ask]], stage, ours, check=False), **rounds}
    return rounds


def _has_command(name: str) -> bool:
    from hfclone.cli import commands

    return name in commands.program.commands


LIST_POINTERS = """
import os, sys
from pathlib import Path
from hfclone.git import Git, GitRepo, pointers_among
repo = GitRepo(Git(os.environ), Path(sys.argv[1]))
found, bad = pointers_among(repo, repo.tree_entries("HEAD"))
sys.stdout.buffer.writelines(b"%s %s\\n" % (p.oid.encode(), path) for path, p in found.items())
"""
"""What every run of hfclone does to find its pointers, and the list."""


def _listing(_case: Case, stage: Stage, folder: Path) -> dict[str, Round]:
    """The pointers of one clone are listed."""
    place = Place(folder / "run")
    place.clean()
    clone = TOOLS["git lfs"](stage, place)[:1]
    run(job(clone, stage, place))
    ours = [sys.executable, "-c", LIST_POINTERS, os.fspath(place.dest)]
    theirs = ["git", "-C", os.fspath(place.dest), "lfs", "ls-files", "--long"]
    count = len(stage.work.objects)

    def listed(command: Command) -> Usage:
        place.folder.joinpath("log").unlink(missing_ok=True)
        usage = _measured([[command]], stage, place, check=False)
        lines = place.folder.joinpath("log").read_bytes().count(b"\n")
        if lines != count:
            raise FailedRun(f"{command[0]} lists {lines} pointers of {count}")
        return usage

    return {"hfclone": lambda: listed(ours), "git lfs ls-files": lambda: listed(theirs)}


def _starting(_case: Case, stage: Stage, folder: Path) -> dict[str, Round]:
    place = Place(folder / "run")
    place.clean()
    return {
        option: lambda option=option: _measured([[hfclone(option)]], stage, place, check=False)  # type: ignore[misc]
        for option in ("--version", "--help")
    }


ALL = ("hfclone", "hfclone aria2c", "aria2c", "hf + openssl", "git lfs", "curl", "curl + openssl")
CASES = (
    Case("big", "one object of 2 GiB over HTTP, unlimited loopback", _big, ALL),
    Case("big-https", "the same over HTTPS", _big, ALL, Line(secure=True)),
    Case(
        "throttled",
        "the same, each connection held to 4 MB/s",
        _big,
        ("hfclone", "hfclone aria2c", "aria2c"),
        Line(rate=4_000_000),
    ),
    Case(
        "many",
        "5,000 objects of 20 kB",
        _many,
        ("hfclone", "hfclone aria2c", "aria2c + sha256sum", "hf + openssl", "git lfs"),
    ),
    Case("nothing", "20,000 pointers, a second run with nothing to fetch", _tiny, rounds=_again),
    Case(
        "mixed",
        "8 shards of 256 MiB and 30 small files",
        _mixed,
        ("hfclone", "hfclone aria2c", "aria2c", "hf + openssl", "git lfs"),
    ),
    Case(
        "latency",
        "100 ms to the first byte of each answer, 500 objects of 1 MiB",
        _slow,
        ("hfclone", "hfclone aria2c", "aria2c", "git lfs"),
        Line(latency=0.1),
    ),
    Case("resume", "stopped at 90 % of big, run again", _big, rounds=_resuming),
    Case("verify", "all of mixed is hashed again", _mixed, rounds=_verifying),
    Case("pointers", "100,000 pointers listed", _pointers, rounds=_listing),
    Case("start", "how long hfclone takes to say who it is", lambda _size: {"README.md": "bench\n"}, rounds=_starting),
)
