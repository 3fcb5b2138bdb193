"""Calls of APIs: small questions and small answers, by requests (its only user), over ``connections``.

requests prepares what is sent and finds nothing to decide: proxies, certificates and the time to wait
are those of the connections, redirects are followed by ``http``, and the environment is not read.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import requests

    from hfclone.http.abort import AbortHandle
    from hfclone.http.connections import Connections, Response
    from hfclone.http.kinds import OnPeer

__all__ = ["Calls"]


class Calls:
    """One session over ``connections``, for all threads."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

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
        """As ``Connections.send``."""
        import requests

        with self._connections.about(url, label, handle, on_peer) as timeout:
            prepared = requests.Request(method, url, headers=dict(headers), data=body).prepare()
            waiting = cast("tuple[float, float]", timeout)  # urllib3's own is taken, too
            try:
                answer = self._session.send(prepared, stream=True, timeout=waiting, allow_redirects=False)
            except requests.ReadTimeout as error:
                raise self._connections.silent(url, label, handle) from error
        response: Response = answer.raw
        self._connections.refuse_407(response, url, label)
        return response

    @cached_property
    def _session(self) -> requests.Session:
        from http.cookiejar import DefaultCookiePolicy

        import requests
        from requests.adapters import HTTPAdapter

        connections = self._connections

        class Adapter(HTTPAdapter):
            """Over our connections, which know of proxies and certificates."""

            def get_connection_with_tls_context(self, request: Any, *_: object, **__: object) -> Any:
                return connections.pool_for(urlsplit(request.url))

            def cert_verify(self, *_: object) -> None:
                """The pool's TLS context does."""

            def request_url(self, request: Any, *_: object) -> str:
                return connections.target_of(urlsplit(request.url))

        class Session(requests.Session):
            """Of each redirect it would read the whole body, though it is not to follow it."""

            def get_redirect_target(self, resp: Any) -> None:
                """Redirects are followed by ``http``."""

        session = Session()
        session.trust_env = False
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        for scheme in ("http://", "https://"):
            session.mount(scheme, Adapter())
        return session
