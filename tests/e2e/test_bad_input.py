"""Bad input of many kinds: each has its words, its hint, its exit code, and loses nothing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.e2e.command import Command, Outcome, git, placed, tree_of
from tests.hub import Hub, Lfs, LivingRepo, Lost, answers
from tests.hub.mirror import files_only, reverse_proxy

OID = "0123456789abcdef" * 4


@dataclass
class World:
    """Where a bad input is made."""

    hub: Hub
    hfclone: Command
    repo: LivingRepo

    @property
    def cwd(self) -> Path:
        """Where the command runs."""
        return self.hfclone.cwd


@pytest.fixture
def world(hub: Hub, tiny_repo: LivingRepo, hfclone: Command) -> World:
    """A hub with ``acme/tiny`` and a user with a file of their own."""
    (hfclone.cwd / "thesis.tex").write_text("years of work\n")
    return World(hub, hfclone, tiny_repo)


def check(done: Outcome, code: int, error: tuple[str, ...], hint: str) -> None:
    """Words, hint and code; stdout is empty and no word is a placeholder or a repr of ours."""
    assert done.code == code, done
    assert done.stdout == "", done
    for word in error:
        assert word in done.error, done.stderr
    assert done.hint, done.stderr
    assert hint in done.hint, done.stderr
    for ugly in ("{", "}", "object at 0x", "errno", "Errno", "None", "(this is a bug"):
        assert ugly not in done.error + done.hint, done.stderr
    assert done.stderr.endswith(f"hint: {done.hint}\n"), done.stderr


# --- the request -------------------------------------------------------------------------------

REPOS = [
    ("", "empty"),
    ("   ", "empty"),
    ("/etc/passwd", "empty"),
    ("acme//tiny", "empty"),
    ("a/b/c", "at most two parts"),
    ("acme/tiny/tree/main", "at most two parts"),
    ("../tiny", "is not a name the hub allows"),
    ("acme/ti ny", "is not a name the hub allows"),
    ("acme/ti\x1b[31mny", "is not a name the hub allows"),
    ("acme/模型", "is not a name the hub allows"),
    ("-acme/tiny@", "such option"),
    ("acme/tiny@", "nothing follows the @"),
    ("acme/tiny@a..b", "cannot be a revision"),
    ("acme/tiny@--upload-pack=x", "cannot be a revision"),
    ("acme/tiny@a b", "cannot be a revision"),
    ("ftp://host/acme/tiny", "is not a scheme"),
    ("file:///etc", "is not a scheme"),
    ("https://", "is not a scheme"),
    ("https://huggingface.co", "empty"),
    ("https://[::1/acme/tiny", "no URL"),
    ("https://me:secret@huggingface.co/acme/tiny", "user name or a token"),
    ("https://huggingface.co/acme/tiny/nonsense/x", "is not a page"),
    ("hf://", "empty"),
    ("git@hf.co:acme/tiny", "cannot be a revision"),
]


@pytest.mark.parametrize(("repo", "word"), REPOS, ids=[repr(repo) for repo, _ in REPOS])
def test_malformed_repos(hfclone: Command, repo: str, word: str) -> None:
    """Before anybody is asked."""
    done = hfclone(repo)
    check(done, 2, (word,), "")
    assert "\x1b" not in done.stderr
    assert "secret" not in done.stderr
    assert list(hfclone.cwd.iterdir()) == []


OPTIONS: list[tuple[list[str], Mapping[str, str], str]] = [
    (["--no-such-option"], {}, "--no-such-option"),
    (["dir", "and", "more"], {}, "unexpected extra arguments"),
    (["--mirror"], {}, "--mirror"),
    (["--connections", "0"], {}, "--connections '0': write a number from 1 to 256"),
    (["--connections", "9999"], {}, "1 to 256"),
    (["--connections", "many"], {}, "1 to 256"),
    (["--connections", "-3"], {}, "1 to 256"),
    (["--give-up-after", "5x"], {}, "--give-up-after '5x': write a duration"),
    (["--give-up-after", "-5s"], {}, "write a duration"),
    (["--stall-after", "0"], {}, "--stall-after '0': it must be more than 0"),
    (["--limit-rate", "fast"], {}, "--limit-rate 'fast': write a number of bytes"),
    (["--window", "night"], {}, "--window 'night': write two times"),
    (["--window", "25:00-26:00"], {}, "24 hours"),
    (["--window", "07:00-07:00"], {}, "the same"),
    (["--progress", "fancy"], {}, "--progress 'fancy': write one of auto, bar, json, none"),
    (["--fetcher", "wget"], {}, "--fetcher 'wget': write one of auto, threads, aria2c"),
    (["--history", "some"], {}, "--history 'some': write one of shallow, full"),
    (["--repo-type", "paper"], {}, "--repo-type"),
    (["-q", "-v"], {}, "contradicts"),
    ([""], {}, "DIR: it is empty"),
    (["--only-mirrors"], {}, "--only-mirrors: no --mirror is given"),
    (["--mirror", "http://"], {}, "--mirror 'http://': it names no host"),
    (["--mirror", "ftp://host"], {}, "not http or https"),
    (["--mirror", "file:///etc"], {}, "not http or https"),
    (["--mirror", "http://[::1"], {}, "it is no URL"),
    (["--mirror", "http://host:port"], {}, "it is no URL"),
    (["--mirror", "http://host:99999"], {}, "it is no URL"),
    (["--mirror", "a mirror"], {}, "names no host"),
    (["--mirror", "http://me:secret@host"], {}, "does not belong in a URL"),
    (["--mirror", "http://host?x=1"], {}, "no query"),
    (["--mirror", " "], {}, "names no host"),
    (["--trust-mirror", "ftp://host"], {}, "--trust-mirror"),
    (["--endpoint", "nonsense://x"], {}, "--endpoint 'nonsense://x'"),
    (["--revision", "a..b"], {}, "cannot be a revision"),
    ([], {"HF_ENDPOINT": "ftp://host"}, "HF_ENDPOINT 'ftp://host'"),
    ([], {"HFCLONE_MIRROR": "ftp://host"}, "HFCLONE_MIRROR 'ftp://host'"),
    ([], {"HFCLONE_CONNECTIONS": "x"}, "HFCLONE_CONNECTIONS 'x'"),
    ([], {"HFCLONE_ONLY_MIRRORS": "perhaps"}, "HFCLONE_ONLY_MIRRORS 'perhaps': write 1 or 0"),
    ([], {"SSL_CERT_FILE": "/no/such/file"}, "SSL_CERT_FILE '/no/such/file': there is no such file"),
]


@pytest.mark.parametrize(("words", "env", "said"), OPTIONS, ids=[" ".join((*w, *e)) or "''" for w, e, _ in OPTIONS])
def test_bad_options(hfclone: Command, words: list[str], env: Mapping[str, str], said: str) -> None:
    """The option or variable is named as the user wrote it."""
    done = hfclone("acme/tiny", *words, env=env)
    check(done, 2, (said,), "")
    assert "secret" not in done.stderr
    assert list(hfclone.cwd.iterdir()) == []


def test_no_argument_at_all(hfclone: Command) -> None:
    """The help, and the code of a request that cannot be meant."""
    done = hfclone()
    assert (done.code, done.stdout) == (2, "")
    assert done.stderr.startswith("Usage: hfclone REPO [DIR]")
    only = hfclone("-q")
    assert only.code == 2
    assert "REPO" in only.error


def test_a_bad_request_as_data(hfclone: Command) -> None:
    """With ``--progress json`` the error is data, too."""
    done = hfclone("a/b/c", "--progress", "json")
    assert done.code == 2
    (event,) = done.events
    assert (event["event"], event["code"], event["exit"]) == ("error", "bad-repo-spec", 2)


# --- the far side says no ----------------------------------------------------------------------


def _gated(world: World) -> None:
    world.hub.add("acme/gate", world.repo, gated="manual")


def _private(world: World) -> None:
    world.hub.add("acme/gate", world.repo, private=True)


def _disabled(world: World) -> None:
    world.hub.add("acme/gate", world.repo).disabled = True


def _nothing(_world: World) -> None:
    pass


TOKEN = {"HF_TOKEN": "hf_valid"}


@dataclass(frozen=True)
class No:
    """A refusal: how it is brought about and what is said."""

    words: tuple[str, ...]
    error: tuple[str, ...]
    hint: str
    before: Callable[[World], None] = _nothing
    env: Mapping[str, str] = field(default_factory=dict)


NOES = {
    "gated, no token": No(
        ("acme/gate",), ("acme/gate is gated", "no token was sent"), "ask for access at {hub}/acme/gate", _gated
    ),
    "gated, not approved": No(
        ("acme/gate",), ("acme/gate is gated", "not on its list"), "ask for access at {hub}/acme/gate", _gated, TOKEN
    ),
    "private, no token": No(
        ("acme/gate",),
        ("knows no acme/gate, or it is private",),
        "log in with 'hf auth login' or set HF_TOKEN",
        _private,
    ),
    "private, foreign token": No(
        ("acme/gate",), ("knows no acme/gate, or it is private",), "check the name at {hub}/acme/gate", _private, TOKEN
    ),
    "disabled": No(("acme/gate",), ("has disabled acme/gate",), "see {hub}/acme/gate", _disabled),
    "gated, by full sha": No(("acme/gate@{commit}",), ("acme/gate is gated",), "ask for access at", _gated),
    "private, by full sha": No(("acme/gate@{commit}",), ("knows no acme/gate",), "check the name", _private),
    "disabled, by full sha": No(("acme/gate@{commit}",), ("disabled acme/gate",), "see {hub}", _disabled),
    "missing repo": No(("acme/none",), ("knows no acme/none",), "check the name at {hub}/acme/none"),
    "missing repo, by full sha": No(("acme/none@{commit}",), ("knows no acme/none",), "check the name"),
    "missing dataset": No(("datasets/acme/tiny",), ("knows no datasets/acme/tiny",), "{hub}/datasets/acme/tiny"),
    "missing revision": No(
        ("acme/tiny@v9",), ("acme/tiny has no revision 'v9'",), "branches and tags are listed at {hub}/acme/tiny"
    ),
    "missing slash revision": No(("acme/tiny@feat/none",), ("no revision 'feat/none'",), "listed at"),
    "missing pull request": No(("acme/tiny@refs/pr/99",), ("no revision 'refs/pr/99'",), "listed at"),
    "missing short sha": No(("acme/tiny@abcdef12",), ("no revision 'abcdef12'",), "listed at"),
    "missing full sha": No(("acme/tiny@" + "ab" * 20,), ("no revision", "abababab"), "listed at"),
    "bad token on a public repo": No(
        ("acme/tiny",), ("does not accept the token",), "unset HF_TOKEN", env={"HF_TOKEN": "hf_wrong"}
    ),
    "bad token, by full sha": No(
        ("acme/tiny@{commit}",), ("does not accept the token",), "unset HF_TOKEN", env={"HF_TOKEN": "hf_wrong"}
    ),
}


@pytest.mark.parametrize("kind", NOES)
def test_refusals(world: World, kind: str) -> None:
    """Each in its own words, at once, with the page to visit or the command to run."""
    no = NOES[kind]
    world.hub.tokens.add("hf_valid")
    no.before(world)
    words = [word.format(commit=world.repo.commit) for word in no.words]
    done = world.hfclone(*words, env=no.env)
    check(done, 3, no.error, no.hint.format(hub=world.hub.url))
    assert "hf_" not in done.stderr.replace("hf_hub", "")
    assert (world.cwd / "thesis.tex").read_text() == "years of work\n"
    if "full sha" not in kind:
        assert os.listdir(world.cwd) == ["thesis.tex"], "nothing was made for a repo that is not to be had"


def test_a_bad_token_is_told_from_a_missing_repo_with_a_mirror(world: World) -> None:
    """A mirror that works does not hide that the hub has refused the token."""
    mirror = world.hub.mirror("mirror", reverse_proxy())
    done = world.hfclone("acme/tiny", "--mirror", mirror.url, env={"HF_TOKEN": "hf_wrong"})
    check(done, 3, ("does not accept the token",), "unset HF_TOKEN")
    assert not world.hub.log.saw_token("hf_wrong", listener="mirror")


# --- bytes -------------------------------------------------------------------------------------


def test_an_object_that_nobody_has(world: World) -> None:
    """All others arrive; the path is named; another --mirror may help."""
    world.repo.add_commit({"gone/lost.bin": Lost(OID, 5000)})
    mirror = world.hub.mirror("mirror", files_only())
    done = world.hfclone("acme/tiny", "--mirror", mirror.url)
    dest = world.cwd / "tiny"
    check(done, 3, ("1 object(s)", "object-missing", "gone/lost.bin"), "another --mirror may have it")
    assert placed(dest) == {"model.safetensors", "sub/dir/w.bin", "sub/same.bin"}
    assert git(dest, "status", "--porcelain") == ""
    without = world.hfclone("acme/tiny", "--exclude", "gone/*")
    assert without.code == 0, without.stderr


BAD_POINTERS = {
    "extension": f"version https://git-lfs.github.com/spec/v1\next-0-foo sha256:{OID}\noid sha256:{OID}\nsize 5\n",
    "size": f"version https://git-lfs.github.com/spec/v1\noid sha256:{OID}\nsize many\n",
    "negative": f"version https://git-lfs.github.com/spec/v1\noid sha256:{OID}\nsize -5\n",
    "hash": f"version https://git-lfs.github.com/spec/v1\noid md5:{OID}\nsize 5\n",
    "short": f"version https://git-lfs.github.com/spec/v1\noid sha256:{OID[:60]}\nsize 5\n",
}


@pytest.mark.parametrize("kind", BAD_POINTERS)
def test_malformed_pointers(world: World, kind: str) -> None:
    """Everything else is fetched; the file is left as git has it, and named."""
    world.repo.add_commit({"odd/bad.bin": BAD_POINTERS[kind]})
    done = world.hfclone("acme/tiny")
    check(done, 5, ("odd/bad.bin", "pointer"), "tell the repo's owner")
    dest = world.cwd / "tiny"
    assert (dest / "odd/bad.bin").read_text() == BAD_POINTERS[kind]
    assert "model.safetensors" in placed(dest)
    assert git(dest, "status", "--porcelain") == ""
    assert world.hfclone("acme/tiny", "--exclude", "odd/*").code == 0


def crafted(repo: LivingRepo, *names: bytes) -> str:
    """A commit whose tree is nested from ``names``, through plumbing that asks no questions."""
    oid = repo.git("hash-object", "-w", "--stdin", stdin=b"#!/bin/sh\ntouch /tmp/owned\n").decode().strip()
    mode = b"100755"
    for name in reversed(names):
        tree = mode + b" " + name + b"\0" + bytes.fromhex(oid)
        oid = repo.git("hash-object", "-w", "-t", "tree", "--literally", "--stdin", stdin=tree).decode().strip()
        mode = b"40000"
    commit = repo.git("commit-tree", "-m", "evil", "-p", "refs/heads/main", oid, date=1_700_000_000).decode().strip()
    repo.set_ref("refs/heads/main", commit)
    return commit


UNSAFE = [  # names of a tree, from the outside in
    (b"..", b"owned"),
    (b".git", b"hooks", b"post-checkout"),
    (b".GIT", b"config"),
    (b"a", b"..", b"..", b"x"),
    (b".",),
]


@pytest.mark.parametrize("names", UNSAFE, ids=lambda names: b"/".join(names).decode())
def test_unsafe_paths(world: World, names: tuple[bytes, ...]) -> None:
    """Refused as a whole; nothing is written outside, and nothing into .git but what is ours."""
    crafted(world.repo, *names)
    before = tree_of(world.hfclone.base)
    done = world.hfclone("acme/tiny")
    check(done, 5, (), "")
    assert "git refuses" in done.error
    assert "hasDot" in done.error
    after = {name: value for name, value in tree_of(world.hfclone.base).items() if not name.startswith("cwd/tiny/.git")}
    after.pop("cwd/tiny", None)
    assert after == before
    hooks = world.cwd / "tiny/.git/hooks"
    assert not hooks.exists() or not list(hooks.iterdir())


def test_a_full_disk(world: World) -> None:
    """Refused up front with numbers, before any object's byte; what is chosen smaller goes."""
    world.repo.add_commit({"huge.bin": Lost(OID, 1 << 60)})
    done = world.hfclone("acme/tiny")
    check(done, 6, ("1,152,921,504", "bytes free", str(world.cwd / "tiny")), "bytes or choose another directory")
    assert world.hub.log.bytes_sent(kind="cdn") == 0
    assert world.hfclone("acme/tiny", "--exclude", "huge.bin").code == 0
    dry = world.hfclone("acme/tiny", "--dry-run")
    assert "1.15e" not in dry.stderr
    assert "1153 PB" in dry.stderr or "1,153 PB" in dry.stderr


