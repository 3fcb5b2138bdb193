"""Large trees: run with ``-s`` to see the figures; nothing is asserted about time."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from hfclone.git import Git, GitRepo, pointers_among
from hfclone.pointer import Oid, Pointer, format_pointer


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_hundred_thousand_entries(tmp_path: Path) -> None:
    repo = GitRepo(Git({"PATH": os.environ["PATH"], "HOME": str(tmp_path)}), tmp_path / "r")
    repo.path.mkdir()
    repo.init("main")
    rows: list[bytes] = []
    for number in range(100_000):
        pointer = Pointer(Oid(f"{number:064x}"), number + 1)
        data = format_pointer(pointer) if number % 2 else b"%d\n" % number
        name = b"d%d/f%d.bin" % (number % 100, number)
        rows.append(b"M 100644 inline %s\ndata %d\n%s\n" % (name, len(data), data))
    head = b"commit refs/heads/main\ncommitter a <a@b> 1 +0000\ndata 1\nm\n"
    repo.run("fast-import", "--quiet", stdin=head + b"".join(rows))
    start = time.monotonic()
    entries = repo.tree_entries("main")
    found, bad = pointers_among(repo, entries)
    listed = time.monotonic()
    missing = repo.missing_blobs("main")
    print(f"\n{len(entries)} entries, {len(found)} pointers in {listed - start:.2f} s")
    print(f"missing_blobs in {time.monotonic() - listed:.2f} s")
    assert (len(entries), len(found), bad, missing) == (100_000, 50_000, {}, {})
