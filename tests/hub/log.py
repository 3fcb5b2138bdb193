"""The request log: what was asked of which listener, and how many body bytes it was given."""

from __future__ import annotations

import base64
import binascii
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace


@dataclass(frozen=True, slots=True)
class Entry:
    """One request, as it stood when the log was read; a request in flight has ``done`` false.

    ``path`` and ``query`` are as sent (still percent-encoded); ``headers`` has lower-case names, unchanged by faults.
    ``bytes_sent`` counts body bytes handed to the socket, without chunk framing. ``status`` is 0 until there is one.
    """

    number: int
    listener: str
    kind: str
    method: str
    path: str
    query: str
    headers: Mapping[str, str] = field(repr=False)
    oid: str = ""
    status: int = 0
    bytes_sent: int = 0
    done: bool = False

    @property
    def range(self) -> tuple[int, int | None] | None:
        """First and last byte asked for (inclusive, ``None`` for open-ended); ``None`` without a plain Range."""
        unit, _, spec = self.headers.get("range", "").partition("=")
        start, dash, stop = spec.partition("-")
        if unit != "bytes" or not dash or not start.isdigit() or "," in spec:
            return None
        return int(start), int(stop) if stop else None

    @property
    def authorization(self) -> str:
        """The Authorization header as sent, or an empty string."""
        return self.headers.get("authorization", "")

    @property
    def token(self) -> str:
        """The token this request carried, from Bearer or from the password of Basic."""
        return token_of(self.authorization)


def token_of(authorization: str) -> str:
    """Take the token out of an Authorization header; an empty string if there is none."""
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() == "basic":
        try:
            user, _, password = base64.b64decode(value).decode("utf-8", "replace").partition(":")
        except (binascii.Error, ValueError):
            return value
        return password or user
    return authorization


class Log:
    """Thread-safe; shared by the listeners of a hub and its mirrors, in order of arrival."""

    def __init__(self) -> None:
        """Start with no entry."""
        self._entries: list[Entry] = []
        self._changed = threading.Condition(threading.RLock())

    def begin(self, entry: Entry) -> int:
        """Add a request that has just been read; returns its number for `update`."""
        with self._changed:
            number = len(self._entries)
            self._entries.append(replace(entry, number=number))
            self._changed.notify_all()
            return number

    def update(
        self, number: int, *, status: int | None = None, sent: int = 0, oid: str | None = None, done: bool = False
    ) -> None:
        """Tell how a request goes on; ``sent`` is added to what was sent before."""
        with self._changed:
            old = self._entries[number]
            self._entries[number] = replace(
                old,
                status=old.status if status is None else status,
                bytes_sent=old.bytes_sent + sent,
                oid=old.oid if oid is None else oid,
                done=old.done or done,
            )
            self._changed.notify_all()

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All requests so far."""
        with self._changed:
            return tuple(self._entries)

    def of(
        self,
        *,
        listener: str | None = None,
        kind: str | None = None,
        oid: str | None = None,
        method: str | None = None,
        path: str | None = None,
        status: int | None = None,
        since: int = 0,
    ) -> tuple[Entry, ...]:
        """Those requests that agree in everything given; ``path`` need only occur; ``since`` is a length of the log."""
        wanted = {"listener": listener, "kind": kind, "oid": oid, "method": method, "status": status}
        exact = {name: value for name, value in wanted.items() if value is not None}
        return tuple(
            entry
            for entry in self.entries[since:]
            if all(getattr(entry, name) == value for name, value in exact.items()) and (path or "") in entry.path
        )

    def bytes_sent(
        self, *, listener: str | None = None, kind: str | None = None, oid: str | None = None, since: int = 0
    ) -> int:
        """Body bytes handed to the sockets over all those requests."""
        return sum(entry.bytes_sent for entry in self.of(listener=listener, kind=kind, oid=oid, since=since))

    def saw_token(self, token: str, *, listener: str | None = None) -> bool:
        """Whether ``token`` came in any header (Basic decoded), path or query."""
        return any(
            entry.token == token
            or token in entry.path
            or token in entry.query
            or any(token in value for value in entry.headers.values())
            for entry in self.of(listener=listener)
        )

    def wait(self, condition: Callable[[Log], bool], timeout: float = 30.0) -> bool:
        """Wait until ``condition`` holds, looking again whenever a request comes or goes on."""
        with self._changed:
            return self._changed.wait_for(lambda: condition(self), timeout)

    def wait_quiet(self, timeout: float = 30.0) -> bool:
        """Wait until no request is in flight."""
        return self.wait(lambda log: all(entry.done for entry in log.entries), timeout)

    def clear(self) -> None:
        """Forget what is done; only call while no request is in flight."""
        with self._changed:
            self._entries.clear()

    def __len__(self) -> int:
        """Return the number of requests so far (to be used as ``since``)."""
        with self._changed:
            return len(self._entries)
