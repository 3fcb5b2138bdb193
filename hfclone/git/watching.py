"""Watching a fetch: that it brings something, and not without end.

Why so: git takes anything that a far side sends for a sign of life, progress messages and empty packets too, and it
writes a pack to the disk for as long as one comes. So what git itself reads of the pack is counted, and what it writes.
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import partial
from itertools import chain
from pathlib import Path

from hfclone.errors import LimitReached
from hfclone.limits import start_thread
from hfclone.wording import phrase

__all__ = ["Ending", "FetchLimits", "Judge", "Signs", "Watch", "held", "is_at_work", "temporary_files"]

LOOK_SECONDS = 0.25
LONGEST_LOOK = 5.0
"""Between two looks at most, however busy the machine is; what goes beyond is time in which we were stopped."""
GRACE_SECONDS = 3.0
"""Between asking git to end and ending it."""
_RECEIVERS = (b"index-pack", b"unpack-objects")
_WORKERS = (*_RECEIVERS, b"rev-list")
"""Those that work on what is here; the others wait for the far side, or for these."""
_AT_WORK = ("R", "D")
"""States of a thread that runs, and of one that waits for the disk (proc(5))."""
_TEMPORARY = "tmp_"
"""What git has before the name of a file of ``objects`` that it has not finished."""
_LOOSE = len("00")
_OWN_WORD = re.compile(rb"[A-Z][a-z ]+: ")
"""How a line on git's own progress begins; the far side's have ``remote:`` before them."""
_RECEIVING = (b"Receiving objects:", b"Unpacking objects:")


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """What a fetch may take. Times in seconds, sizes in bytes."""

    most_bytes: int
    """Of disk, for what is not whole yet."""
    quiet: float = 60.0
    """For so long it may bring less than ``least_rate``, or say nothing new while it brings nothing."""
    least_rate: float = 500.0
    """Bytes of the pack a second: half of what git wants of the line as a whole (``http.lowSpeedLimit``)."""
    work: float = 1800.0
    """For so long this machine may work on what has come (resolve a delta, write it to a slow disk) without a word."""


class Ending(Enum):
    """Why a fetch was ended."""

    STALLED = "stalled"
    TOO_LARGE = "too-large"


@dataclass(frozen=True, slots=True)
class Signs:
    """What is seen of a fetch at one time."""

    written: int
    """Bytes of disk that unfinished files take up."""
    read: int | None
    """Bytes of the pack that git has read so far; ``None`` where the system does not say."""
    word: bytes
    """What git itself last said of its progress."""
    works: bool = False
    """Whether a process that has nothing to do with the far side is at work, or waits for the disk."""

    @property
    def is_receiving(self) -> bool:
        """Whether the pack is on its way."""
        return self.word.startswith(_RECEIVING) and b"100%" not in self.word


class Judge:
    """Decides about one fetch. Pure: ``began`` and the times it is given are seconds of one clock.

    Time in which nobody looked does not count: we were stopped then, or the whole machine was.
    """

    def __init__(self, limits: FetchLimits, began: float) -> None:
        self._limits = limits
        self._since = self._worked = self._looked = began
        self._last = Signs(0, None, b"")
        """What was seen at ``_since``."""

    def look(self, now: float, signs: Signs) -> tuple[Ending, float] | None:
        """Why the fetch is to be ended, with its bytes or seconds; ``None``: it may go on."""
        if signs.written > self._limits.most_bytes:
            return Ending.TOO_LARGE, float(signs.written)
        self._leave_out(max(0.0, now - self._looked - LONGEST_LOOK))
        self._looked = now
        if signs.works and not signs.is_receiving:
            self._worked = now
        seconds = now - self._since
        if self._gets_on(signs, seconds):
            self._since, self._last = now, signs
        elif seconds > self._limits.quiet and (now - self._worked > self._limits.quiet or seconds > self._limits.work):
            return Ending.STALLED, seconds
        return None

    def _leave_out(self, seconds: float) -> None:
        self._since += seconds
        self._worked += seconds

    def _gets_on(self, signs: Signs, seconds: float) -> bool:
        last = self._last
        if signs.is_receiving and last.is_receiving and signs.read is not None and last.read is not None:
            return seconds >= self._limits.quiet and signs.read - last.read >= self._limits.least_rate * seconds
        return signs.word != last.word


class Watch:
    """Over one git process, which leads a session of its own. ``hear`` is for the thread that reads its stderr."""

    def __init__(self, limits: FetchLimits, objects: Path, now: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._objects = objects
        self._before = set(temporary_files(objects))
        self._pid = 0
        self._ours: set[Path] = set()
        self._theirs: set[Path] = set()
        """Whose a temporary file is, as far as a process was seen that had it open."""
        self._now = now
        self._word = self._rest = b""
        self._over = threading.Event()
        self.ending: tuple[Ending, float] | None = None
        """Why the process was ended, if it was."""

    @contextlib.contextmanager
    def over(self, pid: int) -> Iterator[None]:
        """Watch the process while the context is open. Raises ``LimitReached``."""
        self._pid = pid
        thread = start_thread(partial(self._run, pid))
        if thread is None:  # nobody would see that it is given no end
            raise LimitReached("tasks", phrase("no-thread"))
        try:
            yield
        finally:
            self._over.set()
            thread.join()

    def hear(self, block: bytes) -> None:
        """Take note of what came on stderr."""
        *lines, self._rest = re.split(rb"[\r\n]", self._rest + block)
        self._rest = self._rest[-1024:]
        self._word = next((line for line in reversed(lines) if _OWN_WORD.match(line)), self._word)

    def _run(self, pid: int) -> None:
        judge = Judge(self._limits, self._now())
        while not self._over.wait(LOOK_SECONDS):
            pids = list(_below(pid))
            receivers = [one for one in pids if _is_any_of(_RECEIVERS, one)]
            works = any(is_at_work(one) for one in pids if _is_any_of(_WORKERS, one))
            signs = Signs(sum(map(_size, self._fresh())), _bytes_read_by(receivers), self._word, works)
            self.ending = judge.look(self._now(), signs)
            if self.ending is not None:
                self._end(pid)
                return

    def _end(self, pid: int) -> None:
        for name in ("SIGTERM", "SIGKILL"):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                _kill(pid, name)
            if self._over.wait(GRACE_SECONDS):
                return

    def _fresh(self) -> list[Path]:
        """What the fetch writes: a user's own git may write beside it, and would fail without its files."""
        fresh = [path for path in temporary_files(self._objects) if path not in self._before]
        unknown = {os.path.realpath(path): path for path in fresh if path not in self._ours | self._theirs}
        for session, names in _open_files() if unknown else ():
            found = self._ours if session == self._pid else self._theirs
            found.update(unknown[name] for name in unknown.keys() & names)
        return [path for path in fresh if path in self._ours or not (path in self._theirs or _is_of_another(path))]

    def clear(self) -> int:
        """Remove what the fetch has left unfinished; how many bytes of disk that was."""
        left = self._fresh()
        size = sum(map(_size, left))
        for path in left:
            with contextlib.suppress(OSError):
                path.unlink()
        return size


