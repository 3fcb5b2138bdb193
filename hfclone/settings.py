"""What the user chose: flags over environment over defaults, parsed once. The only reader of ``os.environ``.

``VARIABLES`` declares every setting with its option, its environment names and its default; the
command line, the README and ``hfclone config`` are made from it. A source of settings is a
``Layer`` of texts by option; a file of settings is one more layer between environment and default.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum, IntEnum
from glob import escape
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from hfclone.endpoints import HUB_URL, Endpoint, EndpointKind, TokenRule, is_loopback, origin_of, parse_endpoint
from hfclone.errors import BadOption
from hfclone.measures import Window, parse_duration, parse_size, parse_window
from hfclone.names import History, LfsStore, RepoSpec, Token

__all__ = [
    "KNOWN_MIRRORS",
    "VARIABLES",
    "Fetcher",
    "Layer",
    "Progress",
    "Proxies",
    "Settings",
    "Variable",
    "Verbosity",
    "endpoints_of",
    "narrowed",
    "read_settings",
]

KNOWN_MIRRORS = frozenset({"hf-mirror.com", "www.hf-mirror.com"})
"""Public mirrors of the hub that are run by others; see ``_hub_and_mirrors``."""

_HUB_NAMES = frozenset({"huggingface.co", "www.huggingface.co", "hf.co"})
"""Hosts that are the hub; ``hf.co`` only redirects to it."""

_TOKEN_VARIABLES = (
    "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_OIDC_RESOURCE", "HUGGINGFACE_CO_STAGING", "COLAB_RELEASE_TAG",
)  # fmt: skip
"""What makes huggingface_hub find a token elsewhere than in its file, or that file elsewhere."""

MAX_CONNECTIONS = 256
FIRST_ANSWER_SECONDS = 120.0
"""A host typed wrong should not wait a day: the default until anything has answered properly."""


class Fetcher(Enum):
    """What moves the bytes of large objects."""

    AUTO = "auto"
    THREADS = "threads"
    ARIA2C = "aria2c"


class Progress(Enum):
    """How a run is shown."""

    AUTO = "auto"
    """Bars on a terminal, lines elsewhere."""
    BAR = "bar"
    JSON = "json"
    NONE = "none"


class Verbosity(IntEnum):
    """How much is said on stderr."""

    QUIET = -1
    """Errors alone."""
    NORMAL = 0
    VERBOSE = 1


@dataclass(frozen=True, slots=True)
class Proxies:
    """The proxies the environment names, as URLs; ``no_proxy`` are hosts that go without."""

    http: str | None = None
    https: str | None = None
    all: str | None = None
    no_proxy: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Variable:
    """One setting. ``name`` is its environment name, several where a blank stands between, first wins."""

    name: str
    option: str
    """The flag; for what only the environment says, the key by which the code asks for it."""
    default: str
    help: str
    many: bool = False
    """Whether the environment's value is a list with commas."""


