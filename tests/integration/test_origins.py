"""Clones that git made in any of its ways: where ``.git`` leads, which remote they follow, where objects come from."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.e2e.command import Command, git, placed, tree_of
from tests.hub import Hub, Lfs, LivingRepo
from tests.integration.test_checkout import mounted

SKIP = {"GIT_LFS_SKIP_SMUDGE": "1"}
OBJECTS = {"model.safetensors", "sub/dir/w.bin", "sub/same.bin"}
NO_HUB = {"HF_ENDPOINT": "http://127.0.0.1:9"}


@pytest.fixture
def host(hub: Hub, tiny_repo: LivingRepo) -> str:
    """The URL of a git host with LFS that is no hub."""
    return hub.mirror("host").url


def clone(hfclone: Command, url: str, folder: Path, *more: str) -> Path:
    hfclone.git(folder, "clone", "-q", *more, url, "plain", env=SKIP)
    return folder / "plain"


def _separate(hfclone: Command, url: str, folder: Path) -> Path:
    return clone(hfclone, url, folder, f"--separate-git-dir={folder / 'elsewhere'}")


def _submodule(hfclone: Command, url: str, folder: Path) -> Path:
    git(folder, "init", "-q", "outer")
    hfclone.git(folder / "outer", "submodule", "-q", "add", url, "inner", env=SKIP)
    return folder / "outer/inner"


def _worktree(hfclone: Command, url: str, folder: Path) -> Path:
    hfclone.git(clone(hfclone, url, folder), "worktree", "add", "-q", folder / "linked", "-b", "linked", env=SKIP)
    return folder / "linked"


def _link(hfclone: Command, url: str, folder: Path) -> Path:
    dest = clone(hfclone, url, folder)
    (dest / ".git").rename(folder / "moved.git")
    (dest / ".git").symlink_to(folder / "moved.git")
    return dest


PLACES = {"separate git dir": _separate, "submodule": _submodule, "linked work tree": _worktree, "link": _link}


@pytest.mark.parametrize("where", PLACES)
def test_wherever_git_keeps_the_repo(
    hub: Hub, host: str, hfclone: Command, tmp_path: Path, where: str, tiny_repo: LivingRepo
) -> None:
    """Fetch, verify with a repair, status, export, import and, of the hub, pull."""
    dest = PLACES[where](hfclone, f"{hub.url}/acme/tiny", tmp_path)
    assert hfclone("fetch", dest, "--exclude", "model*").code == 0
    assert placed(dest) == OBJECTS - {"model.safetensors"}
    assert '"pointer":1' in hfclone("status", dest, "--json").stdout
    assert "model.safetensors" in hfclone("export", dest, "--format", "urls").stdout
    whole = tmp_path / "whole"
    assert hfclone("acme/tiny", whole).code == 0
    assert hfclone("import", whole, "--into", dest).code == 0
    assert placed(dest) == OBJECTS
    assert hfclone.git(dest, "status", "--porcelain") == ""
    (dest / "sub/dir/w.bin").unlink()
    assert hfclone("verify", dest).code == 5
    assert hfclone("verify", dest, "--repair").code == 0
    commit = tiny_repo.add_commit({"config.json": "theirs\n"})
    if where in ("separate git dir", "link"):
        assert hfclone("pull", dest).code == 0
        assert git(dest, "rev-parse", "HEAD") == commit
    assert hfclone.git(dest, "status", "--porcelain") == ""


def test_a_git_dir_on_another_disk(tiny_repo: LivingRepo, hub: Hub, hfclone: Command, tmp_path: Path) -> None:
    """What a move takes out of the tree waits on the tree's own disk; it comes back if the move fails."""
    (tmp_path / "disk").mkdir()
    with mounted(tmp_path / "disk", "2m"):
        dest = clone(hfclone, f"{hub.url}/acme/tiny", tmp_path, f"--separate-git-dir={tmp_path / 'disk/git'}")
        assert hfclone("fetch", dest).code == 0
        before, sent = tree_of(dest), hub.log.bytes_sent(kind="cdn")
        tiny_repo.add_commit({"config.json": "theirs\n", "model.safetensors": None, "renamed/m": Lfs(300_000, seed=1)})
        lock = tmp_path / "disk/git/refs/heads/main.lock"
        lock.touch()
        done = hfclone("pull", dest)
        assert (done.code, "main.lock" in done.stderr) == (6, True), done.stderr
        assert tree_of(dest) == before
        assert git(dest, "status", "--porcelain", "--ignored") == ""
        lock.unlink()
        assert hfclone("pull", dest).code == 0
        assert git(dest, "status", "--porcelain", "--ignored") == ""
        assert hub.log.bytes_sent(kind="cdn") == sent


