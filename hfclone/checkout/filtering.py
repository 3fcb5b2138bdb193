"""A filter of ours for large files, where git-lfs is not the one that git would call.

Why so: an index that says how files look (``git.index``) makes git read none of them, until one is
touched: then git asks the clean filter, and without one takes the content for the file. It would
even commit it. So there is always a filter: git-lfs's where it is set up; else a shell script in
``.git/hfclone``, which outlives hfclone. git-lfs, set up later, is the filter again by itself, since
git prefers a driver's ``process`` to its ``clean``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from enum import Enum
from pathlib import Path

from hfclone.checkout.moving import Side
from hfclone.files.access import Access
from hfclone.files.ondisk import write_safely
from hfclone.files.refusals import refused
from hfclone.git import GitRepo

__all__ = ["install_filter"]

_SCRIPT = Path(__file__).with_name("filter.sh")
_COMMAND = 'sh "$(git rev-parse --git-common-dir)/hfclone/filter.sh" {verb} %f'
"""Found through the common directory: a linked work tree has a ``.git`` of its own."""
_OWN_DRIVER = "hfclone"
_EMPTY_DRIVER = "hfclone-empty"
"""For pointers of no bytes: git-lfs makes no pointer of an empty file, so git would call the object changed."""
_BEGIN = b"# hfclone: pointers that no .gitattributes names. Made anew by each run; write below, not in here.\n"
_END = b"# hfclone: end\n"
_EMPTY_BLOB = "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
_MANY = 50
"""From so many files on, one line does for all of a suffix."""
_LONGEST_LINE = 2000
"""Git ignores longer lines of attributes (2,048 bytes, end included)."""


class _Lfs(Enum):
    """What the user's git would call for ``filter=lfs``."""

    WORKS = "works"
    BROKEN = "broken"
    """It is configured, and not installed: git fails on every file that it should look at."""
    NONE = "none"


def install_filter(repo: GitRepo, side: Side, *, has_store: bool) -> None:
    """See to it that git makes a pointer of each large file of ``side`` that it reads; the index is written.

    ``has_store`` tells whether contents may lie in ``.git/lfs/objects``, for a checkout to take.

    Raises:
        CannotWrite: this machine cannot.
    """
    said = repo.config.in_force("filter.")
    lfs = _lfs_of(repo, said)
    no_bytes = {path for path, pointer in side.pointers.items() if not pointer.size}
    if lfs is not _Lfs.WORKS or no_bytes:
        _write_script(repo.common_dir / "hfclone" / _SCRIPT.name, repo.access)
    ours = {_Lfs.NONE: "lfs", _Lfs.BROKEN: _OWN_DRIVER}.get(lfs)
    for driver in ("lfs", _OWN_DRIVER):
        _configure(repo, said, driver, _driver(has_store=has_store) if driver == ours else {})
    _configure(repo, said, _EMPTY_DRIVER, _driver(has_store=True, of="-empty") if no_bytes else {})
    empty = {path: _line(path, _EMPTY_DRIVER.encode()) for path in sorted(no_bytes)}
    paths = side.pointers.keys() - no_bytes
    if lfs is _Lfs.BROKEN:
        # It has a process, which no other key outdoes: whatever names it needs another driver.
        blank = [path for path, entry in side.entries.items() if entry.oid == _EMPTY_BLOB and entry.is_file]
        paths |= repo.with_attribute("filter", "lfs", blank)
        _write_attributes(repo, _lines(paths, side, _OWN_DRIVER) | empty, lambda _asked: set())
    else:

        def named(asked: Collection[bytes]) -> set[bytes]:
            return repo.with_attribute("filter", "lfs", asked) - no_bytes

        _write_attributes(repo, _lines(paths, side, "lfs") | empty, named)


def _driver(*, has_store: bool, of: str = "") -> dict[str, str]:
    # Required, or git would take the content where the script fails; and then there must be a smudge:
    # without one git removes the file and only then finds out.
    smudge = _COMMAND.format(verb=f"smudge{of}") if has_store else "cat"
    return {"clean": _COMMAND.format(verb=f"clean{of}"), "smudge": smudge, "required": "true"}


def _lfs_of(repo: GitRepo, said: Mapping[str, str]) -> _Lfs:
    """Judged by the configuration without what is ours in it."""
    process, clean = said.get("filter.lfs.process", ""), said.get("filter.lfs.clean", "")
    if not process and (not clean or _is_ours(clean)):
        return _Lfs.NONE
    program = (process or clean).split()[0].strip("\"'")
    return _Lfs.WORKS if repo.git.has_program("git-lfs" if program == "git" else program) else _Lfs.BROKEN


