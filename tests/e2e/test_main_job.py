"""The main job: from what people paste to a verified git checkout."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import struct
import subprocess
import sys
import termios
from fcntl import ioctl
from pathlib import Path

import pytest

from tests.e2e.command import Command, assert_checkout, files_with, git, placed, sha256
from tests.hub import Hub, Lfs, LivingRepo, streams
from tests.hub.fixtures import make_tiny
from tests.hub.mirror import files_only, olah_proxy, reverse_proxy

LARGE = {"model.safetensors", "sub/dir/w.bin", "sub/same.bin"}
NAMES = {"model": "model.safetensors"}


def small(hub: Hub, repo_id: str, repo_type: str = "model", seed: int = 5) -> LivingRepo:
    """A repo with one small and one large file."""
    files = {"config.json": "{}\n", "model.safetensors": Lfs(20_000, seed=seed)}
    return hub.repo(repo_id, files, repo_type=repo_type)  # type: ignore[arg-type]  # a table of texts


# --- forms of REPO -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "path"),
    [
        (["gpt2"], "gpt2"),
        (["models/gpt2"], "gpt2"),
        (["acme/one"], "acme/one"),
        (["acme/one.git"], "acme/one"),
        (["acme/one@v1"], "acme/one"),
        (["acme/one", "--revision", "v1"], "acme/one"),
        (["acme/one@v1", "--revision", "v1"], "acme/one"),
        (["datasets/acme/data"], "datasets/acme/data"),
        (["acme/data", "--repo-type", "dataset"], "datasets/acme/data"),
        (["datasets/squad"], "datasets/squad"),
        (["spaces/acme/app"], "spaces/acme/app"),
        (["hf://acme/one"], "acme/one"),
        (["hf://acme/one@v1"], "acme/one"),
        (["hf://datasets/acme/data"], "datasets/acme/data"),
        (["{hub}/acme/one"], "acme/one"),
        (["{hub}/acme/one/"], "acme/one"),
        (["{hub}/acme/one.git"], "acme/one"),
        (["{hub}/gpt2/tree/main"], "gpt2"),
        (["{hub}/acme/one/tree/v1"], "acme/one"),
        (["{hub}/acme/one/discussions"], "acme/one"),
        (["{hub}/datasets/acme/data/tree/main?show=all#top"], "datasets/acme/data"),
        (["{mirror}/acme/one/tree/v1"], "acme/one"),
        (["https://huggingface.co/acme/one"], "acme/one"),
        (["huggingface.co/acme/one"], "acme/one"),
        (["clone", "acme/one"], "acme/one"),
        (["--history", "shallow", "clone", "acme/one"], "acme/one"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_forms_of_repo(hub: Hub, hfclone: Command, given: list[str], path: str) -> None:
    """All that people paste, into the directory that git would make."""
    mirror = hub.mirror("mirror", reverse_proxy())
    prefix, _, repo_id = path.rpartition("/") if path.count("/") == 2 or path == "datasets/squad" else ("", "", path)
    if path.count("/") == 2:
        kind, repo_id = path.split("/", 1)
    else:
        kind = prefix or "models"
    repo = small(hub, repo_id, kind.removesuffix("s"))
    repo.tag("v1")
    done = hfclone(*(word.format(hub=hub.url, mirror=mirror.url) for word in given))
    assert (done.code, done.stdout) == (0, ""), done.stderr
    dest = hfclone.cwd / path.rpartition("/")[2]
    assert_checkout(dest, repo.commit, f"{hub.url}/{path}")
    assert placed(dest) == {"model.safetensors"}
    assert repo.commit in done.stderr


def test_the_directory_named(hub: Hub, hfclone: Command) -> None:
    """DIR, with parents that are not there yet, absolute or not; also the present directory if it is empty."""
    repo = small(hub, "acme/one")
    for dest in ("a/b/c", str(hfclone.base / "abs"), "with space", "-dash"):
        words = ["acme/one", "--", dest] if dest.startswith("-") else ["acme/one", dest]
        done = hfclone(*words)
        assert done.code == 0, done.stderr
        assert_checkout(hfclone.cwd / dest, repo.commit, f"{hub.url}/acme/one")
    empty = hfclone.base / "cwd2"
    empty.mkdir()
    hfclone.cwd = empty
    assert hfclone("acme/one", ".").code == 0
    assert_checkout(empty, repo.commit, f"{hub.url}/acme/one")


# --- revisions ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("revision", "ref", "branch"),
    [
        (None, "refs/heads/main", "main"),
        ("main", "refs/heads/main", "main"),
        ("v1.0", "refs/tags/v1.0", None),
        ("annotated", "refs/tags/annotated", None),
        ("refs/pr/1", "refs/pr/1", None),
        ("feat/slash", "refs/heads/feat/slash", "feat/slash"),
        ("full", "refs/heads/feat/slash", None),
        ("short", "refs/heads/feat/slash", None),
        ("old", "refs/tags/v1.0", None),
    ],
)
def test_revisions(hub: Hub, hfclone: Command, revision: str | None, ref: str, branch: str | None) -> None:
    """Each becomes a commit first; HEAD is on the branch that was named, else detached."""
    repo = make_tiny(hub)
    repo.tag("annotated", message="words")
    if revision == "old":
        repo.add_commit({"later.txt": "later\n"})
    commit = repo.commit_of(ref) or ""
    asked = {"full": commit, "old": commit, "short": commit[:9]}.get(revision or "", revision)
    done = hfclone("acme/tiny", "x", *(("--revision", asked) if asked else ()), "--progress", "json")
    assert done.code == 0, done.stderr
    dest = hfclone.cwd / "x"
    assert_checkout(dest, commit, f"{hub.url}/acme/tiny")
    assert done.event("pinned")["commit"] == done.event("report")["commit"] == commit
    names = [event["event"] for event in done.events]
    assert names.index("pinned") < names.index("plan") < names.index("started")
    head = subprocess.run(["git", "symbolic-ref", "-q", "HEAD"], cwd=dest, capture_output=True, text=True, check=False)
    assert head.stdout.strip() == (f"refs/heads/{branch}" if branch else "")
    if branch:
        assert git(dest, "rev-parse", "--abbrev-ref", "@{upstream}") == f"origin/{branch}"
        assert "up to date" in git(dest, "status")
    if asked == commit:
        assert hub.log.of(kind="api") == (), "a full sha needs no API call"


def test_a_full_sha_of_the_default_branch_asks_no_api(hub: Hub, tiny_repo: LivingRepo, hfclone: Command) -> None:
    """Not for the branch, either; in any spelling of REPO."""
    for at, words in enumerate((["acme/tiny@{}"], [hub.url + "/acme/tiny/tree/{}"], ["acme/tiny", "--revision", "{}"])):
        repo, *options = (word.format(tiny_repo.commit) for word in words)
        done = hfclone(repo, f"x{at}", *options)
        assert done.code == 0, done.stderr
        assert "(as given)" in done.stderr
    assert hub.log.of(kind="api") == ()


def test_an_ambiguous_short_sha(hub: Hub, hfclone: Command) -> None:
    """Its candidates are named; nothing is made."""
    repo = small(hub, "acme/one")
    seen: dict[str, str] = {}
    for number in range(2000):
        made = repo.git("commit-tree", "-m", str(number), "refs/heads/main^{tree}", date=1_700_000_000 + number)
        commit = made.decode().strip()
        other = seen.setdefault(commit[:4], commit)
        if other != commit:
            break
    repo.set_ref("refs/heads/a", other)
    repo.set_ref("refs/heads/b", commit)
    done = hfclone(f"acme/one@{commit[:4]}")
    assert done.code == 3, done.stderr
    assert other in done.error
    assert commit in done.error
    assert "more digits" in done.hint
    assert not (hfclone.cwd / "one").exists()


def test_a_branch_named_like_a_short_sha(hub: Hub, hfclone: Command) -> None:
    """The hub's word comes first."""
    repo = small(hub, "acme/one")
    commit = repo.add_commit({"x": "x\n"}, branch="beef")
    done = hfclone("acme/one@beef")
    assert done.code == 0, done.stderr
    assert_checkout(hfclone.cwd / "one", commit, f"{hub.url}/acme/one")


