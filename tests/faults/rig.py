"""A transfer between a test hub and a directory, and what its log says afterwards."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from hfclone.events import Event, Failed, Faulted, Waiting
from hfclone.http import Authority, Limits, Web
from hfclone.hub.endpoint import Endpoint, EndpointKind, TokenRule
from hfclone.names import Pin, Repo
from hfclone.partials import Partials
from hfclone.pointer import Oid, Pointer, parse_pointer
from hfclone.retry import Clock, Patience
from hfclone.settings.measures import Window
from hfclone.transfer import Arrived, Transfer, Wanted
from hfclone.transfer.aria2 import Aria2, Aria2Daemon
from hfclone.transfer.health import EndpointHealth
from hfclone.transfer.threads import ThreadTransfer
from tests.hub import Front, Hub, Lfs, LivingRepo

REPO = "acme/model"
MB = 1_000_000
KINDS = ("threads", "aria2c")
"""What moves the bytes: our own connections, or a carrier."""


class Hands:
    """A clock that a test may move on; it never goes back."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def now(self) -> float:
        """Monotonic seconds."""
        return time.monotonic() + self.ahead

    @property
    def clock(self) -> Clock:
        """What the engine gets."""
        return Clock(self.now, time.sleep)


def pointers_of(repo: LivingRepo) -> tuple[list[Pointer], dict[Oid, tuple[bytes, ...]]]:
    """The objects of a repo's main branch, and their paths."""
    paths: dict[Oid, tuple[bytes, ...]] = {}
    objects = []
    for row in repo.rows(repo.commit):
        if row.is_tree or row.lfs is None:
            continue
        pointer = parse_pointer(repo.git("cat-file", "blob", row.oid))
        assert pointer is not None
        if pointer.oid not in paths:
            objects.append(pointer)
        paths[pointer.oid] = (*paths.get(pointer.oid, ()), row.path)
    return objects, paths


@dataclass
class Ran:
    """How a fetch ended."""

    outcomes: list[Arrived | Failed]
    events: list[Event]
    seconds: float

    @property
    def arrived(self) -> list[Arrived]:
        """What came."""
        return [outcome for outcome in self.outcomes if isinstance(outcome, Arrived)]

    @property
    def failed(self) -> list[Failed]:
        """What did not."""
        return [outcome for outcome in self.outcomes if isinstance(outcome, Failed)]

    @property
    def faults(self) -> list[str]:
        """Errors on the way, by code."""
        return [event.error.code for event in self.events if isinstance(event, Faulted)]

    @property
    def waits(self) -> list[Waiting]:
        """What the user was told while nothing moved."""
        return [event for event in self.events if isinstance(event, Waiting)]


