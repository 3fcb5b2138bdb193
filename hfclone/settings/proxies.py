"""Proxies: which there are, what a child process is told of them, and how they are shown.

One answer for git, aria2c and our own requests. Their rules differ (curl reads ``HTTP_PROXY`` in lower
case alone, a user's ``http.proxy`` may say otherwise), so children get what was chosen under the names
that all of them read. A password travels in environments, never in an argument.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from hfclone.errors import BadOption
from hfclone.settings.chosen import Proxies
from hfclone.settings.layers import Origin, Said
from hfclone.settings.table import variable
from hfclone.wording import phrase

__all__ = ["proxies_of", "with_certificates", "with_proxies", "without_password"]

_SCHEMES = ("http", "https", "socks5", "socks5h")
_OPTIONS = ("http-proxy", "https-proxy", "all-proxy", "no-proxy")


def proxies_of(said: Callable[[str], Said]) -> Proxies:
    """What ``--proxy`` names, for everything; else what the environment names for each scheme.

    ``NO_PROXY`` holds in both cases, as it does for curl.

    Raises:
        BadOption: ``--proxy`` cannot be meant; its password is not in the error.
    """
    bypassed = said("no-proxy").values
    by_caller = any(said(option).origin is Origin.FLAG for option in _OPTIONS[:3])  # the library's argument
    if said("--proxy").values and not by_caller:
        return Proxies(named=_parsed(said("--proxy")), no_proxy=bypassed)
    http, https, everything = (_usual(said(option)) for option in _OPTIONS[:3])
    return Proxies(http, https, everything, bypassed)


def with_proxies(environ: Mapping[str, str], proxies: Proxies) -> dict[str, str]:
    """``environ`` for a child that is to use ``proxies`` and no others."""
    names = {name for option in _OPTIONS for name in variable(option).name.split()}
    kept = {name: value for name, value in environ.items() if name not in names and name != "HFCLONE_PROXY"}
    told = {
        **{f"{scheme}_proxy": url for scheme, url in proxies.by_scheme().items()},
        "no_proxy": ",".join(proxies.no_proxy),
    }
    return kept | {name: value for name, value in told.items() if value}


def with_certificates(environ: Mapping[str, str], bundle: str | None) -> dict[str, str]:
    """``environ`` for a git that is to trust ``bundle``, for servers and for proxies, unless it is told otherwise."""
    if bundle is None:
        return dict(environ)
    names = ("GIT_SSL_CAPATH",) if Path(bundle).is_dir() else ("GIT_SSL_CAINFO", "GIT_PROXY_SSL_CAINFO")
    told = () if environ.keys() & {"GIT_SSL_CAINFO", "GIT_SSL_CAPATH"} else names
    return {**dict.fromkeys(told, bundle), **environ}


def without_password(url: str) -> str:
    """``url`` for a reader: whoever is named before its host is not shown."""
    before, _at, host = url.rpartition("@")
    scheme, mark, _user = before.partition("://")
    return f"{scheme}://***@{host}" if mark else host


def _parsed(said: Said) -> str:
    given = said.last.strip()
    text = given if "://" in given else f"http://{given}"
    url = _split(said, text)
    shown = without_password(given)
    if url.scheme not in _SCHEMES:
        raise BadOption(said.name, shown, phrase("write-url-of", schemes=", ".join(_SCHEMES)))
    if not url.hostname or not text.isprintable() or " " in text:
        raise BadOption(said.name, shown, phrase("no-host"))
    if url.path.strip("/"):
        raise BadOption(said.name, shown, phrase("nothing-behind-port"))
    return text.rstrip("/")


def _usual(said: Said) -> str | None:
    """What every program reads; a desktop writes ``socks://`` and means version 5."""
    url = re.sub(r"^socks://", "socks5://", said.last)
    _ = _split(said, url if "://" in url else f"http://{url}")
    return url or None


def _split(said: Said, text: str) -> SplitResult:
    """The parts of a proxy's URL. What a library says of one that it cannot read has the password in it."""
    shown = without_password(said.last)
    try:
        url = urlsplit(text)
        _ = url.port
    except ValueError:
        raise BadOption(said.name, shown, phrase("no-url-of-proxy")) from None
    if url.query or url.fragment or "@" in url.path:
        raise BadOption(said.name, shown, phrase("no-host-of-proxy"))
    return url
