"""The collaborators of a run, made from what the user chose. Made here and nowhere else."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from random import Random

from hfclone.checkout import Edits
from hfclone.errors import LimitReached, ToolMissing, Unforeseen
from hfclone.events import OnEvent, Waiting, Warned
from hfclone.git import Git, GitCredential, load_git
from hfclone.http import Attendant, Authority, Connections, Limits, Route, Web
from hfclone.hub.endpoint import Endpoint, EndpointKind, TokenRule
from hfclone.hub.huggingface import find_token
from hfclone.limits import start_thread
from hfclone.names import RepoSpec, Token
from hfclone.retry import Clock, Patience
from hfclone.settings import Fetcher, Settings, endpoints_of, hub_of
from hfclone.transfer import NoTransfer, Transfer
from hfclone.transfer.carrier import StartsCarrier
from hfclone.transfer.health import EndpointHealth
from hfclone.wording import phrase

__all__ = ["Tools"]


@dataclass(frozen=True)
class Tools:
    """What a run works with; one for each run, since it remembers who answered."""

    settings: Settings
    endpoints: tuple[Endpoint, ...]
    folder: str = ""
    """Where the repo is on this machine, if it is: then there is no endpoint."""
    clock: Clock = field(default_factory=lambda: Clock(time.monotonic, _interruptible_sleep))
    rng: Random = field(default_factory=Random)

    def __post_init__(self) -> None:
        """A run begins with its tools."""
        _ = self.began

    @cached_property
    def began(self) -> float:
        """Clock time at which the run began."""
        return self.clock.now()

    @classmethod
    def of(cls, settings: Settings, spec: RepoSpec) -> Tools:
        """The tools for ``spec``. Raises BadOption where nobody is left to ask."""
        return cls(settings, endpoints_of(settings, spec.site))

    @cached_property
    def health(self) -> EndpointHealth:
        """What is known of the endpoints."""
        return EndpointHealth(self.endpoints, self.clock.now, self.rng)

    @cached_property
    def patience(self) -> Patience:
        """The rule for going on."""
        return Patience(self.settings.give_up_after, self.settings.first_answer_within, self.clock)

    @cached_property
    def token(self) -> Token | None:
        """The user's token: what was given, else what huggingface_hub finds; looked up if anybody may see it."""
        if all(endpoint.token_rule is TokenRule.NEVER for endpoint in self.endpoints):
            return None
        if self.settings.token:
            found: str | None = self.settings.token.reveal()
        else:
            found = find_token() if self.settings.may_find_token else None
        return Token(found) if found else None

    @cached_property
    def authorities(self) -> tuple[Authority, ...]:
        """The token, and each origin it may go to."""
        if self.token is None:
            return ()
        trusted = [endpoint for endpoint in self.endpoints if endpoint.token_rule is TokenRule.SEND]
        return tuple(Authority(endpoint.url, self.token) for endpoint in trusted)

    @cached_property
    def hub(self) -> Endpoint:
        """The hub itself, also where it is not asked: pages and origins name it."""
        listed = next((e for e in self.endpoints if e.kind is EndpointKind.HUB), None)
        return listed or hub_of(self.settings)

    @property
    def _route(self) -> Route:
        """By which proxies, and whom to trust; for git and for all else."""
        settings = self.settings
        return Route(settings.proxies.by_scheme(), settings.proxies.no_proxy, settings.ca_bundle)

    @cached_property
    def _connections(self) -> Connections:
        """Those of the whole run: to connect anew for each step would cost a round trip each time, or two."""
        return Connections(self._route, Limits(silence=self.settings.stall_after))

    def web(self, on_event: OnEvent | None = None) -> Web:
        """The run's connections for a step; the caller closes it. ``on_event`` hears whom its thread waits for."""
        settings = self.settings
        return Web(
            user_agent=settings.user_agent,
            limits=self._connections.limits,
            connections=self._connections,
            believed=[endpoint.url for endpoint in self.endpoints if endpoint.token_rule is TokenRule.SEND],
            attendant=None if on_event is None else self._attendant(on_event),
        )

    def _attendant(self, on_event: OnEvent) -> Attendant:
        """What tells, while a single call is under way, that somebody is waited for, and what nobody foresaw of him."""

        def on_wait(label: str, seconds: float) -> None:
            on_event(Waiting(seconds, phrase("waiting-for", endpoint=label), self.patience.remaining))

        def on_unforeseen(error: Unforeseen) -> None:
            on_event(Warned("unforeseen", {"endpoint": error.endpoint, "reason": error.reason}))

        return Attendant(on_wait, on_unforeseen)

    def warm_up(self) -> None:
        """Connect, and import what git and the transfer need meanwhile; who needs something sooner waits for it."""
        for endpoint in self.endpoints:
            self._connections.connect_ahead(endpoint.url)
        start_thread(_import_ahead, daemon=False)  # where none is to be had, they are imported when they are needed

    @property
    def edits(self) -> Edits:
        """What becomes of a user's files that are in the way."""
        return Edits.ASIDE if self.settings.backup else Edits.KEPT

    def git(self) -> Git:
        """Git, with the token for those endpoints that may have it."""
        urls = tuple(authority.url for authority in self.authorities)
        credential = GitCredential(urls, self.token) if self.token and urls else None
        settings = self.settings
        return Git(settings.environment, credential=credential, proxy=settings.proxies.named, route=self._route)

    def transfer(self) -> Transfer:
        """The way of moving objects that the user chose."""
        settings = self.settings
        if not self.endpoints:
            return NoTransfer(self.folder)
        from hfclone.transfer.threads import ThreadTransfer

        return ThreadTransfer(
            self.web, self.health, self.patience, self.authorities, self.clock,
            settings.connections, settings.limit_rate, settings.window,
            spares_hub=settings.spare_hub,
            carrier=self._aria2() if settings.fetcher is Fetcher.ARIA2C else None,
        )  # fmt: skip

    def _aria2(self) -> StartsCarrier:
        from hfclone.transfer.aria2 import Aria2, Aria2Daemon

        settings = self.settings
        daemon = Aria2Daemon(settings.aria2_rpc, settings.aria2_secret) if settings.aria2_rpc else None
        return Aria2(
            settings.environment, settings.limit_rate, settings.ca_bundle, daemon, _aria2_obstacle(settings)
        )  # fmt: skip


def _import_ahead() -> None:
    with suppress(ToolMissing, LimitReached):  # told where it is missed
        load_git()
    import hfclone.transfer.threads  # noqa: F401  # for those who come after


def _aria2_obstacle(settings: Settings) -> str:
    """What of the settings aria2c does not know how to do."""
    if settings.proxies.beyond_http:
        return phrase("plain-proxies-alone")
    if settings.ca_bundle and Path(settings.ca_bundle).is_dir():
        return phrase("no-certificate-folder")
    return ""


def _interruptible_sleep(seconds: float) -> None:
    """Sleep so that Ctrl-C is answered at once, on every platform."""
    threading.Event().wait(seconds)
