"""The command in a private world, for the tests of single commands."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.e2e.command import Command
from tests.hub import Hub


@pytest.fixture
def hfclone(hub: Hub, tmp_path: Path) -> Command:
    """The real command in a private world whose HF_ENDPOINT is the test hub."""
    return Command(tmp_path / "user", hub.url)


@pytest.fixture(scope="session")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for localhost, and not for its address, with its key; for servers, and for clients to trust."""
    folder = tmp_path_factory.mktemp("pem")
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -keyout both.pem -out cert.pem"
    names = ["-addext", "subjectAltName=DNS:localhost"]
    subprocess.run([*command.split(), *names], cwd=folder, check=True, capture_output=True)
    with (folder / "both.pem").open("ab") as both:
        both.write((folder / "cert.pem").read_bytes())
    return folder / "both.pem"
