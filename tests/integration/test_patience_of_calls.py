"""Single calls (a revision, git, a signed URL) that fail once are asked again; what stays is said in time."""

from __future__ import annotations

import json
import queue
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.e2e.command import Command, assert_checkout
from tests.hub import Hub, Lfs, LivingRepo
from tests.hub.answers import NoAnswer, Status

NOT_THERE = {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"}


@pytest.fixture
def model(hub: Hub) -> LivingRepo:
    """One object and two files of git's."""
    attributes = "*.bin filter=lfs diff=lfs merge=lfs -text\n"
    return hub.repo("acme/model", {".gitattributes": attributes, "README.md": "hi\n", "w.bin": Lfs(300_000, 1)})


@contextmanager
def events(hfclone: Command, *args: object) -> Iterator[Iterator[dict[str, Any]]]:
    """The events of a run that is stopped when the test has seen enough."""
    process = hfclone.start(*args, "--progress", "json")
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            lines.put(line)
        lines.put("")

    reader = threading.Thread(target=read, daemon=True)
    reader.start()

    def each() -> Iterator[dict[str, Any]]:
        deadline = time.monotonic() + 20
        while line := lines.get(timeout=max(0.01, deadline - time.monotonic())):
            yield json.loads(line)

    try:
        yield each()
    finally:
        process.kill()
        reader.join()
        process.communicate()


# --- a mirror that says no while the hub is silent ---------------------------------------------


def test_a_mirrors_no_is_not_the_hubs(hfclone: Command, hub: Hub, model: LivingRepo) -> None:
    """It may be behind: the hub's word is waited for."""
    mirror = hub.mirror()
    refused = mirror.faults.add(Status(404, headers=NOT_THERE), kind="api")
    silent = hub.faults.add(NoAnswer(), kind="api", on="hub", times=3)
    done = hfclone("acme/model", "out", "--mirror", mirror.url)
    assert done.code == 0, done.stderr
    assert silent.hits == 3
    assert refused.hits > 0
    assert_checkout(hfclone.cwd / "out", model.commit, f"{hub.url}/acme/model")


def test_a_mirrors_no_is_the_last_word_if_the_hub_never_speaks(hfclone: Command, hub: Hub, model: LivingRepo) -> None:
    mirror = hub.mirror()
    mirror.faults.add(Status(404, headers=NOT_THERE), kind="api")
    hub.down()
    began = time.monotonic()
    done = hfclone("acme/model", "out", "--mirror", mirror.url, "--give-up-after", "3s", "--progress", "json")
    assert time.monotonic() - began >= 3, "the hub was waited for"
    assert done.code == 3, done.stderr
    assert done.event("error")["code"] == "repo-not-found"
    assert done.event("error")["fields"]["endpoint"] == mirror.url.removeprefix("http://")
    assert any(event["event"] == "waiting" for event in done.events)


# --- what may pass, from the hub ---------------------------------------------------------------

PASSING = [("api", 401), ("api", 403), ("api", 404), ("git", 403), ("git", 404), ("cdn", 404)]


@pytest.mark.parametrize(("kind", "status"), PASSING)
def test_a_refusal_that_passes(hfclone: Command, hub: Hub, model: LivingRepo, kind: str, status: int) -> None:
    rule = hub.faults.add(Status(status), kind=kind, times=1)
    done = hfclone("acme/model", "out")
    assert done.code == 0, done.stderr
    assert rule.hits == 1
    assert_checkout(hfclone.cwd / "out", model.commit, f"{hub.url}/acme/model")


def test_a_401_that_is_not_the_hubs_is_no_word_on_the_repo(hfclone: Command, hub: Hub, model: LivingRepo) -> None:
    hub.faults.add(Status(401), on="hub")
    done = hfclone("acme/model", "out", "--give-up-after", "2s", "--progress", "json")
    assert done.code == 4, done.stderr
    assert done.event("error")["code"] == "server-fault"
    assert "captive portal" in done.event("error")["hint"]


def test_git_that_stays_away_is_no_matter_of_patience(hfclone: Command, hub: Hub, model: LivingRepo) -> None:
    """A few refusals, and the run ends, though it would have waited a day."""
    rule = hub.faults.add(Status(404), kind="git")
    done = hfclone.end(hfclone.start("acme/model", "out"), timeout=45)
    assert done.code != 0
    assert done.error
    assert rule.hits < 30


# --- how long is waited ------------------------------------------------------------------------


def test_a_commit_of_a_dead_host_is_not_waited_for_a_day(hub: Hub, hfclone: Command) -> None:
    """Nobody was asked for the revision, so nobody has answered."""
    hub.down()
    with events(hfclone, f"acme/model@{'a' * 40}", "out") as seen:
        waiting = next(event for event in seen if event["event"] == "waiting")
    assert 0 < waiting["gives_up_in"] <= 120


def test_the_hours_of_a_window_are_kept(hub: Hub, hfclone: Command, model: LivingRepo) -> None:
    hour = time.localtime().tm_hour
    window = f"{(hour + 3) % 24:02}:00-{(hour + 5) % 24:02}:00"
    with events(hfclone, "acme/model", "out", "--window", window) as seen:
        waiting = next(event for event in seen if event["event"] in ("waiting", "verified", "report"))
        time.sleep(0.5)
    assert waiting["event"] == "waiting", waiting
    assert waiting["seconds"] > 3600
    assert window.partition("-")[0] in waiting["reason"]
    assert not hub.log.of(kind="cdn")
