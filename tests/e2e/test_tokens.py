"""The token goes to the hub's origin and to nobody else: the whole job, watched from every side."""

from __future__ import annotations

import base64
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread
from urllib.parse import quote

import pytest

from hfclone.errors import HfcloneError
from hfclone.git import running
from hfclone.hub.endpoint import TokenRule
from hfclone.settings import endpoints_of, read_settings
from tests.e2e.command import Command, Outcome, assert_checkout, files_with, placed
from tests.hub import Front, Hub, Lfs, LivingRepo, answers, streams
from tests.hub.mirror import files_only, moved, olah_proxy, reverse_proxy
from tests.integration.worlds import World, opened, pin_of

TOKEN = "hf_TheSecretOfTheUser1234567890"
BASIC = base64.b64encode(f"hfclone:{TOKEN}".encode()).decode()
FORMS = [TOKEN, TOKEN[3:], quote(TOKEN), base64.b64encode(TOKEN.encode()).decode().rstrip("="), BASIC.rstrip("=")]
OTHER = "a-password-of-netrc"
LARGE = {"model.safetensors", "sub/dir/w.bin", "sub/same.bin"}


@pytest.fixture
def gated(hub: Hub, tiny_repo: LivingRepo) -> LivingRepo:
    """``acme/gate``, which the token opens."""
    hub.tokens.add(TOKEN)
    hub.add("acme/gate", tiny_repo, gated="manual").approved.add(TOKEN)
    return tiny_repo


def listeners_that_saw(hub: Hub, word: str = TOKEN) -> set[str]:
    """Names of all ports that were shown the token in any form."""
    return {entry.listener for entry in hub.log.entries if hub.log.saw_token(word, listener=entry.listener)}


def assert_silent(hfclone: Command, *outcomes: Outcome) -> None:
    """No file of this world holds the token, and no word that was said."""
    assert files_with(FORMS, hfclone.base) == []
    for done in outcomes:
        assert not any(form in done.stdout + done.stderr for form in FORMS), done.stderr


