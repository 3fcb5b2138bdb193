"""What aria2c alone may meet; all other faults are met by both ways of moving bytes, in the files beside this."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hfclone.events import Event, Faulted, OnEvent, Position, Warned
from hfclone.files.hashing import sha256_of
from hfclone.http import Authority
from hfclone.names import Token
from hfclone.partials import Partials
from hfclone.partials.aria2control import BLOCK, parse_control
from hfclone.ranges import RangeSet
from hfclone.transfer import Arrived
from hfclone.transfer.aria2 import Aria2Daemon
from tests.faults.rig import MB, REPO, Rig, same_file
from tests.faults.test_machine import start
from tests.hub.answers import Status
from tests.hub.mirror import olah_proxy
from tests.hub.streams import FlipByte, Throttle, WrongBytes

pytestmark = pytest.mark.parametrize("kind", ["aria2c"])


@pytest.fixture
def large(rig: Rig) -> Rig:
    """Its largest object alone."""
    rig.objects = [max(rig.objects, key=lambda pointer: pointer.size)]
    rig.total = rig.objects[0].size
    return rig


# --- wrong bytes ---------------------------------------------------------------------------------


def test_of_two_senders_the_liar_is_named(rig: Rig) -> None:
    """Each object comes from one of them; what is doubted is fetched again over our own connections and compared."""
    liar, honest = (rig.hub.mirror(name, olah_proxy()) for name in ("liar", "honest"))
    for mirror in (liar, honest):
        mirror.faults.add(Throttle(total=20 * MB))
    liar.faults.add(WrongBytes())
    rig.only_mirrors = True
    ran = rig.fetch(liar, honest)
    assert not ran.failed
    said = [event for event in ran.events if isinstance(event, Faulted) and event.error.code == "hash-mismatch"]
    assert {event.endpoint for event in said} == {liar.url[7:]}
    tallies = {tally.endpoint: tally.failures for tally in rig.health.tallies()}
    assert tallies[honest.url[7:]] == 0
    assert tallies[liar.url[7:]] > 0


def test_a_wrong_byte_over_what_was_hashed_already(large: Rig) -> None:
    """aria2 fetches whole blocks: it writes over bytes that were here, which have been hashed by then."""
    pointer, held = large.objects[0], 12 * MB + 5
    part = large.partials.open(pointer)
    part.write(large.repo.object_path(pointer.oid).read_bytes()[:held], 0)
    part.record_written(0, held, large.hub.url[7:])
    part.close()
    flip = FlipByte(held // BLOCK * BLOCK)
    large.hub.faults.add(Throttle(total=12 * MB), on="cdn")
    large.hub.faults.add(flip, on="cdn")
    assert not large.fetch().failed
    assert flip.flips, "it did not write there"


# --- partials ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("first", "second"), [("threads", "aria2c"), ("aria2c", "threads"), ("aria2c", "aria2c")])
def test_each_goes_on_from_what_the_other_brought(large: Rig, first: str, second: str) -> None:
    throttle = large.hub.faults.add(Throttle(total=12 * MB), on="cdn")
    large.kind = first
    with pytest.raises(_Enough):
        list(large.transfer().fetch(large.wanted, _until(10 * MB)))
    large.hub.faults.remove(throttle)
    before = large.sent()
    assert before > 0.4
    large.kind = second
    ran = large.fetch()
    assert not ran.failed
    assert large.sent() <= 1.25
    assert not large.partials.control_path(large.objects[0]).exists()


def test_both_killed_in_the_middle(large: Rig) -> None:
    """aria2c ends by itself, and what it had brought is in its account or in our journal."""
    throttle = large.hub.faults.add(Throttle(total=8 * MB), on="cdn")
    for share in (0.2, 0.45):
        process = start(large, "--aria2c")
        assert large.hub.log.wait(lambda _log, share=share: large.sent() > share)  # type: ignore[misc]  # a bound default
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert large.hub.log.wait_quiet()
    large.hub.faults.remove(throttle)
    large.kind = "threads"
    assert not large.fetch().failed
    assert large.sent() <= 1.4  # what two kills cost


def test_a_block_of_zeros_in_an_account_is_not_believed(large: Rig) -> None:
    """After a power cut the account may be there and the bytes not."""
    pointer = large.objects[0]
    content = large.repo.object_path(pointer.oid).read_bytes()
    part = large.partials.open(pointer)
    part.write(content[: 4 * MB], 0)
    part.close()
    claimed = large.partials.write_control(pointer, RangeSet([(0, 12 * MB)]))
    assert claimed.size > 11 * MB
    assert not large.fetch().failed
    assert large.hub.log.bytes_sent(kind="cdn") >= pointer.size - 4 * MB
    assert large.sent() <= large.fair


# --- aria2c itself -------------------------------------------------------------------------------


def test_aria2c_dies_half_way(large: Rig) -> None:
    large.hub.faults.add(Throttle(total=12 * MB), on="cdn")
    killed: list[int] = []

    def kill(event: Event) -> None:
        if isinstance(event, Position) and event.received > 8 * MB and not killed:
            killed.extend(children_called("aria2c"))
            for pid in killed:
                subprocess.run(["kill", "-9", str(pid)], check=True)
        if isinstance(event, Warned):
            warned.append(event)

    warned: list[Warned] = []
    outcomes = list(large.transfer().fetch(large.wanted, kill))
    assert len(killed) == 1
    assert [event.code for event in warned] == ["aria2c-lost"]
    assert "the built-in fetcher goes on from what arrived" in warned[0].text
    assert same_file(outcomes[0].part, large.repo.object_path(large.objects[0].oid))  # type: ignore[union-attr]
    assert large.sent() <= 1.6  # it saves its account each second


def test_no_secret_and_no_address_in_argv_or_in_a_file(large: Rig, tmp_path: Path) -> None:
    large.hub.faults.add(Throttle(total=12 * MB), on="cdn")
    commands: list[bytes] = []
    files: list[Path] = []

    def observe(event: Event) -> None:
        if isinstance(event, Position) and not commands:
            commands.extend(Path(f"/proc/{pid}/cmdline").read_bytes() for pid in children_called("aria2c"))
            near = [*large.directory.iterdir(), *tmp_path.glob("*.*")]
            files.extend(path for path in near if path.is_file() and b"Signature=" in path.read_bytes())

    assert len(list(large.transfer().fetch(large.wanted, observe))) == 1
    (words,) = commands
    assert not [word for word in words.split(b"\0") if b"://" in word or b"secret" in word or b"metalink=/" in word]
    assert b"--conf-path=/dev/stdin" in words.split(b"\0"), "the user's configuration is not read"
    assert files == []


def test_the_users_configuration_is_not_read(rig: Rig, tmp_path: Path) -> None:
    """It may name a program to run, a proxy, a header for everybody."""
    spy, seen = tmp_path / "spy", tmp_path / "seen"
    spy.write_text(f"#!/bin/sh\ntouch {seen}\n")
    spy.chmod(0o755)
    for folder in (".aria2", ".config/aria2"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "aria2.conf").write_text(f"on-download-start={spy}\n")
    address = f"{rig.hub.url}/{REPO}/resolve/main/{rig.paths[rig.objects[0].oid][0].decode()}"
    plain = ["aria2c", "-q", f"--dir={tmp_path}", "--out=plain", address]
    subprocess.run(plain, env={**os.environ, "HOME": str(tmp_path)}, check=True, timeout=20)
    assert seen.exists(), "aria2c by itself would have run it"
    seen.unlink()
    rig.home = str(tmp_path)
    assert not rig.fetch().failed
    assert not seen.exists()


def test_an_aria2c_that_does_not_start(rig: Rig, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    fake = tmp_path / "bin" / "aria2c"
    fake.write_text("#!/bin/sh\necho 'unrecognized option --rpc-secret' >&2\nexit 28\n")
    fake.chmod(0o755)
    rig.program_path = str(tmp_path / "bin")
    ran = rig.fetch()
    assert not ran.failed
    (warned,) = [event for event in ran.events if isinstance(event, Warned)]
    assert warned.code == "no-aria2c"
    assert "unrecognized option" in warned.text
    assert "the built-in fetcher does the work" in warned.text


def test_an_aria2c_that_is_no_program(rig: Rig, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    fake = tmp_path / "bin" / "aria2c"
    fake.write_bytes(b"\x7fELF of another machine")
    fake.chmod(0o755)
    rig.program_path = str(tmp_path / "bin")
    ran = rig.fetch()
    assert not ran.failed
    assert [event.code for event in ran.events if isinstance(event, Warned)] == ["no-aria2c"]


def test_a_file_that_only_a_token_opens_is_not_for_aria2c(rig: Rig) -> None:
    """A mirror of one's own that serves bytes itself, to its token: aria2c gets no header, so it does not fetch."""
    mirror = rig.hub.mirror(manners=olah_proxy())
    rig.hub.tokens.add("hf_secret")
    rig.token = Authority(mirror.url, Token("hf_secret"))
    mirror.faults.add(Status(404), when=lambda request: not request.headers.get("authorization"))
    rig.only_mirrors = True
    rig.objects = rig.objects[:3]
    rig.total = sum(pointer.size for pointer in rig.objects)
    ran = rig.fetch(mirror)
    assert not ran.failed
    agents = {entry.headers["user-agent"] for entry in rig.hub.log.entries if entry.authorization}
    assert agents == {"hfclone-tests"}


