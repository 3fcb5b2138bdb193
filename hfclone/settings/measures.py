"""Durations, sizes and times of day as people write them. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from hfclone.errors import BadOption
from hfclone.wording import phrase

__all__ = ["Window", "parse_duration", "parse_size", "parse_window"]

_DURATION = re.compile(r"(?:([0-9]{1,9})d)?(?:([0-9]{1,9})h)?(?:([0-9]{1,9})m)?(?:([0-9]{1,9}(?:\.[0-9]{1,9})?)s?)?")
_SIZE = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,9})?)\s*(?:([kmgt])(i?))?(?:b(?:ytes)?)?(?:/s)?", re.IGNORECASE)
_WINDOW = re.compile(r"([0-9]{1,2}):([0-9]{2})\s*-\s*([0-9]{1,2}):([0-9]{2})")
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


@dataclass(frozen=True, slots=True)
class Window:
    """The part of each day in which bytes may move; minutes since local midnight, half-open."""

    start: int
    stop: int

    def seconds_until_open(self, second_of_day: float) -> float:
        """How long the window stays closed from ``second_of_day`` on; 0 inside it."""
        since = (second_of_day - self.start * 60) % 86400
        return 0.0 if since < (self.stop - self.start) * 60 % 86400 else 86400 - since

    def __str__(self) -> str:
        return "-".join(f"{minute // 60:02}:{minute % 60:02}" for minute in (self.start, self.stop))


def parse_duration(text: str, option: str) -> float:
    """Seconds of ``90s``, ``15m``, ``24h``, ``1h30m``, ``2d``, or a plain number of seconds.

    Raises:
        BadOption: it is none of these.
    """
    given = text.strip().lower()
    matched = _DURATION.fullmatch(given)
    if not given or not matched:
        raise BadOption(option, text, phrase("write-duration"))
    days, hours, minutes, seconds = (float(part or 0) for part in matched.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def parse_size(text: str, option: str) -> int:
    """Bytes of ``500k``, ``2M``, ``1.5MiB`` or a plain number; ``k`` is 1000 and ``Ki`` 1024.

    Raises:
        BadOption: it is none of these.
    """
    matched = _SIZE.fullmatch(text.strip())
    if not matched:
        raise BadOption(option, text, phrase("write-size"))
    number, unit, binary = matched[1], (matched[2] or "").lower(), matched[3]
    return int(float(number) * (1024 if binary else 1000) ** _POWERS[unit])


def parse_window(text: str, option: str) -> Window:
    """A part of the day, ``23:00-07:00``; it may pass midnight.

    Raises:
        BadOption: it is none, or holds no time at all.
    """
    matched = _WINDOW.fullmatch(text.strip())
    if not matched:
        raise BadOption(option, text, phrase("write-window"))
    hour, minute, hour2, minute2 = (int(part) for part in matched.groups())
    if minute > 59 or minute2 > 59 or hour * 60 + minute > 1440 or hour2 * 60 + minute2 > 1440:
        raise BadOption(option, text, phrase("no-time-of-day"))
    start, stop = (hour * 60 + minute) % 1440, (hour2 * 60 + minute2) % 1440
    if start == stop:
        raise BadOption(option, text, phrase("same-times"))
    return Window(start, stop)
