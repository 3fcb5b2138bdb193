"""One value of a setting as people write it. Each raises BadOption under the name that said it."""

from __future__ import annotations

import os
import re
from enum import Enum
from typing import TypeVar

from hfclone.errors import BadOption
from hfclone.names import Taking
from hfclone.settings.layers import Said
from hfclone.settings.measures import parse_duration
from hfclone.settings.table import MAX_CONNECTIONS
from hfclone.wording import phrase

__all__ = ["ca_bundle", "choice", "connections", "named", "positive_duration", "reuse_by", "switch"]


def positive_duration(said: Said) -> float:
    """Seconds, more than none."""
    seconds = parse_duration(said.last, said.name)
    if seconds <= 0:
        raise BadOption(said.name, said.last, phrase("more-than-0"))
    return seconds


def connections(said: Said) -> int:
    """How many at most."""
    text = said.last.strip()
    if not re.fullmatch(r"[0-9]{1,9}", text) or not 1 <= int(text) <= MAX_CONNECTIONS:
        raise BadOption(said.name, said.last, phrase("write-number-to", most=MAX_CONNECTIONS))
    return int(text)


def ca_bundle(said: Said) -> str | None:
    """A file or folder of certificates that is there."""
    if said.values and not os.path.exists(said.last):  # noqa: PTH110  # a Path's raises
        raise BadOption(said.name, said.last, phrase("no-such-file"))
    return said.last or None


def named(said: Said) -> tuple[str, ...]:
    """Names, none of them empty."""
    if not all(map(str.strip, said.values)):
        raise BadOption(said.name, "", phrase("empty"))
    return said.values


def switch(said: Said) -> bool:
    """Yes or no."""
    given = said.last.strip().lower()
    if given not in ("1", "true", "yes", "on", "0", "false", "no", "off"):
        raise BadOption(said.name, said.last, phrase("write-1-or-0"))
    return given in ("1", "true", "yes", "on")


_Choice = TypeVar("_Choice", bound=Enum)


def choice(kind: type[_Choice], said: Said) -> _Choice:
    """The member of ``kind`` with that value."""
    try:
        return kind(said.last.strip().lower())
    except ValueError:
        names = ", ".join(str(member.value) for member in kind)
        raise BadOption(said.name, said.last, phrase("write-one-of", names=names)) from None


def reuse_by(said: Said) -> Taking:
    """A way that leaves what is reused where it is."""
    taking = choice(Taking, said)
    if taking is Taking.MOVE:
        raise BadOption(said.name, said.last, phrase("import-moves"))
    return taking
