"""``scripts/bench lines``: hfclone and its peers in turn over bad lines, each in a loop until it exits 0."""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .drawing import picture
from .line import PROFILES, Line, Profile, built
from .line_servers import REPO

ROOT = Path(__file__).absolute().parents[2]
TOO_LONG = 5.0
"""Times the ideal after which a tool is called too slow."""
GRACE = 15.0
"""Seconds beyond that."""
PEERS = ("aria2c", "hf", "git lfs")
FIXED = ("fixed 4", "fixed 8", "fixed 16", "fixed 32", "fixed 64")
ARIA2C = ["-x16", "-s16", "-j5", "-k1M", "-c", "--max-tries=0", "--retry-wait=2", "--no-conf", "--quiet"]
ARIA2C += ["--allow-overwrite=true", "--auto-file-renaming=false", "--file-allocation=none", "--check-integrity=true"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """One run: seconds, bytes that crossed towards the client, and how often the tool was started."""

    wall: float
    crossed: int
    tries: int
    done: bool


def main(args: Sequence[str]) -> int:
    """Run what was asked for; 2 where this machine has no lines."""
    options = _parser().parse_args(args)
    if os.geteuid() or not Path("/dev/net/tun").exists():
        print("scripts/bench lines needs root, /dev/net/tun, ip and cc", file=sys.stderr)
        return 2
    profiles = [profile for profile in PROFILES if not options.profile or profile.name in options.profile]
    folder = Path(tempfile.mkdtemp(prefix="hfclone-lines-"))
    rows: list[dict[str, Any]] = []
    try:
        program = built(folder)
        for profile in profiles:
            for sender in options.sender or ("bbr", "cubic"):
                rows += _measure(profile, sender, options, folder, program)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if options.json:
        Path(options.json).write_text(json.dumps({"megabytes": options.megabytes, "rows": rows}, indent=1))
    if options.svg:
        Path(options.svg).write_text(picture(rows, TOO_LONG))
    print("\n".join(table(rows)))
    return 0


def _measure(
    profile: Profile, sender: str, options: argparse.Namespace, folder: Path, program: Path
) -> list[dict[str, Any]]:
    tools = options.tool or ["hfclone", *PEERS]
    runs: dict[str, list[Outcome]] = {tool: [] for tool in tools}
    ideal = options.megabytes * 1e6 / profile.rate
    for number in range(options.runs):
        for tool in tools:
            if number and not runs[tool][0].done:
                continue
            outcome = run_once(tool, profile, sender, options.megabytes, folder, program)
            runs[tool].append(outcome)
            over = outcome.crossed / (options.megabytes * 1e6)
            said = f"{outcome.wall / ideal:.2f} of the ideal, bytes {over:.3f}" if outcome.done else "no"
            print(f"{profile.name} {sender}: {tool}: {said}, {outcome.tries} tries", file=sys.stderr, flush=True)
    return [
        {
            "profile": profile.name, "about": profile.about, "sender": sender, "tool": tool, "ideal": ideal,
            "done": all(one.done for one in found),
            "wall": statistics.median(one.wall for one in found) / ideal,
            "crossed": statistics.median(one.crossed for one in found) / (options.megabytes * 1e6),
        }
        for tool, found in runs.items()
    ]  # fmt: skip


def run_once(tool: str, profile: Profile, sender: str, megabytes: int, folder: Path, program: Path) -> Outcome:
    """One tool's whole job over a line of its own."""
    stage, place = folder / "hub", folder / "run"
    for each in (stage, place):
        shutil.rmtree(each, ignore_errors=True)
    place.mkdir()
    with Line(profile, program, sender) as line:
        command = [sys.executable, "-m", "scripts.benchmarks.line_servers", os.fspath(stage), str(megabytes)]
        servers = line.far(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert servers.stdin is not None
        assert servers.stdout is not None
        said = json.loads(servers.stdout.readline())
        commands = _commands(tool, said, profile, place)
        deadline = time.monotonic() + TOO_LONG * megabytes * 1e6 / profile.rate + GRACE
        began, tries, done = time.monotonic(), 0, False
        while not done and time.monotonic() < deadline:
            tries += 1
            done = all(_end(line, each, place, said, deadline) for each in commands)
            if not done and tool == "hfclone":
                print((place / "log").read_text(errors="replace")[-1500:], file=sys.stderr)
        wall = time.monotonic() - began
        servers.stdin.close()
        servers.wait()
        crossed = sum(host["down"] for host in line.close().values())
    if done:
        for path, oid in said["sums"].items():
            if hashlib.sha256((place / "dest" / path).read_bytes()).hexdigest() != oid:
                raise SystemExit(f"{tool}: {path} is not what it should be")
    return Outcome(wall, crossed, tries, done)


def _end(line: Line, command: list[str], place: Path, said: dict[str, Any], deadline: float) -> bool:
    """Whether a command ends with 0 before ``deadline``."""
    with (place / "log").open("ab") as log:
        process = line.near(command, _environ(place, said), log)
        try:
            return process.wait(max(0.1, deadline - time.monotonic())) == 0
        except subprocess.TimeoutExpired:
            return False
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _environ(place: Path, said: dict[str, Any]) -> dict[str, str]:
    return {
        "PATH": os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", os.defpath)]),
        "HOME": os.fspath(place), "LC_ALL": "C.UTF-8", "HF_HOME": os.fspath(place / "hf"),
        "HF_TOKEN_PATH": os.devnull, "HF_ENDPOINT": said["endpoint"], "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1", "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0", "PYTHONPATH": os.fspath(ROOT),
    }  # fmt: skip


def _commands(tool: str, said: dict[str, Any], profile: Profile, place: Path) -> list[list[str]]:
    """What a tool's job is; those that know one host are sent to the faster."""
    dest, hub, mirror = os.fspath(place / "dest"), said["hub"], said["mirror"] if profile.mirror else ""
    said["endpoint"] = hub
    if tool == "hfclone":
        return [[sys.executable, "-m", "hfclone", REPO, dest, *(["--mirror", mirror] if mirror else [])]]
    said["endpoint"] = mirror or hub
    if tool == "aria2c":
        listing = [sys.executable, os.fspath(Path(__file__).with_name("listing.py"))]
        lists = [os.fspath(place / name) for name in ("list", "sums")]
        return [
            [*listing, said["endpoint"], REPO, *lists],
            ["aria2c", *ARIA2C, "--dir", dest, "--input-file", lists[0]],
        ]
    if tool == "hf":
        return [["hf", "download", REPO, "--local-dir", dest, "--quiet"]]
    if tool == "git lfs":
        url = f"{said['endpoint']}/{REPO}"
        clone = f"test -d {dest}/.git || {{ rm -rf {dest}; GIT_LFS_SKIP_SMUDGE=1 git clone -q {url} {dest}; }}"
        return [["git", "lfs", "install"], ["sh", "-c", clone], ["git", "-C", dest, "lfs", "pull"]]
    both = [hub, REPO, dest, tool.partition(" ")[2], *([mirror] if mirror else [])]
    return [[sys.executable, os.fspath(Path(__file__).with_name("fixed.py")), *both]]


def table(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Wall over ideal and, in brackets, bytes that crossed over the objects' bytes."""
    tools = list(dict.fromkeys(row["tool"] for row in rows))
    lines = [f"| line | senders | {' | '.join(tools)} |", "|---" * (2 + len(tools)) + "|"]
    places = list(dict.fromkeys((row["profile"], row["about"], row["sender"]) for row in rows))
    for name, about, sender in places:
        of = {row["tool"]: row for row in rows if (row["profile"], row["sender"]) == (name, sender)}
        cells = [f"{of[tool]['wall']:.2f} [{of[tool]['crossed']:.2f}]" if of[tool]["done"] else "no" for tool in tools]
        lines.append(f"| {name}: {about} | {sender} | {' | '.join(cells)} |")
    for tool in tools:
        walls = [min(row["wall"], TOO_LONG) for row in rows if row["tool"] == tool]
        mean = math.exp(statistics.fmean(math.log(wall) for wall in walls))
        lines.append(f"{tool}: geometric mean of wall over ideal {mean:.2f}")
    return lines


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/bench lines", description=__doc__)
    parser.add_argument("--profile", action="append", choices=[profile.name for profile in PROFILES])
    parser.add_argument("--sender", action="append", choices=["bbr", "cubic"], help="the senders' congestion control")
    parser.add_argument("--tool", action="append", help=f"hfclone, {', '.join((*PEERS, *FIXED))}")
    parser.add_argument("--runs", type=int, default=3, metavar="N", help="rounds; each runs every tool once [3]")
    parser.add_argument("--megabytes", type=int, default=96, help="size of the objects in all [96]")
    parser.add_argument("--json", metavar="FILE", help="the figures, as JSON")
    parser.add_argument("--svg", metavar="FILE", help="a picture of them")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
