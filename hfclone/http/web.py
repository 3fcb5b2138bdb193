"""Requests and redirects, and whom a request's secret may follow to; the rules stand in the package's docstring."""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote, urljoin, urlsplit

from hfclone.endpoints import origin_of
from hfclone.errors import BadRedirect, HfcloneError, LimitReached, NotTheObject, Unreachable
from hfclone.http.abort import AbortHandle
from hfclone.http.answer import GZIP, Answer, quota_of
from hfclone.http.attending import Attendant
from hfclone.http.calls import prepare
from hfclone.http.connections import Connections, Limits
from hfclone.http.failures import unforeseen
from hfclone.http.reach import LONGEST_URL, Reach, is_plain_host, reach_of, reach_of_name
from hfclone.http.route import Route
from hfclone.http.ways import OnPeer
from hfclone.limits import start_thread
from hfclone.names import Token
from hfclone.wording import phrase

if TYPE_CHECKING:
    from hfclone.http.connections import Response

__all__ = ["Authority", "Web"]

_T = TypeVar("_T")

MAX_HOPS = 5
_TO_ANYONE = frozenset({"range", "accept", "content-type"})
"""Headers of a request that may follow a redirect to another origin; what else there is may be a secret."""
_ASCII = "".join(map(chr, range(128)))
SMALL_REST_BYTES = 16 * 1024
"""So much of a body is rather read than its connection given up."""
REST_SECONDS = 0.2
"""So long it may take."""
WATCH_SECONDS = 0.25
"""Between two looks for what is overdue."""


@dataclass(frozen=True, slots=True)
class Authority:
    """A secret and the only origin it may be sent to (that of ``url``)."""

    url: str
    token: Token

    def header_for(self, url: str) -> dict[str, str]:
        """The Authorization header for a request to ``url``: none unless the origins are equal."""
        return {"authorization": f"Bearer {self.token.reveal()}"} if origin_of(url) == origin_of(self.url) else {}


