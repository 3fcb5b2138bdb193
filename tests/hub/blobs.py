"""Reading git: one long-lived ``cat-file`` for blobs, ``ls-tree`` for trees."""

from __future__ import annotations

import re
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path

POINTER_LIMIT = 1024  # bytes; a blob this long is no pointer
POINTER = re.compile(
    rb"version https://git-lfs\.github\.com/spec/v1\n(?:ext-\d-.*\n)*oid sha256:([0-9a-f]{64})\nsize (\d+)\n"
)


@dataclass(frozen=True, slots=True)
class Row:
    """A file or folder of a commit; ``lfs`` has oid and size if the blob is a pointer."""

    mode: str
    is_tree: bool
    oid: str
    size: int
    path: bytes
    lfs: tuple[str, int] | None = None

    @property
    def real_size(self) -> int:
        """Bytes of the content that a user means."""
        return self.lfs[1] if self.lfs else self.size

    @property
    def name(self) -> str:
        """The path as JSON can hold it (a non-UTF-8 byte becomes U+FFFD and can no longer be asked for)."""
        return self.path.decode("utf-8", "replace")


class Blobs:
    """Blobs of one repo by object id; thread-safe."""

    def __init__(self, git_dir: Path) -> None:
        """Nothing is started before the first read."""
        self._git_dir = git_dir
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def read(self, oid: str) -> bytes:
        """Return a blob's content."""
        with self._lock:
            process = self._process or self._start()
            if process.stdin is None or process.stdout is None:
                raise RuntimeError("no pipe to git")
            process.stdin.write(oid.encode() + b"\n")
            process.stdin.flush()
            size = int(process.stdout.readline().split()[2])
            content = process.stdout.read(size)
            process.stdout.read(1)
            return content

    def close(self) -> None:
        """End git."""
        with self._lock:
            if self._process is not None:
                self._process.communicate()
                self._process = None

    def _start(self) -> subprocess.Popen[bytes]:
        self._process = subprocess.Popen(
            ["git", "cat-file", "--batch"], cwd=self._git_dir, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        return self._process


def read_tree(git_dir: Path, commit: str, blobs: Blobs) -> list[Row]:
    """List a commit's files and folders in git's order."""
    args = ["git", "ls-tree", "-r", "-t", "-l", "-z", commit]
    out = subprocess.run(args, cwd=git_dir, capture_output=True, check=True).stdout
    return [_row(line, blobs) for line in out.split(b"\0") if line]


def _row(line: bytes, blobs: Blobs) -> Row:
    meta, _, path = line.partition(b"\t")
    mode, kind, oid, size = meta.decode().split()
    if kind != "blob":
        return Row(mode, kind == "tree", oid, 0, path)
    lfs = None
    if 0 < int(size) < POINTER_LIMIT and mode != "120000":
        lfs = _pointer(blobs.read(oid))
    return Row(mode, False, oid, int(size), path, lfs)


def _pointer(content: bytes) -> tuple[str, int] | None:
    found = POINTER.fullmatch(content)
    return (found[1].decode(), int(found[2])) if found else None
