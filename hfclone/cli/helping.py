"""What ``--help`` prints: options under headings, examples, exit codes, the environment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any  # click hands over whatever it was given

import click

from hfclone.cli.messages import EXIT_CODES
from hfclone.settings import VARIABLES

__all__ = ["Command", "Examples", "write_epilog", "write_options"]

Examples = Sequence[tuple[str, str]]
"""Command lines, and what each does."""

_HEADINGS = (
    (
        "What to fetch",
        ("--revision", "--repo-type", "--include", "--exclude", "--quant", "--max-size", "--history"),
    ),
    (
        "Where from",
        (
            "--mirror",
            "--endpoint",
            "--only-mirrors",
            "--spare-hub",
            "--trust-mirror",
            "--proxy",
            "--reuse",
            "--reuse-by",
        ),
    ),
    (
        "How",
        (
            *("--fetcher", "--aria2-rpc", "--connections", "--limit-rate", "--window"),
            *("--stall-after", "--give-up-after"),
        ),
    ),
    ("On disk", ("--lfs-store", "--backup", "--cache", "--cache-dir", "--cache-link")),
    ("What is shown", ("--dry-run", "--progress", "--quiet", "--verbose", "--version", "--help")),
)
"""An option that stands nowhere here is the command's own."""


class Command(click.Command):
    """A command whose help has headings, and ends with examples and exit codes."""

    def __init__(self, *args: Any, examples: Examples = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = examples

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """In place of click's one list."""
        write_options(ctx, formatter, self.get_params(ctx))

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Behind the options."""
        write_epilog(formatter, self.examples)


def write_options(ctx: click.Context, formatter: click.HelpFormatter, params: Sequence[click.Parameter]) -> None:
    """The command's own options, then the others by heading, each list in its own order."""
    rows = {
        param.opts[-1]: row
        for param in params
        if isinstance(param, click.Option) and (row := param.get_help_record(ctx))
    }
    placed = {option for _heading, options in _HEADINGS for option in options}
    own = [row for option, row in rows.items() if option not in placed]
    lists = [("Options", own), *((heading, [rows[o] for o in options if o in rows]) for heading, options in _HEADINGS)]
    for heading, listed in lists:
        if listed:
            with formatter.section(heading):
                formatter.write_dl(listed)


def write_epilog(formatter: click.HelpFormatter, examples: Examples) -> None:
    """Examples, exit codes and the environment, which names the option that a variable stands for."""
    with formatter.section("Examples"):
        for command, meaning in examples:
            formatter.write_text(command)
            with formatter.indentation():
                formatter.write_text(meaning)
    with formatter.section("Exit codes"):
        formatter.write_dl([(str(code), meaning) for code, meaning in EXIT_CODES])
    with formatter.section("Environment"):
        formatter.write_dl(
            [
                (v.name.replace(" ", ", "), v.option if v.option.startswith("--") else v.help)
                for v in VARIABLES
                if v.name
            ]
        )