VARIABLES = (
    Variable("HFCLONE_MIRROR", "--mirror", "", "an endpoint tried before the hub (repeatable)", many=True),
    Variable("HF_ENDPOINT", "--endpoint", HUB_URL, "the hub itself"),
    Variable("HFCLONE_ONLY_MIRRORS", "--only-mirrors", "0", "never ask the hub"),
    Variable("HFCLONE_TRUST_MIRROR", "--trust-mirror", "", "a mirror that may see the token (repeatable)", many=True),
    Variable("HFCLONE_FETCHER", "--fetcher", "auto", "what moves the large objects"),
    Variable("HFCLONE_CONNECTIONS", "--connections", "64", f"at most so many connections, 1 to {MAX_CONNECTIONS}"),
    Variable("HFCLONE_GIVE_UP_AFTER", "--give-up-after", "24h", "end when no byte came for so long; 0 is never"),
    Variable("HFCLONE_STALL_AFTER", "--stall-after", "20s", "drop a connection that is silent for so long"),
    Variable("HFCLONE_LIMIT_RATE", "--limit-rate", "0", "bytes a second, all connections together (500k, 2M)"),
    Variable("HFCLONE_WINDOW", "--window", "", "fetch only in this part of the day (23:00-07:00)"),
    Variable("HFCLONE_PROGRESS", "--progress", "auto", "how the run is shown"),
    Variable("", "--history", "shallow", "how much of git's past the checkout holds"),
    Variable("HFCLONE_LFS_STORE", "--lfs-store", "auto", "how .git/lfs/objects is filled beside the work tree"),
    Variable("", "--backup", "0", "move files that are in the way aside, to NAME.hfclone-orig-N"),
    Variable("", "--include", "", "fetch only objects whose path matches (repeatable)", many=True),
    Variable("", "--exclude", "", "leave objects whose path matches as pointers (repeatable)", many=True),
    Variable("HF_TOKEN HUGGING_FACE_HUB_TOKEN", "token", "", "the token; else what 'hf auth login' stored"),
    Variable("http_proxy HTTP_PROXY", "http-proxy", "", "the proxy for http"),
    Variable("https_proxy HTTPS_PROXY", "https-proxy", "", "the proxy for https"),
    Variable("all_proxy ALL_PROXY", "all-proxy", "", "the proxy for whatever has none of its own"),
    Variable("no_proxy NO_PROXY", "no-proxy", "", "hosts that are reached without a proxy", many=True),
    Variable(
        "REQUESTS_CA_BUNDLE CURL_CA_BUNDLE SSL_CERT_FILE",
        "ca-bundle",
        "",
        "certificates to trust, in place of certifi's",
    ),
)


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything the user chose, checked. Endpoints are URLs without a trailing slash; times in seconds."""

    mirrors: tuple[str, ...] = ()
    endpoint: str = HUB_URL
    only_mirrors: bool = False
    trusted: tuple[str, ...] = ()
    """Endpoints that may see the token although they are not the hub."""
    fetcher: Fetcher = Fetcher.AUTO
    connections: int = 64
    give_up_after: float | None = 86400.0
    """Without a new byte for so long, the run ends; ``None`` is never."""
    first_answer_within: float | None = FIRST_ANSWER_SECONDS
    """The same, until anything has answered properly in this run."""
    stall_after: float = 20.0
    limit_rate: int | None = None
    """Bytes a second."""
    window: Window | None = None
    history: History = History.SHALLOW
    lfs_store: LfsStore = LfsStore.AUTO
    backup: bool = False
    """Whether a user's files that are in the way are moved aside; else they end the run."""
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    progress: Progress = Progress.AUTO
    verbosity: Verbosity = Verbosity.NORMAL
    token: Token | None = None
    """What the environment or the caller gave; ``None`` leaves huggingface_hub's own lookup."""
    may_find_token: bool = field(default=True, compare=False)
    """Whether huggingface_hub's own lookup can come to anything; importing it takes longer than all else."""
    # Proxies and the environment may hold passwords: no repr shows them.
    proxies: Proxies = field(default=Proxies(), repr=False)
    ca_bundle: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    """For child processes; holds no token."""
    user_agent: str = "hfclone"


@dataclass(frozen=True, slots=True)
class Layer:
    """One source of settings: what it says by option, and under which name (for errors)."""

    values: Mapping[str, tuple[str, ...]]
    names: Mapping[str, str] = field(default_factory=dict)
    """What the source calls the option, where that is not the option itself."""


@dataclass(frozen=True, slots=True)
class _Said:
    """The values of one setting and the name it was said under."""

    name: str
    values: tuple[str, ...]

    @property
    def last(self) -> str:
        return self.values[-1] if self.values else ""


