"""Where settings are said: a source is a ``Layer`` of texts by option, and the first that speaks wins."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from hfclone.settings.table import VARIABLES, variable

__all__ = ["Layer", "Origin", "Said", "environment_layer", "first_said"]


class Origin(Enum):
    """What kind of source said something."""

    FLAG = "flag"
    ENVIRONMENT = "environment"
    PROJECT = "project"
    """``hfclone.toml`` in the current directory."""
    USER = "user"
    """The user's own file, or the one that ``HFCLONE_CONFIG`` names."""
    DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Layer:
    """One source of settings: what it says by option, and under which name (for errors)."""

    values: Mapping[str, tuple[str, ...]]
    names: Mapping[str, str] = field(default_factory=dict)
    """What the source calls the option, where that is not the option itself."""
    origin: Origin = Origin.FLAG


@dataclass(frozen=True, slots=True)
class Said:
    """The values of one setting and the name it was said under; no name for a default."""

    name: str
    values: tuple[str, ...]
    origin: Origin = Origin.FLAG

    @property
    def last(self) -> str:
        """The value of what is said once; the last word wins."""
        return self.values[-1] if self.values else ""


def environment_layer(environ: Mapping[str, str]) -> Layer:
    """What the environment says; a variable that is set and empty says nothing."""
    values: dict[str, tuple[str, ...]] = {}
    names: dict[str, str] = {}
    for row in VARIABLES:
        for name in row.name.split():
            text = environ.get(name, "").strip()
            if text:
                parts = tuple(part.strip() for part in text.split(",") if part.strip())
                values[row.option] = parts if row.many else (text,)
                names[row.option] = name
                break
    return Layer(values, names, Origin.ENVIRONMENT)


def first_said(layers: Sequence[Layer]) -> Callable[[str], Said]:
    """For each option, what the first layer that mentions it says, or the default."""

    def said(option: str) -> Said:
        for layer in layers:
            if option in layer.values:
                return Said(layer.names.get(option, option), layer.values[option], layer.origin)
        default = variable(option).default
        return Said("", (default,) if default else (), Origin.DEFAULT)

    return said