def test_a_renamed_repo(hub: Hub, hfclone: Command) -> None:
    """The new name is told and used."""
    repo = small(hub, "acme/old")
    hub.site.rename("acme/old", "acme/new")
    done = hfclone("acme/old")
    assert done.code == 0, done.stderr
    assert "acme/old is called acme/new now" in done.stderr
    assert_checkout(hfclone.cwd / "old", repo.commit, f"{hub.url}/acme/new")
    again = hfclone("acme/old")
    assert again.code == 0, again.stderr


# --- git ---------------------------------------------------------------------------------------


def test_everything_of_a_commit(hub: Hub, tiny_repo: LivingRepo, hfclone: Command) -> None:
    """Modes, links, odd names, empty files; no mirror and no token under .git; the past can come later."""
    tiny_repo.add_commit({"n.txt": "n\n"})
    odd = b"sub/\xff\xfe.txt"
    tiny_repo.add_commit({odd: b"bytes\n", b"sub/\xff.bin": Lfs(5000, seed=9)})
    mirror = hub.mirror("mirror", reverse_proxy())
    hub.tokens.add("hf_secret")
    done = hfclone("acme/tiny", "--mirror", mirror.url, env={"HF_TOKEN": "hf_secret"})
    assert (done.code, done.stdout) == (0, ""), done.stderr
    dest = hfclone.cwd / "tiny"
    assert_checkout(dest, tiny_repo.commit, f"{hub.url}/acme/tiny")
    assert (dest / os.fsdecode(odd)).read_bytes() == b"bytes\n"
    assert sha256(dest / os.fsdecode(b"sub/\xff.bin")) == tiny_repo.put(Lfs(5000, seed=9))
    assert os.access(dest / "run.sh", os.X_OK)
    assert os.readlink(dest / "link.json") == "config.json"
    assert (dest / "empty.bin").read_bytes() == b""
    assert files_with([mirror.url.partition("//")[2], "hf_secret", "hfclone-fetch"], dest / ".git") == []
    assert hub.log.of(listener="mirror-cdn", kind="cdn"), "the mirror was used"
    assert git(dest, "rev-list", "--count", "HEAD") == "1"
    git(dest, "fetch", "--quiet", "--unshallow")
    assert git(dest, "rev-list", "--count", "HEAD") == "3"
    assert git(dest, "fsck", "--full", "--strict", "--no-dangling") == ""
    assert git(dest, "status", "--porcelain") == ""


