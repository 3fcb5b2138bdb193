"""Whatever stops a run, the same command goes on from what is on disk."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event

import pytest

from tests.e2e.command import Command, assert_checkout, git, placed, sha256, tree_of
from tests.hub import Hub, Lfs, LivingRepo, Outage, answers, streams
from tests.hub.log import Entry

MIB = 1024 * 1024
RECORD = 4 * MIB
"""What a kill may cost each connection on a fast line (``worker.RECORD_BYTES``)."""
CHUNK = 256 * 1024
STOP_SECONDS = 3.0
"""A second, and two more that a busy machine may need to end a process; a tenth of one is usual."""
GO_ON = "run the same command again to go on"


def until(condition: Callable[[], object], seconds: float = 20.0) -> None:
    """Wait for something on disk or among processes, which have no event for it."""
    pause, end = Event(), time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        pause.wait(0.02)


def journalled(dest: Path) -> dict[str, list[tuple[int, int]]]:
    """Ranges that the journals claim, by oid."""
    found: dict[str, list[tuple[int, int]]] = {}
    for path in (dest / ".git" / "hfclone" / "parts").glob("*.journal"):
        rows = [line.split() for line in path.read_text().splitlines()[1:]]
        found[path.stem] = [(int(row[0]), int(row[1])) for row in rows if len(row) == 4]
    return found


def claimed(dest: Path) -> int:
    """Bytes that the journals claim."""
    return sum(stop - start for ranges in journalled(dest).values() for start, stop in ranges)


def asked(entry: Entry, sizes: dict[str, int]) -> tuple[int, int]:
    """The range that a request of the CDN was for, half-open."""
    first, last = entry.range or (0, None)
    return first, sizes[entry.oid] if last is None else last + 1


def children_of(home: Path) -> list[str]:
    """Command lines of all processes of this world that still run."""
    found = []
    for proc in Path("/proc").glob("[0-9]*"):
        try:
            if f"HOME={home}".encode() in (proc / "environ").read_bytes().split(b"\0"):
                found.append((proc / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return [line for line in found if line]


@pytest.fixture
def big(hub: Hub) -> LivingRepo:
    """One object of 40 MiB."""
    return hub.repo("acme/big", {"README.md": "big\n", "model.safetensors": Lfs(40 * MIB, seed=1)})


# --- stopping ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_signals(hub: Hub, big: LivingRepo, hfclone: Command, number: signal.Signals, code: int) -> None:
    """Within a second, with words about how to go on; what arrived is kept, to the byte on a clean stop."""
    hold = streams.HoldAt(10 * MIB, absolute=True)
    hub.faults.add(hold, kind="cdn", times=1, when=hold.reaches)
    process = hfclone.start("acme/big", "--connections", "1")
    assert hold.held.wait(20)
    until(lambda: claimed(hfclone.cwd / "big") >= 10 * MIB - 2 * CHUNK)  # what lies unread in a socket cannot be kept
    began = time.monotonic()
    os.killpg(process.pid, number)
    done = hfclone.end(process)
    assert time.monotonic() - began < STOP_SECONDS
    assert done.code == code, done.stderr
    assert GO_ON in done.stderr
    assert children_of(hfclone.home) == []
    dest = hfclone.cwd / "big"
    assert git(dest, "status", "--porcelain") == ""
    kept = claimed(dest)
    assert kept >= 10 * MIB - 2 * CHUNK, "a clean stop journals all that came"
    hold.release()
    since = len(hub.log)
    again = hfclone("acme/big", "--progress", "json")
    assert again.code == 0, again.stderr
    assert hub.log.bytes_sent(kind="cdn", since=since) == 40 * MIB - kept
    report = again.event("report")
    assert (report["fetched_bytes"], report["reused_bytes"]) == (40 * MIB - kept, kept)
    assert again.event("plan")["here_bytes"] == kept
    assert_checkout(dest, big.commit, f"{hub.url}/acme/big")


@pytest.mark.parametrize("where", ["api", "git", "git body", "batch", "cdn head", "refused", "hang"])
def test_ctrl_c_wherever_it_waits(hub: Hub, big: LivingRepo, hfclone: Command, where: str) -> None:
    """Answers that do not come and waits between tries end at once; nothing of ours runs on."""
    stall = streams.Stall(after=50 if where == "git body" else None)
    waits: Callable[[], object] = stall.stalled.is_set
    if where == "refused":
        hub.down()
    elif where == "hang":
        hub.down(Outage.HANG)
        waits = lambda: hub.front.listener.connections  # noqa: E731  # one of two conditions
    else:
        hub.faults.add(stall, kind={"git body": "git", "cdn head": "cdn"}.get(where, where))
    process = hfclone.start("acme/big", stderr=subprocess.PIPE)
    if where == "refused":
        assert process.stderr is not None
        assert "waiting" in process.stderr.readline()
    else:
        until(waits)
    began = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)
    done = hfclone.end(process)
    assert time.monotonic() - began < STOP_SECONDS
    assert done.code == 130, done.stderr
    assert GO_ON in done.stderr
    assert children_of(hfclone.home) == []
    assert list(hfclone.tmp.iterdir()) == []
    stall.release()
    hub.faults.clear()
    hub.up()
    assert hfclone("acme/big").code == 0
    assert_checkout(hfclone.cwd / "big", big.commit, f"{hub.url}/acme/big")


def test_ctrl_c_while_it_hashes(hub: Hub, hfclone: Command) -> None:
    """Looking at a large file that a browser may have left is no reason to wait, either."""
    repo = hub.repo("acme/huge", {"m.bin": Lfs(1500 * MIB, seed=1, sparse=True)})
    assert hfclone("acme/huge", "--exclude", "*").code == 0
    dest = hfclone.cwd / "huge"
    with (dest / "m.bin").open("wb") as file:
        file.truncate(1500 * MIB)
    process = hfclone.start("acme/huge", "--progress", "json")
    assert process.stdout is not None
    while '"verifying"' not in process.stdout.readline():
        pass
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    done = hfclone.end(process)
    assert time.monotonic() - began < STOP_SECONDS
    assert done.code == 130
    assert (dest / "m.bin").stat().st_size == 1500 * MIB
    assert repo.commit


# --- kill -9 -----------------------------------------------------------------------------------


@pytest.mark.parametrize("at", [0, 1, RECORD - 1, RECORD + CHUNK, 17 * MIB, 40 * MIB - 1, 40 * MIB])
def test_killed_at_a_byte(hub: Hub, big: LivingRepo, hfclone: Command, at: int) -> None:
    """What had arrived is not asked for again, but for what no journal line tells of yet."""
    hold = streams.HoldAt(at, absolute=True)
    hub.faults.add(hold, kind="cdn", times=1, when=hold.reaches)
    process = hfclone.start("acme/big", "--connections", "1")
    assert hold.held.wait(20)
    dest = hfclone.cwd / "big"
    until(lambda: claimed(dest) >= at - RECORD - CHUNK or placed_file(dest))
    hfclone.kill(process)
    kept = journalled(dest)
    hold.release()
    assert hub.log.wait_quiet()
    since = len(hub.log)
    done = hfclone("acme/big", "--progress", "json")
    assert done.code == 0, done.stderr
    sent = hub.log.bytes_sent(kind="cdn", since=since)
    assert sent <= 40 * MIB - at + RECORD + CHUNK
    for entry in hub.log.of(kind="cdn", since=since):
        start, stop = asked(entry, big.objects)
        assert all(stop <= low or high <= start for low, high in kept.get(entry.oid, [])), (start, stop, kept)
    assert done.event("report")["fetched_bytes"] == sent
    assert done.event("report")["reused_bytes"] == 40 * MIB - sent
    assert_checkout(dest, big.commit, f"{hub.url}/acme/big")


def placed_file(dest: Path) -> bool:
    """Whether the object is there already: a hold at its last byte comes after all bytes."""
    return (dest / "model.safetensors").exists() and (dest / "model.safetensors").stat().st_size > MIB


def test_many_connections_killed(hub: Hub, hfclone: Command) -> None:
    """Eight connections, several objects: no journalled range is asked for again."""
    files = {f"{number}.bin": Lfs(12 * MIB + number, seed=number) for number in range(4)}
    repo = hub.repo("acme/many", files)
    hold = streams.HoldAt(MIB)
    hub.faults.add(hold, kind="cdn")
    process = hfclone.start("acme/many", "--connections", "8")
    assert hold.held.wait(20)
    dest = hfclone.cwd / "many"
    until(lambda: len([oid for oid, ranges in journalled(dest).items() if ranges]) >= 2)
    hfclone.kill(process)
    kept = journalled(dest)
    hub.faults.clear()
    assert hub.log.wait_quiet()
    since = len(hub.log)
    assert hfclone("acme/many").code == 0
    for entry in hub.log.of(kind="cdn", since=since):
        start, stop = asked(entry, repo.objects)
        for low, high in kept.get(entry.oid, []):
            assert stop <= low or high <= start, (start, stop, kept)
    assert_checkout(dest, repo.commit, f"{hub.url}/acme/many")


@pytest.mark.slow
def test_kills_in_a_row(hub: Hub, hfclone: Command) -> None:
    """Four kills cost less than a twentieth of the bytes."""
    size = 160 * MIB
    repo = hub.repo("acme/huge", {"m.bin": Lfs(size, seed=1, sparse=True)})
    dest = hfclone.cwd / "huge"
    for at in (33 * MIB, 65 * MIB, 97 * MIB, 129 * MIB):
        hold = streams.HoldAt(at, absolute=True)
        rule = hub.faults.add(hold, kind="cdn", when=hold.reaches)
        process = hfclone.start("acme/huge", "--connections", "1")
        assert hold.held.wait(20)
        until(lambda at=at: claimed(dest) >= at - CHUNK)  # type: ignore[misc]  # a default binds it
        hfclone.kill(process)
        hub.faults.remove(rule)
    done = hfclone("acme/huge")
    assert done.code == 0, done.stderr
    assert hub.log.wait_quiet()
    assert hub.log.bytes_sent(kind="cdn") <= 1.05 * size
    assert_checkout(dest, repo.commit, f"{hub.url}/acme/huge")


@pytest.mark.parametrize("at", [0, 200, 3000])
def test_killed_in_git_fetch(hub: Hub, hfclone: Command, at: int) -> None:
    """The next run does not even wait for the git that the killed one has left."""
    files = {f"d/{number}.txt": f"{number} {os.urandom(300).hex()}\n" for number in range(50)}
    repo = hub.repo("acme/text", {**files, "m.bin": Lfs(10_000, seed=1)})
    hold = streams.HoldAt(at)
    hub.faults.add(hold, kind="git", method="POST", times=1, when=lambda request: b"command=fetch" in request.body)
    process = hfclone.start("acme/text")
    assert hold.held.wait(20)
    hfclone.kill(process)
    done = hfclone("acme/text")
    assert done.code == 0, done.stderr
    hold.release()
    assert_checkout(hfclone.cwd / "text", repo.commit, f"{hub.url}/acme/text")
    until(lambda: not children_of(hfclone.home))
    assert_checkout(hfclone.cwd / "text", repo.commit, f"{hub.url}/acme/text")


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.02, 0.3, 0.95])
def test_killed_while_placing(hub: Hub, hfclone: Command, share: float) -> None:
    """Files are whole or pointers at every moment, and all are clean in the end."""
    count = 200
    files = {f"d{number % 7}/{number}.bin": Lfs(3000 + number, seed=number) for number in range(count)}
    repo = hub.repo("acme/crowd", files)
    dest = hfclone.cwd / "crowd"
    process = hfclone.start("acme/crowd")
    stamped = lambda: sum(path.stat().st_size >= 3000 for path in dest.glob("d*/*.bin"))  # noqa: E731  # once
    until(lambda: stamped() >= share * count or process.poll() is not None)
    hfclone.kill(process)
    before = placed(dest)
    since = len(hub.log)
    done = hfclone("acme/crowd")
    assert done.code == 0, done.stderr
    assert len(placed(dest)) == count
    fetched = {entry.oid for entry in hub.log.of(kind="cdn", since=since)}
    assert len(fetched) <= count - len(before)
    assert_checkout(dest, repo.commit, f"{hub.url}/acme/crowd")


# --- who holds it ------------------------------------------------------------------------------


def test_two_runs_at_once(hub: Hub, big: LivingRepo, hfclone: Command) -> None:
    """The second says who works there and touches nothing; a dead owner's lock is no obstacle."""
    hold = streams.HoldAt(5 * MIB, absolute=True)
    rule = hub.faults.add(hold, kind="cdn")  # always: else another connection would end the first run meanwhile
    first = hfclone.start("acme/big")
    assert hold.held.wait(20)
    second = hfclone("acme/big")
    assert second.code == 6, second.stderr
    assert re.search(rf"is in use by process {first.pid} on \S+", second.error)
    assert "wait for it to end" in second.hint
    assert first.poll() is None
    assert hfclone("acme/big", "--dry-run").code == 0
    hfclone.kill(first)
    assert (hfclone.cwd / "big/.git/hfclone/lock").read_text().startswith("process ")
    hub.faults.remove(rule)
    third = hfclone("acme/big")
    assert third.code == 0, third.stderr
    assert_checkout(hfclone.cwd / "big", big.commit, f"{hub.url}/acme/big")


