"""Commands about hfclone itself: ``config``, ``completion``. They speak to nobody."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any  # click hands over options by name

import click

from hfclone.cli.helping import Command
from hfclone.cli.inspecting import guarded, json_option
from hfclone.cli.options import (
    Job,
    checkout_options,
    chosen_settings,
    given_flags,
    network_options,
    selecting_options,
    view_options,
)
from hfclone.cli.projectfile import find_project_file, readable_project_file
from hfclone.cli.session import Session, write_line
from hfclone.cli.words import show_text
from hfclone.events import OnEvent
from hfclone.settings import (
    SECRETS,
    Origin,
    Said,
    Settings,
    Variable,
    Where,
    user_file,
    what_was_said,
    without_password,
)
from hfclone.wording import line, phrase

__all__ = ["COMMANDS"]

Row = tuple[Variable, Said]


@click.command(
    cls=Command,
    short_help="Show the settings, and where each comes from.",
    examples=(
        ("hfclone config", "what holds here, as a file of settings would say it"),
        ("hfclone config --show-origin", "and who said it"),
        ("hfclone config --json --connections 8", "as data; with a flag, as a run with it would have it"),
    ),
)
@click.option("--show-origin", is_flag=True, help="say where each value comes from, and which files there may be")
@json_option
@selecting_options
@checkout_options
@network_options
@view_options
def config(show_origin: bool, as_json: bool, **options: Any) -> Job:  # noqa: FBT001  # click's
    """Show the settings: flags win over the environment, that over files, those over defaults.

    Files are hfclone.toml in the current directory, unless git tracks it there or hfclone made that
    checkout, and hfclone/config.toml in $XDG_CONFIG_HOME, ~/.config or %APPDATA%.
    """

    def make() -> Job:
        settings = chosen_settings(options)  # also says what cannot be meant
        rows = what_was_said(given_flags(options), project=readable_project_file)

        def work(_on_event: OnEvent) -> None:
            lines = _data(rows) if as_json else _lines(rows, settings, show_origin=show_origin)
            for text in lines:
                write_line(text)

        return lambda: Session(settings).run(work)

    return guarded(make, options)


def _data(rows: Sequence[Row]) -> Iterator[str]:
    from hfclone.cli.reports import to_json

    for row, said in rows:
        shown = _shown(row, said)
        value = list(shown) if row.many else "".join(shown[-1:])
        yield to_json({"setting": row.key, "value": value, "origin": said.origin.value, "said": said.name})


def _lines(rows: Sequence[Row], settings: Settings, *, show_origin: bool) -> Iterator[str]:
    """TOML, which a file of settings may hold; what no file says is a comment."""
    if show_origin:
        yield from _files(settings)
    for row, said in rows:
        shown = _shown(row, said)
        text = f"[{', '.join(map(_quoted, shown))}]" if row.many else _quoted("".join(shown[-1:]))
        origin = f"  # {said.name or phrase('default')}" if show_origin else ""
        if row.where is not Where.NONE:
            yield show_text(f"{row.key} = {text}{origin}")
        elif said.origin is not Origin.DEFAULT:
            yield show_text(f"# {row.key} = {text}{origin}")


def _files(settings: Settings) -> Iterator[str]:
    """Which files there may be, and what became of them."""
    found = find_project_file(settings.environment)
    if settings.environment.get("HFCLONE_CONFIG"):
        yield show_text(line("config only", path=settings.environment["HFCLONE_CONFIG"]))
        return
    if found is not None:
        yield show_text(
            line("config project ignored" if found.ignored else "config project", path=found.path, reason=found.ignored)
        )
    own = user_file(settings.environment)
    if own is not None:
        yield show_text(line("config own" if os.path.lexists(own) else "config own none", path=own))


def _shown(row: Variable, said: Said) -> tuple[str, ...]:
    """The values without their secrets."""
    if row.option in SECRETS:
        return tuple("***" for _ in said.values)
    return tuple(map(without_password, said.values)) if row.option.endswith("proxy") else said.values


def _quoted(text: str) -> str:
    """A TOML text of one line."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in escaped) + '"'


@click.command(
    cls=Command,
    short_help="Print what makes a shell complete commands and options.",
    examples=(
        ('eval "$(hfclone completion bash)"', "in ~/.bashrc; the same in ~/.zshrc, after compinit"),
        ("hfclone completion fish > ~/.config/fish/completions/hfclone.fish", "fish reads it by itself"),
    ),
)
@click.argument("shell", metavar="bash|zsh|fish", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> Job:
    """Print what makes SHELL complete hfclone's commands and options."""
    from click.shell_completion import get_completion_class

    from hfclone.cli.completing import register

    def job() -> int:
        register()
        kind = get_completion_class(shell)
        assert kind is not None  # Choice lets no other through
        # The script asks 'hfclone' itself each time; which command stands here does not matter.
        script = kind(completion, {}, "hfclone", "_HFCLONE_COMPLETE").source().strip("\n")
        return Session(Settings()).run(lambda _on_event: write_line(script))

    return job


COMMANDS = (config, completion)
