"""Calls of the system that fail as on a file system, or a machine, that lacks them: ``refusing.c``, loaded first.

A test says which calls fail, for which paths and with what; ``refused`` tells which did: a fault that nobody met
would make its test pass.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.preload import compiled

KILL = "kill"
"""In place of an errno: whoever calls is killed (SIGKILL), before the call does anything."""


@dataclass(frozen=True)
class Refusal:
    """One call of ``refusing.c`` that fails (``action``: an errno's name, or ``KILL``) for what fits.

    ``glob`` is matched with whole paths, ``*`` with slashes, too; what is no call on a path (``thread``, ``fork``) has
    the program's. ``kind`` is dir, file, link, none or any; ``skip`` so many that fit are let through first, and
    then ``times`` fail (0: all), in each process.
    """

    call: str
    action: str
    glob: str
    kind: str = "any"
    skip: int = 0
    times: int = 0

    def __str__(self) -> str:
        number = self.action if self.action == KILL else getattr(errno, self.action)
        return f"{self.call} {number} {self.kind} {self.skip} {self.times} {self.glob}"


@dataclass(frozen=True)
class Refusing:
    """The library, and the file in which it tells what was refused."""

    library: Path
    log: Path

    def environ(self, *refusals: Refusal) -> dict[str, str]:
        """What a process and its children need to meet ``refusals``."""
        return {
            "LD_PRELOAD": str(self.library),
            "REFUSE": "\n".join(map(str, refusals)),
            "REFUSED": str(self.log),
        }

    def refused(self) -> list[tuple[str, str]]:
        """Each call that was refused, and its path."""
        if not self.log.exists():
            return []
        lines = os.fsdecode(self.log.read_bytes()).splitlines()
        return [(call, path) for call, _, path in (line.split(" ", 2) for line in lines)]


@pytest.fixture(scope="session")
def refusing_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``refusing.c``, compiled."""
    return compiled("refusing", tmp_path_factory.mktemp("refusing"))


@pytest.fixture
def refusing(refusing_library: Path, tmp_path: Path) -> Refusing:
    """Nothing is refused but to whom is given ``environ``."""
    return Refusing(refusing_library, tmp_path / "refused")
