"""Ways to a host: straight, or by a proxy of each kind, with TLS where it is wanted (only user of PySocks)."""

from __future__ import annotations

import base64
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from http.client import HTTPResponse
from urllib.parse import SplitResult, unquote, unquote_to_bytes, urlsplit

from hfclone.http.abort import AbortHandle
from hfclone.http.connecting import Connector, Options
from hfclone.http.pool import Connection, Key
from hfclone.http.request import Place, head_of, is_odd, place_of
from hfclone.http.route import Route
from hfclone.http.tls import secured
from hfclone.wording import phrase

__all__ = ["PROXY_WANTS_PASSWORD", "OnPeer", "Way", "Ways"]

OnPeer = Callable[[str, str], None]
"""Hears a host and the address that it is connected to, through no proxy, before anything is sent; may raise."""
PROXY_WANTS_PASSWORD = 407
SOCKS_PORT = 1080
MOST_KNOWN = 256
"""Hosts; a mirror may name a new one for each object."""
_SOCKS_VERSIONS = {"socks4": 1, "socks4a": 1, "socks5": 2, "socks5h": 2}
"""As PySocks numbers them."""


@dataclass(frozen=True, slots=True)
class Way:
    """How requests get to a URL's host."""

    key: Key
    named: str
    """The host as the URL has it."""
    place: Place
    proxy: str
    """A URL; empty for none."""
    prefix: str
    """What stands before the target of each request: a proxy that forwards it is told the whole URL."""
    headers: Mapping[str, str]
    """What each request begins with."""

    @property
    def is_secure(self) -> bool:
        """Whether it leads to TLS."""
        return self.key[0] == "https"

    @property
    def is_forwarded(self) -> bool:
        """Whether a proxy reads each request, and sends it on: an HTTP proxy does, of plain http."""
        return bool(self.prefix)


class Ways:
    """Makes connections by ``route``. For all threads."""

    def __init__(self, route: Route, connector: Connector, seconds: float) -> None:
        """``seconds`` until a connection must stand, and for each step of a handshake."""
        self._route = route
        self._connector = connector
        self._seconds = seconds
        self._known: dict[tuple[str, str], Way] = {}
        self.receive_buffer: int | None = None
        """Connections made from now on hold no more than so many bytes unread."""

    def to(self, url: str) -> Way:
        """How a request for ``url`` gets there. Raises ValueError where that is no URL of a host."""
        if is_odd(url):
            raise ValueError(phrase("target-no-plain-url"))
        parts = urlsplit(url)
        key = parts.scheme, parts.netloc
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            found = self._known[key] = self._new(parts)
        return found

    def _new(self, parts: SplitResult) -> Way:
        place, proxy = place_of(parts.scheme, parts.netloc), self._route.proxy_for(parts)
        key = parts.scheme, place.host, place.port, proxy  # however it is spelt, which may decide about the proxy
        way = Way(key, parts.hostname or "", place, proxy, "", {"host": place.header})
        if not proxy or _is_socks(proxy) or way.is_secure:
            return way
        return replace(way, prefix=f"http://{place.authority}", headers={**way.headers, **_login(proxy)})

    def open(self, way: Way, handle: AbortHandle, on_peer: OnPeer, silence: float) -> Connection:
        """A connection; within ``silence`` a proxy has opened its way, which is in ``handle`` meanwhile.

        Raises:
            OSError, HTTPException, ValueError: there is none; what ``on_peer`` raises.
        """
        made, peer = self._connect(way, handle, silence), ""
        try:
            if not way.proxy:
                peer = made.getpeername()[0]
                on_peer(way.named, peer)
            if way.proxy.lower().startswith("https:"):
                made = secured(made, _place_of_proxy(way.proxy).host, self._route.ca_bundle)
            if way.is_secure:
                if way.proxy and not _is_socks(way.proxy):
                    handle.hold(made, silence)  # a proxy's answer is one, too
                    _open_tunnel(made, way.place, _login(way.proxy))
                    if handle.is_broken:  # in the midst of an answer, maybe: http.client takes half a head for one
                        raise ConnectionAbortedError
                made = secured(made, way.place.host, self._route.ca_bundle)
        except BaseException:
            made.close()
            raise
        return Connection(made, way.key, peer)

    def _connect(self, way: Way, handle: AbortHandle, silence: float) -> socket.socket:
        if _is_socks(way.proxy):
            return self._by_socks(urlsplit(way.proxy), way.place, handle, silence)
        first = _place_of_proxy(way.proxy) if way.proxy else way.place
        return self._connector.connect(first.host, first.port, self._seconds, self._options)

    @property
    def _options(self) -> Options:
        narrow = [(socket.SOL_SOCKET, socket.SO_RCVBUF, self.receive_buffer)] if self.receive_buffer else []
        return [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1), *narrow]

    def _by_socks(self, proxy: SplitResult, place: Place, handle: AbortHandle, silence: float) -> socket.socket:
        import socks

        host, port = proxy.hostname or "", proxy.port or SOCKS_PORT
        scheme = proxy.scheme.lower()
        address = self._connector.first(host, port, self._seconds)
        made = socks.socksocket(socket.AF_INET6 if ":" in address else socket.AF_INET)
        login = unquote(proxy.username or "") or None, unquote(proxy.password or "") or None
        made.set_proxy(_SOCKS_VERSIONS[scheme], address, port, scheme in ("socks4a", "socks5h"), *login)
        try:
            for option in self._options:
                made.setsockopt(*option)
            made.settimeout(self._seconds)
            handle.hold(made, silence)
            made.connect((place.host, place.port))
        except socks.ProxyError as error:
            if isinstance(error, socks.ProxyConnectionError):
                self._connector.forget(host, port)
            if isinstance(error.socket_err, TimeoutError):
                raise error.socket_err from error
            raise
        finally:
            handle.hold(None)  # what TLS waits for is no answer
        return made


def _is_socks(proxy: str) -> bool:
    return proxy.lower().startswith("socks")


def _place_of_proxy(proxy: str) -> Place:
    parts = urlsplit(proxy)
    return place_of(parts.scheme, parts.netloc)


def _login(proxy: str) -> dict[str, str]:
    """What tells an HTTP proxy who we are, if it is to be told."""
    parts = urlsplit(proxy)
    if not parts.username:
        return {}
    login = unquote_to_bytes(f"{parts.username}:{parts.password or ''}")  # as curl has it: nobody knows the charset
    return {"proxy-authorization": f"Basic {base64.b64encode(login).decode()}"}


def _open_tunnel(connected: socket.socket, place: Place, login: dict[str, str]) -> None:
    """Have a proxy connect us to ``place``. Raises OSError, HTTPException where it does not."""
    connected.sendall(head_of("CONNECT", place.authority, {"host": place.authority, **login}))
    answer = HTTPResponse(connected, method="CONNECT")
    try:
        answer.begin()
    finally:
        answer.close()
    if answer.status == PROXY_WANTS_PASSWORD:
        raise OSError(phrase("asks-for-password"))
    if not 200 <= answer.status < 300:
        raise OSError(phrase("no-tunnel", status=answer.status))
