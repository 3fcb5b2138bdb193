"""One run as a terminal or a program sees it: its view, its signals, its end as text and exit code."""

from __future__ import annotations

import io
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from signal import Signals
from typing import TextIO

from hfclone.cli.jsonlines import JsonLines, error_data
from hfclone.cli.lines import Lines, View
from hfclone.cli.messages import (
    EXIT_BROKEN_PIPE,
    EXIT_BUG,
    EXIT_INTERRUPTED,
    EXIT_LOCAL,
    EXIT_OK,
    bug_lines,
    error_lines,
    exit_code,
    interrupted_lines,
)
from hfclone.cli.signals import Ended, ending_signals
from hfclone.cli.tally import Tally
from hfclone.cli.together import Together
from hfclone.errors import CannotWrite, HfcloneError
from hfclone.events import Event, Failed, OnEvent
from hfclone.files.refusals import refused_by_machine
from hfclone.redaction import without_secrets
from hfclone.settings import Progress, Settings, Verbosity
from hfclone.wording import line, phrase

__all__ = [
    "Session",
    "end_streams",
    "fail_early",
    "fail_unforeseen",
    "make_streams_safe",
    "say",
    "stdout_width",
    "write_data",
    "write_line",
]

DEFAULT_WIDTH = 80


class OutputClosed(BaseException):
    """Whoever read our stdout is gone. Not an ``Exception``: it is no failure of an endpoint."""


class Session:
    """Shows one run, and names its end. Not for use by several threads."""

    def __init__(self, settings: Settings) -> None:
        self._verbosity = settings.verbosity
        self._json = JsonLines(write_line) if settings.progress is Progress.JSON else None
        self._view = self._json or _terminal_view(settings, sys.stderr)
        self._tally = Tally()
        self._threads = Together()
        self._names: dict[int, list[str]] = {}

    def run(self, work: Callable[[OnEvent], object]) -> int:
        """Do ``work``; whatever ends it is told, and its exit code returned."""
        try:
            with ending_signals():
                try:
                    _expect_current_directory()
                    work(self._on_event)
                finally:
                    self._threads.let_go()
                    self._shown(self._view.close)
        except OutputClosed:
            return EXIT_BROKEN_PIPE
        except KeyboardInterrupt:
            return self._interrupted("", EXIT_INTERRUPTED)
        except Ended as end:
            return self._interrupted(Signals(end.number).name, end.exit_code)
        except HfcloneError as error:
            return self.fail(error)
        except Exception as error:  # noqa: BLE001  # the last line: a bug must end with words, too
            return self.fail_unforeseen(error)
        return EXIT_OK

    def _on_event(self, event: Event) -> None:
        self._tally.note(event, 0.0)
        self._threads.note(event)
        if isinstance(event, Failed):
            self._names.setdefault(id(event.error), []).append(self._tally.name(event.pointer.oid))
        self._shown(lambda: self._view(event))

    def _shown(self, show: Callable[[], None]) -> None:
        """Have the view do something; where its terminal is gone, nothing is shown any more, and the run goes on."""
        try:
            show()
        except OSError:
            _forget(sys.stderr)
            self._view = Silence()

    def fail(self, error: HfcloneError) -> int:
        """Tell ``error``; returns its exit code."""
        code = exit_code(error)
        if self._json:
            self._tell_json({**error_data(error), "exit": code})
        for text in error_lines(error, self._name):
            say(text)
        if self._verbosity >= Verbosity.VERBOSE and error.__cause__ is not None:
            cause = without_secrets(repr(error.__cause__))
            say(line("cause", cause=cause.encode("ascii", "backslashreplace").decode()))
        return code

    def _name(self, error: HfcloneError) -> Sequence[str]:
        """One failure may have ended several objects."""
        oid = error.fields().get("oid")
        known = self._names.get(id(error))
        return known or ([self._tally.name(oid)] if isinstance(oid, str) else [])

    def _interrupted(self, signal: str, code: int) -> int:
        lines = interrupted_lines(signal)
        if self._json:
            self._tell_json({"code": "interrupted", "message": lines[0], "hint": "", "fields": {}, "exit": code})
        for text in lines:
            say(text)
        return code

    def fail_unforeseen(self, error: Exception) -> int:
        """The same of what nobody awaited: the machine's refusal, or a bug."""
        refusal = refused_by_machine(error)
        if refusal is not None:
            refusal.__cause__ = error
            return self.fail(refusal)
        if self._json:
            fields = {"type": type(error).__name__}
            self._tell_json(
                {"code": "bug", "message": without_secrets(str(error)), "hint": "", "fields": fields, "exit": EXIT_BUG}
            )
        for text in bug_lines(error, with_traceback=self._verbosity >= Verbosity.VERBOSE):
            say(text)
        return EXIT_BUG

    def _tell_json(self, data: dict[str, object]) -> None:
        try:
            JsonLines(write_line).error(data)
        except OutputClosed:
            pass  # stderr still says it


