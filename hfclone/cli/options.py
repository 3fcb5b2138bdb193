"""What the commands have in common: settings as options, and read from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar  # Any: click hands over options by name

import click

from hfclone.cli.projectfile import readable_project_file
from hfclone.cli.version import version
from hfclone.errors import BadOption
from hfclone.names import LfsStore, RepoType, Taking
from hfclone.settings import VARIABLES, Fetcher, Progress, Settings, Verbosity, read_settings
from hfclone.wording import phrase

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

__all__ = [
    "REUSED_BY",
    "STDOUT",
    "Job",
    "backup_option",
    "checkout_options",
    "chosen_settings",
    "directories",
    "files",
    "given_flags",
    "network_options",
    "path_of",
    "refuse_mixture",
    "repo_options",
    "selecting_options",
    "setting",
    "view_options",
]

Job = Callable[[], int]
"""What a command line asks for; done after click has returned, since click has its own idea of Ctrl-C."""

_Function = TypeVar("_Function", bound=Callable[..., object])


def setting(option: str, *, choices: Sequence[str] = (), metavar: str = "") -> Callable[[_Function], _Function]:
    """An option of the table in ``settings``; its value stays a text, which ``settings`` alone reads."""
    variable = next(variable for variable in VARIABLES if variable.option == option)
    help_text = variable.help + (f"  [default: {variable.default}]" if variable.default else "")
    name = option.lstrip("-").replace("-", "_")
    if choices:
        return click.option(
            option, name, metavar="|".join(choices), help=help_text, shell_complete=partial(_among, choices)
        )
    paths = directories if metavar == "DIR" else None
    return click.option(option, name, metavar=metavar, multiple=variable.many, help=help_text, shell_complete=paths)


def _among(choices: Sequence[str], _ctx: object, _param: object, incomplete: str) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem  # here and below: nobody else needs it

    return [CompletionItem(choice) for choice in choices if choice.startswith(incomplete.lower())]


def directories(_ctx: object, _param: object, incomplete: str) -> list[CompletionItem]:
    """A shell that completes an argument looks for folders itself."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(incomplete, type="dir")]


def files(_ctx: object, _param: object, incomplete: str) -> list[CompletionItem]:
    """The same for files."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(incomplete, type="file")]


STDOUT = "-"
"""In place of a file's name."""

REUSED_BY = (Taking.AUTO.value, Taking.HARDLINK.value)

_NETWORK = (
    setting("--mirror", metavar="ENDPOINT"),
    setting("--endpoint", metavar="ENDPOINT"),
    click.option("--only-mirrors", is_flag=True, help="never ask the hub"),
    click.option("--spare-hub", is_flag=True, help="ask the hub for large files only in need"),
    setting("--trust-mirror", metavar="ENDPOINT"),
    setting("--fetcher", choices=[kind.value for kind in Fetcher]),
    setting("--aria2-rpc", metavar="URL"),
    setting("--connections", metavar="N"),
    setting("--limit-rate", metavar="SIZE"),
    setting("--window", metavar="FROM-TO"),
    setting("--stall-after", metavar="TIME"),
    setting("--give-up-after", metavar="TIME"),
    setting("--proxy", metavar="URL"),
)
_REPO = (
    click.option("--revision", metavar="REV", help="branch, tag, refs/pr/N or commit"),
    click.option(
        "--repo-type",
        type=click.Choice([kind.value for kind in RepoType]),
        metavar="|".join(kind.value for kind in RepoType),
        help="what REPO is",
    ),
)
_SELECTING = (
    setting("--include", metavar="GLOB"),
    setting("--exclude", metavar="GLOB"),
    setting("--quant", metavar="NAME"),
    setting("--max-size", metavar="SIZE"),
)
backup_option = click.option(
    "--backup", is_flag=True, help="move files that are in the way aside, to NAME.hfclone-orig-N"
)
_CHECKOUT = (
    setting("--lfs-store", choices=[kind.value for kind in LfsStore]),
    setting("--reuse", metavar="DIR"),
    setting("--reuse-by", choices=REUSED_BY),
    backup_option,
)
_VIEW = (
    setting("--progress", choices=[kind.value for kind in Progress]),
    click.option("-q", "--quiet", is_flag=True, help="errors only"),
    click.option("-v", "--verbose", is_flag=True, help="every failure and every verified object"),
)


def path_of(text: str | None) -> Path | None:
    """A directory or file that was named, or not."""
    return None if text is None else Path(text)


def repo_options(function: _Function) -> _Function:
    """What of a repo is meant."""
    for option in reversed(_REPO):
        function = option(function)
    return function


def network_options(function: _Function) -> _Function:
    """Whom to ask, and how hard."""
    for option in reversed(_NETWORK):
        function = option(function)
    return function


def selecting_options(function: _Function) -> _Function:
    """Which of the large objects are wanted."""
    for option in reversed(_SELECTING):
        function = option(function)
    return function


def checkout_options(function: _Function) -> _Function:
    """What is done with disk and with a user's files."""
    for option in reversed(_CHECKOUT):
        function = option(function)
    return function


def view_options(function: _Function) -> _Function:
    """How the run is shown."""
    for option in reversed(_VIEW):
        function = option(function)
    return function


def chosen_settings(options: dict[str, Any]) -> Settings:
    """The settings that ``options`` (click's, by name), the environment, files and the defaults make.

    Raises:
        BadOption, BadSettings: a value cannot be meant.
    """
    flags = given_flags(options)
    if options["quiet"] and options["verbose"]:
        raise BadOption("--quiet", "", phrase("contradicts", option="--verbose"))
    verbosity = Verbosity.QUIET if options["quiet"] else Verbosity.VERBOSE if options["verbose"] else Verbosity.NORMAL
    return read_settings(flags, verbosity=verbosity, project=readable_project_file, user_agent=f"hfclone/{version()}")


def refuse_mixture(output: str, settings: Settings) -> None:
    """Events and a file cannot share stdout.

    Raises:
        BadOption: they would.
    """
    if output == STDOUT and settings.progress is Progress.JSON:
        raise BadOption("--progress", Progress.JSON.value, phrase("stdout-is-taken"))


def given_flags(options: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """What was said on the command line, by option."""
    flags: dict[str, tuple[str, ...]] = {}
    for variable in VARIABLES:
        value = options.get(variable.option.lstrip("-").replace("-", "_"))
        if variable.option.startswith("--") and value not in (None, (), False):
            flags[variable.option] = ("1",) if value is True else value if isinstance(value, tuple) else (value,)
    return flags
