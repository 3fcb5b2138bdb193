"""One HTTP exchange at a time, by our own rules (only user of requests and urllib3).

The rules, and where they come from:

* Redirects are followed here, hop by hop: http and https only, never from https down to http, five
  at most, and never further inside our network than whoever named the URL (``reach``): judged by
  its host, and by the connection's real peer before anything is sent. The token is attached to a
  hop only if that hop's origin is the token's own.
* ``trust_env`` is off: requests would put a ``.netrc`` password in place of our token, and send it
  to redirect targets, too. Proxies and certificates are handed in.
* ``Accept-Encoding: identity`` is sent, and an answer with another ``Content-Encoding`` is refused:
  a compressed body has no ranges, and inflating it is a bomb's way in.
* A body is read with ``read1``: each call gives what one receive brought, so that a connection
  that is reset loses no byte that had arrived.
* No retries: ``patience`` and the pool decide about those.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from hfclone.endpoints import origin_of
from hfclone.errors import BadRedirect, HfcloneError, NotTheObject, Stalled, Truncated, Unreachable
from hfclone.names import Token
from hfclone.reach import Reach, reach_of, reach_of_name

if TYPE_CHECKING:
    import requests

__all__ = ["READ_BYTES", "Answer", "Authority", "Limits", "Web"]

MAX_HOPS = 5
MOST_DIGITS = 19
"""Digits of a number in a header: more is an attack, and ``int`` refuses thousands of them."""
_TO_ANYONE = frozenset({"range", "accept", "content-type"})
"""Headers of a request that may follow a redirect to another origin; what else there is may be a secret."""
SMALL_BODY_BYTES = 32 * 1024 * 1024
"""No API answer that we ask for is longer; an endless one must not fill the memory."""
READ_BYTES = 256 * 1024
"""At most so much a receive; perf-facts: 256 KiB suits http and https alike."""
LONGEST_ASKED = 3600.0
"""Seconds after which we look again, however long a server asks us to wait: headers may be wrong, too."""


@dataclass(frozen=True, slots=True)
class Authority:
    """A secret and the only origin it may be sent to (that of ``url``)."""

    url: str
    token: Token

    def header_for(self, url: str) -> dict[str, str]:
        """The Authorization header for a request to ``url``: none unless the origins are equal."""
        return {"Authorization": f"Bearer {self.token.reveal()}"} if origin_of(url) == origin_of(self.url) else {}


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds until a connection must stand, and between two receives."""

    connect: float = 10.0
    silence: float = 20.0


