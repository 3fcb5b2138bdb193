"""The project's file of settings, and whether it may be read.

The rule: ``hfclone.toml`` in the current directory, never in one above; not in a checkout that hfclone
made or completed, and not where git tracks it. Why so: what is tracked has come from whoever wrote the
repo, and a download must not say how the next one is done. Whoever trusts such a file names it with
``HFCLONE_CONFIG``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hfclone.settings import PROJECT_FILE
from hfclone.wording import phrase

__all__ = ["ProjectFile", "find_project_file", "readable_project_file"]


@dataclass(frozen=True, slots=True)
class ProjectFile:
    """A file that is there; ``ignored`` says why it is not read, and is empty where it is."""

    path: Path
    ignored: str = ""


def readable_project_file(environ: Mapping[str, str]) -> Path | None:
    """The file that speaks here, if there is one; git is asked only where there is a file and a repo."""
    found = find_project_file(environ)
    return found.path if found and not found.ignored else None


def find_project_file(environ: Mapping[str, str]) -> ProjectFile | None:
    """The file in the current directory, whether or not it may be read."""
    try:
        directory = Path.cwd()
    except OSError:  # it was removed, and nothing lies in it
        return None
    path = directory / PROJECT_FILE
    if not os.path.lexists(path):
        return None
    if not any(os.path.lexists(one / ".git") for one in (directory, *directory.parents)):
        return ProjectFile(path)
    return ProjectFile(path, _why_not(directory, environ))


def _why_not(directory: Path, environ: Mapping[str, str]) -> str:
    from hfclone.errors import HfcloneError
    from hfclone.git import Git

    git = Git(environ)
    try:
        git_dir = git.run(["-C", str(directory), "rev-parse", "--absolute-git-dir"]).decode("utf-8", "surrogateescape")
        tracked = git.run(["-C", str(directory), "ls-files", "-z", "--", PROJECT_FILE])
    except HfcloneError as error:
        return phrase("tracked-unknown", reason=error)
    if Path(git_dir.rstrip("\n"), "hfclone").exists():
        return phrase("is-checkout")
    return phrase("tracked") if tracked else ""
