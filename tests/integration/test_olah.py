"""A mirror nobody here wrote: olah (PyPI) before our hub, for files and API; git comes from the hub.

olah is installed once, beside the environment that runs the tests; where that fails, these tests are skipped.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.hub import Entry, Hub, Lfs, LivingRepo
from tests.hub.answers import Status
from tests.hub.messages import Request

OLAH = "olah==0.5.4"
INSTALL_SECONDS = 400
START_SECONDS = 40.0
TOKEN = "hf_good"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(INSTALL_SECONDS + 180)]

CONFIG = """
[basic]
host = "127.0.0.1"
port = {port}
repos-path = "{folder}/cache"
hf-scheme = "http"
hf-netloc = "{hub}"
hf-lfs-netloc = "{cdn}"
mirror-scheme = "http"
mirror-netloc = "127.0.0.1:{port}"
mirror-lfs-netloc = "127.0.0.1:{port}"
metadata-cache-ttl = 600
[accessibility]
offline = false
"""


@pytest.fixture(scope="module")
def olah_cli() -> Path:
    """The command; made once, in an environment of its own, since olah pins much that we do not."""
    folder = Path(sys.prefix) / "olah"
    with Path(sys.prefix, "olah.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # other workers of this run want it, too
        if not (folder / "whole").exists():
            try:
                install(folder)
            except (OSError, subprocess.SubprocessError) as error:
                pytest.skip(f"olah cannot be installed: {error}")
    return folder / "bin" / "olah-cli"


def install(folder: Path) -> None:
    """Make the environment; ``whole`` says that it was not interrupted."""
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True, capture_output=True)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "-q", OLAH]
    subprocess.run(pip, check=True, capture_output=True, timeout=INSTALL_SECONDS)
    (folder / "whole").touch()


@pytest.fixture
def olah(hub: Hub, olah_cli: Path, tmp_path: Path) -> Iterator[str]:
    """A running olah before the hub; its endpoint."""
    folder = tmp_path / "olah"
    folder.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    places = {"hub": urlsplit(hub.url).netloc, "cdn": urlsplit(hub.cdn_url).netloc}
    (folder / "olah.toml").write_text(CONFIG.format(port=port, folder=folder, **places))
    command = [str(olah_cli), "-c", "olah.toml", "--log-path", str(folder / "logs")]
    env = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(command, cwd=folder, env=env, stdout=output, stderr=output)
    try:
        wait_for(port, process, folder / "output")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def wait_for(port: int, process: subprocess.Popen[bytes], output: Path) -> None:
    """Until it listens; it does not tell."""
    pause = threading.Event()
    for _ in range(int(START_SECONDS / 0.1)):
        if process.poll() is not None:
            pytest.fail(f"olah ended at once: {output.read_text()}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        pause.wait(0.1)
    pytest.fail("olah does not listen")


@dataclass(frozen=True)
class Run:
    """What a run of hfclone left."""

    code: int
    stderr: str
    dest: Path


def hfclone(tmp_path: Path, *args: str) -> Run:
    """The real command, with a home of its own and a token."""
    dest, home = tmp_path / "checkout", tmp_path / "home"
    home.mkdir(exist_ok=True)
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    env = {**kept, "HOME": str(home), "GIT_CONFIG_NOSYSTEM": "1", "HF_TOKEN": TOKEN}
    command = [sys.executable, "-m", "hfclone", args[0], str(dest), *args[1:], "-v", "--give-up-after", "20s"]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, env=env, cwd=root, capture_output=True, text=True, check=False, timeout=60)
    return Run(done.returncode, done.stderr, dest)


def ours(request: Request | Entry) -> bool:
    """Whether hfclone or its git asked, and not olah."""
    return request.headers.get("user-agent", "").startswith(("hfclone", "git/"))


def sha256(path: Path) -> str:
    """Hash a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def check_checkout(dest: Path, repo: LivingRepo, commit: str) -> None:
    """Every large file is what its pointer says, and git finds nothing changed."""
    wanted = {row.name: row.lfs[0] for row in repo.rows(commit) if row.lfs}
    assert {name: sha256(dest / name) for name in wanted} == wanted
    status = ["git", "-C", str(dest), "status", "--porcelain"]
    assert subprocess.run(status, capture_output=True, text=True, check=True).stdout == ""


@pytest.mark.parametrize("revision", ["main", "v1.0", "feat/slash", "refs/pr/1"])
def test_every_large_byte_comes_through_olah(
    hub: Hub, tiny_repo: LivingRepo, olah: str, tmp_path: Path, revision: str
) -> None:
    """Our own way to the CDN is barred: all bytes come through olah, and it sees no token."""
    hub.tokens.add(TOKEN)
    hub.faults.add(Status(503), on="cdn", when=ours)
    run = hfclone(tmp_path, "acme/tiny", "--revision", revision, "--endpoint", hub.url, "--mirror", olah)
    assert run.code == 0, run.stderr
    ref = {"v1.0": "refs/tags/v1.0", "refs/pr/1": "refs/pr/1"}.get(revision, f"refs/heads/{revision}")
    check_checkout(run.dest, tiny_repo, tiny_repo.commit_of(ref) or "")
    by_olah = [entry for entry in hub.log.entries if not ours(entry)]
    assert {entry.oid for entry in by_olah if entry.listener == "cdn"} >= {
        row.lfs[0] for row in tiny_repo.rows(tiny_repo.commit_of(ref) or "") if row.lfs
    }
    assert not [entry for entry in by_olah if entry.authorization]
    assert [entry for entry in hub.log.entries if ours(entry) and entry.token == TOKEN], "the hub may see the token"
    assert not hub.log.saw_token(TOKEN, listener="cdn")


def test_an_object_of_many_ranges(hub: Hub, olah: str, tmp_path: Path) -> None:
    """Large enough for several connections; olah stores and sends it in blocks of its own."""
    repo = hub.repo("acme/large", {"model.safetensors": Lfs(60_000_000, seed=5)})
    hub.faults.add(Status(503), on="cdn", when=ours)
    hub.tokens.add(TOKEN)
    run = hfclone(tmp_path, "acme/large", "--endpoint", hub.url, "--mirror", olah)
    assert run.code == 0, run.stderr
    check_checkout(run.dest, repo, repo.commit)
