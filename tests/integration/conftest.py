"""The command in a private world, for the tests of single commands."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.command import Command
from tests.hub import Hub
from tests.proxies import certificate


@pytest.fixture
def hfclone(hub: Hub, tmp_path: Path) -> Command:
    """The real command in a private world whose HF_ENDPOINT is the test hub."""
    return Command(tmp_path / "user", hub.url)


@pytest.fixture(scope="session")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for localhost, and not for its address, with its key; for servers, and for clients to trust."""
    folder = tmp_path_factory.mktemp("pem")
    trusted, _context = certificate(folder, "localhost", address="")
    both = folder / "both.pem"
    both.write_bytes((folder / "key.pem").read_bytes() + trusted.read_bytes())
    return both
