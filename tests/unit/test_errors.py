"""Every error can be made, said, hinted at, pickled and shown, whatever its fields hold."""

import dataclasses
import inspect
import pickle
from typing import get_type_hints

import pytest

from hfclone import errors
from hfclone.cli.jsonlines import error_data
from hfclone.cli.messages import error_lines, exit_code
from hfclone.errors import (
    AccessDenied,
    BadOption,
    Conflicts,
    DiskFull,
    HashMismatch,
    HfcloneError,
    Incomplete,
    IntegrityError,
    LocalError,
    RemoteError,
    RevisionAmbiguous,
    TransferError,
    UsageError,
)

NASTY = "a{0}{b}\x1b[2J\r\n\u202e\udcff"
SAMPLES = {
    str: NASTY,
    int: 7,
    float: 7.5,
    bool: True,
    float | None: None,
    tuple[str, ...]: (NASTY, "b"),
    tuple[HfcloneError, ...]: (errors.Stalled(NASTY, 20.0), errors.ObjectMissing("f" * 64, NASTY)),
}
KINDS = (UsageError, RemoteError, TransferError, IntegrityError, LocalError, HfcloneError)
CONCRETE = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, HfcloneError) and kind not in KINDS
]


def sample(kind: type[HfcloneError]) -> HfcloneError:
    hints = get_type_hints(kind)
    return kind(*(SAMPLES[hints[field.name]] for field in dataclasses.fields(kind)))


def test_all_are_exported_and_drawn() -> None:
    assert len(CONCRETE) > 25
    for kind in CONCRETE:
        assert kind.__name__ in errors.__all__
        assert kind.__name__ in (errors.__doc__ or "")


def test_codes_are_stable_names_and_unique() -> None:
    codes = [kind.code for kind in CONCRETE]
    assert len(set(codes)) == len(codes)
    assert all(code == code.lower() and " " not in code and "_" not in code for code in codes)
    assert not set(codes) & {kind.code for kind in KINDS}


@pytest.mark.parametrize("kind", CONCRETE)
def test_every_error_can_be_said(kind: type[HfcloneError]) -> None:
    error = sample(kind)
    assert str(error)
    assert isinstance(error.hint, str)
    assert "('" not in str(error)
    assert error_data(error)["code"] == kind.code


@pytest.mark.parametrize("kind", CONCRETE)
def test_every_error_is_shown_safely(kind: type[HfcloneError]) -> None:
    lines = error_lines(sample(kind))
    assert lines[0].startswith("hfclone: error: ")
    for line in lines:
        assert line.isprintable(), line
        line.encode("utf-8")


@pytest.mark.parametrize("kind", CONCRETE)
def test_every_error_crosses_a_process_border(kind: type[HfcloneError]) -> None:
    error = sample(kind)
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert str(again) == str(error)


@pytest.mark.parametrize("kind", CONCRETE)
def test_every_error_has_its_exit_code(kind: type[HfcloneError]) -> None:
    families = {UsageError: 2, RemoteError: 3, TransferError: 4, IntegrityError: 5, LocalError: 6, Incomplete: 4}
    expected = next(code for family, code in families.items() if issubclass(kind, family))
    assert exit_code(sample(kind)) == expected


def test_numbers_in_texts() -> None:
    full = DiskFull("/data", need=1_500_000, free=1_000_000)
    assert str(full) == "/data needs 1,500,000 bytes and has 1,000,000 bytes free"
    assert full.hint.startswith("free 500,000 bytes")


def test_lists_in_texts() -> None:
    assert str(RevisionAmbiguous("org/name", "ab12", ("ab12c", "ab12d"))).endswith("org/name: ab12c, ab12d")
    assert str(HashMismatch("a", "b", ("x", "y"))).endswith("(from x, y)")
    many = Conflicts("/c", tuple(f"f{number}" for number in range(12)))
    assert str(many).endswith("f9 and 2 more")


def test_two_ways_of_no_access() -> None:
    without = AccessDenied("org/name", "hub", "https://hub/org/name", with_token=False)
    refused = AccessDenied("org/name", "hub", "https://hub/org/name", with_token=True)
    assert "no token was sent" in str(without)
    assert "HF_TOKEN" in without.hint
    assert "not on its list" in str(refused)
    assert "https://hub/org/name" in refused.hint


def test_a_switch_shows_no_value() -> None:
    assert str(BadOption("--only-mirrors", "", "no --mirror is given")) == "--only-mirrors: no --mirror is given"
