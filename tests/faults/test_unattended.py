"""Issue 3: every one of these ends right, unattended, and the server's log shows at what price."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from hfclone import errors
from hfclone.events import Demoted, Event, Position, Waiting
from hfclone.http import Authority
from hfclone.names import Token
from hfclone.settings.measures import Window
from tests.faults.rig import MB, REPO, Rig
from tests.hub import Hub, Lfs, Manners, Outage
from tests.hub.answers import (
    CaptivePortal,
    IgnoreRange,
    Latency,
    NoAnswer,
    RedirectLoop,
    RedirectTo,
    ShortFile,
    Status,
    WithoutHeaders,
    WrongContentRange,
    WrongRange,
)
from tests.hub.mirror import files_only, moved, olah_proxy, reverse_proxy
from tests.hub.streams import CloseShort, EndlessBody, FlipByte, ForceGzip, ResetAfter, Stall, Throttle, WrongBytes

LINES: dict[str, Callable[[Hub], object]] = {
    "resets after random bytes": lambda hub: hub.faults.add(ResetAfter(100_000, 3 * MB), on="cdn"),
    "closes short": lambda hub: hub.faults.add(CloseShort(100_000, 3 * MB), on="cdn"),
    "no answer to a third": lambda hub: hub.faults.add(NoAnswer(), probability=0.3),
    "half are 503 (CDN)": lambda hub: hub.faults.add(Status(503), on="cdn", probability=0.5),
    "40 % are 403 (CDN)": lambda hub: hub.faults.add(Status(403), on="cdn", probability=0.4),
    "30 % are 503 (hub)": lambda hub: hub.faults.add(Status(503), on="hub", probability=0.3),
    "429 with seconds": lambda hub: hub.faults.add(Status(429, retry_after=1), on="cdn", times=3),
    "429 with a date": lambda hub: hub.faults.add(Status(429, retry_after=2, form="date"), on="cdn", times=3),
    "429 with RateLimit": lambda hub: hub.faults.add(Status(429, rate=(0, 1)), on="cdn", times=3),
    "429 with none": lambda hub: hub.faults.add(Status(429), on="cdn", times=3),
    "429 of the hub": lambda hub: hub.faults.add(Status(429, retry_after=1), on="hub", times=2),
    "Range ignored": lambda hub: hub.faults.add(IgnoreRange(), on="cdn"),
    "gzip for a while": lambda hub: hub.faults.add(ForceGzip(), on="cdn", times=4),
    "a captive portal for a while": lambda hub: hub.faults.add(CaptivePortal(), times=8),
    "another range": lambda hub: hub.faults.add(WrongRange(7), on="cdn", times=3),
    "a range that lies": lambda hub: hub.faults.add(WrongContentRange(), on="cdn", times=3),
    "no Content-Length": lambda hub: hub.faults.add(WithoutHeaders(("Content-Length",)), on="cdn"),
    "no LFS batch": lambda hub: hub.faults.add(Status(404), kind="batch"),
    "an odd batch answer": lambda hub: hub.faults.add(Status(200, body="[]"), kind="batch", times=2),
    "redirects to itself for a while": lambda hub: hub.faults.add(RedirectLoop(), on="cdn", times=3),
}


@pytest.mark.parametrize("fault", LINES.values(), ids=LINES)
def test_a_poor_line_brings_everything_and_sends_little_twice(rig: Rig, fault: Callable[[Hub], object]) -> None:
    fault(rig.hub)
    ran = rig.fetch()
    assert not ran.failed
    assert rig.sent() <= rig.fair
    assert ran.seconds < 19


def test_bodies_that_stall_for_ever_are_left(rig: Rig) -> None:
    """Those that never begin: ``test_late_answers``."""
    rig.hub.faults.add(Stall(after=100_000), on="cdn", probability=0.3, seed=3)
    ran = rig.fetch()
    assert not ran.failed
    assert rig.sent() <= rig.fair
    assert ran.seconds < 40


def test_range_ignored_with_resets(rig: Rig) -> None:
    """No fair price exists: a server that begins anew each time sends what it sent before."""
    rig.hub.faults.add(ResetAfter(5 * MB, 40 * MB), on="cdn")
    rig.hub.faults.add(IgnoreRange(), on="cdn")
    ran = rig.fetch()
    assert not ran.failed
    assert rig.sent() < 6


def test_late_answers(rig: Rig) -> None:
    rig.hub.faults.add(Latency(1.0))
    ran = rig.fetch()
    assert not ran.failed
    assert rig.sent() <= rig.fair
    assert ran.seconds < 15


def test_an_endless_body_is_bounded_by_the_pointer(rig: Rig) -> None:
    rig.hub.faults.add(EndlessBody(), on="cdn", times=5)
    ran = rig.fetch()
    assert not ran.failed
    assert rig.sent() <= 1.2  # what lay in the buffers of five connections when we hung up


# --- signed URLs ---------------------------------------------------------------------------------


def test_signed_urls_are_refreshed_before_they_die(rig: Rig) -> None:
    rig.hub.site.url_lifetime = 2.5
    rig.hub.faults.add(Throttle(total=9 * MB), on="cdn")
    ran = rig.fetch()
    assert not ran.failed
    assert rig.sent() <= rig.fair
    assert len(rig.hub.log.of(kind="cdn", status=403)) <= 1
    assert len(rig.hub.log.of(kind="batch")) <= 12


def test_a_dead_url_costs_a_new_one_and_nothing_else(rig: Rig) -> None:
    seen = threading.Event()

    def late(request: object) -> bool:
        if not seen.is_set():
            rig.hub.site.clock.advance(4000)  # all URLs that were given die at once
            rig.hands.ahead += 10
            seen.set()
        return False

    rig.hub.faults.add(Status(500), on="cdn", when=late)
    ran = rig.fetch()
    assert not ran.failed
    assert set(ran.faults) <= {"url-expired", "server-fault"}
    # aria2c asks with each old address that it holds, and hears of each by itself
    assert len(rig.hub.log.of(kind="batch")) <= (6 if rig.kind == "threads" else 20)


def test_a_cdn_that_always_says_403_is_not_asked_in_a_tight_loop(rig: Rig) -> None:
    rig.hub.faults.add(Status(403), on="cdn")
    rig.patience = rig.first_answer = 6.0
    ran = rig.fetch()
    assert len(ran.failed) == len(rig.objects)
    assert len(rig.hub.log) < 80


# --- outages -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("how", "seconds"), [(Outage.REFUSE, 20), (Outage.CLOSE, 20), (Outage.REFUSE, 600)])
def test_the_hub_goes_and_comes_back(rig: Rig, how: Outage, seconds: float) -> None:
    rig.patience = 3600
    rig.hub.faults.add(Throttle(total=20 * MB), on="cdn")
    with rig.in_background() as run:
        run.wait_for(Position)
        rig.hub.down(how)
        passed = 0.0
        while passed < seconds:
            waiting = run.wait_for(Waiting)
            assert isinstance(waiting, Waiting)
            assert waiting.seconds <= 15
            passed += seconds / 4
            rig.hands.ahead += seconds / 4
        rig.hub.up()
        rig.hands.ahead += 15  # so long it may take until somebody looks again
        run.wait_for(Position, 15.0)
        ran = run.done()
    assert not ran.failed
    assert rig.sent() <= rig.fair


def test_a_portal_for_ever_is_named_after_two_minutes(rig: Rig) -> None:
    rig.hub.faults.add(CaptivePortal())
    rig.patience, rig.first_answer = 86400, 120
    with rig.in_background() as run:
        for _ in range(12):
            run.wait_for(Waiting)
            rig.hands.ahead += 10
        ran = run.done()
    assert {failed.error.code for failed in ran.failed} == {"not-the-object"}


def test_patience_ends_with_a_reason_for_each_object(rig: Rig) -> None:
    lost = rig.objects[0]
    rig.hub.faults.add(Status(404), on="cdn", oid=lost.oid)
    rig.hub.faults.add(Status(503), on="cdn", oid=rig.objects[1].oid)
    rig.patience = 3.0
    ran = rig.fetch()
    assert {failed.pointer: failed.error.code for failed in ran.failed} == {
        lost: "object-missing",
        rig.objects[1]: "server-fault",
    }


def test_the_clock_of_the_day_may_jump(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Signed URLs and dates are held against the server's own time."""
    monkeypatch.setattr(
        "hfclone.http.answer.time", SimpleNamespace(time=lambda: time.time() + 86400, monotonic=time.monotonic)
    )
    rig.hub.faults.add(Status(429, retry_after=2, form="date"), on="cdn", times=2)
    ran = rig.fetch()
    assert not ran.failed
    assert ran.seconds < 18
    # one for all, and one more for each address that was refused, unless they fall together
    assert len(rig.hub.log.of(kind="batch")) <= (3 if rig.kind == "threads" else 5)


