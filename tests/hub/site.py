"""What a hub and its mirrors share: hosted repos, tokens, the clock, signed URLs and the manners of a front."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import time
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import parse_qsl, quote, urlencode

from .messages import Request, Response, text
from .repos import LivingRepo

RepoType = Literal["model", "dataset", "space"]
PREFIX: dict[str, str] = {"model": "", "dataset": "datasets/", "space": "spaces/"}


class Clock:
    """The hub's time, in seconds since the epoch; a test moves it on instead of sleeping."""

    def __init__(self) -> None:
        """Start at the real time."""
        self._ahead = 0.0

    def now(self) -> float:
        """Return the hub's present."""
        return time.time() + self._ahead

    def advance(self, seconds: float) -> None:
        """Move the hub's present on."""
        self._ahead += seconds


@dataclass(slots=True)
class Hosted:
    """A repo as the hub offers it.

    ``members`` are the tokens that see it if private, ``approved`` those let in by a gate.
    """

    repo_id: str
    repo_type: RepoType
    repo: LivingRepo
    private: bool = False
    members: set[str] = field(default_factory=set)
    gated: Literal["auto", "manual"] | None = None
    approved: set[str] = field(default_factory=set)
    disabled: bool = False
    object_base: str | None = (
        None  # URL of a folder served elsewhere (`nginx`) that signed URLs lead to; None is the CDN
    )

    @property
    def key(self) -> str:
        """A name for the repo in CDN paths."""
        return hashlib.sha256(f"{self.repo_type}/{self.repo_id}".encode()).hexdigest()[:24]


@dataclass(slots=True)
class Manners:
    """How a front behaves. The defaults are huggingface.co's; see `mirror` for sets seen on mirrors."""

    git: bool = True
    protocol_v2: bool = True
    allow_filter: bool = True
    allow_any_sha: bool = True
    batch: bool = True
    batch_limit: int = 1000  # objects in a call before 413
    batch_expires_in: int | None = 3600  # seconds; None leaves the field out
    batch_header: dict[str, str] = field(default_factory=dict)  # given with each action; the CDN then insists on them
    resolve_bytes: bool = False  # LFS files by 200 or 206, not by 302
    resolve_cache: bool = True  # regular files by 307 to /api/resolve-cache
    content_length: bool = True  # False: bodies of resolve come chunked
    quoted_etag: bool = True
    slash_revisions: bool = True
    short_shas: bool = False
    page_size: int = 1000
    link_origin: str | None = None  # origin that Link next names; None is the hub's own
    own_cdn: bool = False  # LFS redirects lead to a CDN of this front's own (read when the front starts)
    redirect_all: str | None = None  # origin that gets every request by 308
    blobs: bool = True  # whether ?blobs=true is heard


class Site:
    """The repos of one hub; every front (hub, mirrors) and the CDN look here."""

    def __init__(self) -> None:
        """Start empty, with a secret of its own for signatures."""
        self.tokens: set[str] = set()
        self.clock = Clock()
        self.url_lifetime: float = 3600.0  # seconds a signed URL is good for
        self.cdn_url = ""
        self.hub_url = ""
        self.cdn_head = True
        self._hosted: dict[tuple[str, str], Hosted] = {}
        self._renamed: dict[tuple[str, str], str] = {}
        self._secret = secrets.token_bytes(32)
        self._lock = threading.Lock()

    def add(self, hosted: Hosted) -> Hosted:
        """Offer a repo."""
        with self._lock:
            self._hosted[hosted.repo_type, hosted.repo_id] = hosted
        return hosted

    def rename(self, old: str, new: str, repo_type: str = "model") -> None:
        """Redirect an old id to a repo; if ``old`` is hosted it moves."""
        with self._lock:
            hosted = self._hosted.pop((repo_type, old), None)
            if hosted is not None:
                hosted.repo_id = new
                self._hosted[repo_type, new] = hosted
            self._renamed[repo_type, old] = new

    def remove(self, repo_id: str, repo_type: str = "model") -> None:
        """Stop offering a repo."""
        with self._lock:
            del self._hosted[repo_type, repo_id]

    def find(self, repo_type: str, repo_id: str) -> Hosted | None:
        """Return a repo by its present id."""
        with self._lock:
            return self._hosted.get((repo_type, repo_id))

    def renamed(self, repo_type: str, repo_id: str) -> str | None:
        """Return the present id of a repo that had this one."""
        with self._lock:
            return self._renamed.get((repo_type, repo_id))

    def by_key(self, key: str) -> Hosted | None:
        """Return the repo that a CDN path means."""
        with self._lock:
            return next((hosted for hosted in self._hosted.values() if hosted.key == key), None)

    def sign(self, hosted: Hosted, oid: str, *, origin: str, filename: str = "", headers: str = "") -> str:
        """Make a CDN URL that is good until the lifetime is over; ``headers`` are those that the CDN will insist on."""
        expires = str(int(self.clock.now() + self.url_lifetime))
        path = f"/repos/{hosted.key[:2]}/{hosted.key}/{oid}"
        fields = {"Expires": expires, "Key-Pair-Id": "KTESTHUB"}
        if filename:
            fields["response-content-disposition"] = f"inline; filename*=UTF-8''{quote(filename)}"
        if headers:
            fields["need"] = headers
        fields["Signature"] = self._signature(path, fields)
        if hosted.object_base is not None:
            return f"{hosted.object_base}/{oid}?{urlencode(fields)}"
        return f"{origin}{path}?{urlencode(fields)}"

    def refusal(self, request: Request) -> Response | None:
        """Return the CDN's 403 for a signature that is wrong or over; ``None`` if it is good."""
        fields = dict(parse_qsl(request.query, keep_blank_values=True))
        given = fields.pop("Signature", "")
        if not hmac.compare_digest(given, self._signature(request.path, fields)):
            return _denied("SignatureDoesNotMatch")
        if int(fields["Expires"]) < self.clock.now():
            return _denied("Request has expired")
        if any(name not in request.headers for name in fields.get("need", "").split()):
            return _denied("a header that was signed is missing")
        return None

    def _signature(self, path: str, fields: dict[str, str]) -> str:
        message = "\n".join([path, *(f"{name}={fields[name]}" for name in sorted(fields))])
        return hmac.new(self._secret, message.encode(), hashlib.sha256).hexdigest()


def _denied(why: str) -> Response:
    body = f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>AccessDenied</Code><Message>{why}</Message></Error>'
    return text(403, body, {"Content-Type": "application/xml"})
