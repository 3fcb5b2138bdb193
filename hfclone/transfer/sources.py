"""Where the bytes of an object can be had right now: URLs, and how long they live.

Many objects are asked for at once by the LFS batch API, since 5,000 small objects would otherwise
cost 10,000 requests of a limit of 3,000 in five minutes. Where a hub or a mirror has no batch API, the
URL of a file is used, and the signed URL it redirects to is remembered for the next range. A git
host that is none of these has its batch API alone: a no of that is a no for all objects.
"""

from __future__ import annotations

import json
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

from hfclone import errors
from hfclone.errors import HfcloneError
from hfclone.http import AbortHandle, Answer, Authority, Web, wall_clock
from hfclone.http.reach import LONGEST_URL, is_plain_host
from hfclone.hub.client import explain
from hfclone.hub.endpoint import Endpoint, EndpointKind
from hfclone.names import Pin
from hfclone.pointer import Oid, Pointer
from hfclone.transfer.action_headers import action_headers
from hfclone.transfer.batch_errors import is_lfs, of_object, of_request
from hfclone.transfer.health import EndpointHealth
from hfclone.wording import phrase

__all__ = ["Source", "Sources"]

BATCH = "LFS batch"
BATCH_OBJECTS = 100
"""Objects a batch request asks for; the size git-lfs uses."""
BATCH_SECONDS = 5.0
"""A batch answer may take so long to begin, and twice as long each time in a row: everybody waits for it."""
BODY_SHARE = 3
"""So many times longer its body may take: with the addresses of a hundred objects it is large."""
MOST_STALLS = 3
"""So often in a row it may stall; then a hub is asked for each object by itself, a git host for fewer at once."""
_MEDIA_TYPE = "application/vnd.git-lfs+json"
_GIT_TYPE = "application/x-git-upload-pack-advertisement"
_UNKNOWN_LIFE = 900.0
"""Seconds a signed URL is used where its end is not known; the hub's live an hour."""
_LONGEST_LIFE = 7 * 24 * 3600.0
"""No signed URL lives longer (S3's own limit), whatever a server says."""
_PAGE_SECONDS = 30.0
"""Seconds for which a page in place of a batch answer is taken for a lack of the batch API."""
PAGES = 5
"""So often in a row a git host may send something else in place of a batch answer, before it is asked why."""
_MARGIN = 5.0
"""Seconds before its end from which a URL is not used for a new request (git-lfs has the same)."""


@dataclass(frozen=True, slots=True)
class Source:
    """A URL that serves an object. ``dies_at`` is on the run's clock; ``None`` lives as long as the run."""

    endpoint: Endpoint
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    authority: Authority | None = None
    born: float = 0.0
    dies_at: float | None = None
    signed: bool = False

    def usable(self, now: float) -> bool:
        """Whether a request may begin with it: not within ``_MARGIN`` of its end, or a fifth of a short life."""
        if self.dies_at is None:
            return True
        return now < self.dies_at - min(_MARGIN, (self.dies_at - self.born) / 5)


