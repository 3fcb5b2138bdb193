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
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from functools import partial
from pathlib import Path

from hfclone.errors import LimitReached
from hfclone.limits import start_thread
from hfclone.wording import phrase

__all__ = ["Ending", "Judge", "Limits", "Signs", "Watch", "temporary_files"]

LOOK_SECONDS = 0.25
GRACE_SECONDS = 3.0
"""Between asking git to end and ending it."""
_RECEIVERS = (b"index-pack", b"unpack-objects")
_TEMPORARY = ("pack/tmp_*", "[0-9a-f][0-9a-f]/tmp_obj_*", "tmp_*")
"""What git calls a file of ``objects`` that it has not finished."""
_OWN_WORD = re.compile(rb"[A-Z][a-z ]+: ")
"""How a line on git's own progress begins; the far side's have ``remote:`` before them."""
_RECEIVING = (b"Receiving objects:", b"Unpacking objects:")


@dataclass(frozen=True, slots=True)
class Limits:
    """What a fetch may take. Times in seconds, sizes in bytes."""

    most_bytes: int
    """Of disk, for what is not whole yet."""
    quiet: float = 60.0
    """For so long it may bring less than ``least_rate``, or say nothing new while it brings nothing."""
    least_rate: float = 500.0
    """Bytes of the pack a second: half of what git wants of the line as a whole (``http.lowSpeedLimit``)."""


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

    @property
    def is_receiving(self) -> bool:
        """Whether the pack is on its way."""
        return self.word.startswith(_RECEIVING) and b"100%" not in self.word


class Judge:
    """Decides about one fetch. Pure: ``began`` and the times it is given are seconds of one clock."""

    def __init__(self, limits: Limits, began: float) -> None:
        self._limits = limits
        self._since = began
        self._last = Signs(0, None, b"")
        """What was seen then."""

    def look(self, now: float, signs: Signs) -> tuple[Ending, float] | None:
        """Why the fetch is to be ended, with its bytes or seconds; ``None``: it may go on."""
        if signs.written > self._limits.most_bytes:
            return Ending.TOO_LARGE, float(signs.written)
        seconds = now - self._since
        if self._gets_on(signs, seconds):
            self._since, self._last = now, signs
        elif seconds > self._limits.quiet:
            return Ending.STALLED, seconds
        return None

    def _gets_on(self, signs: Signs, seconds: float) -> bool:
        last = self._last
        if signs.is_receiving and last.is_receiving and signs.read is not None and last.read is not None:
            return seconds >= self._limits.quiet and signs.read - last.read >= self._limits.least_rate * seconds
        return signs.word != last.word


class Watch:
    """Over one git process, which leads a session of its own. ``hear`` is for the thread that reads its stderr."""

    def __init__(self, limits: Limits, objects: Path, now: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._objects = objects
        self._before = set(temporary_files(objects))
        self._now = now
        self._word = self._rest = b""
        self._over = threading.Event()
        self.ending: tuple[Ending, float] | None = None
        """Why the process was ended, if it was."""

    @contextlib.contextmanager
    def over(self, pid: int) -> Iterator[None]:
        """Watch the process while the context is open. Raises ``LimitReached``."""
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
            signs = Signs(sum(map(_size, self._fresh())), _pack_bytes_read(pid), self._word)
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

    def _fresh(self) -> Iterator[Path]:
        return (path for path in temporary_files(self._objects) if path not in self._before)

    def clear(self) -> int:
        """Remove what the fetch has left unfinished; how many bytes of disk that was."""
        left = list(self._fresh())
        size = sum(map(_size, left))
        for path in left:
            with contextlib.suppress(OSError):
                path.unlink()
        return size


def temporary_files(objects: Path) -> Iterator[Path]:
    """Files below ``objects`` (git's) that are not finished, whoever writes them."""
    return (path for pattern in _TEMPORARY for path in objects.glob(pattern) if path.is_file())


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


def _pack_bytes_read(pid: int) -> int | None:
    """What those processes below ``pid`` have read that receive a pack, as Linux has it in /proc."""
    counts = [_bytes_read(one) for one in _below(pid) if _receives(one)]
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _below(pid: int) -> Iterator[int]:
    todo = [pid]
    while todo:
        here = todo.pop()
        yield here
        for children in Path(f"/proc/{here}/task").glob("*/children"):
            with contextlib.suppress(OSError, ValueError):
                todo += map(int, children.read_text("ascii").split())


def _receives(pid: int) -> bool:
    with contextlib.suppress(OSError):
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        return any(word in _RECEIVERS for word in words)
    return False


def _bytes_read(pid: int) -> int | None:
    with contextlib.suppress(OSError, ValueError):
        rows = dict(row.split(": ") for row in Path(f"/proc/{pid}/io").read_text("ascii").splitlines())
        return int(rows["rchar"])
    return None