def temporary_files(objects: Path) -> Iterator[Path]:
    """Files below ``objects`` (git's) that are not finished, whoever writes them."""
    names = _names_in(objects)
    folders = (objects / name for name in names if name == "pack" or len(name) == _LOOSE)
    for folder, listed in chain([(objects, names)], ((folder, _names_in(folder)) for folder in folders)):
        yield from (folder / name for name in listed if name.startswith(_TEMPORARY))


def _names_in(folder: Path) -> list[str]:
    with contextlib.suppress(OSError):  # a user's own git takes empty ones away
        return [path.name for path in folder.iterdir()]
    return []


def _is_of_another(path: Path) -> bool:
    """Whether another user has made the file."""
    with contextlib.suppress(OSError):
        return os.name == "posix" and path.stat().st_uid != os.geteuid()
    return False


def _size(path: Path) -> int:
    with contextlib.suppress(OSError):
        return path.stat().st_size
    return 0


def _kill(pid: int, name: str) -> None:
    import signal

    kind = getattr(signal, name, signal.SIGTERM)
    if os.name == "posix":
        os.killpg(pid, kind)
    else:
        os.kill(pid, kind)


def _below(pid: int) -> Iterator[int]:
    todo = [pid]
    while todo:
        here = todo.pop()
        yield here
        for children in Path(f"/proc/{here}/task").glob("*/children"):
            with contextlib.suppress(OSError, ValueError):
                todo += map(int, children.read_text("ascii").split())


def held(paths: Collection[Path]) -> set[Path]:
    """Those of ``paths`` that a process has open, as far as we may look into it."""
    named = {os.path.realpath(path): path for path in paths}
    return {named[name] for _, names in (_open_files() if named else ()) for name in named.keys() & names}


def _open_files() -> Iterator[tuple[int, set[str]]]:
    """Of each process that we may look into its session and the files that it has open."""
    for name in filter(str.isdigit, _names_in(Path("/proc"))):
        folder = Path("/proc", name, "fd")
        with contextlib.suppress(OSError):
            yield os.getsid(int(name)), {_target_of(folder / number) for number in _names_in(folder)}


def _target_of(link: Path) -> str:
    with contextlib.suppress(OSError):
        return str(link.readlink())
    return ""


def _is_any_of(commands: Sequence[bytes], pid: int) -> bool:
    with contextlib.suppress(OSError):
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        return any(word in commands for word in words)
    return False


def is_at_work(pid: int) -> bool:
    """Whether any thread of the process runs, or waits for the disk."""
    for file in Path(f"/proc/{pid}/task").glob("*/stat"):
        with contextlib.suppress(OSError):
            state = file.read_text("ascii", "replace").rpartition(") ")[2][:1]
            if state in _AT_WORK:
                return True
    return False


def _bytes_read_by(pids: Sequence[int]) -> int | None:
    """What those processes have read, as Linux has it in /proc; ``None`` where it does not say."""
    known = [count for count in map(_bytes_read, pids) if count is not None]
    return sum(known) if known else None


def _bytes_read(pid: int) -> int | None:
    with contextlib.suppress(OSError, ValueError):
        rows = dict(row.split(": ") for row in Path(f"/proc/{pid}/io").read_text("ascii").splitlines())
        return int(rows["rchar"])
    return None