@dataclass(slots=True)
class Answer:
    """An answer whose body has not been read. Belongs to the thread that asked; close it."""

    label: str
    """Who was asked, for messages."""
    url: str
    """Where the answer came from, after redirects."""
    status: int
    headers: Mapping[str, str]
    hops: tuple[str, ...]
    quota: tuple[int, float] | None
    """Requests that the strictest limit on its way still allows, and for how many seconds; ``None`` if unsaid."""
    _response: requests.Response
    _web: Web

    def __enter__(self) -> Answer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Done with it; the connection is kept if little or nothing of the body is left."""
        self._web.release(self._response)

    @property
    def length(self) -> int | None:
        """Content-Length in bytes; ``None`` where the server does not say."""
        value = self.headers.get("Content-Length", "")
        return int(value) if _is_number(value) else None

    @property
    def content_type(self) -> str:
        """The media type without parameters, in lower case."""
        return self.headers.get("Content-Type", "").partition(";")[0].strip().lower()

    @property
    def date(self) -> float | None:
        """The server's own time as seconds since the epoch: what dates in its headers and URLs are to be held against.

        Our clock may be wrong by hours and jump in the night; theirs agrees with what they write.
        """
        return _epoch(self.headers.get("Date", ""))

    def chunks(self, limit: int, read_bytes: int = READ_BYTES) -> Iterator[bytes]:
        """The body as it arrives, in pieces of up to ``read_bytes``; ends with it, or when ``limit`` bytes have come.

        The connection is kept for the next request only where the body was read to its end.

        Raises:
            Truncated: the connection broke; everything before it has been yielded.
            Stalled: nothing came for ``Limits.silence`` seconds.
        """
        got = 0
        raw = self._response.raw
        while got < limit:
            try:
                data: bytes = raw.read1(min(read_bytes, limit - got), decode_content=False)
            except Exception as error:
                raise _body_error(error, self.label, got, limit, self._web.limits) from error
            if not data:
                return
            got += len(data)
            yield data

    def text(self) -> bytes:
        """A small body, whole.

        Raises:
            NotTheObject: it is longer than any answer should be.
            Truncated, Stalled: as ``chunks``.
        """
        body = b"".join(self.chunks(SMALL_BODY_BYTES + 1))
        if len(body) > SMALL_BODY_BYTES:
            raise NotTheObject(self.label, "the answer does not end")
        if self.length is not None and len(body) < self.length:
            raise Truncated(self.label, len(body), self.length)
        return body

    def json(self) -> Any:
        """A small JSON body. Raises as ``text``, and NotTheObject where it is no JSON."""
        body = self.text()
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            raise NotTheObject(self.label, f"{self.content_type or 'something'} in place of JSON") from None

    def retry_after(self, wall_clock: float) -> float | None:
        """Seconds this answer asks us to wait (Retry-After as seconds or date, or RateLimit with ``r=0``).

        ``wall_clock`` is the time as ``time.time()`` has it; a date counts from the answer's own. A
        RateLimit header with requests left asks for nothing: it comes on every answer.
        """
        waits = [_retry_after(self.headers.get("Retry-After", ""), self.date or wall_clock)]
        quota = _quota(self.headers.get("RateLimit", ""))
        waits.append(quota[1] if quota and not quota[0] else None)
        longest = max((wait for wait in waits if wait is not None), default=None)
        return None if longest is None else min(longest, LONGEST_ASKED)


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
    ) -> None:
        self.limits = limits or Limits()
        self._user_agent = user_agent
        self._proxies = dict(proxies or {})
        self._no_proxy = ",".join(no_proxy)
        self._ca_bundle = ca_bundle
        self._local = threading.local()
        self._lock = threading.Lock()
        self._sessions: list[requests.Session] = []
        self._open: dict[int, requests.Response] = {}
        self._aborted = False
        self._reaches: dict[str, Reach] = {}
        """Of hosts that the user named, by what they were connected to."""
        self._receive_buffer: int | None = None

    def __enter__(self) -> Web:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Break every exchange at once, from whichever thread; blocked readers raise Truncated."""
        with self._lock:
            self._aborted = True
            opened, sessions = list(self._open.values()), self._sessions
        for response in opened:
            _shut_down(response)
        for session in sessions:
            session.close()

    def narrow(self, receive_buffer: int) -> None:
        """Let connections made from now on hold no more than so many bytes unread: what lies there has been sent."""
        self._receive_buffer = receive_buffer

    def interrupt(self, answer: Answer) -> None:
        """Break one exchange that another thread is reading."""
        _shut_down(answer._response)

    def ask(
        self,
        url: str,
        *,
        label: str,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        authority: Authority | None = None,
        named_by: str | None = None,
    ) -> Answer:
        """Send a request and follow its redirects; the answer's body is still to be read.

        ``named_by`` is the URL of who named ``url`` in an answer, if that was not the user.

        Raises:
            Unreachable: no connection, or none that TLS accepts.
            Stalled: connected, but no answer in time.
            BadRedirect: a redirect that we do not follow.
            NotTheObject: the answer is compressed though identity was asked for.
        """
        hops: list[str] = []
        sent = dict(headers or {})
        quotas: list[tuple[int, float]] = []
        while True:
            self._guard(url, label, named_by or next(iter(hops), None))
            response = self._send(method, url, label, sent, body, authority)
            quota = _quota(response.headers.get("RateLimit", ""))
            quotas += [quota] if quota else []
            target = response.headers.get("Location")
            if response.status_code not in (301, 302, 303, 307, 308) or target is None:
                break
            self.release(response)
            hops.append(url)
            url = _next_hop(url, target, label, len(hops))
            if origin_of(url) != origin_of(hops[0]):
                sent = {name: value for name, value in sent.items() if name.lower() in _TO_ANYONE}
        strictest = min(quotas, default=None)
        answer = Answer(label, url, response.status_code, response.headers, tuple(hops), strictest, response, self)
        encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
        if encoding not in ("", "identity"):
            self.release(response)
            raise NotTheObject(label, f"a body compressed with {encoding[:20]}, which was not asked for")
        return answer

    def release(self, response: requests.Response) -> None:
        """Done with a response: its connection is kept if the body was read to the end or is tiny."""
        with self._lock:
            self._open.pop(id(response), None)
        with contextlib.suppress(Exception):  # whatever happens while letting go harms nobody
            if _small_rest(response):
                response.raw.drain_conn()
            response.close()

    def _guard(self, url: str, label: str, namer: str | None) -> None:
        """Let this thread's next request lead no further inside than ``namer``; a user may name what he will.

        Raises:
            BadRedirect: it would, as its name says.
        """
        host = urlsplit(namer).hostname or "" if namer else ""
        reach = self._reaches.get(host, reach_of_name(host)) or Reach.PUBLIC
        self._local.limit = (reach, label, _without_query(url)) if namer else None
        known = reach_of_name(urlsplit(url).hostname or "")
        if known is not None:
            self._refuse_inward(known)

    def _met(self, host: str, address: str) -> None:
        """A connection to ``address`` stands, through no proxy, and nothing was sent. Raises as ``_guard``."""
        reach = reach_of(address)
        if self._local.limit is None:
            self._reaches[host.lower()] = reach
        self._refuse_inward(reach)

    def _refuse_inward(self, reach: Reach) -> None:
        if self._local.limit is not None and reach > self._local.limit[0]:
            _, label, shown = self._local.limit
            raise BadRedirect(label, shown, "that is inside this network or machine, and who names it is not")

    def _send(
        self,
        method: str,
        url: str,
        label: str,
        headers: Mapping[str, str],
        body: bytes | None,
        authority: Authority | None,
    ) -> requests.Response:
        import requests

        proxies = self._proxies_for(url)
        try:
            request = requests.Request(method, url, data=body)
            prepared = self._session().prepare_request(request)
            prepared.url = url  # requests would requote a signed URL's path
            prepared.headers.update({"User-Agent": self._user_agent, "Accept-Encoding": "identity", "Accept": "*/*"})
            prepared.headers.update(headers)
            prepared.headers.update(authority.header_for(url) if authority else {})
            response = self._session().send(
                prepared,
                stream=True,
                allow_redirects=False,
                timeout=(self.limits.connect, self.limits.silence),
                proxies=proxies,
                verify=self._ca_bundle or True,
            )
        except (requests.RequestException, OSError, ValueError) as error:
            raise _connect_error(error, label, self.limits, _proxy_name(url, proxies)) from error
        with self._lock:
            self._open[id(response)] = response
            aborted = self._aborted
        if aborted:
            self.release(response)
            raise Unreachable(label, "the run was stopped")
        if response.status_code == 407:
            self.release(response)
            raise Unreachable(label, "it asks for a user name and password", _proxy_name(url, proxies))
        return response

    def _proxies_for(self, url: str) -> dict[str, str]:
        from requests.utils import should_bypass_proxies

        # An empty no_proxy would make requests look into the environment.
        if self._proxies and should_bypass_proxies(url, no_proxy=self._no_proxy or " "):
            return {}
        return self._proxies

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = _make_session()
            session.trust_env = False
            session.headers.clear()
            _mount(session, self._met, self._receive_buffer)
            self._local.session = session
            with self._lock:
                self._sessions.append(session)
        return session