def test_two_work_trees_of_one_repo(hub: Hub, tiny_repo: LivingRepo, hfclone: Command, tmp_path: Path) -> None:
    """Each is complete, and clean; what one has, the other takes."""
    dest = tmp_path / "tiny"
    assert hfclone("acme/tiny", dest).code == 0
    hfclone.git(dest, "worktree", "add", "-q", "--detach", tmp_path / "second", env=SKIP)
    sent = hub.log.bytes_sent(kind="cdn")
    done = hfclone("fetch", tmp_path / "second", "--reuse", dest)
    assert done.code == 0, done.stderr
    assert placed(tmp_path / "second") == OBJECTS
    assert hub.log.bytes_sent(kind="cdn") == sent
    for place in (dest, tmp_path / "second"):
        assert hfclone.git(place, "status", "--porcelain") == ""
        assert hfclone("verify", place).code == 0


def test_a_branch_of_a_work_tree_that_is_gone(tiny_repo: LivingRepo, hfclone: Command, tmp_path: Path) -> None:
    """Git keeps the branch for it, perhaps on a disk that is not mounted; how to end that is said."""
    dest, second = tmp_path / "tiny", tmp_path / "second"
    assert hfclone("acme/tiny", dest).code == 0
    git(dest, "checkout", "-q", "-b", "mine")
    hfclone.git(dest, "worktree", "add", "-q", second, "main", env=SKIP)
    shutil.rmtree(second)
    done = hfclone("acme/tiny", dest)
    assert (done.code, str(second) in done.error, "worktree prune" in done.stderr) == (6, True, True), done.stderr
    git(dest, "worktree", "prune")
    assert hfclone("acme/tiny", dest).code == 0
    assert git(dest, "branch", "--show-current") == "main"


def test_the_remote_that_the_branch_follows(
    hub: Hub, host: str, hfclone: Command, tmp_path: Path, tiny_repo: LivingRepo
) -> None:
    """One called ``upstream`` alone; and of several the branch's."""
    dest = clone(hfclone, f"{host}/acme/tiny", tmp_path, "--origin=upstream")
    assert hfclone("fetch", dest, env=NO_HUB).code == 0
    assert placed(dest) == OBJECTS
    assert f"origin    {host}/acme/tiny" in hfclone("status", dest).stdout
    git(dest, "remote", "add", "origin", "http://127.0.0.1:9/fork/tiny")
    (dest / "model.safetensors").unlink()
    assert hfclone("fetch", dest, env=NO_HUB).code == 0
    assert git(dest, "config", "remote.origin.url") == "http://127.0.0.1:9/fork/tiny"


@pytest.mark.parametrize("more", [(), ("--depth=1",)])
def test_pull_by_another_remotes_name(
    hub: Hub, tiny_repo: LivingRepo, hfclone: Command, tmp_path: Path, more: tuple[str, ...]
) -> None:
    dest = clone(hfclone, f"{hub.url}/acme/tiny", tmp_path, "--origin=upstream", *more)
    commit = tiny_repo.add_commit({"config.json": "theirs\n"})
    done = hfclone("pull", dest)
    assert done.code == 0, done.stderr
    assert git(dest, "rev-parse", "HEAD", "upstream/main").split() == [commit, commit]
    assert git(dest, "config", "branch.main.remote") == "upstream"
    assert {ref.split("/")[2] for ref in git(dest, "for-each-ref", "--format=%(refname)", "refs/remotes").split()} == {
        "upstream"
    }
    assert git(dest, "remote") == "upstream"
    assert hfclone("acme/tiny", dest).code == 0


