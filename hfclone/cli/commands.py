"""The command line. The only user of click; what does the work is imported when it is called."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any  # Any: click hands over options by name

import click

from hfclone.cli import configuring, handoff, inspecting, keeping
from hfclone.cli.helping import Command, write_epilog, write_options
from hfclone.cli.messages import EXIT_BROKEN_PIPE, EXIT_INTERRUPTED, EXIT_USAGE, usage_lines
from hfclone.cli.options import (
    Job,
    checkout_options,
    chosen_settings,
    directories,
    network_options,
    repo_options,
    selecting_options,
    setting,
    view_options,
)
from hfclone.cli.session import Session, fail_early, fail_unforeseen, make_streams_safe, say
from hfclone.cli.version import version_line
from hfclone.errors import BadOption, HfcloneError
from hfclone.events import OnEvent
from hfclone.hub.pasted import parse_repo_spec
from hfclone.names import CacheLink, History, RepoSpec, RepoType
from hfclone.settings import Settings, narrowed
from hfclone.wording import line, phrase

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

__all__ = ["program", "run"]

DEFAULT_COMMAND = "clone"

EXAMPLES = (
    ("hfclone gpt2", "the whole repo, into ./gpt2"),
    ("hfclone org/name@v1.0 models/name", "a tag, into that directory"),
    ("hfclone org/name --mirror hf-mirror.com", "a mirror first, the hub last"),
    ("hfclone datasets/org/name --include 'data/*.parquet'", "some files; the rest stay as pointers"),
    ("hfclone org/name --window 23:00-07:00 --limit-rate 5M", "at night, and gently"),
)


def run(args: Sequence[str]) -> int:
    """Do what ``args`` ask for; returns the exit code."""
    make_streams_safe()
    if not args:  # a shell that asks says nothing on the command line
        _prepare_completion()
    try:
        job = program.main(list(args), prog_name="hfclone", standalone_mode=False)
        return job() if callable(job) else int(job or 0)
    except _NothingAsked:
        return _tell(_help_lines(), EXIT_USAGE)
    except click.UsageError as error:
        return _tell(usage_lines(error.format_message(), _usage_hint(error)), EXIT_USAGE)
    except click.ClickException as error:
        return _tell(usage_lines(error.format_message(), ""), EXIT_USAGE)
    except (click.Abort, KeyboardInterrupt):
        return EXIT_INTERRUPTED
    except SystemExit:  # what click makes of a help that nobody reads to its end
        return EXIT_BROKEN_PIPE
    except Exception as error:  # noqa: BLE001  # as a Session's: what comes before there is one
        return fail_unforeseen(error)


def _prepare_completion() -> None:
    from hfclone.cli.completing import register  # nobody else needs it

    register()


def _help_lines() -> Sequence[str]:
    with click.Context(program, info_name="hfclone", **program.context_settings) as ctx:
        return program.get_help(ctx).splitlines()


def _tell(lines: Sequence[str], code: int) -> int:
    for text in lines:
        say(text)
    return code


def _usage_hint(error: click.UsageError) -> str:
    return line("usage hint", command=error.ctx.command_path if error.ctx else "hfclone")


class _NothingAsked(Exception):
    """No argument at all; not raised where a shell only completes."""


class _Program(click.Group):
    """A group in which ``clone`` may be left out: ``hfclone REPO`` is ``hfclone clone REPO``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args and not ctx.resilient_parsing:
            raise _NothingAsked
        if args and args[0] not in ("-h", "--help", "--version"):
            index = self._first_word(ctx, args)
            named = index is not None and args[index] in self.commands
            command = args.pop(index) if named and index is not None else DEFAULT_COMMAND
            args = [command, *args]
        return super().parse_args(ctx, args)

    def _first_word(self, ctx: click.Context, args: Sequence[str]) -> int | None:
        """Where the first argument stands that is neither an option nor an option's value."""
        options = {name: option for option in self._clone_options(ctx) for name in option.opts}
        index = 0
        while index < len(args):
            word = args[index]
            if not word.startswith("-") or word in ("-", "--"):
                return index if word != "--" else None
            option = options.get(word)
            index += 2 if option is not None and not option.is_flag else 1
        return None

    def _clone_options(self, ctx: click.Context) -> list[click.Option]:
        return [param for param in self.commands[DEFAULT_COMMAND].get_params(ctx) if isinstance(param, click.Option)]

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Commands, and what the command that may be left out has."""
        with click.Context(self.commands[DEFAULT_COMMAND], parent=ctx, info_name=DEFAULT_COMMAND) as inner:
            found = {item.value: item for item in inner.command.shell_complete(inner, incomplete)}
        found |= {item.value: item for item in super().shell_complete(ctx, incomplete)}
        return list(found.values())

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write_usage("hfclone", "REPO [DIR] [OPTIONS]")
        formatter.write_usage("hfclone", "COMMAND ...", prefix="       ")

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        own = [param for param in self.get_params(ctx) if param.name != "help"]
        write_options(ctx, formatter, [*own, *self.commands[DEFAULT_COMMAND].get_params(ctx)])
        self.format_commands(ctx, formatter)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        write_epilog(formatter, EXAMPLES)


def _print_version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:  # noqa: FBT001  # click's
    if value and not ctx.resilient_parsing:
        click.echo(version_line())
        ctx.exit()


@click.group(cls=_Program, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="which hfclone this is"
)
def program() -> None:
    """Make a directory an exact, verified git checkout of a Hugging Face repo at one commit.

    REPO is org/name, datasets/org/name, org/name@revision, an hf:// address or a page's URL. Run the
    same command again after whatever stopped it: it goes on from what is on disk.
    """


@program.command(
    cls=Command,
    short_help="Make DIR a checkout of REPO; 'clone' may be left out.",
    examples=EXAMPLES,
    no_args_is_help=False,
)
@click.argument("repo")
@click.argument("directory", metavar="[DIR]", required=False, shell_complete=directories)
@repo_options
@selecting_options
@setting("--history", choices=[kind.value for kind in History])
@checkout_options
@network_options
@view_options
@click.option("--cache", "cached", is_flag=True, help="fill the Hub cache from DIR, too")
@setting("--cache-dir", metavar="DIR")
@setting("--cache-link", choices=[kind.value for kind in CacheLink])
@click.option("--dry-run", is_flag=True, help="show the plan and stop there")
def clone(repo: str, directory: str | None, **options: Any) -> Job:
    """Make DIR (default: the repo's name) a verified checkout of REPO."""
    try:
        return _clone_job(repo, directory, options)
    except HfcloneError as error:
        failure = error
    return lambda: fail_early(failure, options["progress"])


def _clone_job(repo: str, directory: str | None, options: dict[str, Any]) -> Job:
    repo_type = options["repo_type"] and RepoType(options["repo_type"])
    spec = parse_repo_spec(repo, repo_type=repo_type, revision=options["revision"])
    settings = narrowed(chosen_settings(options), spec)
    if directory == "":
        raise BadOption("DIR", "", phrase("empty"))
    dest = Path(directory or spec.repo.name)
    caching = options["cached"] or options["cache_dir"]
    work = _plan_work if options["dry_run"] else _cache_work if caching else _clone_work
    return lambda: Session(settings).run(lambda on_event: work(spec, dest, settings, on_event))


def _clone_work(spec: RepoSpec, dest: Path, settings: Settings, on_event: OnEvent) -> None:
    from hfclone.flows import clone as clone_flow

    clone_flow.clone(spec, dest, settings, on_event)


def _cache_work(spec: RepoSpec, dest: Path, settings: Settings, on_event: OnEvent) -> None:
    from hfclone.flows.handing import clone_and_fill

    clone_and_fill(spec, dest, settings, on_event)


def _plan_work(spec: RepoSpec, dest: Path, settings: Settings, on_event: OnEvent) -> None:
    from hfclone.flows import clone as clone_flow

    clone_flow.plan(spec, dest, settings, on_event)


for _command in (*keeping.COMMANDS, *handoff.COMMANDS, *inspecting.COMMANDS, *configuring.COMMANDS):
    program.add_command(_command)
