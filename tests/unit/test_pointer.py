"""LFS pointers: the table of what git-lfs really accepts, and git-lfs itself on the same texts."""

import shutil
import subprocess
from pathlib import Path

import pytest

from hfclone.errors import BadPointer
from hfclone.pointer import MAX_SIZE, Oid, Pointer, format_pointer, parse_pointer

OID = Oid("4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393")
VERSION = b"version https://git-lfs.github.com/spec/v1\n"
OID_LINE = b"oid sha256:" + OID.encode() + b"\n"
CANONICAL = VERSION + OID_LINE + b"size 12345\n"
POINTER = Pointer(OID, 12345)
EXT = b"ext-0-foo sha256:" + b"b" * 64 + b"\n"


def with_size(text: bytes) -> bytes:
    return VERSION + OID_LINE + b"size " + text + b"\n"


def with_oid(text: bytes) -> bytes:
    return VERSION + b"oid " + text + b"\nsize 12345\n"


ACCEPTED = {
    "canonical": (CANONICAL, 12345),
    "no final LF": (CANONICAL[:-1], 12345),
    "CRLF": (CANONICAL.replace(b"\n", b"\r\n"), 12345),
    "hawser": (CANONICAL.replace(b"https://git-lfs.github.com", b"https://hawser.github.com"), 12345),
    "git-media": (CANONICAL.replace(b"https://git-lfs.github.com/spec/v1", b"http://git-media.io/v/2"), 12345),
    "size 0": (with_size(b"0"), 0),
    "size +5": (with_size(b"+5"), 5),
    "size 0005": (with_size(b"0005"), 5),
    "space after size": (with_size(b"5 "), 5),
    "largest size": (with_size(b"%d" % MAX_SIZE), MAX_SIZE),
    "blank line before": (b"\n" + CANONICAL, 12345),
    "blank line between": (VERSION + b"\n" + OID_LINE + b"size 12345\n", 12345),
    "blank line after": (CANONICAL + b"\n\n", 12345),
    "padded to 1023": (CANONICAL + b"\n" * (1023 - len(CANONICAL)), 12345),
}
EXTENDED = {
    "sorted ext": VERSION + EXT + b"ext-1-bar sha256:" + b"c" * 64 + b"\n" + OID_LINE + b"size 5\n",
    "ext before version": EXT + CANONICAL,
}
MALFORMED = {
    "upper-case oid": with_oid(b"sha256:" + OID.upper().encode()),
    "short oid": with_oid(b"sha256:" + OID[:-1].encode()),
    "empty oid": with_oid(b"sha256:"),
    "sha1 oid": with_oid(b"sha1:" + b"a" * 40),
    "space after oid": with_oid(b"sha256:" + OID.encode() + b" "),
    "missing size": VERSION + OID_LINE,
    "empty size": with_size(b""),
    "negative size": with_size(b"-1"),
    "decimal size": with_size(b"1.5"),
    "huge size": with_size(b"%d" % (MAX_SIZE + 1)),
    "unknown key": CANONICAL + b"foo bar\n",
    "wrong order": VERSION + b"size 12345\n" + OID_LINE,
    "repeated oid": VERSION + OID_LINE + OID_LINE + b"size 12345\n",
    "double space": VERSION + OID_LINE + b"size  12345\n",
    "tab in size": VERSION + OID_LINE + b"size\t12345\n",
    "equals in size": VERSION + OID_LINE + b"size=12345\n",
    "NUL in size": with_size(b"12\x00345"),
}
ORDINARY = {
    "other version": CANONICAL.replace(b"spec/v1", b"spec/v2"),
    "BOM": b"\xef\xbb\xbf" + CANONICAL,
    "no version": OID_LINE + b"size 12345\n",
    "version alone": VERSION,
    "prose": b"version https://git-lfs.github.com/spec/v1 is what a pointer begins with\n",
    "missing oid": VERSION + b"size 12345\n",
    "binary": bytes(range(256)),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_accepted(name: str) -> None:
    text, size = ACCEPTED[name]
    assert parse_pointer(text) == Pointer(OID, size)


@pytest.mark.parametrize("name", [*MALFORMED, *EXTENDED])
def test_a_malformed_claim_is_loud(name: str) -> None:
    with pytest.raises(BadPointer) as caught:
        parse_pointer({**MALFORMED, **EXTENDED}[name], "models/a.bin")
    assert caught.value.path == "models/a.bin"
    assert caught.value.reason


@pytest.mark.parametrize("name", ORDINARY)
def test_ordinary_content(name: str) -> None:
    assert parse_pointer(ORDINARY[name]) is None


def test_only_small_blobs_are_pointers() -> None:
    assert parse_pointer(CANONICAL + b"\n" * (1024 - len(CANONICAL))) is None


def test_an_empty_file_is_its_own_content() -> None:
    assert parse_pointer(b"") is None
    assert format_pointer(Pointer(OID, 0)) == b""


def test_canonical_form() -> None:
    assert format_pointer(POINTER) == CANONICAL


@pytest.mark.skipif(not shutil.which("git-lfs"), reason="git-lfs is not installed")
@pytest.mark.parametrize("name", [*ACCEPTED, *EXTENDED, *MALFORMED, *ORDINARY])
def test_git_lfs_agrees(name: str, tmp_path: Path) -> None:
    """It accepts what we accept and extensions; it rejects what we call malformed or ordinary."""
    accepted = {**{key: text for key, (text, _) in ACCEPTED.items()}, **EXTENDED}
    file = tmp_path / "pointer"
    file.write_bytes({**accepted, **MALFORMED, **ORDINARY}[name])
    done = subprocess.run(
        ["git", "lfs", "pointer", "--check", "--file", str(file)], capture_output=True, check=False, cwd=tmp_path
    )
    assert (done.returncode == 0) == (name in accepted), done.stderr
