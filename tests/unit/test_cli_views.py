"""What the views show of a run, event by event, by a clock that the test moves."""

import io
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from hfclone.cli.bars import Bars
from hfclone.cli.jsonlines import JsonLines
from hfclone.cli.lines import Lines
from hfclone.cli.tally import Tally
from hfclone.errors import BadPointer, Incomplete, ObjectMissing, Stalled
from hfclone.events import (
    Demoted,
    EndpointTally,
    Event,
    Failed,
    Faulted,
    Finished,
    Pinned,
    Planned,
    Position,
    Report,
    Started,
    Verified,
    Waiting,
    Working,
)
from hfclone.names import Pin, Repo, RepoType
from hfclone.plan import Plan
from hfclone.pointer import Oid, Pointer
from hfclone.settings import Verbosity

PIN = Pin(Repo("org/name", RepoType.DATASET), "a" * 40)
BIG = Pointer(Oid("b" * 64), 8_000_000)
SMALL = Pointer(Oid("c" * 64), 2_000_000)
COPY = Pointer(Oid("d" * 64), 1_000_000)
PLAN = Plan(
    PIN,
    missing=(BIG, SMALL),
    copies=(COPY,),
    present=(),
    unselected=3,
    paths={BIG.oid: (b"big\x1b.bin", b"twin"), SMALL.oid: (b"small-\xff.bin",), COPY.oid: (b"copy",)},
    held={BIG.oid: 3_000_000},
    reserved=3_000_000,
    free=10**9,
)
REPORT = Report(
    PIN,
    Path("/data/name"),
    objects=3,
    fetched_bytes=7_000_000,
    reused_bytes=4_000_000,
    unselected=3,
    seconds=75.2,
    endpoints=(EndpointTally("hf-mirror.com", 7_000_000, 1), EndpointTally("huggingface.co", 0, 0)),
)
RUN: tuple[tuple[float, Event], ...] = (
    (0, Pinned(PIN, "main", "huggingface.co")),
    (1, Working("git fetch", 3, 10)),
    (2, Planned(PLAN)),
    (2, Started(BIG.oid, "hf-mirror.com")),
    (3, Position(BIG.oid, 4_000_000)),
    (4, Faulted("hf-mirror.com", Stalled("hf-mirror.com", 20))),
    (7, Position(BIG.oid, 6_000_000)),
    (8, Demoted("hf-mirror.com", "LFS batch", "HTTP 503")),
    (9, Waiting(12, "hf-mirror.com: HTTP 503", 82800)),
    (10, Waiting(12, "the window 23:00-07:00", None)),
    (12, Position(BIG.oid, 7_000_000)),
    (13, Verified(BIG)),
    (14, Failed(SMALL, ObjectMissing(SMALL.oid, "hf-mirror.com"))),
    (15, Planned(PLAN)),
    (16, Finished(REPORT)),
)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def lines_of(run: Sequence[tuple[float, Event]], verbosity: Verbosity, interval: float | None = 5.0) -> list[str]:
    clock, said = Clock(), list[str]()
    view = Lines(said.append, clock=clock, verbosity=verbosity, interval=interval)
    for clock.now, event in run:
        view(event)
    view.close()
    return said


def test_a_wait_of_a_night_is_no_log_of_its_seconds() -> None:
    """It is told each second, for those who count down."""
    waits: list[tuple[float, Event]] = [(at, Waiting(3600 - at, "hub: HTTP 503", None)) for at in range(150)]
    said = lines_of([*waits, (150, Waiting(5, "hub: no answer", None))], Verbosity.NORMAL)
    assert [line.partition(";")[0] for line in said] == [
        "waiting 1 h: hub: HTTP 503",
        "waiting 59 min: hub: HTTP 503",
        "waiting 58 min: hub: HTTP 503",
        "waiting 5 s: hub: no answer",
    ]


