"""Commands that hand work to other programs and take what they have fetched: ``export``, ``import``."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any  # Any: click hands over options by name

import click

from hfclone.cli.helping import Command
from hfclone.cli.inspecting import guarded, json_option
from hfclone.cli.options import (
    REUSED_BY,
    STDOUT,
    Job,
    backup_option,
    chosen_settings,
    directories,
    files,
    network_options,
    path_of,
    refuse_mixture,
    selecting_options,
    setting,
    view_options,
)
from hfclone.cli.session import Session, say, write_data, write_line
from hfclone.cli.words import show_text
from hfclone.errors import BadOption, NotImported
from hfclone.events import OnEvent
from hfclone.export import Format
from hfclone.names import CacheLink, LfsStore, Taking
from hfclone.settings import Progress, Settings, Verbosity
from hfclone.wording import line, phrase

if TYPE_CHECKING:
    from hfclone.flows.export import Exported
    from hfclone.flows.import_ import Imported

__all__ = ["COMMANDS"]

PUBLIC, PRIVATE = 0o666, 0o600
"""Modes of a list, less the umask. Who has signed addresses can fetch what they lead to."""
HUB_CACHE, LOCAL_DIR = "hf-cache", "local-dir"
SHARED = (HUB_CACHE, LOCAL_DIR)
"""Formats that let huggingface_hub find what is here."""


@click.command(
    cls=Command,
    short_help="Write what is missing as a list for another program.",
    examples=(
        ("hfclone export --format metalink -o todo.meta4", "for aria2c -M, and most download managers"),
        ("hfclone export models/name --format curl | curl -K -", "in an empty directory"),
        ("hfclone export --format idm -o todo.ef2 --signed", "addresses that need no token, for an hour"),
        ("hfclone export --format hf-cache", 'what is here: from_pretrained("org/name") finds it offline'),
        ("hfclone export --format local-dir", "the same for hf download --local-dir"),
    ),
)
@click.argument("directory", metavar="[DIR]", required=False, shell_complete=directories)
@click.option(
    "--format",
    "made_for",
    type=click.Choice([*(kind.value for kind in Format), *SHARED]),
    required=True,
    help="for whom",
)
@click.option(
    "-o", "--output", metavar="FILE", shell_complete=files, default=STDOUT, help="the list  [default: stdout]"
)
@click.option(
    "--signed", is_flag=True, help="addresses that need no token and soon expire; asks the endpoints for them"
)
@click.option("--revision", metavar="REV", help="its name in the Hub cache  [default: the checkout's branch]")
@setting("--cache-dir", metavar="DIR")
@setting("--cache-link", choices=[kind.value for kind in CacheLink])
@selecting_options
@network_options
@view_options
def export(directory: str | None, made_for: str, output: str, signed: bool, **options: Any) -> Job:  # noqa: FBT001  # click's
    """Write what is missing in the checkout in DIR as a list for another program.

    hf-cache and local-dir are no lists: they let huggingface_hub find what is here, and stdout says where.

    aria2 and metalink carry every endpoint, mirrors first, and the sha256; the others have one address for
    each object. A list never holds a token. 'hfclone import' takes what was fetched, whatever it is called.
    """

    def make() -> Job:
        settings, dest = chosen_settings(options), path_of(directory)
        revision = options["revision"]
        _refuse_idle(made_for, output, revision, signed=signed)
        if made_for in SHARED:
            return lambda: Session(settings).run(lambda on_event: _share(dest, made_for, revision, settings, on_event))
        refuse_mixture(output, settings)
        return lambda: Session(settings).run(
            lambda on_event: _export(dest, Format(made_for), output, settings, on_event, signed=signed)
        )

    return guarded(make, options)


def _refuse_idle(made_for: str, output: str, revision: str | None, *, signed: bool) -> None:
    """What says nothing about a format would be passed over in silence."""
    if made_for in SHARED and (signed or output != STDOUT):
        option, given = ("--signed", "") if signed else ("--output", output)
        raise BadOption(option, given, phrase("for-lists", form=made_for))
    if made_for != HUB_CACHE and revision is not None:
        raise BadOption("--revision", revision, phrase("for-one-form", form=HUB_CACHE))


def _share(dest: Path | None, made_for: str, revision: str | None, settings: Settings, on_event: OnEvent) -> None:
    from hfclone.flows import handing

    if made_for == LOCAL_DIR:
        made = handing.export_local_dir(dest, settings, on_event)
    else:
        made = handing.export_to_cache(dest, revision, settings, on_event)
    if settings.progress is not Progress.JSON:
        write_line(show_text(str(made.path)))


def _export(  # what a command line says
    dest: Path | None, made_for: Format, output: str, settings: Settings, on_event: OnEvent, *, signed: bool
) -> None:
    from hfclone.cli.reports import exported_lines
    from hfclone.export import formatted
    from hfclone.files.ondisk import write_safely
    from hfclone.flows import export as export_flow

    found = export_flow.list_missing_signed if signed else export_flow.list_missing
    made = found(dest, settings, on_event)
    data = formatted(made.listing, made_for)
    if output == STDOUT:
        write_data(data)
    elif os.path.exists(output) and not os.path.isfile(output):  # noqa: PTH110, PTH113  # a Path's raise
        raise BadOption("-o", output, phrase("no-regular-file"))
    else:
        write_safely(Path(output), data, PRIVATE if signed else PUBLIC)
    if settings.verbosity > Verbosity.QUIET:
        for text in exported_lines(made, made_for, _how(made_for, output, made)):
            say(text)


def _how(made_for: Format, output: str, made: Exported) -> str:
    """The command that fetches the list."""
    file = phrase("some-file") if output == STDOUT else shlex.quote(str(Path(output).absolute()))  # it is run elsewhere
    match made_for:
        case Format.ARIA2:
            return f"aria2c -i {file}"
        case Format.METALINK:
            return f"aria2c -M {file}"
        case Format.CURL:
            return f"curl -K {file}"
        case Format.WGET:
            return f"wget -c{_wget_folders(made)} -i {file}"
        case Format.IDM:
            return line("exported how idm", file=file)
        case Format.URLS:
            return line("exported how urls", file=file)


def _wget_folders(made: Exported) -> str:
    """One can tell wget no names, but to make the folders of the URLs, less so many: those of the repo are left."""
    if made.listing.expires or not made.listing.items:
        return ""
    first = made.listing.items[0]
    return f" -x -nH --cut-dirs={first.urls[0].count('/') - 3 - first.path.count(b'/')}"


@click.command(
    "import",
    cls=Command,
    short_help="Take large files that anything has fetched into a checkout.",
    examples=(
        ("hfclone import ~/Downloads --into models/name", "what a browser or a download manager fetched"),
        (
            "hfclone import --move /mnt/usb/model-00001-of-00002.safetensors",
            "into the checkout that this directory is in",
        ),
    ),
)
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, shell_complete=files)
@click.option(
    "--into",
    metavar="DIR",
    shell_complete=directories,
    help="the checkout  [default: the one that the current directory is in]",
)
@click.option("--move", is_flag=True, help="rename what is used, and do not copy it")
@json_option
@setting("--reuse-by", choices=REUSED_BY)
@setting("--lfs-store", choices=[kind.value for kind in LfsStore])
@backup_option
@setting("--endpoint", metavar="ENDPOINT")
@view_options
def import_(paths: tuple[str, ...], into: str | None, move: bool, as_json: bool, **options: Any) -> Job:  # noqa: FBT001  # click's
    """Take large files that anything has fetched into a checkout: by size and sha256, whatever their names.

    PATH is a file or a folder: downloads, a USB disk, another checkout, a hub cache. What is not whole
    (*.incomplete, *.part, NAME with NAME.aria2) is kept as far as it goes; the next run fetches the rest. Offline.
    """

    def make() -> Job:
        settings = chosen_settings(options)
        places, dest = [Path(path) for path in paths], path_of(into)
        taking = Taking.MOVE if move else settings.reuse_by
        return lambda: Session(settings).run(
            lambda on_event: _import(places, dest, taking, settings, on_event, as_json=as_json)
        )

    return guarded(make, options)


def _import(  # what a command line says
    places: list[Path], dest: Path | None, taking: Taking, settings: Settings, on_event: OnEvent, *, as_json: bool
) -> None:
    from hfclone.cli.reports import imported_data, imported_lines, lacking_line, to_json
    from hfclone.flows import import_ as import_flow

    made: Imported = import_flow.import_files(places, dest, taking, settings, on_event)
    as_json = as_json or settings.progress is Progress.JSON
    for text in [to_json(imported_data(made))] if as_json else imported_lines(made):
        write_line(text)
    if settings.verbosity > Verbosity.QUIET:
        say(lacking_line(made))
    if made.useless:
        raise NotImported(str(made.path), tuple(map(str, made.useless)))


COMMANDS = (export, import_)