def test_the_rate_is_kept(rig: Rig) -> None:
    limit = rig.limit_rate = 4 * MB
    rig.objects = [pointer for pointer in rig.objects if pointer.size < 20 * MB]  # 3.2 seconds' worth
    began = time.monotonic()
    ran = rig.fetch()
    seconds = time.monotonic() - began
    assert not ran.failed
    sent = rig.sent() * rig.total
    assert sent <= limit * (seconds + 1.0)
    assert seconds < 20


def test_an_account_is_saved_while_aria2c_works(large: Rig) -> None:
    """By aria2c each second, and by us with digests: a crash costs seconds."""
    large.hub.faults.add(Throttle(total=6 * MB), on="cdn")
    pointer = large.objects[0]
    control, journal = large.partials.control_path(pointer), large.partials.journal_path(pointer)
    with large.in_background() as run:
        assert large.hub.log.wait(lambda _log: saved_in(control) >= 8 * MB)
        assert large.sent() < 0.7
        assert large.hub.log.wait(lambda _log: journal.exists())
        run.done()


def saved_in(control: Path) -> int:
    """Bytes that an account of aria2's claims."""
    claimed = parse_control(control.read_bytes()) if control.exists() else None
    return claimed.here.size if claimed else 0


# --- a daemon of the user's ----------------------------------------------------------------------


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Aria2Daemon]:
    """An aria2c that runs already, with defaults of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    conf = tmp_path / "aria2.conf"
    conf.write_text(f"enable-rpc=true\nrpc-listen-port={port}\nrpc-secret=hush\ndir={tmp_path}\nquiet=true\n")
    process = subprocess.Popen(["aria2c", f"--conf-path={conf}", f"--stop-with-process={os.getpid()}"])
    try:
        deadline = time.monotonic() + 10
        while not is_open(port):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield Aria2Daemon(f"http://127.0.0.1:{port}/jsonrpc", Token("hush"))
    finally:
        process.kill()
        process.wait()


def is_open(port: int) -> bool:
    """Whether somebody listens there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_a_daemon_does_the_work_and_keeps_running(rig: Rig, daemon: Aria2Daemon) -> None:
    rig.daemon = daemon
    rig.limit_rate = 40 * MB
    rig.program_path = "/nowhere"  # nothing is started
    ran = rig.fetch()
    assert not ran.failed
    assert not [event for event in ran.events if isinstance(event, Warned)]
    assert rig.sent() <= rig.fair
    assert not list(rig.directory.parent.rglob("*.meta4")), "a list of signed addresses was left"
    assert not rig.fetch().failed  # it still answers