# --- what a user does in between ---------------------------------------------------------------


def test_a_file_from_a_browser(hub: Hub, tiny_repo: LivingRepo, hfclone: Command) -> None:
    """Under its final name, with the right content: adopted, not fetched."""
    assert hfclone("acme/tiny", "--exclude", "*").code == 0
    dest = hfclone.cwd / "tiny"
    (dest / "model.safetensors").write_bytes(Lfs(300_000, seed=1).content)
    done = hfclone("acme/tiny", "--progress", "json")
    assert done.code == 0, done.stderr
    assert hub.log.bytes_sent(kind="cdn") == 70_000
    assert (done.event("report")["fetched_bytes"], done.event("report")["reused_bytes"]) == (70_000, 300_000)
    assert_checkout(dest, tiny_repo.commit, f"{hub.url}/acme/tiny")
    assert git(dest, "diff-files") == ""


@pytest.mark.parametrize(
    "content", [b"x" * 300_000, b"short", b"", b"y" * 400_000], ids=["size", "short", "empty", "long"]
)
def test_a_wrong_file_from_a_browser(hub: Hub, tiny_repo: LivingRepo, hfclone: Command, content: bytes) -> None:
    """Named, and never overwritten; also not by a run that began before it was there."""
    assert tiny_repo.commit
    assert hfclone("acme/tiny", "--exclude", "*").code == 0
    dest = hfclone.cwd / "tiny"
    (dest / "model.safetensors").write_bytes(content)
    done = hfclone("acme/tiny")
    assert done.code == 6, done.stderr
    assert "model.safetensors" in done.error
    assert "nothing of yours was touched" in done.hint
    assert (dest / "model.safetensors").read_bytes() == content
    assert hub.log.bytes_sent(kind="cdn") == 0
    others = hfclone("acme/tiny", "--include", "*.bin")
    assert others.code == 0, others.stderr
    assert (dest / "model.safetensors").read_bytes() == content


