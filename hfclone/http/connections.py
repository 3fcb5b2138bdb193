"""Connections kept alive, proxies, TLS, and exchanges that another thread can break (only user of urllib3).

The bytes of objects go straight over these; ``calls`` has requests ask APIs over the same ones. Why
two roads: of the processor time of a small object a quarter went into preparing its request and
wrapping its answer.
"""

from __future__ import annotations

import contextlib
import functools
import math
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, unquote, urlsplit

from hfclone.errors import HfcloneError, Stalled, Truncated, Unreachable
from hfclone.wording import phrase

if TYPE_CHECKING:
    import urllib3
    from urllib3.connection import HTTPConnection
    from urllib3.response import BaseHTTPResponse

    Response = BaseHTTPResponse

__all__ = [
    "PROXY_WANTS_PASSWORD", "Connections", "Grip", "Limits", "Route", "body_error", "reason_of", "tls_context",
]  # fmt: skip

KEPT = 256
"""Idle connections kept for each host; more than anybody opens."""
PROXY_WANTS_PASSWORD = 407
LONGEST_LULLS = 0.05
"""Seconds for which breaks are waited out: what a kill may cost a connection."""
KEPT_HOSTS = 1000
"""Hosts whose connections are kept."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds until a connection must stand, and between two receives."""

    connect: float = 10.0
    silence: float = 20.0


@dataclass(frozen=True, slots=True)
class Route:
    """How to reach others: proxies by scheme (``http``, ``https``, ``all``), and the hosts that go without."""

    proxies: Mapping[str, str]
    no_proxy: Sequence[str] = ()
    ca_bundle: str | None = None
    """A file or a directory of certificates; ``None`` for those of certifi."""

    def proxy_for(self, parts: SplitResult) -> str:
        """The proxy to ask for a URL; empty for none."""
        proxy = self.proxies.get(parts.scheme) or self.proxies.get("all") or ""
        if not proxy or any(_names(entry, parts) for entry in self.no_proxy):
            return ""
        return proxy if "://" in proxy else f"http://{proxy}"

    def proxy_name(self, url: str) -> str:
        """The host of the proxy that a request for ``url`` goes through, without its password; empty without one."""
        try:
            proxy = self.proxy_for(urlsplit(url))
        except ValueError:  # a URL that names no host goes nowhere
            return ""
        return proxy.rpartition("//")[2].rpartition("@")[2].partition("/")[0]


