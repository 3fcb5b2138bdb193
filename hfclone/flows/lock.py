"""Lockfiles on disk, and which of a lock's repos a checkout is."""

from __future__ import annotations

from pathlib import Path

from hfclone.checkout.existing import Existing
from hfclone.errors import BadLockfile, BadOption
from hfclone.files.ondisk import write_safely
from hfclone.hub.origins import without_login
from hfclone.lock.format import format_lock, parse_lock
from hfclone.lock.model import Lock, LockedRepo, directory_names
from hfclone.wording import phrase

__all__ = ["locked_for", "read_lock", "write_lock"]


def read_lock(file: Path) -> Lock:
    """Read and prove a lockfile.

    Raises:
        BadLockfile: it is not there, or anything in it is wrong.
    """
    try:
        text = file.read_bytes()
    except OSError as error:
        raise BadLockfile(str(file), phrase("the-whole"), error.strerror or str(error)) from error
    return parse_lock(text, str(file))


def write_lock(file: Path, lock: Lock) -> None:
    """Write a lockfile, whole or not at all.

    Raises:
        CannotWrite: the system refuses.
    """
    write_safely(file, format_lock(lock).encode("ascii"))


def locked_for(lock: Lock, file: Path, *, here: Existing | None, directory: Path) -> LockedRepo:
    """The repo of ``lock`` whose checkout stands ``here``; told by origin, else by the directory's name.

    Raises:
        BadOption: none is, or it cannot be told.
    """
    origin = here.url if here else None
    if origin is not None:
        plain = origin.replace(":", "/").rstrip("/").removesuffix(".git")  # git@host:org/name, too
        fitting = [one for one in lock.repos if plain.endswith("/" + one.pin.repo.path)]
        fitting.sort(key=lambda one: -len(one.pin.repo.path))  # datasets/a/b is no a/b
    else:
        names = directory_names(lock)
        fitting = [one for one in lock.repos if names[one.pin.repo] == directory.name]
        fitting = fitting or ([lock.repos[0]] if len(lock.repos) == 1 else [])
    if not fitting:
        reason = phrase("no-repo-of-origin", origin=without_login(origin)) if origin else phrase("no-repo-of-name")
        raise BadOption("--lockfile", str(file), reason)
    return fitting[0]
