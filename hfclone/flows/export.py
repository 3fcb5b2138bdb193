"""What a checkout lacks, and where other programs can get it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

from hfclone.checkout.existing import Existing, find_existing
from hfclone.checkout.overview import lacking_objects
from hfclone.errors import BadOption, HfcloneError, RateLimited, TransferError
from hfclone.events import OnEvent, Working, ignore
from hfclone.export import ListedObject, Listing
from hfclone.flows.pull import asked_of, no_address, offline_git
from hfclone.flows.revisions import waiting
from hfclone.flows.tools import Tools
from hfclone.http import Web, wall_clock
from hfclone.hub.endpoint import Endpoint
from hfclone.names import Pin, Repo
from hfclone.pointer import Oid, Pointer
from hfclone.retry import Verdict, judge
from hfclone.selection.select import select
from hfclone.settings import Settings
from hfclone.transfer.exchange import HttpSource
from hfclone.transfer.sources import Source, Sources
from hfclone.wording import phrase

__all__ = ["Exported", "list_missing", "list_missing_signed"]


@dataclass(frozen=True, slots=True)
class Exported:
    """What is missing of the checkout at ``path``."""

    path: Path
    listing: Listing

    @property
    def size(self) -> int:
        """Bytes of all of it."""
        return sum(item.pointer.size for item in self.listing.items)


def list_missing(directory: Path | None, settings: Settings, _on_event: OnEvent = ignore) -> Exported:
    """The objects that are not there, each with the addresses of its file at the commit. Asks nobody.

    Raises:
        BadOption: the host is no hub, and has no addresses that last.
        NotACheckout, ForeignOrigin: there is nothing to be fetched for.
    """
    here, tools, repo = _found(directory, settings)
    having = [(endpoint.url, files) for endpoint in tools.endpoints if (files := endpoint.site.files) is not None]
    if len(having) < len(tools.endpoints):
        raise BadOption("--signed", "", phrase("no-lasting-addresses", endpoint=tools.endpoints[0]))
    pin = Pin(repo, here.commit)
    items = tuple(
        ListedObject(path, pointer, tuple(files.url(base, pin, path) for base, files in having))
        for pointer, path in _missing(here, settings).items()
    )
    return Exported(here.path, Listing(repo.path, here.commit, items))


def list_missing_signed(directory: Path | None, settings: Settings, on_event: OnEvent = ignore) -> Exported:
    """The same with addresses that need no token and soon expire: who has one can fetch the object.

    Raises:
        HfcloneError: an object has no such address anywhere, or nobody answers.
    """
    here, tools, repo = _found(directory, settings)
    missing = _missing(here, settings)
    with tools.web(on_event) as web:
        signer = _Signer(Pin(repo, here.commit), missing, tools, web)
        items, ends = [], []
        for count, (pointer, path) in enumerate(missing.items(), start=1):
            found = tools.patience.persist(
                lambda pointer=pointer: signer.sources_of(pointer),  # type: ignore[misc]  # called at once
                rng=tools.rng,
                on_wait=waiting(tools, on_event),
            )
            items.append(ListedObject(path, pointer, tuple(source.url for source in found)))
            ends += [source.dies_at for source in found if source.dies_at is not None]
            on_event(Working(phrase("signed-addresses"), count, len(missing)))
        life = min(ends) - tools.clock.now() if ends else None
    return Exported(here.path, Listing(repo.path, here.commit, tuple(items), "" if life is None else _moment(life)))


def _found(directory: Path | None, settings: Settings) -> tuple[Existing, Tools, Repo]:
    here = find_existing(directory, offline_git(settings))
    tools, repo = asked_of(here, settings)
    if not tools.endpoints:
        raise no_address(here)
    return here, tools, repo


def _missing(here: Existing, settings: Settings) -> dict[Pointer, bytes]:
    """Objects that are selected and not there, by looks, with the first path of each."""
    lacking = lacking_objects(here)
    wanted = select({path: pointer.size for path, pointer in lacking.items()}, settings)
    found: dict[Pointer, bytes] = {}
    for path, pointer in lacking.items():
        if path in wanted and pointer.size:
            found.setdefault(pointer, path)
    return found


def _moment(seconds: float) -> str:
    """So many seconds from now."""
    end = datetime.fromtimestamp(wall_clock(), timezone.utc) + timedelta(seconds=seconds)
    return end.isoformat(timespec="seconds").replace("+00:00", "Z")


MOST_FAILURES = 3
"""So often in a row an endpoint may fail; then it is asked only for what the others do not have."""


class _Signer:
    """Finds addresses that need no token."""

    def __init__(self, pin: Pin, missing: Mapping[Pointer, bytes], tools: Tools, web: Web) -> None:
        self._tools = tools
        self._order = list(missing)
        self._failures: Counter[Endpoint] = Counter()
        """Of each endpoint, in a row."""
        paths: dict[Oid, tuple[bytes, ...]] = {pointer.oid: (path,) for pointer, path in missing.items()}
        self._sources = Sources(
            pin, paths, web=web, health=tools.health, authorities=tools.authorities, now=tools.clock.now
        )
        self._http = HttpSource(web, self._sources, pin, tools.clock, list)

    def sources_of(self, pointer: Pointer) -> list[Source]:
        """From each endpoint that has one; raises why the last one has none where nobody has."""
        found: list[Source] = []
        failure: HfcloneError | None = None
        for endpoint in sorted(self._tools.endpoints, key=lambda each: self._failures[each] >= MOST_FAILURES):
            if found and self._failures[endpoint] >= MOST_FAILURES:
                break  # each object would wait for him
            try:
                found += self._signed(pointer, endpoint)
                self._failures[endpoint] = 0
            except HfcloneError as error:
                if judge(error) is Verdict.STOP:
                    raise
                self._failures[endpoint] += isinstance(error, TransferError)
                failure = error
        if not found:
            raise failure or BadOption(
                "--signed", "", phrase("no-addresses-of-its-own", endpoint=self._tools.endpoints[-1])
            )
        return found

    def _signed(self, pointer: Pointer, endpoint: Endpoint) -> Iterator[Source]:
        source = self._sources.find(pointer, endpoint, lambda: self._order[self._order.index(pointer) :])
        if source is None:
            raise RateLimited(str(endpoint), None)
        if not source.signed:
            with self._http.request(source, pointer, 0, 1):
                pass  # where it leads is known now
            led = self._sources.find(pointer, endpoint, list)
            source = led if led is not None and led.signed else source
        # An address that works with a token or a header alone is of no use to others, and those stay here.
        if not source.authority and not source.headers and source.url.isascii() and source.url.isprintable():
            yield source
