"""A repo that was renamed on the hub: checkouts of it go on under the new name, if the hub itself says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.command import Command, assert_checkout, git, tree_of
from tests.hub import Hub, Lfs, LivingRepo


@pytest.fixture
def dest(hub: Hub, tiny_repo: LivingRepo, hfclone: Command, tmp_path: Path) -> Path:
    """A checkout of ``acme/tiny``, which is ``acme/new`` since, with another commit."""
    place = tmp_path / "tiny"
    assert hfclone("acme/tiny", place).code == 0
    hub.site.rename("acme/tiny", "acme/new")
    tiny_repo.add_commit({"config.json": "theirs\n", "more.bin": Lfs(9_000, seed=9)})
    return place


COMMANDS = {
    "pull": ("pull",),
    "by the former name": ("acme/tiny",),
    "by the new name": ("acme/new",),
    "by the new name, at a commit": ("acme/new@{commit}",),
}


@pytest.mark.parametrize("how", COMMANDS)
def test_it_goes_on(hub: Hub, tiny_repo: LivingRepo, hfclone: Command, dest: Path, how: str) -> None:
    """Nothing that is here is fetched again, origin moves, and the user is told."""
    sent = hub.log.bytes_sent(kind="cdn")
    words = [word.format(commit=tiny_repo.commit) for word in COMMANDS[how]]
    done = hfclone(*words, dest)
    assert done.code == 0, done.stderr
    assert f"the origin of {dest} was acme/tiny" in done.stderr
    assert f"it is {hub.url}/acme/new from here on" in done.stderr
    assert_checkout(dest, tiny_repo.commit, f"{hub.url}/acme/new")
    assert hub.log.bytes_sent(kind="cdn") - sent == 9_000
    assert "from here on" not in hfclone("pull", dest).stderr
    assert hfclone(f"acme/tiny@{tiny_repo.commit}", dest).code == 0
    assert git(dest, "remote", "get-url", "origin") == f"{hub.url}/acme/new"


def test_fetch_and_repair_by_the_former_name(hub: Hub, hfclone: Command, dest: Path) -> None:
    (dest / "model.safetensors").unlink()
    assert hfclone("verify", dest, "--repair").code == 0
    (dest / "model.safetensors").unlink()
    assert hfclone("fetch", dest).code == 0


@pytest.mark.parametrize("words", [("acme/other",), ("acme/new",)])
def test_two_repos_are_two(hub: Hub, hfclone: Command, dest: Path, words: tuple[str, ...]) -> None:
    """Another repo, and one that a mirror says the checkout's is called now, are refused; nothing is touched."""
    hub.repo("acme/other", {"m.bin": Lfs(1000, seed=4)})
    before = tree_of(dest, without=(".git/hfclone", ".git/index"))
    lying = hub.mirror("lying")
    only = () if words == ("acme/other",) else ("--mirror", lying.url, "--only-mirrors")
    done = hfclone(*words, dest, *only)
    assert (done.code, "is a checkout of" in done.error) == (6, True), done.stderr
    assert tree_of(dest, without=(".git/hfclone", ".git/index")) == before
