"""Fetching into a repo, of which nothing is left behind but objects and refs."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace

from hfclone.errors import GitEnded, GitFailed
from hfclone.files.ondisk import free_bytes
from hfclone.files.refusals import refused
from hfclone.git.plumbing import GitRepo
from hfclone.git.running import OnProgress
from hfclone.git.translating import is_of_full_disk
from hfclone.git.watching import Ending, FetchLimits, Watch
from hfclone.plan import SPARE_BYTES

__all__ = ["MOST_BYTES", "QUIET_SECONDS", "Fetch", "drop_promisor", "fetch", "is_partial_clone", "ls_remote"]

QUIET_SECONDS = 60.0
MOST_BYTES = 16 * 1024**3
"""Of a commit without its past: more than any repo's files beside its large ones, and less than a night's."""
_REMOTE = "hfclone-fetch"
"""A remote that exists in the environment of one command: no URL of a mirror gets into a file."""


_ON = ("true", "yes", "on", "1")


@dataclass(frozen=True, slots=True)
class Fetch:
    """What one ``git fetch`` asks for. ``depth`` and ``deepen`` in commits; ``oids`` are blobs."""

    refspecs: tuple[str, ...] = ()
    oids: tuple[str, ...] = ()
    depth: int | None = None
    deepen: int | None = None
    unshallow: bool = False
    filter_spec: str | None = None

    @property
    def brings_history(self) -> bool:
        """Whether all of the past is asked for: nobody knows how much that is."""
        return not self.oids and self.depth is None and self.deepen is None

    def options(self) -> list[str]:
        """The command's options for it."""
        named = [("depth", self.depth), ("deepen", self.deepen), ("filter", self.filter_spec)]
        words = [f"--{name}={value}" for name, value in named if value is not None]
        return words + ["--unshallow"] * self.unshallow + ["--stdin"] * bool(self.oids)


def fetch(
    repo: GitRepo,
    url: str,
    what: Fetch,
    on_progress: OnProgress = lambda _done, _total: None,
    *,
    quiet: float = QUIET_SECONDS,
) -> None:
    """Ask ``url`` for ``what``. Leaves no trace of it but objects and refs, and no promisor.

    It is ended where it brings next to nothing for ``quiet`` seconds, or more than this disk or any commit takes.

    Raises:
        GitFailed: in git's words, which ``translate`` understands; GitUnconnected: there is no connection.
    """
    config = [(f"remote.{_REMOTE}.url", url)]
    if what.filter_spec is not None:
        # Git then takes the remote for a promisor that it knows, and writes nothing into the repo's configuration.
        promises = [("promisor", "true"), ("partialclonefilter", what.filter_spec)]
        config += [(f"remote.{_REMOTE}.{name}", value) for name, value in promises]
    if what.oids:
        # As git's own lazy fetch has it: what we have says nothing about single blobs.
        config.append(("fetch.negotiationAlgorithm", "noop"))
    plain = ("--no-tags", "--no-write-fetch-head", "--no-recurse-submodules", "--force")
    stdin = "".join(f"{oid}\n" for oid in what.oids).encode()
    try:
        with _way_to(repo, url) as way, _bounded(repo, what, quiet) as watch:
            repo.speak(
                "fetch", "--progress", *plain, *what.options(), "--", _REMOTE, *what.refspecs,
                stdin=stdin, config=[*config, *way, _low_speed_time(quiet)], on_progress=on_progress, watch=watch,
            )  # fmt: skip
    finally:
        drop_promisor(repo)


def _way_to(repo: GitRepo, url: str) -> AbstractContextManager[Sequence[tuple[str, str]]]:
    return repo.git.way_to(url, {**repo.config.in_force("http."), **repo.config.in_force("url.")})


def _low_speed_time(quiet: float) -> tuple[str, str]:
    """How long libcurl bears a line that is nearly silent: it grows with ``quiet``, or a slow server never answers."""
    return "http.lowSpeedTime", str(max(1, round(quiet / 2)))


@contextmanager
def _bounded(repo: GitRepo, what: Fetch, quiet: float) -> Iterator[Watch]:
    """What ends a fetch that goes too far, and removes what one that fails has left: git does not.

    Raises:
        GitEnded: the pack itself has filled the disk.
    """
    objects = repo.common_dir / "objects"
    try:
        said = free_bytes(objects)
    except OSError as error:
        raise refused(error, objects) from error
    free = sys.maxsize if said is None else said
    watch = Watch(FetchLimits(_most_bytes(what, free), quiet), objects)
    try:
        yield watch
    except GitFailed as error:
        cleared = watch.clear()
        if isinstance(error, GitEnded):
            raise replace(error, free=free) from error
        if is_of_full_disk(error) and cleared >= SPARE_BYTES:
            raise GitEnded("fetch", error.status, error.stderr, "", Ending.TOO_LARGE.value, cleared, free) from error
        raise
    except BaseException:
        watch.clear()
        raise


def _most_bytes(what: Fetch, free: int) -> int:
    """Bytes of disk that a fetch may take. On a disk that is nearly full git itself says when there is no more room."""
    room = free - SPARE_BYTES if free >= 2 * SPARE_BYTES else sys.maxsize
    return room if what.brings_history else min(room, MOST_BYTES)


def drop_promisor(repo: GitRepo) -> None:
    """Make the repo an ordinary one again after a fetch with a filter; never touches a user's promisor."""
    packs = [] if is_partial_clone(repo) else list((repo.common_dir / "objects" / "pack").glob("*.promisor"))
    for pack in packs:
        pack.unlink(missing_ok=True)
    file = repo.common_dir / "config"
    if _REMOTE.encode() not in (file.read_bytes() if file.exists() else b""):
        return
    repo.config.remove_section(f"remote.{_REMOTE}")
    if repo.config.get("extensions.partialclone") == _REMOTE:
        repo.config.unset("extensions.partialclone")
    if not repo.config.in_force("extensions."):
        # Git raises it with a filter, and it says nothing without an extension.
        repo.config.set("core.repositoryformatversion", "0")


def is_partial_clone(repo: GitRepo) -> bool:
    """Whether the user made it one: git has to know then which packs lead to objects that are not here."""
    remotes = (repo.config.get(f"remote.{name}.promisor") for name in repo.config.names("remote") if name != _REMOTE)
    extension = repo.config.get("extensions.partialclone")
    return any((said or "").lower() in _ON for said in remotes) or extension not in (None, _REMOTE)


def ls_remote(repo: GitRepo, url: str, *, quiet: float = QUIET_SECONDS) -> dict[str, str]:
    """What ``url`` advertises: ref to id; a peeled tag's commit under ``<ref>^{}``. Raises as ``fetch``."""
    with _way_to(repo, url) as way:
        config = [(f"remote.{_REMOTE}.url", url), *way, _low_speed_time(quiet)]
        lines = repo.speak("ls-remote", "--quiet", _REMOTE, config=config, timeout=quiet).split(b"\n")
    pairs = (line.decode("utf-8", "replace").split("\t", 1) for line in lines if b"\t" in line)
    return {name: oid for oid, name in pairs}
