"""A directory that several work in: what we make has the rights that the umask leaves, and those that git gives."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from stat import S_IMODE

import pytest

from hfclone.files.access import Access
from tests.e2e.command import ROOT, Command, git
from tests.e2e.test_resume import claimed, until
from tests.hub import Hub, Lfs, LivingRepo, streams

MB = 1024 * 1024
GROUP = 2000
VALUES = ("", "umask", "false", "group", "true", "1", "all", "world", "2", "0640", "0660", "0664", "0600", "0666")


def with_umask(umask: int) -> tuple[str, ...]:
    """What comes before a command that is to have it."""
    return ("sh", "-c", 'umask "$0"; exec "$@"', f"{umask:03o}")


def modes(folder: Path) -> dict[str, int]:
    """Of everything at and below it; links have none."""
    return {
        str(path.relative_to(folder)): S_IMODE(path.lstat().st_mode)
        for path in (folder, *folder.rglob("*"))
        if not path.is_symlink()
    }


@pytest.mark.parametrize("umask", [0o022, 0o002, 0o077])
def test_rights_are_calculated_as_git_does(tmp_path: Path, umask: int) -> None:
    for value in VALUES:
        repo = tmp_path / (value or "none")
        words = ["init", "-q", "--template="] if not value else ["-c", f"core.sharedRepository={value}", "init", "-q"]
        for command in (words, ["update-ref", "refs/heads/a", "4b825dc642cb6eb9a060e54bf8d69288fbee4904"]):
            repo.mkdir(exist_ok=True)
            subprocess.run([*with_umask(umask), "git", *command], cwd=repo, check=False)
        said = git(repo, "config", "--default", "", "core.sharedRepository")
        for path in (repo / ".git/refs", repo / ".git/HEAD"):
            made = 0o777 & ~umask | 0o040000 if path.is_dir() else 0o666 & ~umask | 0o100000
            assert oct(Access.said(said).mode(made)) == oct(S_IMODE(path.stat().st_mode)), (value, path)


@pytest.mark.parametrize("umask", [0o002, 0o077])
@pytest.mark.parametrize("value", ["", "group", "0640"])
def test_all_that_is_made(hub: Hub, hfclone: Command, tiny_repo: LivingRepo, umask: int, value: str) -> None:
    """Small files and large alike; what lies in ``.git`` as ``core.sharedRepository`` says."""
    dest = hfclone.cwd / "tiny"
    (hfclone.home / "config").write_text(f"[core]\n\tsharedRepository = {value or 'umask'}\n")
    env = {"GIT_CONFIG_GLOBAL": str(hfclone.home / "config")}
    before = with_umask(umask)
    tiny_repo.add_commit({"large.bin": Lfs(9 * MB, seed=4)})
    assert hfclone("acme/tiny", "--lfs-store", "copy", env=env, before=before).code == 0
    (dest / "large.bin").unlink()
    assert hfclone("acme/tiny", "--lfs-store", "none", "--include", "*.bin", env=env, before=before).code == 0
    shared = Access.said(value)
    for name, mode in modes(dest).items():
        path = dest / name
        if name.startswith(".git/objects/"):
            continue  # git's own, and read-only
        executable = path.is_dir() or name == "run.sh"
        made = (0o777 if executable else 0o666) & ~umask
        in_git = name.startswith(".git") and name != ".gitattributes"
        assert oct(mode) == oct(shared.mode(made | (path.stat().st_mode & ~0o7777)) if in_git else made), name
    assert {"lock", "parts", "journals", "stamps", "choice"} <= set(os.listdir(dest / ".git/hfclone"))
    done = hfclone("export", dest, "--format", "hf-cache", "--cache-link", "copy", env=env, before=before)
    assert done.code == 0, done.stderr
    for name, mode in modes(hfclone.home / "hf/hub").items():
        made = (0o777 if (hfclone.home / "hf/hub" / name).is_dir() else 0o666) & ~umask
        assert oct(mode) == oct(made), name
    assert any((dest / ".git/lfs").rglob("??/??/*"))


def test_what_an_older_version_kept_to_itself(hub: Hub, hfclone: Command, tiny_repo: LivingRepo) -> None:
    state = hfclone.cwd / "tiny/.git/hfclone"
    assert hfclone("acme/tiny").code == 0
    right = modes(state)
    for name, mode in ((".", 0o711), ("parts", 0o700), ("lock", 0o600)):
        (state / name).chmod(mode)
    assert hfclone("acme/tiny").code == 0
    assert modes(state) == right


class Users:
    """Two who share a group. Who is not root is both of them."""

    def __init__(self, folder: Path, hub: Hub) -> None:
        self.folder = folder
        self.commands = [Command(folder / name, hub.url) for name in ("first", "second")]
        if os.geteuid() == 0:
            for parent in folder.parents:
                if parent.stat().st_uid == 0 and len(parent.parts) > 2:
                    parent.chmod(parent.stat().st_mode | 0o011)
            for number, command in enumerate(self.commands):
                for path in (command.base, *command.base.rglob("*")):
                    os.chown(path, 2001 + number, 2001 + number)
        self.shared = folder / "shared"
        self.shared.mkdir()
        os.chown(self.shared, -1, GROUP if os.geteuid() == 0 else -1)
        self.shared.chmod(0o2775)

    def words(self, number: int, umask: int) -> tuple[str, ...]:
        """What comes before a command of one of them."""
        as_user = ("setpriv", f"--reuid={2001 + number}", f"--regid={2001 + number}", f"--groups={GROUP}")
        return (*with_umask(umask), *(as_user if os.geteuid() == 0 else ()))


@pytest.fixture
def users(hub: Hub, tmp_path: Path) -> Users:
    users = Users(tmp_path / "users", hub)
    words = [*users.words(0, 0o022), "ls", str(ROOT / "setup.cfg"), str(users.shared)]
    if subprocess.run(words, capture_output=True, check=False).returncode:
        pytest.skip("another user cannot come here")
    return users


@pytest.mark.parametrize("way", ["umask", "sharedRepository"])
def test_a_colleague_goes_on(hub: Hub, users: Users, way: str) -> None:
    """Killed in the middle; another of the group finishes, pulls, exports; the first verifies."""
    first, second = users.commands
    dest, umask = users.shared / "one", 0o002 if way == "umask" else 0o022
    folder = "sub/" if way == "umask" else ""  # git leaves directories of the work tree to the umask
    if way == "sharedRepository":
        subprocess.run([*users.words(0, 0o002), "git", "init", "-q", "--shared=group", dest], check=True)
    repo = hub.repo("acme/one", {"a.txt": "a\n", f"{folder}large.bin": Lfs(20 * MB, seed=4), f"{folder}b.txt": "b\n"})
    hold = streams.HoldAt(12 * MB, absolute=True)
    rule = hub.faults.add(hold, on="cdn")
    process = first.start("acme/one", dest, "--connections", "1", before=users.words(0, umask))
    assert hold.held.wait(30)
    until(lambda: claimed(dest) > 11 * MB)
    first.kill(process)
    hub.faults.remove(rule)
    assert hub.log.wait_quiet()
    done = second("acme/one", dest, before=users.words(1, umask))
    assert done.code == 0, done.stderr
    assert hub.log.bytes_sent(kind="cdn") <= 22 * MB
    done = second("export", dest, "--format", "hf-cache", before=users.words(1, umask))
    # The file is the first's: the second may neither change nor link it.
    assert done.code == 0, done.stderr
    repo.add_commit({f"{folder}large.bin": None, f"{folder}more.bin": Lfs(9 * MB, seed=5), "a.txt": "b\n"})
    done = second("pull", dest, before=users.words(1, umask))
    assert done.code == 0, done.stderr
    for number, command in enumerate(users.commands):
        assert command("verify", dest, before=users.words(number, umask)).code == 0
        assert command("acme/one", dest, before=users.words(number, umask)).code == 0
    assert git(dest, "-c", "safe.directory=*", "status", "--porcelain") == ""


def test_nothing_of_ours_in_git_is_secret(hub: Hub, hfclone: Command, tiny_repo: LivingRepo) -> None:
    """Whoever may read the checkout may read all of it: it holds no token."""
    token = "hf_TheSecretOfTheUser1234567890"
    hub.tokens.add(token)
    hub.add("acme/gate", tiny_repo, gated="manual").approved.add(token)
    hold = streams.HoldAt(1000)
    hub.faults.add(hold, on="cdn", times=1)
    process = hfclone.start("acme/gate", "--connections", "1", env={"HF_TOKEN": token})
    assert hold.held.wait(30)
    hfclone.kill(process)
    state = hfclone.cwd / "gate/.git/hfclone"
    assert any((state / "parts").iterdir())
    assert not [path for path in state.rglob("*") if path.is_file() and token.encode() in path.read_bytes()]
