"""Proxies and certificates: git, the API and the bytes go the way that the user says, and no other."""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from hfclone.errors import Truncated
from hfclone.http import Web
from tests.e2e.command import Command, Outcome, assert_checkout, placed
from tests.e2e.test_tokens import Watch
from tests.hub import Hub, LivingRepo, streams
from tests.hub.answers import NoAnswerClose, WithoutHeaders
from tests.proxies import HttpProxy, KeepAliveProxy, Passed, Proxy, SocksProxy, certificate, context_of, tls_front

LARGE = {"model.safetensors", "sub/dir/w.bin", "sub/same.bin"}
LOGIN = "me:s3cr3t@#"
QUOTED = "me:s3cr3t%40%23"
PROXIES = ("http_proxy", "https_proxy", "all_proxy")


@pytest.fixture
def far(hub: Hub, tiny_repo: LivingRepo) -> str:
    """The hub under names that only a proxy knows."""
    assert tiny_repo.commit
    hub.site.hub_url = hub.url.replace("127.0.0.1", "hub.test")
    hub.front.cdn_alias = hub.cdn_url.replace("127.0.0.1", "cdn.test")
    return hub.site.hub_url


@pytest.fixture
def user(tmp_path: Path, far: str) -> Command:
    """A user whose hub is far away."""
    return Command(tmp_path / "user", far)


@pytest.fixture
def watch(user: Command) -> Iterator[Watch]:
    """Someone who looks at every argument."""
    watching = Watch(user.home)
    yield watching
    watching.close()


def hosts(proxy: Proxy) -> set[str]:
    """Whom it was asked for."""
    return {passed.host for passed in proxy.passed}


def assert_silent(user: Command, watch: Watch, *outcomes: Outcome) -> None:
    """The password is in no argument and in no word."""
    words = {line for line in watch.arguments if str(user.cwd) in line or "hfclone" in line or "git" in line}
    assert words, "nothing was seen"
    for text in (*watch.arguments, *(done.stdout + done.stderr for done in outcomes)):
        assert "s3cr3t" not in text, text


@pytest.mark.parametrize("fetcher", ["threads", "aria2c"])
def test_an_http_proxy(hub: Hub, tiny_repo: LivingRepo, user: Command, watch: Watch, fetcher: str) -> None:
    """With a password, which git and aria2c get in their environment."""
    with HttpProxy(LOGIN) as proxy:
        env = {"HFCLONE_PROXY": f"http://{QUOTED}@127.0.0.1:{proxy.port}"}
        done = user("acme/tiny", "--fetcher", fetcher, "--progress", "json", "-v", env=env)
        assert done.code == 0, done.stderr
        assert_checkout(user.cwd / "tiny", tiny_repo.commit, f"{user.endpoint}/acme/tiny")
        assert placed(user.cwd / "tiny") == LARGE
        assert hosts(proxy) == {"hub.test", "cdn.test"}
        assert {passed.method for passed in proxy.passed} == {"GET", "POST"}
        shown = user("config", "--show-origin", env=env)
        assert 'proxy = "http://***@127.0.0.1' in shown.stdout
        assert not [event for event in done.events if event["event"] == "demoted"]
    for kind in ("api", "git", "batch", "cdn"):
        assert hub.log.of(kind=kind), kind
    assert_silent(user, watch, done, shown)


def test_a_proxy_that_keeps_its_connections(hub: Hub, tiny_repo: LivingRepo, user: Command) -> None:
    """Two hosts behind it, answers without a length, connections that are closed: all of it is ordinary."""
    hub.faults.add(WithoutHeaders(("Content-Length",)), kind="cdn")
    closed = hub.faults.add(NoAnswerClose(), times=3, when=lambda request: request.kind in ("api", "batch", "cdn"))
    with KeepAliveProxy(LOGIN) as proxy:
        done = user("acme/tiny", env={"HFCLONE_PROXY": f"http://{QUOTED}@127.0.0.1:{proxy.port}"})
        assert done.code == 0, done.stderr
        assert hosts(proxy) == {"hub.test", "cdn.test"}
        assert len(proxy.passed) > proxy.accepted, "connections were kept"
    assert closed.hits == 3
    assert_checkout(user.cwd / "tiny", tiny_repo.commit, f"{user.endpoint}/acme/tiny")
    assert placed(user.cwd / "tiny") == LARGE


