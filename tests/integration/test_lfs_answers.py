"""Whatever an LFS host, a hub or a mirror may answer a batch request with: what becomes of the run, in tables."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.command import Command, Outcome, git, placed
from tests.hub import Front, Hub, Lfs
from tests.hub.answers import CaptivePortal, RedirectTo, Silent, Status
from tests.hub.faults import Fault, Serve
from tests.hub.messages import FileBody, Request, Response, as_json, with_ranges

LFS_JSON = {"Content-Type": "application/vnd.git-lfs+json"}
SOON = 20.0
"""Seconds in which a run ends that waits for nothing; without that, it would wait a day."""
FETCHERS = ["auto", "aria2c"]


@dataclass
class Says(Silent):
    """A batch request is answered by a function of it, which may have it served first."""

    say: Callable[[Request, Serve], Response]

    def answer(self, request: Request, serve: Serve) -> Response:
        return self.say(request, serve)


def refuses(status: int, message: str) -> Says:
    """The request as a whole, as the LFS API has it."""

    def say(_request: Request, _serve: Serve) -> Response:
        response = as_json({"message": message}, dict(LFS_JSON), status=status)
        response.bare = True
        return response

    return Says(say)


def rewrites(row: Callable[[dict[str, Any]], dict[str, Any]]) -> Says:
    """Each row of the honest answer."""

    def say(request: Request, serve: Serve) -> Response:
        rows = json.loads(bytes(serve(request).body))["objects"]  # type: ignore[arg-type]  # it is JSON
        return as_json({"objects": [row(each) for each in rows]}, dict(LFS_JSON))

    return Says(say)


def refuses_objects(codes: Mapping[str, int]) -> Says:
    """Those objects whose oid is named, each with its code."""

    def row(honest: dict[str, Any]) -> dict[str, Any]:
        code = codes.get(honest["oid"])
        error = {"code": code, "message": f"words of {code}"}
        return {"oid": honest["oid"], "size": honest["size"], "error": error} if code else honest

    return rewrites(row)


@dataclass
class World:
    """A clone by plain git of a repo on a host that hfclone knows nothing of."""

    hub: Hub
    host: Front
    hfclone: Command
    dest: Path

    def repo(self, files: dict[str, Any]) -> World:
        """Make the repo and the clone."""
        self.hub.repo("acme/tiny", files)
        skip = {"GIT_LFS_SKIP_SMUDGE": "1"}
        self.hfclone.git(self.dest.parent, "clone", "-q", f"{self.host.url}/acme/tiny.git", self.dest.name, env=skip)
        return self

    def fetch(self, *args: object, timeout: float = SOON) -> Outcome:
        """Run it; the log holds its requests alone, and none of them is for what only hubs have."""
        self.hub.log.wait_quiet()
        self.hub.log.clear()
        outcome = self.hfclone("fetch", self.dest, *args, env={"HF_ENDPOINT": "http://127.0.0.1:9"}, timeout=timeout)
        assert self.asked("resolve", "raw", "api", "cache") == 0
        assert not [entry for entry in self.hub.log.entries if entry.token]
        return outcome

    def asked(self, *kinds: str) -> int:
        """How many requests of these kinds came."""
        return len([entry for entry in self.hub.log.entries if entry.kind in kinds])

    def is_whole(self) -> bool:
        """Whether all objects are in place, and git finds nothing changed."""
        pointers = {line.split()[-1] for line in git(self.dest, "ls-files", "*.bin").splitlines()}
        return placed(self.dest) == pointers and git(self.dest, "status", "--porcelain") == ""


@pytest.fixture
def world(hub: Hub, hfclone: Command, tmp_path: Path) -> World:
    """With no repo yet."""
    return World(hub, hub.mirror("host"), hfclone, tmp_path / "plain")


TWO = {"a.bin": Lfs(3_000, seed=1), "b.bin": Lfs(4_000, seed=2)}

# --- a git host, the request as a whole -----------------------------------------------------------

FINAL = {
    400: "refuses to list LFS objects",
    401: "wants a login for LFS objects",
    403: "forbids access to its LFS objects",
    404: "does not serve LFS objects of this repo",
    405: "does not serve LFS objects of this repo",
    406: "refuses to list LFS objects",
    409: "refuses to list LFS objects",
    410: "does not serve LFS objects of this repo",
    422: "refuses to list LFS objects",
    501: "does not serve LFS objects of this repo",
}


@pytest.mark.parametrize(("code", "text"), FINAL.items())
def test_a_hosts_no_ends_the_run_with_its_words(world: World, code: int, text: str) -> None:
    words = "ask ops\x1b[2J about\n\nthis repo " + 300 * "x"
    rule = world.repo(TWO).host.faults.add(refuses(code, words), kind="batch")
    done = world.fetch()
    assert done.code == 3, done.stderr
    host = world.host.url.removeprefix("http://")
    assert f"lfs-refused ({host}), 2 times: {host} {text} (HTTP {code}): ask ops [2J about this repo xxx" in done.error
    assert max(map(len, done.stderr.splitlines())) < 400
    assert "\x1b" not in done.stderr
    assert rule.hits == 1
    assert ("git lfs pull" in done.hint) == (code in (401, 403, 404, 405, 410, 501))


@pytest.mark.parametrize("code", [401, 404])
def test_a_no_without_words_and_through_aria2c(world: World, code: int) -> None:
    rule = world.repo(TWO).host.faults.add(Status(code, body="<html>"), kind="batch")
    done = world.fetch("--fetcher", "aria2c")
    assert (done.code, rule.hits) == (3, 1), done.stderr
    assert FINAL[code] in done.error


def test_one_object_is_too_many(world: World) -> None:
    rule = world.repo(TWO).host.faults.add(refuses(413, "go away"), kind="batch")
    done = world.fetch()
    assert (done.code, rule.hits) == (3, 2), done.stderr
    assert "refuses to list LFS objects (HTTP 413): go away" in done.error


PASSING: dict[str, tuple[Fault, int]] = {
    "a page": (CaptivePortal(), 3),
    "a redirect that leads nowhere": (Status(301), 1),
    "no JSON": (Status(200, headers=LFS_JSON, body="{"), 1),
    "no batch answer": (Status(200, headers=LFS_JSON, body='{"message": "hello"}'), 1),
    "408": (refuses(408, "slow"), 1),
    "425": (refuses(425, "early"), 1),
    "429": (refuses(429, "fast"), 1),
    "500": (Status(500), 2),
    "503": (Status(503, retry_after=1), 1),
    "507": (refuses(507, "full"), 1),
}
"""Each with how often."""


@pytest.mark.parametrize(("fault", "times"), PASSING.values(), ids=PASSING)
def test_what_may_pass_is_outlived(world: World, fault: Fault, times: int) -> None:
    rule = world.repo(TWO).host.faults.add(fault, kind="batch", times=times)
    done = world.fetch()
    assert done.code == 0, done.stderr
    assert rule.hits == times
    assert world.asked("batch") == times + 1
    assert world.is_whole()


@pytest.mark.parametrize("fetcher", FETCHERS)
def test_what_may_pass_is_waited_for_to_the_end(world: World, fetcher: str) -> None:
    world.repo(TWO).host.faults.add(refuses(507, "the disk is full"), kind="batch")
    done = world.fetch("--give-up-after", "2s", "--fetcher", fetcher)
    assert done.code == 4, done.stderr
    assert "server-fault" in done.error
    assert "answered HTTP 507: the disk is full" in done.error


@pytest.mark.parametrize("fetcher", FETCHERS)
def test_a_dashboard_is_no_lfs(world: World, fetcher: str) -> None:
    """Git is answered as git is: no portal stands in between, and the page is the host's."""
    rule = world.repo(TWO).host.faults.add(CaptivePortal(), kind="batch")
    done = world.fetch("--fetcher", fetcher)
    assert (done.code, rule.hits, world.asked("git")) == (3, 5, 1), done.stderr
    assert f"has no LFS API for this repo: {world.host.url}/acme/tiny.git/info/lfs/objects/batch answers" in done.error


