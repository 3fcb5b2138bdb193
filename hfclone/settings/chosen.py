"""What a run is told: ``Settings`` and the choices in it. Values alone; ``reading`` makes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from pathlib import Path

from hfclone.hub.endpoint import HUB_URL
from hfclone.hub.known import KNOWN_HUBS, KnownHub
from hfclone.names import CacheLink, History, LfsStore, Taking, Token
from hfclone.settings.measures import Window

__all__ = ["FIRST_ANSWER_SECONDS", "Fetcher", "Progress", "Proxies", "Settings", "Verbosity"]

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
    """Proxies as URLs; ``no_proxy`` are hosts that go without."""

    http: str | None = None
    https: str | None = None
    all: str | None = None
    no_proxy: tuple[str, ...] = ()
    named: str | None = None
    """The user's own word, for everything; the others are then not heard."""

    def by_scheme(self) -> dict[str, str]:
        """The URL for ``http``, ``https`` and, for what has none of its own, ``all``."""
        urls = {"http": self.http, "https": self.https, "all": self.named or self.all}
        return {scheme: url for scheme, url in urls.items() if url}

    @property
    def beyond_http(self) -> bool:
        """Whether any is something else than a proxy of plain http, which is what a URL without a scheme means."""
        return any(not url.startswith("http://") for url in self.by_scheme().values() if "://" in url)


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything the user chose, checked. Endpoints are URLs without a trailing slash; times in seconds."""

    mirrors: tuple[str, ...] = ()
    endpoint: str = HUB_URL
    hubs: tuple[KnownHub, ...] = field(default=KNOWN_HUBS, repr=False)
    """How endpoints speak whose hosts are known; no user says it."""
    only_mirrors: bool = False
    spare_hub: bool = False
    """The hub is asked for objects only where no mirror can be."""
    trusted: tuple[str, ...] = ()
    """Endpoints that may see the token although they are not the hub."""
    fetcher: Fetcher = Fetcher.AUTO
    aria2_rpc: str = ""
    """The JSON-RPC of an aria2 that runs already; empty starts one."""
    aria2_secret: Token | None = field(default=None, repr=False)
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
    reuse: tuple[Path, ...] = ()
    """Where objects are looked for before they are fetched, in this order."""
    reuse_by: Taking = Taking.AUTO
    """How they are taken; never ``MOVE``."""
    cache_dir: str = ""
    """The Hub cache as the user wrote it; empty is its usual place (``hub_cache``)."""
    cache_link: CacheLink = CacheLink.AUTO
    backup: bool = False
    """Whether a user's files that are in the way are moved aside; else they end the run."""
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    quants: tuple[str, ...] = ()
    """Quantisations, in whatever case; none are all."""
    max_size: int | None = None
    """Bytes; a larger object stays a pointer."""
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
