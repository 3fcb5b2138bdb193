"""Files of settings: TOML with the options' names as keys (the only user of a TOML reader).

A project's file may have come with a download. So it is looked for in one place alone, and may not say
what decides who is believed or who sees a secret (``Where.USER``); ``cli.projectfile`` says where it is
not read at all. A token stands in no file: files are shared, copied and committed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from hfclone.errors import BadSettings
from hfclone.settings.layers import Layer, Origin
from hfclone.settings.table import VARIABLES, Variable, Where
from hfclone.wording import phrase

__all__ = ["PROJECT_FILE", "file_layer", "user_file"]

PROJECT_FILE = "hfclone.toml"
_MOST_BYTES = 1024 * 1024
"""More is no file of settings; ``/dev/zero`` must not fill the memory."""
_KEYS = {row.key: row for row in VARIABLES if row.where is not Where.NONE}


def user_file(environ: Mapping[str, str]) -> Path | None:
    """Where the user's own settings are, whether or not they are there; by ``environ`` alone."""
    if os.name == "nt":
        home = environ.get("APPDATA", "")
    else:
        home = environ.get("XDG_CONFIG_HOME", "")
        if not Path(home).is_absolute():  # the standard says that another is to be ignored
            home = str(Path(environ["HOME"], ".config")) if environ.get("HOME") else ""
    return Path(home, "hfclone", "config.toml") if home else None


def file_layer(path: Path, origin: Origin) -> Layer:
    """What the file at ``path`` says; ``PROJECT`` may say less than ``USER``.

    Raises:
        BadSettings: it cannot be read, is no TOML, or holds a key or a value that cannot be meant.
    """
    values: dict[str, tuple[str, ...]] = {}
    names: dict[str, str] = {}
    for key, value in _parsed(path).items():
        row = _row(path, key, origin)
        said = _texts(path, row, value)
        if said != ("",):
            values[row.option] = said
            names[row.option] = phrase("key-in-file", key=key, path=path)
    return Layer(values, names, origin)


def _parsed(path: Path) -> Mapping[str, object]:
    if path.is_fifo():
        raise BadSettings(str(path), "", phrase("no-file"))  # to open it would be to wait for somebody to write
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise BadSettings(str(path), "", error.strerror or str(error)) from error
    if len(data) > _MOST_BYTES:
        raise BadSettings(str(path), "", phrase("too-long"))
    return _load(path, data) if data.strip() else {}


def _load(path: Path, data: bytes) -> Mapping[str, object]:
    """TOML; its reader is imported for a file that says something, and for no other."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        return tomllib.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise BadSettings(str(path), "", phrase("no-toml", reason=error)) from error


def _row(path: Path, key: str, origin: Origin) -> Variable:
    row = _KEYS.get(key)
    if row is None:
        raise _unknown(path, key)
    if row.where is Where.USER and origin is Origin.PROJECT:
        reason = phrase("not-in-project")
        advice = phrase("say-elsewhere")
        raise BadSettings(str(path), key, reason, advice)
    return row


def _unknown(path: Path, key: str) -> BadSettings:
    if "token" in key.lower() and "mirror" not in key.lower():
        advice = phrase("log-in-instead")
        return BadSettings(str(path), key, phrase("token-in-file"), advice)
    if any(row.key == key for row in VARIABLES):
        return BadSettings(str(path), key, phrase("in-no-file"), phrase("use-environment"))
    from difflib import get_close_matches

    near = get_close_matches(key.lower().replace("_", "-").removeprefix("hfclone-"), _KEYS, 1)
    advice = phrase("did-you-mean", name=near[0]) if near else phrase("config-lists")
    return BadSettings(str(path), key, phrase("no-such-setting"), advice)


def _texts(path: Path, row: Variable, value: object) -> tuple[str, ...]:
    """A value as the texts that a flag would have had."""
    if isinstance(value, list):
        if row.many and all(isinstance(each, str) for each in value):
            return tuple(each.strip() for each in value if each.strip())
        raise BadSettings(str(path), row.key, phrase("write-texts") if row.many else phrase("write-one-value"))
    if isinstance(value, bool):
        return ("1" if value else "0",)
    if isinstance(value, (str, int, float)):
        return (str(value).strip(),)
    raise BadSettings(str(path), row.key, phrase("write-text-or-number"))
