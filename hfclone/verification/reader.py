"""Reading many files closely, in threads that begin before git has said what must be there.

Why so: the start of git and what it is asked for take as long as hashing 300 MB. Which large files there
are the stamps tell, too. They only say where to begin: what a file must hold is git's word, and what was
read ahead counts only where the file still stands as before its first byte was read.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing, suppress
from dataclasses import replace
from heapq import nlargest
from pathlib import Path
from types import TracebackType

from hfclone.checkout.stamps import Stamps
from hfclone.errors import CannotWrite
from hfclone.files.refusals import expect_file
from hfclone.limits import has_no_thread
from hfclone.pointer import Pointer
from hfclone.verification.inspection import Looked, look_closely
from hfclone.verification.targets import TargetFile
from hfclone.worktree import Kind, Standing, WorkTree

__all__ = ["Reading"]

THREADS = 2
"""More do not help one disk, and two keep it and a processor busy."""
TELL_SECONDS = 0.2
_AHEAD = 64
_AHEAD_BYTES = 1024 * 1024
"""So many files are read ahead, and none that is smaller: the largest, since they decide when all is read."""


class Reading:
    """The threads; they live as long as the context. One set of files for each."""

    def __init__(self, root: Path, stamps: Stamps) -> None:
        self.stamps = stamps
        self._root = root
        self._todo: deque[TargetFile] = deque()
        self._is_all = False
        """Whether ``_todo`` is what must be there, no longer what is guessed."""
        self._ahead: dict[bytes, tuple[TargetFile, Standing]] = {}
        """Guesses, and how each file stood before it was read."""
        self._begun: set[bytes] = set()
        """Those of them that a thread has taken."""
        self._asked: Mapping[bytes, TargetFile] = {}
        self._kept: Collection[bytes] = ()
        """Those that were asked for, too, and need not be read again."""
        self._turn = threading.Condition()
        self._stop = threading.Event()
        self._counts = [0] * THREADS
        self._found: list[Looked] = []
        self._pool = ThreadPoolExecutor(THREADS)
        self._work: list[Future[None]] = []

    def __enter__(self) -> Reading:
        for number in range(THREADS):
            try:
                self._work.append(self._pool.submit(self._run, number))
            except RuntimeError as error:
                if not (self._work and has_no_thread(error)):
                    raise  # one alone takes longer, and that is all
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        with self._turn:
            self._turn.notify_all()
        self._pool.shutdown()

    @classmethod
    def of_checkout(cls, path: Path) -> Reading:
        """Of a checkout, which need not be there."""
        return cls(path, Stamps(path / ".git" / "hfclone" / "stamps"))

    def begin(self) -> None:
        """Read those files first that the stamps say are the largest. What hinders it is told when all is asked for."""
        largest = nlargest(_AHEAD, self.stamps.items(), key=lambda item: item[1].size)
        with suppress(OSError, CannotWrite), closing(WorkTree(self._root)) as tree:
            for path, stamp in largest:
                standing = tree.look(path)
                if stamp.size < _AHEAD_BYTES or standing.kind is not Kind.FILE:
                    continue
                guess = TargetFile(path, "100644", "", Pointer(stamp.oid, stamp.size))
                with self._turn:
                    self._ahead[path] = guess, standing
                    self._todo.append(guess)
                    self._turn.notify()

    @property
    def read_bytes(self) -> int:
        """How many have been read by now, also in vain."""
        return sum(self._counts)

    def ask(self, targets: Sequence[TargetFile], standing: Mapping[bytes, Standing]) -> None:
        """Have ``targets`` read, in their order, and nothing else; ``standing`` is how they looked just now."""
        with self._turn:
            self._asked = {target.path: target for target in targets}
            self._kept = {target.path for target in targets if self._is_ahead(target, standing[target.path])}
            self._todo = deque(target for target in targets if target.path not in self._kept)
            self._is_all = True
            self._turn.notify_all()

    def answers(self, on_bytes: Callable[[int], None]) -> Iterator[Looked]:
        """What was found, once all is read. ``on_bytes`` hears on this thread how many have been read by now."""
        while wait(self._work, timeout=TELL_SECONDS).not_done:
            on_bytes(self.read_bytes)
        for one in self._work:
            one.result()
        for looked in self._found:
            path = looked.target.path
            if path not in self._ahead or looked.target is not self._ahead[path][0]:
                yield looked
            elif path in self._kept:
                yield replace(looked, target=self._asked[path])

    def _is_ahead(self, target: TargetFile, standing: Standing) -> bool:
        """Whether what is being read already is what ``target`` asks for."""
        if target.path not in self._begun:
            return False
        guess, before = self._ahead[target.path]
        return guess.pointer == target.pointer and before.is_same(standing)

    def _run(self, number: int) -> None:
        """One thread's work. hashlib lets the others run meanwhile."""
        with closing(WorkTree(self._root)) as tree:
            while (target := self._next()) is not None:
                try:
                    for step in look_closely(tree, target, self._stop, self._found):
                        self._counts[number] += step
                except OSError as error:
                    expect_file(error)
                    self._found.append(Looked(target, is_read=False))

    def _next(self) -> TargetFile | None:
        with self._turn:
            self._turn.wait_for(lambda: self._todo or self._is_all or self._stop.is_set())
            if self._stop.is_set() or not self._todo:
                return None
            target = self._todo.popleft()
            if not self._is_all:
                self._begun.add(target.path)
            return target
