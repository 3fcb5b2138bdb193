"""The scripts a stranger runs first."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SHELL = [ROOT / "scripts" / name for name in ("test", "check", "try", "env.sh")] + [ROOT / ".ci" / "run"]


def sample(tmp_path: Path, **more: object) -> subprocess.Popen[str]:
    """What ``scripts/try`` starts once its environment is there."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    env = {**kept, "HOME": str(tmp_path), "HF_TOKEN": "hf_real", "http_proxy": "http://127.0.0.1:9"}
    command = [sys.executable, "-u", "-m", "scripts.sample", str(tmp_path / "tiny-llm")]
    return subprocess.Popen(
        command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more  # type: ignore[call-overload]
    )  # fmt: skip


def oids(dest: Path) -> dict[str, str]:
    """The sha256 that git's pointers name, by path."""
    command = ["git", "-C", str(dest), "grep", "--cached", "-I", "-h", "^oid sha256:", "--", "*.safetensors"]
    names = sorted(path.name for path in dest.glob("*.safetensors"))
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return dict(zip(names, [word.removeprefix("sha256:") for word in shown if word != "oid"], strict=True))


@pytest.mark.slow
def test_sample_clone_and_resume(tmp_path: Path) -> None:
    """A run that is interrupted, one that goes on, one that finds all in place; no token, no proxy of ours."""
    dest = tmp_path / "tiny-llm"
    first = sample(tmp_path, start_new_session=True)
    assert first.stdout is not None
    assert first.stderr is not None
    try:
        for line in first.stderr:
            if line.startswith("disk:"):
                break
        wait_for_part(dest, first)
        os.killpg(first.pid, signal.SIGINT)  # as a terminal does: to the script and to hfclone
        out, err = first.communicate(timeout=60)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(first.pid, signal.SIGKILL)
    assert first.returncode == 130, out + err
    assert "run the same command again to go on" in err
    out, err = sample(tmp_path).communicate(timeout=120)
    assert "hfclone ended with exit code 0" in out, out + err
    assert "working tree clean" in out
    assert re.search(r"reused (?!0 B)", err), err
    assert f"The checkout: {dest}" in out
    actual = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in dest.glob("*.safetensors")}
    assert len(actual) == 3
    assert oids(dest) == actual
    out, err = sample(tmp_path).communicate(timeout=120)
    assert "fetched 0 B" in err, out + err


def wait_for_part(dest: Path, process: subprocess.Popen[str]) -> None:
    """Until some range is on disk, in 60 s at most."""
    pause = threading.Event()
    for _ in range(1200):
        assert process.poll() is None, process.communicate()
        if any(len(path.read_text().splitlines()) > 1 for path in dest.glob(".git/hfclone/parts/*.journal")):
            return
        pause.wait(0.05)
    pytest.fail("it did not happen")


@pytest.mark.parametrize("script", SHELL, ids=lambda path: path.name)
def test_shell_is_read(script: Path) -> None:
    """Bash can parse it, and all but the sourced one can be run."""
    subprocess.run(["bash", "-n", str(script)], check=True)
    assert os.access(script, os.X_OK) == (script.suffix != ".sh")


def test_scripts_name_nothing_of_this_machine() -> None:
    """No registry, no absolute path of a workplace."""
    for path in [*SHELL, ROOT / "scripts" / "sample.py", ROOT / "setup.cfg"]:
        found = re.search(r"--index-url|--extra-index|pypi\.org|/work/|/root/|/home/", path.read_text())
        assert found is None, f"{path}: {found}"


@pytest.fixture
def bare_path(tmp_path: Path) -> str:
    """A PATH of a few commands, for a user who is not root and has no sudo."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("bash", "dirname", "cat"):
        found = shutil.which(name)
        assert found is not None
        (folder / name).symlink_to(found)
    (folder / "id").write_text("#!/bin/bash\necho 1000\n")
    (folder / "id").chmod(0o755)
    return str(folder)


def need(path: str, pair: str) -> subprocess.CompletedProcess[str]:
    """Ask env.sh for a command."""
    script = f'. "{ROOT}/scripts/env.sh"; PATH="{path}"; need {pair}'
    command = [shutil.which("bash") or "bash", "-c", script]
    return subprocess.run(command, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=False)


def test_a_missing_package_without_apt(bare_path: str) -> None:
    """It says what to install by hand."""
    done = need(bare_path, "aria2c:aria2")
    assert done.returncode == 1
    assert "please install aria2 by hand" in done.stderr


def test_a_missing_package_without_rights(bare_path: str) -> None:
    """It says what to ask of whom."""
    (Path(bare_path) / "apt-get").symlink_to(Path(bare_path) / "id")
    done = need(bare_path, "aria2c:aria2")
    assert done.returncode == 1
    assert "please install as root: apt-get install aria2" in done.stderr


def test_nothing_to_install(bare_path: str) -> None:
    """What is there needs neither."""
    assert need(bare_path, "cat:coreutils").returncode == 0


def test_pages_are_as_the_code_says() -> None:
    """Tables that are made; ``scripts/pages.py`` makes them anew."""
    command = [sys.executable, str(ROOT / "scripts" / "pages.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