def test_full_history(hub: Hub, tiny_repo: LivingRepo, hfclone: Command) -> None:
    """All branches and tags; and a shallow checkout becomes a full one."""
    for number in range(3):
        tiny_repo.add_commit({"n.txt": f"{number}\n"})
    for before in ((), ("--history", "shallow")):
        if before:
            assert hfclone("acme/tiny", f"x{before}", *before).code == 0
        done = hfclone("acme/tiny", f"x{before}", "--history", "full")
        assert done.code == 0, done.stderr
        dest = hfclone.cwd / f"x{before}"
        assert_checkout(dest, tiny_repo.commit, f"{hub.url}/acme/tiny")
        assert git(dest, "rev-list", "--count", "HEAD") == "4"
        assert not (dest / ".git" / "shallow").exists()
        assert git(dest, "rev-parse", "origin/feat/slash") == tiny_repo.commit_of("refs/heads/feat/slash")
        assert git(dest, "rev-parse", "v1.0^{commit}") == tiny_repo.commit_of("refs/tags/v1.0")


def links_without(folder: Path, *left_out: str) -> str:
    """A PATH on which everything is but some programs."""
    folder.mkdir()
    for place in os.environ["PATH"].split(":"):
        for program in sorted(Path(place).iterdir()) if Path(place).is_dir() else ():
            if program.name not in left_out and not (folder / program.name).is_symlink():
                (folder / program.name).symlink_to(program)
    return str(folder)


