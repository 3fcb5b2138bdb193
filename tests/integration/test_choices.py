"""What a checkout was made with is remembered: verify, repair and status are not told again."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from hfclone.selection.choices import ALL, Choice, leaving, read_choice, remember
from tests.e2e.command import Command, git
from tests.hub import Hub, Lfs, LivingRepo

MODEL = ["--include", "model.*"]


@pytest.fixture
def dest(hub: Hub, tiny_repo: LivingRepo, hfclone: Command) -> Path:
    """A checkout with one of its three large files."""
    assert hub.url and tiny_repo.commit
    assert hfclone("acme/tiny", *MODEL).code == 0
    return hfclone.cwd / "tiny"


def state_of(dest: Path) -> Path:
    return dest / ".git" / "hfclone"


def status(hfclone: Command, dest: Path) -> dict[str, Any]:
    outcome = hfclone("status", dest, "--json")
    assert outcome.code == 0, outcome.stderr
    data: dict[str, Any] = json.loads(outcome.stdout)
    return data


def problems(hfclone: Command, dest: Path, *more: object) -> dict[str, str]:
    data = json.loads(hfclone("verify", dest, "--json", *more).stdout)
    return {each["path"]: each["problem"] for each in data["wrong"]}


def test_verify_and_status_know_it(hub: Hub, hfclone: Command, dest: Path) -> None:
    hub.down()
    outcome = hfclone("verify", dest)
    assert (outcome.code, outcome.stdout) == (0, "")
    assert "as when the checkout was made: --include 'model.*'\n" in outcome.stderr
    assert json.loads(hfclone("verify", dest, "--json").stdout)["choice"]["include"] == ["model.*"]
    found = status(hfclone, dest)
    assert (found["complete"], found["unselected"], found["objects"]["pointer"]) == (True, 2, 2)
    assert "choice    --include 'model.*' (2 pointers left by it)\n" in hfclone("status", dest).stdout
    assert git(dest, "status", "--porcelain") == ""


def test_another_choice_goes_before_it(hfclone: Command, dest: Path) -> None:
    """For that run alone, which brings nothing; and what is wrong is told whatever was chosen."""
    assert problems(hfclone, dest, "--include", "*") == {"sub/dir/w.bin": "pointer", "sub/same.bin": "pointer"}
    assert "as when the checkout was made" not in hfclone("verify", dest, "--include", "*").stderr
    (dest / "sub/same.bin").unlink()
    (dest / "model.safetensors").unlink()
    assert problems(hfclone, dest) == {"sub/same.bin": "missing", "model.safetensors": "missing"}
    assert not status(hfclone, dest)["complete"]


def test_repair_brings_what_was_chosen(hub: Hub, hfclone: Command, dest: Path) -> None:
    (dest / "model.safetensors").unlink()
    before = hub.log.bytes_sent(kind="cdn")
    assert hfclone("verify", dest, "--repair").code == 0
    assert hub.log.bytes_sent(kind="cdn") - before == 300_000
    assert (dest / "sub/same.bin").stat().st_size < 1024
    assert read_choice(state_of(dest)) == Choice(include=("model.*",))


@pytest.mark.parametrize("words", [["acme/tiny"], ["pull"], ["fetch"]], ids=lambda words: words[0])
def test_a_run_without_one_brings_all_and_forgets_it(hfclone: Command, dest: Path, words: list[str]) -> None:
    assert hfclone(*words, *([] if "/" in words[0] else [dest])).code == 0
    assert read_choice(state_of(dest)) == ALL
    pointer = git(dest, "show", "HEAD:sub/same.bin")
    (dest / "sub/same.bin").write_text(pointer)
    assert problems(hfclone, dest) == {"sub/same.bin": "pointer"}
    assert not status(hfclone, dest)["complete"]


def test_a_run_with_another_one_is_remembered(hfclone: Command, dest: Path) -> None:
    assert hfclone("fetch", dest, "--exclude", "model.*", "--max-size", "1G").code == 0
    assert read_choice(state_of(dest)) == Choice(exclude=("model.*",), max_size=10**9)
    assert hfclone("verify", dest).code == 0


def test_what_a_lockfile_leaves_out(hub: Hub, hfclone: Command, dest: Path) -> None:
    """Path by path, also where they look like patterns; the lockfile itself is what it was."""
    odd = {"w[1].bin": Lfs(50_000, seed=1), "w1.bin": Lfs(50_000, seed=2), "a*b.bin": Lfs(50_000, seed=3)}
    hub.repo("acme/odd", {".gitattributes": b"*.bin filter=lfs diff=lfs merge=lfs -text\n", **odd})
    assert hfclone("lock", "acme/odd", "--exclude", "a[*]b.bin", "--exclude", "w[[]1].bin").code == 0
    lock = (hfclone.cwd / "hfclone.lock").read_bytes()
    assert hfclone("sync", "there").code == 0
    made = hfclone.cwd / "there" / "odd"
    assert sorted(p.name for p in made.glob("*.bin") if p.stat().st_size == 50_000) == ["w1.bin"]
    outcome = hfclone("verify", made)
    assert outcome.code == 0, outcome.stdout
    assert hfclone("verify", made, "--lockfile", "hfclone.lock").code == 0
    assert (hfclone.cwd / "hfclone.lock").read_bytes() == lock
    assert hfclone("verify", dest, "--include", "model.*").code == 0


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 2}', '{"version": 1, "include": "a"}', "null", "\xff"])
def test_a_spoiled_one_is_none(hfclone: Command, dest: Path, text: str) -> None:
    (state_of(dest) / "choice").write_text(text, "latin-1")
    assert read_choice(state_of(dest)) == ALL
    assert set(problems(hfclone, dest).values()) == {"pointer"}


def test_a_quantisation_that_is_gone(hfclone: Command, dest: Path) -> None:
    """By another git's checkout, say: then all counts as wanted."""
    remember(state_of(dest), Choice(quants=("Q4_K_M",)))
    assert set(problems(hfclone, dest).values()) == {"pointer"}
    assert not status(hfclone, dest)["complete"]


def test_whatever_names_there_are(tmp_path: Path) -> None:
    choice = Choice(("a b", os.fsdecode(b"\xff*"), "ü"), ("--", "'"), ("q8_0",), 5)
    remember(tmp_path, choice)
    assert read_choice(tmp_path) == choice
    remember(tmp_path, leaving([]))
    assert read_choice(tmp_path) == ALL
    assert not list(tmp_path.iterdir())
