"""What is released: an sdist, the wheel that it makes, and that this wheel alone is the whole program."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tarfile
import venv
from pathlib import Path

import pytest

from tests.e2e.command import ROOT

BUILD = """
import sys
from setuptools import build_meta
print(getattr(build_meta, sys.argv[1])(sys.argv[2]))
"""
SOURCES = ("setup.py", "setup.cfg", "MANIFEST.in", "*.md", "LICENSE", "hfclone", "docs", "scripts", "tests")


def build(what: str, source: Path, out: Path) -> Path:
    """Call a hook of setuptools, as pip and build do, in a process of its own."""
    command = [sys.executable, "-c", BUILD, what, str(out)]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return out / done.stdout.splitlines()[-1]


@pytest.mark.slow
def test_a_release(tmp_path: Path) -> None:
    """Built from a copy; installed with pip, and nothing else, into a fresh environment."""
    pytest.importorskip("setuptools", reason="setuptools is what builds it")
    if importlib.util.find_spec("setuptools.command.bdist_wheel") is None:
        pytest.skip("setuptools 70.1 or newer is what builds it")
    copy, out = tmp_path / "copy", tmp_path / "out"
    copy.mkdir()
    for source in (path for name in SOURCES for path in ROOT.glob(name)):
        if source.is_dir():
            shutil.copytree(source, copy / source.name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, copy)
    sdist = build("build_sdist", copy, out)
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
        archive.extractall(tmp_path / "unpacked", filter="data")
    for name in ("hfclone/checkout/filter.sh", "docs/hfclone.1", "LICENSE", "scripts/man.py", "tests/hub/server.py"):
        assert name in names
    assert not [name for name in names if "__pycache__" in name or name.endswith(".pyc")]
    (unpacked,) = (tmp_path / "unpacked").iterdir()
    wheel = build("build_wheel", unpacked, out)

    place = tmp_path / "venv"
    venv.create(place, with_pip=False)
    python = place / ("Scripts" if os.name == "nt" else "bin") / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--no-index", "-q", str(wheel)]
    done = subprocess.run(pip, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (site,) = place.glob("lib/*/site-packages")
    (site / "dependencies.pth").write_text(f"{Path(pytest.__file__).parents[1]}\n")
    assert (place / "share" / "man" / "man1" / "hfclone.1").read_bytes() == (ROOT / "docs" / "hfclone.1").read_bytes()
    assert (site / "hfclone" / "checkout" / "filter.sh").is_file()
    assert (site / "hfclone" / "py.typed").is_file()
    program = str(python.parent / "hfclone")
    where = subprocess.run(
        [python, "-c", "import hfclone; print(hfclone.__file__)"], capture_output=True, check=True, cwd=place
    )
    assert where.stdout.decode().startswith(str(site)), where
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True, cwd=place)
    assert version.stdout.startswith("hfclone 0.")
    config = subprocess.run(
        [program, "config"], capture_output=True, text=True, check=True, cwd=place, env={"PATH": os.defpath}
    )
    assert 'fetcher = "auto"' in config.stdout
