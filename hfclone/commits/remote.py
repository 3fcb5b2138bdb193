"""The git of one endpoint, asked for what belongs to one commit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from hfclone.endpoints import Endpoint
from hfclone.errors import GitFailed, HfcloneError, IntegrityError, RemoteError, TransferError
from hfclone.events import OnEvent, Working
from hfclone.git import Fetch, GitRepo, fetch, ls_remote, redirects, translate
from hfclone.names import Pin
from hfclone.wording import phrase

__all__ = ["ALL_BUT_LARGE", "NO_BLOBS", "Remote", "is_theirs"]

ALL_BUT_LARGE = "blob:limit=1m"
"""Filter of a fetch. Blobs above this come by ranged HTTP: a cut costs a range of theirs, not all."""
NO_BLOBS = "blob:none"


@dataclass
class Remote:
    """Fetches ``pin``'s commit, or parts of it, into ``repo``. Git's failures become ours."""

    repo: GitRepo
    pin: Pin
    endpoint: Endpoint
    probe: Callable[[str], str]
    """Where a URL redirects to: git is not let follow."""
    on_event: OnEvent
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
            return ls_remote(self.repo, self.url)
        except GitFailed as error:
            raise translate(error, self.endpoint, self.pin) from error

    def _fetch(self, what: Fetch) -> None:
        fetch(self.repo, self.url, what, lambda done, total: self.on_event(Working(phrase("git"), done, total)))


def is_theirs(error: HfcloneError) -> bool:
    """Whether another endpoint may do better."""
    return isinstance(error, RemoteError | TransferError | IntegrityError)
