"""The relay between git and a proxy that speaks TLS: who gets through, what is told, and that it ends."""

from __future__ import annotations

import contextlib
import shutil
import socket
import ssl
import subprocess
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hfclone.errors import GitFailed, Unreachable
from hfclone.git import Fetch, Git, GitRepo, fetch, translate
from hfclone.git.relay import Relay
from hfclone.http import Route
from hfclone.hub.endpoint import Endpoint
from hfclone.names import Pin, Repo
from tests.hub import Hub, LivingRepo
from tests.hub.repos import git_env
from tests.proxies import PATIENCE, HttpProxy, certificate, context_of, tls_front

LOGIN = "me:s3cr3t@#"
QUOTED = "me:s3cr3t%40%23"


@pytest.fixture
def trusted(tmp_path: Path) -> Path:
    """The certificate of every server and proxy here."""
    return certificate(tmp_path)[0]


@pytest.fixture
def proxy(tmp_path: Path, trusted: Path) -> Iterator[HttpProxy]:
    """An https:// proxy that wants a password."""
    with HttpProxy(LOGIN, context_of(tmp_path)) as listening:
        yield listening


@pytest.fixture
def echo() -> Iterator[int]:
    """A port that sends back what it is sent."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:

        def serve(client: socket.socket) -> None:
            with client, contextlib.suppress(OSError):
                while data := client.recv(65536):
                    client.sendall(data)

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

        accepting = threading.Thread(target=accept, daemon=True)
        accepting.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        accepting.join()


def believing(trusted: Path) -> Callable[[], ssl.SSLContext]:
    return lambda: ssl.create_default_context(cafile=trusted)


def url_of(proxy: HttpProxy, login: str = QUOTED) -> str:
    return f"https://{login}@127.0.0.1:{proxy.port}"


def asked(relay: Relay, request: str, *, login: str | None = None) -> tuple[socket.socket, bytes]:
    """A connection on which ``request`` was sent, and the head of the answer; the relay's own login if none is said."""
    address, _, host = relay.url.removeprefix("http://").partition("@")
    known = b64encode((address if login is None else login).encode()).decode()
    client = socket.create_connection(("127.0.0.1", int(host.rpartition(":")[2])), timeout=PATIENCE)
    field = f"Proxy-Authorization: Basic {known}\r\n" if login != "" else ""
    client.sendall(f"{request}\r\n{field}\r\n".encode())
    head = b""
    while b"\r\n\r\n" not in head and (data := client.recv(1)):
        head += data
    return client, head


def tunnel(relay: Relay, port: int) -> socket.socket:
    client, head = asked(relay, f"CONNECT 127.0.0.1:{port} HTTP/1.1")
    assert head.startswith(b"HTTP/1.1 200 "), head
    return client


@pytest.mark.parametrize("login", ["", "hfclone:wrong", "hfclone:", "me:s3cr3t@#"])
def test_a_stranger_gets_nowhere(proxy: HttpProxy, trusted: Path, echo: int, login: str) -> None:
    """Not with the user's own password either; the proxy is not asked."""
    with Relay(url_of(proxy), believing(trusted)) as relay:
        client, head = asked(relay, f"CONNECT 127.0.0.1:{echo} HTTP/1.1", login=login)
        with client:
            assert head.startswith(b"HTTP/1.1 407 ")
            assert client.recv(1) == b""
    assert (proxy.passed, proxy.refused, relay.trouble) == ([], 0, "")


def test_curl_is_told_the_same(
    hub: Hub, tiny_repo: LivingRepo, proxy: HttpProxy, tmp_path: Path, trusted: Path
) -> None:
    """A client that nobody here wrote: through with the password, 407 without it."""
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("curl is not installed")
    with tls_front(int(hub.url.rpartition(":")[2]), context_of(tmp_path)) as port:
        url = f"https://127.0.0.1:{port}/acme/tiny/raw/main/config.json"
        with Relay(url_of(proxy), believing(trusted)) as relay:
            command = [curl, "-sS", "-f", "--noproxy", "", "--cacert", str(trusted), url, "-x"]
            right, wrong = (
                subprocess.run([*command, each], capture_output=True, check=False)
                for each in (relay.url, relay.address)
            )
    assert right.stdout == b'{"a": 1}\n', right.stderr
    assert b"407" in wrong.stderr
    assert [(passed.method, passed.port) for passed in proxy.passed] == [("CONNECT", port)]
    assert tiny_repo.commit


def test_it_opens_tunnels_alone(proxy: HttpProxy, trusted: Path, echo: int) -> None:
    with Relay(url_of(proxy), believing(trusted)) as relay:
        for request in (f"GET http://127.0.0.1:{echo}/ HTTP/1.1", "nonsense"):
            client, head = asked(relay, request)
            client.close()
            assert head.startswith(b"HTTP/1.1 405 ")
    assert proxy.passed == []


def test_many_tunnels_at_once(proxy: HttpProxy, trusted: Path, echo: int) -> None:
    """Each gets its own bytes back, more than any buffer on the way holds, sent before one is read."""
    size = 3_000_000
    with Relay(url_of(proxy), believing(trusted)) as relay:
        clients = [tunnel(relay, echo) for _ in range(16)]
        senders = []
        for number, client in enumerate(clients):
            senders.append(threading.Thread(target=client.sendall, args=(bytes([number]) * size,), daemon=True))
            senders[-1].start()
        for number, client in enumerate(clients):
            got = bytearray()
            while len(got) < size and (data := client.recv(1 << 20)):
                got += data
            assert got == bytes([number]) * size
            client.close()
        for sender in senders:
            sender.join(PATIENCE)
    assert len(proxy.passed) == len(clients)


