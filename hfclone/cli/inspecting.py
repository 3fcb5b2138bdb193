"""Commands that look: ``verify``, ``status``, ``ls``. Their answers go to stdout."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any  # click hands over options by name

import click

from hfclone.cli.helping import Command
from hfclone.cli.options import (
    Job,
    backup_option,
    chosen_settings,
    directories,
    files,
    network_options,
    path_of,
    repo_options,
    selecting_options,
    view_options,
)
from hfclone.cli.session import Session, fail_early, say, stdout_width, write_line
from hfclone.errors import HfcloneError, NotAsCommitted
from hfclone.events import OnEvent
from hfclone.hub.pasted import parse_repo_spec
from hfclone.names import RepoType
from hfclone.settings import Progress, Settings, Verbosity, narrowed

__all__ = ["COMMANDS", "guarded", "json_option"]

json_option = click.option("--json", "as_json", is_flag=True, help="the answer as data, one JSON object a line")


def guarded(make: Callable[[], Job], options: dict[str, Any]) -> Job:
    """A job, or one that tells why the request cannot be meant."""
    try:
        return make()
    except HfcloneError as error:
        failure = error
    return lambda: fail_early(failure, options["progress"])


@click.command(
    cls=Command,
    short_help="Read every byte of the checkout in DIR; --repair what is wrong.",
    examples=(
        ("hfclone verify", "the checkout that this directory is in"),
        ("hfclone verify models/name --repair", "and fetch what is damaged or missing"),
        ("hfclone verify --repair --backup", "and what was changed, too; your files are moved aside"),
        ("hfclone verify --lockfile hfclone.lock --json", "against what was pinned, as data"),
    ),
)
@click.argument("directory", metavar="[DIR]", required=False, shell_complete=directories)
@click.option(
    "--lockfile", metavar="FILE", shell_complete=files, help="what must be there, in place of the checkout's commit"
)
@click.option("--repair", is_flag=True, help="fetch what is damaged or missing; edits stay, unless --backup")
@backup_option
@json_option
@selecting_options
@network_options
@view_options
def verify(directory: str | None, lockfile: str | None, repair: bool, as_json: bool, **options: Any) -> Job:  # noqa: FBT001  # click's
    """Read every byte of the checkout in DIR and say what is not its commit's.

    Offline. What is wrong is listed on stdout, one line each, and the exit code is 5.

    A file with wrong bytes and the mtime that it was given when it was placed is damaged: nobody
    wrote to it. One with another mtime was changed, and is yours. --repair fetches what is damaged
    or missing (of a large file only the ranges that are wrong, where hfclone fetched it itself), and
    what was changed only with --backup, which moves your file aside first.

    Large files that were left out when the checkout was made may be pointers, unless an option or
    a lockfile says otherwise.
    """

    def make() -> Job:
        settings = chosen_settings(options)
        dest, lock = path_of(directory), path_of(lockfile)
        return lambda: Session(settings).run(
            lambda on_event: _verify(dest, lock, settings, on_event, repair=repair, as_json=as_json)
        )

    return guarded(make, options)


def _verify(
    dest: Path | None, lockfile: Path | None, settings: Settings, on_event: OnEvent, *, repair: bool, as_json: bool
) -> None:
    from hfclone.flows import verify as verify_flow

    audit = verify_flow.verify(dest, lockfile, settings, on_event)
    # Late: verifying has begun by then.
    from hfclone.cli.reports import aside_line, audit_data, audit_lines, choice_line, right_line, to_json

    if repair and audit.findings:
        audit = verify_flow.repair(audit, settings, on_event)
    as_json = as_json or settings.progress is Progress.JSON
    for line in [to_json(audit_data(audit))] if as_json else audit_lines(audit):
        write_line(line)
    loud = settings.verbosity > Verbosity.QUIET
    if audit.choice and loud:
        say(choice_line(audit))
    if audit.findings:
        raise NotAsCommitted(str(audit.path), audit.commit, len(audit.findings))
    if loud:
        say(right_line(audit))
        if audit.aside:
            say(aside_line(audit))


@click.command(
    cls=Command,
    examples=(
        ("hfclone status", "the checkout that this directory is in"),
        ("hfclone status models/name --json", "as data"),
    ),
)
@click.argument("directory", metavar="[DIR]", required=False, shell_complete=directories)
@json_option
@view_options
def status(directory: str | None, as_json: bool, **options: Any) -> Job:  # noqa: FBT001  # click's
    """Say how the checkout in DIR stands, without reading it.

    What was verified and has not been touched since is present; 'hfclone verify' reads every byte.
    """

    def make() -> Job:
        settings, dest = chosen_settings(options), path_of(directory)
        return lambda: Session(settings).run(lambda _on_event: _status(dest, settings, as_json=as_json))

    return guarded(make, options)


def _status(dest: Path | None, settings: Settings, *, as_json: bool) -> None:
    from hfclone.checkout.existing import find_existing
    from hfclone.checkout.overview import status_of
    from hfclone.cli.reports import status_data, status_lines, to_json
    from hfclone.git import Git

    found = status_of(find_existing(dest, Git(settings.environment)))  # no flow: their imports take longer than this
    as_json = as_json or settings.progress is Progress.JSON
    for line in [to_json(status_data(found))] if as_json else status_lines(found):
        write_line(line)


@click.command(
    cls=Command,
    examples=(
        (
            "hfclone ls org/name",
            "size, kind, sha256 and path of every file; where there are GGUF files, the quantisation",
        ),
        ("hfclone ls datasets/org/name@v1.0 --include '*.parquet' --json", "some of them, as data"),
    ),
)
@click.argument("repo")
@repo_options
@json_option
@selecting_options
@network_options
@view_options
def ls(repo: str, revision: str | None, repo_type: str | None, as_json: bool, **options: Any) -> Job:  # noqa: FBT001  # click's
    """List the files of REPO without fetching its large objects."""

    def make() -> Job:
        spec = parse_repo_spec(repo, repo_type=RepoType(repo_type) if repo_type else None, revision=revision)
        settings = narrowed(chosen_settings(options), spec)

        def work(on_event: OnEvent) -> None:
            from hfclone.cli.reports import listing_data, listing_lines, to_json
            from hfclone.flows.ls import read_repo, select_files

            found = read_repo(spec, settings, on_event)
            files = select_files(found.files, settings)
            data = as_json or settings.progress is Progress.JSON
            for line in map(to_json, listing_data(found, files)) if data else listing_lines(files, stdout_width()):
                write_line(line)

        return lambda: Session(settings).run(work)

    return guarded(make, options)


COMMANDS = (verify, status, ls)
