"""Small files of a commit by HTTP, for what git cannot bring over a bad line.

Git's packs cannot be resumed; a file behind a URL can. What comes is accepted by its git id alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from hfclone import errors
from hfclone.endpoints import Endpoint
from hfclone.errors import HfcloneError
from hfclone.http import Answer, Authority, Web, wall_clock
from hfclone.hub import authority_for, explain
from hfclone.locked import git_id
from hfclone.names import Pin
from hfclone.ranges import parse_content_range
from hfclone.wording import phrase

__all__ = ["HttpBlobs"]

MAX_BLOB_BYTES = 256 * 1024 * 1024
"""The hub wants everything above 10 MB in LFS; what is far above comes by git or not at all."""


class HttpBlobs:
    """Fetches blobs of ``pin`` from ``endpoints`` in turn; what has come of one stays for the next call."""

    def __init__(self, pin: Pin, endpoints: Sequence[Endpoint], web: Web, authorities: Sequence[Authority]) -> None:
        self._pin = pin
        self._endpoints = endpoints
        self._web = web
        self._authorities = authorities
        self._begun: dict[str, bytearray] = {}

    def fetch(self, path: bytes, oid: str) -> bytes:
        """The blob ``oid`` that stands at ``path``.

        Raises:
            HfcloneError: the last endpoint's failure.
        """
        failure: HfcloneError = errors.ObjectMissing(oid, "nobody")
        for endpoint in (each for each in self._endpoints if each.has_hub_paths):
            # /raw/ is what git stores, also for a pointer; not every mirror has it.
            for url in (endpoint.blob_url(self._pin, path), endpoint.file_url(self._pin, path)):
                try:
                    return self._web.exchange(str(endpoint), partial(self._fetch_from, endpoint, url, oid))
                except HfcloneError as error:
                    failure = error
        raise failure

    def _fetch_from(self, endpoint: Endpoint, url: str, oid: str) -> bytes:
        """The blob from one URL, going on where the connection broke, for as long as bytes come."""
        data = self._begun.setdefault(url, bytearray())
        while True:
            before = len(data)
            try:
                self._receive(endpoint, url, data, oid)
                break
            except errors.Truncated:
                if len(data) <= before:  # who begins anew each time may be cut at another byte for ever
                    raise
        del self._begun[url]
        blob = bytes(data)
        if git_id("blob", blob) != oid:
            raise errors.NotTheObject(str(endpoint), phrase("not-blob", oid=oid))
        return blob

    def _receive(self, endpoint: Endpoint, url: str, data: bytearray, oid: str) -> None:
        authority = authority_for(endpoint, self._authorities)
        headers = {"Range": f"bytes={len(data)}-"} if data else {}
        with self._web.get(url, label=str(endpoint), headers=headers, authority=authority) as answer:
            self._check(answer, endpoint, data, authority, oid)
            want = answer.length
            for chunk in answer.chunks(MAX_BLOB_BYTES - len(data)):
                data += chunk
                want = None if want is None else want - len(chunk)
        if want:
            raise errors.Truncated(str(endpoint), len(data), len(data) + want)

    def _check(
        self, answer: Answer, endpoint: Endpoint, data: bytearray, authority: Authority | None, oid: str
    ) -> None:
        """Make sure that the body goes on where ``data`` ends."""
        if answer.status == 206:
            given = parse_content_range(answer.headers.get("Content-Range", ""))
            if given is None or given.start != len(data):
                data.clear()
                raise errors.RangeRefused(str(endpoint), phrase("the-rest"), phrase("other-range"))
        elif answer.status == 200:
            data.clear()
        elif answer.status in (404, 410):
            raise errors.ObjectMissing(oid, str(endpoint))
        elif answer.status >= 500:
            raise errors.ServerFault(str(endpoint), answer.status, answer.retry_after(wall_clock()))
        else:
            raise explain(answer, endpoint, self._pin.repo, self._pin.commit, authority)
