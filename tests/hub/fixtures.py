"""Fixtures that tests/conftest.py imports."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from . import Executable, Hub, Lfs, LivingRepo, Symlink


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    """A hub with nothing on it."""
    with Hub(tmp_path / "hub") as served:
        yield served


@pytest.fixture
def tiny_repo(hub: Hub) -> LivingRepo:
    """The repo ``acme/tiny``: all kinds of file; branch ``feat/slash``, tag ``v1.0``, ``refs/pr/1``."""
    return make_tiny(hub)


def make_tiny(hub: Hub, repo_id: str = "acme/tiny") -> LivingRepo:
    """Make the repo that the fixture offers."""
    repo = hub.repo(
        repo_id,
        {
            "README.md": "---\nlicense: mit\n---\n# tiny\n",
            "config.json": '{"a": 1}\n',
            "empty.txt": b"",
            "empty.bin": b"",
            "run.sh": Executable(b"#!/bin/sh\necho hi\n"),
            "link.json": Symlink(b"config.json"),
            "model.safetensors": Lfs(300_000, seed=1),
            "sub/dir/w.bin": Lfs(70_000, seed=2),
            "sub/same.bin": Lfs(70_000, seed=2),
            "sub/with space.txt": "s\n",
            "sub/100% #1?.txt": "odd\n",
            "sub/ünï.txt": "u\n",
        },
    )
    repo.tag("v1.0")
    repo.add_commit({"b.txt": "b\n", "more.bin": Lfs(50_000, seed=3)}, branch="feat/slash", message="b")
    repo.add_commit({"pr.txt": "pr\n"}, branch="refs/pr/1", message="pr")
    return repo
