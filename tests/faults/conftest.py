"""One repo for all tests of the folder, and a hub for each."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.rig import KINDS, Rig, mixed_repo, served
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


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """What moves the bytes; ``parametrize`` it where only one of them can."""
    chosen: str = request.param
    if chosen == "aria2c" and shutil.which("aria2c") is None:
        pytest.skip("aria2c is not installed")
    return chosen


@pytest.fixture
def rig(tmp_path: Path, line: Hub, mixed: LivingRepo, kind: str) -> Rig:
    """The transfer under test."""
    return Rig(line, mixed, tmp_path / "parts", kind=kind)
