"""Where objects may lie already: hub caches, other checkouts, git-lfs stores, any folder. Reads only.

A file whose name is an object's oid is looked up and not searched for. Everything else is found by its
size: a walk that enters no linked directory. What is found is a guess until its sha256 is known.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG

from hfclone.checkout.stamps import Stamps
from hfclone.files.folders import files_below
from hfclone.git import state_dir_of
from hfclone.pointer import Oid, Pointer

__all__ = ["Found", "found_by_name", "found_by_size", "walk"]

_CACHE_PREFIXES = ("models--", "datasets--", "spaces--")
"""What the folder of a repo in a hub cache begins with (huggingface_hub ``file_download.repo_folder_name``)."""
_STORES = (".", "objects", "lfs/objects", ".git/lfs/objects")
"""Below a folder: where objects may lie as git-lfs has them, ``ab/cd/<oid>``."""
_TELL_FILES = 5000


@dataclass(frozen=True, slots=True)
class Found:
    """A regular file, or a link to one, of the size of an object that is wanted."""

    path: Path
    size: int


def found_by_name(place: Path, left: Collection[Pointer]) -> Iterator[Found]:
    """Files below ``place`` that are named by their oid, or that a checkout of hfclone's has verified."""
    sizes = {pointer.oid: pointer.size for pointer in left}
    wanted = set(sizes.values())
    for path in _named(place, sizes):
        found = _regular(path)
        if found is not None and found.size in wanted:
            yield found


def found_by_size(place: Path, left: Collection[Pointer], on_files: Callable[[int], None]) -> Iterator[Found]:
    """Files at or below ``place`` that are as large as one of ``left``; ``on_files`` hears how many were looked at."""
    if _repo_folders(place):
        return  # a hub cache: names tell all
    sizes = {pointer.size for pointer in left}
    for path in walk(place, on_files):
        found = _regular(path)
        if (
            found is not None and found.size in sizes and _regular(Path(f"{path}.aria2")) is None
        ):  # aria2 is not done with it
            yield found


def walk(place: Path, on_files: Callable[[int], None] = lambda _count: None) -> Iterator[Path]:
    """``place`` itself if it is a file, else all files below it, in order; git's own are left out."""
    if not _is_folder(place):
        yield place
        return
    for count, file in enumerate(files_below(place, without=".git"), start=1):
        yield file
        if count % _TELL_FILES == 0:
            on_files(count)


def _named(place: Path, sizes: dict[Oid, int]) -> Iterator[Path]:
    for folder in (*(repo / "blobs" for repo in _repo_folders(place)), place / "blobs", place):
        yield from (folder / name for name in sorted(_names(folder) & sizes.keys()))
    for store in (place / name for name in _STORES):
        if _is_folder(store):
            yield from (store / oid[:2] / oid[2:4] / oid for oid in sizes)
    for path, stamp in Stamps(state_dir_of(place) / "stamps").items():
        if sizes.get(stamp.oid) == stamp.size:
            yield place / os.fsdecode(path)


def _repo_folders(place: Path) -> list[Path]:
    """The repos of a hub cache, ``place`` being the cache or the HF_HOME it is in."""
    for folder in (place, place / "hub"):
        names = sorted(name for name in _names(folder) if name.startswith(_CACHE_PREFIXES))
        if names:
            return [folder / name for name in names]
    return []


def _names(folder: Path) -> set[str]:
    try:
        return {path.name for path in folder.iterdir()}
    except OSError:  # there is none, or it is not ours to see
        return set()


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # its folder is not ours to see
        return False


def _regular(path: Path) -> Found | None:
    try:
        stat = path.stat()  # a snapshot in a hub cache is made of links
    except OSError:
        return None
    return Found(path, stat.st_size) if S_ISREG(stat.st_mode) else None