def test_a_hub_that_refuses_connections(world: World) -> None:
    """It is waited for as long as was asked, then told who could not be reached."""
    world.hub.down()
    done = world.hfclone("acme/tiny", "--give-up-after", "1s")
    check(done, 4, ("cannot reach 127.0.0.1", "refused"), "check the network")
    assert os.listdir(world.cwd) == ["thesis.tex"]
    named = world.hfclone("acme/tiny", "--give-up-after", "1s", "--endpoint", "http://no-such-host.invalid")
    check(named, 4, ("no-such-host.invalid",), "check the network and the name")
    assert "urllib3" not in named.stderr
    assert "HTTPConnection" not in named.stderr


def test_a_captive_portal(world: World) -> None:
    """A login page for everything is recognised for what it is."""
    world.hub.faults.add(answers.CaptivePortal())
    done = world.hfclone("acme/tiny", "--give-up-after", "1s")
    check(done, 4, ("something else in place of",), "log in")
    assert os.listdir(world.cwd) == ["thesis.tex"]
    sha = world.hfclone(f"acme/tiny@{world.repo.commit}", "--give-up-after", "1s")
    check(sha, 4, ("in place of",), "log in")


def test_a_captive_portal_later(world: World) -> None:
    """The same for the objects alone: none becomes a file."""
    world.hub.faults.add(answers.CaptivePortal(), kind="cdn")
    done = world.hfclone("acme/tiny", "--give-up-after", "1s")
    check(done, 4, ("2 object(s)", "not-the-object", "model.safetensors", "sub/dir/w.bin"), "")
    assert placed(world.cwd / "tiny") == set()


