"""A far side whose git holds a run up, or fills its disk: it is given up, and the next one is asked."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from subprocess import PIPE

import pytest

from hfclone.git.watching import Ending, FetchLimits, Judge, Signs, is_at_work
from tests.e2e.command import Command, assert_checkout, git
from tests.hub import Hub, LivingRepo, Manners
from tests.hub.messages import Response
from tests.hub.packs import DrippedRefs, EmptyPackets, EndlessPack, HoldAfterPack, TalkFirst, TalkOnly, TricklePack

FAULTS = {"talk": TalkOnly, "empty packets": EmptyPackets, "trickle": TricklePack, "held at the end": HoldAfterPack}


@pytest.mark.parametrize("how", FAULTS)
def test_a_git_that_brings_nothing(hub: Hub, tiny_repo: LivingRepo, hfclone: Command, how: str) -> None:
    """With the hub beside it the run is over soon; it says meanwhile who is waited for."""
    mirror = hub.mirror("mirror")
    mirror.faults.add(FAULTS[how](), on="mirror", kind="git")
    began = time.monotonic()
    done = hfclone("acme/tiny", "--mirror", mirror.url, "--stall-after", "1s", "-v")
    assert done.code == 0, done.stderr
    assert time.monotonic() - began < 45
    assert "sent nothing for" in done.stderr
    assert_checkout(hfclone.cwd / "tiny", tiny_repo.commit, f"{hub.url}/acme/tiny")
    assert not list((hfclone.cwd / "tiny/.git/objects").rglob("tmp_*"))


def test_a_slow_one_is_given_more_time_each_time(hub: Hub, tiny_repo: LivingRepo, hfclone: Command) -> None:
    """Alone, one that needs twice what it is given at first is waited for in the end."""
    hub.faults.add(TalkFirst(seconds=5.0), kind="git")
    done = hfclone("acme/tiny", "--stall-after", "1s", "-v")
    assert done.code == 0, done.stderr
    assert "sent nothing for 3 s" in done.stderr


def test_one_that_says_little_before_it_brings_anything(hub: Hub, tiny_repo: LivingRepo, hfclone: Command) -> None:
    """A server counts its objects first; libcurl would never let it come to its end."""
    counting = hub.faults.add(TalkFirst(seconds=5.0, is_terse=True), kind="git")
    done = hfclone("acme/tiny", "--stall-after", "1s", "-v", timeout=60)
    assert done.code == 0, done.stderr
    assert "too slow" in done.stderr or "sent nothing for" in done.stderr
    assert counting.hits > 2


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 200 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=200m", "tmpfs", folder]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a small disk")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_pack_without_end(hub: Hub, tiny_repo: LivingRepo, hfclone: Command, disk: Path) -> None:
    """The disk keeps some room, is emptied, and the hub is asked; a second run is as good as a first."""
    mirror = hub.mirror("mirror")
    mirror.faults.add(EndlessPack(), on="mirror", kind="git")
    dest = disk / "tiny"
    for _run in range(2):
        done = hfclone("acme/tiny", dest, "--mirror", mirror.url, "-v")
        assert done.code == 0, done.stderr
        assert "git was stopped after" in done.stderr
        assert_checkout(dest, tiny_repo.commit, f"{hub.url}/acme/tiny")
        assert not list((dest / ".git/objects").rglob("tmp_*"))
        assert shutil.disk_usage(disk).free > 190 * 1024 * 1024
        shutil.rmtree(dest)


def test_alone_it_is_a_full_disk(hub: Hub, tiny_repo: LivingRepo, hfclone: Command, disk: Path) -> None:
    hub.faults.add(EndlessPack(), kind="git")
    done = hfclone("acme/tiny", disk / "tiny")
    assert (done.code, "takes no more" in done.error) == (6, True), done.stderr
    assert shutil.disk_usage(disk).free > 190 * 1024 * 1024
    hub.faults.clear()
    assert hfclone("acme/tiny", disk / "tiny").code == 0


def test_what_a_user_s_own_git_writes_stays(hub: Hub, tiny_repo: LivingRepo, hfclone: Command) -> None:
    """Only what a fetch of ours has left is removed, and what has been left alone for an hour."""
    assert hfclone("acme/tiny").code == 0
    packs = hfclone.cwd / "tiny/.git/objects/pack"
    theirs, nobodys = packs / "tmp_pack_theirs", packs / "tmp_pack_nobodys"
    for path in (theirs, nobodys):
        path.write_bytes(b"PACK")
    os.utime(nobodys, (1, 1))
    tiny_repo.add_commit({"config.json": "theirs\n"})
    mirror = hub.mirror("mirror")
    mirror.faults.add(TalkOnly(), on="mirror", kind="git")
    assert hfclone("pull", "tiny", "--mirror", mirror.url, "--stall-after", "1s").code == 0
    assert (theirs.exists(), nobodys.exists()) == (True, False)
    assert git(hfclone.cwd / "tiny", "rev-parse", "HEAD") == tiny_repo.commit


@dataclass
class TalkWhile(TalkOnly):
    """As its base, once something was begun."""

    begin: Callable[[], None] = lambda: None

    def _packets(self, honest: Callable[[], Response]) -> Iterator[bytes]:
        self.begin()
        yield from super()._packets(honest)


def test_a_user_s_own_git_that_works_meanwhile_goes_on(hub: Hub, tiny_repo: LivingRepo, hfclone: Command) -> None:
    """What it has not finished is not what our fetch has left."""
    assert hfclone("acme/tiny").code == 0
    tiny = hfclone.cwd / "tiny"
    pack = subprocess.run(
        ["git", "pack-objects", "--all", "--stdout"], cwd=tiny, capture_output=True, check=True
    ).stdout
    theirs: list[subprocess.Popen[bytes]] = []

    def begin() -> None:
        if theirs:
            return
        theirs.append(
            subprocess.Popen(["git", "index-pack", "--stdin"], cwd=tiny, stdin=PIPE, stdout=PIPE, stderr=PIPE)
        )
        until = time.monotonic() + 10
        while not list(tiny.glob(".git/objects/pack/tmp_pack_*")) and time.monotonic() < until:
            time.sleep(0.01)

    tiny_repo.add_commit({"config.json": "theirs\n"})
    mirror = hub.mirror("mirror")
    mirror.faults.add(TalkWhile(begin=begin), on="mirror", kind="git")
    done = hfclone("pull", "tiny", "--mirror", mirror.url, "-v")
    assert (done.code, "cannot reach" in done.stderr) == (0, True), done.stderr
    _, said = theirs[0].communicate(pack, timeout=20)
    assert (theirs[0].returncode, said) == (0, b"")


LIMITS = FetchLimits(most_bytes=1_000, quiet=60.0, least_rate=500.0)
RECEIVING, WHOLE = b"Receiving objects: %d%% (1/2)", b"Receiving objects: 100% (2/2), done."


def steady(rate: float, seconds: int) -> list[tuple[float, Signs]]:
    return [(float(at), Signs(0, int(rate * at), RECEIVING % (at % 100))) for at in range(1, seconds)]


JUDGED: dict[str, tuple[list[tuple[float, Signs]], tuple[Ending, float] | None]] = {
    "nothing at all": ([(float(at), Signs(0, None, b"")) for at in range(70)], (Ending.STALLED, 61.0)),
    "a slow line": (steady(501.0, 1000), None),
    "a slower line": (steady(499.0, 1000), (Ending.STALLED, 61.0)),
    "a line that stops": (
        [*steady(10_000.0, 100), *((float(at), Signs(0, 1_000_000, RECEIVING % 99)) for at in range(100, 300))],
        (Ending.STALLED, 61.0),
    ),
    "words that change are no bytes": (steady(1.0, 100), (Ending.STALLED, 61.0)),
    "where nobody counts bytes, words are signs": (
        [(float(at), Signs(0, None, RECEIVING % (at % 100))) for at in range(1000)], None,
    ),
    "deltas are resolved": (
        [*steady(10_000.0, 50), *((50.0 + at, Signs(0, 500_000, b"Resolving deltas: %d%%" % at)) for at in range(100))],
        None,
    ),
    "nothing after the pack": (
        [*steady(10_000.0, 50), *((50.0 + at, Signs(0, 500_000, WHOLE)) for at in range(100))], (Ending.STALLED, 61.0),
    ),
    "a delta that takes minutes": (
        [
            *steady(10_000.0, 50),
            *((50.0 + at, Signs(0, 500_000, WHOLE, works=True)) for at in range(900)),
            *((950.0 + at, Signs(0, 500_000, WHOLE)) for at in range(50)),
        ],
        None,
    ),
    "work without end": (
        [*steady(10_000.0, 50), *((50.0 + at, Signs(0, 500_000, WHOLE, works=True)) for at in range(4000))],
        (Ending.STALLED, 1801.0),
    ),
    "a receiver that works is no receiver that gets on": (
        [(float(at), Signs(0, at, RECEIVING % 5, works=True)) for at in range(100)], (Ending.STALLED, 61.0),
    ),
    "nobody looked for an hour": (
        [(at + (3600.0 if at > 30 else 0.0), Signs(0, None, b"")) for at in range(50)], None,
    ),
    "too much": ([(1.0, Signs(1_000, 1_000, RECEIVING % 1)), (2.0, Signs(1_001, 1, b""))], (Ending.TOO_LARGE, 1_001.0)),
}  # fmt: skip


@pytest.mark.parametrize("case", JUDGED)
def test_the_rule(case: str) -> None:
    seen, wanted = JUDGED[case]
    judge = Judge(LIMITS, 0.0)
    found = next((ended for now, signs in seen if (ended := judge.look(now, signs))), None)
    assert (found and found[0]) == (wanted and wanted[0])
    if found and wanted:
        assert found[1] == pytest.approx(wanted[1], abs=1.5)


def test_who_is_at_work() -> None:
    """Whoever indexes what has come, and not whoever waits for more of it."""
    seen = {}
    for name, program in (("works", "while True: pass"), ("waits", "input()")):
        command = [sys.executable, "-c", f"print(flush=True)\n{program}", "index-pack"]
        with subprocess.Popen(command, stdin=PIPE, stdout=PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            until = time.monotonic() + 10
            while (found := is_at_work(process.pid)) != (name == "works") and time.monotonic() < until:
                time.sleep(0.01)
            seen[name] = found
            process.kill()
    assert seen == {"works": True, "waits": False}


def test_refs_that_do_not_end(hub: Hub, tiny_repo: LivingRepo, hfclone: Command) -> None:
    """A mirror that gives no bare commit is asked for its refs; one that drips them is given up, too."""
    mirror = hub.mirror("mirror", Manners(allow_any_sha=False, protocol_v2=False))
    tiny_repo.add_commit({"config.json": "newer\n"})
    mirror.faults.add(DrippedRefs(), on="mirror", kind="git")
    done = hfclone(f"acme/tiny@{tiny_repo.commit}", "--mirror", mirror.url, "--stall-after", "1s", "-v")
    assert done.code == 0, done.stderr
    assert "sent nothing for" in done.stderr
