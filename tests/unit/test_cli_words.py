"""Facts as text: sizes, times, names of any kind."""

from pathlib import Path

import pytest

from hfclone.cli.words import columns, cut, fit, shared_line, show_duration, show_rate, show_size, show_text
from hfclone.events import Shared


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (999.6, "1.00 kB"),
        (1000, "1.00 kB"),
        (1234, "1.23 kB"),
        (12_345, "12.3 kB"),
        (999_499, "999 kB"),
        (999_500, "1.00 MB"),
        (123_456_789, "123 MB"),
        (40_100_000_000, "40.1 GB"),
        (5 * 10**18, "5000 PB"),
    ],
)
def test_sizes(count: float, text: str) -> None:
    assert show_size(count) == text
    assert show_rate(count) == f"{text}/s"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0 s"),
        (0.4, "0 s"),
        (59.6, "1 min"),
        (200, "3 min 20 s"),
        (3600, "1 h"),
        (7500, "2 h 5 min"),
        (86400, "1 d"),
        (273_600, "3 d 4 h"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert show_duration(seconds) == text


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ("a b/c.bin", "a b/c.bin"),
        ("模型.bin", "模型.bin"),
        ("\udcff\x1b[31m", "\\xff\\x1b[31m"),
        ("a\n\r\tb", "a\\n\\r\\tb"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("\ud800", "\\ud800"),
    ],
)
def test_text_is_safe_and_stays_so(given: str, text: str) -> None:
    assert show_text(given) == text
    assert show_text(text) == text


def test_fitting() -> None:
    assert fit("abc", 5) == "abc  "
    assert fit("model-00001-of-00002.bin", 12) == "...00002.bin"
    assert fit("abcdefghij", 6) == "efghij"
    assert fit("模型模型模型", 9) == "...型模型"
    assert columns("e\u0301模") == 3
    assert cut("模型x", 4) == "模型"
    assert cut("模型x", 3) == "模"
    assert cut("", 3) == ""


@pytest.mark.parametrize("width", range(1, 30))
def test_fit_fills_exactly(width: int) -> None:
    for text in ("", "abc", "模型" * 10, "model-00001-of-00002.safetensors"):
        assert columns(fit(text, width)) == width
        assert columns(cut(text, width)) <= width


def test_what_another_tool_finds() -> None:
    folder = Path("/c/\x1b[31m")
    whole = Shared("hf-cache", folder, 1, 0, 1234, "copy")
    assert shared_line(whole) == "hf-cache: 1 file in /c/\\x1b[31m; took 1.23 kB of disk, large files by copy"
    part = Shared("local-dir", folder, 2000, 3, 0, "")
    assert shared_line(part) == "local-dir: 2,000 files (3 are not here) in /c/\\x1b[31m; took 0 B of disk"
