"""Connections kept alive, proxies, TLS, and exchanges that another thread can break.

The bytes of objects go straight over these; ``calls`` has requests ask APIs over the same ones. Why
two roads: of the processor time of a small object a quarter went into preparing its request and
wrapping its answer.
"""

from __future__ import annotations

import contextlib
import functools
import math
import socket
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, unquote, urlsplit

from hfclone.errors import Stalled, TooSlow, TransferError, Unreachable
from hfclone.http.abort import AbortHandle
from hfclone.http.connecting import SHARED, Connector, Options
from hfclone.http.failures import reason_of
from hfclone.http.kinds import CURRENT, Exchange, OnPeer, pool_kind
from hfclone.http.plain import PlainResponse
from hfclone.http.route import Route
from hfclone.http.tls import tls_context
from hfclone.reach import Reach
from hfclone.wording import phrase

if TYPE_CHECKING:
    import urllib3
    from urllib3.response import BaseHTTPResponse

    Response = BaseHTTPResponse | PlainResponse

__all__ = [
    "CONNECT_SECONDS",
    "PROXY_WANTS_PASSWORD",
    "Connections",
    "Limits",
]

KEPT = 256
"""Idle connections kept for each host; more than anybody opens."""
PROXY_WANTS_PASSWORD = 407
CONNECT_SECONDS = 10.0
SOCKS_PORT = 1080
_SOCKS_VERSIONS = {"socks4": 1, "socks4a": 1, "socks5": 2, "socks5h": 2}
"""As PySocks numbers them."""
KEPT_HOSTS = 16
"""Hosts whose connections are kept: a mirror may name a new one for each object, and each would cost files."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds until a connection must stand, and between two receives."""

    connect: float = CONNECT_SECONDS
    silence: float = 20.0


FIRST_BYTES = 64 * 1024
"""The head of an answer and many a small object, received at once."""
FIRST_NARROW_BYTES = 8192
"""The same where no more is to be received than was set aside."""


