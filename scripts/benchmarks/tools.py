"""The tools and how each is asked to do the same work: its whole job, listing or clone included, to verified files."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .measure import Command, Job
from .servers import REPO, Stage

__all__ = ["TOOLS", "Place", "hfclone", "job", "two_halves", "version_of"]

ARIA2C = ["--split=16", "--max-connection-per-server=16", "--max-concurrent-downloads=16", "--file-allocation=falloc"]
ARIA2C += ["--no-conf", "--quiet", "--allow-overwrite=true", "--auto-file-renaming=false"]
GIT_CONFIG = """[filter "lfs"]
\tclean = git-lfs clean -- %f
\tsmudge = git-lfs smudge -- %f
\tprocess = git-lfs filter-process
\trequired = true
"""


@dataclass(frozen=True, slots=True)
class Place:
    """Private folders of one run: ``home``, and ``dest`` where the files are to be."""

    folder: Path

    @property
    def home(self) -> Path:
        """Its HOME, caches and configuration."""
        return self.folder / "home"

    @property
    def dest(self) -> Path:
        """Where its files come to lie."""
        return self.folder / "dest"

    def clean(self) -> None:
        """Begin anew, with nothing of an earlier run left to be written to the disk."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.home.mkdir(parents=True)
        (self.home / ".gitconfig").write_text(GIT_CONFIG)
        os.sync()


Tool = Callable[[Stage, Place], list[list[Command]]]


def job(groups: list[list[Command]], stage: Stage, place: Place) -> Job:
    """``groups`` in an environment in which no tool finds anything of the user's."""
    certificate = os.fspath(stage.certificate)
    env = {
        "PATH": os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", os.defpath)]),
        "HOME": os.fspath(place.home),
        "LC_ALL": "C.UTF-8",
        "HF_HOME": os.fspath(place.home / "hf"),
        "HF_TOKEN_PATH": os.devnull,
        "HF_ENDPOINT": stage.hub.url,
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "GIT_CONFIG_GLOBAL": os.fspath(place.home / ".gitconfig"),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_SSL_CAINFO": certificate,
        "SSL_CERT_FILE": certificate,
        "PYTHONPATH": os.fspath(Path(__file__).absolute().parents[2]),
    }
    return Job(groups, env, place.folder, place.folder / "log")


def hfclone(*args: str) -> Command:
    """A command line of hfclone's, of this clone."""
    installed = Path(sys.executable).with_name("hfclone")
    return [os.fspath(installed), *args] if installed.exists() else [sys.executable, "-m", "hfclone", *args]


def _threads(stage: Stage, place: Place) -> list[list[Command]]:
    return [[hfclone(REPO, os.fspath(place.dest), "--endpoint", stage.hub.url, "--quiet")]]


def _through_aria2c(stage: Stage, place: Place) -> list[list[Command]]:
    return [[[*command, "--fetcher", "aria2c"] for command in _threads(stage, place)[0]]]


def _listing(stage: Stage, place: Place) -> Command:
    script = os.fspath(Path(__file__).with_name("listing.py"))
    lists = [os.fspath(place.folder / name) for name in ("list", "sums")]
    return [sys.executable, "-I", "-S", script, stage.hub.url, REPO, *lists]


def _aria2c(stage: Stage, place: Place) -> list[list[Command]]:
    """It verifies what it fetches: each file's checksum is in its list."""
    where = ["--dir", os.fspath(place.dest), "--ca-certificate", os.fspath(stage.certificate)]
    return [[_listing(stage, place)], [["aria2c", *ARIA2C, *where, "--input-file", os.fspath(place.folder / "list")]]]


def _aria2c_sums(stage: Stage, place: Place) -> list[list[Command]]:
    """It does not verify; ``sha256sum -c`` does."""
    listing, fetching = _aria2c(stage, place)
    plain = ["sh", "-c", 'sed -i "/checksum=/d" list']
    check = ["sh", "-c", f'cd "{place.dest}" && sha256sum --check --quiet "{place.folder}/sums"']
    return [listing, [plain], fetching, [check]]


def _dgst(stage: Stage, place: Place) -> Command:
    return ["openssl", "dgst", "-sha256", *(os.fspath(place.dest / path) for path in stage.work.objects)]


def _hf(stage: Stage, place: Place) -> list[list[Command]]:
    fetching = [_beside("hf"), "download", REPO, "--local-dir", os.fspath(place.dest), "--quiet"]
    return [[fetching], [_dgst(stage, place)]]


def _git_lfs(stage: Stage, place: Place) -> list[list[Command]]:
    """git-lfs verifies what it fetches."""
    clone = [
        "env",
        "GIT_LFS_SKIP_SMUDGE=1",
        "git",
        "clone",
        "--quiet",
        f"{stage.hub.url}/{REPO}",
        os.fspath(place.dest),
    ]
    return [[clone], [["git", "-C", os.fspath(place.dest), "lfs", "pull"]]]


def _curl(stage: Stage, place: Place) -> list[list[Command]]:
    """It is told the URLs beforehand and verifies nothing: what moving the bytes costs."""
    place.dest.mkdir()
    rows = []
    for path, oid in stage.work.objects.items():
        rows += [
            f'url = "{stage.hub.site.sign(stage.hosted, oid, origin=stage.hub.cdn_url)}"',
            f'output = "{place.dest / path}"',
        ]
    (place.folder / "urls").write_text("\n".join(rows))
    trust = ["--cacert", os.fspath(stage.certificate)]
    return [[["curl", "--silent", "--fail", *trust, "--create-dirs", "--config", os.fspath(place.folder / "urls")]]]


def _curl_dgst(stage: Stage, place: Place) -> list[list[Command]]:
    return [*_curl(stage, place), [_dgst(stage, place)]]


def _beside(name: str) -> str:
    """A program of this environment, else of the PATH."""
    here = Path(sys.executable).with_name(name)
    return os.fspath(here) if here.exists() else name


def two_halves(paths: Sequence[Path]) -> list[Command]:
    """``openssl dgst`` by two processes at once, each with about half of the bytes."""
    halves: list[list[Path]] = [[], []]
    sizes = [0, 0]
    for path in sorted(paths, key=lambda path: -path.stat().st_size):
        lighter = sizes.index(min(sizes))
        halves[lighter].append(path)
        sizes[lighter] += path.stat().st_size
    return [["openssl", "dgst", "-sha256", *map(os.fspath, half)] for half in halves if half]


def version_of(tool: str) -> str:
    """The first line of what a program says of itself."""
    command = [_beside(tool), "version"] if tool in ("hf", "openssl", "git-lfs") else [_beside(tool), "--version"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    except OSError:
        return "not installed"
    return (said.splitlines() or [""])[0]


TOOLS: dict[str, Tool] = {
    "hfclone": _threads,
    "hfclone aria2c": _through_aria2c,
    "aria2c": _aria2c,
    "aria2c + sha256sum": _aria2c_sums,
    "hf + openssl": _hf,
    "git lfs": _git_lfs,
    "curl": _curl,
    "curl + openssl": _curl_dgst,
}
