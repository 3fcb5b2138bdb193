"""``hfclone ls``: what a repo holds, without its large objects."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from tests.e2e.command import Command
from tests.hub import Hub, Lfs, LivingRepo


def rows(hfclone: Command, *args: object) -> dict[str, dict[str, object]]:
    outcome = hfclone("ls", *args, "--json")
    assert outcome.code == 0, outcome.stderr
    listed = [json.loads(line) for line in outcome.stdout.splitlines()]
    return {row["path"]: row for row in listed}


def test_all_kinds(hub: Hub, tiny_repo: LivingRepo, hfclone: Command) -> None:
    found = rows(hfclone, "acme/tiny")
    assert list(found) == sorted(found, key=os.fsencode)
    assert len(found) == 13
    model = Lfs(300_000, seed=1).content
    row = found["model.safetensors"]
    assert (row["kind"], row["size"], row["sha256"]) == ("object", 300_000, hashlib.sha256(model).hexdigest())
    row = found["config.json"]
    assert (row["kind"], row["size"]) == ("file", 9)
    assert row["sha256"] == hashlib.sha256(b'{"a": 1}\n').hexdigest()
    assert (found["link.json"]["kind"], found["run.sh"]["mode"]) == ("link", "100755")
    assert found["config.json"]["commit"] == tiny_repo.commit
    assert not [entry for entry in hub.log.entries if entry.kind in ("cdn", "batch", "resolve")]
    asked = [(entry.path, entry.query) for entry in hub.log.entries if entry.kind == "api"]
    assert asked == [("/api/models/acme/tiny", "expand=sha")]  # of the commit, not of every file


def test_for_people(tiny_repo: LivingRepo, hfclone: Command, tmp_path: Path) -> None:
    outcome = hfclone("ls", "acme/tiny", "--include", "*.bin", "-q")
    digest = hashlib.sha256(Lfs(70_000, seed=2).content).hexdigest()
    assert outcome.stderr == ""
    assert outcome.stdout.splitlines()[1:] == [
        f"         70,000  object     {digest}  sub/dir/w.bin",
        f"         70,000  object     {digest}  sub/same.bin",
    ]
    assert outcome.stdout.splitlines()[0].endswith("  empty.bin")
    assert list(hfclone.cwd.iterdir()) == []
    assert list(hfclone.tmp.iterdir()) == []


def test_quantisations_are_a_column_where_there_are_any(hub: Hub, hfclone: Command) -> None:
    hub.repo("acme/gguf", {"m-Q4_K_M.gguf": Lfs(10, seed=1), "m-Q8_0.gguf": Lfs(20, seed=2), "README.md": "of both\n"})
    lines = hfclone("ls", "acme/gguf", "--exclude", ".git*").stdout.splitlines()
    assert [line.split()[3:] for line in lines if "gitattributes" not in line] == [
        ["-", "README.md"],
        ["Q4_K_M", "m-Q4_K_M.gguf"],
        ["Q8_0", "m-Q8_0.gguf"],
    ]


def test_a_revision_and_a_page(hub: Hub, tiny_repo: LivingRepo, hfclone: Command) -> None:
    assert "more.bin" in rows(hfclone, "acme/tiny@feat/slash")
    assert list(rows(hfclone, f"{hub.url}/acme/tiny/tree/main/sub/dir")) == ["sub/dir/w.bin"]
    outcome = hfclone("ls", "acme/tiny", "--revision", "nothing")
    assert (outcome.code, outcome.stdout) == (3, "")
    assert hfclone("ls", "a/b/c").code == 2
