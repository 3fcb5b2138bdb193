#!/usr/bin/env python3
"""Writes docs/hfclone.1, the manual page, from the command line itself: scripts/man.py [--check]."""

from __future__ import annotations

import argparse
import inspect
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import click  # noqa: E402

from hfclone.cli.commands import EXAMPLES, program  # noqa: E402
from hfclone.cli.helping import Command  # noqa: E402
from hfclone.cli.messages import EXIT_CODES  # noqa: E402
from hfclone.settings import VARIABLES  # noqa: E402

PAGE = ROOT / "docs" / "hfclone.1"
DEFAULT = "clone"

FILES = (
    ("DIR/.git/hfclone/", "what has arrived of files that are not whole, and hfclone's notes"),
    ("hfclone.toml", "settings of a project, in the current directory; not read where git tracks it"),
    ("$XDG_CONFIG_HOME/hfclone/config.toml, ~/.config/hfclone/config.toml", "your own settings"),
    ("hfclone.lock", "what 'hfclone lock' writes and 'hfclone sync' reads"),
)
SEE_ALSO = ("git(1)", "git-lfs(1)", "aria2c(1)")


def page() -> Iterator[str]:
    """The lines of the manual page."""
    yield '.\\" made by scripts/man.py; do not edit'
    yield ".TH HFCLONE 1"
    yield ".SH NAME"
    yield f"hfclone \\- {escaped(_summary(program))}"
    yield ".SH SYNOPSIS"
    yield from _synopsis()
    yield ".SH DESCRIPTION"
    yield from _paragraphs(program)
    yield ".SH OPTIONS"
    yield from _options(program.commands[DEFAULT])
    yield from _options(program)
    yield ".SH COMMANDS"
    for name in sorted(program.commands.keys() - {DEFAULT}):
        yield from _command(name, program.commands[name])
    yield ".SH EXAMPLES"
    yield from _rows(EXAMPLES)
    yield ".SH EXIT STATUS"
    yield from _rows([(str(code), meaning) for code, meaning in EXIT_CODES])
    yield ".SH ENVIRONMENT"
    yield from _rows([(row.name.replace(" ", ", "), row.help) for row in VARIABLES if row.name])
    yield ".SH FILES"
    yield from _rows(FILES)
    yield ".SH SEE ALSO"
    yield escaped(", ".join(SEE_ALSO))


def escaped(text: str) -> str:
    """Text that roff takes for text: no line of it is a request, a hyphen of an option stays one."""
    plain = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{plain}" if plain.startswith((".", "'")) else plain


def _synopsis() -> Iterator[str]:
    yield ".B hfclone"
    yield escaped("REPO [DIR] [OPTIONS]")
    for name in sorted(program.commands.keys() - {DEFAULT}):
        yield ".br"
        yield f".B hfclone {name}"
        yield escaped(" ".join([*_arguments(program.commands[name]), "[OPTIONS]"]))


def _command(name: str, command: click.Command) -> Iterator[str]:
    """What it does, and what options it has that the main one has not."""
    yield f".SS {escaped(' '.join(['hfclone', name, *_arguments(command)]))}"
    yield from _paragraphs(command)
    known = {tuple(option.opts) for option in _listed(program.commands[DEFAULT])}
    shared = [option.opts[0] for option in _listed(command) if tuple(option.opts) in known]
    yield from _options(command, without=known)
    if shared:
        yield ".PP"
        yield escaped(f"Also, as above: {', '.join(shared)}.")
    if isinstance(command, Command):
        yield from _rows(command.examples)


def _paragraphs(command: click.Command) -> Iterator[str]:
    for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
        yield ".PP"
        yield escaped(" ".join(paragraph.split()))


def _summary(command: click.Command) -> str:
    first = inspect.cleandoc(command.help or "").partition("\n\n")[0]
    return " ".join(first.split()).rstrip(".")


def _arguments(command: click.Command) -> list[str]:
    context = click.Context(command)
    return [param.make_metavar(context) for param in command.params if isinstance(param, click.Argument)]


def _listed(command: click.Command) -> list[click.Option]:
    return [param for param in command.params if isinstance(param, click.Option) and not param.hidden]


def _options(
    command: click.Command, without: frozenset[tuple[str, ...]] | set[tuple[str, ...]] = frozenset()
) -> Iterator[str]:
    context = click.Context(command)
    for option in _listed(command):
        record = option.get_help_record(context)
        if record is not None and tuple(option.opts) not in without:
            names, text = record
            words = re.split(r"(?<= )(?=[A-Z\[a-z])", names, maxsplit=1) if " " in names else [names]
            yield ".TP"
            yield f"\\fB{escaped(words[0].rstrip())}\\fR" + (f" \\fI{escaped(words[1])}\\fR" if len(words) > 1 else "")
            yield escaped(" ".join(text.split()))


def _rows(rows: Sequence[tuple[str, str]]) -> Iterator[str]:
    for left, right in rows:
        yield ".TP"
        yield f"\\fB{escaped(left)}\\fR"
        yield escaped(right)


def main() -> int:
    """Write, or only look; 1 if the page is out of date."""
    parser = argparse.ArgumentParser(description="write docs/hfclone.1 from the command line's own words")
    parser.add_argument("--check", action="store_true", help="write nothing, say whether it is out of date")
    check = parser.parse_args().check
    text = "\n".join(page()) + "\n"
    if PAGE.exists() and PAGE.read_text(encoding="utf-8") == text:
        return 0
    sys.stderr.write(f"{PAGE.relative_to(ROOT)} is out of date\n")
    if not check:
        PAGE.write_text(text, encoding="utf-8")
    return int(check)


if __name__ == "__main__":
    sys.exit(main())
