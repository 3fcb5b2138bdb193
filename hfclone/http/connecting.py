"""Connections to hosts of several addresses, of which some may be dead (Happy Eyeballs, RFC 8305).

Why so: a route that leads nowhere, most often that of IPv6, answers with nothing at all. Who tries one address after
the other waits for it as long as for a live host. So the next address is tried beside it after a moment, the first
that connects is taken, and later connections begin with that one. One thing of the RFC is left out: the system looks
names up, and gives the addresses of both families at once.
"""

from __future__ import annotations

import errno
import math
import os
import selectors
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from typing import Any

__all__ = ["SHARED", "Connector", "Found", "Options", "Starts", "in_order"]

ATTEMPT_SECONDS = 0.25
"""After so long without an answer the next address is tried, too (RFC 8305, 5: Connection Attempt Delay)."""
LONGEST_ATTEMPT_SECONDS = 2.0
"""The longest that the RFC allows."""
USUAL_TIMES = 3
"""An address that answered before is given so many times as long as it took then: on a line with long round trips
each connection would be made twice otherwise."""
FRESH_SECONDS = 30.0
"""For so long an address that connected is believed to connect again."""
MOST_HOSTS = 256
"""Remembered at most: a mirror may name a new host for each object."""
_UNDER_WAY = (errno.EINPROGRESS, errno.EWOULDBLOCK, getattr(errno, "WSAEWOULDBLOCK", errno.EWOULDBLOCK))
_Selector: type[selectors.BaseSelector] = getattr(selectors, "PollSelector", selectors.SelectSelector)
"""One that opens no file of its own, and takes descriptors of any number where there is such."""

Found = tuple[socket.AddressFamily, Any]
"""An address of a host: its family, and what a socket of that family connects to, which begins with IP and port."""
Options = Sequence[tuple[int, int, int]]
"""What a socket is set to before it connects: level, name and value."""


def in_order(addresses: Sequence[Found], first: Found | None = None) -> list[Found]:
    """``addresses`` in the order in which they are tried: ``first`` if it is among them, and families in turn. Pure.

    Within a family, and between the families, the order is the one given: the system has sorted them (RFC 6724).
    """
    known = [each for each in addresses if each == first]
    every = list(dict.fromkeys([*known, *addresses]))
    families = dict.fromkeys(family for family, _ in every)
    rows = ([each for each in every if each[0] == family] for family in families)
    return [each for each in chain.from_iterable(zip_longest(*rows)) if each is not None]


class Starts:
    """When each of ``number`` addresses is tried. Pure: ``until`` and the times it is given are of one clock.

    ``usual`` is how many seconds the first took when it answered last.
    """

    def __init__(self, number: int, until: float, usual: float = 0.0) -> None:
        self._number = number
        self._until = until
        self._head_start = min(LONGEST_ATTEMPT_SECONDS, max(ATTEMPT_SECONDS, USUAL_TIMES * usual))
        self._started = 0
        self._next = -math.inf

    def take(self, now: float) -> int | None:
        """The number (from 0 on) of the address that is to be tried now, if one is."""
        if self._started == self._number or now < self._next:
            return None
        self._next = now + (ATTEMPT_SECONDS if self._started else self._head_start)
        self._started += 1
        return self._started - 1

    def failed(self) -> None:
        """An address has said no: the next need not wait."""
        self._next = -math.inf

    @property
    def is_over(self) -> bool:
        """Whether all have been tried."""
        return self._started == self._number

    def left(self, now: float) -> float:
        """Seconds until something is to be done: the next address, or the end."""
        return max(0.0, (self._until if self.is_over else min(self._next, self._until)) - now)

    def is_late(self, now: float) -> bool:
        """Whether nobody is to be waited for any longer."""
        return now >= self._until


@dataclass(frozen=True, slots=True)
class _Answered:
    """What is known of a host: the address that connected last, how long that took, when it was; all addresses."""

    address: Found
    seconds: float
    at: float
    every: tuple[Found, ...]


