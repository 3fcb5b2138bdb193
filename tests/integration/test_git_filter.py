"""Large files that are touched, changed, added and moved about by users, where git-lfs is and where it is not."""

from __future__ import annotations

import hashlib
import itertools
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from hfclone.checkout import filtering
from tests.hub import Hub, Lfs, LivingRepo, pointer_text
from tests.integration.worlds import LFS_CONFIG, WORLDS, World, fill, opened, pin_of, status

PASTS = itertools.count(10**9)
SCRIPT = Path(filtering.__file__).with_name("filter.sh")
ODD_NAMES = (
    b"plain.dat", b"with space.dat", b" lead", b"st*r.dat", b"qu?.dat", b"br[a]c.dat", b"back\\slash.dat",
    b'quo"te.dat', b"new\nline.dat", b"tab\t.dat", b"esc\x1b]0;.dat", b"caf\xe9.dat", "ünï.dat".encode(), b"!bang",
    b"#hash", b"[attr]x", b"d*r/in [it].dat", b"trail ", b"--flag", b"a\\", b"x" * 200 + b"/" + b"\xe9" * 200,
)  # fmt: skip


@pytest.fixture(params=WORLDS)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    return World(tmp_path, request.param)


@pytest.fixture
def bare(tmp_path: Path) -> World:
    """No git-lfs at all."""
    return World(tmp_path)


def filled(hub: Hub, repo: LivingRepo, world: World, dest: Path) -> Path:
    """A checkout with all its objects."""
    with opened(hub, pin_of(repo), dest, world.git) as checkout:
        fill(checkout, repo)
    return dest


def touch_all(dest: Path) -> None:
    """Have git look at everything; each time another past."""
    past = next(PASTS)
    for path in dest.rglob("*"):
        if path.is_file() and ".git" not in path.relative_to(dest).parts:
            os.utime(path, (past, past))


def committed(world: World, dest: Path, path: str, rev: str = "HEAD") -> bytes:
    """What git holds at a path."""
    return world.command("cat-file", "blob", f"{rev}:{path}", cwd=dest).encode()


def pointer_of(content: bytes) -> bytes:
    return pointer_text(hashlib.sha256(content).hexdigest(), len(content))


def blobs_of(world: World, dest: Path) -> int:
    """The size of the largest blob in git's own objects."""
    listed = world.command("cat-file", "--batch-all-objects", "--batch-check=%(objecttype) %(objectsize)", cwd=dest)
    return max(int(row.split()[1]) for row in listed.splitlines() if row.startswith("blob"))


@pytest.mark.parametrize("then", ["nothing", "stash", "switch", "reset", "cp", "mv", "index 2", "index 4", "split"])
def test_touched_is_clean(hub: Hub, tiny_repo: LivingRepo, world: World, tmp_path: Path, then: str) -> None:
    dest = filled(hub, tiny_repo, world, tmp_path / "t")
    touch_all(dest)
    match then.split():
        case ["stash"]:
            (dest / "config.json").write_text("{}")
            world.command("stash", cwd=dest)
        case ["switch"]:
            world.command("checkout", "-q", "-b", "other", cwd=dest)
            world.command("checkout", "-q", "main", cwd=dest)
        case ["reset"]:
            # Git's reset does not ask filters: it writes what looks changed anew, unless git has looked closer before.
            world.command("status", cwd=dest)
            world.command("reset", "-q", "--hard", cwd=dest)
        case ["cp"]:
            subprocess.run(["cp", "-r", dest, tmp_path / "copy"], check=True)
            dest = tmp_path / "copy"
        case ["mv"]:
            dest = dest.rename(tmp_path / "moved")
        case ["index", version]:
            world.command("update-index", "--index-version", version, cwd=dest)
        case ["split"]:
            world.command("update-index", "--split-index", cwd=dest)
    assert status(world, dest) == ""
    assert world.command("diff", "HEAD", cwd=dest) == ""
    assert (dest / "model.safetensors").stat().st_size == 300_000
    assert blobs_of(world, dest) < 10_000


def test_a_new_version_is_committed_as_a_pointer(hub: Hub, tiny_repo: LivingRepo, world: World, tmp_path: Path) -> None:
    dest = filled(hub, tiny_repo, world, tmp_path / "t")
    content = os.urandom(100_000)
    (dest / "model.safetensors").write_bytes(content)
    assert status(world, dest) == " M model.safetensors\n"
    world.command("add", "model.safetensors", cwd=dest)
    world.command("commit", "-qm", "mine", cwd=dest)
    assert committed(world, dest, "model.safetensors") == pointer_of(content)
    assert status(world, dest) == ""
    assert (dest / "model.safetensors").read_bytes() == content
    assert blobs_of(world, dest) < 10_000