def test_a_portal_over_everything_is_waited_for(world: World) -> None:
    """Longer than a dashboard would be, and named when patience ends."""
    world.repo(TWO).host.faults.add(CaptivePortal())
    done = world.fetch("--give-up-after", "9s")
    assert done.code == 4, done.stderr
    assert "not-the-object" in done.error
    assert world.asked("git") >= 1


# --- a git host, redirects ------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_followed_to_where_lfs_is(world: World, status: int) -> None:
    store = world.repo(TWO).hub.mirror("store")
    world.host.faults.add(RedirectTo(f"{store.url}/acme/tiny.git/info/lfs/objects/batch", status), kind="batch")
    done = world.fetch()
    assert done.code == 0, done.stderr
    assert [entry.method for entry in world.hub.log.of(listener="store", kind="batch")] == ["POST"]
    assert world.is_whole()


def test_a_redirect_to_a_login_is_named(world: World) -> None:
    """Which takes no POST."""
    login = f"{world.host.url}/users/sign_in"
    world.repo(TWO).host.faults.add(Status(405, body="<html>"), path="/users/sign_in")
    world.host.faults.add(RedirectTo(f"{login}?next=SECRET"), kind="batch")
    done = world.fetch()
    assert done.code == 3, done.stderr
    assert f"has no LFS API for this repo: {login} answers with something else" in done.error
    assert "SECRET" not in done.stderr
    assert "git lfs pull" in done.hint