class Connector:
    """Connects, and remembers of each host and port which address did. For all threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._answered: dict[tuple[str, int], _Answered] = {}

    def connect(self, host: str, port: int, seconds: float, options: Options = ()) -> socket.socket:
        """A socket that is connected to an address of ``host``; each of its calls may take ``seconds``, too.

        Raises:
            socket.gaierror: the name does not resolve.
            TimeoutError: no address answers within ``seconds``.
            OSError: all say no.
        """
        return self._connect(host, port, seconds, options)[0]

    def reach(self, host: str, port: int, seconds: float) -> list[str]:
        """The IP addresses of ``host``, the one that connects before the others. Raises as ``connect``.

        Where one connected a moment ago, nobody is asked.
        """
        answered = self._answered.get((host, port))
        if answered is None or self._clock() - answered.at > FRESH_SECONDS:
            made, answered = self._connect(host, port, seconds, ())
            made.close()
        return [each[1][0] for each in in_order(answered.every, answered.address)]

    def first(self, host: str, port: int, seconds: float) -> str:
        """The IP address of ``host`` that connects, for who connects by other means. Raises as ``connect``.

        Nobody is asked where it has only one, or where one connected before.
        """
        answered = self._answered.get((host, port))
        if answered is not None:
            return str(answered.address[1][0])
        addresses = _look_up(host, port)
        return str(addresses[0][1][0]) if len(addresses) == 1 else self.reach(host, port, seconds)[0]

    def forget(self, host: str, port: int) -> None:
        """The address that connected last may be dead."""
        with self._lock:
            self._answered.pop((host, port), None)

    def _connect(self, host: str, port: int, seconds: float, options: Options) -> tuple[socket.socket, _Answered]:
        addresses = _look_up(host, port)
        known = self._answered.get((host, port))
        ordered = in_order(addresses, known.address if known else None)
        usual = known.seconds if known and ordered[:1] == [known.address] else 0.0
        starts = Starts(len(ordered), self._clock() + seconds, usual)
        try:
            made, address, took = _Race(ordered, starts, options, self._clock).run()
        except OSError:
            self.forget(host, port)
            raise
        made.settimeout(seconds)
        answered = _Answered(address, took, self._clock(), tuple(addresses))
        with self._lock:
            self._answered.pop((host, port), None)  # whoever connected last is the last to be dropped
            self._answered[host, port] = answered
            while len(self._answered) > MOST_HOSTS:
                del self._answered[next(iter(self._answered))]
        return made, answered


SHARED = Connector()
"""That of all who have none of their own: which addresses are dead is the same for the whole process."""


def _look_up(host: str, port: int) -> list[Found]:
    try:
        rows = socket.getaddrinfo(host.strip("[]"), port, 0, socket.SOCK_STREAM)
    except UnicodeError:  # no name at all: a part of it is empty, or too long
        raise socket.gaierror(socket.EAI_NONAME, host) from None
    return [(family, address) for family, _, _, _, address in rows]


class _Race:
    """Connects to all of ``addresses``, as ``starts`` has it, until one has answered."""

    def __init__(
        self, addresses: Sequence[Found], starts: Starts, options: Options, clock: Callable[[], float]
    ) -> None:
        self._addresses = addresses
        self._starts = starts
        self._options = options
        self._clock = clock
        self._began: dict[socket.socket, tuple[Found, float]] = {}
        """Of those that are on their way."""
        self._failure = OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))

    def run(self) -> tuple[socket.socket, Found, float]:
        """The first socket that connects, its address, and how many seconds it took; the others are closed."""
        try:
            with _Selector() as selector:
                while (made := self._step(selector)) is None:
                    pass
            address, began = self._began.pop(made)
            return made, address, self._clock() - began
        finally:
            for other in self._began:
                other.close()

    def _step(self, selector: selectors.BaseSelector) -> socket.socket | None:
        """Begin with the next address, or wait for those that were begun with; a socket that is connected."""
        now = self._clock()
        number = self._starts.take(now)
        if number is not None:
            return self._begin(self._addresses[number], now, selector)
        if self._starts.is_over and not self._began:
            raise self._failure
        if self._starts.is_late(now):
            raise TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))
        ready = (key.fileobj for key, _ in selector.select(self._starts.left(now)))
        return next(
            (each for each in ready if isinstance(each, socket.socket) and self._has_made(each, selector)), None
        )

    def _begin(self, address: Found, now: float, selector: selectors.BaseSelector) -> socket.socket | None:
        try:
            begun = socket.socket(address[0], socket.SOCK_STREAM)
        except OSError as error:  # a family that this system does not have
            self._fail(error)
            return None
        self._began[begun] = address, now
        try:
            for option in self._options:
                begun.setsockopt(*option)
            begun.settimeout(0)
            number = begun.connect_ex(address[1])
        except OSError as error:
            number = error.errno or errno.EINVAL
        if number in _UNDER_WAY:
            selector.register(begun, selectors.EVENT_WRITE)
        elif number:
            self._drop(begun, number)
        return None if number else begun

    def _has_made(self, begun: socket.socket, selector: selectors.BaseSelector) -> bool:
        number = begun.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if number:
            selector.unregister(begun)
            self._drop(begun, number)
        return not number

    def _drop(self, begun: socket.socket, number: int) -> None:
        del self._began[begun]
        begun.close()
        self._fail(OSError(number, os.strerror(number)))

    def _fail(self, error: OSError) -> None:
        self._failure = error
        self._starts.failed()