# --- this machine cannot -----------------------------------------------------------------------


def _other_files(world: World) -> None:
    (world.cwd / "tiny").mkdir()
    (world.cwd / "tiny/mine.txt").write_text("mine\n")


def _a_file(world: World) -> None:
    (world.cwd / "tiny").write_text("mine\n")


def _below_a_file(world: World) -> None:
    (world.cwd / "file").write_text("mine\n")


def _other_checkout(world: World) -> None:
    world.hub.repo("acme/other", {"m.bin": Lfs(1000, seed=4)})
    assert world.hfclone("acme/other", "tiny").code == 0


def _own_repo(world: World) -> None:
    git(world.cwd, "init", "--quiet", "tiny")
    (world.cwd / "tiny/mine.txt").write_text("mine\n")
    git(world.cwd / "tiny", "add", "mine.txt")
    git(world.cwd / "tiny", "commit", "--quiet", "-m", "mine")


def _checkout(world: World) -> None:
    assert world.hfclone("acme/tiny").code == 0


def _merging(world: World) -> None:
    _checkout(world)
    (world.cwd / "tiny/.git/MERGE_HEAD").write_text(f"{world.repo.commit}\n")


def _index_locked(world: World) -> None:
    _checkout(world)
    (world.cwd / "tiny/.git/index.lock").write_text("")


