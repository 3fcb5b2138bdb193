"""No sentence is printed but those of the catalogue: hfclone speaks a language that only ``pseudo`` knows."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.command import Command, Outcome
from tests.e2e.pseudo import OPEN
from tests.hub import Hub, Lfs, answers
from tests.hub.mirror import files_only

DATA = re.compile(
    r"""
    \ *\d[\d,]*\ +(file|object)(\ +\S+){2,3}  # a row of ls
    | [a-z0-9-]+\ =\ (".*"|\[.*\]).*            # a line of a settings file
    | \#\ \w+\ =\ ".*".*
    | [ ]{4}\S+                                 # a path beneath its error
    | /\S+                                      # where huggingface_hub finds what was shared
    """,
    re.VERBOSE,
)
"""Data, as a whole line."""


@dataclass
class Foreign(Command):
    """The command in that language."""

    module: str = "tests.e2e.pseudo"

    def said(self, *args: object, code: int = 0, path: str = "") -> Outcome:
        """Run it; every line that it prints has to be of the catalogue."""
        done = self(*args, env={"PYTHONUTF8": "1", **({"PATH": path} if path else {})})
        assert done.code == code, (done.stdout, done.stderr)
        for line in (done.stdout + done.stderr).splitlines():
            assert not line.strip() or OPEN in line or DATA.fullmatch(line), line
            assert not prose_in(line), line
        return done


SYSTEM = ("No such file or directory",)
"""Of whom a sentence is that is not ours."""


def prose_in(line: str) -> list[str]:
    """Two plain words side by side, which data has not."""
    for text in SYSTEM:
        line = line.replace(text, "")
    return re.findall(r"(?<![\w/.=-])[a-z]{2,} [a-z]{2,}(?![\w/.=-])", line)


@pytest.fixture
def foreign(hub: Hub, tmp_path: Path) -> Foreign:
    """As ``hfclone``."""
    hub.repo("acme/one", {"config.json": "{}\n", "a.bin": Lfs(20_000, seed=5), "m-Q4_0.gguf": Lfs(9_000, seed=6)})
    return Foreign(tmp_path / "user", hub.url)


def _without_aria2c(foreign: Foreign) -> str:
    """A PATH of git alone."""
    folder = foreign.base / "bin"
    folder.mkdir()
    git = shutil.which("git")
    assert git is not None
    (folder / "git").symlink_to(git)
    return str(folder)


def test_a_run_that_goes_well(hub: Hub, foreign: Foreign) -> None:
    """With a mirror that has nothing, and a server that stumbles, as ``-v`` tells it."""
    mirror = hub.mirror("mirror", files_only())
    hub.faults.add(answers.Status(503), kind="cdn", times=1)
    said = foreign.said("acme/one", "-v", "--mirror", mirror.url, "--include", "a.bin").stderr
    assert len(said.splitlines()) > 8
    foreign.said("fetch", "one", "--include", "nothing", "--progress", "none")
    assert foreign.said("status", "one").stdout
    assert foreign.said("export", "one", "--format", "urls", "-o", "todo.txt").stderr
    foreign.said("pull", "one", "--fetcher", "aria2c", path=_without_aria2c(foreign))
    foreign.said("export", "one", "--format", "hf-cache", "--cache-link", "hardlink")
    foreign.said("verify", "one")
    foreign.said("lock", "acme/one", "--progress", "bar")
    foreign.said("ls", "acme/one")
    foreign.said("config", "--show-origin")


def test_what_is_wrong(hub: Hub, foreign: Foreign) -> None:
    """In a checkout, in what lies beside it, and in what is asked for."""
    foreign.said("acme/one", "-q")
    file = foreign.cwd / "one" / "a.bin"
    stat = file.stat()
    file.write_bytes(b"x" * stat.st_size)
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    (foreign.cwd / "one" / "m-Q4_0.gguf").unlink()
    (foreign.cwd / "other.bin").write_bytes(b"x")
    assert len(foreign.said("verify", "one", code=5).stdout.splitlines()) == 2
    foreign.said("status", "one")
    foreign.said("import", "other.bin", "--into", "one", code=2)
    foreign.said("verify", "one", "--repair")
    file.write_bytes(b"mine")
    foreign.said("fetch", "one", code=6)
    foreign.said("fetch", "one", "--backup")


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (["acme/none"], 3),
        (["acme/one@none"], 3),
        (["acme/one", "--quant", "q8_0"], 2),
        (["acme/one", "--connections", "0"], 2),
        (["acme/one", "--mirror", "ftp://x"], 2),
        (["acme/one", "--window", "1"], 2),
        (["acme/one", "", "-v"], 2),
        (["a/b/c/d"], 2),
        (["verify", "nowhere"], 6),
        (["status", "."], 6),
        (["sync", "--lockfile", "no.lock"], 2),
        (["lock", "acme/one", "acme/one"], 2),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_done(foreign: Foreign, args: list[str], code: int) -> None:
    assert foreign.said(*args, code=code).stderr