class Grip:
    """What another thread can break an exchange by, from the moment its request is out.

    ``silence`` is for exchanges that wait less long for a byte than ``Limits`` has it; in seconds.
    """

    def __init__(self, silence: float = math.inf) -> None:
        self.silence = silence
        self._socket: socket.socket | None = None
        self._broken = False

    def hold(self, connected: socket.socket | None) -> None:
        """The exchange goes on over ``connected``; ``None``: it is over."""
        self._socket = connected
        if self._broken:
            self.break_off()

    def is_quiet(self, seconds: float) -> bool:
        """Whether nothing comes for ``seconds``; ends as soon as something does. For the thread that reads."""
        return self._comes_within(seconds) is False

    def take(self, view: memoryview, lull: float) -> int:
        """Fill ``view`` with what is here and what comes without a break of ``lull`` seconds; how many bytes.

        What is wrong with the connection shows at the next receive. For the thread that reads.
        """
        held = self._socket
        if not isinstance(held, socket.socket):
            return 0
        timeout, got, until = held.gettimeout(), 0, time.monotonic() + LONGEST_LULLS
        with contextlib.suppress(OSError):
            held.settimeout(0)
            try:
                while got < len(view):
                    try:
                        received = held.recv_into(view[got:])
                    except (BlockingIOError, ssl.SSLWantReadError):
                        if not lull or time.monotonic() > until or not self._comes_within(lull):
                            break
                        continue
                    if not received:
                        break
                    got += received
            finally:
                held.settimeout(timeout)
        return got

    def _comes_within(self, seconds: float) -> bool | None:
        """Whether something comes; ``None`` where that cannot be seen."""
        from urllib3.util import wait_for_read

        held = self._socket
        if not isinstance(held, socket.socket):
            return None  # TLS within TLS has more places where bytes may lie
        pending = getattr(held, "pending", None)  # of TLS: decrypted already, so the socket does not show it
        try:
            return bool(pending is not None and pending()) or wait_for_read(held, seconds)
        except (OSError, ValueError):  # broken or closed: the next read tells
            return None

    def hurry(self, seconds: float) -> None:
        """Wait no longer than so for each further receive. For the thread that reads."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.settimeout(seconds)

    def break_off(self) -> None:
        """Wake whoever waits for bytes of the exchange: nothing more will come. From any thread."""
        self._broken = True  # before the socket is looked at: whoever holds it later sees this
        held = getattr(self._socket, "socket", self._socket)  # TLS within TLS, through a proxy: around a socket
        if held is not None:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(held, socket.SHUT_RDWR)  # the base class: SSLSocket's own drops its state


OnPeer = Callable[[str, str], None]
"""Hears a host and the address that it is connected to, through no proxy, before anything is sent; may raise."""

_CURRENT: ContextVar[tuple[Grip, OnPeer]] = ContextVar("current")
"""The exchange that the current thread is about, for the connection it happens to get."""


class Connections:
    """All connections to everyone, shared by all threads."""

    def __init__(self, route: Route, limits: Limits) -> None:
        self._route = route
        self.limits = limits
        self._lock = threading.Lock()
        self._pools: dict[tuple[str, str], urllib3.HTTPConnectionPool] = {}
        self._managers: dict[str, urllib3.PoolManager] = {}
        self._tls: ssl.SSLContext | None = None
        self._receive_buffer: int | None = None

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
        grip: Grip,
        on_peer: OnPeer,
    ) -> Response:
        """One request, no redirect followed, nothing of the body read. ``label`` is who is asked, for messages.

        What ``on_peer`` raises ends the request.

        Raises:
            Unreachable: no connection, or none that TLS accepts.
            Stalled: connected, but no answer in time.
        """
        with self.about(url, label, grip, on_peer) as timeout:
            parts = urlsplit(url)
            response = self.pool_for(parts).urlopen(
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
        return response

    @contextlib.contextmanager
    def about(self, url: str, label: str, grip: Grip, on_peer: OnPeer) -> Iterator[urllib3.Timeout]:
        """Whatever goes over a connection within is ``grip``'s exchange with ``url``. Raises as ``send``."""
        from http.client import HTTPException

        import urllib3

        silence = min(grip.silence, self.limits.silence)
        token = _CURRENT.set((grip, on_peer))
        try:
            yield urllib3.Timeout(connect=self.limits.connect, read=silence)
        except urllib3.exceptions.ReadTimeoutError as error:
            raise Stalled(label, silence) from error
        except (urllib3.exceptions.HTTPError, HTTPException, OSError, ValueError) as error:
            raise Unreachable(label, reason_of(error), self._route.proxy_name(url)) from error
        finally:
            _CURRENT.reset(token)

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
        return pool

    def _new_pool(self, parts: SplitResult) -> urllib3.HTTPConnectionPool:
        proxy = self._route.proxy_for(parts)
        manager = self._managers.get(proxy)
        if manager is None:
            manager = self._managers[proxy] = self._new_manager(proxy)
        pool = manager.connection_from_url(f"{parts.scheme}://{parts.netloc}")
        if not proxy:
            pool.ConnectionCls = _judged(pool.ConnectionCls)
        pool.ConnectionCls = _held(pool.ConnectionCls)
        return pool

    def _new_manager(self, proxy: str) -> urllib3.PoolManager:
        import urllib3

        options: dict[str, Any] = {
            "num_pools": KEPT_HOSTS,
            "maxsize": KEPT,
            "ssl_context": self._tls_context(),
            "socket_options": self._socket_options(),
        }
        if not proxy:
            return urllib3.PoolManager(**options)
        parts = urlsplit(proxy)
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        if parts.scheme.lower().startswith("socks"):
            from urllib3.contrib.socks import SOCKSProxyManager

            return SOCKSProxyManager(proxy, username=user or None, password=password or None, **options)
        secret = urllib3.make_headers(proxy_basic_auth=f"{user}:{password}") if user else {}
        return urllib3.ProxyManager(proxy, proxy_headers=secret, proxy_ssl_context=options["ssl_context"], **options)

    def _tls_context(self) -> ssl.SSLContext:
        """One for all: reading the certificates costs more than a handshake."""
        if self._tls is None:
            self._tls = tls_context(self._route.ca_bundle)
        return self._tls

    def _socket_options(self) -> list[tuple[int, int, int]]:
        from urllib3.connection import HTTPConnection

        options = [(level, name, int(value)) for level, name, value in HTTPConnection.default_socket_options]
        if self._receive_buffer:
            options.append((socket.SOL_SOCKET, socket.SO_RCVBUF, self._receive_buffer))
        return options