def test_a_file_that_comes_while_it_runs(hub: Hub, tiny_repo: LivingRepo, hfclone: Command) -> None:
    """A user's file that appears in the meantime is not overwritten, and the run can be repeated."""
    hold = streams.HoldAt(1000)
    hub.faults.add(hold, kind="cdn", when=lambda request: request.oid == tiny_repo.put(Lfs(300_000, seed=1)))
    process = hfclone.start("acme/tiny")
    assert hold.held.wait(20)
    dest = hfclone.cwd / "tiny"
    (dest / "model.safetensors").write_bytes(b"mine")
    hold.release()
    done = hfclone.end(process)
    assert done.code == 6, done.stderr
    assert "model.safetensors" in done.error
    assert (dest / "model.safetensors").read_bytes() == b"mine"
    (dest / "model.safetensors").unlink()
    assert hfclone("acme/tiny").code == 0
    assert_checkout(dest, tiny_repo.commit, f"{hub.url}/acme/tiny")


def test_a_users_edits(hub: Hub, tiny_repo: LivingRepo, hfclone: Command) -> None:
    """An edit of a large file ends the run untouched; one of a small file is git's business."""
    assert hfclone("acme/tiny").code == 0
    dest = hfclone.cwd / "tiny"
    (dest / "config.json").write_text("mine\n")
    (dest / "notes.txt").write_text("mine\n")
    assert hfclone("acme/tiny").code == 0
    with (dest / "model.safetensors").open("ab") as file:
        file.write(b"mine")
    before = tree_of(dest, without=[".git"])
    done = hfclone("acme/tiny")
    assert done.code == 6, done.stderr
    assert "model.safetensors" in done.error
    assert tree_of(dest, without=[".git"]) == before
    tiny_repo.add_commit({"config.json": "theirs\n"})
    done = hfclone("acme/tiny")
    assert done.code == 6, done.stderr
    assert "config.json" in done.error
    assert tree_of(dest, without=[".git"]) == before
    assert {line.split()[-1] for line in git(dest, "status", "--porcelain").splitlines()} >= {
        "config.json",
        "notes.txt",
    }


