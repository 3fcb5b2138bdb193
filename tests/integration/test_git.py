"""The runner: whose environment git gets, what is told of its failures, and that it ends with us."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from pathlib import Path
from subprocess import DEVNULL, PIPE

import pytest

from hfclone.errors import CannotWrite, GitFailed, ToolMissing
from hfclone.git import Fetch, Git, GitCredential, GitRepo, drop_promisor, fetch
from hfclone.git.config import Config
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


def test_nobody_puts_a_line_into_what_git_says(tmp_path: Path) -> None:
    """A far side's words are quoted by git; what it says of this machine decides whether there is another try."""
    with pytest.raises(GitFailed) as raised:
        Git(environ(tmp_path)).run(["x; error: index-pack died of signal 9"])
    assert "signal 9" in raised.value.stderr
    assert not raised.value.is_killed


@pytest.mark.parametrize(
    "url", ["ext::sh -c touch% /tmp/pwned", "file:///", "/", "ssh://-oProxyCommand=x/a", "git://a/b"]
)
def test_other_protocols_are_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(GitFailed):
        fetch(made(Git(environ(tmp_path)), tmp_path / "r"), url, Fetch(refspecs=("HEAD",)))
    assert not Path("/tmp/pwned").exists()


def test_git_ends_with_an_exception_of_ours(hub: Hub, tiny_repo: LivingRepo, tmp_path: Path) -> None:
    repo = made(Git(environ(tmp_path)), tmp_path / "r")
    hub.faults.add(Latency(60))
    timer = threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            fetch(repo, f"{hub.url}/acme/tiny", Fetch(refspecs=(f"{tiny_repo.commit}:refs/hfclone/x",), depth=1))
    finally:
        timer.cancel()
        hub.faults.clear()
    needle = str(repo.path).encode()
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            assert needle not in process.read_bytes()
        except OSError:
            continue


def test_what_was_asked_is_remembered_until_it_may_be_otherwise(tmp_path: Path) -> None:
    git = Git(environ(tmp_path))
    repo = made(git, tmp_path / "r")
    repo.config.set("branch.a.B.c.remote", "x=\ny")
    repo.config.set("CORE.IgnoreCase", "true")
    assert repo.config.get("core.ignorecase") == "true"
    repo = GitRepo(git, tmp_path / "r")
    asked: list[tuple[str, ...]] = []
    run = repo.run

    def counted(*args: str, **more: object) -> bytes:
        asked.append(args)
        return run(*args, **more)  # type: ignore[arg-type]

    repo.config = Config(counted)
    assert repo.config.get("branch.a.B.c.remote") == "x=\ny"
    assert repo.config.get("core.ignorecase") == "true"
    assert repo.config.get("branch.a.b.c.remote") is None
    assert len(asked) == 1
    repo.config.unset("core.ignorecase")
    assert repo.config.get("core.ignorecase") is None
    (repo.git_dir / "config").write_text('[a]\n\tb\n\tc = 1\n\tc = 2\n[remote "hfclone-fetch"]\n\tpromisor = true\n')
    drop_promisor(repo)
    assert (repo.config.get("a.b"), repo.config.get("a.c"), repo.config.first("a.c")) == ("true", "2", "1")
    (repo.git_dir / "config").write_text("[core]\n\tsharedRepository\n\tsymlinks\n\tignoreCase =\n")
    repo.config.forget()
    assert repo.config.is_on("core.symlinks", default=False), "a name alone is on, an empty value is off"
    assert not repo.config.is_on("core.ignorecase", default=True)
    assert GitRepo(git, tmp_path / "r").access.bits == 0o660