def _next_hop(url: str, target: str, label: str, hops: int) -> str:
    """Where a redirect leads, if it may lead there."""
    try:
        following = urljoin(url, target)
        shown = _without_query(following)
        _ = origin_of(following)  # a port that is no number shows only here
    except ValueError:
        raise BadRedirect(label, ascii(target[:60]), "that is no URL") from None
    scheme = urlsplit(following).scheme.lower()
    if scheme not in ("http", "https") or not urlsplit(following).hostname:
        raise BadRedirect(label, shown, "that is not http or https")
    if urlsplit(url).scheme == "https" and scheme == "http":
        raise BadRedirect(label, shown, "from https down to http")
    if "@" in urlsplit(following).netloc:
        raise BadRedirect(label, shown, "a URL with a user name")
    if hops > MAX_HOPS:
        raise BadRedirect(label, shown, f"more than {MAX_HOPS} redirects")
    return following


def _without_query(url: str) -> str:
    """``url`` for a message: a signed URL's query is a secret of its own."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _small_rest(response: requests.Response) -> bool:
    """Whether reading the rest of the body is cheaper than a new connection."""
    rest = getattr(response.raw, "length_remaining", None)
    return rest is not None and rest <= 16 * 1024


def _shut_down(response: requests.Response) -> None:
    """Wake whoever is blocked in reading ``response``: no public call of urllib3 does that."""
    with contextlib.suppress(AttributeError, OSError):
        sock = getattr(response.raw, "_fp").fp.raw._sock  # noqa: B009  # private, so untyped
        sock = getattr(sock, "socket", sock)  # TLS within TLS, through a proxy: urllib3's own, around a socket
        socket.socket.shutdown(sock, socket.SHUT_RDWR)  # the base class: SSLSocket's own drops its state


def _proxy_name(url: str, proxies: Mapping[str, str]) -> str:
    """The host of the proxy that a request for ``url`` goes through, without its password; empty without one."""
    from requests.utils import select_proxy

    proxy = select_proxy(url, dict(proxies)) or ""
    return proxy.rpartition("//")[2].rpartition("@")[2].partition("/")[0]


def _connect_error(error: Exception, label: str, limits: Limits, proxy: str) -> HfcloneError:
    """What a failed request means, in our words."""
    import requests

    if isinstance(error, requests.ReadTimeout):
        return Stalled(label, limits.silence)
    return Unreachable(label, _reason(error), proxy)


def _body_error(error: Exception, label: str, got: int, want: int, limits: Limits) -> HfcloneError:
    import urllib3.exceptions

    if isinstance(error, (urllib3.exceptions.ReadTimeoutError, TimeoutError)):
        return Stalled(label, limits.silence)
    if isinstance(error, (urllib3.exceptions.HTTPError, OSError, ValueError, AttributeError)):
        return Truncated(label, got, want)  # ValueError, AttributeError: the response was closed under us
    raise error


def _reason(error: BaseException) -> str:
    """The innermost cause in a few words; requests wraps it four times over."""
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
        return "its name does not resolve"
    if isinstance(innermost, TimeoutError):
        return "no connection in time"
    text = getattr(innermost, "strerror", None) or str(innermost) or type(innermost).__name__
    return str(text)[:200]


def _retry_after(value: str, wall_clock: float) -> float | None:
    value = value.strip()
    if not value:
        return None
    if value.isdecimal():
        return float(value)
    moment = _epoch(value)
    return None if moment is None else max(0.0, moment - wall_clock)


def _epoch(date: str) -> float | None:
    """An HTTP date as seconds since the epoch."""
    try:
        return parsedate_to_datetime(date).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None


def _is_number(text: str) -> bool:
    """Whether a header's value is a number of a size that anybody means."""
    return text.isascii() and text.isdecimal() and len(text) < MOST_DIGITS


