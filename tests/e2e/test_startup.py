"""``--version`` and ``--help`` import little: floors, not timings."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.e2e.command import ROOT, Command

HEAVY = {"requests", "git", "huggingface_hub", "tqdm", "urllib3", "xxhash", "httpx2"}


def imported(*args: str) -> tuple[set[str], str]:
    """Top names and names of ours that a command line imports, and its stdout."""
    command = [sys.executable, "-X", "importtime", "-m", "hfclone", *args]
    env = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 2), done.stderr
    names = set(re.findall(r"^import time:.*\|\s*(\S+)$", done.stderr, re.MULTILINE))
    return names | {name.partition(".")[0] for name in names}, done.stdout


def test_version() -> None:
    """No click, and of ours two modules."""
    names, out = imported("--version")
    assert re.fullmatch(r"hfclone \S+\n", out)
    assert not names & (HEAVY | {"click", "ssl", "subprocess", "asyncio"})
    assert {name for name in names if name.startswith("hfclone.")} <= {
        "hfclone.cli",
        "hfclone.cli.version",
        "hfclone.__main__",
    }


@pytest.mark.parametrize("args", [("--help",), ("-h",), ("clone", "--help"), ()])
def test_help(args: tuple[str, ...]) -> None:
    """No library but click, and nothing of ours that works."""
    names, _out = imported(*args)
    assert not names & (HEAVY | {"ssl", "asyncio", "http.client"})
    assert not names & {
        "hfclone.flows.clone",
        "hfclone.flows.tools",
        "hfclone.http",
        "hfclone.hub.client",
        "hfclone.git",
        "hfclone.transfer",
    }


@pytest.mark.parametrize("args", [("a/b/c",), ("gpt2", "--window", "night"), ("gpt2", "--nonsense")])
def test_refusals(args: tuple[str, ...]) -> None:
    """What cannot be meant is told as quickly."""
    names, _out = imported(*args)
    assert not names & HEAVY


def test_help_is_help(hfclone: Command) -> None:
    """On stdout, with every option, the exit codes and the environment; wide enough for any terminal."""
    done = hfclone("--help")
    assert (done.code, done.stderr) == (0, "")
    for word in ("--mirror", "--only-mirrors", "--dry-run", "Exit codes", "HF_ENDPOINT", "130", "hfclone gpt2"):
        assert word in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_what_is_needed_later_is_imported_while_the_hub_is_waited_for() -> None:
    code = (
        "import sys, threading\n"
        "from hfclone.hub.pasted import parse_repo_spec\n"
        "from hfclone.settings import Settings\n"
        "from hfclone.flows.tools import Tools\n"
        "later = {'git.cmd', 'hfclone.transfer.threads'}\n"
        "assert not later & set(sys.modules)\n"
        "Tools.of(Settings(), parse_repo_spec('gpt2')).warm_up()\n"
        "[thread.join() for thread in threading.enumerate() if thread is not threading.main_thread()]\n"
        "assert later <= set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
