"""The command line as far as it needs no hub: what it refuses, and what it shows of itself."""

import json
import re
import subprocess
import sys

import pytest

from hfclone.cli.commands import program, run
from hfclone.settings import VARIABLES


def hfclone(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hfclone", *args], capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (["a/b/c"], "hfclone: error: 'a/b/c' does not name a repo: a repo id has at most two parts\nhint: write"),
        (["clone", "clone/clone/clone"], "hfclone: error: 'clone/clone/clone' does not name a repo"),
        (["-q", "clone", "a/b/c"], "hfclone: error: 'a/b/c' does not name a repo"),
        (["--mirror", "clone", "a/b/c"], "hfclone: error: 'a/b/c' does not name a repo"),
        (["--mirror=x", "a/b/c"], "hfclone: error: 'a/b/c' does not name a repo"),
        (["--", "a/b/c"], "hfclone: error: 'a/b/c' does not name a repo"),
        (["--dry-run", "a/b/c", "dir"], "hfclone: error: 'a/b/c' does not name a repo"),
        (["gpt2", "--connections", "0"], "hfclone: error: --connections '0': write a number from 1 to 256\n"),
        (["gpt2", "--mirror", "ftp://x"], "hfclone: error: --mirror 'ftp://x': ftp: is not http or https\n"),
        (["gpt2", "--window", "night"], "hfclone: error: --window 'night': write two times of day"),
        (["gpt2", "--progress", "x"], "hfclone: error: --progress 'x': write one of auto, bar, json, none\n"),
        (["gpt2", "--nonsense"], "hfclone: error: No such option '--nonsense'"),
        (["gpt2", "dir", "more"], "hfclone: error: Got unexpected extra argument"),
        (["clone"], "hfclone: error: Missing argument 'REPO'"),
        (["gpt2", "--mirror"], "hfclone: error: Option '--mirror' requires an argument"),
        (["gpt2", "--repo-type", "x"], "hfclone: error: Invalid value for '--repo-type'"),
        (["datasets/x", "--repo-type", "model"], "hfclone: error: 'datasets/x' does not name a repo: it is a dataset"),
        (["gpt2", ""], "hfclone: error: DIR: it is empty\n"),
        (["gpt2", "-q", "-v"], "hfclone: error: --quiet: it contradicts --verbose\n"),
        (["https://x/gpt2/blob/main/a", "--include", "b"], "hfclone: error: --include 'b': REPO names a already\n"),
        (["a/\x1b[2J"], "hfclone: error: 'a/\\x1b[2J' does not name a repo"),
    ],
)
def test_refused(args: list[str], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(args) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(text)
    assert "hint: " in err


def test_the_environment_is_refused_by_name(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HFCLONE_STALL_AFTER", "soon")
    assert run(["gpt2"]) == 2
    assert capsys.readouterr().err.startswith("hfclone: error: HFCLONE_STALL_AFTER 'soon': write a duration")


@pytest.mark.parametrize("args", [["gpt2", "--progress", "json", "--window", "x"], ["--progress=json", "a/b/c"]])
def test_refused_as_data(args: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(args) == 2
    data = json.loads(capsys.readouterr().out)
    assert (data["v"], data["event"], data["exit"]) == (1, "error", 2)


def test_help_shows_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    text = capsys.readouterr().out
    for variable in VARIABLES:
        assert not variable.option.startswith("--") or variable.option in text
        assert all(name in text for name in variable.name.split())
    for word in ("Exit codes:", "Examples:", "130", "hfclone gpt2", "clone", "hf-mirror.com"):
        assert word in text
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize("name", sorted(program.commands))
def test_help_has_every_option_once(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Under whatever heading; the environment names options, and does not repeat what they do."""
    assert run([name, "--help"]) == 0
    text, _, environment = capsys.readouterr().out.partition("Environment:\n")
    listed = re.findall(r"^  (?:-[a-z], )?(--[a-z0-9-]+)", text, re.MULTILINE)
    assert sorted(listed) == sorted(
        ["--help", *(param.opts[-1] for param in program.commands[name].params if param.opts[-1].startswith("--"))]
    )
    assert re.search(r"^  HFCLONE_CONNECTIONS +--connections$", environment, re.MULTILINE)


def test_help_has_headings(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    text = capsys.readouterr().out
    places = [
        text.index(f"\n{word}")
        for word in (
            "What to fetch:",
            "  --include",
            "Where from:",
            "  --mirror",
            "How:",
            "  --window",
            "On disk:",
            "What is shown:",
            "  --version",
            "Commands:",
        )
    ]
    assert places == sorted(places)
    assert "Options:" not in text


@pytest.mark.parametrize("args", [["clone", "--help"], ["gpt2", "-h"]])
def test_the_commands_help(args: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(args) == 0
    text = capsys.readouterr().out
    assert text.startswith("Usage: hfclone clone [OPTIONS] REPO [DIR]")
    assert "Exit codes:" in text


def test_nothing_asked_is_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("Usage: hfclone REPO [DIR] [OPTIONS]")


def test_as_a_module() -> None:
    done = hfclone("--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("hfclone ")
    assert hfclone("a/b/c").returncode == 2
    assert hfclone("--version", "--help").stdout == done.stdout


@pytest.mark.parametrize(
    ("args", "heavy"),
    [("--version", "click tqdm git requests huggingface_hub"), ("--help", "tqdm git requests huggingface_hub")],
)
def test_heavy_imports_are_late(args: str, heavy: str) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "hfclone", args], capture_output=True, text=True, check=True
    )
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert not imported & set(heavy.split())
