"""The bench on tiny sizes: every tool ends with the right files, and the JSON says what is promised."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
NEEDED = ("git", "git-lfs", "aria2c", "nginx", "openssl", "curl")
USAGE = {"wall", "cpu", "peak", "sent"}

pytestmark = pytest.mark.skipif(
    any(shutil.which(name) is None for name in NEEDED), reason="one of the tools to be compared is not installed"
)


def bench(tmp_path: Path, *args: str) -> dict[str, Any]:
    """Run the bench; it checks every file itself after each run."""
    command = [sys.executable, "-m", "scripts.benchmarks", "--json", "--folder", str(tmp_path), *args]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.iterdir()) == []
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_every_tool_brings_the_same_files(tmp_path: Path) -> None:
    report = bench(tmp_path, "--case", "big-https", "--case", "mixed", "--size", "0.002", "--runs", "1")
    assert {"date", "machine", "runs", "size", "programs", "cases"} <= report.keys()
    secure, mixed = report["cases"]
    assert set(mixed["tools"]) == {"hfclone", "hfclone aria2c", "aria2c", "hf + openssl", "git lfs"}
    assert set(secure["tools"]) == {*mixed["tools"], "curl", "curl + openssl"}
    for case in (mixed, secure):
        assert case["bytes"] > 0
        assert case["goals"]
        for tool, row in case["tools"].items():
            assert row["median"].keys() == USAGE
            assert len(row["runs"]) == 1
            assert row["median"]["sent"] >= case["bytes"], tool
            assert tool == "hfclone" or case["ratios"][tool].keys() == {"wall", "cpu"}
        for goal in case["goals"]:
            assert goal.keys() == {"goal", "limit", "value", "met"}


def test_a_resumed_run_is_sent_only_the_rest(tmp_path: Path) -> None:
    report = bench(tmp_path, "--case", "resume", "--size", "0.03", "--runs", "1")
    runs = report["cases"][0]["tools"]
    # at this size much of the 90 % that were sent may still be under way when the stop comes
    assert runs["hfclone"]["median"]["sent"] < runs["first run"]["median"]["sent"] * 0.9


def test_what_fetches_nothing_is_compared_too(tmp_path: Path) -> None:
    report = bench(
        tmp_path, "--case", "nothing", "--case", "pointers", "--case", "start", "--size", "0.0005", "--runs", "2"
    )
    assert [case["case"] for case in report["cases"]] == ["nothing", "pointers", "start"]
    assert all(len(row["runs"]) == 2 for case in report["cases"] for row in case["tools"].values())


def test_wrong_files_end_the_bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from scripts.benchmarks import cases
    from scripts.benchmarks.measure import FailedRun
    from scripts.benchmarks.servers import Line
    from scripts.benchmarks.tools import TOOLS
    from tests.hub import Lfs

    def spoiling(stage: Any, place: Any) -> Any:
        return [*TOOLS["curl"](stage, place), [["sh", "-c", f'printf x >> "{place.dest}/a.bin"']]]

    monkeypatch.setitem(TOOLS, "spoiled", spoiling)
    case = cases.Case("spoiled", "", lambda _size: {"a.bin": Lfs(1000)}, ("spoiled",), Line())
    with cases.opened(case, 1.0, tmp_path) as (_, rounds), pytest.raises(FailedRun, match=r"a\.bin"):
        rounds["spoiled"]()