# --- a git host, batches --------------------------------------------------------------------------


@pytest.mark.parametrize(("number", "limit", "fetcher"), [(7, 2, "auto"), (120, 30, "auto"), (7, 2, "aria2c")])
def test_batches_are_halved_until_they_fit(world: World, number: int, limit: int, fetcher: str) -> None:
    world.repo({f"{each}.bin": Lfs(2_000, seed=each) for each in range(number)})
    world.host.manners.batch_limit = limit
    done = world.fetch("--fetcher", fetcher)
    assert done.code == 0, done.stderr
    assert world.is_whole()
    sizes = [entry.status for entry in world.hub.log.of(kind="batch")]
    assert sizes.count(413) <= 2
    assert len(sizes) <= 2 + number


# --- single objects -------------------------------------------------------------------------------

OBJECTS_FINAL = (401, 403, 404, 406, 409, 410, 413, 422, 501)
OBJECTS_PASSING = (408, 429, 500, 507)


def objects(codes: tuple[int, ...]) -> dict[str, Any]:
    """One for each code, named by it, and a sound one."""
    return {"good.bin": Lfs(5_000, seed=1), **{f"{code}.bin": Lfs(2_000, seed=code) for code in codes}}


def oids(files: dict[str, Any], codes: tuple[int, ...]) -> dict[str, int]:
    """The code of each object."""
    return {hashlib.sha256(files[f"{code}.bin"].content).hexdigest(): code for code in codes}


@pytest.mark.parametrize("fetcher", FETCHERS)
def test_a_no_for_an_object_ends_that_object(world: World, fetcher: str) -> None:
    files = objects(OBJECTS_FINAL)
    world.repo(files).host.faults.add(refuses_objects(oids(files, OBJECTS_FINAL)), kind="batch")
    done = world.fetch("--fetcher", fetcher, "--progress", "json")
    assert done.code == 3, done.stderr
    assert placed(world.dest) == {"good.bin"}
    failed = {event["oid"]: event["error"] for event in done.events if event["event"] == "failed"}
    for oid, code in oids(files, OBJECTS_FINAL).items():
        error = failed[oid]
        assert error["code"] == ("object-missing" if code in (404, 410) else "object-refused")
        assert error["message"].endswith(f": words of {code}")
        assert "--mirror" not in error["hint"]
    assert world.asked("batch") == 1


@pytest.mark.parametrize("fetcher", FETCHERS)
def test_an_object_that_may_come_later_is_outlived(world: World, fetcher: str) -> None:
    files = objects(OBJECTS_PASSING)
    rule = world.repo(files).host.faults.add(refuses_objects(oids(files, OBJECTS_PASSING)), kind="batch", times=1)
    done = world.fetch("--fetcher", fetcher)
    assert done.code == 0, done.stderr
    assert rule.hits == 1
    assert world.is_whole()


