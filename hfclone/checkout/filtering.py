"""A filter of ours for large files, where git-lfs is not the one that git would call.

Why so: an index that says how files look (``gitindex``) makes git read none of them, until one is
touched: then git asks the clean filter, and without one takes the content for the file. It would
even commit it. So there is always a filter: git-lfs's where it is set up; else a shell script in
``.git/hfclone``, which outlives hfclone. git-lfs, set up later, is the filter again by itself, since
git prefers a driver's ``process`` to its ``clean``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from enum import Enum
from pathlib import Path

from hfclone.checkout.moving import Side
from hfclone.errors import CannotWrite
from hfclone.git import GitRepo
from hfclone.worktree import write_safely

__all__ = ["install_filter"]

_SCRIPT = Path(__file__).with_name("filter.sh")
_COMMAND = 'sh "$(git rev-parse --git-common-dir)/hfclone/filter.sh" {verb} %f'
"""Found through the common directory: a linked work tree has a ``.git`` of its own."""
_OWN_DRIVER = "hfclone"
_BEGIN = b"# hfclone: pointers that no .gitattributes names. Made anew by each run; write below, not in here.\n"
_END = b"# hfclone: end\n"
_EMPTY_BLOB = "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
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
    said = repo.config_values("filter.")
    lfs = _lfs_of(repo, said)
    if lfs is not _Lfs.WORKS:
        _write_script(repo.git_dir / "hfclone" / _SCRIPT.name)
    ours = {_Lfs.NONE: "lfs", _Lfs.BROKEN: _OWN_DRIVER}.get(lfs)
    for driver in ("lfs", _OWN_DRIVER):
        _configure(repo, said, driver, _driver(has_store=has_store) if driver == ours else {})
    if lfs is _Lfs.BROKEN:
        # It has a process, which no other key outdoes: whatever names it needs another driver.
        empty = [path for path, entry in side.entries.items() if entry.oid == _EMPTY_BLOB and entry.is_file]
        paths = [*side.pointers, *repo.with_attribute("filter", "lfs", empty)]
        _write_attributes(repo, paths, _OWN_DRIVER, ())
    else:
        _write_attributes(repo, side.pointers, "lfs", repo.with_attribute("filter", "lfs", side.pointers))


def _driver(*, has_store: bool) -> dict[str, str]:
    # Required, or git would take the content where the script fails; and then there must be a smudge:
    # without one git removes the file and only then finds out.
    smudge = _COMMAND.format(verb="smudge") if has_store else "cat"
    return {"clean": _COMMAND.format(verb="clean"), "smudge": smudge, "required": "true"}


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
                repo.config_set(prefix + key, value)
        return
    if _is_ours(said.get(prefix + "clean", "")):
        for key in ("clean", "smudge", "required"):
            repo.config_unset(prefix + key)


def _write_script(target: Path) -> None:
    text = _SCRIPT.read_bytes()
    if not target.exists() or target.read_bytes() != text:
        write_safely(target, text)


# --- attributes --------------------------------------------------------------------------------


def _write_attributes(repo: GitRepo, paths: Iterable[bytes], driver: str, named: Collection[bytes]) -> None:
    """Put our lines for those of ``paths`` that are not ``named`` already before those of the user, which win."""
    file = repo.git_dir / "info" / "attributes"
    try:
        before = file.read_bytes() if file.exists() else b""
        theirs, old = _parted(before)
        # What our own line names is asked of git in vain: it is kept for as long as there is the pointer.
        lines = {path: _line(path, driver.encode()) for path in sorted(paths)}
        kept = [line for path, line in lines.items() if line and (path not in named or line in old)]
        block = _BEGIN + b"".join(kept) + _END if kept else b""
        if block + theirs != before:
            file.parent.mkdir(exist_ok=True)
            write_safely(file, block + theirs)
    except OSError as error:
        raise CannotWrite(str(file), error.strerror or str(error)) from error


def _parted(text: bytes) -> tuple[bytes, frozenset[bytes]]:
    """What is not ours, and our lines."""
    head, begin, rest = text.partition(_BEGIN)
    block, end, tail = rest.partition(_END)
    if not begin or not end:
        return text, frozenset()
    return head + tail, frozenset(block.splitlines(keepends=True))


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