class Sources:
    """The URLs of one pin's objects. Its methods may be called from any thread."""

    def __init__(
        self,
        pin: Pin,
        paths: Mapping[Oid, tuple[bytes, ...]],
        *,
        web: Web,
        health: EndpointHealth,
        authorities: Sequence[Authority],
        now: Callable[[], float],
    ) -> None:
        self._pin = pin
        self._paths = paths
        self._web = web
        self._health = health
        self._authorities = {authority.url: authority for authority in authorities}
        self._now = now
        self._known: dict[Oid, dict[Endpoint, Source | HfcloneError]] = {}
        self._batch_sizes = dict.fromkeys(health.endpoints, BATCH_OBJECTS)
        self._broke_at: dict[Endpoint, float] = {}
        """When a batch request last failed: those who waited for it do not ask again, one after the other."""
        self._stalls: Counter[Endpoint] = Counter()
        """Batch requests in a row that were not answered in time."""
        self._pages: Counter[Endpoint] = Counter()
        """Of a git host, answers in a row that were none of its LFS API."""
        self._served: set[Endpoint] = set()
        """Git hosts that have listed objects in this run."""
        self._asking = {endpoint: threading.Lock() for endpoint in health.endpoints}

    def find(self, pointer: Pointer, endpoint: Endpoint, next_up: Callable[[], Iterable[Pointer]]) -> Source | None:
        """A usable source of ``pointer`` on ``endpoint``; asks the batch API where that is needed.

        ``next_up`` names the objects that will be wanted soon, for the same request. ``None`` where
        the endpoint's limit allows no request now. Use the source within ``asking``.

        Raises:
            ObjectRefused, AccessDenied and other RemoteErrors: the endpoint's answer is no.
            TransferError: it did not answer properly.
        """
        if self._batch_url(endpoint) is None:
            return self._resolve_source(pointer, endpoint)
        began = self._now()
        known = self._usable(pointer, endpoint)
        if known is None:
            with self._asking[endpoint]:  # one request brings what all who wait here need
                known = self._usable(pointer, endpoint)
                while known is None and (url := self._batch_url(endpoint)) is not None:  # again where it was too large
                    if self._broke_at.get(endpoint, began - 1) >= began or not self._health.spend(endpoint):
                        return None
                    self._ask_batch(endpoint, url, self._group(pointer, endpoint, next_up))
                    known = self._known.get(pointer.oid, {}).get(endpoint)  # good for once, however soon it dies
        if isinstance(known, HfcloneError):
            self.forget(pointer, endpoint)
            raise known
        return known or self._resolve_source(pointer, endpoint)

    @contextmanager
    def asking(self, source: Source) -> Iterator[Callable[[Answer], None]]:
        """Around a request to ``source``: tell its answer, so that the endpoint's limit is kept."""
        answers: list[Answer] = []
        try:
            yield answers.append
        finally:
            if not source.signed:
                self._health.spent(source.endpoint, answers[0].quota if answers else None)

    def has_url(self, pointer: Pointer, endpoint: Endpoint) -> bool:
        """Whether a signed URL is at hand, so that the endpoint itself need not be asked."""
        return isinstance(self._usable(pointer, endpoint), Source)

    def settled(self, pointer: Pointer) -> None:
        """The object is done with: its URLs are not needed any more."""
        self._known.pop(pointer.oid, None)

    def expired(self, pointer: Pointer, endpoint: Endpoint) -> None:
        """Its URL has died, and with it those that are no younger: one batch request brings new ones."""
        dead = self._known.get(pointer.oid, {}).get(endpoint)
        born = dead.born if isinstance(dead, Source) else self._now()
        for by_endpoint in list(self._known.values()):
            known = by_endpoint.get(endpoint)
            if isinstance(known, Source) and known.born <= born:
                by_endpoint.pop(endpoint, None)

    def forget(self, pointer: Pointer, endpoint: Endpoint) -> None:
        """Its URL does not work any more."""
        self._known.get(pointer.oid, {}).pop(endpoint, None)

    def learn(self, pointer: Pointer, source: Source, answer: Answer) -> None:
        """Remember where a redirect led: the next range need not ask the endpoint again."""
        if answer.hops and not source.signed:
            now = self._now()
            life = self._web.exchange(answer.label, lambda: _life_of(answer.url, answer.date)) or _UNKNOWN_LIFE
            signed = Source(source.endpoint, answer.url, born=now, dies_at=now + life, signed=True)
            self._know(pointer, source.endpoint, signed)

    def _batch_url(self, endpoint: Endpoint) -> str | None:
        """Where its batch API is; ``None`` where it has none, or is known to lack it for now."""
        return None if self._health.lacks(endpoint, BATCH) else endpoint.site.batch_url(endpoint.url, self._pin.repo)

    def _resolve_source(self, pointer: Pointer, endpoint: Endpoint) -> Source | None:
        """The URL of the file itself, or the signed one that it led to before."""
        known = self._usable(pointer, endpoint)
        if isinstance(known, Source):
            return known
        files = endpoint.site.files
        if files is None:
            raise errors.ObjectMissing(pointer.oid, str(endpoint), of_hub=endpoint.site.has_mirrors)
        if not self._health.spend(endpoint):
            return None
        url = files.url(endpoint.url, self._pin, self._paths[pointer.oid][0])
        return Source(endpoint, url, authority=self._authorities.get(endpoint.url), born=self._now())

    def _usable(self, pointer: Pointer, endpoint: Endpoint) -> Source | HfcloneError | None:
        known = self._known.get(pointer.oid, {}).get(endpoint)
        return None if isinstance(known, Source) and not known.usable(self._now()) else known

    def _group(self, pointer: Pointer, endpoint: Endpoint, next_up: Callable[[], Iterable[Pointer]]) -> list[Pointer]:
        """The object itself and others that will be wanted soon and have no usable URL."""
        group = {pointer.oid: pointer}
        for other in next_up():
            if len(group) >= self._batch_sizes[endpoint]:
                break
            if self._usable(other, endpoint) is None:
                group[other.oid] = other
        return list(group.values())

    def _ask_batch(self, endpoint: Endpoint, url: str, group: list[Pointer]) -> None:
        """One batch request; its answers become known, each a source or an error."""
        authority = self._authorities.get(endpoint.url)
        request = {
            "operation": "download",
            "transfers": ["basic"],
            "hash_algo": "sha256",
            "objects": [{"oid": pointer.oid, "size": pointer.size} for pointer in group],
        }
        headers = {"Accept": _MEDIA_TYPE, "Content-Type": _MEDIA_TYPE}
        quota: tuple[int, float] | None = None
        patience = BATCH_SECONDS * 2.0 ** self._stalls[endpoint]

        def ask() -> None:
            nonlocal quota
            with self._web.ask(
                url,
                label=str(endpoint),
                method="POST",
                headers=headers,
                body=json.dumps(request).encode(),
                authority=authority,
                handle=AbortHandle(patience, BODY_SHARE * patience),
            ) as answer:
                quota = answer.quota
                self._health.met(endpoint)
                self._read_batch(endpoint, group, answer, authority)
                self._stalls[endpoint] = 0

        try:
            self._web.exchange(str(endpoint), ask)
        except HfcloneError as error:
            self._stalls[endpoint] += isinstance(error, errors.Stalled)
            if self._stalls[endpoint] >= MOST_STALLS:
                self._stalled(endpoint, len(group), error)
            if isinstance(error, errors.Unforeseen):  # of one row, it may be: it is not to cost the others their URLs
                self._batch_sizes[endpoint] = max(1, len(group) // 2)
            self._broke_at[endpoint] = self._now()
            raise
        finally:
            self._health.spent(endpoint, quota)

    def _stalled(self, endpoint: Endpoint, number: int, error: HfcloneError) -> None:
        """A batch request for ``number`` objects was not answered in time, and those before it were not either."""
        if endpoint.site.files is not None:
            self._stalls[endpoint] = 0
            self._health.note_lack(endpoint, BATCH, str(error))
        else:  # there is no other way to its objects; a server that signs each of them needs less time for fewer
            self._stalls[endpoint] = MOST_STALLS
            self._batch_sizes[endpoint] = max(1, number // 2)

    def _read_batch(
        self, endpoint: Endpoint, group: list[Pointer], answer: Answer, authority: Authority | None
    ) -> None:
        if answer.status == 413 and len(group) > 1:
            self._batch_sizes[endpoint] = (len(group) + 1) // 2
        elif endpoint.site.files is None:
            self._learn_rows(endpoint, group, self._listed_by(endpoint, answer), answer, authority)
        elif answer.status != 200:
            self._refused(endpoint, answer, authority)
        elif not is_lfs(answer):
            # A portal's page goes away soon; a mirror that shows pages for everything is asked in vain now and then.
            self._health.note_lack(endpoint, BATCH, phrase("answers-with-page"), seconds=_PAGE_SECONDS)
        else:
            self._learn_rows(endpoint, group, answer.json(), answer, authority)

    def _learn_rows(
        self, endpoint: Endpoint, group: list[Pointer], listed: Any, answer: Answer, authority: Authority | None
    ) -> None:
        for pointer, row in zip(group, _rows(listed, group), strict=True):
            known = _read_row(endpoint, pointer, row, authority, self._now(), answer.date, answer.url)
            self._know(pointer, endpoint, known)

    def _know(self, pointer: Pointer, endpoint: Endpoint, known: Source | HfcloneError) -> None:
        self._known.setdefault(pointer.oid, {})[endpoint] = known

    def _listed_by(self, host: Endpoint, answer: Answer) -> dict[str, Any]:
        """What a git host's LFS API lists; there is no other way to its objects.

        Raises:
            LfsRefused: it says no, and no waiting will change that.
            TransferError: it may say something else the next time.
        """
        if answer.status == 200 and (listed := _list_in(answer)) is not None:
            self._served.add(host)
            self._pages[host] = 0
            return listed
        # A no in LFS's own form is the host's. Any other may come from wherever a redirect leads, or from something on
        # the way to a host that has listed objects before.
        foreign = answer.status < 400 or (not is_lfs(answer) and bool(answer.hops or host in self._served))
        raise of_request(answer, str(host), foreign=foreign, passes=foreign and self._page_may_pass(host))

    def _page_may_pass(self, host: Endpoint) -> bool:
        """Whether what came in place of an LFS answer may be a captive portal's page, which goes away.

        Why git is asked, and late: a portal answers that with its page, too, while a hiccup of the host's own passes.
        """
        self._pages[host] += 1
        return host in self._served or self._pages[host] < PAGES or not self._reaches_git(host)

    def _reaches_git(self, host: Endpoint) -> bool:
        """Whether the repo's git answers as git does: then nothing stands in between. Also where it cannot be asked."""
        url = host.site.git_probe_url(host.url, self._pin.repo)
        if url is None:
            return True
        try:
            with self._web.ask(url, label=str(host), handle=AbortHandle(BATCH_SECONDS)) as answer:
                return answer.content_type == _GIT_TYPE or "WWW-Authenticate" in answer.headers
        except HfcloneError:
            return False

    def _refused(self, endpoint: Endpoint, answer: Answer, authority: Authority | None) -> None:
        """A batch request was answered no: raise what may pass or is final, else do without the batch API."""
        error = explain(answer, endpoint, self._pin.repo, self._pin.commit, authority)
        # A mirror without a batch API may say "no such repo" of every path it does not know (olah does).
        if endpoint.kind is EndpointKind.MIRROR and isinstance(error, errors.RepoNotFound):
            error = errors.NotServed(BATCH, str(endpoint), answer.status)
        if isinstance(error, errors.NotServed) or (not endpoint.site.names_error(answer) and answer.status < 429):
            self._health.note_lack(endpoint, BATCH, str(error))
            return
        raise error


def _list_in(answer: Answer) -> dict[str, Any] | None:
    """A batch answer, if it is one."""
    try:
        listed = answer.json() if is_lfs(answer) else None
    except errors.NotTheObject:
        return None
    return listed if isinstance(listed, dict) and isinstance(listed.get("objects"), list) else None


def _rows(listed: Any, group: Sequence[Pointer]) -> list[dict[str, Any] | None]:
    """What a batch answer says about each of ``group``, in its order; it may say anything."""
    rows = listed.get("objects") if isinstance(listed, dict) else None
    named = [row for row in (rows if isinstance(rows, list) else ()) if isinstance(row, dict)]
    by_oid = {row["oid"]: row for row in named if isinstance(row.get("oid"), str)}
    return [by_oid.get(pointer.oid) for pointer in group]


def _read_row(
    endpoint: Endpoint,
    pointer: Pointer,
    row: dict[str, Any] | None,
    authority: Authority | None,
    now: float,
    date: float | None,
    asked: str,
) -> Source | HfcloneError:
    """What a batch answer of ``date``, which came from the URL ``asked``, says about one object."""
    label, mirrored = str(endpoint), endpoint.site.has_mirrors
    if row is None and endpoint.site.files is None:
        return errors.ObjectMissing(pointer.oid, label, said=phrase("batch-incomplete"), of_hub=mirrored)
    if row is None:
        return errors.NotTheObject(label, phrase("batch-incomplete"))
    error = row.get("error")
    if isinstance(error, dict):
        return of_object(error, pointer, endpoint)
    action = _dict(_dict(row.get("actions")).get("download"))
    href, named = action.get("href"), action.get("header")
    if not isinstance(href, str):
        return errors.ObjectMissing(pointer.oid, label, of_hub=mirrored)
    url = _plain_url(href, asked)
    if url is None:
        return errors.BadRedirect(label, ascii(href[:60]), phrase("target-no-plain-url"), pointer.oid)
    if urlsplit(url).scheme == "http" and urlsplit(asked).scheme == "https":
        return errors.BadRedirect(label, urlsplit(url).netloc, phrase("down-to-http"), pointer.oid)
    # The API's words on authentication go before our own (git-lfs docs/api/batch.md).
    own = None if row.get("authenticated") or named else authority
    lives = [life for life in (_life_of_action(action, date), _life_of(href, date)) if life is not None]
    return Source(endpoint, url, action_headers(named), own, now, now + min(lives, default=_UNKNOWN_LIFE), signed=True)


_COUNT = re.compile(r"[0-9]{1,18}")
_ODD = re.compile(r"[\x00-\x20\\\x7f\ud800-\udfff]")
"""What parsers of URLs read differently, or drop."""


def _plain_url(href: str, asked: str) -> str | None:
    """The URL that ``href`` means in an answer from ``asked``, if every parser reads the same host out of it.

    No user, no backslash, no control characters.
    """
    if not href or _ODD.search(href):  # before parsers drop what is odd
        return None
    try:
        base = urlsplit(asked)
        own = base._replace(netloc=base.netloc.rpartition("@")[2]).geturl()
        url = href if urlsplit(href).scheme else urljoin(own, href)
        parts = urlsplit(url)
        named = is_plain_host(parts.hostname or "") and (parts.port or 1) > 0 and len(url) <= LONGEST_URL
    except ValueError:
        return None
    plain = named and parts.scheme in ("http", "https") and "@" not in parts.netloc
    return url if plain else None


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _life_of_action(action: Mapping[str, Any], date: float | None) -> float | None:
    """Seconds that a batch action says it lives; git-lfs counts whole ones."""
    expires_in, expires_at = action.get("expires_in"), action.get("expires_at")
    if isinstance(expires_in, (int, float)) and not isinstance(expires_in, bool) and expires_in >= 1:
        return float(min(expires_in, _LONGEST_LIFE))  # it may have 400 digits, which no float has
    if isinstance(expires_at, str):
        try:
            end = datetime.fromisoformat(expires_at.replace("Z", "+00:00"))
        except ValueError:
            return None
        return _until(end.timestamp(), date) if end.tzinfo else None
    return None


def _life_of(url: str, date: float | None) -> float | None:
    """Seconds that a signed URL lives by its own query (SigV4, or CloudFront's ``Expires``)."""
    if "?" not in url:
        return None
    try:
        query = {key: values[0] for key, values in parse_qs(urlsplit(url).query).items()}
        if "X-Amz-Expires" in query and "X-Amz-Date" in query:
            signed = datetime.strptime(query["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc)
            return _until((signed + timedelta(seconds=_count(query["X-Amz-Expires"]))).timestamp(), date)
        if "Expires" in query:
            return _until(_count(query["Expires"]), date)
    except (ValueError, OverflowError):
        return None
    return None


def _count(text: str) -> int:
    """A number of seconds in a URL. Raises ValueError where it is none that anybody means."""
    if not _COUNT.fullmatch(text):
        raise ValueError(text[:60])
    return int(text)


def _until(end: float, date: float | None) -> float:
    """Seconds until ``end`` by the server's clock where it told it; ours may be wrong. Dates are whole seconds."""
    return min(_LONGEST_LIFE, max(0.001, end - (wall_clock() if date is None else date) - 1.0))
