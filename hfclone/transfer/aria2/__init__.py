"""The same work through aria2c, for those who provenance it with the night.

We resolve, it transfers, we verify. It is handed signed URLs only, over its RPC: a secret in argv is
for everyone on the machine to read, and aria2 sends an Authorization header along every redirect.
It writes into our own partials: it is told by its control file what is here, and what it brings is
taken over into the journal. So neither fetcher asks again for what the other has brought. It is a
``Carrier``: it knows no rule.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from hfclone.files.refusals import refused
from hfclone.http import Limits, Web
from hfclone.names import Token
from hfclone.transfer import Wanted
from hfclone.transfer.aria2.downloads import Downloads
from hfclone.transfer.aria2.loads import Aria2Carrier
from hfclone.transfer.aria2.process import Process, limit_writes
from hfclone.transfer.aria2.rpc import Rpc
from hfclone.transfer.carrier import CannotRun, Lost
from hfclone.wording import phrase

__all__ = ["Aria2", "Aria2Daemon"]

_OPTIONS = {
    "user-agent": "hfclone",
    "continue": "true",
    "allow-overwrite": "true",
    "auto-file-renaming": "false",
    "file-allocation": "none",
    "follow-metalink": "false",
    "follow-torrent": "false",
    "metalink-enable-unique-protocol": "false",
    "rpc-save-upload-metadata": "false",
    "no-netrc": "true",
    "http-accept-gzip": "false",
    "connect-timeout": "10",
    "max-tries": "1",
}
"""Of each download."""
RPC_LIMITS = Limits(connect=5.0, silence=20.0)


@dataclass(frozen=True, slots=True)
class Aria2Daemon:
    """A user's own aria2 that runs already. It has to see our files under the same paths."""

    url: str
    secret: Token | None = None


@dataclass(frozen=True, slots=True)
class Aria2:
    """Starts aria2c, or uses one that runs."""

    environment: Mapping[str, str]
    """For the child; holds no token."""
    limit_rate: int | None = None
    """Bytes a second."""
    ca_bundle: str | None = None
    daemon: Aria2Daemon | None = None
    """In place of an aria2c of our own."""
    obstacle: str = ""
    """Why aria2c cannot do it here, whether or not it is installed."""

    @contextmanager
    def start(self, wanted: Wanted) -> Iterator[Aria2Carrier]:
        """See ``StartsCarrier.start``."""
        with ExitStack() as stack:
            carrier = self._begin(wanted, stack)
            stack.callback(carrier.close)
            yield carrier

    def _begin(self, wanted: Wanted, stack: ExitStack) -> Aria2Carrier:
        if self.obstacle:
            raise CannotRun(self.obstacle)
        try:
            wanted.partials.await_writers()
        except OSError as error:
            raise refused(error, wanted.partials.directory) from error
        if self.daemon is not None:
            return Aria2Carrier(self._reach(self.daemon, wanted, stack), self.daemon.url, self.limit_rate)
        program = shutil.which("aria2c", path=self.environment.get("PATH"))
        if program is None:
            raise CannotRun(phrase("not-installed"))
        process = Process(program, self._own_options(), self.environment, wanted.partials.directory)
        stack.callback(process.close)
        limit_writes(process.pid, max(pointer.size for pointer in wanted.objects))
        downloads = Downloads(process.rpc, _OPTIONS)
        try:
            downloads.check()
        except Lost as error:
            raise CannotRun(str(error)) from error
        return Aria2Carrier(downloads, kill=process.kill)

    def _reach(self, daemon: Aria2Daemon, wanted: Wanted, stack: ExitStack) -> Downloads:
        """The user's own; what a killed run left with it is taken back first."""
        web = stack.enter_context(Web(user_agent="hfclone", ca_bundle=self.ca_bundle, limits=RPC_LIMITS))
        downloads = Downloads(Rpc(web, daemon.url, daemon.secret), _OPTIONS)
        try:
            downloads.check()
            here = wanted.partials.directory.absolute()
            downloads.stop(downloads.of_directory(here))
            if not downloads.of_directory(here):
                wanted.partials.end_lending(daemon.url)
        except Lost as error:
            raise CannotRun(phrase("daemon-cannot", url=daemon.url, reason=error)) from error
        return downloads

    def _own_options(self) -> dict[str, str]:
        """Of an aria2c of our own, as a whole."""
        options = {
            "follow-metalink": "false",
            "follow-torrent": "false",
            "disk-cache": "0",
            "auto-save-interval": "1",
            "max-concurrent-downloads": "1000",
            "max-download-result": "10000",
            "max-overall-download-limit": str(self.limit_rate or 0),
            "enable-dht": "false",
            "quiet": "true",
        }
        if self.ca_bundle:
            options["ca-certificate"] = self.ca_bundle
        return options
