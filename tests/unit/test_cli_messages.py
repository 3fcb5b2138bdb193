"""Errors as text and exit codes; signals; how a session ends."""

import json
import os
import signal

import pytest

from hfclone.cli.messages import EXIT_CODES, bug_lines, error_lines, exit_code, interrupted_lines
from hfclone.cli.session import Session, make_streams_safe
from hfclone.cli.signals import Ended, ending_signals
from hfclone.errors import (
    AccessDenied,
    DiskFull,
    GitFailed,
    HashMismatch,
    HfcloneError,
    Incomplete,
    ObjectMissing,
    Stalled,
    Unreachable,
)
from hfclone.events import Event, Failed, OnEvent, Waiting
from hfclone.pointer import Oid, Pointer
from hfclone.redaction import without_secrets
from hfclone.settings import Progress, Settings, Verbosity

MISSING = tuple(ObjectMissing(f"{number:064x}", "hf-mirror.com") for number in range(12))
WRONG = HashMismatch("f" * 64, "0" * 64, ("a.example", "b.example"))
STALLED = Stalled("huggingface.co", 20)
DENIED = AccessDenied("org/name", "huggingface.co", "https://x", with_token=False)


@pytest.mark.parametrize(
    ("failures", "code"),
    [
        ((), 4),
        ((STALLED,), 4),
        ((STALLED, DENIED), 4),
        ((DENIED, *MISSING), 3),
        ((DENIED, STALLED, WRONG), 5),
        ((WRONG,), 5),
        ((DiskFull("/", 2, 1),), 4),
    ],
)
def test_what_an_incomplete_run_exits_with(failures: tuple[HfcloneError, ...], code: int) -> None:
    assert exit_code(Incomplete("/data", len(failures), failures)) == code


def test_failures_in_groups() -> None:
    error = Incomplete("/data", 14, (*MISSING, STALLED, WRONG))
    lines = error_lines(error, lambda failure: [f"file-{str(failure.fields().get('oid'))[-1]}\x1b"])
    assert lines[0] == "hfclone: error: 14 object(s) of /data could not be fetched"
    assert lines[1].startswith("  object-missing (hf-mirror.com), 12 times: hf-mirror.com does not have object 000")
    assert lines[2:12] == tuple(f"    file-{number}\\x1b" for number in "0123456789")
    assert lines[12] == "    and 2 more"
    assert lines[13] == "  stalled (huggingface.co): huggingface.co sent nothing for 20 s"
    assert lines[15].startswith("  hash-mismatch (a.example, b.example): object ff")
    assert lines[-1] == "hint: everything that arrived is kept: run the same command again to go on"


def test_gits_lines_stay_lines() -> None:
    lines = error_lines(GitFailed("fetch", 128, "fatal: no\nremote: \x1b[1mreally\n"))
    assert lines == ("hfclone: error: git fetch failed (128): fatal: no", "  remote: \\x1b[1mreally")


def test_an_unknown_kind_is_a_bug() -> None:
    assert exit_code(HfcloneError()) == 1


SECRETS = (
    "hf_TheSecretOfTheUser1234567890", "Bearer abcdef123456", "Basic aGZjbG9uZTpoZl9TZWNyZXQ=", "http://me:sesame1@proxy:3128/",
    "Max retries exceeded with url: /repos/a/b?X-Amz-Signature=sesame1&X-Amz-Expires=3600 (Caused by x)",
)  # fmt: skip


@pytest.mark.parametrize("text", SECRETS)
def test_a_crash_shows_no_secret(text: str) -> None:
    """The text of an exception and its traceback go into reports that people publish."""
    try:
        raise RuntimeError(f"GET failed: {text}")
    except RuntimeError as error:
        said = "\n".join((*bug_lines(error, with_traceback=False), *bug_lines(error, with_traceback=True)))
    assert "***" in said
    assert not any(word in said for word in ("TheSecret", "abcdef", "aGZjbG9", "sesame1"))
    assert "GET failed" in said


def test_a_crash_shows_all_else() -> None:
    text = "is it there? x = 12345678; https://host/a/b.py and a@b.example, hf_hub"
    assert without_secrets(text) == text


