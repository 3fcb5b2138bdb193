"""A flaw in what reads a stranger's answers: it costs that stranger's part, is told, and is waited for by nobody.

The flaws are put in here, since those that are known are mended.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import hfclone
from hfclone.cli.messages import exit_code
from hfclone.errors import Incomplete, Unforeseen
from hfclone.events import Event, Failed, Waiting, Warned
from hfclone.hub import client as hub_module
from hfclone.transfer import exchange, sources
from hfclone.transfer.coordinator import Coordinator
from tests.e2e.command import placed
from tests.faults.rig import Rig
from tests.hub import Hub, LivingRepo

LIFE = 4711
"""What a mirror says that leads to the flaw."""


@pytest.fixture
def flaw(monkeypatch: pytest.MonkeyPatch) -> None:
    """A row of a batch answer that names a certain life is too much."""
    read = sources._life_of_action

    def flawed(action: Any, date: float | None) -> float | None:
        if action.get("expires_in") == LIFE:
            raise KeyError(f"https://cdn.example/x?Signature={'s' * 40}")
        return read(action, date)

    monkeypatch.setattr(sources, "_life_of_action", flawed)


def warnings(events: list[Event]) -> list[Warned]:
    """What was told of it."""
    return [event for event in events if isinstance(event, Warned) and event.code == "unforeseen"]


@pytest.mark.usefixtures("flaw")
def test_a_flaw_that_a_mirror_finds_costs_the_mirrors_part(rig: Rig) -> None:
    mirror = rig.hub.mirror()
    mirror.manners.batch_expires_in = LIFE
    with rig.in_background(mirror) as run:
        ran = run.done(60)
    assert not ran.failed
    (told,) = warnings(ran.events)
    assert "KeyError" in told.text
    assert "(test_unforeseen.py:" in told.text
    assert mirror.url.removeprefix("http://") in told.text
    assert "ssss" not in told.text, "a signature"


@pytest.mark.usefixtures("flaw")
def test_a_flaw_that_everybody_finds_ends_the_run_soon(rig: Rig) -> None:
    """However long patience may be; and each object says why."""
    rig.patience = rig.first_answer = None
    rig.objects = rig.objects[-1:]
    rig.hub.manners.batch_expires_in = LIFE
    with rig.in_background() as run:
        ran = run.done(60)
    assert [type(failed.error) for failed in ran.failed] == [Unforeseen]
    assert "KeyError" in str(ran.failed[0].error)
    assert len(rig.hub.log.of(kind="batch")) < 30
    assert len(warnings(ran.events)) == 1


def test_one_row_does_not_cost_the_others_their_urls(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one endpoint and thirty objects, a flaw that one of them finds costs that one."""
    poison = rig.objects[7].oid
    read = sources._read_row

    def flawed(endpoint: Any, pointer: Any, *more: Any) -> Any:
        if pointer.oid == poison:
            raise ZeroDivisionError
        return read(endpoint, pointer, *more)

    monkeypatch.setattr(sources, "_read_row", flawed)
    with rig.in_background() as run:
        ran = run.done(60)
    assert [failed.pointer.oid for failed in ran.failed] == [poison]


def test_a_flaw_of_an_objects_answer(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    mirror = rig.hub.mirror()
    check = exchange._partial_body

    def flawed(answer: Any, *more: Any) -> Any:
        if answer.label in mirror.url:
            raise RecursionError
        return check(answer, *more)

    monkeypatch.setattr(exchange, "_partial_body", flawed)
    with rig.in_background(mirror) as run:
        ran = run.done(60)
    assert not ran.failed
    assert len(warnings(ran.events)) == 1


def test_a_flaw_where_decisions_are_made_is_a_bug(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """That ends the run as what it is: it would spin for ever."""

    def flawed(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Coordinator, "answers", flawed)
    with rig.in_background() as run, pytest.raises(ZeroDivisionError):
        run.done(30)


# --- single calls ------------------------------------------------------------------------------


def test_a_call_that_stays_so_ends_with_the_reason(
    hub: Hub, tiny_repo: LivingRepo, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert tiny_repo.commit
    asked: list[str] = []

    def flawed(said: str) -> bool:
        asked.append(said)
        raise OverflowError("too large")

    monkeypatch.setattr(hub_module, "is_full_sha", flawed)
    events: list[Event] = []
    with pytest.raises(Unforeseen, match="OverflowError: too large") as caught:
        hfclone.clone("acme/tiny", tmp_path / "tiny", endpoint=hub.url, on_event=events.append)
    assert caught.value.endpoint == hub.url.removeprefix("http://")
    assert len(asked) == 3
    assert [event for event in events if isinstance(event, Waiting)]
    assert len(warnings(events)) == 1
    assert not (tmp_path / "tiny").exists()


def test_the_run_says_it(hub: Hub, tiny_repo: LivingRepo, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Everything else is in place, and the error is of the bytes' kind: they did not arrive."""
    lost = min(tiny_repo.objects.items(), key=lambda pair: pair[1])[0]
    check = exchange._check_whole

    def flawed(answer: Any, pointer: Any) -> None:
        if pointer.oid == lost:
            raise AttributeError("x")
        check(answer, pointer)

    monkeypatch.setattr(exchange, "_check_whole", flawed)
    events: list[Event] = []
    with pytest.raises(Incomplete) as caught:
        hfclone.clone("acme/tiny", tmp_path / "tiny", revision="feat/slash", endpoint=hub.url, on_event=events.append)
    assert [type(failure) for failure in caught.value.failures] == [Unforeseen]
    assert [event.error.code for event in events if isinstance(event, Failed)] == ["unforeseen"]
    assert exit_code(caught.value) == 4
    assert placed(tmp_path / "tiny") == {"model.safetensors", "sub/dir/w.bin", "sub/same.bin"}