# --- hosts that cannot be reached, and redirects -------------------------------------------------


def tls_url(hub: Hub) -> str:
    return hub.url.replace("http:", "https:")


@pytest.mark.parametrize(
    ("mirror", "word"),
    [
        (lambda _hub: "http://no-such-host.invalid", "resolve"),
        (lambda _hub: "http://127.0.0.1:9", "refused"),
        (tls_url, "ssl|tls|in time"),
    ],
    ids=["no such name", "refused", "no TLS"],
)
def test_a_host_that_cannot_be_reached(rig: Rig, mirror: Callable[[Hub], str], word: str) -> None:
    rig.first_answer, rig.only_mirrors, rig.connect = 3.0, True, 1.0
    ran = rig.fetch(mirror(rig.hub))
    # A host that speaks no TLS may also leave the greeting unanswered.
    codes = {failed.error.code for failed in ran.failed}
    assert codes <= {"unreachable", "stalled"}
    if not (codes == {"stalled"} and "tls" in word):
        assert any(re.search(word, str(failed.error).lower()) for failed in ran.failed)
    rig.only_mirrors, rig.first_answer = False, 20.0
    assert not rig.fetch(mirror(rig.hub)).failed


@pytest.mark.parametrize("fault", [RedirectLoop(), RedirectTo("file:///etc/passwd"), RedirectTo("ftp://h/x")])
def test_a_bad_redirect_is_not_followed(rig: Rig, fault: RedirectLoop | RedirectTo) -> None:
    rig.hub.faults.add(fault)
    rig.first_answer = 2.0
    ran = rig.fetch()
    assert {failed.error.code for failed in ran.failed} == {"bad-redirect"}
    assert len(rig.hub.log) < 400


