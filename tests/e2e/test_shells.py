"""A shell's manners: completion, narrow and dumb terminals, locales that know no letters, the manual page."""

from __future__ import annotations

import contextlib
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
from tests.hub import Hub, Lfs, LivingRepo

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
"""How a line begins, what has to be offered for its last word, and what must not be."""

WHOLE_WORDS = [
    ("acme/ti", set(), {"clone", "folder/"}),  # a repo is nothing that a shell could know
    ("acme/tiny fo", {"folder/"}, {"file.lock"}),
    ("acme/tiny --reuse ", {"folder/"}, {"file.lock"}),
    ("verify --lockfile f", {"folder/", "file.lock"}, set()),
    ("--reuse=fo", set(), {"file.lock", "--reuse=file.lock"}),
    ("verify --lockfile=f", set(), {"clone"}),  # zsh shows the path, fish the word
    ("verify --lockfile=folder/in=", set(), {"clone"}),
    ("--lfs-store=h", {"--lfs-store=hardlink"}, {"hardlink", "clone", "--lfs-store=copy"}),
]
"""More of them, for shells that complete paths where they are told to and have no break at ``=``."""


def test_bash_completes(program: Command) -> None:
    """In a real bash, also where the command's name is left out."""
    bash = shutil.which("bash")
    assert bash
    cases = [*CASES, ("--lfs-store =", {"hardlink", "copy"}, set()), ("--lfs-store = h", {"hardlink"}, {"copy"})]
    ask = "COMP_WORDS=(hfclone {}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); COMPREPLY=(); _hfclone_completion hfclone"
    words = [" ".join(f"'{word}'" for word in line.split(" ")) for line, _some, _none in cases]
    script = 'eval "$(hfclone completion bash)"\n' + "".join(
        f'{ask.format(each)}; echo "${{COMPREPLY[*]}}"\n' for each in words
    )
    done = subprocess.run([bash, "-c", script], env=program.environ, capture_output=True, text=True, check=True)
    answers = done.stdout.splitlines()
    assert len(answers) == len(cases), done
    for (line, some, none), answer in zip(cases, answers, strict=True):
        assert some <= set(answer.split()), (line, answer)
        assert not none & set(answer.split()), (line, answer)


