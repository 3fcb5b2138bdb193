"""Which paths may be written."""

from __future__ import annotations

import pytest

from hfclone.errors import UnsafePath
from hfclone.paths import Folding, Platform, check_tree, show_path


@pytest.mark.parametrize("path", [
    b"", b"/abs", b"a//b", b"a/", b".", b"..", b"../evil", b"a/../b", b"a/./b", b".git", b"a/.git/hooks/x", b".GIT",
    b"git~1", b"GIT~1/x", b".git.", b".git ", b".git::$INDEX_ALLOCATION", b".git\\x", b"a\0b",
    ".g\u200cit".encode(), ".git\ufeff/x".encode(),
])  # fmt: skip
def test_refused_everywhere(path: bytes) -> None:
    with pytest.raises(UnsafePath):
        check_tree([path])


@pytest.mark.parametrize("path", [
    b"a", b"a/b c", b"..a", b"a..", b".gitattributes", b".github/x", b"git", b"a\n dir=x\n.bin", b"\x1b]0;x",
    b"caf\xe9",
    b"--upload-pack=x", b"..\\evil", "ünï".encode(), b"con", b"a:b",
])  # fmt: skip
def test_allowed_on_posix(path: bytes) -> None:
    check_tree([path])


@pytest.mark.parametrize(
    "path", [b"con", b"a/NUL.txt", b"com1", b"a:b", b"a\\b", b"a.", b"a ", b"a?", b"..\\evil", b"a\x01"]
)
def test_refused_on_windows(path: bytes) -> None:
    with pytest.raises(UnsafePath):
        check_tree([path], platform=Platform.WINDOWS)


@pytest.mark.parametrize("paths", [[b"a", b"a"], [b"a/b", b"a"], [b"a", b"a/b/c"], [b"x/y", b"x/y/z"]])
def test_two_that_cannot_both_be(paths: list[bytes]) -> None:
    with pytest.raises(UnsafePath):
        check_tree(paths)


@pytest.mark.parametrize("paths", [
    [b"A", b"a"], [b"A/post-checkout", b"a"], ["\u00e9".encode(), "e\u0301".encode()], ["ß".encode(), b"ss"],
])  # fmt: skip
def test_folded_names_collide_only_where_the_file_system_folds(paths: list[bytes]) -> None:
    check_tree(paths)
    with pytest.raises(UnsafePath):
        check_tree(paths, folding=Folding.FOLDED)


def test_show_path_has_no_control_characters() -> None:
    assert show_path(b"a\x1b]0;\n\xff") == "a\\x1b]0;\\n\\xff"
    assert show_path("ünï\u202e".encode()) == "ünï\\u202e"
