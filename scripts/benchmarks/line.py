"""A bad line on this machine: two network namespaces, and ``line.c`` between them, with the kernel's own TCP.

Why so: loopback has no round trips, and no byte is on its way there when a connection is closed. Linux, root,
``/dev/net/tun``, ``ip`` and a C compiler are needed; nothing leaves the two namespaces.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO

__all__ = ["CDN", "HUB", "MIRROR", "MIRROR_CDN", "PROFILES", "Line", "Profile", "built"]

NEAR, FAR = "hfclone-near", "hfclone-far"
CLIENT, HUB, CDN, MIRROR, MIRROR_CDN = (f"198.18.0.{last}" for last in range(1, 6))


@dataclass(frozen=True, slots=True)
class Profile:
    """A line: ``rate`` in bytes a second of all of it, and what ``line.c`` is told of the two sides' hosts."""

    name: str
    about: str
    rate: float
    hub: str
    mirror: str = ""


PROFILES = (
    Profile("clean", "20 MB/s, 40 ms", 20e6, "rate=20e6,delay=20"),
    Profile("far", "20 MB/s, 250 ms", 20e6, "rate=20e6,delay=125,queue=250"),
    Profile("night", "8 MB/s, 250 ms, 2 % lost", 8e6, "rate=8e6,delay=125,loss=0.02,queue=200"),
    Profile("awful", "4 MB/s, 300 ms, 8 % lost", 4e6, "rate=4e6,delay=150,loss=0.08,queue=300"),
    Profile(
        "throttle",
        "400 kB/s a connection, 12 MB/s, 200 ms",
        12e6,
        "rate=12e6,delay=100,loss=0.002,flow=400e3,queue=300",
    ),
    Profile(
        "resets", "reset after 1.5 to 4.5 MB, 8 MB/s, 200 ms", 8e6, "rate=8e6,delay=100,loss=0.002,rst=3e6,queue=200"
    ),
    Profile(
        "dark", "15 s of light, 25 s of dark, 8 MB/s, 120 ms", 8e6, "rate=8e6,delay=60,loss=0.002,dark=15/25,queue=200"
    ),
    Profile("mobile", "2.5 MB/s, 80 ms, a queue of 2 s", 2.5e6, "rate=2.5e6,delay=40,loss=0.01,queue=2000"),
    Profile(
        "mirror",
        "a mirror of 6 MB/s, a hub of 1 MB/s",
        6e6,
        "rate=1e6,delay=150,loss=0.05",
        "rate=6e6,delay=30,loss=0.005",
    ),
    Profile("two", "hub and mirror of 4 MB/s each", 8e6, "rate=4e6,delay=125,loss=0.01", "rate=4e6,delay=40,loss=0.01"),
)


def built(folder: Path) -> Path:
    """The forwarder's program, compiled into ``folder``."""
    program = folder / "line"
    if not program.exists():
        _run("cc", "-O2", "-o", os.fspath(program), os.fspath(Path(__file__).with_name("line.c")))
    return program


class Line:
    """A line with all its hosts up; one at a time on a machine. A context manager."""

    def __init__(self, profile: Profile, program: Path, congestion_control: str = "bbr") -> None:
        """``congestion_control`` is the senders': large CDNs have bbr, small mirrors cubic."""
        classes = [f"{host},{profile.hub}" for host in (HUB, CDN)]
        if profile.mirror:
            classes += [f"{host},{profile.mirror}" for host in (MIRROR, MIRROR_CDN)]
        handle, name = tempfile.mkstemp(prefix="hfclone-line-")
        os.close(handle)
        self._stats = Path(name)
        for namespace in (NEAR, FAR):
            _forget(namespace)
            _run("ip", "netns", "add", namespace)
            _run("ip", "-n", namespace, "link", "set", "lo", "up")
        subprocess.run(
            ["sysctl", "-qw", "net.ipv4.tcp_allowed_congestion_control=reno bbr cubic"],
            check=False,
            capture_output=True,
        )
        _run("ip", "netns", "exec", FAR, "sysctl", "-qw", f"net.ipv4.tcp_congestion_control={congestion_control}")
        self._process = subprocess.Popen([program, NEAR, "tun-near", FAR, "tun-far", name, *classes])
        _up(NEAR, "tun-near", CLIENT)
        _up(FAR, "tun-far", HUB, CDN, MIRROR, MIRROR_CDN)

    def far(self, command: Sequence[str], **options: object) -> subprocess.Popen[str]:
        """Start a server on the far side."""
        return subprocess.Popen(["ip", "netns", "exec", FAR, *command], text=True, **options)  # type: ignore[call-overload,no-any-return]

    def near(self, command: Sequence[str], env: dict[str, str], log: IO[bytes]) -> subprocess.Popen[bytes]:
        """Start a client, in a session of its own."""
        command = ["ip", "netns", "exec", NEAR, *command]
        return subprocess.Popen(
            command, env=env, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True
        )

    def close(self) -> dict[str, dict[str, int]]:
        """End it. By far host: bytes ``down`` and ``up`` that crossed, ``offered``, packets ``lost``, ``resets``."""
        if self._process.poll() is None:
            self._process.terminate()
            self._process.wait()
            for namespace in (NEAR, FAR):
                _forget(namespace)
        told: dict[str, dict[str, int]] = json.loads(self._stats.read_text() or "{}")
        return told

    def __enter__(self) -> Line:
        """Up already."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Close."""
        self.close()
        self._stats.unlink(missing_ok=True)


def _forget(namespace: str) -> None:
    subprocess.run(["ip", "netns", "del", namespace], stderr=subprocess.DEVNULL, check=False)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def _up(namespace: str, device: str, *addresses: str) -> None:
    for _ in range(200):  # the forwarder makes the device
        if not subprocess.run(
            ["ip", "-n", namespace, "link", "show", device], capture_output=True, check=False
        ).returncode:
            break
        time.sleep(0.01)
    for address in addresses:
        _run("ip", "-n", namespace, "addr", "add", f"{address}/24", "dev", device)
    _run("ip", "-n", namespace, "link", "set", device, "mtu", "1500", "up")
