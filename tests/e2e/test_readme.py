"""What the README shows is what happens: its commands, its Python, its tables."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from hfclone.cli.messages import EXIT_CODES
from tests.hub import Hub, Lfs, LivingRepo
from tests.hub.mirror import files_only

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CHINESE = (ROOT / "README.zh-CN.md").read_text(encoding="utf-8")
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
MIRRORS = ("hf-mirror.com", "http://127.0.0.1:8080")
"""Endpoints that the README names; each becomes a mirror of the test hub."""


def blocks(language: str, page: str = README) -> list[str]:
    """The fenced blocks in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page, re.DOTALL | re.MULTILINE)


def console_commands(page: str = README) -> list[str]:
    """Every command that a console block shows."""
    return [line[2:] for block in blocks("console", page) for line in block.splitlines() if line.startswith("$ ")]


def table_commands(page: str = README) -> list[str]:
    """Every command in the first column of a table."""
    return re.findall(r"^\| `(hfclone [^`]*)` \|", page, re.MULTILINE)


def hfclone_commands() -> list[str]:
    """Every hfclone command, from console blocks and from tables."""
    from_tables = table_commands()
    return [line for line in (*console_commands(), *from_tables) if "hfclone" in shlex.split(line, comments=True)]


@pytest.fixture
def shown_hub(hub: Hub) -> Hub:
    """A hub with the repos that the README names."""
    for repo_id in ("gpt2", "org/name"):
        repo = make(hub, repo_id)
        repo.tag("v1.0")
    make(hub, "org/name", "dataset")
    hub.repo("org/gguf", {"name-Q4_K_M.gguf": Lfs(1000, seed=3), "name-Q8_0.gguf": Lfs(2000, seed=4)})
    return hub


def make(hub: Hub, repo_id: str, repo_type: str = "model") -> LivingRepo:
    """A small repo."""
    files = {"config.json": "{}\n", "model.safetensors": Lfs(200_000, seed=1), "old/a.safetensors": Lfs(1000, seed=2)}
    return hub.repo(repo_id, files, repo_type=repo_type)  # type: ignore[arg-type]


def environment(tmp_path: Path, hub: Hub, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """A stranger's environment, with the test hub in place of the hub."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    ours = {"HOME": str(tmp_path), "HF_ENDPOINT": hub.url, "PYTHONPATH": str(ROOT), "GIT_CONFIG_NOSYSTEM": "1"}
    return {**kept, **ours, **(more or {})}


def on_test_hub(words: Sequence[str], mirrors: Mapping[str, str]) -> list[str]:
    """A command with the README's mirrors replaced."""
    return [mirrors.get(word, word) for word in words]


OTHERS = ("ls", "status", "verify", "pull", "fetch", "export", "import", "lock", "sync")
"""Commands that are not the main job."""


def is_other(command: str) -> bool:
    """Whether it is one of ``OTHERS``."""
    return shlex.split(command, comments=True)[1] in OTHERS


def test_other_commands_run(shown_hub: Hub, tmp_path: Path) -> None:
    """Those that work on a checkout or a lockfile, for real and in the README's order."""
    make(shown_hub, "org/data", "dataset")
    env = environment(tmp_path, shown_hub)
    for command in ["hfclone org/name models/name", *filter(is_other, hfclone_commands())]:
        if " import " in command:
            browsed = tmp_path / "Downloads" / "model (1).safetensors"
            browsed.parent.mkdir()
            (tmp_path / "models/name/model.safetensors").rename(browsed)
        words = [word.replace("~", str(tmp_path)) for word in shlex.split(command, comments=True)]
        full = [sys.executable, "-m", "hfclone", *words[1:]]
        done = subprocess.run(full, env=env, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (command, done.stderr)
    assert (tmp_path / "models/name/model.safetensors").stat().st_size == 200_000
    assert (tmp_path / "hfclone.lock").exists()
    assert (tmp_path / "data/model.safetensors").stat().st_size == 200_000


@pytest.mark.parametrize("command", [command for command in hfclone_commands() if not is_other(command)])
def test_commands_run(shown_hub: Hub, tmp_path: Path, command: str) -> None:
    """Each command, up to its plan."""
    mirrors = {name: shown_hub.mirror(f"mirror-{at}").url for at, name in enumerate(MIRRORS)}
    words = shlex.split(command, comments=True)
    before, args = words[: words.index("hfclone")], words[words.index("hfclone") + 1 :]
    settings = {name: mirrors.get(value, value) for name, _, value in (word.partition("=") for word in before)}
    if "aria2c" in args and shutil.which("aria2c") is None:
        pytest.skip("aria2c is not installed")
    full = [sys.executable, "-m", "hfclone", *on_test_hub(args, mirrors), "--dry-run"]
    env = environment(tmp_path, shown_hub, settings)
    done = subprocess.run(full, env=env, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "object" in done.stdout + done.stderr, "no plan was shown"


def test_there_are_commands() -> None:
    """The extraction above finds them."""
    found = hfclone_commands()
    assert len(found) >= 12, found
    assert "hfclone org/name --mirror hf-mirror.com" in found


def test_scripts_exist() -> None:
    """The README opens with two scripts; they can be run."""
    scripts = [words[0] for words in map(shlex.split, console_commands()) if words[0].startswith("scripts/")]
    assert scripts[:2] == ["scripts/try", "scripts/test"]
    for script in scripts:
        assert os.access(ROOT / script, os.X_OK)


def test_python_runs(shown_hub: Hub, tmp_path: Path) -> None:
    """The example of the library, as it stands, but for the mirror's address."""
    (code,) = blocks("python")
    mirror = shown_hub.mirror("mirror", files_only())
    code = code.replace(MIRRORS[0], mirror.url)
    env = environment(tmp_path, shown_hub)
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    commit, path, fetched = done.stdout.split()
    assert len(commit) == 40
    assert path.endswith("models/name")
    assert int(fetched) == 201_000
    assert (tmp_path / "models/name/model.safetensors").stat().st_size == 200_000
    assert done.stderr == ""


def test_exit_codes() -> None:
    """The table is the program's."""
    rows = re.findall(r"^\| (\d+) \| (.*) \|$", README, re.MULTILINE)
    assert rows == [(str(code), meaning) for code, meaning in EXIT_CODES]


def test_both_languages_show_the_same() -> None:
    """Commands, code, exit codes and pages; only the words differ."""

    def shown(page: str) -> list[object]:
        commands = [shlex.split(command, comments=True) for command in console_commands(page)]
        codes = re.findall(r"^\| (\d+) \|", page, re.MULTILINE)
        targets = re.findall(r"\]\(([^)#:]+)\)", page)[1:]  # the first leads to the other language
        return [commands, table_commands(page), blocks("python", page), codes, targets, page.count("\n## ")]

    assert shown(CHINESE) == shown(README)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """Links between our own pages."""
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target