def test_files_that_were_deleted(hub: Hub, tiny_repo: LivingRepo, hfclone: Command) -> None:
    """They come back, and with them nothing else moves."""
    assert hfclone("acme/tiny").code == 0
    dest = hfclone.cwd / "tiny"
    (dest / "model.safetensors").unlink()
    done = hfclone("acme/tiny")
    assert done.code == 0, done.stderr
    assert hub.log.bytes_sent(kind="cdn") == 370_000 + 300_000
    assert_checkout(dest, tiny_repo.commit, f"{hub.url}/acme/tiny")


# --- damage ------------------------------------------------------------------------------------


def _halve(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _garble(path: Path) -> None:
    path.write_bytes(os.urandom(path.stat().st_size))


def _remove(path: Path) -> None:
    path.unlink()


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"9 99999999999 x 0123456789abcdef\n" * 1000)


def _torn(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 5)


@pytest.mark.parametrize("kind", ["part", "journal"])
@pytest.mark.parametrize("spoil", [_halve, _garble, _remove, _empty, _grow, _torn])
def test_spoilt_partials(hub: Hub, big: LivingRepo, hfclone: Command, kind: str, spoil: Callable[[Path], None]) -> None:
    """A damaged part or journal costs the bytes it spoke of, and never gives a wrong file."""
    hold = streams.HoldAt(20 * MIB, absolute=True)
    hub.faults.add(hold, kind="cdn")
    process = hfclone.start("acme/big", "--connections", "1")
    assert hold.held.wait(20)
    dest = hfclone.cwd / "big"
    until(lambda: claimed(dest) >= 12 * MIB)
    hfclone.kill(process)
    hub.faults.clear()
    (path,) = (dest / ".git/hfclone/parts").glob(f"*.{kind}")
    spoil(path)
    done = hfclone("acme/big")
    assert done.code == 0, done.stderr
    assert sha256(dest / "model.safetensors") in big.objects
    assert_checkout(dest, big.commit, f"{hub.url}/acme/big")