def test_of_several_urls_git_fetches_from_the_first(host: str, hfclone: Command, tmp_path: Path) -> None:
    """The others are pushed to (``git remote set-url --add``)."""
    dest = clone(hfclone, f"{host}/acme/tiny", tmp_path)
    git(dest, "remote", "set-url", "--add", "origin", "http://127.0.0.1:9/backup/tiny")
    before = git(dest, "config", "--get-all", "remote.origin.url")
    assert hfclone("fetch", dest, env=NO_HUB).code == 0
    assert placed(dest) == OBJECTS
    assert git(dest, "config", "--get-all", "remote.origin.url") == before


def test_no_login_of_an_origin_is_shown(host: str, hfclone: Command, tmp_path: Path) -> None:
    dest = clone(hfclone, f"{host}/acme/tiny", tmp_path)
    for url in ("https://me:hunter2@git.example/a/b", "ftp://me:hunter2@git.example/a/b"):
        git(dest, "remote", "set-url", "origin", url)
        done = [hfclone(*words, env=NO_HUB) for words in (("status", dest), ("status", dest, "--json"), ("pull", dest))]
        assert [outcome.code for outcome in done] == [0, 0, 6]
        assert all("git.example" in outcome.stdout + outcome.stderr for outcome in done)
        assert not [outcome for outcome in done if "hunter2" in outcome.stdout + outcome.stderr]


INSTEAD = {
    "an alias": ("my:acme/tiny", "my:"),
    "ssh by http": ("git@git.example:acme/tiny.git", "git@git.example:"),
    "a company's mirror": ("https://huggingface.co/acme/tiny", "https://huggingface.co/"),
}


@pytest.mark.parametrize("how", INSTEAD)
def test_where_git_is_told_to_go(hub: Hub, host: str, hfclone: Command, tmp_path: Path, how: str) -> None:
    """``insteadOf`` holds for the objects as it holds for git; ``pushInsteadOf`` does not matter."""
    url, base = INSTEAD[how]
    hfclone.git(tmp_path, "config", "--global", f"url.{host}/.insteadOf", base)
    hfclone.git(tmp_path, "config", "--global", "url.http://127.0.0.1:9/.pushInsteadOf", base)
    dest = clone(hfclone, url, tmp_path)
    before = len(hub.log.entries)
    done = hfclone("fetch", dest, env={"HF_ENDPOINT": ""})
    assert done.code == 0, done.stderr
    assert placed(dest) == OBJECTS
    assert {entry.listener for entry in hub.log.entries[before:]} == {"host", "cdn"}
    assert git(dest, "config", "remote.origin.url") == url
    assert f"origin    {host}/acme/tiny" in hfclone("status", dest).stdout


def test_an_alias_in_lfs_url(hub: Hub, host: str, hfclone: Command, tmp_path: Path) -> None:
    store = hub.mirror("store")
    dest = clone(hfclone, f"{host}/acme/tiny", tmp_path)
    git(dest, "config", f"url.{store.url}/.insteadOf", "big:")
    git(dest, "config", "lfs.url", "big:acme/tiny.git/info/lfs")
    assert hfclone("fetch", dest, env=NO_HUB).code == 0
    assert {entry.listener for entry in hub.log.entries if entry.kind == "batch"} == {"store"}


@pytest.mark.parametrize("form", ["path", "file URL", "bare repo", "no UTF-8"])
def test_a_folder_of_this_machine(hub: Hub, tiny_repo: LivingRepo, hfclone: Command, tmp_path: Path, form: str) -> None:
    """Its objects are taken from there: from its files, or from git-lfs's store in it. Nobody is asked."""
    source = tmp_path / ("source\udcff" if form == "no UTF-8" else "source")
    if form == "bare repo":
        hfclone.git(tmp_path, "clone", "-q", "--bare", f"{hub.url}/acme/tiny", "source", env=SKIP)
        hfclone.git(source, "lfs", "fetch", f"{hub.url}/acme/tiny", "main")
    else:
        assert hfclone("acme/tiny", source).code == 0
    dest = clone(hfclone, source.as_uri() if form == "file URL" else str(source), tmp_path)
    before = len(hub.log.entries)
    done = hfclone("fetch", dest)
    assert done.code == 0, done.stderr
    assert placed(dest) == OBJECTS
    assert hfclone.git(dest, "status", "--porcelain") == ""
    assert len(hub.log.entries) == before
    (dest / "model.safetensors").unlink()
    assert hfclone("verify", dest, "--repair").code == 0


