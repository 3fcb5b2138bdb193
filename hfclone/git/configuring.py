"""The configuration of one repo, as git has it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cached_property

from hfclone.errors import GitFailed
from hfclone.treepaths import show_path

__all__ = ["Config", "as_file"]


class Config:
    """What the repo's own configuration says, and what is in force. Git is asked once, and told what changes.

    ``run`` runs one of git's commands in the repo.
    """

    def __init__(self, run: Callable[..., bytes]) -> None:
        self._run = run
        self._local: dict[str, str] = {}
        """The last value of each local key; emptied by all of ours that may change one."""
        self._in_force: dict[str, str] | None = None
        """The same of all keys, wherever they stand."""

    def get(self, key: str) -> str | None:
        """The local value of ``key``, the last one if there are several."""
        if not self._local:
            self._local = self._list("--local")
        return self._local.get(_as_listed(key))

    def names(self, section: str) -> list[str]:
        """What stands between ``section`` and the last part of its local keys: the names of remotes, of branches."""
        self.get(section)
        parts = (_parts(key) for key in self._local)
        return list(dict.fromkeys(middle for first, middle, _ in parts if first == section and middle))

    def set(self, key: str, value: str) -> None:
        """Set ``key`` in the repo's own configuration, where it is not so already."""
        if self.get(key) != value:
            self._run("config", "--local", "--replace-all", key, value)
            self._local[_as_listed(key)] = value
            self._in_force = None

    def unset(self, key: str) -> None:
        """Take ``key`` out of the repo's own configuration, if it is there."""
        self._drop("--unset-all", key)

    def remove_section(self, name: str) -> None:
        """Take a section out of the repo's own configuration, if it is there."""
        self._drop("--remove-section", name)

    def in_force(self, prefix: str) -> dict[str, str]:
        """What is in force of all keys that begin with ``prefix``, wherever the user configured it."""
        if self._in_force is None:
            self._in_force = self._list()
        return {key: value for key, value in self._in_force.items() if key.startswith(prefix)}

    def urls_in_blob(self, oid: str) -> tuple[str, ...]:
        """Values of keys that end in ``url`` in a blob that is in git's configuration language."""
        rows = self._rows("--no-includes", "--blob", oid, "--get-regexp", "url$")
        return tuple(show_path(row.partition(b"\n")[2]) for row in rows)

    @cached_property
    def no_filters(self) -> tuple[tuple[str, str], ...]:
        """Configuration that takes every filter driver the user has out of force."""
        drivers = {name[len("filter.") :].rpartition(".")[0] for name in self.in_force("filter.")}
        drivers |= {"lfs", "hfclone", "hfclone-empty"}
        values = (("process", ""), ("smudge", ""), ("clean", ""), ("required", "false"))
        return tuple((f"filter.{driver}.{key}", value) for driver in sorted(drivers) for key, value in values)

    def forget(self) -> None:
        """Somebody else may have changed it: git is asked anew."""
        self._local, self._in_force = {}, None

    def _drop(self, how: str, name: str) -> None:
        with suppress(GitFailed):  # there is none
            self._run("config", "--local", how, name)
        self.forget()

    def _list(self, *where: str) -> dict[str, str]:
        rows = (row.decode("utf-8", "replace").partition("\n") for row in self._rows(*where, "--list"))
        return {key: value for key, _, value in rows}

    def _rows(self, *args: str) -> list[bytes]:
        """What git lists; nothing where it has nothing to say."""
        with suppress(GitFailed):
            return self._run("config", "-z", *args).split(b"\0")[:-1]
        return []


def as_file(values: Mapping[str, str]) -> str:
    """``values`` (by key, each with a section) as git reads them from a file. Git takes any section many times."""
    return "".join(_as_lines(*_parts(key), value) for key, value in values.items())


def _as_lines(section: str, middle: str, name: str, value: str) -> str:
    title = f'[{section} "{_escaped(middle)}"]' if middle else f"[{section}]"
    return f'{title}\n\t{name} = "{_escaped(value)}"\n'


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _parts(key: str) -> tuple[str, str, str]:
    """Section, what stands between (may be empty) and name."""
    section, _, rest = key.partition(".")
    middle, _, name = rest.rpartition(".")
    return section, middle, name


def _as_listed(key: str) -> str:
    """``key`` as git lists it: section and name in lower case, what stands between as it is."""
    section, middle, name = _parts(key)
    return ".".join(filter(None, (section.lower(), middle, name.lower())))