def test_a_daemon_that_dies_half_way(large: Rig, daemon: Aria2Daemon) -> None:
    """It might go on writing, for all that we know: what came is taken into a file of its own."""
    large.daemon = daemon
    large.hub.faults.add(Throttle(total=12 * MB), on="cdn")
    warned: list[str] = []
    inodes: set[int] = set()

    def kill(event: Event) -> None:
        if isinstance(event, Position) and event.received > 8 * MB and not inodes:
            inodes.add(large.partials.part_path(large.objects[0]).stat().st_ino)
            for pid in children_called("aria2c"):
                os.kill(pid, signal.SIGKILL)
        if isinstance(event, Warned):
            warned.append(event.code)

    (arrived,) = large.transfer().fetch(large.wanted, kill)
    assert isinstance(arrived, Arrived)
    assert arrived.part.stat().st_ino not in inodes
    assert same_file(arrived.part, large.repo.object_path(arrived.pointer.oid))
    assert warned == ["aria2c-lost"]
    assert large.sent() <= 2.2  # it saves its account once a minute


def test_what_a_stopped_run_gave_a_daemon_is_taken_back(large: Rig, daemon: Aria2Daemon) -> None:
    large.daemon = daemon
    throttle = large.hub.faults.add(Throttle(total=12 * MB), on="cdn")
    with pytest.raises(_Enough):
        list(large.transfer().fetch(large.wanted, _until(10 * MB)))
    assert large.hub.log.wait_quiet()
    large.hub.faults.remove(throttle)
    large.daemon, large.kind = None, "threads"
    assert not large.fetch().failed
    assert large.sent() <= 1.25


