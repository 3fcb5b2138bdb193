"""What REPO names leaves only a part of the repo to fetch."""

from __future__ import annotations

from dataclasses import replace
from glob import escape

from hfclone.errors import BadOption
from hfclone.names import RepoSpec
from hfclone.settings.chosen import Settings
from hfclone.wording import phrase

__all__ = ["narrowed"]


def narrowed(settings: Settings, spec: RepoSpec) -> Settings:
    """``settings`` that fetch only the file or folder that ``spec`` names, if it names one.

    A file that is named is wanted, whatever its size and its name.

    Raises:
        BadOption: ``--include`` was given as well.
    """
    if spec.file is None:
        return settings
    if settings.include:
        raise BadOption("--include", settings.include[0], phrase("repo-names-file", file=spec.file))
    only = replace(settings, include=(escape(spec.file),))
    return only if spec.file.endswith("/") else replace(only, quants=(), max_size=None)
