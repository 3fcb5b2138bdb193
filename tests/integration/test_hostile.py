"""Hostile repos, mirrors and neighbours, as far as git and the work tree go.

Where a guard is ours, the attack is made twice: against hfclone as it is, and with the guard taken away, to show
that it would come through. What aria2, HTTP redirects and tokens over HTTP are about is tested
elsewhere (faults/test_aria2, test_connections, e2e/test_tokens).
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import hfclone.checkout
import hfclone.checkout.opening
from hfclone.errors import (
    BadTree,
    CannotWrite,
    Conflicts,
    GitFailed,
    HfcloneError,
    RevisionNotFound,
    UnsafePath,
)
from hfclone.events import Event, Warned
from hfclone.git import Fetch, Git, GitRepo, fetch, running
from hfclone.git.config import Config
from hfclone.names import Pin, Repo
from hfclone.plan import Presence
from hfclone.worktree import WorkTree, walking
from tests.hub import Hub, Lfs, LivingRepo
from tests.integration.worlds import World, fill, opened, pin_of, status

HOOKS = (
    "applypatch-msg", "fsmonitor-watchman", "post-checkout", "post-index-change", "post-merge", "pre-auto-gc",
    "pre-commit", "reference-transaction", "update", "post-rewrite", "post-update", "pre-receive",
)  # fmt: skip


@pytest.fixture
def home(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def evil(tmp_path: Path) -> Any:
    """Another host, which must not be asked for anything."""
    with Hub(tmp_path / "evil") as served:
        yield served


def without_config(monkeypatch: pytest.MonkeyPatch, *keys: str) -> None:
    """Take settings away that every git call of hfclone's gets."""
    monkeypatch.setattr(running, "_CONFIG", tuple(pair for pair in running._CONFIG if pair[0] not in keys))


# --- wrong objects, wrong commits --------------------------------------------------------------


@dataclass
class Substitute:
    """A mirror that answers a wish for one commit with another."""

    asked: str
    given: str
    times: int = 0

    def answer(self, request: Any, serve: Callable[[Any], Any]) -> Any:
        if self.asked.encode() in request.body:
            self.times += 1
            request.body = request.body.replace(self.asked.encode(), self.given.encode())
        return serve(request)

    def release(self) -> None:
        """Nothing waits."""


def test_another_commit_in_place_of_the_pinned_one(
    hub: Hub, tiny_repo: LivingRepo, home: World, tmp_path: Path
) -> None:
    pin = pin_of(tiny_repo)
    tiny_repo.add_commit({"config.json": "evil\n"}, branch="main", message="evil")
    lie = Substitute(pin.commit, tiny_repo.commit)
    hub.faults.add(lie)
    with pytest.raises(HfcloneError) as raised, opened(hub, pin, tmp_path / "t", home.git):
        pass
    assert isinstance(raised.value, BadTree | RevisionNotFound)
    assert lie.times
    assert os.listdir(tmp_path / "t") == [".git"]