def test_plain_lines() -> None:
    assert lines_of(RUN, Verbosity.NORMAL) == [
        f"datasets/org/name at commit {'a' * 40} (main, says huggingface.co)",
        "3 large objects, 11.0 MB (3 more stay as pointers)",
        "to fetch: 7.00 MB in 2 objects; here: 4.00 MB",
        "disk: 16.0 MB needed, 1.00 GB free",
        "7.00 MB of 11.0 MB  600 kB/s  7 s left  1 of 3 objects",
        "waiting 12 s: hf-mirror.com: HTTP 503; gives up in 23 h; Ctrl-C is safe",
        "waiting 12 s: the window 23:00-07:00; never gives up; Ctrl-C is safe",
        "8.00 MB of 11.0 MB  400 kB/s  8 s left  1 of 3 objects",
        f"gave up small-\\xff.bin: hf-mirror.com does not have object {'c' * 64}",
        f"done: datasets/org/name at commit {'a' * 40}",
        "3 objects verified and in place; 3 stay as pointers",
        "fetched 7.00 MB, reused 4.00 MB, in 1 min 15 s",
        "  hf-mirror.com: 7.00 MB, 1 failure",
        "checkout: /data/name",
    ]


def test_verbose_lines_say_more() -> None:
    more = [line for line in lines_of(RUN, Verbosity.VERBOSE) if line not in lines_of(RUN, Verbosity.NORMAL)]
    assert more == [
        "hf-mirror.com sent nothing for 20 s",
        "hf-mirror.com is not asked for LFS batch for a while: HTTP 503",
        "verified big\\x1b.bin (8.00 MB)",
    ]


def test_without_progress_nothing_comes_by_time() -> None:
    assert not any(" left" in line for line in lines_of(RUN, Verbosity.NORMAL, interval=None))


def test_long_work_before_the_plan_is_told() -> None:
    said = lines_of([(6, Working("git fetch", 3, 10)), (12, Working("reading", 7, 0))], Verbosity.NORMAL)
    assert said == ["git fetch 3 of 10", "reading 7"]


def test_a_full_commit_needs_no_witness() -> None:
    assert lines_of([(0, Pinned(PIN, "a" * 40, ""))], Verbosity.NORMAL)[0].endswith("(as given)")


def test_a_restart_is_a_smaller_position() -> None:
    tally = Tally()
    for now, event in ((0, Planned(PLAN)), (1, Position(BIG.oid, 8_000_000)), (2, Position(BIG.oid, 1_000_000))):
        tally.note(event, now)
    assert tally.position == 2_000_000
    assert tally.rate(2) == 0
    assert tally.left(2) is None
    tally.note(Position(BIG.oid, 3_000_000), 4)
    assert tally.rate(4) == 1_000_000
    assert tally.left(4) == 7


def test_the_rate_forgets_after_ten_seconds_and_falls_in_silence() -> None:
    tally = Tally()
    tally.note(Planned(PLAN), 0)
    for second in range(1, 5):
        tally.note(Position(BIG.oid, 3_000_000 + second * 1_000_000), second)
    assert tally.rate(4) == 1_000_000
    assert 0 < tally.rate(10) < 1_000_000
    assert tally.rate(40) == 0


def test_the_sum_is_whole_at_the_end() -> None:
    tally = Tally()
    for event in (Planned(PLAN), Verified(BIG), Verified(SMALL), Verified(COPY)):
        tally.note(event, 0)
    assert tally.position == tally.total == 11_000_000


def test_json_lines() -> None:
    written: list[str] = []
    view = JsonLines(written.append)
    for _, event in RUN:
        view(event)
    assert all(line.isascii() and "\n" not in line for line in written)
    data = [json.loads(line) for line in written]
    assert {item["v"] for item in data} == {1}
    names = "pinned working plan started position faulted position demoted waiting waiting position verified failed"
    assert [item["event"] for item in data] == [*names.split(), "plan", "report"]
    plan = data[2]
    assert (plan["repo_id"], plan["repo_type"], plan["commit"]) == ("org/name", "dataset", "a" * 40)
    assert (plan["objects"], plan["fetch_bytes"], plan["here_bytes"]) == (3, 7_000_000, 4_000_000)
    assert (plan["need_bytes"], plan["free_bytes"], plan["unselected"]) == (16_000_000, 10**9, 3)
    assert plan["missing"][0] == {
        "oid": BIG.oid,
        "size": 8_000_000,
        "held": 3_000_000,
        "paths": ["big\x1b.bin", "twin"],
    }
    assert plan["missing"][1]["paths"][0].encode("utf-8", "surrogateescape") == b"small-\xff.bin"
    assert data[12]["error"]["code"] == "object-missing"
    assert data[-1]["path"] == "/data/name"
    assert data[-1]["endpoints"][0] == {"endpoint": "hf-mirror.com", "sent": 7_000_000, "failures": 1}