def test_fish_completes(program: Command) -> None:
    """A real fish says what it would offer; a description is whole."""
    fish = shutil.which("fish")
    if fish is None:
        pytest.skip("fish is not installed")
    lines = _world(program)
    script = (
        "hfclone completion fish | source; or exit 1\n"
        "while read --line line; echo \\>; complete --do-complete $line; end < lines"
    )
    done = subprocess.run(
        [fish, "--no-config", "-c", script], env=program.environ, cwd=program.cwd, capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")
    blocks = done.stdout.decode().split(">\n")[1:]
    _check(lines, [{line.partition("\t")[0] for line in block.splitlines()} for block in blocks])
    assert "config\tShow the settings, and where each comes from." in blocks[0]
    said = {
        line: {one.partition("\t")[0] for one in block.splitlines()} for line, block in zip(lines, blocks, strict=True)
    }
    assert said["hfclone --reuse=fo"] == {"--reuse=folder/"}
    assert said["hfclone verify --lockfile=f"] == {"--lockfile=file.lock", "--lockfile=folder/"}
    assert said["hfclone verify --lockfile=folder/in="] == {"--lockfile=folder/in=it"}


ZSHRC = r"""
autoload -Uz compinit; compinit -u -D
eval "$(hfclone completion zsh)" || exit 1
compadd() {  # the one way by which anything is offered
    local offered=()
    (( ${@[(I)-[OAD]*]} )) || builtin compadd -O offered "$@"
    (( $#offered )) && print -rl -- $offered >&9
    builtin compadd "$@"
}
zle-line-init() {  # the prompt stands: as if each line were typed there, and a Tab behind it
    exec 9> offers
    while IFS= read -r BUFFER; do
        CURSOR=$#BUFFER
        print -r -- ">" >&9
        zle complete-word
        print -r -- "$BUFFER" >&9
    done < lines
    exit
}
zle -N zle-line-init
"""


def test_zsh_completes(program: Command) -> None:
    """A real zsh at its prompt: what it offers, and what becomes of a line where only one thing is meant."""
    zsh = shutil.which("zsh")
    if zsh is None:
        pytest.skip("zsh is not installed")
    lines = _world(program)
    (program.home / ".zshrc").write_text(ZSHRC)
    ours, theirs = pty.openpty()
    env = {**program.environ, "ZDOTDIR": str(program.home), "TERM": "dumb"}
    shell = subprocess.Popen(
        [zsh, "-d", "-i"], env=env, cwd=program.cwd, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    )
    os.close(theirs)
    said = _all_of(ours)
    assert shell.wait(60) == 0, said
    blocks = (program.cwd / "offers").read_text().split(">\n")[1:]
    offers = [block.splitlines()[:-1] for block in blocks]
    _check(lines, [{f"{one}/" if one == "folder" else one for one in some} for some in offers])
    typed = dict(zip(lines, [block.splitlines()[-1] for block in blocks], strict=True))
    assert typed["hfclone --mi"] == "hfclone --mirror "
    assert typed["hfclone --lfs-store=h"] == "hfclone --lfs-store=hardlink "
    assert typed["hfclone acme/tiny fo"] == "hfclone acme/tiny folder/"
    assert typed["hfclone --reuse=fo"] == "hfclone --reuse=folder/"
    assert typed["hfclone verify --lockfile=folder/in="] == "hfclone verify --lockfile=folder/in=it "
    assert {"file.lock", "folder"} <= set(offers[lines.index("hfclone verify --lockfile=f")])


def _world(program: Command) -> list[str]:
    """A directory to stand in, with something to complete; the lines that its file ``lines`` holds."""
    (program.cwd / "folder").mkdir()
    (program.cwd / "folder" / "in=it").touch()
    (program.cwd / "file.lock").touch()
    lines = [f"hfclone {line}" for line, _some, _none in (*CASES, *WHOLE_WORDS)]
    (program.cwd / "lines").write_text("".join(f"{line}\n" for line in lines))
    return lines


def _check(lines: list[str], offers: list[set[str]]) -> None:
    assert len(offers) == len(lines), offers
    for (_line, some, none), line, offered in zip((*CASES, *WHOLE_WORDS), lines, offers, strict=True):
        assert some <= offered, (line, offered)
        assert not none & offered, (line, offered)


# --- terminals and locales ---------------------------------------------------------------------


def on_terminal(hfclone: Command, *args: str, columns: int, **env: str) -> bytes:
    """What a terminal of that width is sent; the run has to end well."""
    ours, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = hfclone.start(*args, env=env, stdout=theirs, stderr=theirs)
    os.close(theirs)
    said = _all_of(ours)
    assert process.wait(60) == 0, said
    return said


def _all_of(terminal: int) -> bytes:
    """What is written there until the last one has closed it."""
    said = b""
    with contextlib.suppress(OSError):
        while data := os.read(terminal, 65536):
            said += data
    os.close(terminal)
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


@pytest.mark.parametrize(("columns", "digits"), [(40, 0), (70, 12), (200, 64)])
def test_a_listing_on_a_narrow_terminal(
    hub: Hub, tiny_repo: LivingRepo, hfclone: Command, columns: int, digits: int
) -> None:
    """The sha256 makes room: it is shortened, or goes. What is piped is whole."""
    assert hub.url and tiny_repo.commit
    rows = on_terminal(hfclone, "ls", "acme/tiny", "-q", columns=columns).decode().splitlines()
    assert len(rows) == 13
    assert max(map(len, rows)) <= columns
    piped = hfclone("ls", "acme/tiny", env={"COLUMNS": "40"}).stdout.splitlines()
    for row, whole in zip(rows, piped, strict=True):
        size, kind, sha256, path = whole.split(maxsplit=3)
        assert row.split(maxsplit=3 if digits else 2) == [size, kind, *([sha256[:digits]] if digits else []), path]
    assert digits < 64 or rows == piped


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