@pytest.mark.parametrize("world", ["configured", "unconfigured", "absent"])
def test_git_lfs_worlds(hub: Hub, tiny_repo: LivingRepo, hfclone: Command, tmp_path: Path, world: str) -> None:
    """With git-lfs, with one that nobody configured, and without: clean for the git of that world."""
    if world != "absent" and shutil.which("git-lfs") is None:
        pytest.skip("git-lfs is not installed")
    if world == "absent":
        hfclone.environ["PATH"] = links_without(tmp_path / "bin", "git-lfs")
    if world == "configured":
        subprocess.run(["git", "lfs", "install", "--skip-repo"], env=hfclone.environ, check=True, capture_output=True)
        assert "filter" in (hfclone.home / ".gitconfig").read_text()
    done = hfclone("acme/tiny")
    assert done.code == 0, done.stderr
    dest = hfclone.cwd / "tiny"
    assert_checkout(dest, tiny_repo.commit, f"{hub.url}/acme/tiny")
    assert placed(dest) == LARGE
    assert hub.log.bytes_sent(kind="cdn") == 370_000
    assert hfclone.git(dest, "status", "--porcelain") == ""
    (dest / "model.safetensors").touch()
    assert hfclone.git(dest, "status", "--porcelain") == "" or world != "configured"
    if world == "configured":
        assert "*" in hfclone.git(dest, "lfs", "ls-files", "--long")
        assert hfclone.git(dest, "diff", "HEAD") == ""


def test_a_users_git_config(hub: Hub, tiny_repo: LivingRepo, hfclone: Command, tmp_path: Path) -> None:
    """Filters, line ends, hooks, templates and a foreign environment change nothing and run nothing."""
    ran = tmp_path / "ran"
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    (tmp_path / "template" / "hooks").mkdir(parents=True)
    names = ("post-checkout", "post-index-change", "reference-transaction", "pre-auto-gc", "post-merge")
    for folder in (hooks, tmp_path / "template" / "hooks"):
        for name in names:
            (folder / name).write_text(f"#!/bin/sh\ntouch {ran}\n")
            (folder / name).chmod(0o755)
    (hfclone.home / ".gitattributes").write_text("* text eol=crlf\n*.txt filter=lfs\n")
    (hfclone.home / ".gitconfig").write_text(
        f"[core]\n\tautocrlf = true\n\teol = crlf\n\thooksPath = {hooks}\n\tfsmonitor = touch {ran}\n"
        f"\tattributesFile = {hfclone.home}/.gitattributes\n\tfileMode = false\n"
        f'[filter "lfs"]\n\tsmudge = touch {ran}; false\n\tprocess = touch {ran}; false\n'
        f"\tclean = touch {ran}; false\n\trequired = true\n"
        f"[init]\n\tdefaultBranch = trunk\n\ttemplateDir = {tmp_path}/template\n"
        "[fetch]\n\tprune = true\n\trecurseSubmodules = true\n[gc]\n\tauto = 1\n"
        "[clone]\n\tdefaultRemoteName = upstream\n[status]\n\tshowUntrackedFiles = no\n"
    )
    foreign = tmp_path / "foreign"
    git(tmp_path, "init", "--quiet", str(foreign))
    bad = {
        "GIT_DIR": str(foreign / ".git"),
        "GIT_WORK_TREE": str(foreign),
        "GIT_INDEX_FILE": str(tmp_path / "index"),
        "GIT_OBJECT_DIRECTORY": str(tmp_path / "objects"),
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "core.bare",
        "GIT_CONFIG_VALUE_0": "true",
        "GIT_ASKPASS": f"touch {ran}",
    }
    done = hfclone("acme/tiny", env=bad)
    assert done.code == 0, done.stderr
    dest = hfclone.cwd / "tiny"
    assert not ran.exists(), "something of the user's was run"
    assert not (tmp_path / "objects").exists()
    assert (dest / "config.json").read_bytes() == b'{"a": 1}\n'
    assert_checkout(dest, tiny_repo.commit, f"{hub.url}/acme/tiny")
    assert git(dest, "symbolic-ref", "HEAD") == "refs/heads/main"
    assert not (dest / ".git" / "hooks").exists() or not list((dest / ".git" / "hooks").iterdir())
    assert placed(dest) == LARGE


def test_instead_of(hub: Hub, tiny_repo: LivingRepo, hfclone: Command) -> None:
    """A user's ``insteadOf`` that sends the hub elsewhere: git's, not ours; bytes and origin stay right."""
    mirror = hub.mirror("mirror", reverse_proxy())
    (hfclone.home / ".gitconfig").write_text(f'[url "{mirror.url}/"]\n\tinsteadOf = {hub.url}/\n')
    done = hfclone("acme/tiny")
    assert done.code == 0, done.stderr
    assert_checkout(hfclone.cwd / "tiny", tiny_repo.commit, f"{hub.url}/acme/tiny")