def fail_early(error: HfcloneError, progress: str | None) -> int:
    """Tell an error of the request itself, before there are settings; ``progress`` as the user wrote it."""
    shown = Progress.JSON if progress == Progress.JSON.value else Progress.NONE
    return Session(Settings(progress=shown)).fail(error)


def fail_unforeseen(error: Exception) -> int:
    """Tell what nobody foresaw before there was a run; returns its exit code."""
    session = Session(Settings(progress=Progress.NONE))
    if isinstance(error, OSError) and error.filename is None:  # no file's: click writes its help by itself
        _forget(sys.stdout)
        if isinstance(error, BrokenPipeError):
            return EXIT_BROKEN_PIPE
        return session.fail(CannotWrite("stdout", error.strerror or str(error)))
    return session.fail_unforeseen(error)


def _expect_current_directory() -> None:
    """Names that users write begin there."""
    try:
        Path.cwd()
    except OSError as error:
        raise CannotWrite(phrase("current-directory"), error.strerror or str(error)) from error


def _terminal_view(settings: Settings, stream: TextIO) -> View:
    """Bars where the cursor can move, lines elsewhere, silence if that was asked for."""
    if settings.verbosity <= Verbosity.QUIET:
        return Silence()
    able = stream.isatty() and settings.environment.get("TERM") != "dumb"
    if settings.progress is Progress.BAR or (settings.progress is Progress.AUTO and able):
        from hfclone.cli.bars import Bars

        return Bars(stream, clock=time.monotonic, width=lambda: _width(stream), verbosity=settings.verbosity)
    if settings.progress is Progress.NONE:
        return Lines(say, clock=time.monotonic, verbosity=settings.verbosity, interval=None)
    return Lines(say, clock=time.monotonic, verbosity=settings.verbosity)


class Silence:
    """The view of ``-q``."""

    def __call__(self, event: Event) -> None:
        """Say nothing."""

    def close(self) -> None:
        """Nothing to put right."""


def stdout_width() -> int | None:
    """Columns of the terminal that stdout is; ``None`` where it is none."""
    return _width(sys.stdout) if sys.stdout.isatty() else None


def _width(stream: TextIO) -> int:
    """Columns of the terminal that ``stream`` is; ``shutil`` would ask stdout, which may be a pipe."""
    try:
        return os.get_terminal_size(stream.fileno()).columns or DEFAULT_WIDTH
    except (OSError, ValueError):  # no terminal, or no file
        return shutil.get_terminal_size((DEFAULT_WIDTH, 24)).columns


def make_streams_safe() -> None:
    """A locale that cannot show a character gets its escape, never an exception; a closed stream leads nowhere."""
    _occupy_standard_files()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            try:
                stream.reconfigure(errors="backslashreplace")
            except OSError:  # it is flushed, and what was written before stays in its buffer
                _forget(stream)


def _occupy_standard_files() -> None:
    """Where stdin, stdout or stderr was closed (``2>&-``), a part would get its number, and what is said there."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)  # noqa: FBT003  # its only form
    os.close(descriptor)
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115  # for as long as we live
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115


def say(text: str) -> None:
    """One line on stderr; if nobody can read it any more, the run still goes on."""
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:  # the terminal is gone (SIGHUP ignored by nohup, a closed pipe)
        _forget(sys.stderr)


def write_line(text: str) -> None:
    """One line of data on stdout.

    Raises:
        OutputClosed: nobody reads it any more.
        CannotWrite: the system refuses.
    """
    with _stdout_may_fail():
        print(text, flush=True)


def write_data(data: bytes) -> None:
    """``data`` on stdout as it is, whatever the locale; raises as ``write_line``."""
    with _stdout_may_fail():
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()


@contextmanager
def _stdout_may_fail() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        _forget(sys.stdout)
        raise OutputClosed from None
    except OSError as error:
        _forget(sys.stdout)
        raise CannotWrite("stdout", error.strerror or str(error)) from error


def end_streams(code: int) -> int:
    """The exit code of a run that would end with ``code``, once all that it said is out.

    Python ends with 120 where that fails only at its own end; what was written to stdout and is lost is a failure.
    """
    for stream in (sys.stderr, sys.stdout):
        try:
            stream.flush()
        except OSError as error:
            _forget(stream)
            if stream is sys.stdout and code == EXIT_OK:
                code = EXIT_BROKEN_PIPE if isinstance(error, BrokenPipeError) else EXIT_LOCAL
    return code


def _forget(stream: TextIO) -> None:
    """Let a stream that fails lead nowhere: the rest of its buffer would be written again, and fail again."""
    try:
        descriptor = stream.fileno()
    except (OSError, ValueError):  # it is none of the system's
        if stream is sys.stdout:
            sys.stdout = io.StringIO()
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)
