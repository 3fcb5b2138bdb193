"""Commands that keep checkouts: ``pull``, ``fetch``, ``lock``, ``sync``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any  # Any: click hands over options by name

import click

from hfclone.cli.helping import Command
from hfclone.cli.inspecting import guarded
from hfclone.cli.options import (
    STDOUT,
    Job,
    checkout_options,
    chosen_settings,
    directories,
    files,
    network_options,
    path_of,
    refuse_mixture,
    selecting_options,
    view_options,
)
from hfclone.cli.session import Session, say, write_line
from hfclone.cli.words import show_text
from hfclone.errors import BadOption, NotAsCommitted
from hfclone.events import OnEvent
from hfclone.hub.pasted import parse_repo_spec
from hfclone.names import RepoSpec
from hfclone.settings import Progress, Settings, Verbosity
from hfclone.wording import counted, line, phrase

if TYPE_CHECKING:
    from hfclone.lock.model import LockedRepo

__all__ = ["COMMANDS"]

DEFAULT_LOCKFILE = "hfclone.lock"
FIRST_SIGNAL_CODE = 128
"""Exit codes from here on mean that the user or the system ended the run."""

SyncOne = Callable[["LockedRepo", Path, Settings, OnEvent], None]


@click.command(
    cls=Command,
    examples=(
        ("hfclone pull", "the checkout that this directory is in, to what its branch is now"),
        ("hfclone pull models/name --revision v2.0", "to a tag"),
    ),
)
@click.argument("directory", metavar="[DIR]", required=False, shell_complete=directories)
@click.option("--revision", metavar="REV", help="branch, tag, refs/pr/N or commit  [default: the checkout's branch]")
@selecting_options
@checkout_options
@network_options
@view_options
def pull(directory: str | None, revision: str | None, **options: Any) -> Job:
    """Move the checkout in DIR to what its branch is now.

    Only what has changed is fetched. An edited file in the way is a conflict: nothing is touched.
    """

    def make() -> Job:
        settings, dest = chosen_settings(options), path_of(directory)

        def work(on_event: OnEvent) -> None:
            from hfclone.flows import pull as pull_flow

            pull_flow.pull(dest, revision, settings, on_event)

        return lambda: Session(settings).run(work)

    return guarded(make, options)


@click.command(
    cls=Command,
    short_help="Complete the checkout in DIR at its commit, whoever made it.",
    examples=(
        ("hfclone fetch", "the large files of the checkout that this directory is in"),
        ("GIT_LFS_SKIP_SMUDGE=1 git clone URL name; hfclone fetch name", "of any git host"),
    ),
)
@click.argument("directory", metavar="[DIR]", required=False, shell_complete=directories)
@selecting_options
@checkout_options
@network_options
@view_options
def fetch(directory: str | None, **options: Any) -> Job:
    """Complete the checkout in DIR at the commit where it is, whoever made it.

    Objects come from its origin: the hub and its mirrors, or the LFS of any other git host.
    """

    def make() -> Job:
        settings, dest = chosen_settings(options), path_of(directory)

        def work(on_event: OnEvent) -> None:
            from hfclone.flows import pull as pull_flow

            pull_flow.fetch(dest, settings, on_event)

        return lambda: Session(settings).run(work)

    return guarded(make, options)


@click.command(
    cls=Command,
    short_help="Pin repos at their commits, with every file's sum.",
    examples=(
        ("hfclone lock org/name datasets/org/data@v1.0", "write hfclone.lock"),
        ("hfclone lock org/name -o models.lock", "another file; '-o -' is stdout"),
    ),
)
@click.argument("repos", metavar="REPO[@REV]...", nargs=-1, required=True)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    shell_complete=files,
    default=DEFAULT_LOCKFILE,
    show_default=True,
    help="the lockfile",
)
@selecting_options
@network_options
@view_options
def lock(repos: tuple[str, ...], output: str, **options: Any) -> Job:
    """Pin repos at their commits: write every file's path, mode, git id, size and sha256.

    No large object is fetched. The same commits give the same file, byte by byte.
    """

    def make() -> Job:
        specs = [_whole_repo(repo) for repo in repos]
        settings = chosen_settings(options)
        refuse_mixture(output, settings)
        return lambda: Session(settings).run(lambda on_event: _lock(specs, output, settings, on_event))

    return guarded(make, options)


def _lock(specs: list[RepoSpec], output: str, settings: Settings, on_event: OnEvent) -> None:
    from hfclone.flows import sync as sync_flow
    from hfclone.flows.lock import write_lock
    from hfclone.lock.format import format_lock

    made = sync_flow.lock(specs, settings, on_event)
    if output == STDOUT:
        write_line(format_lock(made).rstrip("\n"))
        return
    write_lock(Path(output), made)
    if settings.verbosity > Verbosity.QUIET:
        held = sum(len(one.files) for one in made.repos)
        repos, held_files = counted("repo", len(made.repos)), counted("file", held)
        say(show_text(line("locked", file=output, repos=repos, files=held_files)))


@click.command(
    cls=Command,
    short_help="Make a checkout of each repo that a lockfile pins.",
    examples=(
        ("hfclone sync", "the repos of ./hfclone.lock, each into a directory of its name"),
        ("hfclone sync --locked --lockfile models.lock /srv/models", "and nothing there may differ"),
    ),
)
@click.argument("directory", metavar="[DIR]", default=".", shell_complete=directories)
@click.option(
    "--lockfile", metavar="FILE", shell_complete=files, default=DEFAULT_LOCKFILE, show_default=True, help="what to make"
)
@click.option("--locked", is_flag=True, help="refuse whatever differs from the lockfile: edits and extra files, too")
@checkout_options
@network_options
@view_options
def sync(directory: str, lockfile: str, locked: bool, **options: Any) -> Job:  # noqa: FBT001  # click's
    """Make a checkout of each repo that the lockfile pins, below DIR, at the commit it was locked at.

    What comes is accepted by the lockfile alone, from wherever it comes; git's protocol is not needed.
    """

    def make() -> Job:
        from hfclone.flows.lock import read_lock
        from hfclone.flows.sync import places

        settings = chosen_settings(options)
        todo = places(read_lock(Path(lockfile)), Path(directory))
        return lambda: _sync_all(todo, settings, _sync_strictly if locked else _sync)

    return guarded(make, options)


def _sync_all(todo: Sequence[tuple[LockedRepo, Path]], settings: Settings, work: SyncOne) -> int:
    """One repo after the other, each a run of its own; the first failure's exit code."""
    failed = 0
    for locked, dest in todo:
        code = Session(settings).run(partial(work, locked, dest, settings))
        failed = failed or code
        if code >= FIRST_SIGNAL_CODE:
            break
    return failed


def _sync(locked: LockedRepo, dest: Path, settings: Settings, on_event: OnEvent) -> None:
    from hfclone.flows import sync as sync_flow

    sync_flow.sync_one(locked, dest, settings, on_event)


def _sync_strictly(locked: LockedRepo, dest: Path, settings: Settings, on_event: OnEvent) -> None:
    from hfclone.cli.reports import audit_data, audit_lines, to_json
    from hfclone.flows import sync as sync_flow

    sync_flow.sync_one(locked, dest, settings, on_event)
    audit = sync_flow.audit_synced(locked, dest, settings, on_event)
    as_json = settings.progress is Progress.JSON
    for text in [to_json(audit_data(audit))] if as_json else audit_lines(audit):
        write_line(text)
    if audit.findings:
        raise NotAsCommitted(str(audit.path), audit.commit, len(audit.findings))


def _whole_repo(text: str) -> RepoSpec:
    spec = parse_repo_spec(text)
    if spec.file is not None:
        raise BadOption("REPO", text, phrase("whole-repos"))
    return spec


COMMANDS = (pull, fetch, lock, sync)
