"""The hub: a front and a CDN on two ports, and mirrors in front of the same repos."""

from __future__ import annotations

import dataclasses
import itertools
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from .access import admit, page_not_found
from .api import serve_api, serve_general
from .batch import serve_batch
from .faults import Faults
from .git_http import serve_git
from .limits import Limits
from .log import Log
from .messages import Request, Response, redirect
from .repos import Files, LivingRepo
from .resolve import serve_cache, serve_cdn, serve_file
from .routes import route
from .site import Hosted, Manners, RepoType, Site
from .wire import LOOPBACK, Listener, Outage

if TYPE_CHECKING:
    from typing_extensions import Self  # Python 3.10 has it nowhere else

EXPOSED = (
    "X-Repo-Commit,X-Request-Id,X-Error-Code,X-Error-Message,X-Total-Count,ETag,Link,Accept-Ranges,Content-Range,"
    "X-Linked-Size,X-Linked-ETag,X-Xet-Hash"
)
SEND_BUFFER = 64 * 1024
Addresses = tuple[str, str]
"""Of a front and its CDN."""
LOCAL: Addresses = (LOOPBACK, LOOPBACK)


class Front:
    """A port that speaks the hub's language in its own manner: the hub itself, or a mirror of it."""

    def __init__(
        self, name: str, site: Site, log: Log, manners: Manners, send_buffer: int | None, addresses: Addresses = LOCAL
    ) -> None:
        """Listen at once, at the first of ``addresses``; the CDN at the second."""
        self.name, self.site, self.log, self.manners = name, site, log, manners
        self.faults = Faults()
        self.limits = Limits(site.clock)
        self._ids = itertools.count(1)
        own, cdn = addresses
        self.listener = Listener(name, self._answer, classify, log, send_buffer=send_buffer, address=own)
        self.cdn: Listener | None = None
        self.cdn_alias = ""
        """The CDN's URL as its redirects name it, where that is not its port on 127.0.0.1."""
        if manners.own_cdn:
            cdn_name = "cdn" if name == "hub" else f"{name}-cdn"
            self.cdn = Listener(cdn_name, self._answer_cdn, classify_cdn, log, send_buffer=send_buffer, address=cdn)

    @property
    def url(self) -> str:
        """The endpoint, as for HF_ENDPOINT."""
        return self.listener.url

    def close(self) -> None:
        """Stop; whatever a fault holds is let go."""
        self.faults.clear()
        for listener in self.listeners():
            listener.close()

    def listeners(self) -> list[Listener]:
        """Return its ports: its own, and its CDN's if it has one."""
        return [self.listener] if self.cdn is None else [self.listener, self.cdn]

    def down(self, how: Outage = Outage.REFUSE, *, only: str | None = None) -> None:
        """Take the ports away (or the one of that name), connections included, until `up`."""
        for listener in self.listeners():
            if only in (None, listener.name):
                listener.down(how)

    def up(self) -> None:
        """Bring the ports back."""
        for listener in self.listeners():
            listener.up()

    def _answer(self, request: Request) -> Response:
        limits, refused = self.limits.count(request)
        response = refused or self.faults.around(request, self._serve)
        if response.bare:
            return response
        common = {
            "X-Request-Id": f"Root=1-{self.name}-{next(self._ids)}",
            "Access-Control-Expose-Headers": EXPOSED,
            "X-Powered-By": "huggingface-moon",
            **limits,
        }
        response.headers = {**common, **response.headers}
        return response

    def _serve(self, request: Request) -> Response:
        if self.manners.redirect_all is not None:
            return redirect(308, self.manners.redirect_all + request.target)
        found = route(request.path)
        if found.kind == "other" or not getattr(self.manners, found.kind, True):
            return page_not_found()
        if found.kind == "api" and not found.repo_id:
            return serve_general(request, found, self.site)
        hosted = admit(self.site, request, found)
        if isinstance(hosted, Response):
            return hosted
        match found.kind:
            case "git":
                return serve_git(request, found, hosted, self.manners)
            case "batch":
                return serve_batch(request, hosted, self.site, self.manners, self._cdn_url)
            case "cache":
                return serve_cache(request, found, hosted, self.manners)
            case "api":
                return serve_api(request, found, hosted, self.site, self.manners)
            case _:
                return serve_file(request, found, hosted, self.site, self.manners, self._cdn_url)

    @property
    def _cdn_url(self) -> str:
        return self.cdn_alias or (self.site.cdn_url if self.cdn is None else self.cdn.url)

    def _answer_cdn(self, request: Request) -> Response:
        response = self.faults.around(request, lambda wanted: serve_cdn(wanted, self.site))
        if not response.bare:
            response.headers = {"Server": "CloudFront", "X-Amz-Cf-Id": "test-hub", **response.headers}
        return response


