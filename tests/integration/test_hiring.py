"""Workers of the built-in transfer whom nothing can wake are made up for."""

from __future__ import annotations

import contextlib
import hashlib
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random

import pytest

from hfclone.events import ignore
from hfclone.http import Limits, Web
from hfclone.hub.endpoint import Endpoint, EndpointKind
from hfclone.names import Pin, Repo
from hfclone.partials import Partials
from hfclone.pointer import Oid, Pointer
from hfclone.retry import Clock, Patience
from hfclone.transfer import Arrived, Wanted
from hfclone.transfer.health import EndpointHealth
from hfclone.transfer.threads import ThreadTransfer

BODIES = {f"f{number}": b"%d" % number * 500 for number in range(60)}
OIDS = {name: Oid(hashlib.sha256(body).hexdigest()) for name, body in BODIES.items()}
CONNECT = 60.0
"""Seconds that a connect to the host behind a redirect hangs; whoever waits for one comes too late."""


@pytest.fixture
def nobody() -> Iterator[int]:
    """A port with a queue that is full, so that a connect to it hangs."""
    with contextlib.ExitStack() as held:
        listener = held.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(3):
            waiting = held.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


@pytest.fixture
def hub(nobody: int) -> Iterator[str]:
    """Well at first; then it sends whoever asks for one of thirty objects elsewhere, once each."""
    unsent = {f"f{number}" for number in range(15, 45)}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            name = self.path.rpartition("/")[2]
            body = b"" if name in unsent else BODIES[name]
            self.send_response(302 if name in unsent else 200)
            if name in unsent:
                unsent.discard(name)
                self.send_header("Location", f"http://127.0.0.1:{nobody}/{name}")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:  # no batch API
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(404)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_connects_that_hang_hold_up_nobody_else(hub: str, tmp_path: Path) -> None:
    clock = Clock(time.monotonic, time.sleep)
    health = EndpointHealth([Endpoint(hub, EndpointKind.HUB)], clock.now, Random(1))
    limits = Limits(connect=CONNECT)
    transfer = ThreadTransfer(
        lambda: Web(user_agent="hfclone-tests", limits=limits), health, Patience(60, 60, clock), (), clock, 64
    )
    pointers = [Pointer(OIDS[name], len(body)) for name, body in BODIES.items()]
    paths = {OIDS[name]: (name.encode(),) for name in BODIES}
    wanted = Wanted(Pin(Repo("acme/model"), "a" * 40), pointers, paths, Partials(tmp_path))
    began = time.monotonic()
    outcomes = list(transfer.fetch(wanted, ignore))
    assert [type(outcome) for outcome in outcomes] == [Arrived] * len(BODIES)
    assert time.monotonic() - began < CONNECT / 2
