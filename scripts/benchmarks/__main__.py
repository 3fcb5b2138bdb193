"""The command line of ``scripts/bench``."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

from .cases import CASES, Case, opened
from .measure import FailedRun, Usage
from .report import case_data, lines
from .tools import version_of

PROGRAMS = ("hf", "aria2c", "git", "git-lfs", "curl", "openssl", "nginx")


def main(args: Sequence[str]) -> int:
    """Run the cases that were asked for; 1 if a goal was missed with ``--strict``, 2 if a tool failed."""
    options = _parser().parse_args(args)
    cases = [case for case in CASES if not options.case or case.name in options.case]
    if options.folder:
        options.folder.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="hfclone-bench-", dir=options.folder))
    report: dict[str, Any] = {"date": date.today().isoformat(), "machine": _machine(), "runs": options.runs,
                              "size": options.size, "programs": _programs(), "cases": []}  # fmt: skip
    try:
        for case in cases:
            data = _run_case(case, options, folder / case.name)
            report["cases"].append(data)
            if not options.json:
                print("\n".join(lines(data)), flush=True)
            shutil.rmtree(folder / case.name, ignore_errors=True)
    except FailedRun as failure:
        print(failure, file=sys.stderr)
        return 2
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if options.json:
        print(json.dumps(report, indent=2))
    else:
        print(f"{report['machine']}; {report['date']}; medians of {options.runs} rounds; size {options.size:g}")
    missed = any(not goal["met"] for data in report["cases"] for goal in data["goals"])
    return 1 if missed and options.strict else 0


def _run_case(case: Case, options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    _say(f"{case.name}: {case.about} (size {options.size:g})")
    runs: dict[str, list[Usage]] = {}
    with opened(case, options.size, folder) as (stage, rounds):
        chosen = {tool: one for tool, one in rounds.items() if not options.tool or tool in options.tool}
        for number in range(options.runs):
            for tool, one in chosen.items():
                usage = one()
                runs.setdefault(tool, []).append(usage)
                _say(
                    f"  round {number + 1}: {tool}: {usage.wall:.2f} s, CPU {usage.cpu:.2f} s, "
                    f"{usage.peak / 1e6:.0f} MB"
                )
        return case_data(case.name, case.about, stage.work.size, runs)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description="Runs hfclone and other downloaders in turn on the same work, and compares them round by round. "
        "The servers run on this machine. Tools that do not verify have `openssl dgst` or `sha256sum -c` added.",
        epilog="Cases: " + "; ".join(f"{case.name}: {case.about}" for case in CASES),
    )
    parser.add_argument("--case", action="append", choices=[case.name for case in CASES], help="this case (repeatable)")
    parser.add_argument("--tool", action="append", help="this tool (repeatable), by its name in the tables")
    parser.add_argument("--runs", type=int, default=5, metavar="N", help="rounds; each runs every tool once [5]")
    parser.add_argument("--size", type=float, default=1.0, metavar="X", help="a share of the real sizes and counts [1]")
    parser.add_argument(
        "--folder", type=Path, help="where to work; up to three times the case's size is needed, and 10 GB [/tmp]"
    )
    parser.add_argument("--json", action="store_true", help="the figures of every run, as JSON")
    parser.add_argument("--strict", action="store_true", help="end with 1 if a goal was missed")
    return parser


def _machine() -> str:
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [row.partition(":")[2].strip() for row in info.read_text().splitlines() if row.startswith("model name")]
        model = names[0] if names else model
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{os.cpu_count()} x {model}, {memory:.0f} GiB, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}"
    )


def _programs() -> dict[str, str]:
    return {name: version_of(name) for name in PROGRAMS}


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