def test_an_object_missing_on_the_cdn(rig: Rig) -> None:
    lost = rig.objects[3]
    rig.hub.faults.add(Status(404), on="cdn", oid=lost.oid)
    ran = rig.fetch()
    assert [failed.pointer for failed in ran.failed] == [lost]
    assert isinstance(ran.failed[0].error, errors.ObjectMissing)
    asked = len(rig.hub.log.of(oid=lost.oid))  # a second URL decides: a CDN may be behind for a moment
    assert asked == (2 if rig.kind == "threads" else 4)  # we hear from aria2c that it failed, and ask why
    assert rig.sent() <= rig.fair


def test_a_consistently_short_file_is_another_file(rig: Rig) -> None:
    short = rig.objects[0]
    rig.hub.faults.add(ShortFile(20_000), on="cdn", oid=short.oid)
    ran = rig.fetch()
    assert [failed.pointer for failed in ran.failed] == [short]
    assert isinstance(ran.failed[0].error, errors.OtherFile)
    assert ran.seconds < 18


# --- mirrors -------------------------------------------------------------------------------------

MIRRORS: dict[str, tuple[Callable[[Hub], Manners], Callable[[], object] | None]] = {
    "answering 308": (lambda hub: moved(hub.url), None),
    "answering HTML": (lambda _hub: Manners(), CaptivePortal),
    "answering 403": (lambda _hub: Manners(), lambda: Status(403)),
    "answering 401": (lambda _hub: Manners(), lambda: Status(401)),
    "answering 451": (lambda _hub: Manners(), lambda: Status(451)),
    "answering 429": (lambda _hub: Manners(), lambda: Status(429, retry_after=30)),
    "answering 404": (lambda _hub: Manners(), lambda: Status(404)),
    "answering 500": (lambda _hub: Manners(), lambda: Status(500)),
    "silent": (lambda _hub: Manners(), lambda: Stall(after=None)),
    "corrupt": (lambda _hub: olah_proxy(), WrongBytes),
    "of short files": (lambda _hub: olah_proxy(), lambda: ShortFile(10_000)),
    "without git and LFS batch": (lambda _hub: files_only(), None),
    "of bytes, with resets": (lambda _hub: olah_proxy(), lambda: ResetAfter(100_000, 2 * MB)),
    "of everything": (lambda _hub: reverse_proxy(), None),
}