def _is_ours(command: str) -> bool:
    return f"hfclone/{_SCRIPT.name}" in command


def _configure(repo: GitRepo, said: Mapping[str, str], driver: str, wanted: Mapping[str, str]) -> None:
    """Have ``wanted`` in the local configuration, or, if that is nothing, take out what is ours."""
    prefix = f"filter.{driver}."
    if wanted:
        for key, value in wanted.items():
            if said.get(prefix + key) != value:
                repo.config.set(prefix + key, value)
        return
    if _is_ours(said.get(prefix + "clean", "")):
        for key in ("clean", "smudge", "required"):
            repo.config.unset(prefix + key)


def _write_script(target: Path, access: Access) -> None:
    text = _SCRIPT.read_bytes()
    _make_folder(target.parent, access)
    if not target.exists() or target.read_bytes() != text:
        write_safely(target, text, access=access)


def _make_folder(folder: Path, access: Access) -> None:
    """Where only a linked work tree has notes of ours, the repo has none yet."""
    try:
        access.make_folder(folder)
    except OSError as error:
        raise refused(error, folder) from error


# --- attributes --------------------------------------------------------------------------------


def _write_attributes(
    repo: GitRepo, lines: Mapping[bytes, bytes], named: Callable[[Collection[bytes]], set[bytes]]
) -> None:
    """Put those of ``lines`` (by path) whose path is not ``named`` already before those of the user, which win."""
    file = repo.common_dir / "info" / "attributes"
    wanted = frozenset(lines.values())
    try:
        before = file.read_bytes() if file.exists() else b""
        theirs, old = _parted(before)
        # What a line of ours names is asked of git in vain. So it is kept for as long as it is wanted;
        # and one that is not must be gone before git is asked.
        if not wanted.issuperset(old):
            _put(file, [line for line in old if line in wanted], theirs, repo.access)
        there = frozenset(old)
        asked = [path for path, line in lines.items() if line not in there]
        known = named(asked) if asked else set()
        ours = dict.fromkeys(line for path, line in lines.items() if line and path not in known)
        _put(file, ours, theirs, repo.access)
    except OSError as error:
        raise refused(error, file) from error


def _put(file: Path, ours: Collection[bytes], theirs: bytes, access: Access) -> None:
    text = (_BEGIN + b"".join(ours) + _END if ours else b"") + theirs
    if text != (file.read_bytes() if file.exists() else b""):
        access.make_folder(file.parent)
        write_safely(file, text, access=access)


def _lines(paths: Collection[bytes], side: Side, driver: str) -> dict[bytes, bytes]:
    """A line for each of ``paths``: its own, or one for its suffix where many have that and no other file does.

    Git tries every line for every path: with one for each of 20,000 files it would take half a minute.
    """
    suffixes = {path: _suffix(path) for path in paths}
    others = {_suffix(path) for path, entry in side.entries.items() if entry.is_file and path not in suffixes}
    shared = {
        suffix: b"*.%s filter=%s -text\n" % (suffix, driver.encode())
        for suffix, count in Counter(suffixes.values()).items()
        if suffix and count >= _MANY and suffix not in others
    }
    return {path: shared.get(suffixes[path]) or _line(path, driver.encode()) for path in sorted(paths)}


def _suffix(path: bytes) -> bytes:
    """What stands behind the last dot of a name, if it is nothing special in a pattern."""
    _, dot, suffix = path.rpartition(b"/")[2].rpartition(b".")
    return suffix if dot and suffix.isalnum() else b""


def _parted(text: bytes) -> tuple[bytes, tuple[bytes, ...]]:
    """What is not ours, and our lines."""
    head, begin, rest = text.partition(_BEGIN)
    block, end, tail = rest.partition(_END)
    if not begin or not end:
        return text, ()
    return head + tail, tuple(block.splitlines(keepends=True))


def _line(path: bytes, driver: bytes) -> bytes:
    """The attributes of one path; empty where git would not read the line."""
    text = b'"/%s" filter=%s -text\n' % (_quoted(path), driver)
    return text if len(text) <= _LONGEST_LINE else b""


def _quoted(path: bytes) -> bytes:
    """``path`` as a pattern that fits it alone, within the quotes of a C string."""
    return b"".join(_quoted_byte(byte) for byte in path)


def _quoted_byte(byte: int) -> bytes:
    if byte in b"*?[":
        return b"\\\\%c" % byte  # the string's backslash is the pattern's
    if byte == 0x5C:
        return b"\\" * 4
    return b"\\%03o" % byte if byte < 0x20 or byte in b'"\x7f' else b"%c" % byte