class Watch:
    """Looks at all processes of a world, as often as it can: their arguments and their environment."""

    def __init__(self, home: Path) -> None:
        """Begin at once."""
        self._mark = f"HOME={home}".encode()
        self._end = Event()
        self.arguments: set[str] = set()
        self.environments: dict[str, bytes] = {}
        self._thread = Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while not self._end.wait(0.002):
            for proc in Path("/proc").glob("[0-9]*"):
                try:
                    environment = (proc / "environ").read_bytes()
                    if self._mark in environment.split(b"\0"):
                        words = (proc / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                        self.arguments.add(words)
                        self.environments[words] = environment
                except OSError:
                    continue

    def close(self) -> None:
        """Stop looking."""
        self._end.set()
        self._thread.join()


@pytest.fixture
def watch(hfclone: Command) -> Iterator[Watch]:
    """Someone who runs ``ps`` all the time."""
    watching = Watch(hfclone.home)
    yield watching
    watching.close()


def netrc(hfclone: Command) -> None:
    """Another password for the very same host, which curl, git and requests would send."""
    path = hfclone.home / ".netrc"
    path.write_text(f"machine 127.0.0.1 login me password {OTHER}\ndefault login me password {OTHER}\n")
    path.chmod(0o600)


@pytest.mark.parametrize("fetcher", ["threads", "aria2c"])
def test_a_gated_repo_and_a_mirror(hub: Hub, gated: LivingRepo, hfclone: Command, watch: Watch, fetcher: str) -> None:
    """Held in the middle, killed, gone on with; then every place is searched."""
    netrc(hfclone)
    mirror = hub.mirror("mirror", reverse_proxy())
    hold = streams.HoldAt(1000)
    rule = hub.faults.add(hold, kind="cdn")
    env = {"HF_TOKEN": TOKEN}
    words = ("acme/gate", "--mirror", mirror.url, "--fetcher", fetcher, "-v")
    process = hfclone.start(*words, env=env)
    assert hold.held.wait(20)
    assert files_with(FORMS, hfclone.base) == []
    hfclone.kill(process)
    hub.faults.remove(rule)
    done = hfclone(*words, env=env)
    assert done.code == 0, done.stderr
    data = hfclone("acme/gate", "x", "--progress", "json", "-v", env=env)
    assert data.code == 0
    watch.close()
    assert_checkout(hfclone.cwd / "gate", gated.commit, f"{hub.url}/acme/gate")
    assert placed(hfclone.cwd / "gate") == LARGE
    assert_silent(hfclone, done, data)
    assert listeners_that_saw(hub) == {"hub"}
    assert not [entry for entry in hub.log.entries if entry.token == OTHER], "netrc was read"
    assert any("git" in words for words in watch.arguments)
    assert not [words for words in watch.arguments if any(form in words for form in FORMS)]
    # true is what git is told to ask for names and passwords: it answers nothing
    ours = ("-m hfclone", "/git", "git ", "HFCLONE_GIT_TOKEN", "/true ")
    holders = [line for line, environment in watch.environments.items() if TOKEN.encode() in environment]
    assert not [line for line in holders if line and not any(word in line for word in ours)]


TRACES = ("GIT_TRACE", "GIT_TRACE_CURL", "GIT_TRACE_SETUP", "GIT_TRACE2", "GIT_TRACE2_EVENT", "GIT_TRACE2_PERF")
GIT_SPY = """#!/bin/sh
env | grep -Eq "^[A-Z_]*TOKEN=$MARK" && echo "$@" >>"$SPY"
exec {git} "$@"
"""
LIBRARY = "import sys, hfclone; hfclone.clone('acme/gate', sys.argv[1])"


def traced(folder: Path) -> dict[str, str]:
    """What makes any git tell its whole environment."""
    wanted = {"GIT_TRACE2_ENV_VARS": "HF_TOKEN,HFCLONE_GIT_TOKEN", "GIT_TRACE_REDACT": "0"}
    return {name: str(folder / name) for name in TRACES} | wanted


def test_traces_of_git(hub: Hub, gated: LivingRepo, hfclone: Command, tmp_path: Path) -> None:
    """None is written, by whichever git: not by the one that GitPython asks for its version, either."""
    assert gated.commit
    done = hfclone("acme/gate", env={"HF_TOKEN": TOKEN, **traced(tmp_path)})
    assert done.code == 0, done.stderr
    assert not [path for path in tmp_path.iterdir() if path.name in TRACES]


def test_traces_of_git_in_a_library(hub: Hub, gated: LivingRepo, hfclone: Command, tmp_path: Path) -> None:
    assert gated.commit
    env = {**hfclone.environ, "HF_TOKEN": TOKEN, **traced(tmp_path)}
    command = [sys.executable, "-c", LIBRARY, tmp_path / "gate"]
    subprocess.run(command, env=env, cwd=tmp_path, check=True, capture_output=True)
    assert placed(tmp_path / "gate") == LARGE
    assert not [path for path in tmp_path.iterdir() if path.name in TRACES]


def test_only_a_git_that_speaks_knows_the_token(hub: Hub, gated: LivingRepo, hfclone: Command, tmp_path: Path) -> None:
    """Whatever git is asked on this machine, it is asked without."""
    assert gated.commit
    spy, log = tmp_path / "bin" / "git", tmp_path / "log"
    spy.parent.mkdir()
    spy.write_text(GIT_SPY.format(git=shutil.which("git")))
    spy.chmod(0o755)
    path = f"{spy.parent}:{hfclone.environ['PATH']}"
    env = {"HF_TOKEN": TOKEN, "PATH": path, "SPY": str(log), "MARK": TOKEN[:9], "GIT_TRACE2": "0"}
    for args in (("acme/gate",), ("verify", "gate"), ("pull", "gate"), ("status", "gate"), ("ls", "acme/gate")):
        done = hfclone(*args, env=env)
        assert done.code == 0, done.stderr
    asked = log.read_text().splitlines()
    assert asked
    assert {line.split()[2] for line in asked} <= {"fetch", "ls-remote"}, asked


def test_where_a_token_comes_from(hub: Hub, gated: LivingRepo, hfclone: Command) -> None:
    """HF_TOKEN, the older name, the file of ``hf auth login``; HF_HUB_DISABLE_IMPLICIT_TOKEN is heard."""
    assert gated.commit
    stored = hfclone.home / "hf" / "token"
    elsewhere = hfclone.home / "elsewhere"
    for number, env in enumerate(
        ({"HF_TOKEN": TOKEN}, {"HUGGING_FACE_HUB_TOKEN": f" {TOKEN}\n"}, {}, {"HF_TOKEN_PATH": str(elsewhere)})
    ):
        if number == 2:
            stored.parent.mkdir(parents=True, exist_ok=True)
            stored.write_text(f"{TOKEN}\n")
        if number == 3:
            stored.rename(elsewhere)
        done = hfclone("acme/gate", f"x{number}", env=env)
        assert done.code == 0, done.stderr
        assert placed(hfclone.cwd / f"x{number}") == LARGE
    off = hfclone("acme/gate", "y", env={"HF_TOKEN_PATH": str(elsewhere), "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1"})
    assert off.code == 3
    assert "no token was sent" in off.error
    elsewhere.unlink()
    assert_silent(hfclone)
    assert listeners_that_saw(hub) == {"hub"}


def test_netrc_alone(hub: Hub, gated: LivingRepo, hfclone: Command) -> None:
    """A password of netrc for the hub's host is nobody's business here; nor are git's credential helpers."""
    netrc(hfclone)
    (hfclone.home / ".gitconfig").write_text('[credential]\n\thelper = "!f() { echo password=of-a-helper; }; f"\n')
    done = hfclone("acme/gate")
    assert done.code == 3, done.stderr
    assert gated.commit
    assert not [entry for entry in hub.log.entries if entry.token == OTHER]
    assert {entry.authorization for entry in hub.log.of(kind="api")} == {""}


@pytest.mark.parametrize("guarded", [True, False])
def test_git_sends_no_password_of_netrc(
    hub: Hub, tiny_repo: LivingRepo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, guarded: bool
) -> None:
    """Libcurl reads ``~/.netrc`` by itself, ``default`` there is for every host, and a host need but ask."""
    home = World(tmp_path)
    (tmp_path / "home/.netrc").write_text("default login me password of-netrc\n")
    if not guarded:
        monkeypatch.setattr(running, "_CONFIG", tuple(pair for pair in running._CONFIG if pair[0] != "http.emptyAuth"))
    hub.faults.add(answers.Status(401, headers={"WWW-Authenticate": 'Basic realm="x"'}), kind="git")
    with pytest.raises(HfcloneError), opened(hub, pin_of(tiny_repo), tmp_path / "t", home.git):
        pass
    asked = hub.log.of(kind="git")
    assert asked
    assert any(entry.token == "of-netrc" for entry in asked) is not guarded


def test_a_trusted_mirror(hub: Hub, gated: LivingRepo, hfclone: Command) -> None:
    """Gets the token, and its CDN does not; without the flag it gets none and the hub does the work."""
    mirror = hub.mirror("mirror", reverse_proxy())
    env = {"HF_TOKEN": TOKEN}
    done = hfclone("acme/gate", "--mirror", mirror.url, "--trust-mirror", mirror.url, "-v", env=env)
    assert done.code == 0, done.stderr
    assert listeners_that_saw(hub) == {"hub", "mirror"}
    assert hub.log.bytes_sent(listener="mirror-cdn") > 0
    alone = hfclone(
        "acme/gate",
        "x",
        "--only-mirrors",
        env={**env, "HFCLONE_MIRROR": mirror.url, "HFCLONE_TRUST_MIRROR": mirror.url},
    )
    assert alone.code == 0, alone.stderr
    assert_silent(hfclone, done, alone)
    assert_checkout(hfclone.cwd / "x", gated.commit, f"{hub.url}/acme/gate")


def test_a_trust_that_is_another_mirrors(hub: Hub, gated: LivingRepo, hfclone: Command) -> None:
    """It is for one origin: another port of the same host gets nothing."""
    assert gated.commit
    trusted, other = hub.mirror("trusted", reverse_proxy()), hub.mirror("other", reverse_proxy())
    words = ["acme/gate", "--mirror", other.url, "--mirror", trusted.url, "--trust-mirror", trusted.url]
    done = hfclone(*words, env={"HF_TOKEN": TOKEN})
    assert done.code == 0, done.stderr
    assert "other" not in listeners_that_saw(hub)
    assert "trusted-cdn" not in listeners_that_saw(hub)


@pytest.mark.parametrize("trusted", [False, True])
def test_a_mirror_that_redirects(hub: Hub, gated: LivingRepo, hfclone: Command, trusted: bool) -> None:
    """308 of everything to another origin: that origin gets no token, though the mirror be trusted."""
    stranger = hub.mirror("stranger", reverse_proxy())
    mirror = hub.mirror("mirror", moved(stranger.url))
    words = ["--trust-mirror", mirror.url] if trusted else []
    done = hfclone("acme/gate", "--mirror", mirror.url, *words, "-v", env={"HF_TOKEN": TOKEN})
    assert done.code == 0, done.stderr
    assert placed(hfclone.cwd / "gate") == LARGE
    assert listeners_that_saw(hub) == ({"hub", "mirror"} if trusted else {"hub"})
    assert hub.log.of(listener="stranger"), "the redirect was followed"
    assert gated.commit


@pytest.mark.parametrize("kind", ["api", "git", "batch", "resolve"])
def test_a_hub_that_redirects(hub: Hub, gated: LivingRepo, hfclone: Command, kind: str) -> None:
    """Not even the hub's own word sends the token elsewhere."""
    assert gated.commit
    stranger = hub.mirror("stranger", reverse_proxy())
    hub.faults.add(answers.Redirect308(stranger.url), kind=kind)
    done = hfclone("acme/gate", "--give-up-after", "2s", env={"HF_TOKEN": TOKEN})
    assert done.code in (0, 3, 4), done.stderr
    assert listeners_that_saw(hub) == {"hub"}
    assert_silent(hfclone, done)


@pytest.mark.parametrize("manners", [files_only, olah_proxy])
def test_mirrors_of_public_repos(hub: Hub, tiny_repo: LivingRepo, hfclone: Command, manners: object) -> None:
    """Somebody with a token uses a mirror for a public repo: it never sees it."""
    hub.tokens.add(TOKEN)
    mirror: Front = hub.mirror("mirror", manners())  # type: ignore[operator]  # a table of functions
    done = hfclone("acme/tiny", "--mirror", mirror.url, "-v", env={"HF_TOKEN": TOKEN})
    assert done.code == 0, done.stderr
    assert "mirror" not in listeners_that_saw(hub)
    assert hub.log.bytes_sent(listener="mirror", kind="resolve") + hub.log.bytes_sent(kind="cdn") >= 370_000
    assert tiny_repo.commit


def test_a_page_of_a_stranger(hub: Hub, gated: LivingRepo, hfclone: Command) -> None:
    """A pasted URL names a host; that makes it no friend."""
    assert gated.commit
    stranger = hub.mirror("stranger", reverse_proxy())
    done = hfclone(f"{stranger.url}/acme/gate", env={"HF_TOKEN": TOKEN})
    assert done.code == 0, done.stderr
    assert listeners_that_saw(hub) == {"hub"}


def test_the_token_in_errors(hub: Hub, gated: LivingRepo, hfclone: Command) -> None:
    """A hub that throws the token back in its face, in a header or a body: it is not said again."""
    assert gated.commit
    echo = answers.Status(500, headers={"X-Error-Message": f"bad token {TOKEN}"}, body=f"bad token {TOKEN}")
    for kind in ("api", "git", "batch", "resolve"):
        rule = hub.faults.add(echo, kind=kind)
        done = hfclone("acme/gate", "--give-up-after", "1s", "-v", env={"HF_TOKEN": TOKEN})
        assert_silent(hfclone, done)
        hub.faults.remove(rule)


# --- rules, by themselves ----------------------------------------------------------------------


def rules(environ: dict[str, str], *mirrors: str, trusted: tuple[str, ...] = ()) -> dict[str, TokenRule]:
    """Who would be sent the token."""
    flags = {"--mirror": mirrors, "--trust-mirror": trusted}
    return {end.url: end.token_rule for end in endpoints_of(read_settings(flags, environ=environ))}


def test_a_known_mirror_as_the_endpoint() -> None:
    """``HF_ENDPOINT=https://hf-mirror.com``, as its page advises, makes it no hub."""
    for value in ("https://hf-mirror.com", "https://hf-mirror.com/", "hf-mirror.com", "https://www.hf-mirror.com"):
        found = rules({"HF_ENDPOINT": value, "HF_TOKEN": TOKEN})
        assert found.pop("https://huggingface.co") is TokenRule.SEND
        assert set(found.values()) == {TokenRule.NEVER}


@pytest.mark.parametrize(
    ("endpoint", "rule"),
    [
        ("https://hub.example", TokenRule.SEND),
        ("http://hub.example", TokenRule.NEVER),
        ("http://10.0.0.1", TokenRule.NEVER),
        ("http://127.0.0.1.example", TokenRule.NEVER),
        ("http://localhost.example", TokenRule.NEVER),
        ("http://127.0.0.1:8080", TokenRule.SEND),
        ("http://[::1]:8080", TokenRule.SEND),
        ("http://localhost", TokenRule.SEND),
    ],
)
def test_plain_http(endpoint: str, rule: TokenRule) -> None:
    """A token goes over plain http to this machine alone, be it the hub or a trusted mirror."""
    assert rules({"HF_ENDPOINT": endpoint})[endpoint] is rule
    assert rules({}, endpoint, trusted=(endpoint,))[endpoint] is rule


def test_settings_do_not_show_it() -> None:
    """Neither do ours when they are printed, nor what children get."""
    settings = read_settings({}, environ={"HF_TOKEN": TOKEN, "HUGGING_FACE_HUB_TOKEN": TOKEN, "PATH": "/bin"})
    assert TOKEN not in repr(settings)
    assert TOKEN not in str(settings.environment)


def test_a_token_for_a_large_object(hub: Hub, hfclone: Command) -> None:
    """Ranges over many connections, signed URLs that expire: still the hub alone."""
    hub.tokens.add(TOKEN)
    repo = LivingRepo(hub.folder / "large", {"m.bin": Lfs(40_000_000, seed=1, sparse=True)})
    hub.add("acme/large", repo, private=True).members.add(TOKEN)
    done = hfclone("acme/large", "--connections", "8", "-v", env={"HF_TOKEN": TOKEN})
    assert done.code == 0, done.stderr
    assert listeners_that_saw(hub) == {"hub"}
    assert_silent(hfclone, done)