@pytest.mark.parametrize(("manners", "fault"), MIRRORS.values(), ids=MIRRORS)
def test_a_poor_mirror_before_an_honest_hub(
    rig: Rig, manners: Callable[[Hub], Manners], fault: Callable[[], object] | None
) -> None:
    mirror = rig.hub.mirror(manners=manners(rig.hub))
    rig.stall_after = 3.0
    if fault is not None:
        mirror.faults.add(fault())  # type: ignore[arg-type]  # one of the faults
    ran = rig.fetch(mirror)
    assert not ran.failed
    assert ran.seconds < 19
    corrupt = "wrong-bytes" in ran.faults or "hash-mismatch" in ran.faults
    assert rig.sent() <= ((2 if corrupt else 1) * rig.fair)


def test_a_mirror_dies_half_way(rig: Rig) -> None:
    mirror = rig.hub.mirror(manners=olah_proxy())
    mirror.faults.add(Throttle(total=10 * MB))
    with rig.in_background(mirror) as run:
        rig.hub.log.wait(lambda log: rig.sent() > 0.3)
        mirror.down()
        ran = run.done()
    assert not ran.failed
    assert rig.sent() <= rig.fair


def test_a_token_goes_to_the_hub_alone(rig: Rig) -> None:
    rig.hub.tokens.add("hf_secret")
    rig.token = Authority(rig.hub.url, Token("hf_secret"))
    mirror = rig.hub.mirror()
    mirror.faults.add(Status(503), probability=0.5)
    rig.hub.faults.add(Status(403), on="cdn", probability=0.3)
    assert not rig.fetch(mirror).failed
    assert not rig.hub.log.saw_token("hf_secret", listener="cdn")
    assert not rig.hub.log.saw_token("hf_secret", listener="mirror")


def test_two_honest_mirrors_are_used_at_once(rig: Rig) -> None:
    mirrors = [rig.hub.mirror(f"mirror{i}", olah_proxy()) for i in range(2)]
    for mirror in mirrors:
        mirror.faults.add(Throttle(total=8 * MB))
    rig.hub.faults.add(Throttle(total=2 * MB), on="cdn")
    ran = rig.fetch(*mirrors)
    shares = [rig.hub.log.bytes_sent(listener=f"mirror{i}") / rig.total for i in range(2)]
    assert min(shares) > (0.3 if rig.kind == "threads" else 0.15)
    assert rig.sent() <= rig.fair
    assert ran.seconds < 1.5 * rig.total / (16 * MB) + 8  # a busy machine


# --- rate limits ---------------------------------------------------------------------------------


def test_a_limit_is_obeyed_before_it_is_hit(tmp_path: Path) -> None:
    """Ninety objects by resolve, and thirty requests a window."""
    with Hub(tmp_path / "hub", manners=Manners(batch=False)) as hub:
        repo = hub.repo(REPO, {f"{i}.bin": Lfs(2000, seed=i) for i in range(200)})
        hub.limits.quota["resolvers"], hub.limits.window, hub.limits.enforced = 30, 2, True
        rig = Rig(hub, repo, tmp_path / "parts")
        rig.objects = rig.objects[:90]
        with rig.in_background() as run:
            ran = run.done(60)
        assert not ran.failed
        limited = hub.log.of(kind="resolve", status=429)
        # a request may cross the edge of a window
        assert len(limited) <= 2, [entry.number for entry in limited]


