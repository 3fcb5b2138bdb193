"""What is asked of APIs, written by requests (its only user): the URL as it is spelt, the headers, the body.

It sends nothing: connections, proxies, redirects and the time to wait are this package's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hfclone.errors import Unreachable
from hfclone.http.failures import reason_of

__all__ = ["ApiCall", "prepare"]


@dataclass(frozen=True, slots=True)
class ApiCall:
    """A request as it is to be sent; the body's length and the host are named when it is."""

    url: str
    headers: Mapping[str, str]


def prepare(method: str, url: str, headers: Mapping[str, str], body: bytes | None, label: str) -> ApiCall:
    """Raises Unreachable where no request can be made of it; ``label`` is who was to be asked."""
    import requests

    try:
        prepared = requests.Request(method, url, headers=dict(headers), data=body).prepare()
    except (requests.RequestException, ValueError) as error:
        raise Unreachable(label, reason_of(error)) from error
    named = {name.lower(): value for name, value in prepared.headers.items()}
    named.pop("content-length", None)
    return ApiCall(prepared.url or url, named)