class Web:
    """Connections to everyone, kept alive per thread. Its methods may be called from any thread."""

    def __init__(
        self,
        *,
        user_agent: str,
        proxies: Mapping[str, str] | None = None,
        no_proxy: Sequence[str] = (),
        ca_bundle: str | None = None,
        limits: Limits | None = None,
        believed: Sequence[str] = (),
        attendant: Attendant | None = None,
        connections: Connections | None = None,
    ) -> None:
        """``connections`` are kept when this is closed: others go on with them; without, it has its own.

        ``believed`` are URLs of endpoints that may name hosts inside a private network, though not this machine.

        ``attendant`` hears of the exchanges of the thread that makes this.
        """
        self.limits = limits or Limits()
        self._believed = frozenset(map(origin_of, believed))
        self._user_agent = user_agent
        self._attendant = attendant
        self._maker = threading.get_ident()
        self._is_owner = connections is None
        self._connections = connections or Connections(Route(proxies or {}, no_proxy, ca_bundle), self.limits)
        self._lock = threading.Lock()
        self._handles: set[AbortHandle] = set()
        self._watched = False
        self._ended = threading.Event()
        self._reaches = self._connections.reaches
        self._aborted = False

    def __enter__(self) -> Web:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Break every exchange at once, from any thread: who waits for an answer or a body is woken by an error."""
        self._ended.set()
        with self._lock:
            self._aborted = True
            handles = list(self._handles)
        for handle in handles:
            handle.abort()
        if self._is_owner:
            self._connections.close()

    def narrow(self, receive_buffer: int) -> None:
        """Let connections made from now on hold no more than so many bytes unread: what lies there has been sent."""
        self._connections.narrow(receive_buffer)

    def exchange(self, label: str, work: Callable[[], _T]) -> _T:
        """Do ``work``: ask an endpoint, ``label``, and read what it answers.

        This is the one place where an exception that nobody foresaw is taken for an endpoint's failure. What a
        stranger sends finds the flaws in what reads it, and another endpoint may send what has none.

        Raises:
            Unforeseen: in place of every exception that is not ours.
        """

        def guarded() -> _T:
            try:
                return work()
            except HfcloneError:
                raise
            except Exception as error:  # see DEVELOPERS.md
                raise unforeseen(error, label) from error

        if self._attendant is None or threading.get_ident() != self._maker:
            return guarded()
        return self._attendant.attend(label, guarded, self.limits.silence)

    def ask(
        self,
        url: str,
        *,
        label: str,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        authority: Authority | None = None,
        handle: AbortHandle | None = None,
    ) -> Answer:
        """Call an API, following redirects; the answer's body is still to be read.

        By ``handle`` another thread can break the exchange until the answer is closed.

        Raises:
            Unreachable: no connection, or none that TLS accepts.
            Stalled: connected, but no answer in time; TooSlow: one that comes byte by byte.
            BadRedirect: a redirect that we do not follow.
            NotTheObject: the answer is compressed in a way that we do not know.
        """
        call = prepare(method, url, headers or {}, body, label)
        request = _Request(method, call.url, label, call.headers, body, authority, None, {})
        return self._exchange(request, handle or AbortHandle())

    def get(
        self,
        url: str,
        *,
        label: str,
        headers: Mapping[str, str] | None = None,
        foreign: Mapping[str, str] = MappingProxyType({}),
        authority: Authority | None = None,
        named_by: str | None = None,
        handle: AbortHandle | None = None,
    ) -> Answer:
        """Ask for bytes of a file, as ``ask`` does; ``named_by`` is the URL of who named ``url``, if not the user.

        ``foreign`` headers are whose as well: they go to the origin of ``url`` alone, before ours, and a connection
        that they went over is not used again.
        """
        request = _Request("GET", url, label, dict(headers or {}), None, authority, named_by, foreign)
        return self._exchange(request, handle or AbortHandle())

    def _exchange(self, request: _Request, handle: AbortHandle) -> Answer:
        with self._lock:
            if not self._watched:
                if start_thread(self._watch) is None:  # nobody would break off what is overdue
                    raise LimitReached("tasks", phrase("no-thread"))
                self._watched = True
            self._handles.add(handle)
        try:
            answer = self._follow(request, handle)
        except BaseException:
            self._forget(handle)
            raise
        handle.due = math.inf  # its body has a measure of its own
        return answer

    def _watch(self) -> None:
        """Break off whatever is overdue. Why a thread: a byte now and then ends each wait, and begins another."""
        while not self._has_ended_within(WATCH_SECONDS):
            now = time.monotonic()
            with self._lock:
                late = [handle for handle in self._handles if handle.due < now]
            for handle in late:
                handle.abort_as_late()

    def _has_ended_within(self, seconds: float) -> bool:
        """Whether all is over, or no watch can be kept: without memory there is no lock to wait by.

        The next exchange begins another watch then.
        """
        try:
            return self._ended.wait(seconds)
        except (RuntimeError, MemoryError):
            self._watched = False
            return True

    def release(self, response: Response, handle: AbortHandle) -> None:
        """Done with a response: its connection is kept if the body was read to the end or is tiny."""
        _let_go(response, handle)
        self._forget(handle)

    def _follow(self, request: _Request, handle: AbortHandle) -> Answer:
        hops: list[str] = []
        url, label, sent, foreign = request.url, request.label, request.headers, request.foreign
        quotas: list[tuple[int, float]] = []
        while True:
            on_peer = self._guard(url, label, request.named_by or next(iter(hops), None))
            if self._aborted:
                raise Unreachable(label, phrase("stopped"))
            every = self._headers(request, url, sent, foreign)
            response = self._connections.send(
                request.method, url, every, request.body, label=label, handle=handle, on_peer=on_peer
            )
            quota = quota_of(response.headers.get("RateLimit", ""))
            quotas += [quota] if quota else []
            target = response.headers.get("Location")
            if response.status not in (301, 302, 303, 307, 308) or target is None:
                break
            _let_go(response, handle)
            hops.append(url)
            url = _next_hop(url, target, label, len(hops))
            if origin_of(url) != origin_of(hops[0]):
                sent = {name: value for name, value in sent.items() if name.lower() in _TO_ANYONE}
                foreign = {}
        encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
        if encoding not in ("", "identity", *GZIP):
            _let_go(response, handle)
            raise NotTheObject(label, phrase("compressed", encoding=encoding[:20]))
        strictest = min(quotas, default=None)
        return Answer(label, url, response.status, response.headers, tuple(hops), strictest, response, handle, self)

    def _guard(self, url: str, label: str, namer: str | None) -> OnPeer:
        """What hears whom the next request goes to, so that it leads no further inside than ``namer``.

        A user (``namer`` is ``None``) may name what he will.

        Raises:
            BadRedirect: it would, as its name says; the listener raises the same.
        """
        if namer is None:
            return self._note_reach
        if not is_plain_host(urlsplit(url).hostname or ""):
            raise BadRedirect(label, ascii(_without_query(url)[:60]), phrase("target-no-plain-url"))
        host = urlsplit(namer).hostname or ""
        limit = self._reaches.get(host, reach_of_name(host)) or Reach.PUBLIC
        if origin_of(namer) in self._believed:
            limit = max(limit, Reach.PRIVATE)  # a company's own DNS may place the CDN there

        def refuse_inward(reach: Reach) -> None:
            if reach > limit:
                why = phrase("inside")
                raise BadRedirect(label, _without_query(url), why)

        known = reach_of_name(urlsplit(url).hostname or "")
        if known is not None:
            refuse_inward(known)
        return lambda _host, address: refuse_inward(reach_of(address))

    def _note_reach(self, host: str, address: str) -> None:
        self._reaches[host.lower()] = reach_of(address)

    def _headers(
        self, request: _Request, url: str, headers: Mapping[str, str], foreign: Mapping[str, str]
    ) -> dict[str, str]:
        every = {"accept": "*/*"}
        every.update((name.lower(), value) for name, value in foreign.items())
        every.update({"user-agent": self._user_agent, "accept-encoding": "identity"})
        every.update((name.lower(), value) for name, value in headers.items())
        every.update(request.authority.header_for(url) if request.authority else {})
        if foreign:
            every["connection"] = "close"
        return every

    def _forget(self, handle: AbortHandle) -> None:
        handle.hold(None)
        with self._lock:
            self._handles.discard(handle)


@dataclass(frozen=True, slots=True)
class _Request:
    """What is sent on each hop of an exchange."""

    method: str
    url: str
    label: str
    headers: Mapping[str, str]
    body: bytes | None
    authority: Authority | None
    named_by: str | None
    foreign: Mapping[str, str]


def _let_go(response: Response, handle: AbortHandle) -> None:
    """Keep the connection if reading the rest of the body is cheaper than a new one, else close it."""
    with contextlib.suppress(Exception):  # whatever happens while letting go harms nobody
        _drain(response, handle)
    handle.hold(None)  # before its connection is anybody's
    response.close()


def _drain(response: Response, handle: AbortHandle) -> None:
    """Read a small rest, if it comes at once: a body may drip for ever."""
    left = SMALL_REST_BYTES
    if response.rest == 0 or not response.may_be_kept or (response.rest or 0) > left:
        return
    handle.hurry(REST_SECONDS)
    while response.rest != 0 and left and time.monotonic() < handle.until:
        left -= len(response.receive(left, 0.0, handle))


def _next_hop(url: str, target: str, label: str, hops: int) -> str:
    """Where a redirect leads, if it may lead there."""
    try:
        following = urljoin(url, quote(target, safe=_ASCII, encoding="latin-1"))  # bytes, of whatever charset
        shown = _without_query(following)
        _ = origin_of(following)  # a port that is no number shows only here
    except ValueError:
        raise BadRedirect(label, ascii(target[:60]), phrase("target-no-url")) from None
    scheme = urlsplit(following).scheme.lower()
    if scheme not in ("http", "https") or not urlsplit(following).hostname:
        raise BadRedirect(label, shown, phrase("target-not-http"))
    if len(following) > LONGEST_URL:
        raise BadRedirect(label, ascii(target[:60]), phrase("target-no-plain-url"))
    if urlsplit(url).scheme == "https" and scheme == "http":
        raise BadRedirect(label, shown, phrase("down-to-http"))
    if "@" in urlsplit(following).netloc:
        raise BadRedirect(label, shown, phrase("target-with-user"))
    if hops > MAX_HOPS:
        raise BadRedirect(label, shown, phrase("many-redirects", number=MAX_HOPS))
    return following


def _without_query(url: str) -> str:
    """``url`` for a message: a signed URL's query is a secret of its own."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