def test_a_limit_that_outlasts_patience_is_named(rig: Rig) -> None:
    rig.hub.limits.quota["pages"] = 0
    rig.hub.limits.enforced = True
    rig.patience = rig.first_answer = 4.0
    ran = rig.fetch()
    assert {failed.error.code for failed in ran.failed} == {"rate-limited"}
    # nobody asks again; a few may have asked before the first was told
    assert len(rig.hub.log) <= (2 if rig.kind == "threads" else 4)
    assert ran.waits


def test_a_hold_of_the_hub_does_not_stop_its_cdn(rig: Rig) -> None:
    rig.hub.faults.add(Throttle(total=30 * MB), on="cdn")
    rig.hub.limits.quota["pages"] = 1  # the first batch answer says that there is none left for minutes
    rig.hub.limits.enforced = True
    ran = rig.fetch()
    assert not ran.failed
    assert ran.seconds < 18
    assert len(rig.hub.log.of(kind="batch")) == 1


@pytest.mark.parametrize("on", ["hub", "cdn"])
def test_who_asks_for_no_wait_is_asked_ever_less_often(rig: Rig, on: str) -> None:
    rig.hub.faults.add(Status(429, retry_after=0), on=on)
    rig.patience = rig.first_answer = 4.0
    ran = rig.fetch()
    assert {failed.error.code for failed in ran.failed} == {"rate-limited"}
    assert len(rig.hub.log) < 100  # a hot loop makes thousands


def test_a_hub_that_takes_small_batches_alone_gets_them(rig: Rig) -> None:
    rig.hub.manners.batch_limit = 5
    ran = rig.fetch()
    assert not ran.failed
    assert not ran.faults
    assert not rig.hub.log.of(kind="resolve")
    assert len(rig.hub.log.of(kind="batch", status=413)) <= 3  # while the right size is looked for


# --- wrong bytes ---------------------------------------------------------------------------------


def test_one_flipped_byte_is_found_and_replaced(rig: Rig) -> None:
    large = max(rig.objects, key=lambda pointer: pointer.size)
    rig.hub.faults.add(FlipByte(5 * MB), on="cdn", oid=large.oid)
    ran = rig.fetch()
    assert not ran.failed
    assert ran.faults == ["hash-mismatch", "wrong-bytes"]
    assert rig.sent() <= 1 + 8 * MB / rig.total


def test_a_byte_that_is_always_wrong_fails_honestly(rig: Rig) -> None:
    large = max(rig.objects, key=lambda pointer: pointer.size)
    rig.hub.faults.add(FlipByte(5 * MB, always=True), on="cdn", oid=large.oid)
    ran = rig.fetch()
    assert [failed.pointer for failed in ran.failed] == [large]
    assert isinstance(ran.failed[0].error, errors.HashMismatch)
    assert not rig.partials.part_path(large).exists()
    assert rig.sent() <= 2 * rig.fair  # one more chance, and no third


