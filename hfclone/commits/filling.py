"""The blobs that a commit lacks: many by git in batches, few or large ones by HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from hfclone.commits.remote import NO_BLOBS, GitEndpoint, is_theirs
from hfclone.errors import BadTree, HfcloneError, ObjectMissing, RateLimited, RevisionNotFound, TransferError
from hfclone.events import Working
from hfclone.git import Fetch
from hfclone.wording import phrase

__all__ = ["BlobSource", "Filling"]

_BATCH = 256


class BlobSource(Protocol):
    """Fetches a small file of the pinned commit by HTTP, resumably, from whoever works."""

    def fetch(self, path: bytes, oid: str) -> bytes:
        """The blob at ``path`` as git stores it; the caller checks it against ``oid``.

        Raises:
            HfcloneError: nobody sends it.
        """
        ...


@dataclass(frozen=True)
class Filling:
    """From ``remote`` in batches, and one by one from ``blobs``."""

    remote: GitEndpoint
    blobs: BlobSource

    def fill(self) -> None:
        """Every blob that is not here yet: many by git in batches, few or large ones by HTTP.

        Raises:
            HfcloneError: the last failure, if some could be had in no way.
        """
        missing = self.remote.repo.missing_blobs(self.remote.pin.commit)
        oids = list(missing)
        numbers = {oid: number for number, oid in enumerate(oids, start=1)}
        failure: HfcloneError | None = None
        for start in range(0, len(oids), _BATCH):
            for batch in self._halving(oids[start : start + _BATCH]):
                for oid in batch:
                    failure = self._single(missing[oid], oid) or failure
                    self.remote.on_event(Working(phrase("small-files"), numbers[oid], len(oids)))
        if failure is not None:
            raise failure

    def _halving(self, oids: list[str]) -> Iterator[list[str]]:
        """Get ``oids`` by git in ever smaller batches; what has to come one by one is yielded."""
        if len(oids) <= 2:
            yield oids
            return
        try:
            self.remote.fetch(Fetch(oids=tuple(oids), filter_spec=NO_BLOBS))
        except (RevisionNotFound, BadTree):
            yield oids  # it gives no single blobs: no batch will do better
        except RateLimited:
            raise
        except TransferError:
            half = len(oids) // 2
            yield from self._halving(oids[:half])
            yield from self._halving(oids[half:])

    def _single(self, path: bytes, oid: str) -> HfcloneError | None:
        """One blob by HTTP, else by git; the failure is returned, so that the others still come."""
        try:
            if self.remote.repo.write_blob(self.blobs.fetch(path, oid)) == oid:
                return None
            failure: HfcloneError = ObjectMissing(oid, str(self.remote.endpoint))
        except HfcloneError as error:
            if not is_theirs(error):
                raise
            failure = error
        try:
            self.remote.fetch(Fetch(oids=(oid,), filter_spec=NO_BLOBS))
        except (TransferError, RevisionNotFound, BadTree) as error:
            return failure if isinstance(error, RevisionNotFound) else error
        return None