def body_error(error: Exception, label: str, got: int, want: int, limits: Limits) -> HfcloneError:
    """What an exception while a body was read means; raises ``error`` itself where it is a bug."""
    import urllib3.exceptions

    if isinstance(error, (urllib3.exceptions.ReadTimeoutError, TimeoutError)):
        return Stalled(label, limits.silence)
    if isinstance(error, (urllib3.exceptions.HTTPError, OSError, ValueError, AttributeError)):
        return Truncated(label, got, want)  # ValueError, AttributeError: the response was closed under us
    raise error


@functools.cache
def _held(kind: type[HTTPConnection]) -> type[HTTPConnection]:
    """``kind``, with its socket in the current exchange's grip from before the answer on."""

    class Held(kind):  # type: ignore[valid-type,misc]  # one of urllib3's, whichever the pool has
        def getresponse(self) -> Any:
            _CURRENT.get()[0].hold(self.sock)
            return super().getresponse()

    return Held


@functools.cache
def _judged(kind: type[HTTPConnection]) -> type[HTTPConnection]:
    """``kind``, whose peer is told to each exchange that uses it: one that is kept was made for somebody else."""

    class Judged(kind):  # type: ignore[valid-type,misc]  # one of urllib3's, whichever the pool has
        def _new_conn(self) -> socket.socket:
            made: socket.socket = super()._new_conn()
            self.peer = made.getpeername()[0]
            try:
                _CURRENT.get()[1](self.host, self.peer)
            except BaseException:
                made.close()
                raise
            return made

        def request(self, *args: Any, **kwargs: Any) -> None:
            if self.sock is not None:
                _CURRENT.get()[1](self.host, self.peer)
            super().request(*args, **kwargs)

    return Judged


def tls_context(bundle: str | None) -> ssl.SSLContext:
    """What believes those servers whom ``bundle`` (as ``Route.ca_bundle``) vouches for. Raises OSError."""
    from pathlib import Path

    from urllib3.util.ssl_ import create_urllib3_context

    context = create_urllib3_context()
    if bundle is None:
        import certifi

        bundle = certifi.where()
    if Path(bundle).is_dir():
        context.load_verify_locations(capath=bundle)
    else:
        context.load_verify_locations(cafile=bundle)
    return context


def _names(entry: str, parts: SplitResult) -> bool:
    """Whether an entry of ``no_proxy`` names a URL's host: ``*``, a host or domain (with a port), an address or net."""
    import ipaddress

    host, port = (parts.hostname or "").rstrip("."), parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    entry = entry.strip().lower()
    if entry == "*":
        return True
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host) in ipaddress.ip_network(entry.strip("[]"), strict=False)
    name, colon, number = entry.rpartition(":")
    if colon and number.isdecimal():
        if int(number) != port:
            return False
        entry = name
    domain = entry.lstrip("*").strip(".[]")
    return bool(domain) and (host == domain or host.endswith(f".{domain}"))


def reason_of(error: BaseException) -> str:
    """Why there is no connection, in a few words, by the innermost cause: urllib3 wraps it several times over."""
    seen: set[int] = set()
    cause: BaseException | None = error
    innermost = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        innermost = cause
        inner = getattr(cause, "reason", None)
        nested = next((arg for arg in getattr(cause, "args", ()) if isinstance(arg, BaseException)), None)
        cause = inner if isinstance(inner, BaseException) else nested or cause.__cause__ or cause.__context__
    if isinstance(innermost, socket.gaierror):
        return phrase("does-not-resolve")
    if isinstance(innermost, TimeoutError):
        return phrase("no-connection-in-time")
    text = getattr(innermost, "strerror", None) or str(innermost) or type(innermost).__name__
    return str(text)[:200]
