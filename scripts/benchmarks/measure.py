"""What a job takes: wall time, CPU of its whole process tree, memory, bytes that the servers sent."""

from __future__ import annotations

import json
import mmap
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Command", "FailedRun", "Job", "Usage", "run", "touch_memory"]

Command = Sequence[str]


class FailedRun(Exception):
    """A tool did not do its work: nothing can be compared."""


@dataclass(frozen=True, slots=True)
class Job:
    """Groups of commands, one group after another; those of a group at the same time."""

    groups: list[list[Command]]
    env: dict[str, str]
    cwd: Path
    log: Path


@dataclass(frozen=True, slots=True)
class Usage:
    """Of one run; seconds and bytes. ``peak`` is the largest process's memory."""

    wall: float
    cpu: float
    peak: int
    sent: int = 0


def touch_memory(size: int) -> None:
    """Write to ``size`` bytes of memory, half of what is free at most, and let them go for what runs next.

    Why so: a virtual machine's host takes back what is free for some seconds. Whoever writes there first pays for
    that, more than for the bytes themselves, and in the rounds that would be now this tool and now that.
    """
    page = os.sysconf("SC_PAGE_SIZE")
    size = max(page, min(size, os.sysconf("SC_AVPHYS_PAGES") * page // 2))
    with mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
        if hasattr(mmap, "MADV_HUGEPAGE"):
            memory.madvise(mmap.MADV_HUGEPAGE)
        for offset in range(0, size, page):
            memory[offset] = 1


def run(job: Job) -> Usage:
    """Run ``job`` to its end.

    Raises:
        FailedRun: with the end of what it said.
    """
    request = {"groups": job.groups, "env": job.env, "cwd": os.fspath(job.cwd), "log": os.fspath(job.log)}
    child = [sys.executable, "-I", "-S", os.fspath(Path(__file__).with_name("child.py"))]
    done = subprocess.run(child, input=json.dumps(request), capture_output=True, text=True, check=True)
    measured = json.loads(done.stdout)
    if any(measured["codes"]):
        said = job.log.read_text(errors="replace")[-3000:] if job.log.exists() else ""
        raise FailedRun(f"{job.groups} ended with {measured['codes']}\n{said}")
    return Usage(measured["wall"], measured["cpu"], measured["peak"])
