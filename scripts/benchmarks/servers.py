"""The servers of a bench: the test hub for git, API and LFS batch, nginx for the bytes; both say what they sent."""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.hub import Hosted, Hub, Lfs, LivingRepo, Lost
from tests.hub.answers import Latency
from tests.hub.faults import Serve
from tests.hub.messages import Request, Response
from tests.hub.nginx import serve_folder
from tests.hub.streams import Waiting

__all__ = ["REPO", "Files", "Line", "Stage", "StopAt", "Work", "open_stage"]

REPO = "bench/repo"
Files = dict[str, "Lfs | Lost | str"]


@dataclass(frozen=True, slots=True)
class Work:
    """What a repo holds: sha256 and size of each file that is to be there in the end, and its LFS objects' paths."""

    files: Mapping[str, tuple[str, int]]
    objects: Mapping[str, str]
    """Path to oid."""

    @property
    def size(self) -> int:
        """Bytes of all LFS objects."""
        return sum(self.files[path][1] for path in self.objects)


@dataclass(frozen=True, slots=True)
class Line:
    """How the servers send.

    ``secure`` is by https, ``rate`` in bytes a second for each connection, ``latency`` in seconds to the
    first byte of each answer (then the hub's own CDN sends the bytes: nginx cannot wait).
    """

    secure: bool = False
    rate: int | None = None
    latency: float = 0.0


@dataclass
class StopAt(Waiting):
    """All answers together send ``limit`` bytes and no more; ``reached`` is set then."""

    limit: int = 0
    reached: threading.Event = field(default_factory=threading.Event)
    _sent: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def answer(self, request: Request, serve: Serve) -> Response:
        """Count what the server answers."""
        return serve(request).wrap(self._counted)

    def _counted(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            with self._lock:
                over = self._sent + len(piece) > self.limit
                self._sent += 0 if over else len(piece)
            if over:
                self.reached.set()
                self._free.wait()
                return
            yield piece


@dataclass(slots=True)
class Stage:
    """Servers with one repo, ``REPO``."""

    hub: Hub
    certificate: Path
    access_log: Path
    work: Work
    hosted: Hosted
    _read: int = 0
    _logged: int = 0

    def sent(self) -> int:
        """Bytes of bodies sent since the last call."""
        rows = self.access_log.read_bytes() if self.access_log.exists() else b""
        fresh, self._read = rows[self._read :], len(rows)
        by_nginx = sum(int(row.split(b'" ')[1].split()[1]) for row in fresh.splitlines())
        by_hub = self.hub.log.bytes_sent(since=self._logged)
        self._logged = len(self.hub.log)
        return by_nginx + by_hub

    @contextmanager
    def stopping_at(self, limit: int) -> Iterator[threading.Event]:
        """For the length of the block the hub's own CDN sends the bytes, and falls silent after ``limit`` of them."""
        base, self.hosted.object_base = self.hosted.object_base, None
        fault = StopAt(limit=limit)
        rule = self.hub.faults.add(fault, on="cdn")
        try:
            yield fault.reached
        finally:
            self.hub.faults.remove(rule)
            self.hosted.object_base = base


@contextmanager
def open_stage(folder: Path, files: Files, line: Line) -> Iterator[Stage]:
    """Start the servers, with a repo of ``files`` made below ``folder``."""
    with contextlib.ExitStack() as stack:
        hub = stack.enter_context(Hub(folder / "hub", send_buffer=None))
        hub.limits.quota = dict.fromkeys(hub.limits.quota, 10**9)
        repo = LivingRepo(folder / "repo", files)
        hosted = hub.add(REPO, repo)
        log = folder / "access.log"
        extra = f"access_log {log} combined;" + (f" limit_rate {line.rate};" if line.rate else "")
        served = stack.enter_context(serve_folder(repo.object_dir, extra=extra))
        if line.latency:
            hub.faults.add(Latency(line.latency))
        else:
            hosted.object_base = served.https if line.secure else served.http
        yield Stage(hub, served.certificate, log, _work(repo, files), hosted)


def _work(repo: LivingRepo, files: Files) -> Work:
    sums: dict[str, tuple[str, int]] = {}
    objects: dict[str, str] = {}
    for path, content in files.items():
        if isinstance(content, str):
            sums[path] = hashlib.sha256(content.encode()).hexdigest(), len(content.encode())
        else:
            objects[path] = repo.put(content) if isinstance(content, Lfs) else content.oid
            sums[path] = objects[path], content.size
    return Work(sums, objects)
