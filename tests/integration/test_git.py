"""The runner: whose environment git gets, what is told of its failures, and that it ends with us."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

from hfclone.errors import GitFailed, ToolMissing
from hfclone.git import Fetch, Git, GitCredential, GitRepo
from hfclone.names import Token
from tests.hub import Hub, LivingRepo
from tests.hub.answers import Latency


def environ(home: Path, **more: str) -> dict[str, str]:
    """A user with nothing configured."""
    return {"PATH": os.environ["PATH"], "HOME": str(home), "GIT_CONFIG_NOSYSTEM": "1", **more}


def made(git: Git, path: Path) -> GitRepo:
    """An empty repo."""
    path.mkdir()
    repo = GitRepo(git, path)
    repo.init("main")
    return repo


def test_foreign_variables_do_not_reach_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trace = tmp_path / "trace"
    foreign = {
        "GIT_DIR": "/nowhere", "GIT_INDEX_FILE": "/nowhere", "GIT_TRACE": str(trace),
        "GIT_CONFIG_PARAMETERS": "'a.b'='c'",
        "GIT_OBJECT_DIRECTORY": "/nowhere", "GIT_UNHEARD_OF": "1",
    }  # fmt: skip
    Git(environ(tmp_path)).run(["version"])  # GitPython asks for git's version when it is imported
    for name, value in foreign.items():
        monkeypatch.setenv(name, value)  # GitPython starts from the process's own
    repo = made(Git(environ(tmp_path, **foreign)), tmp_path / "r")
    assert repo.blob_sizes([repo.write_blob(b"x")]) != {}
    assert not trace.exists()


def test_no_git(tmp_path: Path) -> None:
    with pytest.raises(ToolMissing):
        Git({"PATH": str(tmp_path)}).run(["version"])


def test_failures_show_no_secret_and_no_control_characters(tmp_path: Path) -> None:
    git = Git(environ(tmp_path), credential=GitCredential(("https://a",), Token("hf_SECRET")))
    with pytest.raises(GitFailed) as raised:
        git.run(["rev-parse", "--verify", "hf_SECRET\x1b]0;"])
    assert "hf_SECRET" not in str(raised.value)
    assert "\x1b" not in str(raised.value)


@pytest.mark.parametrize(
    "url", ["ext::sh -c touch% /tmp/pwned", "file:///", "/", "ssh://-oProxyCommand=x/a", "git://a/b"]
)
def test_other_protocols_are_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(GitFailed):
        made(Git(environ(tmp_path)), tmp_path / "r").fetch(url, Fetch(refspecs=("HEAD",)))
    assert not Path("/tmp/pwned").exists()


def test_git_ends_with_an_exception_of_ours(hub: Hub, tiny_repo: LivingRepo, tmp_path: Path) -> None:
    repo = made(Git(environ(tmp_path)), tmp_path / "r")
    hub.faults.add(Latency(60))
    timer = threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            repo.fetch(f"{hub.url}/acme/tiny", Fetch(refspecs=(f"{tiny_repo.commit}:refs/hfclone/x",), depth=1))
    finally:
        timer.cancel()
        hub.faults.clear()
    needle = str(repo.path).encode()
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            assert needle not in process.read_bytes()
        except OSError:
            continue