@pytest.mark.parametrize("lacking", ["filter", "raw sha", "protocol v2", "all three"])
@pytest.mark.parametrize("revision", ["main", "refs/pr/1", "old"])
def test_poor_git_servers(hub: Hub, tiny_repo: LivingRepo, hfclone: Command, lacking: str, revision: str) -> None:
    """Without filters, without raw shas, with protocol v0: by a ref, or by deepening down to an old commit."""
    hub.manners.allow_filter = lacking not in ("filter", "all three")
    hub.manners.allow_any_sha = lacking not in ("raw sha", "all three")
    hub.manners.protocol_v2 = lacking not in ("protocol v2", "all three")
    commit = tiny_repo.commit
    if revision == "old":
        for number in range(4):
            tiny_repo.add_commit({"n.txt": f"{number}\n"})
        tiny_repo.git("tag", "-d", "v1.0")
    else:
        commit = tiny_repo.commit_of("refs/pr/1" if revision == "refs/pr/1" else "refs/heads/main") or ""
    done = hfclone("acme/tiny", "--revision", commit if revision == "old" else revision)
    assert done.code == 0, done.stderr
    assert_checkout(hfclone.cwd / "tiny", commit, f"{hub.url}/acme/tiny")
    assert placed(hfclone.cwd / "tiny") == LARGE
    assert git(hfclone.cwd / "tiny", "for-each-ref", "refs/hfclone/via") == ""