def test_a_folder_that_has_not_all(hub: Hub, tiny_repo: LivingRepo, hfclone: Command, tmp_path: Path) -> None:
    """What is there is taken, the rest is named, at once; ``import`` brings it."""
    source = tmp_path / "source"
    assert hfclone("acme/tiny", source, "--exclude", "model*").code == 0
    dest = clone(hfclone, str(source), tmp_path)
    done = hfclone("fetch", dest)
    assert (done.code, f"is not in {source}" in done.error) == (3, True)
    assert f"hfclone fetch {source}" in done.hint
    assert placed(dest) == OBJECTS - {"model.safetensors"}
    whole = tmp_path / "whole"
    assert hfclone("acme/tiny", whole).code == 0
    assert hfclone("import", whole / "model.safetensors", "--into", dest).code == 0
    assert placed(dest) == OBJECTS
    assert hfclone("export", dest, "--format", "urls").code == 6


def test_import_needs_no_host(hub: Hub, tiny_repo: LivingRepo, hfclone: Command, tmp_path: Path) -> None:
    whole, dest = tmp_path / "whole", clone(hfclone, f"{hub.url}/acme/tiny", tmp_path)
    assert hfclone("acme/tiny", whole).code == 0
    git(dest, "remote", "remove", "origin")
    assert hfclone("import", whole, "--into", dest).code == 0
    assert placed(dest) == OBJECTS
    (dest / "model.safetensors").unlink()
    done = hfclone("fetch", dest)
    assert (done.code, "comes from nowhere" in done.error) == (6, True)
    assert "hfclone import" in done.hint


def test_sha256_ids_are_refused_before_anything_is_touched(
    hub: Hub, tiny_repo: LivingRepo, hfclone: Command, tmp_path: Path
) -> None:
    dest = tmp_path / "other"
    git(tmp_path, "init", "-q", "--object-format=sha256", str(dest))
    (dest / "a.txt").write_text("a")
    git(dest, "add", ".")
    git(dest, "commit", "-q", "-m", "a")
    git(dest, "remote", "add", "origin", f"{hub.url}/acme/tiny")
    before = tree_of(dest)
    for words in (("fetch", dest), ("verify", dest), ("status", dest), ("pull", dest), ("acme/tiny", dest)):
        done = hfclone(*words)
        assert (done.code, "sha256" in done.error) == (6, True), done.stderr
        assert "git lfs pull" in done.hint
        assert tree_of(dest) == before


def test_a_partial_clone_is_left_as_it_is(hub: Hub, tiny_repo: LivingRepo, hfclone: Command, tmp_path: Path) -> None:
    """Without its notes on packs git would take what it has not fetched yet for lost."""
    dest = clone(hfclone, f"{hub.url}/acme/tiny", tmp_path, "--filter=blob:none", "--no-checkout")
    tiny_repo.add_commit({"config.json": "theirs\n"})
    before = tree_of(dest / ".git")
    for words in (("pull", dest), ("fetch", dest), ("acme/tiny", dest)):
        done = hfclone(*words)
        assert (done.code, "partial clone" in done.error) == (6, True), done.stderr
    assert {name: data for name, data in tree_of(dest / ".git").items() if "hfclone" not in str(name)} == before


def test_an_empty_repo(hub: Hub, hfclone: Command, tmp_path: Path) -> None:
    """It is said to be empty; after the first commit the same commands just work."""
    repo = LivingRepo(tmp_path / "living")
    hub.add("acme/new", repo)
    dest, ours = clone(hfclone, f"{hub.url}/acme/new", tmp_path), tmp_path / "ours"
    for words in (("fetch", dest), ("pull", dest), ("verify", dest)):
        done = hfclone(*words)
        assert (done.code, "has no commit yet" in done.error) == (6, True), done.stderr
    for words in (("acme/new", ours), ("acme/new", dest), ("ls", "acme/new@main")):
        done = hfclone(*words)
        assert (done.code, "acme/new is empty" in done.error) == (3, True), done.stderr
        assert "first commit" in done.hint
    assert not os.path.lexists(ours)
    commit = repo.add_commit({"README.md": "new\n"})
    for place in (ours, dest):
        assert hfclone("acme/new", place).code == 0
        assert git(place, "rev-parse", "HEAD") == commit
        assert git(place, "status", "--porcelain") == ""
