"""Names that lead to addresses of a test's choice, for the real command and git: ``naming.c``, loaded first."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.preload import compiled

FILLED = 8
"""More connections than a backlog of none holds."""


@dataclass(frozen=True)
class Naming:
    """The library, and the file in which it tells what was looked up and connected to."""

    library: Path
    log: Path

    def environ(self, names: Mapping[str, Sequence[str]]) -> dict[str, str]:
        """What a process and its children need to find ``names`` at those addresses, in that order."""
        lines = "\n".join(" ".join((name, *addresses)) for name, addresses in names.items())
        return {"LD_PRELOAD": str(self.library), "NAMES": lines, "NAMED": str(self.log)}

    def looks(self, program: str) -> list[str]:
        """The names that ``program`` (the first letters of what the system calls it) looked up."""
        return self._told(program, "look")

    def connects(self, program: str) -> list[str]:
        """The addresses that it connected to, of those that were given."""
        return self._told(program, "connect")

    def _told(self, program: str, call: str) -> list[str]:
        lines = self.log.read_text("ascii").splitlines() if self.log.exists() else []
        rows = [line.split(" ") for line in lines]
        return [what for who, did, what in rows if who.startswith(program) and did == call]


@contextlib.contextmanager
def swallowing(address: str, *ports: int) -> Iterator[None]:
    """Ports of ``address`` that answer no packet of a new connection: neither yes nor no.

    What does so is a listener whose backlog is full.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with contextlib.ExitStack() as held:
        for port in ports:
            listening = held.enter_context(socket.socket(family, socket.SOCK_STREAM))
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind((address, port))
            listening.listen(0)
            for _ in range(FILLED):
                filling = held.enter_context(socket.socket(family, socket.SOCK_STREAM))
                filling.setblocking(False)
                filling.connect_ex((address, port))
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                probe.settimeout(0.1)
                with pytest.raises(TimeoutError):
                    probe.connect((address, port))
        yield


@pytest.fixture(scope="session")
def naming_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``naming.c``, compiled."""
    return compiled("naming", tmp_path_factory.mktemp("naming"))


@pytest.fixture
def naming(naming_library: Path, tmp_path: Path) -> Naming:
    """No name is given an address but to whom is given ``environ``."""
    return Naming(naming_library, tmp_path / "named")
