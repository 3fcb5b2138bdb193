"""Answers and pointers that nobody has any business to give: the run goes on elsewhere, or says what is wrong."""

from __future__ import annotations

import errno
import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from hfclone import partials
from hfclone.errors import DiskFull, HashMismatch
from hfclone.events import Failed
from hfclone.files.hashing import RangeDigest
from hfclone.partials import Record
from hfclone.pointer import Oid, Pointer
from hfclone.transfer import Arrived, failure_policy
from tests.e2e.command import Command, Outcome, assert_checkout, git
from tests.faults.rig import MB, Rig
from tests.hub import Front, Hub, Lfs, LfsBytes, LivingRepo
from tests.hub.answers import IgnoreRange, RedirectTo, Silent, Status
from tests.hub.faults import Serve
from tests.hub.messages import Request, Response, as_json
from tests.hub.mirror import reverse_proxy
from tests.hub.streams import Waiting

ATTRIBUTES = "*.bin filter=lfs diff=lfs merge=lfs -text\n"
LFS_JSON = {"Content-Type": "application/vnd.git-lfs+json"}
ENOUGH = 25
"""Requests that a mirror may be asked for one object before it is left alone; a hot loop makes thousands."""


@dataclass
class Says(Silent):
    """Whatever a function of the request says."""

    say: Callable[[Request], Response]

    def answer(self, request: Request, serve: Serve) -> Response:
        """Say it."""
        return self.say(request)


def batch_of(href: str, header: dict[str, str] | None = None) -> Says:
    """A batch answer that sends every object to one URL."""

    def say(request: Request) -> Response:
        action = {"href": href, "header": header or {}}
        rows = json.loads(request.body)["objects"]
        return as_json({"objects": [{**row, "actions": {"download": action}} for row in rows]}, LFS_JSON)

    return Says(say)


@pytest.fixture
def model(hub: Hub) -> LivingRepo:
    """One object and two files of git's."""
    return hub.repo("acme/model", {".gitattributes": ATTRIBUTES, "README.md": "hi\n", "w.bin": Lfs(2 * MB, 1)})


@pytest.fixture
def mirror(hub: Hub) -> Front:
    """In front of the hub; faults are added to it."""
    return hub.mirror()


@pytest.fixture
def hfclone(hub: Hub, tmp_path: Path) -> Command:
    """The real command."""
    return Command(tmp_path / "user", hub.url)


def clones(hfclone: Command, hub: Hub, model: LivingRepo, mirror: Front) -> Outcome:
    """The run ends well, and what it leaves is right."""
    process = hfclone.start("acme/model", "out", "--mirror", mirror.url, "-v")
    done = hfclone.end(process, timeout=30)
    assert done.code == 0, done.stderr
    assert_checkout(hfclone.cwd / "out", model.commit, f"{hub.url}/acme/model")
    assert (hfclone.cwd / "out" / "w.bin").read_bytes() == Lfs(2 * MB, 1).content
    return done


# --- answers for files -------------------------------------------------------------------------


def test_an_empty_body_without_a_length_makes_no_hot_loop(
    hfclone: Command, hub: Hub, model: LivingRepo, mirror: Front
) -> None:
    mirror.faults.add(Status(404), kind="batch")
    empty = Says(lambda _: Response(200, iter(()), {"Content-Type": "application/octet-stream"}))
    rule = mirror.faults.add(empty, kind="resolve")
    clones(hfclone, hub, model, mirror)
    assert 0 < rule.hits <= ENOUGH
    assert hub.log.bytes_sent(listener="cdn") >= 2 * MB


