"""Which paths of a commit's tree may be written here. Pure; paths are bytes, as git has them.

Why so: a tree is data from a stranger. Git's own check refuses some of these paths at checkout,
others only with ``core.protectHFS`` and ``protectNTFS``, and duplicates not at all; since hfclone
places files itself and late (the pattern of CVE-2021-21300), the whole tree is judged first.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from enum import Enum

from hfclone.errors import UnsafePath
from hfclone.wording import phrase

__all__ = [
    "LONGEST_PATH",
    "Folding",
    "Platform",
    "aside_of",
    "check_link",
    "check_tree",
    "is_aside",
    "show_beginning",
    "show_path",
]


class Platform(Enum):
    """Whose rules for file names hold."""

    POSIX = "posix"
    WINDOWS = "windows"


class Folding(Enum):
    """Whether the file system takes ``A`` and ``a`` (or NFC and NFD forms) for one name."""

    DISTINCT = "distinct"
    FOLDED = "folded"


_HFS_IGNORED = re.compile("[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]")
_GIT_ALIKE = re.compile(rb"\.git|git~[0-9]+", re.IGNORECASE)
_PLAIN = re.compile(rb"[A-Za-z0-9_-][A-Za-z0-9_.+=@, ()-]*(?:/[A-Za-z0-9_-][A-Za-z0-9_.+=@, ()-]*)*")
"""Paths that are harmless at one look, as nearly all are."""
_WINDOWS_BAD = re.compile(rb"[\x00-\x1f<>:\"|?*\\]|[. ]$")
_WINDOWS_DEVICE = re.compile(
    rb"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)(?:[0-9]|\xc2[\xb9\xb2\xb3]))", re.IGNORECASE
)


LONGEST_NAME = 255
"""Bytes; of any file system that matters, in one unit or another."""
LONGEST_PATH = 4095
"""Bytes that Linux takes as a path or as a link's target; whatever is longer nobody there can name."""
_SHOWN = 200

_ASIDE = re.compile(rb"[^/]\.hfclone-orig-[1-9][0-9]*(?:/|\Z)")


def aside_of(path: bytes, number: int) -> bytes:
    """The name beside ``path`` that what stands there is moved to; ``number`` from 1."""
    return b"%s.hfclone-orig-%d" % (path, number)


def is_aside(path: bytes) -> bool:
    """Whether ``path`` was moved aside, by its name, or lies in a directory that was."""
    return _ASIDE.search(path) is not None


def show_path(path: bytes) -> str:
    r"""``path`` for a message: what is not printable UTF-8 is shown as ``\xNN`` or ``\uNNNN``."""
    text = path.decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def show_beginning(path: bytes) -> str:
    """``show_path``, cut where nobody would read on."""
    return show_path(path) if len(path) <= _SHOWN else f"{show_path(path[:_SHOWN])}..."


def check_link(path: bytes, target: bytes) -> None:
    """Judge a link at ``path``, where there can be links.

    Raises:
        UnsafePath: no system can make it. Git would make one that leads elsewhere: it writes up to the NUL.
    """
    if not target:
        raise UnsafePath(show_path(path), phrase("link-to-nothing"))
    if b"\0" in target:
        raise UnsafePath(show_path(path), phrase("link-with-nul"))
    if len(target) > LONGEST_PATH:
        raise UnsafePath(show_path(path), phrase("link-too-long", limit=LONGEST_PATH))


def check_tree(
    paths: Iterable[bytes], *, platform: Platform = Platform.POSIX, folding: Folding = Folding.DISTINCT
) -> None:
    """Judge all files, links and submodules of a tree together.

    Raises:
        UnsafePath: the first that must not be written.
    """
    files: set[bytes] = set()
    folders: dict[bytes, bytes] = {}
    for path in paths:
        _check_parts(path, platform)
        key = _fold(path) if folding is Folding.FOLDED else path
        if key in files:
            raise UnsafePath(show_path(path), phrase("path-twice"))
        files.add(key)
        _note_folders(path, key, folders)
    for key in files & folders.keys():
        raise UnsafePath(show_path(folders[key]), phrase("file-and-directory"))


def _check_parts(path: bytes, platform: Platform) -> None:
    if platform is Platform.POSIX and len(path) <= LONGEST_NAME and _PLAIN.fullmatch(path):
        return
    if path.startswith(b"/"):
        raise UnsafePath(show_path(path), phrase("absolute"))
    if len(path) > LONGEST_PATH:
        raise UnsafePath(show_beginning(path), phrase("path-too-long", limit=LONGEST_PATH))
    for part in path.split(b"/"):
        reason = _why_bad(part) or (_why_bad_on_windows(part) if platform is Platform.WINDOWS else None)
        if reason:
            raise UnsafePath(show_path(path), reason)


def _why_bad(part: bytes) -> str | None:
    if not part:
        return phrase("empty-part")
    if part in (b".", b".."):
        return phrase("leaves-directory")
    if b"\0" in part:
        return phrase("holds-nul")
    if len(part) > LONGEST_NAME:
        return phrase("name-too-long", limit=LONGEST_NAME)
    if _is_git_alike(part):
        return phrase("gits-own")
    return None


def _is_git_alike(part: bytes) -> bool:
    """What HFS+ or NTFS would open as ``.git``: ignored characters, short names, streams, dots behind."""
    name = re.split(rb"[:\\]", part, maxsplit=1)[0].rstrip(b". ")
    if name.isascii():
        return bool(_GIT_ALIKE.fullmatch(name))
    text = _HFS_IGNORED.sub("", name.decode("utf-8", "surrogateescape"))
    folded = unicodedata.normalize("NFC", text).casefold().rstrip(". ")
    return bool(_GIT_ALIKE.fullmatch(folded.encode("utf-8", "surrogateescape")))


def _why_bad_on_windows(part: bytes) -> str | None:
    if _WINDOWS_BAD.search(part):
        return phrase("windows-name")
    if _WINDOWS_DEVICE.fullmatch(part.split(b".")[0].rstrip(b" ")):
        return phrase("windows-device")
    return None


def _fold(path: bytes) -> bytes:
    text = path.decode("utf-8", "surrogateescape")
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())
    return folded.encode("utf-8", "surrogateescape")


def _note_folders(path: bytes, key: bytes, folders: dict[bytes, bytes]) -> None:
    """Remember every directory that ``path`` needs (by its ``key``), nearest first."""
    end = key.rfind(b"/")
    while end > 0 and key[:end] not in folders:
        folders[key[:end]] = path
        end = key.rfind(b"/", 0, end)