def _own_commit(world: World) -> None:
    _checkout(world)
    (world.cwd / "tiny/mine.txt").write_text("mine\n")
    git(world.cwd / "tiny", "add", "mine.txt")
    git(world.cwd / "tiny", "commit", "--quiet", "-m", "mine")
    world.repo.add_commit({"x.txt": "x\n"})


def _git_link(world: World) -> None:
    git(world.cwd, "init", "--quiet", "elsewhere")
    (world.cwd / "tiny").mkdir()
    (world.cwd / "tiny/.git").symlink_to("../elsewhere/.git")


def _dangling(world: World) -> None:
    (world.cwd / "tiny").symlink_to("nowhere/at/all")


def _in_the_way(world: World) -> None:
    _checkout(world)
    (world.cwd / "tiny/new.txt").write_text("mine\n")
    world.repo.add_commit({"new.txt": "theirs\n"})


def _folder_in_the_way(world: World) -> None:
    _checkout(world)
    (world.cwd / "tiny/model.safetensors").unlink()
    (world.cwd / "tiny/model.safetensors").mkdir()
    (world.cwd / "tiny/model.safetensors/mine.txt").write_text("mine\n")


LOCAL: dict[str, tuple[Callable[[World], None], str, tuple[str, ...], str]] = {
    "other files": (_other_files, "tiny", ("tiny is not a checkout", "it holds other files"), "new directory"),
    "a file": (_a_file, "tiny", ("tiny", "is no directory"), "directory"),
    "below a file": (_below_a_file, "file/tiny", ("file/tiny",), "directory"),
    "another repo's checkout": (
        _other_checkout, "tiny", ("is a checkout of", "acme/other", "not of acme/tiny"), "another directory"
    ),
    "a repo of the user's": (_own_repo, "tiny", ("git repo without an origin",), "new directory"),
    "merge in progress": (_merging, "tiny", ("unfinished merge",), ""),
    "git is at work": (_index_locked, "tiny", ("git command (index.lock)",), ""),
    "commits of the user's": (_own_commit, "tiny", ("branch 'main'", "commits that are not"), "nothing was touched"),
    ".git is a link to an empty repo": (_git_link, "tiny", ("without an origin",), "new directory"),
    "a link to nowhere": (_dangling, "tiny", ("tiny",), "directory"),
    "a file in the way": (_in_the_way, "tiny", ("new.txt",), "nothing of yours was touched"),
    "a folder in the way": (_folder_in_the_way, "tiny", ("model.safetensors",), "nothing of yours was touched"),
}  # fmt: skip