@dataclass
class Drip(Waiting):
    """A body of a hundred bytes a second: never silent, and never done."""

    def answer(self, request: Request, serve: Serve) -> Response:
        """Pace what the server answers."""
        return serve(request).wrap(self._drip)

    def _drip(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        for whole in pieces:
            for at in range(0, len(whole), 20):
                self._free.wait(0.2)
                yield whole[at : at + 20]


def test_a_batch_answer_that_drips_is_not_waited_for(rig: Rig) -> None:
    """Everybody waits for it, and the hub would answer at once."""
    front = rig.hub.mirror(manners=reverse_proxy())
    front.faults.add(Drip(), kind="batch")
    rig.stall_after = 2.0
    with rig.in_background(front) as run:
        ran = run.done(50)  # the whole answer would take more than two minutes
    assert not ran.failed
    assert "too-slow" in ran.faults


@pytest.mark.parametrize("href", ["http://[::1", "http://*foo/x", "http://host:x/y"])
def test_strange_urls_in_a_batch_answer(
    hfclone: Command, hub: Hub, model: LivingRepo, mirror: Front, href: str
) -> None:
    rule = mirror.faults.add(batch_of(href), kind="batch")
    clones(hfclone, hub, model, mirror)
    assert 0 < rule.hits <= ENOUGH


@pytest.mark.parametrize("target", ["http://[::1/x", "http://host:x/y"])
def test_strange_targets_of_a_redirect(
    hfclone: Command, hub: Hub, model: LivingRepo, mirror: Front, target: str
) -> None:
    mirror.faults.add(Status(404), kind="batch")
    rule = mirror.faults.add(RedirectTo(target), kind="resolve")
    clones(hfclone, hub, model, mirror)
    assert 0 < rule.hits <= ENOUGH


@pytest.mark.parametrize("kind", ["batch", "resolve"])
def test_a_cloud_is_not_asked_for_its_secrets(
    hfclone: Command, hub: Hub, model: LivingRepo, mirror: Front, kind: str
) -> None:
    """Link-local is further inside than any mirror, even one on this very machine."""
    metadata = "http://169.254.169.254/latest/meta-data"
    rule = mirror.faults.add(batch_of(metadata) if kind == "batch" else RedirectTo(metadata), kind=kind)
    if kind == "resolve":
        mirror.faults.add(Status(404), kind="batch")
    done = clones(hfclone, hub, model, mirror)
    assert 0 < rule.hits <= ENOUGH
    assert "that is inside this network or machine" in done.stderr


def test_json_without_a_bottom(hfclone: Command, hub: Hub, model: LivingRepo, mirror: Front) -> None:
    rule = mirror.faults.add(Says(lambda _: Response(200, b"[" * 200_000, dict(LFS_JSON))), kind="batch")
    clones(hfclone, hub, model, mirror)
    assert 0 < rule.hits <= ENOUGH


DIGITS = "9" * 5000
NUMBERS = {
    "rate": Response(500, b"", {"RateLimit": f'"x";r={DIGITS};t=1'}, bare=True),
    "length": Response(200, iter(()), {"Content-Length": DIGITS}, until_close=True),
}


@pytest.mark.parametrize("which", NUMBERS)
def test_numbers_that_nobody_means(hfclone: Command, hub: Hub, model: LivingRepo, mirror: Front, which: str) -> None:
    mirror.faults.add(Status(404), kind="batch")
    rule = mirror.faults.add(Says(lambda _: NUMBERS[which]), kind="resolve")
    clones(hfclone, hub, model, mirror)
    assert 0 < rule.hits <= ENOUGH


# --- answers for git ---------------------------------------------------------------------------


def test_a_mirrors_git_that_is_sorry(hfclone: Command, hub: Hub, model: LivingRepo, mirror: Front) -> None:
    """Its own words are without number; the hub is asked."""
    words = b"ERR Sorry, this repository is being synced"
    body = b"001e# service=git-upload-pack\n0000%04x%s" % (len(words) + 4, words)
    kind = {"Content-Type": "application/x-git-upload-pack-advertisement"}
    rule = mirror.faults.add(Says(lambda _: Response(200, body, dict(kind))), kind="git")
    clones(hfclone, hub, model, mirror)
    assert rule.hits > 0
    assert hub.log.of(listener="hub", kind="git")


# --- secrets -----------------------------------------------------------------------------------


def test_the_headers_of_an_action_stay_with_their_origin(hfclone: Command, hub: Hub, model: LivingRepo) -> None:
    hub.tokens.add("SECRET")
    href = f"{hub.url}/acme/model/resolve/{model.commit}/w.bin"
    hub.faults.add(batch_of(href, {"Authorization": "Bearer SECRET", "X-Secret": "SECRET"}), kind="batch")
    done = hfclone("acme/model", "out")
    assert done.code == 0, done.stderr
    assert hub.log.saw_token("SECRET", listener="hub")
    assert hub.log.of(listener="cdn")
    assert not hub.log.saw_token("SECRET", listener="cdn")
    assert not any(entry.authorization for entry in hub.log.of(listener="cdn"))


# --- pointers ----------------------------------------------------------------------------------


def pointer(oid: str, size: int) -> bytes:
    """A pointer's text, whatever it says."""
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {size}\n".encode()


@pytest.mark.parametrize(("pattern", "code"), [("b\u00fc\x01*", 5), ("w.bin", 0)])
def test_a_bad_pointer_is_selected_by_its_raw_name(hfclone: Command, hub: Hub, pattern: str, code: int) -> None:
    name = "b\u00fc\x01d.bin".encode()
    hub.repo("acme/model", {".gitattributes": ATTRIBUTES, name: pointer("xyz", 5), "w.bin": Lfs(1000, 1)})
    done = hfclone("acme/model", "out", "--include", pattern, env={"LC_ALL": "C.UTF-8"})
    assert done.code == code, done.stderr
    if code:
        assert "d.bin" in done.stderr
        assert "pointer" in done.stderr
        assert "\x01" not in done.stderr
    assert (hfclone.cwd / "out").joinpath(name.decode()).read_bytes() == pointer("xyz", 5)


@pytest.mark.parametrize("first_is_right", [True, False])
def test_two_sizes_of_one_object(hfclone: Command, hub: Hub, first_is_right: bool) -> None:
    data = b"x" * 1000
    other = pointer(hashlib.sha256(data).hexdigest(), 2000)
    content = (LfsBytes(data), other) if first_is_right else (other, LfsBytes(data))
    hub.repo(
        "acme/model",
        {".gitattributes": ATTRIBUTES, "a.bin": content[0], "b.bin": content[1], "w.bin": Lfs(50_000, 1)},
    )
    done = hfclone("acme/model", "out", "--give-up-after", "10s")
    assert done.code == 5, done.stderr
    assert "another size" in done.error, done.stderr
    out = hfclone.cwd / "out"
    assert (out / "w.bin").read_bytes() == Lfs(50_000, 1).content
    if first_is_right:
        assert (out / "a.bin").read_bytes() == data
    assert (out / "b.bin").stat().st_size < 1000, "it stays as git has it"
    assert git(out, "rev-parse", "HEAD")


def test_an_empty_object_that_is_none(rig: Rig) -> None:
    """Nobody can be asked for it, and nothing of it fetched anew; all else arrives."""
    none = Pointer(Oid("ab" * 32), 0)
    rig.objects = [none, *rig.objects[-3:]]
    rig.paths = {**rig.paths, none.oid: (b"none.bin",)}
    with rig.in_background() as run:
        ran = run.done(30)
    assert [failed.pointer for failed in ran.failed] == [none]
    assert isinstance(ran.failed[0].error, HashMismatch)


# --- partials ----------------------------------------------------------------------------------


def hold(rig: Rig, start: int, stop: int) -> None:
    """Let the first object's partial hold a proven range."""
    wanted = rig.objects[0]
    data = rig.repo.object_path(wanted.oid).read_bytes()[start:stop]
    part = rig.partials.open(wanted)
    part.write(data, start)
    part.record(Record(start, stop, "x", RangeDigest(data).hexdigest()))
    part.close()


def full(*_: object) -> None:
    """Where there is no room."""
    raise OSError(errno.ENOSPC, "full")


def test_nothing_is_proven_where_there_is_no_room(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Proving counts as progress, so it must not be done again and again in vain."""
    hold(rig, 0, 30_000)
    heard: list[int] = []
    monkeypatch.setattr(partials, "reserve", full)
    with pytest.raises(DiskFull):
        rig.partials.open(rig.objects[0], heard.append)
    assert heard == []
    monkeypatch.undo()
    rig.partials.open(rig.objects[0], heard.append).close()
    assert heard == [30_000]


def test_a_disk_that_stays_full_ends_patience(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.objects = rig.objects[:1]
    hold(rig, 0, 30_000)
    rig.patience = rig.first_answer = 2.0
    monkeypatch.setattr(failure_policy, "DISK_WAIT", 0.3)
    monkeypatch.setattr(partials, "reserve", full)
    outcomes: list[Arrived | Failed] = []

    def run() -> None:
        outcomes.extend(rig.transfer().fetch(rig.wanted, lambda _: None))

    thread = threading.Thread(target=run, daemon=True)
    began = time.monotonic()
    thread.start()
    thread.join(8)
    ended = not thread.is_alive()
    monkeypatch.undo()  # lets it end in any case
    thread.join(30)
    assert ended
    assert time.monotonic() - began >= 1.5
    assert [outcome.error.code for outcome in outcomes if isinstance(outcome, Failed)] == ["disk-full"]


def test_a_whole_answer_over_gaps_has_one_digest(hub: Hub, tmp_path: Path) -> None:
    """What is proven in the middle must not be hashed as if it were the beginning."""
    repo = hub.repo("acme/model", {".gitattributes": ATTRIBUTES, "w.bin": Lfs(900_000, 3)})
    hub.faults.add(IgnoreRange(), kind="cdn")
    rig = Rig(hub, repo, tmp_path / "parts", patience=10.0, first_answer=10.0)
    hold(rig, 300_000, 600_000)
    ran = rig.fetch()
    assert not ran.failed
    assert "hash-mismatch" not in ran.faults
    assert len(hub.log.of(kind="cdn")) <= 3
