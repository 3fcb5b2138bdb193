"""Bodies as they arrive, over plain sockets and over TLS, from nginx."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from hfclone.errors import Truncated
from hfclone.http import Answer, Connections, Limits, Route, Web
from hfclone.http.connecting import Connector
from tests.hub.nginx import Served, serve_folder

SIZE = 3_000_001
TLS_PIECE = 16 * 1024


@pytest.fixture(scope="module")
def content() -> bytes:
    return Random(5).randbytes(SIZE)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> Iterator[Served]:
    if shutil.which("nginx") is None:
        pytest.skip("nginx is not installed")
    folder = tmp_path_factory.mktemp("root")
    (folder / "large").write_bytes(content)
    (folder / "small").write_bytes(content[:20_000])
    with serve_folder(folder) as served:
        yield served


@pytest.fixture(params=["http", "https"])
def url(request: pytest.FixtureRequest, served: Served) -> str:
    return str(getattr(served, request.param))


class Counting(Connector):
    """Counts the sockets that it connects."""

    made = 0

    def connect(self, *given: Any) -> socket.socket:
        self.made += 1
        return super().connect(*given)


@pytest.fixture
def connector() -> Counting:
    return Counting()


@pytest.fixture
def web(served: Served, connector: Counting) -> Iterator[Web]:
    connections = Connections(Route({}, (), str(served.certificate)), Limits(), connector)
    with Web(user_agent="hfclone-tests", connections=connections) as web:
        yield web
    connections.close()


def pieces_of(answer: Answer, limit: int, lull: float = 0.0) -> list[bytes]:
    """Each is only good until the next."""
    return [bytes(piece) for piece in answer.chunks(limit, lull=lull)]


@pytest.mark.parametrize("lull", [0.0, 0.5])
def test_every_byte_comes_once_and_the_connection_is_kept(
    url: str, web: Web, connector: Counting, content: bytes, lull: float
) -> None:
    for _ in range(3):
        with web.get(f"{url}/large", label="host") as answer:
            pieces = pieces_of(answer, SIZE, lull)
        assert b"".join(pieces) == content
        assert len(pieces) < SIZE / TLS_PIECE  # gathered: TLS has 16 KiB a call
    assert connector.made == 1


def test_a_small_one_that_is_wanted_whole_is_one_piece(url: str, web: Web, connector: Counting, content: bytes) -> None:
    for _ in range(20):
        with web.get(f"{url}/small", label="host") as answer:
            assert pieces_of(answer, 20_000, 0.5) == [content[:20_000]]
    assert connector.made == 1


def test_no_more_is_taken_than_was_asked_for(url: str, web: Web, content: bytes) -> None:
    with web.get(f"{url}/large", label="host", headers={"Range": "bytes=1000-1999999"}) as answer:
        assert b"".join(pieces_of(answer, 500_000)) == content[1000:501_000]
        assert b"".join(pieces_of(answer, 10**9)) == content[501_000:2_000_000]


def test_a_server_that_goes_in_the_middle_of_a_body(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "large").write_bytes(content * 20)
    with serve_folder(tmp_path, extra="limit_rate 20m;") as passing:
        web = Web(user_agent="hfclone-tests", ca_bundle=str(passing.certificate))
        answers = [web.get(f"{url}/large", label="host") for url in (passing.http, passing.https)]
        bodies = [answer.chunks(answer.length or 0) for answer in answers]
        assert all(content.startswith(bytes(next(body))) for body in bodies)
    with web:
        for body in bodies:
            with pytest.raises(Truncated):
                list(body)