def test_git_goes_where_the_flag_says(user: Command) -> None:
    """``--proxy`` wins over git's own configuration."""
    (user.home / ".gitconfig").write_text("[http]\n\tproxy = http://127.0.0.1:9\n")
    with HttpProxy() as proxy:
        env = dict.fromkeys(PROXIES, "http://127.0.0.1:9")
        done = user("acme/tiny", "--proxy", f"127.0.0.1:{proxy.port}", env=env)
        assert done.code == 0, done.stderr
        assert hosts(proxy) == {"hub.test", "cdn.test"}


def test_a_socks_proxy_that_resolves(user: Command, watch: Watch) -> None:
    """socks5h, with a password; aria2c cannot, and that is said."""
    with SocksProxy(LOGIN) as proxy:
        env = {"HFCLONE_PROXY": f"socks5h://{QUOTED}@127.0.0.1:{proxy.port}"}
        done = user("acme/tiny", "--fetcher", "aria2c", "-v", env=env)
        assert done.code == 0, done.stderr
        assert placed(user.cwd / "tiny") == LARGE
        assert hosts(proxy) == {"hub.test", "cdn.test"}
    assert "it speaks to proxies of plain http alone" in done.stderr
    assert not any("aria2c" in words.split(" ")[0] for words in watch.arguments)
    assert_silent(user, watch, done)


def test_a_socks_proxy_that_does_not(hub: Hub, tiny_repo: LivingRepo, hfclone: Command) -> None:
    """socks5 by ALL_PROXY: it is given addresses. NO_PROXY keeps everything away from it."""
    with SocksProxy() as proxy:
        env = {"ALL_PROXY": f"socks5://127.0.0.1:{proxy.port}"}
        done = hfclone("acme/tiny", env=env)
        assert done.code == 0, done.stderr
        assert hosts(proxy) == {"127.0.0.1"}
        assert {passed.port for passed in proxy.passed} == {hub.cdn_port, int(hub.url.rpartition(":")[2])}
        proxy.passed.clear()
        done = hfclone("acme/tiny", "direct", env={**env, "NO_PROXY": "example.org,127.0.0.1"})
        assert done.code == 0, done.stderr
        assert proxy.passed == []
    assert tiny_repo.commit