class Connections:
    """All connections to everyone, shared by all threads."""

    def __init__(self, route: Route, limits: Limits, connector: Connector = SHARED) -> None:
        self._route = route
        self.limits = limits
        self._connector = connector
        self._lock = threading.Lock()
        self._pools: dict[tuple[str, str], urllib3.HTTPConnectionPool] = {}
        self._managers: dict[str, urllib3.PoolManager] = {}
        """By their proxies."""
        self._receive_buffer: int | None = None
        self.reaches: dict[str, Reach] = {}
        """Of hosts that the user named, by what they were connected to."""

    def narrow(self, receive_buffer: int) -> None:
        """Let connections made from now on hold no more than so many bytes unread: what lies there has been sent."""
        self._receive_buffer = receive_buffer

    def close(self) -> None:
        """Close those that are idle, and let none be kept any more."""
        with self._lock:
            pools = list(self._pools.values())
        for pool in pools:
            pool.close()

    def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
        *,
        label: str,
        handle: AbortHandle,
        on_peer: OnPeer,
    ) -> Response:
        """One request, no redirect followed, nothing of the body read. ``label`` is who is asked, for messages.

        What ``on_peer`` raises ends the request. With the header ``connection: close`` the connection is not kept,
        whatever the far side says.

        Raises:
            Unreachable: no connection, or none that TLS accepts.
            Stalled: connected, but no answer in time; TooSlow: one that comes byte by byte.
        """
        first_bytes = FIRST_NARROW_BYTES if self._receive_buffer else FIRST_BYTES
        with self.about(url, label, handle, on_peer, first_bytes) as timeout:
            parts = urlsplit(url)
            response: Response = self.pool_for(parts).urlopen(
                method,
                self.target_of(parts),
                body=body,
                headers=headers,
                retries=False,
                redirect=False,
                assert_same_host=False,
                timeout=timeout,
                preload_content=False,
                decode_content=False,
            )
        self.refuse_407(response, url, label)
        if headers.get("connection") == "close":
            response._pool = None  # type: ignore[union-attr]  # all that it has are where they would go back to
        return response

    @contextlib.contextmanager
    def about(
        self, url: str, label: str, handle: AbortHandle, on_peer: OnPeer, first_bytes: int = 0
    ) -> Iterator[urllib3.Timeout]:
        """Whatever goes over a connection within is ``handle``'s exchange with ``url``. Raises as ``send``."""
        from http.client import HTTPException

        import urllib3

        silence = min(handle.silence, self.limits.silence)
        token = CURRENT.set(Exchange(handle, on_peer, silence, functools.partial(self._connect, url), first_bytes))
        try:
            yield urllib3.Timeout(connect=self.limits.connect, read=silence)
        except urllib3.exceptions.ReadTimeoutError as error:
            raise self.silent(url, label, handle) from error
        except (urllib3.exceptions.HTTPError, HTTPException, OSError, ValueError) as error:
            if handle.late:
                raise TooSlow(label, silence, 0) from error
            raise Unreachable(label, reason_of(error), self._route.proxy_name(url)) from error
        finally:
            CURRENT.reset(token)

    def silent(self, url: str, label: str, handle: AbortHandle) -> TransferError:
        """What it means that nothing came in time: TLS, which connects, has no answer to be waited for yet."""
        if handle.is_held:
            return Stalled(label, min(handle.silence, self.limits.silence))
        return Unreachable(label, phrase("no-connection-in-time"), self._route.proxy_name(url))

    def _connect(self, url: str, connection: Any) -> socket.socket:
        """The socket of a connection of urllib3's, made for ``url``. Raises urllib3's errors."""
        from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

        proxy = self._route.proxy_for(urlsplit(url))
        host, port, seconds = connection.host, connection.port, connection.timeout
        options = connection.socket_options or ()
        try:
            if _is_socks(proxy):
                return _by_socks(self._connector, urlsplit(proxy), (host, port), seconds, options)
            return self._connector.connect(host, port, seconds, options)
        except socket.gaierror as error:
            raise NameResolutionError(host, connection, error) from error
        except TimeoutError as error:
            raise ConnectTimeoutError(connection, f"{host}: {error}") from error
        except OSError as error:
            raise NewConnectionError(connection, f"{host}: {error}") from error

    def refuse_407(self, response: Response, url: str, label: str) -> None:
        """Raise Unreachable where it is the proxy that answers, and wants a password."""
        if response.status == PROXY_WANTS_PASSWORD:
            response.close()
            raise Unreachable(label, phrase("asks-for-password"), self._route.proxy_name(url))

    def target_of(self, parts: SplitResult) -> str:
        """What a request's first line names: a proxy that forwards plain http is told the whole URL."""
        path = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
        forwarded = parts.scheme == "http" and self.pool_for(parts).proxy is not None
        return f"http://{parts.netloc}{path}" if forwarded else path

    def pool_for(self, parts: SplitResult) -> urllib3.HTTPConnectionPool:
        """The connections to a URL's host; made when first asked for."""
        key = (parts.scheme, parts.netloc)
        pool = self._pools.get(key)
        if pool is None:
            with self._lock:
                pool = self._pools.get(key) or self._new_pool(parts)
                self._pools[key] = pool
                while len(self._pools) > KEPT_HOSTS:  # urllib3 closes what nobody holds any more
                    del self._pools[next(iter(self._pools))]
        return pool

    def _new_pool(self, parts: SplitResult) -> urllib3.HTTPConnectionPool:
        proxy = self._route.proxy_for(parts)
        if proxy and parts.scheme == "http":
            # urllib3 has one pool for all hosts whose plain http a proxy forwards: what one of them does to a
            # connection (a body that goes on, say) would be the next one's.
            manager = self._new_manager(proxy)
        else:
            manager = self._managers.get(proxy) or self._new_manager(proxy)
            self._managers[proxy] = manager
        return manager.connection_from_url(f"{parts.scheme}://{parts.netloc}")

    def _new_manager(self, proxy: str) -> urllib3.PoolManager:
        """What makes pools of our kind, by ``proxy`` or directly."""
        manager = self._manager_of(proxy)
        kinds = manager.pool_classes_by_scheme.items()
        manager.pool_classes_by_scheme = {scheme: pool_kind(kind, direct=not proxy) for scheme, kind in kinds}
        return manager

    def _manager_of(self, proxy: str) -> urllib3.PoolManager:
        import urllib3

        options: dict[str, Any] = {
            "num_pools": KEPT_HOSTS,
            "maxsize": KEPT,
            "ssl_context": tls_context(self._route.ca_bundle),
            "socket_options": self._socket_options(),
        }
        if not proxy or _is_socks(proxy):
            return urllib3.PoolManager(**options)
        parts = urlsplit(proxy)
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        secret = urllib3.make_headers(proxy_basic_auth=f"{user}:{password}") if user else {}
        return urllib3.ProxyManager(proxy, proxy_headers=secret, proxy_ssl_context=options["ssl_context"], **options)

    def _socket_options(self) -> list[tuple[int, int, int]]:
        from urllib3.connection import HTTPConnection

        options = [(level, name, int(value)) for level, name, value in HTTPConnection.default_socket_options]
        if self._receive_buffer:
            options.append((socket.SOL_SOCKET, socket.SO_RCVBUF, self._receive_buffer))
        return options


def _is_socks(proxy: str) -> bool:
    return proxy.lower().startswith("socks")


def _by_socks(
    connector: Connector, proxy: SplitResult, target: tuple[str, int], seconds: float, options: Options
) -> socket.socket:
    """A socket that ``proxy`` connects to ``target``. Raises ``OSError``."""
    import socks

    host, port = proxy.hostname or "", proxy.port or SOCKS_PORT
    scheme = proxy.scheme.lower()
    try:
        made: socket.socket = socks.create_connection(
            target,
            timeout=math.ceil(seconds),
            proxy_type=_SOCKS_VERSIONS[scheme],
            proxy_addr=connector.first(host, port, seconds),
            proxy_port=port,
            proxy_rdns=scheme in ("socks4a", "socks5h"),
            proxy_username=unquote(proxy.username or "") or None,
            proxy_password=unquote(proxy.password or "") or None,
            socket_options=options,
        )
    except socks.ProxyError as error:
        if isinstance(error, socks.ProxyConnectionError):
            connector.forget(host, port)
        if isinstance(error.socket_err, TimeoutError):
            raise error.socket_err from error
        raise
    return made
