"""The command in a private world, for the tests of single commands."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.command import Command
from tests.hub import Hub


@pytest.fixture
def hfclone(hub: Hub, tmp_path: Path) -> Command:
    """The real command in a private world whose HF_ENDPOINT is the test hub."""
    return Command(tmp_path / "user", hub.url)
