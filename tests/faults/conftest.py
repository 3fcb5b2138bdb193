"""One repo for all tests of the folder, and a hub for each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.rig import Rig, mixed_repo, served
from tests.hub import Hub, LivingRepo


@pytest.fixture(scope="session")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LivingRepo]:
    """Two large objects and thirty small ones."""
    repo = mixed_repo(tmp_path_factory.mktemp("mixed"))
    yield repo
    repo.close()


@pytest.fixture
def line(tmp_path: Path, mixed: LivingRepo) -> Iterator[Hub]:
    """A hub that offers the repo; faults are added to it."""
    yield from served(tmp_path / "hub", mixed)


@pytest.fixture
def rig(tmp_path: Path, line: Hub, mixed: LivingRepo) -> Rig:
    """The transfer under test."""
    return Rig(line, mixed, tmp_path / "parts")