def test_one_side_ends_and_the_other_is_told(proxy: HttpProxy, trusted: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, Relay(url_of(proxy), believing(trusted)) as relay:
        listener.settimeout(PATIENCE)
        with tunnel(relay, listener.getsockname()[1]) as client:
            server, _ = listener.accept()
            server.sendall(b"the last words")
            server.close()
            assert client.recv(100) == b"the last words"
            assert client.recv(100) == b""
        with tunnel(relay, listener.getsockname()[1]) as client:
            server, _ = listener.accept()
            client.sendall(b"the last words")
            client.shutdown(socket.SHUT_WR)
            server.settimeout(PATIENCE)
            with server, server.makefile("rb") as words:
                assert words.read() == b"the last words"
            assert client.recv(100) == b""


def test_a_tunnel_that_says_nothing_is_closed(proxy: HttpProxy, trusted: Path, echo: int) -> None:
    with Relay(url_of(proxy), believing(trusted), idle=0.1) as relay, tunnel(relay, echo) as client:
        client.settimeout(PATIENCE / 3)  # the proxy closes it, too, but later
        assert client.recv(1) == b""


def test_it_ends_with_git(proxy: HttpProxy, trusted: Path, echo: int) -> None:
    """Its port, its tunnels, who has said nothing yet, and its thread."""
    with Relay(url_of(proxy), believing(trusted)) as relay:
        client = tunnel(relay, echo)
        address = client.getpeername()
        silent = socket.create_connection(address, timeout=PATIENCE)
        assert "hfclone-relay" in {thread.name for thread in threading.enumerate()}
    with client, silent:
        assert client.recv(1) == b""
        assert silent.recv(1) == b""
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address)
    assert "hfclone-relay" not in {thread.name for thread in threading.enumerate()}


def test_it_does_not_wait_for_a_proxy_that_is_slow(trusted: Path) -> None:
    """A tunnel that is still being opened is dropped, and nobody is told of a proxy that gave no answer."""
    with socket.create_server(("127.0.0.1", 0)) as slow:
        slow.settimeout(PATIENCE)
        with Relay(f"https://127.0.0.1:{slow.getsockname()[1]}", believing(trusted)) as relay:
            asking = threading.Thread(target=lambda: answers.append(asked(relay, "CONNECT a.test:1 HTTP/1.1")))
            answers: list[tuple[socket.socket, bytes]] = []
            asking.start()
            peer, _ = slow.accept()
        with peer:
            asking.join(PATIENCE)
    assert [head for _client, head in answers] == [b""]
    answers[0][0].close()
    assert relay.trouble == ""


def fetched(endpoint: str, proxy_url: str, bundle: str, folder: Path) -> None:
    """Ask for a commit that is nowhere, as a run does; the environment says nothing of the proxy."""
    folder.mkdir()
    repo = GitRepo(Git(git_env(), route=Route({"https": proxy_url}, ca_bundle=bundle)), folder)
    repo.init("main")
    pin = Pin(Repo("acme/tiny"), "1" * 40)
    try:
        fetch(repo, f"{endpoint}/acme/tiny", Fetch(refspecs=(f"{pin.commit}:refs/x",)))
    except GitFailed as error:
        raise translate(error, Endpoint(endpoint), pin) from error


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        ("stranger", "certificate verify failed"),
        ("no bundle", "No such file or directory"),
        ("password", "it asks for a user name and password"),
        ("unwanted", "it opens no tunnel (HTTP 403)"),
        ("gone", "Connection refused"),
        ("plain", "[SSL: "),
    ],
)
def test_why_there_is_no_tunnel(
    hub: Hub, proxy: HttpProxy, echo: int, tmp_path: Path, trusted: Path, case: str, reason: str
) -> None:
    """The proxy is named, and its password is not; the hub is not asked around it."""
    other = tmp_path / "other"
    other.mkdir()
    bundle = {"stranger": certificate(other)[0], "no bundle": tmp_path / "none"}.get(case, trusted)
    proxy.unwanted = "git/" if case == "unwanted" else ""
    url = url_of(proxy, "me:s3cr3t" if case == "password" else QUOTED)
    url = url.replace(f":{proxy.port}", f":{({'gone': 9, 'plain': echo}).get(case, proxy.port)}")
    with tls_front(int(hub.url.rpartition(":")[2]), context_of(tmp_path)) as port, pytest.raises(Unreachable) as caught:
        fetched(f"https://127.0.0.1:{port}", url, str(bundle), tmp_path / "repo")
    said = str(caught.value)
    assert said.startswith(f"cannot reach 127.0.0.1:{port} through the proxy {url.rpartition('@')[2]}: ")
    assert reason in said
    assert "s3cr3t" not in said
    assert ("SSL_CERT_FILE" if case == "stranger" else "check the proxy") in caught.value.hint
    assert not proxy.passed
    assert not hub.log.of(kind="git")


def test_what_git_says_behind_a_tunnel_is_gits(hub: Hub, proxy: HttpProxy, tmp_path: Path, trusted: Path) -> None:
    """What the hub answers is not the proxy's fault; nor is a certificate of the hub's that git does not know."""
    with tls_front(int(hub.url.rpartition(":")[2]), context_of(tmp_path)) as port, pytest.raises(Unreachable) as caught:
        fetched(f"https://127.0.0.1:{port}", url_of(proxy), str(trusted), tmp_path / "repo")
    assert "certificate" in str(caught.value)
    assert caught.value.proxy == ""
    assert [passed.port for passed in proxy.passed] == [port]
