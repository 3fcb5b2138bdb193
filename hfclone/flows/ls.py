"""What a repo holds at one commit, without its large objects: git's trees, pointers and small files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from hfclone.events import OnEvent, Working, ignore
from hfclone.flows.bringing import looked_at
from hfclone.flows.tools import Tools
from hfclone.git import GitRepo, TreeEntry, in_batches, pointers_among
from hfclone.lock.model import SUBMODULE_MODE, LockedFile, LockedRepo
from hfclone.names import History, RepoSpec
from hfclone.pointer import Oid, Pointer
from hfclone.selection.select import select
from hfclone.settings import Settings
from hfclone.wording import phrase

__all__ = ["digests_of", "read_repo", "select_files"]


def read_repo(spec: RepoSpec, settings: Settings, on_event: OnEvent = ignore) -> LockedRepo:
    """Every file of ``spec`` at the commit that its revision is now. Leaves nothing on the disk.

    Objects that the settings' patterns leave out are not ``selected``.

    Raises:
        HfcloneError: as ``clone`` until the first large byte.
    """
    tools = Tools.of(replace(settings, history=History.SHALLOW), spec)
    with looked_at(spec, tools, on_event) as (pin, repo):
        raw = repo.run("cat-file", "commit", pin.commit)
        revision = spec.revision or tools.hub.site.default_branch
        return LockedRepo(pin, revision, raw, _files(repo, pin.commit, settings, on_event))


def select_files(files: Iterable[LockedFile], settings: Settings) -> list[LockedFile]:
    """Those that the settings pick, whatever they are."""
    listed = list(files)
    wanted = select({file.path: file.size for file in listed}, settings)
    return [file for file in listed if file.path in wanted]


def _files(repo: GitRepo, commit: str, settings: Settings, on_event: OnEvent) -> tuple[LockedFile, ...]:
    entries = repo.tree_entries(commit)
    pointers, _bad = pointers_among(repo, entries)
    texts = dict(repo.read_blobs(list(dict.fromkeys(e.oid for e in entries if e.path in pointers))))
    small = [e.oid for e in entries if e.mode != SUBMODULE_MODE and e.path not in pointers]
    digests = dict(digests_of(repo, small, on_event))
    wanted = select({path: pointer.size for path, pointer in pointers.items()}, settings)
    rows = (_row(entry, pointers, texts, digests) for entry in entries)
    listed = [row if row.pointer is None or row.path in wanted else replace(row, selected=False) for row in rows]
    return tuple(sorted(listed, key=lambda row: row.path))


def _row(
    entry: TreeEntry,
    pointers: Mapping[bytes, Pointer],
    texts: Mapping[str, bytes],
    digests: Mapping[str, tuple[int, Oid]],
) -> LockedFile:
    pointer = pointers.get(entry.path)
    if pointer is not None:
        return LockedFile(entry.path, entry.mode, entry.oid, pointer.size, pointer.oid, texts[entry.oid])
    size, sha256 = digests.get(entry.oid, (0, Oid("")))
    return LockedFile(entry.path, entry.mode, entry.oid, size, sha256)


def digests_of(repo: GitRepo, oids: Iterable[str], on_event: OnEvent) -> Iterator[tuple[str, tuple[int, Oid]]]:
    """Size and sha256 of blobs that are here."""
    sizes = {oid: size or 0 for oid, size in repo.blob_sizes(oids).items()}
    done = 0
    for batch in in_batches(sizes):
        for oid, data in repo.read_blobs(batch):
            yield oid, (len(data), Oid(hashlib.sha256(data).hexdigest()))
        done += len(batch)
        on_event(Working(phrase("small-files"), done, len(sizes)))