def test_a_new_file_is_never_committed_as_content(
    hub: Hub, tiny_repo: LivingRepo, world: World, tmp_path: Path
) -> None:
    dest = filled(hub, tiny_repo, world, tmp_path / "t")
    content = os.urandom(100_000)
    (dest / "mine.safetensors").write_bytes(content)
    done = world.run("add", "mine.safetensors", cwd=dest)
    if world.kind == "stale":
        assert done.returncode  # git-lfs is configured and cannot be run: git says so
    else:
        world.command("commit", "-qm", "mine", cwd=dest)
        assert committed(world, dest, "mine.safetensors") == pointer_of(content)
    assert blobs_of(world, dest) < 10_000


def test_empty_files_and_pointers_pass(hub: Hub, tiny_repo: LivingRepo, world: World, tmp_path: Path) -> None:
    dest = tmp_path / "t"
    with opened(hub, pin_of(tiny_repo), dest, world.git):
        pass
    touch_all(dest)
    assert status(world, dest) == ""
    (dest / "model.safetensors").write_bytes(b"")
    world.command("commit", "-qam", "empty", cwd=dest)
    assert committed(world, dest, "model.safetensors") == b""


def test_a_branch_without_the_file_and_back(hub: Hub, tiny_repo: LivingRepo, bare: World, tmp_path: Path) -> None:
    dest = filled(hub, tiny_repo, bare, tmp_path / "t")
    bare.command("checkout", "-q", "-b", "without", cwd=dest)
    bare.command("rm", "-q", "--cached", "model.safetensors", cwd=dest)
    (dest / "model.safetensors").rename(tmp_path / "kept")
    bare.command("commit", "-qm", "without", cwd=dest)
    bare.command("checkout", "-q", "main", cwd=dest)
    assert status(bare, dest) == ""
    assert (dest / "model.safetensors").read_bytes().startswith(b"version https://git-lfs")
    touch_all(dest)
    assert status(bare, dest) == ""
    filled(hub, tiny_repo, bare, dest)
    assert (dest / "model.safetensors").stat().st_size == 300_000
    assert status(bare, dest) == ""


def test_linked_work_trees(hub: Hub, tiny_repo: LivingRepo, world: World, tmp_path: Path) -> None:
    world.environ["GIT_LFS_SKIP_SMUDGE"] = "1"  # git-lfs would ask huggingface.co
    dest = filled(hub, tiny_repo, world, tmp_path / "t")
    linked = tmp_path / "linked"
    world.command("worktree", "add", "-q", str(linked), cwd=dest)
    assert status(world, linked) == ""
    content = (dest / "model.safetensors").read_bytes()
    (linked / "model.safetensors").write_bytes(content)
    world.command("add", "model.safetensors", cwd=linked / "sub/..")
    assert status(world, linked) == ""
    assert status(world, dest) == ""


def test_odd_names_without_attributes(hub: Hub, world: World, tmp_path: Path) -> None:
    repo = hub.repo("acme/tiny", {".gitattributes": "/none text\n"})
    repo.add_commit({name: Lfs(5_000, seed=number) for number, name in enumerate(ODD_NAMES)})
    dest = filled(hub, repo, world, tmp_path / "t")
    touch_all(dest)
    assert status(world, dest) == ""
    for name in ODD_NAMES:
        with open(os.fsencode(dest) + b"/" + name, "ab") as file:
            file.write(b"mine")
    world.command("add", "-A", cwd=dest)
    assert blobs_of(world, dest) < 1_500
    decoys = ("star.dat", "q1.dat", "bra.dat", "sub/plain.dat", "bang", "t")
    (dest / "sub").mkdir()
    for name in decoys:
        (dest / name).write_bytes(bytes(5_000))
    world.command("add", "-A", cwd=dest)
    for name in decoys:  # patterns fit one file each
        assert world.command("cat-file", "-s", f":{name}", cwd=dest).strip() == "5000"


