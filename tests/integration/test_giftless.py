"""An LFS server that nobody here wrote: giftless (PyPI) has the objects, a git host of ours the repo."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.command import Command, git, placed
from tests.hub import Hub, Lfs, LivingRepo

SERVE = """
import json, sys
from giftless.app import init_app
from werkzeug.serving import make_server
server = make_server("127.0.0.1", 0, init_app(additional_config=json.loads(sys.argv[1])), threaded=True)
print(server.server_port, flush=True)
server.serve_forever()
"""
READ_ONLY = "giftless.auth.allow_anon:read_only"
FILES = {"a.bin": Lfs(3_000_000, seed=1), "sub/b.bin": Lfs(70_000, seed=2), "c.bin": Lfs(70_000, seed=3)}

Start = Callable[..., str]


@pytest.fixture
def giftless(tmp_path: Path) -> Iterator[Start]:
    """Starts one with the objects of a repo; returns the URL of its LFS API for that."""
    running: list[subprocess.Popen[bytes]] = []

    def start(repo: LivingRepo, *, auth: str = READ_ONLY, without: str = "") -> str:
        store = tmp_path / f"store-{len(running)}"
        (store / "acme" / "tiny").mkdir(parents=True)
        for row in repo.rows(repo.commit):
            if row.lfs and row.name != without:
                shutil.copy(repo.object_path(row.lfs[0]), store / "acme" / "tiny" / row.lfs[0])
        config = {
            "TRANSFER_ADAPTERS": {"basic": {"options": {"storage_options": {"path": str(store)}}}},
            "AUTH_PROVIDERS": [auth] if auth else [],
            "PRE_AUTHORIZED_ACTION_PROVIDER": {"options": {"private_key": "k" * 32}},
            "LEGACY_ENDPOINTS": False,
        }
        env = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        process = subprocess.Popen(
            [sys.executable, "-c", SERVE, json.dumps(config)],
            cwd=tmp_path, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        running.append(process)
        assert process.stdout is not None
        port = process.stdout.readline().decode().strip()
        assert port.isdecimal(), "it does not start"
        return f"http://127.0.0.1:{port}/acme/tiny.git/info/lfs"

    yield start
    for process in running:
        process.terminate()
        process.communicate()


@pytest.fixture
def repo(hub: Hub) -> LivingRepo:
    """Three objects and a file of git's."""
    return hub.repo("acme/tiny", {**FILES, "README.md": "# tiny\n"})


@pytest.fixture
def dest(hub: Hub, repo: LivingRepo, hfclone: Command, tmp_path: Path) -> Path:
    """A clone by plain git from a host that is then gone: the objects are elsewhere."""
    del repo
    host = hub.mirror("host")
    skip = {"GIT_LFS_SKIP_SMUDGE": "1"}
    hfclone.git(tmp_path, "clone", "-q", f"{host.url}/acme/tiny.git", "plain", env=skip)
    host.down()
    return tmp_path / "plain"


@pytest.mark.parametrize("fetcher", ["auto", "aria2c"])
def test_it_has_everything(repo: LivingRepo, dest: Path, giftless: Start, hfclone: Command, fetcher: str) -> None:
    git(dest, "config", "lfs.url", giftless(repo))
    done = hfclone("fetch", dest, "--fetcher", fetcher)
    assert done.code == 0, done.stderr
    assert placed(dest) == set(FILES)
    assert git(dest, "status", "--porcelain") == ""
    assert hfclone("verify", dest).code == 0


def test_it_lacks_an_object(repo: LivingRepo, dest: Path, giftless: Start, hfclone: Command) -> None:
    git(dest, "config", "lfs.url", giftless(repo, without="c.bin"))
    done = hfclone("fetch", dest)
    assert done.code == 3, done.stderr
    assert "object-missing" in done.error
    assert done.error.splitlines()[1].endswith(": Object does not exist")
    assert placed(dest) == set(FILES) - {"c.bin"}


def test_it_wants_a_login(repo: LivingRepo, dest: Path, giftless: Start, hfclone: Command) -> None:
    git(dest, "config", "lfs.url", giftless(repo, auth=""))
    done = hfclone("fetch", dest)
    assert done.code == 3, done.stderr
    assert "wants a login for LFS objects (HTTP 401)" in done.error
    assert "User identity is required" in done.error
    assert placed(dest) == set()


def test_it_does_not_know_the_path(repo: LivingRepo, dest: Path, giftless: Start, hfclone: Command) -> None:
    git(dest, "config", "lfs.url", giftless(repo).replace("/acme/tiny.git", ""))
    done = hfclone("fetch", dest)
    assert (done.code, "does not serve LFS objects of this repo (HTTP 404)" in done.error) == (3, True), done.stderr
