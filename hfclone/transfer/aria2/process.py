"""An aria2c of our own: started, spoken to and ended here.

Its RPC secret is in no argv and in no file: aria2c reads it from a configuration on its stdin that
exists in memory alone (which is also why no other configuration is read). A port cannot be handed
over, only named; that nobody else sits on it is shown by a second secret, which aria2c tells back.
"""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO

from hfclone.http import Limits, Web
from hfclone.names import Token
from hfclone.transfer.aria2.rpc import Rpc
from hfclone.transfer.carrier import CannotRun, Lost
from hfclone.wording import phrase

__all__ = ["Process", "limit_writes"]

START_SECONDS = 10.0
"""So long aria2c may take until it answers."""
LOOK_SECONDS = 0.02
"""Between two looks whether it does."""
END_SECONDS = 2.0
PORTS = 3
"""Ports that are tried: another program may have taken one meanwhile."""


class Process:
    """A running aria2c. It ends with us, also when we are killed."""

    def __init__(
        self, program: str, options: Mapping[str, str], environment: Mapping[str, str], directory: Path
    ) -> None:
        """Start it. ``directory`` is held (by flock) as long as it runs.

        Raises:
            CannotRun: it does not start, or is too old.
        """
        self._web = Web(user_agent="hfclone", limits=Limits(connect=2.0, silence=10.0))
        self._process: subprocess.Popen[bytes] | None = None
        self._said: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  # closed in close()
        for attempt in range(1, PORTS + 1):
            try:
                self._start(program, options, environment, directory)
                return
            except CannotRun:
                self.kill()
                if attempt == PORTS or "bind" not in self._words():
                    self.close()
                    raise

    @property
    def pid(self) -> int:
        """Of the process."""
        assert self._process is not None  # it has been started
        return self._process.pid

    def kill(self) -> None:
        """End it now, if it was even started; what it was told to let go of is saved."""
        if self._process is None:
            return
        with suppress(OSError):
            self._process.kill()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(END_SECONDS)

    def close(self) -> None:
        """End it and let go of everything."""
        self.kill()
        self._web.close()
        self._said.close()

    def _start(self, program: str, options: Mapping[str, str], environment: Mapping[str, str], directory: Path) -> None:
        secret, proof = secrets.token_hex(16), secrets.token_hex(16)
        port = _free_port()
        own = {
            "conf-path": "/dev/stdin",
            "enable-rpc": "true",
            "rpc-listen-port": str(port),
            "rpc-listen-all": "false",
            "no-netrc": "true",
            "stop-with-process": str(os.getpid()),
        }
        with _memory_file(f"rpc-secret={secret}\nuser-agent={proof}\n".encode()) as configuration:
            held = _hold(directory)
            try:
                self._process = process = subprocess.Popen(
                    [program, *(f"--{name}={value}" for name, value in {**options, **own}.items())],
                    stdin=configuration,
                    stdout=self._said,
                    stderr=subprocess.STDOUT,
                    env=dict(environment),
                    start_new_session=True,
                    pass_fds=[] if held is None else [held],
                )
            except OSError as error:
                raise CannotRun(phrase("cannot-start", reason=error.strerror)) from error
            finally:
                if held is not None:
                    os.close(held)
        self.rpc = Rpc(self._web, f"http://127.0.0.1:{port}/jsonrpc", Token(secret))
        self._await_answer(process, proof)

    def _await_answer(self, process: subprocess.Popen[bytes], proof: str) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            try:
                told = self.rpc.call("getGlobalOption")
            except Lost:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(LOOK_SECONDS)
                    raise CannotRun(phrase("does-not-start", reason=self._words())) from None
                continue
            if not isinstance(told, dict) or told.get("user-agent") != proof:
                raise CannotRun(phrase("port-taken"))
            return
        raise CannotRun(phrase("does-not-answer"))

    def _words(self) -> str:
        """The last thing it said."""
        self._said.seek(0)
        lines = self._said.read(65536).decode("utf-8", "replace").split("\n")
        return next((line.strip()[:200] for line in reversed(lines) if line.strip()), phrase("says-nothing"))


def limit_writes(pid: int, size: int) -> None:
    """No file of the process may grow beyond the largest object."""
    with suppress(ImportError, AttributeError, OSError, ValueError):
        import resource

        limit = size + 64 * 1024 * 1024  # room for a control file
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (limit, limit))


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _memory_file(content: bytes) -> IO[bytes]:
    """A file without a name, to be read from its beginning."""
    make = getattr(os, "memfd_create", None)
    file: IO[bytes] = os.fdopen(make("aria2c"), "w+b") if make else tempfile.TemporaryFile()  # noqa: SIM115
    file.write(content)
    file.flush()
    file.seek(0)
    return file


def _hold(directory: Path) -> int | None:
    """A descriptor that holds ``directory`` as long as anybody has it open."""
    try:
        import fcntl

        descriptor = os.open(directory, os.O_RDONLY)
        fcntl.flock(descriptor, fcntl.LOCK_SH)
    except (ImportError, OSError):  # not every file system knows locks
        return None
    return descriptor