def test_many_of_a_suffix_share_a_line(hub: Hub, bare: World, tmp_path: Path) -> None:
    shards = {f"d{n % 7}/{n}.shard": Lfs(1_100 + n, seed=n) for n in range(60)}
    mixed = {f"{n}.mix": Lfs(1_100 + n, seed=n) for n in range(60)}
    repo = hub.repo("acme/tiny", {**shards, **mixed, "plain.mix": "text\n"})
    dest = filled(hub, repo, bare, tmp_path / "t")
    lines = (dest / ".git/info/attributes").read_text().splitlines()
    assert lines[1] == "*.shard filter=lfs -text" or lines[-2] == "*.shard filter=lfs -text"
    assert len(lines) == 2 + 1 + 60
    touch_all(dest)
    assert status(bare, dest) == ""
    filled(hub, repo, bare, dest)
    assert (dest / ".git/info/attributes").read_text().splitlines() == lines
    repo.add_commit({"plain.shard": "text\n"}, branch="main", message="n")
    filled(hub, repo, bare, dest)
    assert "*.shard" not in (dest / ".git/info/attributes").read_text()
    touch_all(dest)
    assert status(bare, dest) == ""


def test_lines_of_the_user_stay_and_win(hub: Hub, bare: World, tmp_path: Path) -> None:
    repo = hub.repo("acme/tiny", {"a.dat": Lfs(2_000, seed=1), "b.dat": Lfs(2_000, seed=2)})
    dest = filled(hub, repo, bare, tmp_path / "t")
    attributes = dest / ".git/info/attributes"
    once = attributes.read_bytes()
    attributes.write_bytes(once + b"a.dat -filter\n# mine")
    filled(hub, repo, bare, dest)
    assert attributes.read_bytes() == once + b"a.dat -filter\n# mine"
    assert (
        bare.command("check-attr", "filter", "a.dat", "b.dat", cwd=dest) == "a.dat: filter: unset\nb.dat: filter: lfs\n"
    )
    repo.add_commit({"a.dat": None, "b.dat": None}, branch="main", message="n")
    filled(hub, repo, bare, dest)
    assert attributes.read_bytes() == b"a.dat -filter\n# mine"


def test_nothing_is_added_where_git_lfs_is_set_up(hub: Hub, tiny_repo: LivingRepo, tmp_path: Path) -> None:
    world = World(tmp_path, "configured")
    dest = filled(hub, tiny_repo, world, tmp_path / "t")
    assert "filter" not in (dest / ".git/config").read_text()
    assert not (dest / ".git/info/attributes").exists()
    assert not (dest / ".git/hfclone/filter.sh").exists()


@pytest.mark.parametrize("first", ["absent", "unconfigured", "stale"])
def test_git_lfs_comes_later(hub: Hub, tiny_repo: LivingRepo, tmp_path: Path, first: str) -> None:
    """It is the filter from then on; the next run takes ours away."""
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    dest = filled(hub, tiny_repo, World(tmp_path / "one", first), tmp_path / "t")
    later = World(tmp_path / "two", "configured")
    touch_all(dest)
    assert status(later, dest) == ""
    content = os.urandom(50_000)
    (dest / "model.safetensors").write_bytes(content)
    later.command("commit", "-qam", "mine", cwd=dest)
    assert committed(later, dest, "model.safetensors") == pointer_of(content)
    oid = hashlib.sha256(content).hexdigest()
    assert (dest / ".git/lfs/objects" / oid[:2] / oid[2:4] / oid).read_bytes() == content  # git lfs push has it
    later.command("lfs", "install", cwd=dest)
    later.command("reset", "-q", "--hard", "origin/main", cwd=dest)
    filled(hub, tiny_repo, later, dest)
    assert "filter" not in (dest / ".git/config").read_text()
    assert status(later, dest) == ""