# --- which objects -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "chosen"),
    [
        (["--include", "*.safetensors"], {"model.safetensors"}),
        (["--include", "sub/*"], {"sub/dir/w.bin", "sub/same.bin"}),
        (["--include", "sub/"], {"sub/dir/w.bin", "sub/same.bin"}),
        (["--include", "*.safetensors", "--include", "sub/same.bin"], {"model.safetensors", "sub/same.bin"}),
        (["--exclude", "*.safetensors"], {"sub/dir/w.bin", "sub/same.bin"}),
        (["--include", "*.bin", "--exclude", "sub/dir/*"], {"sub/same.bin"}),
        (["--include", "*.nothing"], set()),
        (["--exclude", "*"], set()),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_chosen_objects(hub: Hub, tiny_repo: LivingRepo, hfclone: Command, words: list[str], chosen: set[str]) -> None:
    """The others stay pointers, git stays clean, small files are all there, and a later run completes it."""
    done = hfclone("acme/tiny", *words)
    assert done.code == 0, done.stderr
    dest = hfclone.cwd / "tiny"
    assert_checkout(dest, tiny_repo.commit, f"{hub.url}/acme/tiny")
    assert placed(dest) == chosen
    first = hub.log.bytes_sent(kind="cdn")
    again = hfclone("acme/tiny", "--progress", "json")
    assert again.code == 0, again.stderr
    assert placed(dest) == LARGE
    assert_checkout(dest, tiny_repo.commit, f"{hub.url}/acme/tiny")
    assert hub.log.bytes_sent(kind="cdn") == 370_000
    report = again.event("report")
    assert (report["fetched_bytes"], report["reused_bytes"]) == (370_000 - first, first)


@pytest.mark.parametrize(
    ("page", "chosen"),
    [
        ("blob/main/model.safetensors", {"model.safetensors"}),
        ("resolve/v1.0/sub/dir/w.bin?download=true", {"sub/dir/w.bin"}),
        ("resolve/feat%2Fslash/more.bin", {"more.bin"}),
        ("tree/main/sub", {"sub/dir/w.bin", "sub/same.bin"}),
        ("resolve/refs%2Fpr%2F1/model.safetensors", {"model.safetensors"}),
        ("blob/main/config.json", set()),
    ],
)
def test_a_files_url(hub: Hub, tiny_repo: LivingRepo, hfclone: Command, page: str, chosen: set[str]) -> None:
    """That file alone, in a checkout of pointers."""
    assert tiny_repo.commit
    done = hfclone(f"{hub.url}/acme/tiny/{page}")
    assert done.code == 0, done.stderr
    dest = hfclone.cwd / "tiny"
    assert git(dest, "status", "--porcelain") == ""
    assert placed(dest) == chosen
    assert (dest / "config.json").read_text() == '{"a": 1}\n'


def test_a_files_url_with_a_typo(hub: Hub, tiny_repo: LivingRepo, hfclone: Command) -> None:
    """A path that the commit does not hold is an error, and says so."""
    assert tiny_repo.commit
    done = hfclone(f"{hub.url}/acme/tiny/blob/main/modle.safetensors")
    assert done.code == 3, done.stderr
    assert "acme/tiny has no 'modle.safetensors' at commit" in done.error
    assert f"{hub.url}/acme/tiny/tree/{tiny_repo.commit}" in done.hint
    assert hub.log.bytes_sent(kind="cdn") == 0


def test_one_object_at_many_paths(hub: Hub, hfclone: Command) -> None:
    """Fetched once, and no path shares its inode with another."""
    same = Lfs(3_000_000, seed=1)
    repo = hub.repo("acme/many", {f"d{number}/m.bin": same for number in range(20)})
    done = hfclone("acme/many", "--progress", "json")
    assert done.code == 0, done.stderr
    dest = hfclone.cwd / "many"
    assert hub.log.bytes_sent(kind="cdn") == 3_000_000
    assert len(placed(dest)) == 20
    assert len({(dest / f"d{number}/m.bin").stat().st_ino for number in range(20)}) == 20
    assert_checkout(dest, repo.commit, f"{hub.url}/acme/many")
    assert done.event("plan")["objects"] == 1
    assert done.event("plan")["need_bytes"] == 60_000_000
    (dest / "d3/m.bin").unlink()
    assert hfclone("acme/many").code == 0
    assert hub.log.bytes_sent(kind="cdn") == 3_000_000, "what is lost at one path is copied from another"
    assert_checkout(dest, repo.commit, f"{hub.url}/acme/many")


def test_a_branch_that_moved_on(hub: Hub, tiny_repo: LivingRepo, hfclone: Command) -> None:
    """The same command brings the new commit; what has not changed is not fetched again."""
    assert hfclone("acme/tiny").code == 0
    before = hub.log.bytes_sent(kind="cdn")
    commit = tiny_repo.add_commit(
        {"new.bin": Lfs(40_000, seed=8), "moved.safetensors": Lfs(300_000, seed=1), "model.safetensors": None}
    )
    done = hfclone("acme/tiny")
    assert done.code == 0, done.stderr
    dest = hfclone.cwd / "tiny"
    assert_checkout(dest, commit, f"{hub.url}/acme/tiny")
    assert placed(dest) == {"moved.safetensors", "new.bin", "sub/dir/w.bin", "sub/same.bin"}
    assert hub.log.bytes_sent(kind="cdn") - before == 40_000


@pytest.mark.parametrize("manners", [files_only, olah_proxy, reverse_proxy])
def test_mirrors(hub: Hub, tiny_repo: LivingRepo, hfclone: Command, manners: object) -> None:
    """Large bytes come from the mirror, whatever it lacks."""
    mirror = hub.mirror("mirror", manners())  # type: ignore[operator]  # a table of functions
    done = hfclone(
        "acme/tiny",
        env={"HFCLONE_MIRROR": mirror.url},
    )
    assert done.code == 0, done.stderr
    assert_checkout(hfclone.cwd / "tiny", tiny_repo.commit, f"{hub.url}/acme/tiny")
    assert placed(hfclone.cwd / "tiny") == LARGE
    name = mirror.url.partition("//")[2]
    # All of it on an idle machine; a busy one makes the mirror look slow, and the hub takes a share.
    assert re.search(rf"^  {name}: \S+ kB, 0 failures$", done.stderr, re.MULTILINE), done.stderr


def test_only_mirrors(hub: Hub, tiny_repo: LivingRepo, hfclone: Command) -> None:
    """The hub is not asked for anything, and stands in origin all the same."""
    mirror = hub.mirror("mirror", reverse_proxy())
    done = hfclone("acme/tiny", "--only-mirrors", "--mirror", mirror.url)
    assert done.code == 0, done.stderr
    assert_checkout(hfclone.cwd / "tiny", tiny_repo.commit, f"{hub.url}/acme/tiny")
    assert hub.log.of(listener="hub") == hub.log.of(listener="cdn") == ()


@pytest.mark.parametrize("fetcher", ["threads", "aria2c"])
def test_fetchers(hub: Hub, tiny_repo: LivingRepo, hfclone: Command, fetcher: str) -> None:
    """Each that can be chosen."""
    if fetcher == "aria2c" and shutil.which("aria2c") is None:
        pytest.skip("aria2c is not installed")
    done = hfclone("acme/tiny", "--fetcher", fetcher)
    assert (done.code, done.stdout) == (0, ""), done.stderr
    assert_checkout(hfclone.cwd / "tiny", tiny_repo.commit, f"{hub.url}/acme/tiny")
    assert placed(hfclone.cwd / "tiny") == LARGE


# --- what is shown -----------------------------------------------------------------------------


def test_dry_run(hub: Hub, tiny_repo: LivingRepo, hfclone: Command) -> None:
    """The plan, on stderr or as data; nothing is left anywhere, also where something is here already."""
    done = hfclone("acme/tiny", "--dry-run")
    assert (done.code, done.stdout) == (0, ""), done.stderr
    assert tiny_repo.commit in done.stderr
    assert "2 large objects, 370 kB" in done.stderr
    assert "to fetch: 370 kB in 2 objects" in done.stderr
    assert re.search(r"^disk: 440 kB needed, \S+ \wB free$", done.stderr, re.MULTILINE)
    assert list(hfclone.cwd.iterdir()) == list(hfclone.tmp.iterdir()) == []
    data = hfclone("acme/tiny", "--dry-run", "--progress", "json")
    plan = data.event("plan")
    assert (plan["objects"], plan["fetch_bytes"], plan["need_bytes"]) == (2, 370_000, 440_000)
    assert {path for row in plan["missing"] for path in row["paths"]} == LARGE
    assert hub.log.bytes_sent(kind="cdn") == 0
    assert hfclone("acme/tiny", "--include", "*.safetensors").code == 0
    later = hfclone("acme/tiny", "--dry-run", "--progress", "json").event("plan")
    assert (later["fetch_bytes"], later["here_bytes"]) == (70_000, 300_000)


def test_json(hub: Hub, tiny_repo: LivingRepo, hfclone: Command) -> None:
    """Every line of stdout is an event; stderr has no progress."""
    done = hfclone("acme/tiny", "--progress", "json")
    assert (done.code, done.stderr) == (0, "")
    assert {event["v"] for event in done.events} == {1}
    assert [event["event"] for event in done.events][-1] == "report"
    report = done.event("report")
    assert (report["objects"], report["fetched_bytes"], report["reused_bytes"]) == (2, 370_000, 0)
    assert report["path"] == str(hfclone.cwd / "tiny")
    assert sum(row["sent"] for row in report["endpoints"]) == 370_000
    failed = hfclone("acme/none", "--progress", "json")
    assert failed.events[-1]["event"] == "error"
    assert (failed.events[-1]["code"], failed.events[-1]["exit"], failed.code) == ("repo-not-found", 3, 3)
    assert failed.stderr.startswith("hfclone: error:")


def test_quiet_and_verbose(hub: Hub, tiny_repo: LivingRepo, hfclone: Command) -> None:
    """``-q`` says nothing but errors; ``-v`` names each object; none leaves the progress out."""
    assert tiny_repo.commit
    done = hfclone("acme/tiny", "-q")
    assert (done.code, done.stdout, done.stderr) == (0, "", "")
    loud = hfclone("acme/tiny", "x", "-v")
    assert "verified model.safetensors (300 kB)" in loud.stderr
    plain = hfclone("acme/tiny", "y", "--progress", "none")
    assert "done: acme/tiny at commit" in plain.stderr
    bad = hfclone("acme/none", "-q")
    assert bad.code == 3
    assert "hint: " in bad.stderr


def test_plain_lines(hub: Hub, tiny_repo: LivingRepo, hfclone: Command) -> None:
    """Without a terminal: lines, no carriage return, no escape; the report at the end."""
    done = hfclone("acme/tiny", env={"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"})
    assert (done.code, done.stdout) == (0, ""), done.stderr
    assert "\r" not in done.stderr
    assert "\x1b" not in done.stderr
    lines = done.stderr.splitlines()
    assert lines[0].startswith(f"acme/tiny at commit {tiny_repo.commit} (the default branch, says 127.0.0.1:")
    assert f"done: acme/tiny at commit {tiny_repo.commit}" in lines
    assert "2 objects verified and in place" in lines
    assert any(line.startswith("fetched 370 kB, reused 0 B, in ") for line in lines)
    assert lines[-1] == f"checkout: {hfclone.cwd / 'tiny'}"
    again = hfclone("acme/tiny").stderr
    assert "to fetch: 0 B in 0 objects; here: 370 kB" in again
    assert "fetched 0 B, reused 370 kB" in again
    assert "\n2 objects in place, unchanged since verified\n" in again
    (hfclone.cwd / "tiny/model.safetensors").unlink()
    mixed = hfclone("acme/tiny", "--exclude", "sub/*").stderr
    assert "\n1 object verified and in place; 1 stay as pointers\n" in mixed
    (hfclone.cwd / "tiny/model.safetensors").touch()
    assert "\n2 objects in place: 1 verified now, 1 unchanged since verified\n" in hfclone("acme/tiny").stderr


def on_terminal(hfclone: Command, *args: str, columns: int = 100, env: dict[str, str] | None = None) -> tuple[int, str]:
    """Run on a pseudo-terminal; its code and all it drew."""
    parent, child = pty.openpty()
    ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-m", "hfclone", *args],
        env={**hfclone.environ, "TERM": "xterm", **(env or {})},
        cwd=hfclone.cwd,
        stdin=child,
        stdout=subprocess.PIPE,
        stderr=child,
        start_new_session=True,
    )
    os.close(child)
    drawn = b""
    while True:
        select.select([parent], [], [])
        try:
            piece = os.read(parent, 65536)
        except OSError:  # EIO: the other side is closed
            break
        if not piece:
            break
        drawn += piece
    os.close(parent)
    assert process.communicate()[0] == b""
    return process.returncode, drawn.decode()


