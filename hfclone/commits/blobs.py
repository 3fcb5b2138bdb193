"""Small files of a commit by HTTP, for what git cannot bring over a bad line.

Git's packs cannot be resumed; a file behind a URL can. What comes is accepted by its git id alone.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial

from hfclone import errors
from hfclone.errors import HfcloneError
from hfclone.http import SLOWEST, Answer, Authority, Web, wall_clock
from hfclone.hub.client import authority_for, explain
from hfclone.hub.endpoint import Endpoint
from hfclone.lock.model import git_id
from hfclone.names import Pin
from hfclone.ranges import parse_content_range
from hfclone.wording import phrase

__all__ = ["HttpBlobs"]

MAX_BLOB_BYTES = 256 * 1024 * 1024
"""The hub wants everything above 10 MB in LFS; what is far above comes by git or not at all."""
BRISK = 16 * 1024
"""Bytes a second of a file where others can be asked for it; where nobody is so fast, ``SLOWEST`` will do."""


class HttpBlobs:
    """Fetches blobs of ``pin`` from ``endpoints`` in turn; what has come of one stays for the next call."""

    def __init__(self, pin: Pin, endpoints: Sequence[Endpoint], web: Web, authorities: Sequence[Authority]) -> None:
        self._pin = pin
        self._endpoints = [endpoint for endpoint in endpoints if endpoint.site.files is not None]
        self._web = web
        self._authorities = authorities
        self._begun: dict[str, bytearray] = {}
        self._failing: set[Endpoint] = set()
        """Who sent nothing of the file that it was last asked for."""
        self._slow = False
        """Nobody is brisk: the line itself is slow."""

    def fetch(self, path: bytes, oid: str) -> bytes:
        """The blob ``oid`` that stands at ``path``.

        Raises:
            HfcloneError: the last endpoint's failure.
        """
        failures: dict[Endpoint, HfcloneError] = {}
        for slowest in (SLOWEST,) if self._slow or len(self._endpoints) < 2 else (BRISK, SLOWEST):
            for endpoint in sorted(self._endpoints, key=lambda each: self._place_of(each, path)):
                try:
                    blob = self._fetch_by(endpoint, path, oid, slowest)
                except HfcloneError as error:
                    failures[endpoint] = error
                    self._failing |= {endpoint} if isinstance(error, errors.TransferError) else set()
                else:
                    self._slow = self._slow or slowest < BRISK
                    self._failing.discard(endpoint)
                    return blob
            if not any(isinstance(failure, errors.TooSlow) for failure in failures.values()):
                break
        raise failures[self._endpoints[-1]] if failures else errors.ObjectMissing(oid, "nobody")

    def _place_of(self, endpoint: Endpoint, path: bytes) -> tuple[bool, int]:
        """Who failed last goes last, else each file would wait for him; who has sent most of this one goes first."""
        begun = max(len(self._begun.get(url, b"")) for url in self._urls(endpoint, path))
        return endpoint in self._failing, -begun

    def _fetch_by(self, endpoint: Endpoint, path: bytes, oid: str, slowest: float) -> bytes:
        """The blob from one endpoint. Raises HfcloneError."""
        failure: HfcloneError = errors.ObjectMissing(oid, str(endpoint))
        for url in self._urls(endpoint, path):
            try:
                return self._web.exchange(str(endpoint), partial(self._fetch_from, endpoint, url, oid, slowest))
            except HfcloneError as error:
                failure = error
                if isinstance(error, errors.TooSlow):  # by its other URL it is, too
                    break
        raise failure

    def _urls(self, endpoint: Endpoint, path: bytes) -> Sequence[str]:
        files = endpoint.site.files
        return files.blob_urls(endpoint.url, self._pin, path) if files else ()

    def _fetch_from(self, endpoint: Endpoint, url: str, oid: str, slowest: float) -> bytes:
        """The blob from one URL, going on where the connection broke, for as long as enough bytes come."""
        data = self._begun.setdefault(url, bytearray())
        began, had, silence = time.monotonic(), len(data), self._web.limits.silence
        while True:
            before = len(data)
            try:
                self._receive(endpoint, url, data, oid, slowest)
                break
            except errors.Truncated:
                if len(data) <= before:  # who begins anew each time may be cut at another byte for ever
                    raise
                seconds, got = time.monotonic() - began, len(data) - had
                if seconds > silence + got / slowest:
                    raise errors.TooSlow(str(endpoint), seconds, got) from None
        del self._begun[url]
        blob = bytes(data)
        if git_id("blob", blob) != oid:
            raise errors.NotTheObject(str(endpoint), phrase("not-blob", oid=oid))
        return blob

    def _receive(self, endpoint: Endpoint, url: str, data: bytearray, oid: str, slowest: float) -> None:
        authority = authority_for(endpoint, self._authorities)
        headers = {"Range": f"bytes={len(data)}-"} if data else {}
        with self._web.get(url, label=str(endpoint), headers=headers, authority=authority) as answer:
            self._check(answer, endpoint, data, authority, oid)
            want = answer.length
            for chunk in answer.steadily(MAX_BLOB_BYTES - len(data), slowest):
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
