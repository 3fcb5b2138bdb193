"""The real command in a private world, and what a checkout has to be."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.hub.repos import git_env, pointer_text

ROOT = Path(__file__).parents[2]
SECONDS = 60.0
"""The longest that any single command may take."""


@dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def events(self) -> list[dict[str, Any]]:
        """What ``--progress json`` wrote: every line has to be data."""
        return [json.loads(line) for line in self.stdout.splitlines()]

    def event(self, name: str) -> dict[str, Any]:
        """The last event of that name."""
        return [event for event in self.events if event["event"] == name][-1]

    @property
    def error(self) -> str:
        """The text behind ``hfclone: error:``, groups of failures included."""
        found = re.search(r"^hfclone: error: (.*?)(?=^hint: |\Z)", self.stderr, re.DOTALL | re.MULTILINE)
        return found[1].strip() if found else ""

    @property
    def hint(self) -> str:
        """The text behind ``hint:``."""
        found = re.search(r"^hint: (.*)$", self.stderr, re.MULTILINE)
        return found[1] if found else ""


@dataclass
class Command:
    """``hfclone`` with HOME, HF_HOME, TMPDIR and the current directory of its own. Call it to run it."""

    base: Path
    endpoint: str = ""
    environ: dict[str, str] = field(default_factory=dict)
    module: str = "hfclone"

    def __post_init__(self) -> None:
        """Make the directories."""
        for name in ("home", "tmp", "cwd"):
            (self.base / name).mkdir(parents=True, exist_ok=True)
        self.home, self.tmp, self.cwd = (self.base / name for name in ("home", "tmp", "cwd"))
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        ours = {
            "HOME": str(self.home),
            "HF_HOME": str(self.home / "hf"),
            "TMPDIR": str(self.tmp),
            "PYTHONPATH": str(ROOT),
            "PYTHONDONTWRITEBYTECODE": "1",
            "GIT_CONFIG_NOSYSTEM": "1",
            **({"HF_ENDPOINT": self.endpoint} if self.endpoint else {}),
        }
        self.environ = {**kept, **ours, **self.environ}

    def __call__(
        self, *args: object, env: Mapping[str, str] | None = None, before: Sequence[str] = (), timeout: float = SECONDS
    ) -> Outcome:
        """Run it to its end; ``before`` are words in front of it (``setpriv ...``)."""
        process = self.start(*args, env=env, before=before)
        return self.end(process, timeout)

    def start(
        self, *args: object, env: Mapping[str, str] | None = None, before: Sequence[str] = (), **more: Any
    ) -> subprocess.Popen[str]:
        """Start it, in a session of its own."""
        words = [*before, sys.executable, "-m", self.module, *map(str, args)]
        streams: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL}
        return subprocess.Popen(
            words,
            env={**self.environ, **(env or {})},
            cwd=self.cwd,
            text=True,
            errors="surrogateescape",
            start_new_session=True,
            **{**streams, **more},
        )

    def end(self, process: subprocess.Popen[str], timeout: float = SECONDS) -> Outcome:
        """Wait for its end. A traceback is never an end."""
        try:
            stdout, stderr = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            stdout, stderr = process.communicate()
            raise AssertionError(f"it did not end in {timeout} s:\n{stdout}\n{stderr}") from None
        assert "Traceback" not in stderr, stderr
        return Outcome(process.returncode, stdout or "", stderr or "")

    def kill(self, process: subprocess.Popen[str]) -> None:
        """``kill -9``, of it and of nothing else."""
        process.kill()
        process.communicate()

    def git(self, where: Path, *args: str, env: Mapping[str, str] | None = None) -> str:
        """Run git as the user of this world would."""
        done = subprocess.run(
            ["git", *args], cwd=where, env={**self.environ, **(env or {})}, capture_output=True, check=False
        )
        assert done.returncode == 0, (args, done.stderr.decode("utf-8", "replace"))
        return done.stdout.decode("utf-8", "surrogateescape").strip()


def git(where: Path, *args: str) -> str:
    """Run git with no configuration but the repo's own."""
    done = subprocess.run(["git", *args], cwd=where, env=git_env(), capture_output=True, check=False)
    assert done.returncode == 0, (args, done.stdout, done.stderr.decode("utf-8", "replace"))
    return done.stdout.decode("utf-8", "surrogateescape").strip()


def sha256(path: Path) -> str:
    """Of a file's content."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def tree_of(folder: Path, *, without: Sequence[str] = ()) -> dict[str, str]:
    """Everything below a folder: digests of files, targets of links, modes of directories."""
    found: dict[str, str] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if any(name == each or name.startswith(f"{each}/") for each in without):
            continue
        if path.is_symlink():
            found[name] = f"-> {os.readlink(path)}"
        else:
            found[name] = sha256(path) if path.is_file() else "directory"
    return found


def placed(dest: Path) -> set[str]:
    """Paths of the commit whose pointer has become its object; all others are checked to be pointers."""
    paths: set[str] = set()
    for line in git(dest, "ls-tree", "-r", "-z", "HEAD").split("\0"):
        meta, _, name = line.partition("\t")
        if not meta.startswith("100"):
            continue
        show = ["git", "cat-file", "blob", meta.split()[2]]
        text = subprocess.run(show, cwd=dest, capture_output=True, check=True).stdout
        found = re.fullmatch(rb"version https://git-lfs\S+\noid sha256:([0-9a-f]{64})\nsize (\d+)\n", text)
        if found is None:
            assert (dest / name).read_bytes() == text, name
        elif (dest / name).read_bytes() != pointer_text(found[1].decode(), int(found[2])):
            assert sha256(dest / name) == found[1].decode(), name
            paths.add(name)
    return paths


def assert_checkout(dest: Path, commit: str, origin: str) -> None:
    """An exact git checkout of ``commit``: clean, sound, of this origin."""
    assert git(dest, "rev-parse", "HEAD") == commit
    assert git(dest, "status", "--porcelain", "--ignored") == ""
    assert git(dest, "remote", "get-url", "origin") == origin
    assert git(dest, "fsck", "--full", "--strict", "--no-dangling") == ""
    left = {path.name for path in (dest / ".git" / "hfclone" / "parts").iterdir()}
    assert left == set(), left


def files_with(words: Sequence[str], *folders: Path) -> list[str]:
    """Files below ``folders`` that hold any of ``words``, in name or content (packs and loose objects unpacked)."""
    found = []
    for folder in folders:
        for path in folder.rglob("*"):
            data = b"" if path.is_symlink() or not path.is_file() else path.read_bytes()
            if any(word.encode() in data or word in path.name for word in words):
                found.append(str(path))
    return found