def test_trees_and_sizes_are_remembered_by_id_alone(tmp_path: Path) -> None:
    repo = made(Git(environ(tmp_path)), tmp_path / "r")
    blob = repo.write_blob(b"one")
    absent = "0" * 39 + "1"
    assert repo.blob_sizes([blob, absent, blob]) == {blob: 3, absent: None}

    def commit(row: str) -> str:
        tree = repo.run("mktree", stdin=row.encode()).decode().strip()
        who = "a <a@b> 0 +0000"
        text = f"tree {tree}\nauthor {who}\ncommitter {who}\n\nx\n".encode()
        return repo.run("hash-object", "-w", "-t", "commit", "--stdin", stdin=text).decode().strip()

    first, second = commit(f"100644 blob {blob}\ta\n"), commit(f"100644 blob {blob}\tb\n")
    for tip, name in ((first, b"a"), (second, b"b")):
        repo.update_ref("refs/heads/main", tip)
        assert [entry.path for entry in repo.tree_entries("main")] == [name]
        repo.tree_entries(tip).clear()
        assert [entry.path for entry in repo.tree_entries(tip)] == [name]
    later = repo.write_blob(b"later")
    assert repo.blob_sizes([absent, later, blob]) == {absent: None, later: 5, blob: 3}


def test_a_blob_that_has_gone_is_no_bug(tmp_path: Path) -> None:
    """Its size was asked for while it was here."""
    repo = made(Git(environ(tmp_path)), tmp_path / "r")
    blob = repo.write_blob(b"here")
    assert repo.blob_sizes([blob]) == {blob: 4}
    (repo.git_dir / "objects" / blob[:2] / blob[2:]).unlink()
    with pytest.raises(GitFailed, match="missing"):
        list(repo.read_blobs([blob]))
    assert repo.blob_sizes([blob]) == {blob: None}


def test_a_new_repo_has_its_configuration_at_once(tmp_path: Path) -> None:
    values = {"core.checkStat": "minimal", 'remote.a "b\\c".url': 'https://h/#;"x\\y" z', "remote.a.fetch": "+a:b"}
    repo = GitRepo(Git(environ(tmp_path)), tmp_path / "r")
    repo.init("main", values)
    assert {key: repo.config.get(key) for key in values} == values
    assert repo.config.get("core.bare") == "false"
    assert list((repo.git_dir / "hfclone").iterdir()) == []
    assert repo.resolve("HEAD") is None
    repo.init("main", {"core.checkStat": "default"})  # as after a kill
    assert repo.config.get("core.checkStat") == "minimal"


def test_a_new_repo_needs_no_room_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))
    repo = GitRepo(Git(environ(tmp_path)), tmp_path / "r")
    repo.init("main", {"a.b": "c"})
    assert repo.config.get("a.b") == "c"
    (tmp_path / "file").touch()
    with pytest.raises(CannotWrite):
        GitRepo(Git(environ(tmp_path)), tmp_path / "file").init("main", {"a.b": "c"})


def test_a_fetch_with_a_filter_writes_nothing_into_the_configuration(
    hub: Hub, tiny_repo: LivingRepo, tmp_path: Path
) -> None:
    repo = made(Git(environ(tmp_path)), tmp_path / "r")
    file = repo.git_dir / "config"
    before = file.read_bytes(), file.stat().st_ino  # git replaces it to change it
    what = Fetch((f"{tiny_repo.commit}:refs/hfclone/x",), depth=1, filter_spec="blob:none")
    fetch(repo, f"{hub.url}/acme/tiny", what)
    assert (file.read_bytes(), file.stat().st_ino) == before
    assert repo.resolve(tiny_repo.commit) == repo.resolve("refs/hfclone/x") == tiny_repo.commit
    assert None in repo.blob_sizes(entry.oid for entry in repo.tree_entries(tiny_repo.commit)).values()
    assert list(repo.git_dir.glob("objects/pack/*.promisor")) == []


def test_what_a_user_s_own_git_has_open_is_no_killed_git_s(tmp_path: Path) -> None:
    repo = made(Git(environ(tmp_path)), tmp_path / "r")
    packs = repo.git_dir / "objects/pack"
    (packs / "tmp_pack_left").write_bytes(b"PACK")
    with subprocess.Popen(["git", "index-pack", "--stdin"], cwd=repo.path, stdin=PIPE, stderr=DEVNULL) as theirs:
        until = time.monotonic() + 10
        while len(list(packs.iterdir())) < 2 and time.monotonic() < until:
            time.sleep(0.01)
        repo.clear_stale()
        names = [path.name for path in packs.iterdir()]
        theirs.kill()
    assert len(names) == 1
    assert names != ["tmp_pack_left"]
    repo.clear_stale()
    assert list(packs.iterdir()) == []