def read_settings(
    flags: Mapping[str, Sequence[str]],
    *,
    verbosity: Verbosity = Verbosity.NORMAL,
    environ: Mapping[str, str] | None = None,
    user_agent: str = "hfclone",
) -> Settings:
    """Settings from ``flags`` (texts by option; absent or empty is "not given") and the environment.

    Raises:
        BadOption: a value cannot be meant; names the flag or the variable that said it.
    """
    environment = dict(os.environ if environ is None else environ)
    given = {option: tuple(values) for option, values in flags.items() if values}
    said = _first_said((Layer(given), _environment_layer(environment)))
    settings = _checked(said)
    secrets = _variable("token").name.split()
    children = {name: value for name, value in environment.items() if name not in secrets}
    return replace(
        settings,
        verbosity=verbosity,
        environment=children,
        user_agent=user_agent,
        may_find_token=_may_find_token(environment),
    )


def _may_find_token(environ: Mapping[str, str]) -> bool:
    """Whether there is anything of what ``huggingface_hub.get_token`` looks at; in doubt there is.

    A variable, even an empty one; the file, where its constants place it; a notebook's secrets.
    """
    if "IPython" in sys.modules or any(name in environ for name in _TOKEN_VARIABLES):
        return True
    try:
        caches = environ.get("XDG_CACHE_HOME", str(Path("~/.cache").expanduser()))
        home = environ.get("HF_HOME", str(Path(caches, "huggingface")))
        file = environ.get("HF_TOKEN_PATH", str(Path(home, "token")))
        return "$" in file or "%" in file or Path(file).expanduser().exists()
    except (OSError, RuntimeError, ValueError):
        return True


def _variable(option: str) -> Variable:
    return next(variable for variable in VARIABLES if variable.option == option)


def _environment_layer(environ: Mapping[str, str]) -> Layer:
    """What the environment says; a variable that is set and empty says nothing."""
    values: dict[str, tuple[str, ...]] = {}
    names: dict[str, str] = {}
    for variable in VARIABLES:
        for name in variable.name.split():
            text = environ.get(name, "").strip()
            if text:
                parts = tuple(part.strip() for part in text.split(",") if part.strip())
                values[variable.option] = parts if variable.many else (text,)
                names[variable.option] = name
                break
    return Layer(values, names)


def _first_said(layers: Sequence[Layer]) -> Callable[[str], _Said]:
    """For each option, what the first layer that mentions it says, or the default."""

    def said(option: str) -> _Said:
        for layer in layers:
            if option in layer.values:
                return _Said(layer.names.get(option, option), layer.values[option])
        default = _variable(option).default
        return _Said("", (default,) if default else ())

    return said


def _checked(said: Callable[[str], _Said]) -> Settings:
    endpoint, mirrors = _hub_and_mirrors(said("--endpoint"), said("--mirror"))
    give_up = said("--give-up-after")
    give_up_after = parse_duration(give_up.last, give_up.name) or None
    only = said("--only-mirrors")
    only_mirrors = _parse_switch(only.last, only.name)
    return Settings(
        mirrors=mirrors,
        endpoint=endpoint,
        only_mirrors=only_mirrors,
        trusted=_endpoints(said("--trust-mirror")),
        fetcher=_choice(Fetcher, said("--fetcher")),
        connections=_connections(said("--connections")),
        give_up_after=give_up_after,
        first_answer_within=give_up_after if give_up.name else FIRST_ANSWER_SECONDS,
        stall_after=_positive_duration(said("--stall-after")),
        limit_rate=parse_size(said("--limit-rate").last, said("--limit-rate").name) or None,
        window=parse_window(said("--window").last, said("--window").name) if said("--window").values else None,
        history=_choice(History, said("--history")),
        lfs_store=_choice(LfsStore, said("--lfs-store")),
        backup=_parse_switch(said("--backup").last, said("--backup").name),
        include=said("--include").values,
        exclude=said("--exclude").values,
        progress=_choice(Progress, said("--progress")),
        token=Token(said("token").last) if said("token").values else None,
        proxies=Proxies(
            said("http-proxy").last or None,
            said("https-proxy").last or None,
            said("all-proxy").last or None,
            said("no-proxy").values,
        ),
        ca_bundle=_ca_bundle(said("ca-bundle")),
    )


