"""TLS: whom to believe (only user of certifi)."""

from __future__ import annotations

import functools
import ssl

__all__ = ["tls_context"]


def tls_context(bundle: str | None) -> ssl.SSLContext:
    """What believes those servers whom ``bundle`` (as ``Route.ca_bundle``) vouches for. Raises OSError.

    The same for all who ask before the bundle changes: to read certifi's takes a tenth of a second.
    """
    from pathlib import Path

    if bundle is None:
        import certifi

        bundle = certifi.where()
    return _context_of(bundle, Path(bundle).stat().st_mtime_ns)


@functools.lru_cache(maxsize=4)
def _context_of(bundle: str, _changed: int) -> ssl.SSLContext:
    from pathlib import Path

    from urllib3.util.ssl_ import create_urllib3_context

    context = create_urllib3_context()
    if Path(bundle).is_dir():
        context.load_verify_locations(capath=bundle)
    else:
        context.load_verify_locations(cafile=bundle)
    return context