def test_a_flipped_byte_costs_little_where_two_share(rig: Rig) -> None:
    """The liar's share is compared from its front on; half of it is read until the byte is found, on average."""
    liar, honest = (rig.hub.mirror(name, olah_proxy()) for name in ("liar", "honest"))
    for mirror in (liar, honest):
        mirror.faults.add(Throttle(total=20 * MB))
    large = max(rig.objects, key=lambda pointer: pointer.size)
    rig.objects = [large]
    rig.total = large.size
    flip = FlipByte(large.size // 5, always=True)
    liar.faults.add(flip)
    rig.only_mirrors = True
    ran = rig.fetch(liar, honest)
    assert not ran.failed
    if flip.flips:
        assert "wrong-bytes" in ran.faults
        tallies = {tally.endpoint: tally.failures for tally in rig.health.tallies()}
        assert tallies[honest.url.partition("//")[2]] == 0
    assert rig.sent() <= 1.25


@pytest.mark.parametrize("first", ["liar", "honest"])
def test_who_lied_is_known_across_runs(rig: Rig, first: str) -> None:
    """A run that was cut short leaves a journal that names the senders; the next one blames nobody else."""
    large = max(rig.objects, key=lambda pointer: pointer.size)
    rig.objects = [large]
    rig.total = large.size
    mirrors = {name: rig.hub.mirror(name, olah_proxy()) for name in ("liar", "honest")}
    mirrors["liar"].faults.add(WrongBytes())
    mirrors[first].faults.add(ResetAfter(9 * MB))
    mirrors[first].faults.add(
        Status(404), when=lambda request: not request.headers.get("range", "").startswith("bytes=0-")
    )
    rig.only_mirrors = True
    assert rig.fetch(mirrors[first]).failed
    mirrors[first].faults.clear()
    if first == "liar":
        mirrors["liar"].faults.add(Status(404))
    mirrors["liar"].faults.add(WrongBytes())
    ran = rig.fetch(*mirrors.values())
    assert not ran.failed
    tallies = {tally.endpoint: tally.failures for tally in rig.health.tallies()}
    assert tallies[mirrors["honest"].url.partition("//")[2]] == 0


def test_a_lying_mirror_is_left_alone_after_a_few_lies(rig: Rig) -> None:
    liar = rig.hub.mirror("liar", olah_proxy())
    liar.faults.add(WrongBytes())
    ran = rig.fetch(liar)
    assert not ran.failed
    assert [event.what for event in ran.events if isinstance(event, Demoted) and "files" in event.what]
    small = sum(1 for entry in rig.hub.log.of(listener="liar", kind="resolve"))
    assert small < (25 if rig.kind == "threads" else 100)  # more at a time, and each is looked up before


# --- what the user asks of the line -----------------------------------------------------------------


@pytest.mark.parametrize("kind", ["threads"])  # aria2c keeps it by its own measure: test_aria2
@pytest.mark.parametrize("connections", [1, 64])
def test_the_rate_is_kept_by_all_connections_together(rig: Rig, connections: int) -> None:
    limit = rig.limit_rate = 4 * MB
    rig.connections = connections
    rig.objects = [pointer for pointer in rig.objects if pointer.size < 20 * MB]  # 3.2 seconds' worth
    events: list[Event] = []
    began, received = time.monotonic(), []
    for _ in rig.transfer().fetch(rig.wanted, events.append):
        sent_so_far = sum(tally.sent for tally in rig.health.tallies())
        received += [(time.monotonic() - began, sent_so_far)]
    seconds, sent = received[-1]
    assert 0.85 <= sent / (limit * seconds) <= 1.1
    assert all(count <= limit * (at + 0.5) for at, count in received)
    assert rig.sent() * rig.total <= limit * (seconds + 0.75)  # by the server's count, with what lies in buffers


def test_bytes_move_only_within_the_window(rig: Rig) -> None:
    day = time.mktime((2026, 1, 15, 22, 59, 0, 0, 0, -1))
    moment = [day]
    rig.window, rig.wall_clock = Window(23 * 60, 7 * 60), lambda: moment[0]
    rig.first_answer = 2.0  # time outside the window does not count
    rig.hub.faults.add(Throttle(total=20 * MB), on="cdn")
    with rig.in_background() as run:
        waiting = run.wait_for(Waiting)
        assert isinstance(waiting, Waiting)
        assert "23:00-07:00" in waiting.reason
        assert waiting.seconds == pytest.approx(60)
        time.sleep(2.5)  # longer than patience for a first answer
        assert len(rig.hub.log) == 0
        moment[0] = day + 60
        run.wait_for(Position)
        moment[0] = day + 9 * 3600
        run.wait_for(Waiting)
        assert rig.hub.log.wait_quiet(5.0)
        asked = len(rig.hub.log)
        time.sleep(0.5)
        assert len(rig.hub.log) == asked
        moment[0] = day + 25 * 3600
        ran = run.done()
    assert not ran.failed
    assert not ran.faults
    assert rig.sent() <= 1.1  # what lay in sixteen buffers when the window closed
