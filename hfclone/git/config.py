"""The configuration of one repo, as git has it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property

from hfclone.errors import GitFailed
from hfclone.paths import show_path

__all__ = ["Config", "as_file"]


_SCOPES = ("system", "global", "local", "worktree", "command")
"""Where git reads a configuration from, in this order."""
_OFF = ("false", "no", "off", "0", "")


class Config:
    """What the repo's own configuration says, and what is in force. Git is asked once, and told what changes.

    ``run`` runs one of git's commands in the repo.
    """

    def __init__(self, run: Callable[..., bytes]) -> None:
        self._run = run
        self._said: dict[str, dict[str, str]] = {}
        """The last value of each key by scope, the one that outdoes the others last; emptied by what may change one."""
        self._first: dict[str, str] = {}
        """Of each local key with several values the first one."""

    def get(self, key: str) -> str | None:
        """The local value of ``key``, the last one if there are several."""
        return self._by_scope().get("local", {}).get(_as_listed(key))

    def first(self, key: str) -> str | None:
        """The local value of ``key``, the first one if there are several: of a remote's URLs git fetches from that."""
        return self.get(key) and self._first.get(_as_listed(key), self.get(key))

    def names(self, section: str) -> list[str]:
        """What stands between ``section`` and the last part of its local keys: the names of remotes, of branches."""
        parts = (_parts(key) for key in self._by_scope().get("local", {}))
        return list(dict.fromkeys(middle for first, middle, _ in parts if first == section and middle))

    def set(self, key: str, value: str) -> None:
        """Set ``key`` in the repo's own configuration, where it is not so already."""
        if self.get(key) != value:
            self._run("config", "--local", "--replace-all", key, value)
            self._said.setdefault("local", {})[_as_listed(key)] = value
            self._first.pop(_as_listed(key), None)

    def unset(self, key: str) -> None:
        """Take ``key`` out of the repo's own configuration, if it is there."""
        self._drop("--unset-all", key)

    def remove_section(self, name: str) -> None:
        """Take a section out of the repo's own configuration, if it is there."""
        self._drop("--remove-section", name)

    def in_force(self, prefix: str) -> dict[str, str]:
        """What is in force of all keys that begin with ``prefix``, wherever the user configured it."""
        rows = (row for said in self._by_scope().values() for row in said.items())
        return {key: value for key, value in rows if key.startswith(prefix)}

    def value(self, key: str) -> str | None:
        """What is in force of ``key`` (in lower case, as git lists it), wherever that is said."""
        return next((said[key] for said in reversed(self._by_scope().values()) if key in said), None)

    def is_on(self, key: str, *, default: bool) -> bool:
        """Whether the switch ``key`` (in lower case) is on, wherever that is said."""
        found = self.value(key)
        return default if found is None else found.lower() not in _OFF

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
        self._said, self._first = {}, {}

    def _drop(self, how: str, name: str) -> None:
        self._asked("--local", how, name)  # there may be none
        self.forget()

    def _by_scope(self) -> dict[str, dict[str, str]]:
        if not self._said:
            words = [word.decode("utf-8", "surrogateescape") for word in self._rows("--show-scope", "--list")]
            said: dict[str, dict[str, str]] = {scope: {} for scope in _SCOPES}
            for scope, row in zip(words[::2], words[1::2], strict=True):
                key, has_value, value = row.partition("\n")
                value = value if has_value else "true"  # as git has it: a name alone is a switch that is on
                if scope == "local" and key in said[scope]:
                    self._first.setdefault(key, said[scope][key])
                said.setdefault(scope, {})[key] = value
            self._said = said if words else {}
        return self._said

    def _rows(self, *args: str) -> list[bytes]:
        """What git lists; nothing where it has nothing to say."""
        return self._asked("-z", *args).split(b"\0")[:-1]

    def _asked(self, *args: str) -> bytes:
        try:
            return self._run("config", *args)
        except GitFailed as error:
            if error.is_killed:
                raise
            return b""


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