def test_git_lfs_goes(hub: Hub, tiny_repo: LivingRepo, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    dest = filled(hub, tiny_repo, World(tmp_path / "one", "configured"), tmp_path / "t")
    later = World(tmp_path / "two", "stale")
    assert status(later, dest) == ""
    touch_all(dest)
    assert later.run("status", cwd=dest).returncode  # what a missing git-lfs does to any checkout
    filled(hub, tiny_repo, later, dest)
    touch_all(dest)
    assert status(later, dest) == ""


def test_without_any_hash_program_nothing_is_staged(
    hub: Hub, tiny_repo: LivingRepo, bare: World, tmp_path: Path
) -> None:
    dest = filled(hub, tiny_repo, bare, tmp_path / "t")
    (tmp_path / "bin/sha256sum").unlink()
    (dest / "model.safetensors").write_bytes(bytes(50_000))
    done = bare.run("add", "model.safetensors", cwd=dest)
    assert done.returncode
    assert "sha256sum" in done.stderr
    assert blobs_of(bare, dest) < 10_000


def test_the_filter_is_for_whoever_runs_git_here(hub: Hub, tiny_repo: LivingRepo, bare: World, tmp_path: Path) -> None:
    dest = filled(hub, tiny_repo, bare, tmp_path / "t")
    assert (dest / ".git/hfclone").stat().st_mode & 0o777 == 0o777 & ~_umask()
    assert (dest / ".git/hfclone/filter.sh").stat().st_mode & 0o777 == 0o666 & ~_umask()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@pytest.mark.parametrize("shell", ["sh", "bash", "busybox sh"])
@pytest.mark.parametrize("program", ["sha256sum", "shasum", "openssl"])
def test_script_says_what_git_lfs_says(tmp_path: Path, shell: str, program: str) -> None:
    command = [shutil.which(shell.split(maxsplit=1)[0]) or "", *shell.split()[1:]]
    if not command[0] or not shutil.which(program) or not shutil.which("git-lfs"):
        pytest.skip(f"{shell}, {program} or git-lfs is not installed")
    world = World(tmp_path)
    bin_ = tmp_path / "bin"
    (bin_ / "sha256sum").unlink()
    for name in {program, "perl"}:
        if found := shutil.which(name):
            (bin_ / name).symlink_to(found)
    for size in (0, 1, 2, 1023, 1024, 1025, 70_000):
        content = (b"\0%\\\n\xff" + os.urandom(size))[:size]
        (tmp_path / "content").write_bytes(content)
        for verb, data, wanted in (
            ("clean", content, pointer_of(content)),
            ("clean", pointer_of(content), pointer_of(content)),
            ("smudge", content, content),
            ("smudge", pointer_of(content), pointer_of(content)),
        ):
            done = subprocess.run(
                [*command, SCRIPT, verb, "x"], input=data, env=world.environ, cwd=tmp_path, capture_output=True,
                check=False,
            )  # fmt: skip
            assert (done.returncode, done.stdout) == (0, wanted), (size, verb, done.stderr)
        if size:
            said = subprocess.run(
                ["git", "lfs", "pointer", "--file", "content"], cwd=tmp_path, capture_output=True, check=True
            )
            assert said.stdout == pointer_of(content)


def test_what_git_lfs_installs() -> None:
    """The worlds are those of git-lfs."""
    assert set(LFS_CONFIG) == {"clean", "smudge", "process", "required"}


NOTHING = hashlib.sha256(b"").hexdigest()


def test_an_object_of_no_bytes(hub: Hub, world: World, tmp_path: Path) -> None:
    """Its pointer is one that git-lfs never makes, and makes nothing of; the empty file is clean all the same."""
    unusual = pointer_text(NOTHING, 0).removesuffix(b"\n")
    files = {"zero.bin": pointer_text(NOTHING, 0), "sub/zero.dat": unusual, "m.bin": Lfs(9_000), "empty.bin": b""}
    repo = hub.repo("acme/tiny", files)
    dest = tmp_path / "t"
    with opened(hub, pin_of(repo), dest, world.git) as checkout:
        for path, pointer in checkout.files().items():
            part = checkout.parts_dir / f"{pointer.oid}.part"
            part.write_bytes(repo.object_path(pointer.oid).read_bytes() if pointer.size else b"")
            checkout.place(pointer, part, [path])
    for way in ("touched", "checked out again", "switched"):
        if way == "checked out again":
            (dest / "zero.bin").unlink()
            world.command("checkout", "-q", "--", "zero.bin", cwd=dest)
        if way == "switched":
            world.command("checkout", "-q", "-b", "other", cwd=dest)
        touch_all(dest)
        assert status(world, dest) == "", way
        assert (dest / "zero.bin").read_bytes() == (dest / "sub/zero.dat").read_bytes() == b""
    (dest / "zero.bin").write_bytes(b"something")
    world.command("add", "zero.bin", cwd=dest)
    assert committed(world, dest, "zero.bin", "") == pointer_of(b"something")
    (dest / "m.bin").write_bytes(b"")
    assert " M m.bin" in status(world, dest)