def _quota(value: str) -> tuple[int, float] | None:
    """Requests left and seconds until the window ends: ``"resolvers";r=0;t=172`` (IETF draft 9)."""
    fields = dict(part.strip().partition("=")[::2] for part in value.split(";"))
    left, seconds = fields.get("r", ""), fields.get("t", "")
    if not (_is_number(left) and _is_number(seconds)):
        return None
    return int(left), min(float(seconds), LONGEST_ASKED)


def _make_session() -> requests.Session:
    """A session that looks at no redirect: requests would read its body, however long, before we see it."""
    import requests

    class Plain(requests.Session):
        def get_redirect_target(self, resp: requests.Response) -> None:
            del resp

    return Plain()


def _mount(session: requests.Session, met: Callable[[str, str], None], receive_buffer: int | None) -> None:
    """Have ``met`` hear of every new connection but those to a proxy, and sockets hold no more than asked."""
    from requests.adapters import HTTPAdapter
    from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
    from urllib3.connection import HTTPConnection, HTTPSConnection

    def watched(kind: type[HTTPConnection]) -> type[HTTPConnection]:
        class Watched(kind):  # type: ignore[valid-type,misc]  # which of the two is known here alone
            def _new_conn(self) -> socket.socket:
                sock: socket.socket = super()._new_conn()
                try:
                    met(self.host, sock.getpeername()[0])
                except BaseException:
                    sock.close()
                    raise
                return sock

        return Watched

    class Plain(HTTPConnectionPool):
        ConnectionCls = watched(HTTPConnection)

    class Secure(HTTPSConnectionPool):
        ConnectionCls = watched(HTTPSConnection)  # type: ignore[assignment]  # it is one

    class Adapter(HTTPAdapter):
        def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
            if receive_buffer:
                option = (socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
                kwargs["socket_options"] = [*HTTPConnection.default_socket_options, option]
            super().init_poolmanager(*args, **kwargs)
            self.poolmanager.pool_classes_by_scheme = {"http": Plain, "https": Secure}

    for scheme in ("http://", "https://"):
        session.mount(scheme, Adapter())


def wall_clock() -> float:
    """Seconds since the epoch, for dates in headers."""
    return time.time()
