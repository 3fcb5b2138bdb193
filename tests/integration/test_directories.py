"""Moves between commits one of which has a file, the other a directory or a submodule, where a user may have either."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.command import Command, git
from tests.hub import LivingRepo, Submodule
from tests.hub.repos import Files

GONE = None
STEPS: list[tuple[str, Files]] = [
    ("a submodule comes", {"mod": Submodule()}),
    ("a directory of files takes its place", {"mod": GONE, "mod/x.txt": "x\n", "mod/deep/er/y.txt": "y\n"}),
    ("a file takes the directory's", {"mod/x.txt": GONE, "mod/deep/er/y.txt": GONE, "mod": "file\n"}),
    ("a submodule takes the file's", {"mod": Submodule()}),
    ("a submodule below a directory", {"mod": GONE, "sub/mod": Submodule()}),
    ("a submodule in place of files", {"sub/mod": GONE, "sub/dir/w.bin": GONE, "sub/dir": Submodule()}),
    ("it goes", {"sub/dir": GONE}),
]


def pull(hfclone: Command, dest: Path) -> None:
    done = hfclone("pull", dest)
    assert done.code == 0, done.stderr


def test_files_directories_and_submodules_in_each_others_place(
    tiny_repo: LivingRepo, hfclone: Command, tmp_path: Path
) -> None:
    dest = tmp_path / "tiny"
    assert hfclone("acme/tiny", dest).code == 0
    for what, files in STEPS:
        tiny_repo.add_commit(files)
        pull(hfclone, dest)
        assert git(dest, "status", "--porcelain") == "", what
        assert {path for path in _folders(dest) if not any((dest / path).iterdir())} == _empty_submodules(dest), what


def test_what_a_user_put_into_a_submodule_stays(tiny_repo: LivingRepo, hfclone: Command, tmp_path: Path) -> None:
    dest = tmp_path / "tiny"
    tiny_repo.add_commit({"sub/mod": Submodule()})
    assert hfclone("acme/tiny", dest).code == 0
    (dest / "sub/mod/mine").write_text("mine")
    tiny_repo.add_commit({"sub/mod": GONE})
    pull(hfclone, dest)
    assert (dest / "sub/mod/mine").read_text() == "mine"
    assert git(dest, "status", "--porcelain") == "?? sub/mod/\n".strip()


def _empty(dest: Path) -> None:
    (dest / "run.sh").unlink()
    (dest / "run.sh/empty/er").mkdir(parents=True)


def _full(dest: Path) -> None:
    (dest / "run.sh").unlink()
    (dest / "run.sh").mkdir()
    (dest / "run.sh/mine").write_text("mine")


@pytest.mark.parametrize(
    ("users", "files", "code"),
    [(_empty, {"run.sh": "new\n"}, 0), (_full, {"run.sh": "new\n"}, 6), (_empty, {"run.sh": GONE}, 0),
     (_full, {"run.sh": GONE}, 0)],
    ids=["empty, the file changes", "the file changes", "empty, the file goes", "the file goes"],
)  # fmt: skip
def test_a_users_directory_in_a_files_place(
    tiny_repo: LivingRepo, hfclone: Command, tmp_path: Path, users: Callable[[Path], None], files: Files, code: int
) -> None:
    """Empty ones are none, to git; what is in others stays."""
    dest = tmp_path / "tiny"
    assert hfclone("acme/tiny", dest).code == 0
    users(dest)
    tiny_repo.add_commit(files)
    done = hfclone("pull", dest)
    assert (done.code, "run.sh" in done.error) == (code, code == 6), done.stderr
    if users is _full:
        assert (dest / "run.sh/mine").read_text() == "mine"
    elif files["run.sh"]:
        assert (dest / "run.sh").read_text() == "new\n"


def _folders(dest: Path) -> set[str]:
    below = (path.relative_to(dest) for path in dest.rglob("*") if path.is_dir())
    return {str(path) for path in below if ".git" not in path.parts}


def _empty_submodules(dest: Path) -> set[str]:
    rows = (line.partition("\t") for line in git(dest, "ls-files", "-s").splitlines())
    return {path for facts, _, path in rows if facts.startswith("160000")}
