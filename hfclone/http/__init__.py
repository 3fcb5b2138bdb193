"""One HTTP exchange at a time, by our own rules.

The rules, and where they come from:

* Redirects are followed here, hop by hop: http and https only, never from https down to http, five
  at most, and never further inside our network than whoever named the URL (``reach``): judged by
  its host, and by the connection's real peer before anything is sent. The token is attached to a
  hop only if that hop's origin is the token's own.
* Nothing is read from the environment or a ``.netrc``: proxies and certificates are handed in.
* ``Accept-Encoding: identity`` is sent, and an answer with another ``Content-Encoding`` is refused:
  a compressed body has no ranges, and inflating it is a bomb's way in.
* A body is handed on as each receive brings it, so that a connection that is reset loses no byte that had arrived.
* A connection is used again where an answer says plainly where it ends, was read to that end, and nothing came
  after it: for the same host by the same way. On one that is made ahead, too, nothing may have come.
* What could be read as more than one header, request or host is not sent, or not asked.
* An answer has a limit as a whole: its head, with those of all redirects before it, must be here within the
  silence that is allowed, and small bodies come at a least rate; a thread breaks off what is overdue. Objects'
  bodies are the transfer's to judge.
* What somebody else names (a URL, headers beside it) is judged before it is used: headers go to that origin alone,
  over a connection that is closed then; behind a proxy that forwards plain http no two hosts share one.
* Whatever nobody foresaw within ``Web.exchange`` is the endpoint's failure (``Unforeseen``).
* Of a host's addresses the first that answers is taken: they are tried side by side (``connecting``).
* No retries: ``retry`` and the transfer decide about those. But a GET over a connection that was kept, which the
  server has closed by then, goes over another.

``web`` sends and follows, ``answer`` reads, over ``connections``. Why this is not left to requests or urllib3: each
exchange is to be broken off by another thread, its peer judged before anything is sent, its addresses raced for, and
they have no public way to any of these; and reading by them costs a third more processor time for small objects.
"""

from __future__ import annotations

from hfclone.http.abort import AbortHandle
from hfclone.http.answer import SLOWEST, Answer, wall_clock
from hfclone.http.attending import Attendant
from hfclone.http.connecting import SHARED
from hfclone.http.connections import CONNECT_SECONDS, Connections, Limits
from hfclone.http.failures import reason_of
from hfclone.http.pool import READ_BYTES
from hfclone.http.route import Route
from hfclone.http.tls import tls_context
from hfclone.http.ways import PROXY_WANTS_PASSWORD
from hfclone.http.web import Authority, Web

__all__ = [
    "CONNECT_SECONDS",
    "PROXY_WANTS_PASSWORD",
    "READ_BYTES",
    "SHARED",
    "SLOWEST",
    "AbortHandle",
    "Answer",
    "Attendant",
    "Authority",
    "Connections",
    "Limits",
    "Route",
    "Web",
    "reason_of",
    "tls_context",
    "wall_clock",
]