@pytest.fixture
def secure(hub: Hub, far: str, tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """Hub and CDN over https, under names of the proxy's, and the certificate to trust."""
    assert far
    trusted, context = certificate(tmp_path, "hub.test", "cdn.test", "proxy.test")
    with ExitStack() as stack:
        ports = [stack.enter_context(tls_front(int(url.rpartition(":")[2]), context)) for url in (far, hub.cdn_url)]
        hub.site.hub_url, hub.front.cdn_alias = (
            f"https://{name}.test:{port}" for name, port in zip(("hub", "cdn"), ports, strict=True)
        )
        yield hub.site.hub_url, trusted


@pytest.mark.parametrize(
    ("variable", "fetcher"),
    [("REQUESTS_CA_BUNDLE", "threads"), ("SSL_CERT_FILE", "aria2c")],
)
def test_https_and_ones_own_certificate(
    user: Command, secure: tuple[str, Path], tiny_repo: LivingRepo, variable: str, fetcher: str
) -> None:
    """Through tunnels; git, our own requests and aria2c all trust what the variable names."""
    endpoint, trusted = secure
    with HttpProxy(LOGIN) as proxy:
        env = {
            "HF_ENDPOINT": endpoint,
            "HTTPS_PROXY": f"http://{QUOTED}@127.0.0.1:{proxy.port}",
            variable: str(trusted),
        }
        done = user("acme/tiny", "--fetcher", fetcher, env=env)
        assert done.code == 0, done.stderr
        assert_checkout(user.cwd / "tiny", tiny_repo.commit, f"{endpoint}/acme/tiny")
        assert placed(user.cwd / "tiny") == LARGE
        assert {passed.method for passed in proxy.passed} == {"CONNECT"}
        assert hosts(proxy) == {"hub.test", "cdn.test"}


def test_a_stranger_certificate(user: Command, secure: tuple[str, Path]) -> None:
    """Nobody is believed whom nobody vouches for."""
    endpoint, _trusted = secure
    with HttpProxy() as proxy:
        env = {"HF_ENDPOINT": endpoint, "HTTPS_PROXY": f"http://127.0.0.1:{proxy.port}"}
        done = user("acme/tiny", "--give-up-after", "1s", env=env)
    assert done.code == 4
    assert "certificate" in done.error.lower()
    assert "SSL_CERT_FILE" in done.hint


def test_a_proxy_that_speaks_tls(user: Command, tmp_path: Path) -> None:
    """An https:// proxy: nobody on the way to it reads what is asked."""
    trusted, context = certificate(tmp_path)
    with HttpProxy(LOGIN, context) as proxy:
        env = {"HFCLONE_PROXY": f"https://{QUOTED}@127.0.0.1:{proxy.port}", "SSL_CERT_FILE": str(trusted)}
        done = user("acme/tiny", env=env)
        assert done.code == 0, done.stderr
        assert hosts(proxy) == {"hub.test", "cdn.test"}
    assert placed(user.cwd / "tiny") == LARGE


@pytest.mark.parametrize("variable", ["HFCLONE_PROXY", "HTTPS_PROXY"])
def test_tls_within_tls(
    hub: Hub,
    user: Command,
    watch: Watch,
    secure: tuple[str, Path],
    tiny_repo: LivingRepo,
    tmp_path: Path,
    variable: str,
) -> None:
    """An https:// proxy before an https hub: git goes through it, too, whatever its own configuration says."""
    endpoint, trusted = secure
    (user.home / ".gitconfig").write_text("[http]\n\tproxyAuthMethod = ntlm\n[credential]\n\thelper = store\n")
    (user.home / ".git-credentials").touch(mode=0o600)
    with HttpProxy(LOGIN, context_of(tmp_path)) as proxy:
        env = {
            "HF_ENDPOINT": endpoint,
            variable: f"https://{QUOTED}@127.0.0.1:{proxy.port}",
            "SSL_CERT_FILE": str(trusted),
        }
        done = user("acme/tiny", "-v", env=env)
        assert done.code == 0, done.stderr
        pulled = user("pull", "tiny", env=env)
        assert pulled.code == 0, pulled.stderr
        assert {passed.method for passed in proxy.passed} == {"CONNECT"}
        assert {(passed.host, passed.agent.partition("/")[0]) for passed in proxy.passed} == {
            ("hub.test", ""),  # our own requests
            ("hub.test", "git"),
            ("cdn.test", ""),
        }
        assert proxy.refused == 0
    assert_checkout(user.cwd / "tiny", tiny_repo.commit, f"{endpoint}/acme/tiny")
    assert placed(user.cwd / "tiny") == LARGE
    assert hub.log.of(kind="git")
    assert_silent(user, watch, done, pulled)
    assert not [words for words in watch.arguments if "http://hfclone:" in words]
    assert (user.home / ".git-credentials").read_text() == ""


def test_tls_within_tls_and_who_goes_without(
    hub: Hub, user: Command, secure: tuple[str, Path], tiny_repo: LivingRepo, tmp_path: Path
) -> None:
    """NO_PROXY holds for git as for everybody: only the CDN is asked through the proxy."""
    endpoint, trusted = secure
    endpoint = hub.site.hub_url = endpoint.replace("hub.test", "127.0.0.1")
    with HttpProxy(LOGIN, context_of(tmp_path)) as proxy:
        env = {
            "HF_ENDPOINT": endpoint,
            "HTTPS_PROXY": f"https://{QUOTED}@127.0.0.1:{proxy.port}",
            "NO_PROXY": "example.org,127.0.0.1",
            "SSL_CERT_FILE": str(trusted),
        }
        done = user("acme/tiny", env=env)
        assert done.code == 0, done.stderr
        assert hosts(proxy) == {"cdn.test"}
    assert_checkout(user.cwd / "tiny", tiny_repo.commit, f"{endpoint}/acme/tiny")
    assert hub.log.of(kind="git")


def test_a_proxy_that_opens_no_tunnel_for_git(
    hub: Hub, user: Command, secure: tuple[str, Path], tmp_path: Path
) -> None:
    """The error is about the proxy, whose password nobody reads; git does not go around it."""
    endpoint, trusted = secure
    with HttpProxy(LOGIN, context_of(tmp_path), unwanted="git/") as proxy:
        proxies = {"HTTPS_PROXY": f"https://{QUOTED}@127.0.0.1:{proxy.port}", "SSL_CERT_FILE": str(trusted)}
        done = user("acme/tiny", "-v", "--give-up-after", "1s", env={"HF_ENDPOINT": endpoint, **proxies})
        assert proxy.refused
    assert done.code == 4
    assert f"through the proxy 127.0.0.1:{proxy.port}: it opens no tunnel (HTTP 403)" in done.error
    assert done.hint.startswith("check the proxy")
    assert "s3cr3t" not in done.stdout + done.stderr
    assert not hub.log.of(kind="git")


def test_a_proxy_whose_certificate_nobody_knows(
    hub: Hub, user: Command, secure: tuple[str, Path], tmp_path: Path
) -> None:
    """One line, that names the proxy; neither it nor the hub hears anything."""
    endpoint, trusted = secure
    (tmp_path / "other").mkdir()
    _stranger, context = certificate(tmp_path / "other")
    with HttpProxy(LOGIN, context) as proxy:
        proxies = {"HTTPS_PROXY": f"https://{QUOTED}@127.0.0.1:{proxy.port}", "SSL_CERT_FILE": str(trusted)}
        done = user("acme/tiny", "--give-up-after", "1s", env={"HF_ENDPOINT": endpoint, **proxies})
        assert (proxy.passed, proxy.refused) == ([], 0)
    assert done.code == 4
    assert f"through the proxy 127.0.0.1:{proxy.port}: " in done.error
    assert "certificate verify failed" in done.error
    assert "SSL_CERT_FILE" in done.hint
    assert not hub.log.of()


@pytest.mark.parametrize("scheme", ["http", "https", "socks5h"])
def test_an_exchange_is_broken_off(hub: Hub, secure: tuple[str, Path], tmp_path: Path, scheme: str) -> None:
    """Closing wakes whoever reads, through each kind of proxy."""
    endpoint, trusted = secure
    hold = streams.HoldAt(10)
    hub.faults.add(hold, kind="cdn")
    login = "" if scheme == "socks5h" else LOGIN
    proxy = (
        SocksProxy() if scheme == "socks5h" else HttpProxy(login, context_of(tmp_path) if scheme == "https" else None)
    )
    with proxy:
        url = f"{scheme}://{f'{QUOTED}@' if login else ''}127.0.0.1:{proxy.port}"
        web = Web(user_agent="test", proxies={"all": url}, ca_bundle=str(trusted))
        answer = web.get(f"{endpoint}/acme/tiny/resolve/main/model.safetensors", label="hub")
        body = answer.chunks(1000)
        assert len(next(body)) <= 10
        closing = threading.Timer(0.2, web.close)
        closing.start()
        with pytest.raises(Truncated):
            list(body)
        closing.join()
    assert hosts(proxy) == {"hub.test", "cdn.test"}


@pytest.mark.parametrize("kind", [HttpProxy, SocksProxy])
def test_a_wrong_password(user: Command, kind: type[Proxy]) -> None:
    """The error is about the proxy, and the password is not in it."""
    scheme = "http" if kind is HttpProxy else "socks5h"
    with kind("me:other") as proxy:
        env = {"ALL_PROXY": f"{scheme}://{QUOTED}@127.0.0.1:{proxy.port}"}
        done = user("acme/tiny", "-v", "--give-up-after", "1s", env=env)
        assert proxy.refused
        assert proxy.passed == []
    assert done.code == 4
    assert "s3cr3t" not in done.stdout + done.stderr
    assert f"through the proxy 127.0.0.1:{proxy.port}: " in done.error
    assert "asks for a user name" in done.error or "SOCKS5 authentication failed" in done.error


def test_a_proxy_that_is_gone(user: Command) -> None:
    done = user("acme/tiny", "-v", "--give-up-after", "1s", "--proxy", "http://me:s3cr3t@127.0.0.1:9")
    assert done.code == 4
    assert "s3cr3t" not in done.stdout + done.stderr
    assert "through the proxy 127.0.0.1:9: Connection refused" in done.error
    assert "check the proxy" in done.hint


def test_the_proxies_are_honest(hub: Hub, tiny_repo: LivingRepo) -> None:
    """curl, which nobody here wrote, gets through both kinds, and only with the password."""
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("curl is not installed")
    url = f"{hub.url.replace('127.0.0.1', 'hub.test')}/acme/tiny/raw/main/config.json"
    for kind, scheme in ((HttpProxy, "http"), (SocksProxy, "socks5h")):
        with kind(LOGIN) as proxy:
            command = [curl, "-sS", "-f", "--noproxy", "", "-x", f"{scheme}://{{}}@127.0.0.1:{proxy.port}", url]
            words = [[word.replace("{}", login) for word in command] for login in (QUOTED, "me:wrong")]
            right, wrong = (subprocess.run(each, capture_output=True, check=False) for each in words)
            assert right.stdout == b'{"a": 1}\n', right.stderr
            assert wrong.returncode != 0
            method = "GET" if kind is HttpProxy else "CONNECT"
            assert proxy.passed == [Passed(method, "hub.test", int(hub.url.rpartition(":")[2]))]
    assert tiny_repo.commit
