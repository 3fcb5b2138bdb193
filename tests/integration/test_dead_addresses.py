"""Hosts of which some addresses swallow whatever is sent to them, as one does whose IPv6 leads nowhere."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hfclone.errors import GitUnconnected, Stalled, Unreachable
from hfclone.git import Fetch, Git, fetch, scratch_repo
from hfclone.http import AbortHandle, Limits, Route, Web
from hfclone.http.connecting import Connector
from tests.e2e.command import Command, Outcome, assert_checkout
from tests.hub import Hub, Lfs, LivingRepo
from tests.hub.wire import Outage
from tests.naming import Naming, swallowing
from tests.proxies import HttpProxy, SocksProxy

ALIVE = "127.0.0.1"
DEAD = {"another family": ("::1", ALIVE), "the same family": ("127.0.0.2", "127.0.0.3", ALIVE)}
"""A host's addresses in the system's order; all but the last swallow."""
SOON = 8.0
"""Seconds for a run that takes two; whoever waits for a dead address waits ten."""
MOST_MET = 10
"""Connections to a dead address: each host's first, and those that begin with it; a run makes thirty."""


@dataclass
class World:
    """A hub and its CDN under names, and a user who finds them at more addresses than one."""

    hub: Hub
    commit: str
    user: Command
    naming: Naming
    dead: ExitStack

    def at(self, *addresses: str, names: tuple[str, ...] = ("hub.test", "cdn.test"), port: int = 0) -> None:
        """``names`` are at ``addresses``, of which all but 127.0.0.1 swallow (with a proxy's ``port``, there)."""
        for address in addresses:
            if address != ALIVE:
                self.dead.enter_context(swallowing(address, port or self.hub.front.listener.port))
                if not port:
                    self.dead.enter_context(swallowing(address, self.hub.cdn_port))
        self.user.environ |= self.naming.environ(dict.fromkeys(names, addresses))

    def run(self, *words: str, within: float = SOON) -> Outcome:
        """Bring ``acme/tiny``."""
        began = time.monotonic()
        done = self.user("acme/tiny", *words)
        assert time.monotonic() - began < within
        return done

    def is_met_at_first_only(self, address: str) -> bool:
        """Whether a dead address was connected to while nothing was known of its hosts, and never again."""
        return 0 < self.naming.connects("python").count(address) <= MOST_MET


@pytest.fixture
def world(hub: Hub, tmp_path: Path, naming: Naming) -> Iterator[World]:
    """The names lead nowhere yet."""
    files = {f"{number}.bin": Lfs(100_000, seed=number) for number in range(60)}
    repo = hub.repo("acme/tiny", {"config.json": b"{}", "large.safetensors": Lfs(4_000_000, seed=9), **files})
    hub.site.hub_url = hub.url.replace(ALIVE, "hub.test")
    hub.front.cdn_alias = hub.cdn_url.replace(ALIVE, "cdn.test")
    with ExitStack() as dead:
        yield World(hub, repo.commit, Command(tmp_path / "user", hub.site.hub_url), naming, dead)


@pytest.mark.parametrize("addresses", DEAD.values(), ids=DEAD)
def test_the_first_addresses_are_dead(world: World, addresses: tuple[str, ...]) -> None:
    world.at(*addresses)
    done = world.run("-v")
    assert done.code == 0, done.stderr
    assert_checkout(world.user.cwd / "tiny", world.commit, f"{world.user.endpoint}/acme/tiny")
    assert all(map(world.is_met_at_first_only, addresses[:-1])), world.naming.log.read_text("ascii")
    assert set(world.naming.connects("git-remote")) == {ALIVE}
    assert world.naming.looks("git-remote") == []


@pytest.mark.parametrize(("kind", "scheme"), [(HttpProxy, "http"), (SocksProxy, "socks5h")])
def test_a_proxys_first_address_is_dead(world: World, kind: type[HttpProxy] | type[SocksProxy], scheme: str) -> None:
    """Of the hub git is told nothing: it could not connect there."""
    with kind() as proxy:
        world.at("127.0.0.2", ALIVE, names=("proxy.test",), port=proxy.port)
        done = world.run("--proxy", f"{scheme}://proxy.test:{proxy.port}")
        assert done.code == 0, done.stderr
        assert {passed.host for passed in proxy.passed} == {"hub.test", "cdn.test"}
    assert world.is_met_at_first_only("127.0.0.2"), world.naming.log.read_text("ascii")
    assert set(world.naming.connects("git-remote")) == {ALIVE}


def test_no_address_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Git would wait two minutes for each: it is not started."""
    monkeypatch.setattr("hfclone.http.CONNECT_SECONDS", 0.5)
    git = Git({"PATH": os.environ["PATH"], "HOME": str(tmp_path)}, route=Route({}))
    with socket.create_server((ALIVE, 0)) as taken, scratch_repo(git) as repo:
        port = taken.getsockname()[1]
        began = time.monotonic()
        with swallowing("127.0.0.2", port), pytest.raises(GitUnconnected, match="no connection in time"):
            fetch(repo, f"http://127.0.0.2:{port}/acme/tiny", Fetch(refspecs=("HEAD",)))
    assert time.monotonic() - began < SOON


def test_a_proxy_of_gits_own_is_left_to_git(tmp_path: Path, hub: Hub, tiny_repo: LivingRepo) -> None:
    """It gets to where our own connections do not."""
    with HttpProxy() as proxy:
        home = tmp_path / "home"
        home.mkdir()
        (home / ".gitconfig").write_text(f"[http]\n\tproxy = http://127.0.0.1:{proxy.port}\n", "ascii")
        git = Git({"PATH": os.environ["PATH"], "HOME": str(home)}, route=Route({}))
        with scratch_repo(git) as repo:
            fetch(repo, f"{hub.url.replace(ALIVE, 'hub.test')}/acme/tiny", Fetch(refspecs=("HEAD",), depth=1))
            assert proxy.passed


def test_whoever_answered_is_remembered_until_he_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_up = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in ("127.0.0.2", ALIVE)]

    def look_up(_host: str, port: int, *_: object) -> list[Any]:
        return [(*row[:4], (row[4][0], port)) for row in looked_up]

    connector = Connector()
    with socket.create_server((ALIVE, 0)) as alive:
        port = alive.getsockname()[1]
        with swallowing("127.0.0.2", port):
            monkeypatch.setattr(socket, "getaddrinfo", look_up)
            with connector.connect("hub.test", port, SOON) as made:
                assert made.getpeername() == (ALIVE, port)
                assert made.gettimeout() == SOON
            assert connector.reach("hub.test", port, SOON) == [ALIVE, "127.0.0.2"]
            alive.close()
            assert connector.first("hub.test", port, 0.1) == ALIVE
            for attempt in (connector.connect, connector.first):
                with pytest.raises(TimeoutError):
                    attempt("hub.test", port, 0.1)


@pytest.mark.parametrize("method", ["ask", "get"])
def test_what_never_connects_is_not_silent(hub: Hub, method: str) -> None:
    """Whoever is silent is given more time, and at last not asked for batches any more."""
    hub.down(Outage.HANG)
    with Web(user_agent="test", limits=Limits(connect=0.2)) as web:
        with pytest.raises(Unreachable, match="no connection in time"):
            getattr(web, method)(hub.url.replace("http:", "https:"), label="hub")
        with pytest.raises(Stalled):
            getattr(web, method)(hub.url, label="hub", handle=AbortHandle(0.2))