OURS = ("hfclone", "objects", "refs/hfclone", "shallow", "logs")
"""What a run may change in a checkout that it then refuses to move."""


@pytest.mark.parametrize("kind", LOCAL)
def test_directories_that_cannot_be(world: World, kind: str) -> None:
    """Refused before any large byte; what was there is byte for byte as it was."""
    before, dest, words, hint = LOCAL[kind]
    before(world)
    ours = [f"tiny/.git/{name}" for name in OURS] if (world.cwd / "tiny/.git/hfclone").exists() else []
    held = tree_of(world.cwd, without=ours)
    sent = world.hub.log.bytes_sent(kind="cdn")
    done = world.hfclone("acme/tiny", dest)
    check(done, 6, words, hint)
    assert tree_of(world.cwd, without=ours) == held
    assert world.hub.log.bytes_sent(kind="cdn") == sent


@pytest.mark.skipif(os.geteuid() == 0 and shutil.which("setpriv") is None, reason="root, and no setpriv to be another")
@pytest.mark.parametrize("where", ["directory", "git", "parts"])
def test_no_rights(world: World, where: str) -> None:
    """As a user who may not write there: what, why, and nothing changed."""
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.geteuid() == 0 else []
    if where == "directory":
        locked = world.cwd
    else:
        _checkout(world)
        (world.cwd / "tiny/model.safetensors").unlink()
        locked = world.cwd / "tiny/.git"
        locked = locked / "hfclone/parts" if where == "parts" else locked
    _open_up(world.hfclone.base, nobody)
    git_safe = {"GIT_CONFIG_GLOBAL": str(world.hfclone.home / "safe")}
    (world.hfclone.home / "safe").write_text("[safe]\n\tdirectory = *\n")
    (world.hfclone.home / "safe").chmod(0o644)
    for path in (locked, *(path for path in locked.rglob("*") if path.is_dir())):
        path.chmod(0o555)
        if nobody:
            os.chown(path, 0, 0)
    before = tree_of(world.cwd)
    try:
        if nobody and subprocess.run([*nobody, "ls", str(world.cwd)], capture_output=True, check=False).returncode:
            pytest.skip("nobody cannot even come here")
        done = world.hfclone("acme/tiny", env=git_safe, before=nobody)
        check(done, 6, (str(locked if where != "directory" else world.cwd / "tiny"), "ermission denied"), "rights")
        assert where == "parts" or tree_of(world.cwd) == before
    finally:
        for path in (locked, *(path for path in locked.rglob("*") if path.is_dir())):
            path.chmod(0o755)


