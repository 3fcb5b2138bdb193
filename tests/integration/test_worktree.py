"""Looking at a work tree."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from hfclone.worktree import WorkTree


def test_what_is_absent_is_found_directory_by_directory(tmp_path: Path) -> None:
    for folder in ("a", "real/b"):
        (tmp_path / folder).mkdir(parents=True)
    for name in ("top", "a/file", "real/b/behind", "plain"):
        (tmp_path / name).touch()
    (tmp_path / "a" / "link").symlink_to("nowhere")
    (tmp_path / "linked").symlink_to("real")
    absent = [b"gone", b"a/gone", b"a/file2", b"none/such", b"real/b/gone"]
    there = [b"top", b"a/file", b"a", b"a/link", b"linked", b"real/b/behind"]
    blocked = [b"plain/below", b"linked/b/behind", b"linked/gone"]  # something stands in the way
    with closing(WorkTree(tmp_path)) as tree:
        assert tree.absent(path for pair in zip(absent, there, strict=False) for path in pair) == absent
        assert tree.absent(there + blocked) == []
        (tmp_path / "a" / "gone").touch()
        assert tree.absent([b"a/gone"]) == []