def test_an_object_that_may_come_later_is_waited_for_to_the_end(world: World) -> None:
    files = objects((503,))
    world.repo(files).host.faults.add(refuses_objects(oids(files, (503,))), kind="batch")
    done = world.fetch("--give-up-after", "2s")
    assert done.code == 4, done.stderr
    assert "answered HTTP 503: words of 503" in done.error
    assert placed(world.dest) == {"good.bin"}


@pytest.mark.parametrize(
    ("href", "code"),
    [("/objs/{oid}", 0), ("//user@127.0.0.1/{oid}", 4)],
)
@pytest.mark.parametrize("fetcher", FETCHERS)
def test_relative_addresses(world: World, href: str, code: int, fetcher: str) -> None:
    """By the same rules as whole ones; what is refused is not waited for."""
    repo = world.repo(TWO).hub.site.find("model", "acme/tiny")
    assert repo is not None

    def send(request: Request, _serve: Serve) -> Response:
        path = repo.repo.object_path(request.path.rpartition("/")[2])
        return with_ranges(request, FileBody(path, 0, path.stat().st_size), {})

    def row(honest: dict[str, Any]) -> dict[str, Any]:
        return {**honest, "actions": {"download": {"href": href.format(**honest)}}}

    world.host.faults.add(Says(send), path="/objs/", kind="other")
    world.host.faults.add(rewrites(row), kind="batch")
    done = world.fetch("--fetcher", fetcher)
    assert done.code == code, done.stderr
    assert world.is_whole() is (code == 0)
    assert ("as the address of object" in done.error) is (code != 0)


# --- lfs.url --------------------------------------------------------------------------------------


def test_lfs_url_names_who_is_asked(world: World) -> None:
    """In errors and in the report; git's own host is not asked for objects."""
    store = world.repo(TWO).hub.mirror("store")
    git(world.dest, "config", "lfs.url", f"{store.url}/acme/tiny.git/info/lfs")
    rule = store.faults.add(refuses(503, "soon"), kind="batch", times=1)
    done = world.fetch("-v", "--progress", "json")
    assert (done.code, rule.hits) == (0, 1), done.stderr
    name = store.url.removeprefix("http://")
    assert {event["endpoint"] for event in done.events if event["event"] == "faulted"} == {name}
    assert [row["endpoint"] for row in done.event("report")["endpoints"]] == [name]
    assert {entry.listener for entry in world.hub.log.entries} == {"store", "cdn"}
    assert world.host.url.removeprefix("http://") not in done.stderr + done.stdout


def test_lfs_url_of_a_host_that_is_down_and_one_that_is_none(world: World) -> None:
    git(world.repo(TWO).dest, "config", "lfs.url", "http://127.0.0.1:9/lfs")
    done = world.fetch("--give-up-after", "2s")
    assert (done.code, "cannot reach 127.0.0.1:9" in done.error) == (4, True), done.stderr
    git(world.dest, "config", "lfs.url", "http://user:SECRET@host:port/lfs")
    done = world.fetch()
    assert (done.code, "lfs.url 'http://host:port/lfs': it is no URL" in done.error) == (2, True), done.stderr
    assert "SECRET" not in done.stderr


def test_lfs_url_where_git_came_from_a_folder(world: World, hfclone: Command) -> None:
    repo = world.repo(TWO).hub.site.find("model", "acme/tiny")
    assert repo is not None
    hfclone.git(world.dest, "remote", "set-url", "origin", str(repo.repo.git_dir))
    git(world.dest, "config", "lfs.url", f"{world.host.url}/acme/tiny.git/info/lfs")
    done = world.fetch()
    assert done.code == 0, done.stderr
    assert world.is_whole()