def last_screen(drawn: str) -> list[str]:
    """What stands on the screen after all control sequences, line by line."""
    rows: dict[int, dict[int, str]] = {}
    row = column = 0
    for part in re.findall(r"\x1b\[\d*[A-Za-z]|.", drawn, re.DOTALL):
        if part == "\r":
            column = 0
        elif part == "\n":
            row += 1
        elif part.startswith("\x1b["):
            count = int(part[2:-1] or 1)
            assert part[-1] in "ABK", part
            row += {"A": -count, "B": count, "K": 0}[part[-1]]
        else:
            rows.setdefault(row, {})[column] = part
            column += 1
    lines = ("".join(cells.get(at, " ") for at in range(max(cells) + 1)).rstrip() for _, cells in sorted(rows.items()))
    return [line for line in lines if line]


@pytest.mark.parametrize("columns", [100, 45, 20])
def test_bars(hub: Hub, tiny_repo: LivingRepo, hfclone: Command, columns: int) -> None:
    """On a terminal: bars while it runs, and at the end nothing but the report."""
    hub.faults.add(streams.Throttle(each=400_000), kind="cdn")
    code, drawn = on_terminal(hfclone, "acme/tiny", columns=columns)
    assert code == 0, drawn
    screen = last_screen(drawn)
    assert f"done: acme/tiny at commit {tiny_repo.commit}" in screen, screen
    assert screen[-1] == f"checkout: {hfclone.cwd / 'tiny'}"
    assert not [line for line in screen if "|" in line], screen
    if columns == 100:
        assert "model.safetensors" in drawn
        assert re.search(r"\d+%\|#+ *\| .* of  ?370 kB", drawn), drawn
    bars = [line for line in re.split(r"[\r\n]|\x1b\[A", drawn) if re.search(r"\d%", line)]
    assert bars
    assert max(map(len, bars)) < columns


def test_terminals_that_cannot(hub: Hub, tiny_repo: LivingRepo, hfclone: Command) -> None:
    """TERM=dumb gets lines; ``--progress bar`` draws into a pipe, too."""
    assert tiny_repo.commit
    code, drawn = on_terminal(hfclone, "acme/tiny", env={"TERM": "dumb"})
    assert code == 0
    assert "\x1b" not in drawn
    assert "%|" not in drawn
    done = hfclone("acme/tiny", "x", "--progress", "bar")
    assert done.code == 0
    assert f"done: acme/tiny at commit {tiny_repo.commit}" in done.stderr
