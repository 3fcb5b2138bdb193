"""TLS: whom to believe, and how a socket is wrapped (only user of certifi)."""

from __future__ import annotations

import functools
import socket
import ssl
from pathlib import Path
from typing import cast

__all__ = ["secured", "tls_context"]


def tls_context(bundle: str | None) -> ssl.SSLContext:
    """What believes those servers whom ``bundle`` (as ``Route.ca_bundle``) vouches for. Raises OSError.

    The same for all who ask before the bundle changes: to read certifi's takes a tenth of a second.
    """
    if bundle is None:
        import certifi

        bundle = certifi.where()
    return _context_of(bundle, Path(bundle).stat().st_mtime_ns)


@functools.lru_cache(maxsize=4)
def _context_of(bundle: str, _changed: int) -> ssl.SSLContext:
    from urllib3.util.ssl_ import create_urllib3_context

    context = create_urllib3_context()
    context.set_alpn_protocols(["http/1.1"])
    if Path(bundle).is_dir():
        context.load_verify_locations(capath=bundle)
    else:
        context.load_verify_locations(cafile=bundle)
    return context


def secured(connected: socket.socket, host: str, bundle: str | None) -> socket.socket:
    """``connected``, speaking TLS with ``host``, whose certificate has been verified. Raises OSError.

    Within TLS (to a proxy) it is no ``socket.socket`` but has what we use of one, and the outer in ``socket``.
    """
    context, name = tls_context(bundle), host.partition("%")[0]  # an IPv6 address may have a zone, certificates do not
    if not isinstance(connected, ssl.SSLSocket):
        return context.wrap_socket(connected, server_hostname=name)
    from urllib3.util import ssl_wrap_socket

    return cast("socket.socket", ssl_wrap_socket(connected, ssl_context=context, server_hostname=name, tls_in_tls=True))
