"""The real command without its start: each run is forked from a process that has imported what it needs.

For tables of many short runs; everything else is as ``Command`` has it. Python's own start is most of such a run.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING

from tests.e2e.command import SECONDS, Command, Outcome

if TYPE_CHECKING:
    from typing_extensions import Self  # Python 3.10 has it nowhere else

__all__ = ["Forked"]


class Forked:
    """Runs ``command``'s hfclone; ``environ`` is for the process that all are forked from (``LD_PRELOAD``)."""

    def __init__(self, command: Command, environ: Mapping[str, str]) -> None:
        """Start it."""
        self._folder = command.tmp
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.e2e.forked"],
            env={**command.environ, "GIT_PYTHON_REFRESH": "quiet", **environ},
            cwd=command.cwd,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __call__(self, *args: object, env: Mapping[str, str] | None = None) -> Outcome:
        """Run it to its end."""
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        said = [self._folder / name for name in ("stdout", "stderr")]
        request = {"args": [*map(str, args)], "env": dict(env or {}), "said": [*map(str, said)]}
        self._server.stdin.write(json.dumps(request) + "\n")
        self._server.stdin.flush()
        code = int(self._server.stdout.readline())
        stdout, stderr = (path.read_text(errors="surrogateescape") for path in said)
        assert "Traceback" not in stderr, stderr
        return Outcome(code, stdout, stderr)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.close()
        self._server.wait(SECONDS)
        self._server.stdout.close()


def serve() -> None:
    """Fork a run for each line of stdin, and tell its exit code."""
    from hfclone.cli.commands import run
    from hfclone.cli.session import end_streams
    from hfclone.git import load_git

    load_git()
    for line in sys.stdin:
        request = json.loads(line)
        child = os.fork()
        if not child:
            become(request["env"], request["said"])
            os._exit(end_streams(run(request["args"])))
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def become(env: Mapping[str, str], said: Sequence[str]) -> None:
    """Have an environment and streams of one's own."""
    os.environ.update(env)
    for descriptor, path in enumerate((os.devnull, *said)):
        opened = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o666)
        os.dup2(opened, descriptor)
        os.close(opened)


if __name__ == "__main__":
    serve()