@dataclass
class Rig:
    """One repo on one hub, and a directory for the partials."""

    hub: Hub
    repo: LivingRepo
    directory: Path
    hands: Hands = field(default_factory=Hands)
    patience: float | None = 60.0
    first_answer: float | None = 60.0
    connections: int = 16
    stall_after: float = 20.0
    connect: float = 5.0
    limit_rate: int | None = None
    kind: str = "threads"
    only_mirrors: bool = False
    spares_hub: bool = False
    window: Window | None = None
    wall_clock: Callable[[], float] = time.time
    token: Authority | None = None
    daemon: Aria2Daemon | None = None
    program_path: str = "/usr/bin:/bin"
    home: str = "/nowhere"
    health: EndpointHealth = field(init=False)

    def __post_init__(self) -> None:
        self.objects, self.paths = pointers_of(self.repo)
        self.partials = Partials(self.directory)
        self.total = sum(pointer.size for pointer in self.objects)

    @property
    def fair(self) -> float:
        """The most that may be sent, over the bytes of the objects, where no bytes were wrong.

        aria2c drops what is in its buffers when it splits a range: 1.02 to 1.1 by how busy the machine is. The bound
        tells that from an object fetched again.
        """
        return 1.02 if self.kind == "threads" else 1.25

    @property
    def wanted(self) -> Wanted:
        """What is asked for."""
        return Wanted(Pin(Repo(REPO), self.repo.commit), self.objects, self.paths, self.partials)

    def transfer(self, *mirrors: Front | str) -> Transfer:
        """A transfer over ``mirrors`` and the hub."""
        urls = [mirror if isinstance(mirror, str) else mirror.url for mirror in mirrors]
        endpoints = [Endpoint(url) for url in urls]
        if not self.only_mirrors:
            endpoints.append(Endpoint(self.hub.url, EndpointKind.HUB, TokenRule.NEVER))
        self.health = EndpointHealth(endpoints, self.hands.now, Random(1))
        patience = Patience(self.patience, self.first_answer, self.hands.clock)
        authorities = (self.token,) if self.token else ()
        environment = {"PATH": self.program_path, "HOME": self.home}
        aria2 = Aria2(environment, self.limit_rate, daemon=self.daemon)
        return ThreadTransfer(
            self.web, self.health, patience, authorities, self.hands.clock, self.connections, self.limit_rate,
            self.window, self.wall_clock, self.spares_hub, None if self.kind == "threads" else aria2,
        )  # fmt: skip

    def web(self) -> Web:
        """New connections."""
        return Web(user_agent="hfclone-tests", limits=Limits(connect=self.connect, silence=self.stall_after))

    def fetch(self, *mirrors: Front | str) -> Ran:
        """Fetch everything."""
        events: list[Event] = []
        began = time.monotonic()
        outcomes = list(self.transfer(*mirrors).fetch(self.wanted, events.append))
        ran = Ran(outcomes, events, time.monotonic() - began)
        self._check(ran)
        return ran

    def in_background(self, *mirrors: Front | str) -> Background:
        """Fetch everything on another thread, so that the test can meddle."""
        return Background(self, mirrors)

    def sent(self, since: int = 0) -> float:
        """Bytes of content that all servers sent, over the bytes of the objects."""
        oids = {pointer.oid for pointer in self.objects}
        entries = (e for e in self.hub.log.entries[since:] if e.oid in oids and e.kind in ("cdn", "resolve"))
        return sum(entry.bytes_sent for entry in entries) / self.total

    def _check(self, ran: Ran) -> None:
        """What holds however a fetch ends: one outcome each, and what arrived is right."""
        assert sorted(o.pointer.oid for o in ran.outcomes) == sorted(p.oid for p in self.objects)
        for arrived in ran.arrived:
            assert arrived.digest == arrived.pointer.oid
            assert same_file(arrived.part, self.repo.object_path(arrived.pointer.oid))


class Background:
    """A fetch on a thread of its own; use ``with``."""

    def __init__(self, rig: Rig, mirrors: Sequence[Front | str]) -> None:
        self.events: list[Event] = []
        self._rig = rig
        self._transfer = rig.transfer(*mirrors)
        self._outcomes: list[Arrived | Failed] = []
        self._crash: list[BaseException] = []
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Background:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._rig.hub.faults.clear()
        self._thread.join(30)

    def done(self, timeout: float = 30.0) -> Ran:
        """Wait for the end."""
        self._thread.join(timeout)
        assert not self._thread.is_alive(), "the fetch did not end"
        if self._crash:
            raise self._crash[0]
        ran = Ran(self._outcomes, self.events, 0.0)
        self._rig._check(ran)
        return ran

    def wait_for(self, kind: type[Event], timeout: float = 20.0) -> Event:
        """The first event of a kind from now on."""
        seen, deadline = len(self.events), time.monotonic() + timeout
        while time.monotonic() < deadline:
            for event in self.events[seen:]:
                if isinstance(event, kind):
                    return event
            time.sleep(0.02)
        raise AssertionError(f"no {kind.__name__} came")

    def _run(self) -> None:
        try:
            self._outcomes += self._transfer.fetch(self._rig.wanted, self.events.append)
        except BaseException as error:  # noqa: BLE001  # raised again by whoever waits
            self._crash.append(error)


def same_file(left: Path, right: Path) -> bool:
    """Whether two files hold the same bytes."""
    with left.open("rb") as one, right.open("rb") as other:
        while True:
            block = one.read(1 << 20)
            if block != other.read(1 << 20):
                return False
            if not block:
                return True


def mixed_repo(folder: Path) -> LivingRepo:
    """Two large objects and thirty small ones."""
    small = {f"s{i}.bin": Lfs(30_000, seed=100 + i) for i in range(30)}
    return LivingRepo(folder, {"a.bin": Lfs(24 * MB, seed=1), "b.bin": Lfs(12 * MB, seed=2), **small})


def served(folder: Path, repo: LivingRepo) -> Iterator[Hub]:
    """A hub that offers ``repo``, which outlives it."""
    with Hub(folder) as hub:
        hub.add(REPO, repo)
        hub._repos.clear()  # shared by many hubs: whoever made it closes it
        yield hub
    shutil.rmtree(folder, ignore_errors=True)
