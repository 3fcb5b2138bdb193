"""Files that git converts between its objects and the work tree: line ends, encodings, ``ident``.

A user's configuration stays as it is, and what git itself would call unchanged is no damage.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.command import Command, git
from tests.hub import Hub, Lfs, LivingRepo

SKIP = {"GIT_LFS_SKIP_SMUDGE": "1"}
TEXTS = {
    "windows.txt": b"one\r\ntwo\r\n",
    "mixed.txt": b"one\r\ntwo\nthree\r\n",
    "unix.txt": b"one\ntwo\n",
    "utf16.txt": "grüße\n".encode(),
    "utf16-as-is.txt": "grüße\n".encode("utf-16"),
    "ident.txt": b"$Id$ and $Id: old $\n",
}
ATTRIBUTES = {
    "eol=crlf": b"*.txt text eol=crlf\n",
    "eol=lf": b"*.txt text eol=lf\n",
    "auto": b"* text=auto eol=crlf\n",
    "utf-16": b"utf16*.txt text working-tree-encoding=UTF-16\n",
    "utf-16 without a mark": b"utf16.txt text working-tree-encoding=UTF-16LE eol=crlf\n",
    "ident": b"*.txt ident\n",
}


@pytest.mark.parametrize("attributes", ATTRIBUTES)
def test_what_git_writes_is_right(hub: Hub, hfclone: Command, tmp_path: Path, attributes: str) -> None:
    """Whether it leads back or not: ``verify`` right after, a second run, and after a file was touched."""
    hub.repo("acme/ends", {".gitattributes": ATTRIBUTES[attributes], **TEXTS, "w.bin": Lfs(9_000)})
    dest = tmp_path / "ends"
    assert hfclone("acme/ends", dest).code == 0
    for path in dest.glob("*.txt"):
        path.touch()
    found = hfclone("verify", dest)
    assert (found.code, found.stdout) == (0, "")
    again = hfclone("acme/ends", dest, "--progress", "json")
    assert again.event("report")["kept"] == []
    (dest / "mixed.txt").write_bytes(b"mine\n")
    assert hfclone("verify", dest).stdout.split()[:2] == ["changed", "mixed.txt"]


def crlf_clone(hfclone: Command, url: str, folder: Path, where: str, value: str) -> Path:
    """A clone that git made for somebody with ``core.autocrlf``."""
    if where == "global":
        hfclone.git(folder, "config", "--global", "core.autocrlf", value)
    local = ("-c", f"core.autocrlf={value}") if where == "local" else ()
    hfclone.git(folder, "clone", "-q", *local, url, "plain", env=SKIP)
    return folder / "plain"


@pytest.mark.parametrize("where", ["global", "local"])
@pytest.mark.parametrize("value", ["true", "input"])
def test_a_clone_with_autocrlf(
    hub: Hub, tiny_repo: LivingRepo, hfclone: Command, tmp_path: Path, where: str, value: str
) -> None:
    dest = crlf_clone(hfclone, f"{hub.url}/acme/tiny", tmp_path, where, value)
    end = b"\r\n" if value == "true" else b"\n"
    configured = (dest / ".git/config").read_bytes()
    texts = {path: path.read_bytes() for path in dest.rglob("*.txt") if ".git" not in path.parts}
    assert (dest / "README.md").read_bytes().endswith(b"tiny" + end)
    done = hfclone("fetch", dest, "--progress", "json")
    assert (done.code, done.event("report")["kept"]) == (0, [])
    kept = [line for line in configured.splitlines() if b"autocrlf" in line]
    assert [line for line in (dest / ".git/config").read_bytes().splitlines() if b"autocrlf" in line] == kept
    assert {path: path.read_bytes() for path in texts} == texts
    assert hfclone.git(dest, "status", "--porcelain") == ""
    (dest / "config.json").touch()
    (dest / "README.md").unlink()
    assert hfclone("verify", dest).stdout.split() == ["missing", "README.md"]
    assert hfclone("verify", dest, "--repair").code == 0
    assert (dest / "README.md").read_bytes().endswith(b"tiny" + end)
    tiny_repo.add_commit({"config.json": "theirs\n", "new.txt": "new\n"})
    assert hfclone("pull", dest).code == 0
    assert (dest / "config.json").read_bytes() == b"theirs" + end
    assert (dest / "new.txt").read_bytes() == b"new" + end
    assert hfclone.git(dest, "status", "--porcelain") == ""
    assert hfclone.git(dest, "config", "core.autocrlf") == value


def test_nothing_else_of_a_clones_configuration_changes(
    hub: Hub, tiny_repo: LivingRepo, hfclone: Command, tmp_path: Path
) -> None:
    """But for a filter where git-lfs is not at hand, without which git would store large files whole."""
    hfclone.git(tmp_path, "clone", "-q", f"{hub.url}/acme/tiny", "plain", env=SKIP)
    dest = tmp_path / "plain"
    git(dest, "config", "core.checkStat", "default")
    before = set(git(dest, "config", "--local", "--list").splitlines())
    assert hfclone("fetch", dest).code == 0
    after = set(git(dest, "config", "--local", "--list").splitlines())
    assert before <= after
    assert {line for line in after - before if not line.startswith("filter.")} == set()


def test_a_checkout_of_ours_is_exact_whatever_its_user_has(
    hub: Hub, tiny_repo: LivingRepo, hfclone: Command, tmp_path: Path
) -> None:
    hfclone.git(tmp_path, "config", "--global", "core.autocrlf", "true")
    dest = tmp_path / "tiny"
    assert hfclone("acme/tiny", dest).code == 0
    assert (dest / "config.json").read_bytes() == b'{"a": 1}\n'
    assert hfclone.git(dest, "status", "--porcelain") == ""
    assert hfclone("verify", dest).code == 0
