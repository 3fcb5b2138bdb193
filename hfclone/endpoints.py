"""The URL of an endpoint: what a user may write for one, and what of it is compared. Pure."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

from hfclone.errors import BadOption
from hfclone.wording import phrase

__all__ = ["is_loopback", "origin_of", "parse_endpoint"]


def parse_endpoint(text: str, option: str) -> str:
    """Normalise what a user typed for an endpoint; https where no scheme is given.

    Raises:
        BadOption: it is no http(s) URL of a host, or it holds a user name, a query or a fragment.
    """
    given = text.strip()
    try:
        url = urlsplit(given if "://" in given else f"https://{given}")
        port = url.port
    except ValueError as error:  # a port that is no number, brackets that hold no IPv6 address
        raise BadOption(option, given, phrase("no-url-since", reason=error)) from None
    if url.scheme not in ("http", "https"):
        raise BadOption(option, given, phrase("scheme-not-http", scheme=url.scheme))
    if not url.hostname or any(c.isspace() or c in "\\\"'<>" or ord(c) < 32 for c in url.netloc):
        raise BadOption(option, given, phrase("no-host"))
    if url.username is not None or url.password is not None:
        raise BadOption(option, "(hidden)", phrase("secret-in-url"))
    if url.query or url.fragment:
        raise BadOption(option, given, phrase("no-query"))
    host = f"[{url.hostname}]" if ":" in url.hostname else url.hostname
    return f"{url.scheme}://{host}{f':{port}' if port else ''}{url.path.rstrip('/')}"


def origin_of(url: str) -> tuple[str, str, int]:
    """Scheme, host and port: what must be equal for a token to follow."""
    parts = urlsplit(url)
    default = 443 if parts.scheme == "https" else 80
    return parts.scheme, (parts.hostname or "").lower(), parts.port or default


def is_loopback(url: str) -> bool:
    """Whether ``url`` names this machine, where plain http is as safe as https."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
