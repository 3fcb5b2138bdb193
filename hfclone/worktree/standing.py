"""What stands at a path, and the two modes that git knows of a file."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from enum import Enum

from hfclone.lock.model import LINK_MODE, SUBMODULE_MODE

__all__ = ["Abilities", "FileMode", "Kind", "Standing", "kind_of", "with_mode"]


class Kind(Enum):
    """What stands at a path."""

    ABSENT = "absent"
    FILE = "file"
    LINK = "link"
    DIRECTORY = "directory"
    BLOCKED = "blocked"
    """Something on the way to it is no directory."""
    OTHER = "other"


_KINDS = {stat.S_IFREG: Kind.FILE, stat.S_IFLNK: Kind.LINK, stat.S_IFDIR: Kind.DIRECTORY}


def kind_of(mode: int) -> Kind:
    """What the ``st_mode`` of a path says."""
    return _KINDS.get(stat.S_IFMT(mode), Kind.OTHER)


class FileMode(Enum):
    """Git knows two kinds of regular file."""

    PLAIN = "100644"
    EXECUTABLE = "100755"

    @classmethod
    def of(cls, found: os.stat_result) -> FileMode:
        """What git would record for a regular file; only a POSIX system has the bit that tells."""
        return cls.EXECUTABLE if found.st_mode & 0o100 else cls.PLAIN


@dataclass(frozen=True, slots=True)
class Abilities:
    """What a work tree's file system can do, as git found out when it made the repo."""

    links: bool = True
    """``core.symlinks``: without, a file that holds the target is git's link."""
    modes: bool = True
    """``core.fileMode``: without, an executable bit says nothing."""

    def can_be(self, kind: Kind, mode: str) -> bool:
        """Whether git takes what is of ``kind`` for an entry of ``mode``."""
        if mode == SUBMODULE_MODE:
            return kind is Kind.DIRECTORY
        if mode == LINK_MODE:
            return kind is Kind.LINK or (kind is Kind.FILE and not self.links)
        return kind is Kind.FILE

    def has_mode(self, found: os.stat_result, mode: str) -> bool:
        """Whether a regular file that looks like ``found`` has the bits of a file of ``mode``, as far as git asks."""
        return not self.modes or os.name != "posix" or FileMode.of(found).value == mode


@dataclass(frozen=True, slots=True)
class Standing:
    """What stands at a path; ``stat`` (of itself, no link followed) unless absent or blocked."""

    kind: Kind
    stat: os.stat_result | None = None

    def is_same(self, other: Standing) -> bool:
        """Whether nothing happened to it between two looks."""
        if self.stat is None or other.stat is None:
            return self.kind is other.kind
        mine, its = self.stat, other.stat
        return (mine.st_mode, mine.st_ino, mine.st_size, mine.st_mtime_ns) == (
            its.st_mode, its.st_ino, its.st_size, its.st_mtime_ns,
        )  # fmt: skip


def with_mode(permissions: int, mode: FileMode) -> int:
    """``permissions`` as git would have them for ``mode``: who may read may execute, or nobody."""
    plain = stat.S_IMODE(permissions) & 0o666
    return plain | (plain & 0o444) >> 2 if mode is FileMode.EXECUTABLE else plain