def test_replaced_objects_do_not_count(
    hub: Hub, tiny_repo: LivingRepo, home: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dest, pin = tmp_path / "t", pin_of(tiny_repo)
    with opened(hub, pin, dest, home.git):
        pass
    repo = GitRepo(home.git, dest)
    right = repo.tree_entries(pin.commit)
    (dest / "config.json").write_text("evil")
    home.command("commit", "-qam", "evil", cwd=dest)
    other = home.command("rev-parse", "HEAD", cwd=dest).strip()
    home.command("reset", "-q", "--hard", pin.commit, cwd=dest)
    home.command("replace", pin.commit, other, cwd=dest)
    assert repo.tree_entries(pin.commit) == right
    with opened(hub, pin, dest, home.git):
        pass
    assert (dest / "config.json").read_text() == '{"a": 1}\n'
    allowing = Git({**home.environ})
    monkeypatch.setattr(
        allowing, "_environment", lambda *args, **more: _without(Git._environment(allowing, *args, **more))
    )
    assert GitRepo(allowing, dest).tree_entries(pin.commit) != right


def _without(environment: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name != "GIT_NO_REPLACE_OBJECTS"}


# --- crafted trees -----------------------------------------------------------------------------

BAD_NAMES = (
    b"..", b".git", b".GIT", b"git~1", b".git ", b".git.", b".g\xe2\x80\x8cit", b".git::$INDEX_ALLOCATION", b"../evil",
    b"/abs", b".", b".Git\\hooks",
)  # fmt: skip


def crafted(hub: Hub, *rows: tuple[str, bytes, str]) -> Pin:
    """A repo whose root tree holds just these rows (mode, name, blob or tree id), however wrong."""
    repo = hub.repo("acme/tiny", {"ok": "ok"})
    data = b"".join(b"%s %s\0%s" % (mode.encode(), name, bytes.fromhex(oid)) for mode, name, oid in rows)
    tree = repo.git("hash-object", "-t", "tree", "-w", "--literally", "--stdin", stdin=data).decode().strip()
    commit = repo.git("commit-tree", tree, "-m", "crafted").decode().strip()
    repo.set_ref("refs/heads/main", commit)
    return Pin(Repo("acme/tiny"), commit)


OK = "b5754e20373fdaa5331ef6e4623dbae636225e3b"
"""The id of the blob ``ok``, which every crafted repo holds."""


@pytest.mark.parametrize("guard", ["both", "git's", "ours"])
@pytest.mark.parametrize("name", BAD_NAMES)
def test_names_that_must_not_be_written(
    hub: Hub, home: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: bytes, guard: str
) -> None:
    """Git's fsck of what it receives, and our own check of the tree: either is enough where it can see the trick."""
    pin = crafted(hub, ("100644", name, OK))
    if guard == "ours":
        without_config(monkeypatch, "transfer.fsckObjects", "fetch.fsckObjects")
    elif guard == "git's":
        monkeypatch.setattr(hfclone.checkout.opening, "check_tree", lambda *_args, **_options: None)
    before = sorted(path for path in tmp_path.rglob("*") if "hub" not in path.parts and "home" not in path.parts)
    with pytest.raises(HfcloneError) as raised, opened(hub, pin, tmp_path / "t", home.git):
        pass
    if guard != "git's":
        assert isinstance(raised.value, BadTree | UnsafePath)
    assert os.listdir(tmp_path / "t") == [".git"]
    after = sorted(path for path in tmp_path.rglob("*") if "hub" not in path.parts and "home" not in path.parts)
    assert [path for path in after if path not in before and (tmp_path / "t") not in (path, *path.parents)] == []
    assert not (tmp_path / "t/.git/hooks").exists()


@pytest.mark.parametrize("what", ["file and directory", "link and directory", "twice"])
def test_paths_that_cannot_both_be(
    hub: Hub, home: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """The pattern of CVE-2021-21300: a link that a later file of the same tree is written through."""
    outside = tmp_path / "outside"
    outside.mkdir()
    repo = hub.repo("acme/other", {"ok": "ok"})
    link = repo.git("hash-object", "-w", "--stdin", stdin=os.fsencode(outside)).decode().strip()
    below = repo.git("mktree", stdin=f"100644 blob {OK}\tfile\n".encode()).decode().strip()
    rows = {
        "file and directory": (("100644", b"dir", OK), ("40000", b"dir", below)),
        "link and directory": (("120000", b"dir", link), ("40000", b"dir", below)),
        "twice": (("100644", b"file", OK), ("100644", b"file", link)),
    }[what]
    data = b"".join(b"%s %s\0%s" % (mode.encode(), name, bytes.fromhex(oid)) for mode, name, oid in rows)
    tree = repo.git("hash-object", "-t", "tree", "-w", "--literally", "--stdin", stdin=data).decode().strip()
    commit = repo.git("commit-tree", tree, "-m", "crafted").decode().strip()
    repo.set_ref("refs/heads/main", commit)
    hub.add("acme/tiny", repo)
    pin = Pin(Repo("acme/tiny"), commit)
    with pytest.raises(BadTree), opened(hub, pin, tmp_path / "one", home.git):
        pass
    without_config(monkeypatch, "transfer.fsckObjects", "fetch.fsckObjects")
    with pytest.raises(UnsafePath), opened(hub, pin, tmp_path / "two", home.git):
        pass
    assert os.listdir(tmp_path / "one") == os.listdir(tmp_path / "two") == [".git"]
    assert os.listdir(outside) == []
    home.command("clone", "-q", f"{hub.url}/acme/tiny", "plain", cwd=tmp_path)  # git itself takes it


def test_names_with_control_characters_are_shown_escaped(
    hub: Hub, home: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = b"evil\x1b]0;pwn\x07\r\n.bin"
    dest, pin = tmp_path / "t", pin_of(hub.repo("acme/tiny", {name: Lfs(2_000, seed=1), b"small\x1b[2J": "s"}))
    with opened(hub, pin, dest, home.git):
        pass
    for path in (name, b"small\x1b[2J"):
        Path(os.fsdecode(os.fsencode(dest) + b"/" + path)).write_text("mine")
    with opened(hub, pin, dest, home.git) as checkout:
        assert checkout.inventory()[name] is Presence.FOREIGN
        part = checkout.parts_dir / "p"
        part.write_bytes(b"")
        with pytest.raises(Conflicts) as raised:
            checkout.place(checkout.files()[name], part, [name])
    text = str(raised.value) + raised.value.hint
    assert "\\x1b" in text
    assert text.isprintable()
    monkeypatch.setattr("hfclone.checkout.placing.show_path", lambda path: path.decode("utf-8", "replace"))
    with opened(hub, pin, dest, home.git) as checkout, pytest.raises(Conflicts) as raised:
        checkout.place(checkout.files()[name], part, [name])
    assert not str(raised.value).isprintable()


# --- neighbours: links that appear while files are placed --------------------------------------


def swapping(monkeypatch: pytest.MonkeyPatch, folder: Path, outside: Path) -> None:
    """Just before a file is renamed into ``folder``, put a link to ``outside`` in the folder's place."""
    real = os.replace

    def replace(source: Any, target: Any, **more: Any) -> None:
        if str(target).endswith("w.bin") and not folder.is_symlink():
            folder.rename(folder.with_name("was"))
            folder.symlink_to(outside)
        real(source, target, **more)

    monkeypatch.setattr(os, "replace", replace)


@pytest.mark.parametrize("held", [True, False])
def test_a_directory_becomes_a_link_while_a_file_is_placed(
    hub: Hub, tiny_repo: LivingRepo, home: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: bool
) -> None:
    """With open handles the file lands in the directory that was looked at; by names it would land outside."""
    dest, outside = tmp_path / "t", tmp_path / "outside"
    outside.mkdir()
    monkeypatch.setattr(walking, "_HANDLES", held)
    with opened(hub, pin_of(tiny_repo), dest, home.git) as checkout:
        pointer = checkout.files()[b"sub/dir/w.bin"]
        part = checkout.parts_dir / "p"
        shutil.copyfile(tiny_repo.object_path(pointer.oid), part)
        with monkeypatch.context() as patch:
            swapping(patch, dest / "sub/dir", outside)
            try:
                checkout.place(pointer, part, [b"sub/dir/w.bin"])
            except HfcloneError:
                pass  # seen at the next step
        assert os.listdir(outside) == ([] if held else ["w.bin"])
        (dest / "sub/dir").unlink()
        (dest / "sub/was").rename(dest / "sub/dir")


@pytest.mark.parametrize("held", [True, False])
@pytest.mark.parametrize("what", ["place", "remove", "take", "link", "aside", "look"])
def test_no_step_on_the_way_is_a_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, held: bool) -> None:
    monkeypatch.setattr(walking, "_HANDLES", held)
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    (outside / "f").write_text("victim")
    (root / "d").symlink_to(outside)
    (tmp_path / "new").write_text("new")
    tree = WorkTree(root)
    try:
        seen = tree.look(b"d/f")
        assert seen.stat is None
        if what == "look":
            return
        with pytest.raises((CannotWrite, OSError)):
            match what:
                case "place":
                    tree.place(tmp_path / "new", b"d/f", seen)
                case "remove":
                    tree.remove(b"d/f", seen)
                case "take":
                    tree.take(b"d/f", tmp_path / "taken", seen)
                case "link":
                    tree.link_to(b"d/f", tmp_path / "taken")
                case "aside":
                    tree.set_aside(b"d/f")
    finally:
        tree.close()
        assert (outside / "f").read_text() == "victim"
        assert os.listdir(outside) == ["f"]


def test_our_own_files_are_no_links(
    hub: Hub, tiny_repo: LivingRepo, home: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dest, victim = tmp_path / "t", tmp_path / "victim"
    victim.write_text("precious")
    state = dest / ".git/hfclone"
    state.mkdir(parents=True)
    (state / "lock").symlink_to(victim)
    with pytest.raises(CannotWrite), opened(hub, pin_of(tiny_repo), dest, home.git):
        pass
    assert victim.read_text() == "precious"
    (state / "lock").unlink()
    for name in ("journal.new", "stamps.new", "filter.sh.new"):
        (state / name).symlink_to(victim)
    with opened(hub, pin_of(tiny_repo), dest, home.git):
        pass
    assert victim.read_text() == "precious"
    (state / "lock").unlink()
    (state / "lock").symlink_to(victim)
    with monkeypatch.context() as patch:
        patch.setattr(os, "O_NOFOLLOW", 0)
        with opened(hub, pin_of(tiny_repo), dest, home.git):
            pass
    assert victim.read_text() == ""


# --- what a repo or a user's configuration would have git run ----------------------------------


@pytest.mark.parametrize("guarded", [True, False])
def test_hooks_do_not_run(
    hub: Hub, tiny_repo: LivingRepo, home: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, guarded: bool
) -> None:
    template, ran = tmp_path / "template", tmp_path / "ran"
    (template / "hooks").mkdir(parents=True)
    for name in HOOKS:
        (template / "hooks" / name).write_text(f"#!/bin/sh\necho {name} >> {ran}\n")
        (template / "hooks" / name).chmod(0o755)
    home.command("config", "--global", "init.templateDir", str(template), cwd=tmp_path)
    home.command("config", "--global", "core.hooksPath", str(template / "hooks"), cwd=tmp_path)
    home.command("config", "--global", "core.fsmonitor", str(template / "hooks/fsmonitor-watchman"), cwd=tmp_path)
    if not guarded:
        without_config(monkeypatch, "core.hooksPath", "core.fsmonitor")
    with opened(hub, pin_of(tiny_repo), tmp_path / "t", home.git) as checkout:
        fill(checkout, tiny_repo)
    tiny_repo.add_commit({"config.json": "{}"}, branch="main", message="n")
    with opened(hub, pin_of(tiny_repo), tmp_path / "t", home.git):
        pass
    assert ran.exists() is not guarded
    assert not (tmp_path / "t/.git/hooks").exists()


@pytest.mark.parametrize("guarded", [True, False])
def test_filters_do_not_run(
    hub: Hub, tiny_repo: LivingRepo, home: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, guarded: bool
) -> None:
    ran = tmp_path / "ran"
    tiny_repo.add_commit({".gitattributes": "*.json filter=evil\n"}, branch="main", message="n")
    for key in ("smudge", "clean"):
        home.command("config", "--global", f"filter.evil.{key}", f"echo {key} >> {ran}; cat", cwd=tmp_path)
    if not guarded:
        monkeypatch.setattr(Config, "no_filters", ())
    with opened(hub, pin_of(tiny_repo), tmp_path / "t", home.git):
        pass
    assert ran.exists() is not guarded


def test_lfsconfig_is_told_and_not_followed(hub: Hub, evil: Hub, tmp_path: Path) -> None:
    if shutil.which("git-lfs") is None:
        pytest.skip("git-lfs is not installed")
    home = World(tmp_path, "configured")
    host = evil.url.removeprefix("http://")
    text = f"[lfs]\n\turl = http://user:secret@{host}/evil/info/lfs\n\tpushurl = http://{host}/\x1b[2J\n"
    repo = hub.repo("acme/tiny", {".lfsconfig": text, "a.bin": Lfs(2_000, seed=1)})
    events: list[Event] = []
    with opened(hub, pin_of(repo), tmp_path / "t", home.git, on_event=events.append) as checkout:
        fill(checkout, repo)
    assert status(home, tmp_path / "t") == ""
    (said,) = [event.text for event in events if isinstance(event, Warned)]
    assert host in said
    assert "secret" not in said
    assert said.isprintable()
    assert len(evil.log.entries) == 0
    home.environ["GIT_TERMINAL_PROMPT"] = "0"
    home.run("clone", "-q", f"{hub.url}/acme/tiny", "plain", cwd=tmp_path)
    assert len(evil.log.entries) > 0  # what plain git-lfs does


def test_no_lfsconfig_no_warning(hub: Hub, home: World, tmp_path: Path) -> None:
    repo = hub.repo(
        "acme/tiny", {".lfsconfig": "[lfs]\n\tfetchexclude = *\n", "sub/.lfsconfig": "[lfs]\n\turl = http://x\n"}
    )
    events: list[Event] = []
    with opened(hub, pin_of(repo), tmp_path / "t", home.git, on_event=events.append):
        pass
    assert not [event for event in events if isinstance(event, Warned)]


def test_submodules_are_never_followed(hub: Hub, evil: Hub, home: World, tmp_path: Path) -> None:
    inner = evil.repo("evil/inner", {"x": "x"})
    home.command("config", "--global", "submodule.recurse", "true", cwd=tmp_path)
    home.command("config", "--global", "fetch.recurseSubmodules", "true", cwd=tmp_path)
    repo = hub.repo("acme/tiny", {"ok": "ok"})

    def pin(more: str) -> Pin:
        modules = f'[submodule "m"]\n\tpath = m\n\turl = {evil.url}/evil/inner\n{more}'
        config = repo.git("hash-object", "-w", "--stdin", stdin=modules.encode()).decode().strip()
        rows = f"100644 blob {config}\t.gitmodules\n160000 commit {inner.commit}\tm\n"
        tree = repo.git("mktree", "--missing", stdin=rows.encode()).decode().strip()
        commit = repo.git("commit-tree", tree, "-m", "m").decode().strip()
        repo.set_ref("refs/heads/main", commit)
        return Pin(Repo("acme/tiny"), commit)

    dest = tmp_path / "t"
    with pytest.raises(BadTree), opened(hub, pin(f"\tupdate = !touch {tmp_path}/pwned\n"), tmp_path / "no", home.git):
        pass  # git's own fsck knows the trick with the command
    for _ in range(2):
        with opened(hub, pin(""), dest, home.git):
            pass
    assert os.listdir(dest / "m") == []
    assert not (dest / ".git/modules").exists()
    assert "submodule" not in (dest / ".git/config").read_text()
    assert len(evil.log.entries) == 0
    assert not (tmp_path / "pwned").exists()
    assert status(home, dest) == ""


@pytest.mark.parametrize("guarded", [True, False])
def test_the_environment_leads_nowhere_else(
    hub: Hub, tiny_repo: LivingRepo, home: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, guarded: bool
) -> None:
    other = tmp_path / "other"
    home.command("init", "-q", str(other), cwd=tmp_path)
    index, trace = tmp_path / "index", tmp_path / "trace"
    foreign = {
        "GIT_DIR": str(other / ".git"), "GIT_WORK_TREE": str(other), "GIT_INDEX_FILE": str(index),
        "GIT_NAMESPACE": "evil", "GIT_OBJECT_DIRECTORY": str(tmp_path / "objects"), "GIT_TRACE2_EVENT": str(trace),
        "GIT_TRACE_REDACT": "0",
        "GIT_CONFIG_PARAMETERS": "'core.bare'='true'",
    }  # fmt: skip
    Git(home.environ).run(["version"])  # GitPython asks for git's version when it is imported
    for name, value in foreign.items():
        monkeypatch.setenv(name, value)
    if not guarded:
        monkeypatch.setattr(running, "_KEPT", running._KEPT | set(foreign))
        monkeypatch.setattr(running, "_wrapping", lambda *_args: [])
    before = sorted(str(path) for path in other.rglob("*"))
    try:
        with opened(hub, pin_of(tiny_repo), tmp_path / "t", Git({**home.environ, **foreign})):
            pass
    except HfcloneError:
        assert not guarded
    untouched = sorted(str(path) for path in other.rglob("*")) == before
    assert (untouched and not any(path.exists() for path in (index, trace, tmp_path / "objects"))) is guarded


# --- URLs and secrets --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url", ["ext::sh -c echo% pwned% >%(OUT)", "file://%(REPO)", "%(REPO)", "--upload-pack=touch %(OUT)"]
)
def test_urls_that_would_run_or_read_something(
    tiny_repo: LivingRepo, home: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    out = tmp_path / "out"
    wanted = url.replace("%(OUT)", str(out)).replace("%(REPO)", str(tiny_repo.git_dir))
    repo = GitRepo(home.git, tmp_path / "r")
    repo.path.mkdir()
    repo.init("main")
    what = Fetch(refspecs=("refs/heads/main:refs/x/y",))
    with pytest.raises(GitFailed):
        fetch(repo, wanted, what)
    assert not out.exists()
    assert repo.refs("refs/x") == {}
    if url.startswith("--"):
        return  # it stands behind the name of a remote: no other counter-measure is needed
    free = GitRepo(Git(home.environ, protocols=("http", "https", "ext", "file")), repo.path)
    try:
        fetch(free, wanted, what)
    except GitFailed:
        pass  # echo is no git server
    assert out.exists() or free.refs("refs/x")


def test_a_url_with_a_secret_is_not_shown(
    hub: Hub, tiny_repo: LivingRepo, home: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dest = tmp_path / "t"
    home.command("clone", "-qn", f"{hub.url}/acme/tiny", str(dest), cwd=tmp_path)
    secret = f"{hub.url}/acme/tiny".replace("http://", "http://user:hf_SECRET@")
    home.command("remote", "set-url", "origin", secret, cwd=dest)
    with opened(hub, pin_of(tiny_repo), dest, home.git, origin=f"{hub.url}/acme/tiny"):
        pass
    assert "hf_SECRET" in (dest / ".git/config").read_text()  # it is the user's, and the same repo
    other = pin_of(tiny_repo)
    with pytest.raises(HfcloneError) as raised, opened(hub, other, dest, home.git, origin="https://huggingface.co/a/b"):
        pass
    assert "hf_SECRET" not in str(raised.value) + raised.value.hint
    monkeypatch.setattr(hfclone.checkout.opening, "_without_secrets", lambda url: url)
    with pytest.raises(HfcloneError) as raised, opened(hub, other, dest, home.git, origin="https://huggingface.co/a/b"):
        pass
    assert "hf_SECRET" in str(raised.value)


# --- the result --------------------------------------------------------------------------------


@pytest.mark.parametrize("filtered", [True, False])
def test_an_ordinary_shallow_repo_that_git_can_deepen(
    hub: Hub, tiny_repo: LivingRepo, home: World, tmp_path: Path, filtered: bool
) -> None:
    for number in range(3):
        tiny_repo.add_commit({"config.json": f"{number}\n"}, branch="main", message=f"c{number}")
    hub.manners.allow_filter = filtered
    dest, url = tmp_path / "t", f"{hub.url}/acme/tiny"
    with opened(hub, pin_of(tiny_repo), dest, home.git, origin=url) as checkout:
        fill(checkout, tiny_repo)
    assert home.command("fsck", "--full", "--strict", cwd=dest) == ""
    assert home.command("config", "core.repositoryformatversion", cwd=dest).strip() == "0"
    config = (dest / ".git/config").read_text()
    assert "promisor" not in config
    assert "partial" not in config
    assert not list((dest / ".git").rglob("*.promisor"))
    assert home.command("rev-parse", "--is-shallow-repository", cwd=dest).strip() == "true"
    home.command("fetch", "-q", "--unshallow", cwd=dest)
    assert home.command("rev-parse", "--is-shallow-repository", cwd=dest).strip() == "false"
    assert home.command("rev-list", "--count", "HEAD", cwd=dest).strip() == "4"
    assert home.command("fsck", "--full", "--strict", cwd=dest) == ""
    home.command("gc", "-q", cwd=dest)
    assert status(home, dest) == ""
    asked = len(hub.log.entries)
    home.command("log", "-p", "--stat", cwd=dest)  # nothing is fetched behind the user's back
    assert len(hub.log.entries) == asked
    tiny_repo.add_commit({"config.json": "later\n"}, branch="main", message="later")
    home.command("pull", "-q", "--ff-only", cwd=dest)
    assert (dest / "config.json").read_text() == "later\n"
    assert status(home, dest) == ""


def test_nothing_is_left_running(hub: Hub, tiny_repo: LivingRepo, home: World, tmp_path: Path) -> None:
    with opened(hub, pin_of(tiny_repo), tmp_path / "t", home.git):
        pass
    needle = os.fsencode(tmp_path / "t")
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, check=False).stdout
    assert needle not in listed