def test_a_small_file_that_git_lost_comes_by_git(world: World) -> None:
    """Not by the hub's ways, and from git's own host."""
    store = world.repo({**TWO, "notes.txt": "lost\n"}).hub.mirror("store")
    git(world.dest, "config", "lfs.url", f"{store.url}/acme/tiny.git/info/lfs")
    blob = git(world.dest, "rev-parse", "HEAD:notes.txt")
    for pack in sorted((world.dest / ".git/objects/pack").glob("*.pack")):
        aside = pack.rename(world.dest.parent / pack.name)
        pack.with_suffix(".idx").unlink()
        with aside.open("rb") as content:
            subprocess.run(["git", "unpack-objects", "-q"], cwd=world.dest, stdin=content, check=True)
    (world.dest / ".git/objects" / blob[:2] / blob[2:]).unlink()
    done = world.fetch()
    assert done.code == 0, done.stderr
    assert git(world.dest, "cat-file", "-p", blob) == "lost"
    assert {(entry.listener, entry.kind) for entry in world.hub.log.entries} == {
        ("host", "git"),
        ("store", "batch"),
        ("cdn", "cdn"),
    }


# --- the hub, and a mirror before it --------------------------------------------------------------

HUB: dict[str, tuple[Fault, int]] = {
    "page": (CaptivePortal(), 0),
    "413": (refuses(413, "too many"), 0),
    "422": (refuses(422, "no"), 0),
    "503": (refuses(503, "later"), 4),
}


@pytest.mark.parametrize(("fault", "code"), HUB.values(), ids=HUB)
def test_a_hub_without_batch_is_asked_by_resolve(
    hub: Hub, hfclone: Command, tmp_path: Path, fault: Fault, code: int
) -> None:
    hub.repo("acme/tiny", dict(TWO))
    hub.faults.add(fault, kind="batch")
    done = hfclone("acme/tiny", tmp_path / "out", "--give-up-after", "2s")
    assert done.code == code, done.stderr
    assert bool(hub.log.of(kind="resolve")) is (code == 0)


def test_a_hub_that_refuses_objects(hub: Hub, hfclone: Command, tmp_path: Path) -> None:
    files = objects(OBJECTS_FINAL)
    hub.repo("acme/tiny", files)
    hub.faults.add(refuses_objects(oids(files, OBJECTS_FINAL)), kind="batch")
    done = hfclone("acme/tiny", tmp_path / "out", "--progress", "json", timeout=SOON)
    assert done.code == 3, done.stderr
    errors = [event["error"] for event in done.events if event["event"] == "failed"]
    assert sorted(error["message"].rpartition(" ")[2] for error in errors) == sorted(map(str, OBJECTS_FINAL))
    assert all("another --mirror" in error["hint"] for error in errors)
    assert placed(tmp_path / "out") == {"good.bin"}


@pytest.mark.parametrize("fetcher", FETCHERS)
def test_what_a_mirror_refuses_the_hub_is_asked_for(hub: Hub, hfclone: Command, tmp_path: Path, fetcher: str) -> None:
    """Each object once, and no more of the mirror."""
    codes = (*OBJECTS_FINAL, *OBJECTS_PASSING)
    files = objects(codes)
    hub.repo("acme/tiny", files)
    mirror = hub.mirror()
    mirror.faults.add(refuses_objects(oids(files, OBJECTS_FINAL)), kind="batch")
    done = hfclone("acme/tiny", tmp_path / "out", "--mirror", mirror.url, "--fetcher", fetcher, timeout=SOON)
    assert done.code == 0, done.stderr
    assert placed(tmp_path / "out") == set(files)
    assert len(hub.log.of(listener="mirror", kind="batch")) <= 2


MIRROR: dict[str, Fault] = {
    "page": CaptivePortal(),
    "422": refuses(422, "no"),
    "503": refuses(503, "later"),
}


@pytest.mark.parametrize("fault", MIRROR.values(), ids=MIRROR)
def test_a_mirror_without_batch_costs_nothing(hub: Hub, hfclone: Command, tmp_path: Path, fault: Fault) -> None:
    hub.repo("acme/tiny", dict(TWO))
    mirror = hub.mirror()
    mirror.faults.add(fault, kind="batch")
    done = hfclone("acme/tiny", tmp_path / "out", "--mirror", mirror.url, timeout=SOON)
    assert done.code == 0, done.stderr
    assert placed(tmp_path / "out") == set(TWO)