def _open_up(base: Path, nobody: list[str]) -> None:
    """Let another user in, down to the private world, which becomes theirs."""
    if not nobody:
        return
    for parent in base.parents:
        if parent.stat().st_uid == os.geteuid() and len(parent.parts) > 2:
            parent.chmod(parent.stat().st_mode | 0o011)
    for path in (base, *base.rglob("*")):
        if not path.is_symlink():
            os.chown(path, 65534, 65534)


def test_no_git(world: World, tmp_path: Path) -> None:
    """The program is named, and how to install it."""
    (tmp_path / "bin").mkdir()
    done = world.hfclone("acme/tiny", env={"PATH": str(tmp_path / "bin")})
    check(done, 6, ("git is not installed",), "apt install git")
    assert os.listdir(world.cwd) == ["thesis.tex"]


def test_no_aria2c(world: World, tmp_path: Path) -> None:
    """The built-in fetcher does the work, and that is said."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("git", "sh", "env"):
        (folder / name).symlink_to(shutil.which(name) or "")
    done = world.hfclone("acme/tiny", "--fetcher", "aria2c", env={"PATH": str(folder)})
    assert done.code == 0, done.stderr
    assert "it is not installed; the built-in fetcher does the work" in done.stderr


def test_a_reader_that_goes_away(world: World) -> None:
    """``hfclone --progress json | head -1`` ends without a word, and can be gone on with."""
    process = world.hfclone.start("acme/tiny", "--progress", "json")
    assert process.stdout is not None
    first = json.loads(process.stdout.readline())
    assert first["event"] == "pinned"
    process.stdout.close()
    assert process.stderr is not None
    said = process.stderr.read()
    assert (process.wait(60), said) in ((141, ""), (0, ""))
    process.stderr.close()
    assert world.hfclone("acme/tiny").code == 0


def test_a_stdout_that_is_full(world: World) -> None:
    """Data that cannot be written is an error, not a loss."""
    with open("/dev/full", "w", encoding="ascii") as full:
        process = world.hfclone.start("acme/tiny", "--progress", "json", stdout=full)
        done = world.hfclone.end(process)
    assert done.code == 6, done.stderr
    assert "cannot write stdout: No space left on device" in done.error
    assert world.hfclone("acme/tiny").code == 0


def test_a_closed_stderr(world: World) -> None:
    """A run that nobody listens to is a run all the same."""
    process = world.hfclone.start("acme/tiny", before=["sh", "-c", 'exec "$@" 2>&-', "sh"])
    assert world.hfclone.end(process).code == 0
    assert git(world.cwd / "tiny", "status", "--porcelain") == ""


def test_a_repo_without_commits(world: World) -> None:
    """An empty repo is told as such, in words of ours."""
    folder = world.hub.folder / "empty"
    world.hub.add("acme/empty", LivingRepo(folder))
    done = world.hfclone("acme/empty", "--give-up-after", "1s")
    assert done.code in (3, 4), done.stderr
    assert "acme/empty" in done.error


# --- places that cannot be ---------------------------------------------------------------------

LONG = "a" * 300


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (("acme/tiny", LONG), 6),
        (("status", LONG), 6),
        (("fetch", LONG), 6),
        (("export", "--format", "urls", "-o", LONG), 6),
        (("export", "--format", "urls", "-o", ""), 6),
        (("lock", "acme/tiny", "-o", ""), 6),
    ],
)
def test_names_that_cannot_be(world: World, args: tuple[str, ...], code: int) -> None:
    """No file system has a name that long, and an empty one names no file: that is no bug of ours."""
    if args[0] == "export":
        assert world.hfclone("acme/tiny", "--include", "none").code == 0
        args = ("export", "tiny", *args[1:])
    done = world.hfclone(*args)
    assert (done.code, "bug" in done.stderr) == (code, False), done.stderr


def test_certificates_that_cannot_be(world: World) -> None:
    done = world.hfclone("ls", "acme/tiny", env={"REQUESTS_CA_BUNDLE": LONG})
    check(done, 2, ("REQUESTS_CA_BUNDLE", "there is no such file"), "--help")


def test_a_current_directory_that_is_gone(world: World) -> None:
    """Names begin there; what needs none still works."""
    gone = world.cwd / "gone"
    gone.mkdir()
    before = ["sh", "-c", 'cd gone && rmdir ../gone && exec "$@"', "sh"]
    done = world.hfclone("acme/tiny", before=before)
    check(done, 6, ("current directory", "No such file"), "directory")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
@pytest.mark.parametrize("args", [("--help",), ("--version",), ("--version", "--help"), ("ls", "--help")])
def test_help_onto_a_full_disk(world: World, args: tuple[str, ...]) -> None:
    done = world.hfclone(*args, before=["sh", "-c", 'exec "$@" > /dev/full', "sh"])
    check(done, 6, ("cannot write stdout", "No space left"), "directory")


def test_names_with_control_characters_are_shown_as_escapes(world: World) -> None:
    done = world.hfclone("lock", "acme/tiny", "-o", "a\x1b[31m.lock")
    assert (done.code, "\x1b" in done.stderr) == (0, False), done.stderr
    assert "a\\x1b[31m.lock: 1 repo and " in done.stderr


@pytest.mark.parametrize("command", [("status",), ("verify",), ("fetch",), ("pull",), ("export", "--format", "urls")])
def test_no_checkout_where_one_is_needed(world: World, command: tuple[str, ...]) -> None:
    """An empty directory is of no use to them."""
    done = world.hfclone(command[0], "nothing", *command[1:])
    check(done, 6, ("nothing is not a checkout", "there is no such directory"), "name a checkout's directory")