def _hub_and_mirrors(endpoint: _Said, mirrors: _Said) -> tuple[str, tuple[str, ...]]:
    """The hub's URL, and the mirrors that come before it.

    A known public mirror that was given as the endpoint (``HF_ENDPOINT=https://hf-mirror.com``, as
    its own page advises) is a mirror in front of huggingface.co. Why so: an endpoint is the hub, and
    the hub gets the token, decides what a revision is and stands in ``origin``. Nobody who follows
    that advice means to hand a stranger these rights.
    """
    before = _endpoints(mirrors)
    url = parse_endpoint(endpoint.last, endpoint.name or "--endpoint")
    host = urlsplit(url).hostname or ""
    if host in _HUB_NAMES:
        return HUB_URL, before
    if host in KNOWN_MIRRORS:
        return HUB_URL, _unique((*before, url))
    return url, before


def _endpoints(said: _Said) -> tuple[str, ...]:
    return _unique(tuple(parse_endpoint(value, said.name) for value in said.values))


def _unique(urls: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(urls))


def endpoints_of(settings: Settings, site: str | None = None) -> tuple[Endpoint, ...]:
    """Whom to ask, in order: the mirrors, the site of a pasted page, the hub.

    A page of huggingface.co only names a repo, also for users of another hub: it adds nobody.

    Raises:
        BadOption: ``--only-mirrors`` leaves nobody to ask.
    """
    hub = Endpoint(settings.endpoint, EndpointKind.HUB, _rule(settings.endpoint))
    urls = list(settings.mirrors)
    if site is not None and urlsplit(site).hostname not in _HUB_NAMES:
        urls.append(parse_endpoint(site, "REPO"))
    trusted = {origin_of(url) for url in settings.trusted}
    mirrors = tuple(
        Endpoint(url, token_rule=_rule(url) if origin_of(url) in trusted else TokenRule.NEVER)
        for url in _unique(tuple(urls))
        if url != hub.url
    )
    if not settings.only_mirrors:
        return (*mirrors, hub)
    if not mirrors:
        raise BadOption("--only-mirrors", "", "no --mirror is given")
    return mirrors


def _rule(url: str) -> TokenRule:
    """A token goes where nobody on the way can read it."""
    safe = urlsplit(url).scheme == "https" or is_loopback(url)
    return TokenRule.SEND if safe else TokenRule.NEVER


def narrowed(settings: Settings, spec: RepoSpec) -> Settings:
    """``settings`` that fetch only the file or folder that ``spec`` names, if it names one.

    Raises:
        BadOption: ``--include`` was given as well.
    """
    if spec.file is None:
        return settings
    if settings.include:
        raise BadOption("--include", settings.include[0], f"REPO names {spec.file} already")
    return replace(settings, include=(escape(spec.file),))


# --- one value each ----------------------------------------------------------------------------


def _positive_duration(said: _Said) -> float:
    seconds = parse_duration(said.last, said.name)
    if seconds <= 0:
        raise BadOption(said.name, said.last, "it must be more than 0")
    return seconds


def _connections(said: _Said) -> int:
    text = said.last.strip()
    if not re.fullmatch(r"[0-9]{1,9}", text) or not 1 <= int(text) <= MAX_CONNECTIONS:
        raise BadOption(said.name, said.last, f"write a number from 1 to {MAX_CONNECTIONS}")
    return int(text)


def _ca_bundle(said: _Said) -> str | None:
    if said.values and not Path(said.last).exists():
        raise BadOption(said.name, said.last, "there is no such file")
    return said.last or None


def _parse_switch(text: str, option: str) -> bool:
    given = text.strip().lower()
    if given not in ("1", "true", "yes", "on", "0", "false", "no", "off"):
        raise BadOption(option, text, "write 1 or 0")
    return given in ("1", "true", "yes", "on")


_Choice = TypeVar("_Choice", bound=Enum)


def _choice(kind: type[_Choice], said: _Said) -> _Choice:
    try:
        return kind(said.last.strip().lower())
    except ValueError:
        names = ", ".join(str(member.value) for member in kind)
        raise BadOption(said.name, said.last, f"write one of {names}") from None
