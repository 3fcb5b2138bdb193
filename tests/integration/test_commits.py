"""The ladder that brings a commit, over lines and servers that go wrong."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from hfclone.commits import bring_commit
from hfclone.errors import (
    HfcloneError,
    NotServed,
    NotTheObject,
    ObjectMissing,
    RateLimited,
    RepoNotFound,
    RevisionNotFound,
    ServerFault,
    Unreachable,
)
from hfclone.events import Faulted, ignore
from hfclone.git import Git, GitCredential, GitRepo
from hfclone.hub.endpoint import Endpoint, TokenRule
from hfclone.names import History, Pin, Repo, Token
from tests.hub import Hub, LivingRepo, Manners
from tests.hub.answers import CaptivePortal, NoAnswer, Redirect308, Status
from tests.hub.streams import CloseShort, ResetAfter


@dataclass
class Blobs:
    """Blobs over HTTP, here from the disk; ``None`` has none."""

    repo: LivingRepo | None = None
    asked: list[bytes] = field(default_factory=list)
    spoil: bool = False

    def fetch(self, path: bytes, oid: str) -> bytes:
        self.asked.append(path)
        if self.repo is None:
            raise ObjectMissing(oid, "nobody")
        data = self.repo.git("cat-file", "blob", oid)
        return data + b"!" if self.spoil else data


@dataclass
class Place:
    """An empty repo of a user with nothing configured."""

    folder: Path
    credential: GitCredential | None = None

    def __post_init__(self) -> None:
        self.environ = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "GIT_CONFIG_NOSYSTEM": "1"}
        self.repo = GitRepo(Git(self.environ, credential=self.credential), self.folder / "t")
        self.repo.path.mkdir()
        self.repo.init("main")

    def bring(self, pin: Pin, *urls: str, **more: Any) -> str:
        ends = [Endpoint(url, token_rule=TokenRule.SEND) for url in urls]
        options: dict[str, Any] = {
            "history": History.SHALLOW, "branch": "main", "blob_source": Blobs(), "probe": _no_probe,
            "on_event": ignore,
        }  # fmt: skip
        return bring_commit(self.repo, pin, ends, **(options | more))

    def check(self, pin: Pin) -> None:
        """All is here, and the repo is an ordinary one."""
        assert self.repo.missing_blobs(pin.commit) == {}
        self.repo.update_ref("HEAD", pin.commit)
        done = subprocess.run(
            ["git", "fsck", "--full", "--strict"],
            cwd=self.repo.path,
            env=self.environ,
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done
        config = (self.repo.git_dir / "config").read_text()
        assert "promisor" not in config
        assert "partial" not in config
        assert "127.0.0.1" not in config
        assert not list(self.repo.git_dir.rglob("*.promisor"))
        assert not list(self.repo.git_dir.rglob("FETCH_HEAD"))


def _no_probe(url: str) -> str:
    raise AssertionError(url)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def big_repo(hub: Hub) -> LivingRepo:
    """Files that git sends whole: incompressible, of 3 MB, 20 kB and little."""
    files = {f"f{number}.bin": os.urandom(20_000) for number in range(30)}
    return hub.repo("acme/big", {"big.dat": os.urandom(3_000_000), "small.txt": "s", **files})


def pin_of(repo: LivingRepo, name: str = "acme/tiny", ref: str = "refs/heads/main") -> Pin:
    commit = repo.commit_of(ref)
    assert commit is not None
    return Pin(Repo(name), commit)


def git_bytes(hub: Hub) -> int:
    return sum(entry.bytes_sent for entry in hub.log.entries if entry.kind == "git")


def test_one_fetch_over_a_good_line(hub: Hub, tiny_repo: LivingRepo, place: Place) -> None:
    pin = pin_of(tiny_repo)
    assert place.bring(pin, hub.url) == hub.url.removeprefix("http://")
    place.check(pin)
    asked = len(hub.log.entries)
    assert place.bring(pin, hub.url) == ""
    assert len(hub.log.entries) == asked


def test_large_blobs_come_by_http(hub: Hub, place: Place) -> None:
    repo = big_repo(hub)
    blobs = Blobs(repo)
    place.bring(pin_of(repo, "acme/big"), hub.url, blob_source=blobs)
    assert blobs.asked == [b"big.dat"]
    place.check(pin_of(repo, "acme/big"))


@pytest.mark.parametrize("spoil", [False, True])
def test_large_blobs_come_by_git_where_http_fails(hub: Hub, place: Place, spoil: bool) -> None:
    repo = big_repo(hub)
    place.bring(pin_of(repo, "acme/big"), hub.url, blob_source=Blobs(repo if spoil else None, spoil=spoil))
    place.check(pin_of(repo, "acme/big"))


@pytest.mark.parametrize("manners", [
    Manners(allow_filter=False), Manners(protocol_v2=False), Manners(protocol_v2=False, allow_any_sha=False),
    Manners(protocol_v2=False, allow_any_sha=False, allow_filter=False),
])  # fmt: skip
def test_servers_that_can_do_less(hub: Hub, place: Place, manners: Manners) -> None:
    repo = big_repo(hub)
    front = hub.mirror(manners=manners)
    place.bring(pin_of(repo, "acme/big"), front.url, blob_source=Blobs(repo))
    place.check(pin_of(repo, "acme/big"))


@pytest.mark.parametrize("ref", ["refs/heads/main", "refs/tags/v1.0", "refs/pr/1"])
@pytest.mark.parametrize("branch", ["main", None])
def test_commit_behind_a_branch_of_a_server_without_raw_shas(
    hub: Hub, tiny_repo: LivingRepo, place: Place, ref: str, branch: str | None
) -> None:
    pin = pin_of(tiny_repo, ref=ref)
    for number in range(5):
        tiny_repo.add_commit({"n.txt": str(number)}, branch="main", message=str(number))
        tiny_repo.add_commit({"n.txt": str(number)}, branch="refs/pr/1", message=str(number))
    front = hub.mirror(manners=Manners(protocol_v2=False, allow_any_sha=False))
    place.bring(pin, front.url, branch=branch, blob_source=Blobs(tiny_repo))
    place.check(pin)
    assert place.repo.refs("refs/hfclone") == {f"refs/hfclone/{pin.commit}": pin.commit}


def test_line_that_is_cut_gets_there_and_sends_nothing_twice(hub: Hub, place: Place) -> None:
    repo = big_repo(hub)
    pin = pin_of(repo, "acme/big")
    hub.faults.add(ResetAfter(100_000, 100_000), kind="git")
    events: list[object] = []
    place.bring(pin, hub.url, blob_source=Blobs(repo), on_event=events.append)
    place.check(pin)
    assert any(isinstance(event, Faulted) for event in events)
    assert git_bytes(hub) < 2_000_000


def test_failed_pass_keeps_what_came(hub: Hub, place: Place) -> None:
    repo = big_repo(hub)
    pin = pin_of(repo, "acme/big")
    hub.faults.add(ResetAfter(100_000, 100_000), kind="git")
    with pytest.raises(Unreachable):
        place.bring(pin, hub.url)
    assert place.repo.has_commit(pin.commit)
    assert set(place.repo.missing_blobs(pin.commit).values()) == {b"big.dat"}
    blobs = Blobs(repo)
    place.bring(pin, hub.url, blob_source=blobs)
    assert blobs.asked == [b"big.dat"]
    place.check(pin)


def test_next_endpoint_after_one_that_fails(hub: Hub, tiny_repo: LivingRepo, place: Place) -> None:
    mirror = hub.mirror()
    mirror.faults.add(Status(503))
    pin = pin_of(tiny_repo)
    assert place.bring(pin, mirror.url, hub.url) == hub.url.removeprefix("http://")
    place.check(pin)


def test_redirect_is_asked_of_the_probe(hub: Hub, tiny_repo: LivingRepo, place: Place) -> None:
    mirror = hub.mirror(manners=Manners(redirect_all=hub.url))
    pin = pin_of(tiny_repo)
    probed: list[str] = []

    def probe(url: str) -> str:
        probed.append(url)
        return url.replace(mirror.url, hub.url)

    place.bring(pin, mirror.url, probe=probe)
    assert probed == [f"{mirror.url}/acme/tiny"]
    place.check(pin)


@pytest.mark.parametrize(("fault", "kind"), [
    (Status(503), ServerFault), (Status(429), RateLimited), (Status(404), NotServed), (Status(401), RepoNotFound),
    (NoAnswer(), Unreachable), (CaptivePortal(), NotTheObject), (CloseShort(50, 50), HfcloneError),
])  # fmt: skip
def test_failures_have_names(hub: Hub, tiny_repo: LivingRepo, place: Place, fault: Any, kind: type[Exception]) -> None:
    hub.faults.add(fault)
    with pytest.raises(kind) as raised:
        place.bring(pin_of(tiny_repo), hub.url)
    assert isinstance(raised.value, HfcloneError)
    assert raised.value.code != "git-failed"


def test_nobody_there(tiny_repo: LivingRepo, place: Place) -> None:
    with pytest.raises(Unreachable):
        place.bring(pin_of(tiny_repo), "http://127.0.0.1:1")
    with pytest.raises(Unreachable):
        place.bring(pin_of(tiny_repo), "http://no-such-host.invalid")


def test_unknown_commit(hub: Hub, tiny_repo: LivingRepo, place: Place) -> None:
    with pytest.raises(RevisionNotFound):
        place.bring(Pin(Repo("acme/tiny"), "1" * 40), hub.url)


def test_whole_history(hub: Hub, tiny_repo: LivingRepo, place: Place) -> None:
    first = pin_of(tiny_repo)
    tiny_repo.add_commit({"z": "z"}, branch="main", message="z")
    pin = pin_of(tiny_repo)
    place.bring(pin, hub.url)
    assert not place.repo.has_commit(first.commit)
    place.bring(pin, hub.url, history=History.FULL)
    assert place.repo.has_commit(first.commit)
    assert "refs/remotes/origin/feat/slash" in place.repo.refs("refs/remotes")
    assert not (place.repo.git_dir / "shallow").exists()
    place.check(pin)


def test_token_goes_to_its_origin_alone(hub: Hub, tmp_path: Path) -> None:
    repo = LivingRepo(tmp_path / "private", {"a": "a"})
    hub.add("acme/private", repo, private=True).members.add("hf_SECRET")
    hub.tokens.add("hf_SECRET")
    mirror = hub.mirror()
    place = Place(tmp_path, GitCredential((hub.url,), Token("hf_SECRET")))
    pin = pin_of(repo, "acme/private")
    with pytest.raises(RepoNotFound) as raised:
        place.bring(pin, mirror.url)
    assert "hf_SECRET" not in str(raised.value)
    assert place.bring(pin, mirror.url, hub.url) == hub.url.removeprefix("http://")
    place.check(pin)
    assert {entry.listener for entry in hub.log.entries if entry.token} == {"hub"}
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or b"hf_SECRET" not in path.read_bytes()


def test_stale_shallow_lock_is_cleared(hub: Hub, tiny_repo: LivingRepo, place: Place) -> None:
    (place.repo.git_dir / "shallow.lock").touch()
    (place.repo.git_dir / "config.lock").touch()
    place.repo.clear_stale()
    place.bring(pin_of(tiny_repo), hub.url)
    place.check(pin_of(tiny_repo))


def test_redirect_elsewhere_carries_no_token(hub: Hub, tiny_repo: LivingRepo, tmp_path: Path) -> None:
    mirror = hub.mirror()
    hub.faults.add(Redirect308(mirror.url), on="hub")
    place = Place(tmp_path, GitCredential((hub.url,), Token("hf_SECRET")))
    place.bring(pin_of(tiny_repo), hub.url, probe=lambda url: url.replace(hub.url, mirror.url))
    assert not [entry for entry in hub.log.entries if entry.token and entry.listener != "hub"]