def test_what_a_daemon_still_writes_goes_elsewhere(large: Rig, daemon: Aria2Daemon) -> None:
    """A run was killed, the daemon goes on, and the next run does without it."""
    large.daemon = daemon
    large.hub.faults.add(Throttle(total=12 * MB), on="cdn")
    with pytest.raises(_Enough):
        list(large.transfer().fetch(large.wanted, _until(10 * MB)))
    pointer = large.objects[0]
    partials = Partials(large.directory)
    partials.lend(pointer, daemon.url)  # as a kill leaves it: nobody has told the daemon to stop
    held = partials.claimed_bytes(pointer)
    with partials.part_path(pointer).open("r+b") as theirs, contextlib.closing(partials.open(pointer)) as ours:
        assert ours.held().size >= held > 0
        before = sha256_of(partials.part_path(pointer))
        theirs.write(b"wrong")
        theirs.flush()
        assert sha256_of(partials.part_path(pointer)) == before
    assert not list(large.directory.glob("*.lent"))


@pytest.mark.parametrize("secret", [None, Token("other")])
def test_a_daemon_that_does_not_let_us_in(rig: Rig, daemon: Aria2Daemon, secret: Token | None) -> None:
    rig.daemon = Aria2Daemon(daemon.url, secret)
    ran = rig.fetch()
    assert not ran.failed
    (warned,) = [event for event in ran.events if isinstance(event, Warned)]
    assert "Unauthorized" in warned.text


class _Enough(Exception):
    """Raised by an observer, to end a fetch in the middle as Ctrl-C would."""


def _until(count: int) -> OnEvent:
    def observe(event: Event) -> None:
        if isinstance(event, Position) and event.received >= count:
            raise _Enough

    return observe


def children_called(name: str) -> list[int]:
    """Our own children."""
    found = []
    for proc in Path("/proc").glob("[0-9]*"):
        try:
            fields = (proc / "stat").read_text().rpartition(")")[2].split()
            if int(fields[1]) == os.getpid() and (proc / "comm").read_text().strip() == name:
                found.append(int(proc.name))
        except OSError:
            continue
    return found
