"""Files of the user's that a run keeps: it ends with 0, and its report says so."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.e2e.command import Command, git
from tests.hub import Hub, LivingRepo


@pytest.fixture
def dest(hub: Hub, tiny_repo: LivingRepo, hfclone: Command) -> Path:
    """A checkout that is complete; what is asked from now on is told apart."""
    assert hub.url and tiny_repo.commit
    assert hfclone("acme/tiny").code == 0
    return hfclone.cwd / "tiny"


def kept(hfclone: Command, *more: object) -> list[str]:
    done = hfclone("acme/tiny", "--progress", "json", *more)
    assert done.code == 0, done.stderr
    return done.event("report")["kept"]


def test_a_small_file_that_was_edited(hub: Hub, hfclone: Command, dest: Path) -> None:
    (dest / "config.json").write_text("mine")
    before = hub.log.bytes_sent(kind="cdn")
    done = hfclone("acme/tiny")
    assert (done.code, (dest / "config.json").read_text()) == (0, "mine")
    assert "kept your changes to 1 file: config.json\n" in done.stderr
    assert kept(hfclone) == ["config.json"]
    assert hub.log.bytes_sent(kind="cdn") == before


def test_whatever_a_user_does_is_told(hfclone: Command, dest: Path) -> None:
    """As verify would find it: links, modes and what was staged, too; more than three names are counted."""
    (dest / "config.json").write_text("staged")
    git(dest, "add", "config.json")
    (dest / "README.md").unlink()
    (dest / "README.md").symlink_to("config.json")
    (dest / "run.sh").chmod(0o644)
    (dest / "link.json").unlink()
    (dest / "link.json").symlink_to("run.sh")
    assert kept(hfclone) == ["README.md", "config.json", "link.json", "run.sh"]
    done = hfclone("acme/tiny")
    assert "kept your changes to 4 files: README.md, config.json, link.json and 1 more" in done.stderr
    found = hfclone("verify", dest)
    assert found.code == 5
    assert {line.split()[1] for line in found.stdout.splitlines()} == {
        "README.md",
        "config.json",
        "link.json",
        "run.sh",
    }


def test_what_only_looks_edited_is_not_told(hub: Hub, hfclone: Command, dest: Path) -> None:
    """A touched file, one that is written anew with the same bytes, line ends that are git's, and what was deleted."""
    (dest / "config.json").touch()
    text = (dest / "README.md").read_bytes()
    (dest / "README.md").unlink()
    (dest / "README.md").write_bytes(text)
    (dest / "run.sh").unlink()
    (dest / "mine.txt").write_text("beside the commit's")
    git(dest, "add", "mine.txt")
    assert kept(hfclone) == []
    hub.repo("acme/ends", {".gitattributes": b"*.txt text eol=crlf\n", "a.txt": b"one\ntwo\n"})
    for _ in range(2):
        done = hfclone("acme/ends", "--progress", "json")
        assert done.event("report")["kept"] == []
        os.utime(hfclone.cwd / "ends" / "a.txt")


def test_a_large_file_that_is_not_selected(hub: Hub, hfclone: Command, dest: Path) -> None:
    """Selected it would be in the way; it stays while others are fetched."""
    (dest / "model.safetensors").write_bytes(b"mine")
    for path in ("sub/dir/w.bin", "sub/same.bin"):
        (dest / path).unlink()
    before = hub.log.bytes_sent(kind="cdn")
    assert kept(hfclone, "--include", "sub/*") == ["model.safetensors"]
    assert (dest / "model.safetensors").read_bytes() == b"mine"
    assert hfclone("acme/tiny").code == 6
    moved = kept(hfclone, "--backup")
    assert (moved, (dest / "model.safetensors.hfclone-orig-1").read_bytes()) == ([], b"mine")
    assert hub.log.bytes_sent(kind="cdn") - before == 370_000