class Hub:
    """A whole hub on this machine: ``url`` for clients, ``cdn_url`` where LFS redirects lead, ``log``, ``faults``.

    Faults are for both ports; say ``on="hub"`` or ``on="cdn"`` (or a kind) to mean one. A context manager.
    """

    def __init__(
        self,
        folder: Path | None = None,
        *,
        manners: Manners | None = None,
        send_buffer: int | None = SEND_BUFFER,
        addresses: Addresses = LOCAL,
    ) -> None:
        """Listen at once. Repos made by `repo` go below ``folder`` (a temporary one if not given).

        ``addresses`` are the hub's own and its CDN's.
        """
        self._temporary = tempfile.TemporaryDirectory(prefix="hub-") if folder is None else None
        self.folder = folder or Path(self._temporary.name if self._temporary else "")
        self._send_buffer = send_buffer
        self._numbers = itertools.count(1)
        self._repos: list[LivingRepo] = []
        self.site, self.log = Site(), Log()
        manners = dataclasses.replace(manners or Manners(), own_cdn=True)
        self.front = Front("hub", self.site, self.log, manners, send_buffer, addresses)
        self.manners, self.faults, self.limits = self.front.manners, self.front.faults, self.front.limits
        self.mirrors: list[Front] = []
        self.site.hub_url = self.front.url
        self.site.cdn_url = self.front.cdn.url if self.front.cdn else ""

    @property
    def url(self) -> str:
        """The endpoint, as for HF_ENDPOINT."""
        return self.front.url

    @property
    def cdn_url(self) -> str:
        """The CDN's origin."""
        return self.site.cdn_url

    @property
    def cdn_port(self) -> int:
        """The CDN's port."""
        return self.front.cdn.port if self.front.cdn else 0

    @property
    def tokens(self) -> set[str]:
        """The tokens that are valid."""
        return self.site.tokens

    def add(
        self,
        repo_id: str,
        repo: LivingRepo,
        *,
        repo_type: RepoType = "model",
        private: bool = False,
        gated: Literal["auto", "manual"] | None = None,
    ) -> Hosted:
        """Offer a repo; more can be set on what is returned (``members``, ``approved``, ``disabled``)."""
        self._repos.append(repo)
        return self.site.add(Hosted(repo_id, repo_type, repo, private=private, gated=gated))

    def repo(self, repo_id: str, files: Files, *, repo_type: RepoType = "model") -> LivingRepo:
        """Make a repo with a first commit and offer it."""
        repo = LivingRepo(self.folder / f"repo-{next(self._numbers)}", files)
        self.add(repo_id, repo, repo_type=repo_type)
        return repo

    def mirror(self, name: str = "mirror", manners: Manners | None = None, addresses: Addresses = LOCAL) -> Front:
        """Start another front on the same repos, with faults of its own."""
        front = Front(name, self.site, self.log, manners or Manners(), self._send_buffer, addresses)
        self.mirrors.append(front)
        return front

    def down(self, how: Outage = Outage.REFUSE, *, only: str | None = None) -> None:
        """Take both ports away (or ``only`` "hub" or "cdn"), connections included, until `up`."""
        self.front.down(how, only=only)

    def up(self) -> None:
        """Bring the ports back."""
        self.front.up()

    def close(self) -> None:
        """Stop all fronts and remove what was temporary."""
        for front in (self.front, *self.mirrors):
            front.close()
        for repo in self._repos:
            repo.close()
        if self._temporary is not None:
            self._temporary.cleanup()

    def __enter__(self) -> Self:
        """Listening already."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()


def classify(path: str) -> tuple[str, str]:
    """Return a path's kind on a front."""
    return route(path).kind, ""


def classify_cdn(path: str) -> tuple[str, str]:
    """Return a path's kind and object on the CDN."""
    return "cdn", path.rpartition("/")[2]
