"""Every setting: its option, its environment names, its default.

The command line, the files of settings, ``docs/settings.md``, the manual page and ``hfclone config``
are made from this table; a new setting is a row here, a field of ``Settings`` and a line in ``reading``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from hfclone.hub.endpoint import HUB_URL

__all__ = ["MAX_CONNECTIONS", "SECRETS", "VARIABLES", "Variable", "Where", "variable"]

MAX_CONNECTIONS = 256


class Where(Enum):
    """Which files may say a setting."""

    ANY = "any"
    """The project's and the user's."""
    USER = "user"
    """The user's alone: it decides who is believed, or who sees a secret."""
    NONE = "none"
    """It is a secret, or other programs' variable."""


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
    where: Where = Where.ANY

    @property
    def key(self) -> str:
        """What a file calls it."""
        return self.option.removeprefix("--")


VARIABLES = (
    Variable(
        "HFCLONE_MIRROR", "--mirror", "", "an endpoint asked before the hub, or beside it (repeatable)", many=True
    ),
    Variable("HF_ENDPOINT", "--endpoint", HUB_URL, "the hub itself", where=Where.USER),
    Variable("HFCLONE_ONLY_MIRRORS", "--only-mirrors", "0", "never ask the hub", where=Where.USER),
    Variable("HFCLONE_SPARE_HUB", "--spare-hub", "0", "ask the hub for large files only in need"),
    Variable(
        "HFCLONE_TRUST_MIRROR",
        "--trust-mirror",
        "",
        "a mirror that may see the token (repeatable)",
        many=True,
        where=Where.USER,
    ),
    Variable("HFCLONE_FETCHER", "--fetcher", "auto", "what moves the large objects"),
    Variable(
        "HFCLONE_ARIA2_RPC",
        "--aria2-rpc",
        "",
        "with --fetcher aria2c: a running aria2 of yours, on this file system",
        where=Where.USER,
    ),
    Variable("HFCLONE_CONNECTIONS", "--connections", "64", f"at most so many connections, 1 to {MAX_CONNECTIONS}"),
    Variable("HFCLONE_GIVE_UP_AFTER", "--give-up-after", "24h", "end when no byte came for so long; 0 is never"),
    Variable("HFCLONE_STALL_AFTER", "--stall-after", "20s", "drop a connection that is silent for so long"),
    Variable(
        "HFCLONE_LIMIT_RATE", "--limit-rate", "0", "bytes a second, all connections together (500k, 2M); 0 is no limit"
    ),
    Variable("HFCLONE_WINDOW", "--window", "", "fetch only in this part of the day (23:00-07:00)"),
    Variable("HFCLONE_PROGRESS", "--progress", "auto", "how the run is shown"),
    Variable("", "--history", "shallow", "how much of git's past the checkout holds"),
    Variable("HFCLONE_LFS_STORE", "--lfs-store", "auto", "how .git/lfs/objects is filled beside the work tree"),
    Variable(
        "HFCLONE_REUSE",
        "--reuse",
        "",
        "take objects from there, too: a checkout, a store, any folder; the Hub's cache is always looked at, "
        "but for 'none' (repeatable)",
        many=True,
        where=Where.USER,
    ),
    Variable(
        "HFCLONE_REUSE_BY",
        "--reuse-by",
        "auto",
        "how: 'auto' shares blocks or copies, 'hardlink' shares files, read-only",
        where=Where.USER,
    ),
    Variable(
        "HF_HUB_CACHE HUGGINGFACE_HUB_CACHE", "--cache-dir", "", "the Hub cache, if not HF_HOME/hub", where=Where.USER
    ),
    Variable("HFCLONE_CACHE_LINK", "--cache-link", "auto", "how large files get into the Hub cache"),
    Variable("", "--backup", "0", "move files that are in the way aside, to NAME.hfclone-orig-N"),
    Variable("", "--include", "", "fetch only objects whose path matches (repeatable)", many=True),
    Variable("", "--exclude", "", "leave objects whose path matches as pointers (repeatable)", many=True),
    Variable(
        "",
        "--quant",
        "",
        "the GGUF files of this quantisation (Q4_K_M), all shards, and an mmproj; all else that is large, "
        "imatrix too, stays pointers (repeatable)",
        many=True,
    ),
    Variable("HFCLONE_MAX_SIZE", "--max-size", "", "leave objects larger than this as pointers (500M, 8G)"),
    Variable(
        "HFCLONE_PROXY",
        "--proxy",
        "",
        "the proxy for everything: http, https, socks5 or socks5h (names resolved there)",
        where=Where.USER,
    ),
    Variable(
        "HFCLONE_CONFIG",
        "config-file",
        "",
        "a file of settings, in place of the project's and your own",
        where=Where.NONE,
    ),
    Variable(
        "HF_TOKEN HUGGING_FACE_HUB_TOKEN",
        "token",
        "",
        "the token; else what 'hf auth login' stored",
        where=Where.NONE,
    ),
    Variable(
        "HFCLONE_ARIA2_RPC_SECRET",
        "aria2-rpc-secret",
        "",
        "the RPC secret of your own aria2",
        where=Where.NONE,
    ),
    Variable("http_proxy HTTP_PROXY", "http-proxy", "", "the proxy for http", where=Where.NONE),
    Variable("https_proxy HTTPS_PROXY", "https-proxy", "", "the proxy for https", where=Where.NONE),
    Variable("all_proxy ALL_PROXY", "all-proxy", "", "the proxy for whatever has none of its own", where=Where.NONE),
    Variable(
        "no_proxy NO_PROXY", "no-proxy", "", "hosts that are reached without a proxy", many=True, where=Where.NONE
    ),
    Variable(
        "REQUESTS_CA_BUNDLE CURL_CA_BUNDLE SSL_CERT_FILE",
        "ca-bundle",
        "",
        "certificates to trust, in place of certifi's",
        where=Where.NONE,
    ),
)

SECRETS = frozenset({"token", "aria2-rpc-secret"})
"""Options whose value is never shown."""


def variable(option: str) -> Variable:
    """The row of ``option``."""
    return next(row for row in VARIABLES if row.option == option)