def test_an_outage_in_the_middle(hub: Hub, big: LivingRepo, hfclone: Command) -> None:
    """The hub goes away for a while: the run says that it waits, and goes on by itself."""
    hold = streams.HoldAt(10 * MIB, absolute=True)
    hub.faults.add(hold, kind="cdn", times=1, when=hold.reaches)
    process = hfclone.start("acme/big", "--connections", "2", "--progress", "json")
    assert hold.held.wait(20)
    hub.down()
    hold.release()
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if '"waiting"' in line:
            break
    hub.up()
    done = hfclone.end(process)
    assert done.code == 0, done.stderr
    assert_checkout(hfclone.cwd / "big", big.commit, f"{hub.url}/acme/big")


def test_a_lost_line_and_a_short_patience(hub: Hub, big: LivingRepo, hfclone: Command) -> None:
    """What came before the end of patience is kept, and the end says what was in the way."""
    hub.faults.add(streams.ResetAfter(6 * MIB), kind="cdn", times=1)
    hub.faults.add(answers.Status(503), kind="cdn", when=lambda _request: rule.hits >= 1)
    rule = hub.faults.add(streams.ResetAfter(6 * MIB), kind="cdn", times=1)
    done = hfclone("acme/big", "--give-up-after", "2s", "--connections", "1")
    assert done.code == 4, done.stderr
    assert "model.safetensors" in done.error
    assert "503" in done.error
    assert GO_ON in done.hint
    kept = claimed(hfclone.cwd / "big")
    assert kept >= MIB
    hub.faults.clear()
    since = len(hub.log)
    assert hfclone("acme/big").code == 0
    assert hub.log.bytes_sent(kind="cdn", since=since) == 40 * MIB - kept
