"""What the system gives one process at most: memory, open files, threads and processes.

Why so: where one of these is used up, any call may fail, and what it says is about no file and no endpoint. A
connection that finds no descriptor is not a hub that cannot be reached.
"""

from __future__ import annotations

import contextlib
import errno
import threading
from collections.abc import Callable, Iterator

from hfclone.errors import LimitReached

__all__ = ["has_no_thread", "limit_of", "raise_open_files", "start_thread"]

_BY_ERRNO = {errno.EMFILE: "files", errno.ENFILE: "files", errno.ENOMEM: "memory"}
_NO_THREAD = "can't start new thread"
"""What Python says where the system gives it none."""
_MANY_FILES = 4096
_START_SECONDS = 30.0


def limit_of(error: BaseException) -> LimitReached | None:
    """The limit that ``error`` tells of, or whatever it was made of; ``None`` if that is another reason."""
    for each in _causes(error):
        match each:
            case LimitReached():
                return each
            case MemoryError():
                return LimitReached("memory", str(each) or type(each).__name__)
            case RuntimeError() if has_no_thread(each):
                return LimitReached("tasks", str(each))
            case BlockingIOError(errno=errno.EAGAIN) if each is error:  # of a fork; a socket's is another's affair
                return LimitReached("tasks", each.strerror or str(each))
            case OSError() if each.errno in _BY_ERRNO:
                return LimitReached(_BY_ERRNO[each.errno], each.strerror or str(each))
    return None


def has_no_thread(error: BaseException) -> bool:
    """Whether the system had no thread to give."""
    return isinstance(error, RuntimeError) and _NO_THREAD in str(error)


def start_thread(run: Callable[[], None], name: str | None = None, *, daemon: bool = True) -> threading.Thread | None:
    """A thread that runs ``run``; ``None`` where the system has none to give.

    ``daemon``: one that is stuck in a connect must not hold a process that ends.
    """
    thread = threading.Thread(target=run, name=name, daemon=daemon)
    # Python waits for its first step, for which it may find no memory: then for ever.
    setattr(thread, "_started", _Begun())  # noqa: B010  # it is Python's own
    try:
        thread.start()
    except RuntimeError as error:
        if has_no_thread(error):
            return None
        raise
    return thread if thread.ident is not None else None


class _Begun(threading.Event):
    def wait(self, timeout: float | None = None) -> bool:
        return super().wait(_START_SECONDS if timeout is None else timeout)


def raise_open_files() -> None:
    """Take of open files what the system lets us have: its first word is often meant for programs of one file."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        most = _MANY_FILES if hard == resource.RLIM_INFINITY else min(hard, _MANY_FILES)
        if soft != resource.RLIM_INFINITY and soft < most:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _causes(error: BaseException) -> Iterator[BaseException]:
    """It, and what it was raised from; urllib3 wraps it several times over, as an argument or a reason."""
    seen: set[int] = set()
    todo: list[object] = [error]
    while todo:
        each = todo.pop()
        if isinstance(each, BaseException) and id(each) not in seen:
            seen.add(id(each))
            yield each
            todo += [each.__context__, each.__cause__, getattr(each, "reason", None), *each.args]
