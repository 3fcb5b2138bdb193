"""The git of one endpoint, asked for what belongs to one commit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from hfclone.errors import GitEnded, GitFailed, HfcloneError, IntegrityError, RemoteError, TransferError
from hfclone.events import OnEvent, Working
from hfclone.git import QUIET_SECONDS, Fetch, GitRepo, fetch, is_stall, is_unconnected, ls_remote, redirects, translate
from hfclone.hub.endpoint import Endpoint
from hfclone.names import Pin
from hfclone.wording import phrase

__all__ = ["ALL_BUT_LARGE", "NO_BLOBS", "Conduct", "GitEndpoint", "is_theirs"]

ALL_BUT_LARGE = "blob:limit=1m"
"""Filter of a fetch. Blobs above this come by ranged HTTP: a cut costs a range of theirs, not all."""
NO_BLOBS = "blob:none"
MOST_DOUBLINGS = 4
"""Of the time in which a fetch may bring next to nothing: a dead connection is not to be waited for all night."""


@dataclass(slots=True)
class Conduct:
    """How the git of each endpoint has behaved in this run; for one thread."""

    quiet: float = QUIET_SECONDS
    """Seconds for which a fetch may bring next to nothing, at first."""
    stalls: Counter[Endpoint] = field(default_factory=Counter)
    """So often one was given up since it brought nothing: it may be slow, and is given twice the time each time."""
    spoilers: set[Endpoint] = field(default_factory=set)
    """Those that sent packs without end: they are not asked again while there are others."""

    def note(self, endpoint: Endpoint, error: GitFailed) -> None:
        """One of its fetches was ended, or failed."""
        if is_stall(error):
            self.stalls[endpoint] = min(self.stalls[endpoint] + 1, MOST_DOUBLINGS)
        elif isinstance(error, GitEnded):
            self.spoilers.add(endpoint)
        elif is_unconnected(error):  # it is not slow, but away
            self.stalls.pop(endpoint, None)


@dataclass
class GitEndpoint:
    """Fetches ``pin``'s commit, or parts of it, into ``repo``. Git's failures become ours."""

    repo: GitRepo
    pin: Pin
    endpoint: Endpoint
    probe: Callable[[str], str]
    """Where a URL redirects to: git is not let follow."""
    on_event: OnEvent
    conduct: Conduct
    url: str = field(init=False)

    def __post_init__(self) -> None:
        self.url = self.endpoint.git_url(self.pin.repo)

    def fetch(self, what: Fetch) -> None:
        """One fetch; where the endpoint redirects, from where it leads to.

        Raises:
            HfcloneError: by kind; GitFailed if it is this machine that cannot.
        """
        try:
            self._fetch(what)
        except GitFailed as error:
            if not redirects(error):
                raise translate(error, self.endpoint, self.pin) from error
            self.url = self.probe(self.url)
            try:
                self._fetch(what)
            except GitFailed as again:
                raise translate(again, self.endpoint, self.pin) from again

    def refs(self) -> dict[str, str]:
        """What it advertises, as ``ls_remote``; raises as ``fetch``."""
        try:
            with self._noted():
                return ls_remote(self.repo, self.url, quiet=self._quiet)
        except GitFailed as error:
            raise translate(error, self.endpoint, self.pin) from error

    def _fetch(self, what: Fetch) -> None:
        label = phrase("git", endpoint=self.endpoint)
        with self._noted():
            fetch(
                self.repo, self.url, what, lambda done, total: self.on_event(Working(label, done, total)),
                quiet=self._quiet,
            )  # fmt: skip

    @property
    def _quiet(self) -> float:
        """Seconds for which it may bring next to nothing."""
        return self.conduct.quiet * 2.0 ** self.conduct.stalls[self.endpoint]

    @contextmanager
    def _noted(self) -> Iterator[None]:
        try:
            yield
        except GitFailed as error:
            self.conduct.note(self.endpoint, error)
            raise


def is_theirs(error: HfcloneError) -> bool:
    """Whether another endpoint may do better."""
    return isinstance(error, RemoteError | TransferError | IntegrityError)
