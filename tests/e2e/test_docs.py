"""Every hfclone command line that a page shows can be meant: its options exist, and their values are some."""

from __future__ import annotations

import inspect
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from hfclone.cli.commands import program
from hfclone.errors import BadLockfile, HfcloneError

ROOT = Path(__file__).parents[2]
PAGES = [*sorted(ROOT.glob("README*.md")), *sorted((ROOT / "docs").glob("*.md"))]

_FENCE = re.compile(r"^```(?:console|sh)\n(.*?)^```", re.DOTALL | re.MULTILINE)
_SPAN = re.compile(r"`((?:[A-Z_]+=\S+ )*hfclone [^`]+)`")


def shown(page: Path) -> Iterator[list[str]]:
    """The words of each, from ``hfclone`` on: of blocks with their lines joined, and of code in the text."""
    text = page.read_text(encoding="utf-8")
    blocks = "\n".join(_FENCE.findall(text)).replace("\\\n", " ").splitlines()
    for line in [*blocks, *_SPAN.findall(re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE))]:
        words = shlex.split(line.removeprefix("$ ").replace(";", " ;"), comments=True)
        if "hfclone" in words and "..." not in words:
            yield _until_the_shell(words[words.index("hfclone") + 1 :])


def _until_the_shell(args: list[str]) -> list[str]:
    """What comes before a pipe, a redirection, a list of commands."""
    return args[: next((at for at, word in enumerate(args) if re.match(r"[|<>&;)]", word)), len(args))]


LINES = [(page.name, args) for page in PAGES for args in shown(page)]


@pytest.mark.parametrize(("page", "args"), LINES, ids=[f"{page}-{' '.join(args)}" for page, args in LINES])
def test_it_can_be_meant(page: str, args: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As far as the command line is read; nothing of it is done."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "Downloads").mkdir()
    words = [word.replace("~", str(tmp_path)) for word in args]
    job = program.main(words, prog_name="hfclone", standalone_mode=False)
    if callable(job):  # else --version has done all
        held = inspect.getclosurevars(job).nonlocals.values()  # a job that only tells why holds the reason
        failures = [value for value in held if isinstance(value, HfcloneError)]
        assert all(isinstance(failure, BadLockfile) for failure in failures), page  # there is none here


def test_there_are_some() -> None:
    """The extraction above finds them."""
    assert len(LINES) > 90
    assert ("mirrors-and-tokens.md", ["org/name", "--mirror", "hf-mirror.com", "--only-mirrors"]) in LINES
