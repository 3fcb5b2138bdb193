"""A shell's manners: completion, narrow and dumb terminals, locales that know no letters, the manual page."""

from __future__ import annotations

import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import termios
from fcntl import ioctl
from pathlib import Path

import pytest

from tests.e2e.command import ROOT, Command, placed
from tests.hub import Hub, Lfs

# --- completion --------------------------------------------------------------------------------


@pytest.fixture
def program(hfclone: Command) -> Command:
    """A user whose PATH has the command under its name."""
    place = hfclone.base / "bin"
    place.mkdir()
    (place / "hfclone").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m hfclone "$@"\n')
    (place / "hfclone").chmod(0o755)
    hfclone.environ["PATH"] = f"{place}:{hfclone.environ['PATH']}"
    return hfclone


CASES = [
    ("", {"clone", "verify", "config"}, set()),
    ("l", {"lock", "ls"}, {"clone"}),
    ("--mi", {"--mirror"}, set()),
    ("acme/tiny --dry", {"--dry-run"}, set()),
    ("acme/tiny --fetcher ", {"auto", "threads", "aria2c"}, set()),
    ("--fetcher ar", {"aria2c"}, {"auto"}),
    ("verify --lo", {"--lockfile"}, {"--dry-run"}),
    ("completion ", {"bash", "zsh", "fish"}, set()),
]


def test_bash_completes(program: Command) -> None:
    """In a real bash, also where the command's name is left out."""
    bash = shutil.which("bash")
    assert bash
    ask = "COMP_WORDS=(hfclone {}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); COMPREPLY=(); _hfclone_completion hfclone"
    words = [" ".join(f"'{word}'" for word in line.split(" ")) for line, _some, _none in CASES]
    script = 'eval "$(hfclone completion bash)"\n' + "".join(
        f'{ask.format(each)}; echo "${{COMPREPLY[*]}}"\n' for each in words
    )
    done = subprocess.run([bash, "-c", script], env=program.environ, capture_output=True, text=True, check=True)
    answers = done.stdout.splitlines()
    assert len(answers) == len(CASES), done
    for (line, some, none), answer in zip(CASES, answers, strict=True):
        assert some <= set(answer.split()), (line, answer)
        assert not none & set(answer.split()), (line, answer)


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells(program: Command, shell: str) -> None:
    """The script asks as that shell asks, and is answered."""
    script = program("completion", shell)
    assert (script.code, script.stderr) == (0, "")
    assert f"_HFCLONE_COMPLETE={shell}_complete" in script.stdout
    for line, some, none in CASES[2:5]:
        whole, _, last = f"hfclone {line}".rpartition(" ")
        words = {"fish": {"COMP_WORDS": whole, "COMP_CWORD": last}}.get(
            shell, {"COMP_WORDS": f"hfclone {line}", "COMP_CWORD": str(line.count(" ") + 1)}
        )
        done = program(env={"_HFCLONE_COMPLETE": f"{shell}_complete", **words})
        found = {part for each in done.stdout.splitlines() for part in re.split(r"[,\t]", each)}
        assert some <= found, (line, done)
        assert not none & found, (line, done)
    if shutil.which(shell):
        checked = subprocess.run([shell, "-n"], input=script.stdout, text=True, capture_output=True, check=False)
        assert checked.returncode == 0, checked.stderr


# --- terminals and locales ---------------------------------------------------------------------


def on_terminal(hfclone: Command, *args: str, columns: int, **env: str) -> bytes:
    """What a terminal of that width is sent; the run has to end well."""
    ours, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = hfclone.start(*args, env=env, stdout=theirs, stderr=theirs)
    os.close(theirs)
    said = b""
    try:
        while data := os.read(ours, 65536):
            said += data
    except OSError:
        pass  # the last one has closed it
    os.close(ours)
    assert process.wait(60) == 0, said
    return said


@pytest.mark.parametrize("columns", [10, 40])
def test_a_narrow_terminal(hub: Hub, hfclone: Command, columns: int) -> None:
    """Bars keep to one line, whatever its width; there is no colour, with NO_COLOR and without."""
    hub.repo("acme/one", {"a-name-that-is-longer-than-the-terminal-is-wide.bin": Lfs(50_000, seed=4)})
    said = on_terminal(hfclone, "acme/one", columns=columns, TERM="xterm-256color", NO_COLOR="1")
    assert not re.search(rb"\x1b\[[0-9;]*m", said)
    drawn = re.findall(r"\r([^\r\n]+)(?=\r)", said.decode().replace("\r\n", "\n"))
    assert drawn, said
    assert max(map(len, drawn)) < columns
    assert b"checkout" in said


def test_a_dumb_terminal(hub: Hub, hfclone: Command) -> None:
    """Lines, and no control character."""
    hub.repo("acme/one", {"a.bin": Lfs(50_000, seed=4)})
    said = on_terminal(hfclone, "acme/one", columns=80, TERM="dumb")
    assert set(re.findall(rb"[\x00-\x1f]", said)) <= {b"\r", b"\n"}
    assert b"checkout" in said


NAMES = {
    "ünï/模型.bin": Lfs(30_000, seed=5),
    b"raw-\xff\xfe.bin".decode("utf-8", "surrogateescape"): Lfs(20_000, seed=6),
    "es\x1bcape\n.bin": Lfs(10_000, seed=7),
}


@pytest.mark.parametrize(
    "env",
    [
        {"LC_ALL": "C"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"LC_ALL": "C", "PYTHONIOENCODING": "latin-1"},
    ],
    ids=["C", "ascii", "latin-1"],
)
def test_locales(hub: Hub, hfclone: Command, env: dict[str, str]) -> None:
    """Any name is written as git has it and shown without harm: no traceback, no control character."""
    hub.repo("acme/names", {os.fsencode(name): content for name, content in NAMES.items()})
    done = hfclone("acme/names", "-v", env=env)
    assert done.code == 0, done.stderr
    assert placed(hfclone.cwd / "names") == set(NAMES)
    listed = hfclone("ls", "acme/names", env=env)
    assert listed.code == 0, listed.stderr
    data = hfclone("ls", "acme/names", "--json", env=env)
    assert data.code == 0
    assert data.stdout.isascii()
    for text in (done.stderr, listed.stdout):
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", text), text
    assert "raw-\\xff\\xfe.bin" in listed.stdout
    assert "es\\x1bcape\\n.bin" in listed.stdout


# --- the manual page ---------------------------------------------------------------------------


def test_the_manual_page_is_as_the_code_says() -> None:
    """``scripts/man.py`` makes it anew."""
    command = [sys.executable, str(ROOT / "scripts" / "man.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_manual_page_can_be_read() -> None:
    """Groff has nothing to complain of, and every option is there."""
    page = ROOT / "docs" / "hfclone.1"
    text = page.read_text(encoding="utf-8").replace("\\-", "-")
    shown = subprocess.run(
        [sys.executable, "-m", "hfclone", "--help"], capture_output=True, text=True, check=True, cwd=ROOT
    )
    for option in re.findall(r"^  (--[a-z0-9-]+)", shown.stdout, re.MULTILINE):
        assert option == "--help" or f"\\fB{option}\\fR" in text, option
    groff = shutil.which("groff")
    if groff is None:
        pytest.skip("groff is not installed")
    done = subprocess.run(
        [groff, "-man", "-Tutf8", "-ww", "-z", str(page)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert Path(page).stat().st_size > 5000