def test_json_errors_hold_their_failures() -> None:
    from hfclone.cli.jsonlines import error_data

    error = Incomplete("/data", 2, (Stalled("hub", 20), BadPointer("a", "b")))
    data = json.loads(json.dumps(error_data(error)))
    assert data["code"] == "incomplete"
    assert [failure["code"] for failure in data["fields"]["failures"]] == ["stalled", "bad-pointer"]
    assert data["fields"]["failures"][0]["fields"] == {"endpoint": "hub", "seconds": 20}


def screen(text: str, width: int) -> list[str]:
    """What a terminal shows after ``text``; a line that is too long fails the test."""
    rows: list[list[str]] = [[]]
    row = column = 0
    parts = text.replace("\x1b[A", "\x00")
    for char in parts:
        if char == "\n":
            row += 1
            if row == len(rows):
                rows.append([])
        elif char == "\r":
            column = 0
        elif char == "\x00":
            row -= 1
        else:
            assert column < width or char == " ", f"{rows[row]} is wider than {width}"
            rows[row][column : column + 1] = [char]
            column += 1
        if char == "\n":
            column = 0
    return ["".join(line).rstrip() for line in rows]


@pytest.mark.parametrize("width", [20, 49, 60, 80, 200])
def test_bars_stay_in_their_lines(width: int) -> None:
    clock, stream = Clock(), io.StringIO()
    view = Bars(stream, clock=clock, width=lambda: width)
    for clock.now, event in RUN[2:8]:
        view(event)
    drawn = stream.getvalue()
    shown = screen(drawn.partition("free\n")[2], 200)
    assert shown[0].startswith(" 63%")
    assert len(shown[0]) < width
    assert (len(shown) > 1 and "big\\x1b.bin" in shown[1]) == (width >= 50)
    view.close()
    assert not any(line.strip() for line in screen(stream.getvalue().partition("free\n")[2], 200))


def test_bars_end_with_the_report() -> None:
    clock, stream = Clock(), io.StringIO()
    view = Bars(stream, clock=clock, width=lambda: 100)
    for clock.now, event in RUN:
        view(event)
    view.close()
    left = [line for line in screen(stream.getvalue(), 300) if line]
    assert left[0].endswith("(main, says huggingface.co)")
    assert left[4].startswith("gave up small-\\xff.bin")
    assert left[5].startswith("done: datasets/org/name")
    assert left[-1] == "checkout: /data/name"
    assert "\x1b.bin" not in stream.getvalue()


def test_bars_show_a_wait_in_place() -> None:
    clock, stream = Clock(), io.StringIO()
    view = Bars(stream, clock=clock, width=lambda: 80)
    for clock.now, event in RUN[2:9]:
        view(event)
    assert any(line.startswith("waiting 12 s: hf-mirror.com") for line in screen(stream.getvalue(), 200))
    view.close()


def test_six_objects_at_most_have_a_line() -> None:
    pointers = tuple(Pointer(Oid(f"{number:064x}"), 1000) for number in range(9))
    paths = {pointer.oid: (f"file-{number}".encode(),) for number, pointer in enumerate(pointers)}
    clock, stream = Clock(), io.StringIO()
    view = Bars(stream, clock=clock, width=lambda: 80)
    view(Planned(Plan(PIN, pointers, (), (), 0, paths, {}, 0, 10)))
    for clock.now, pointer in enumerate(pointers, start=1):
        view(Started(pointer.oid, "hub"))
    shown = [line for line in screen(stream.getvalue(), 200) if line.startswith("file-")]
    assert [line[:6] for line in shown] == [f"file-{number}" for number in range(6)]
    clock.now = 20
    view(Verified(pointers[0]))
    assert screen(stream.getvalue().partition("free\n")[2], 200)[1].startswith("file-6")
    view.close()
