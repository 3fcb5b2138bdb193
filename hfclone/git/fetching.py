"""Fetching into a repo, of which nothing is left behind but objects and refs."""

from __future__ import annotations

from dataclasses import dataclass

from hfclone.git.plumbing import GitRepo
from hfclone.git.running import OnProgress

__all__ = ["Fetch", "drop_promisor", "fetch", "ls_remote"]

_REMOTE = "hfclone-fetch"
"""A remote that exists in the environment of one command: no URL of a mirror gets into a file."""


@dataclass(frozen=True, slots=True)
class Fetch:
    """What one ``git fetch`` asks for. ``depth`` and ``deepen`` in commits; ``oids`` are blobs."""

    refspecs: tuple[str, ...] = ()
    oids: tuple[str, ...] = ()
    depth: int | None = None
    deepen: int | None = None
    unshallow: bool = False
    filter_spec: str | None = None

    def options(self) -> list[str]:
        """The command's options for it."""
        named = [("depth", self.depth), ("deepen", self.deepen), ("filter", self.filter_spec)]
        words = [f"--{name}={value}" for name, value in named if value is not None]
        return words + ["--unshallow"] * self.unshallow + ["--stdin"] * bool(self.oids)


def fetch(repo: GitRepo, url: str, what: Fetch, on_progress: OnProgress = lambda _done, _total: None) -> None:
    """Ask ``url`` for ``what``. Leaves no trace of it but objects and refs, and no promisor.

    Raises:
        GitFailed: in git's words, which ``translate`` understands.
    """
    config = [(f"remote.{_REMOTE}.url", url)]
    if what.filter_spec is not None:
        # Git then takes the remote for a promisor that it knows, and writes nothing into the repo's configuration.
        promises = [("promisor", "true"), ("partialclonefilter", what.filter_spec)]
        config += [(f"remote.{_REMOTE}.{name}", value) for name, value in promises]
    if what.oids:
        # As git's own lazy fetch has it: what we have says nothing about single blobs.
        config.append(("fetch.negotiationAlgorithm", "noop"))
    quiet = ("--no-tags", "--no-write-fetch-head", "--no-recurse-submodules", "--force")
    stdin = "".join(f"{oid}\n" for oid in what.oids).encode()
    try:
        with repo.git.way_to(url) as way:
            repo.speak(
                "fetch", "--progress", *quiet, *what.options(), _REMOTE, *what.refspecs,
                stdin=stdin, config=[*config, *way], on_progress=on_progress,
            )  # fmt: skip
    finally:
        drop_promisor(repo)


def drop_promisor(repo: GitRepo) -> None:
    """Make the repo an ordinary one again after a fetch with a filter; never touches a user's promisor."""
    for pack in (repo.common_dir / "objects" / "pack").glob("*.promisor"):
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


def ls_remote(repo: GitRepo, url: str) -> dict[str, str]:
    """What ``url`` advertises: ref to id; a peeled tag's commit under ``<ref>^{}``. Raises ``GitFailed``."""
    with repo.git.way_to(url) as way:
        config = [(f"remote.{_REMOTE}.url", url), *way]
        lines = repo.speak("ls-remote", "--quiet", _REMOTE, config=config).split(b"\n")
    pairs = (line.decode("utf-8", "replace").split("\t", 1) for line in lines if b"\t" in line)
    return {name: oid for oid, name in pairs}