def test_bugs() -> None:
    try:
        raise KeyError("x\x1b")
    except KeyError as error:
        short = bug_lines(error, with_traceback=False)
        long = bug_lines(error, with_traceback=True)
    assert short[0].startswith("hfclone: error: KeyError: 'x\\x1b' (this is a bug in hfclone")
    assert not any("Traceback" in line for line in short)
    assert long[0] == "Traceback (most recent call last):"
    assert all(line.isprintable() for line in long)


def test_exit_codes_are_listed_once() -> None:
    codes = [code for code, _ in EXIT_CODES]
    assert codes == sorted(set(codes))
    assert "go on" in interrupted_lines("interrupted")[0]


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGHUP", 129)])
def test_signals_unwind(name: str, code: int) -> None:
    number = getattr(signal, name)
    before = signal.getsignal(number)
    with pytest.raises(Ended) as caught, ending_signals():
        os.kill(os.getpid(), number)
        signal.pause()
    assert caught.value.exit_code == code
    assert signal.getsignal(number) == before


def test_an_ignored_signal_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with ending_signals():
            os.kill(os.getpid(), signal.SIGHUP)
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def ends_with(*events: Event, then: BaseException | None = None, **settings: object) -> int:
    def work(on_event: OnEvent) -> None:
        for event in events:
            on_event(event)
        if then is not None:
            raise then

    return Session(Settings(**settings)).run(work)  # type: ignore[arg-type]  # a table of keywords


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (None, 0, ""),
        (STALLED, 4, "hfclone: error: huggingface.co sent nothing for 20 s\n"),
        (KeyboardInterrupt(), 130, "hfclone: interrupted: everything that arrived is kept; run the same command"),
        (Ended(signal.SIGTERM), 143, "hfclone: SIGTERM: everything that arrived is kept"),
        (ZeroDivisionError("oh"), 1, "hfclone: error: ZeroDivisionError: oh (this is a bug in hfclone"),
        (BrokenPipeError("git"), 1, "hfclone: error: BrokenPipeError: git (this is a bug in hfclone"),
    ],
)
def test_ends(error: BaseException | None, code: int, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    waiting = Waiting(1, "x", None)
    assert ends_with(waiting, then=error, verbosity=Verbosity.QUIET) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(text)
    assert "waiting" not in err


def test_errors_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert ends_with(Waiting(1, "x", None), then=STALLED, progress=Progress.JSON) == 4
    out, err = capsys.readouterr()
    last = json.loads(out.splitlines()[-1])
    assert (last["v"], last["event"], last["code"], last["exit"]) == (1, "error", "stalled", 4)
    assert last["fields"] == {"endpoint": "huggingface.co", "seconds": 20}
    assert err.startswith("hfclone: error:")


def test_failures_are_named_by_their_paths(capsys: pytest.CaptureFixture[str]) -> None:
    pointer = Pointer(Oid("e" * 64), 1)
    ends_with(Failed(pointer, STALLED), then=Incomplete("/d", 1, (STALLED,)), verbosity=Verbosity.QUIET)
    assert f"    {'e' * 64}\n" in capsys.readouterr().err


def test_streams_never_fail_on_a_character(monkeypatch: pytest.MonkeyPatch) -> None:
    import io
    import sys

    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(raw, encoding="ascii", errors="strict"))
    make_streams_safe()
    print("模", file=sys.stderr, flush=True)
    assert raw.getvalue() == b"\\u6a21\n"


def test_causes_show_no_secrets(capsys: pytest.CaptureFixture[str]) -> None:
    """What another library says of a request may hold what signs it."""
    try:
        try:
            raise OSError("Max retries exceeded with url: /a/b?X-Amz-Signature=0123456789abcdef")
        except OSError as error:
            raise Unreachable("http://127.0.0.1:1", "refused") from error
    except Unreachable as error:
        Session(Settings(progress=Progress.NONE, verbosity=Verbosity.VERBOSE)).fail(error)
    said = capsys.readouterr().err
    assert "cause: OSError" in said
    assert "0123456789abcdef" not in said
