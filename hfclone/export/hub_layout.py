"""Where huggingface_hub looks for a repo's files, in its cache and in a ``local_dir``, and its two small file formats.

Known from its version 2.4 (``file_download``, ``_tree_cache``, ``_local_folder``).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from hfclone.export.holdings import Holding
from hfclone.names import Repo

__all__ = ["CACHEDIR_TAG", "LOCAL_STATE", "CacheLayout", "metadata_text", "tree_text"]

CACHEDIR_TAG = (
    b"Signature: 8a477f597d28d172789f06886806bc55\n# A cache: backups may leave it out. https://bford.info/cachedir/\n"
)
LOCAL_STATE = b".cache/huggingface"
"""Below a ``local_dir``: what huggingface_hub notes of it."""


@dataclass(frozen=True, slots=True)
class CacheLayout:
    """The places of ``repo`` in the cache at ``root``."""

    root: Path
    repo: Repo

    @property
    def folder(self) -> Path:
        """All that is kept of the repo."""
        return self.root / "--".join([f"{self.repo.repo_type.value}s", *self.repo.repo_id.split("/")])

    @property
    def blobs(self) -> Path:
        """Contents by etag."""
        return self.folder / "blobs"

    def snapshot(self, commit: str) -> Path:
        """The files of a commit by path, each a link into ``blobs``."""
        return self.folder / "snapshots" / commit

    def ref(self, revision: str) -> Path:
        """Holds the commit that a branch or tag is: 40 digits and not even a newline."""
        return self.folder / "refs" / revision

    def tree(self, commit: str) -> Path:
        """``tree_text`` of a commit."""
        return self.folder / "trees" / f"{commit}.json"


def tree_text(files: Iterable[Holding]) -> bytes:
    """A commit's listing. By it huggingface_hub knows offline whether a snapshot is complete."""
    listed = {os.fsdecode(one.path): _listed(one) for one in sorted(files, key=lambda one: os.fsdecode(one.path))}
    return json.dumps({"format_version": 1, "files": listed}, indent=1).encode("ascii")


def metadata_text(commit: str, etag: str, seconds: float) -> bytes:
    """The note on one file of a ``local_dir``: good for as long as the file's mtime is not younger than ``seconds``."""
    return f"{commit}\n{etag}\n{seconds}\n".encode("ascii")


def _listed(one: Holding) -> dict[str, object]:
    listed: dict[str, object] = {"size": one.size, "blob_id": one.blob_id}
    if one.pointer is not None:
        listed |= {"lfs_sha256": one.pointer.oid, "lfs_size": one.pointer.size}
    return listed
