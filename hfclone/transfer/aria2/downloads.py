"""What aria2 is told and what it tells back: downloads, by our own names for them.

An object is handed over as a metalink, which is the one way to tell aria2 how long it is: it asks
for the missing ranges at once, and refuses a file of another length. Names of files of the repo
never reach aria2, and no header with a secret.
"""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any  # JSON values
from xml.sax.saxutils import escape

from hfclone.aria2control import bitfield_ranges, piece_length_for
from hfclone.pointer import Pointer
from hfclone.ranges import RangeSet
from hfclone.transfer.aria2.rpc import Call, Lost, Refused, Rpc
from hfclone.wording import phrase

__all__ = ["PER_SERVER", "Downloads", "Look", "Order", "State", "is_plain"]

PER_SERVER = 16
"""Connections that aria2 opens to one server for one object at most."""
STOP_SECONDS = 0.5
_KEYS = ("status", "completedLength", "connections", "bitfield", "pieceLength", "errorCode", "errorMessage")
_STATUS = re.compile(r"status=([0-9]{3})")


class State(Enum):
    """What became of a download."""

    WAITING = "waiting"
    """Its turn has not come."""
    ACTIVE = "active"
    COMPLETE = "complete"
    ENDED = "ended"
    """It failed, was removed, or aria2 does not know it (any more)."""


_STATES = {"active": State.ACTIVE, "waiting": State.WAITING, "paused": State.WAITING, "complete": State.COMPLETE}


@dataclass(frozen=True, slots=True)
class Order:
    """An object to be fetched into ``path`` from all of ``urls``, over ``split`` connections.

    ``silence``: seconds after which a silent connection is left.
    """

    pointer: Pointer
    path: Path
    urls: tuple[str, ...]
    split: int
    silence: float


@dataclass(frozen=True, slots=True)
class Look:
    """How far a download is."""

    state: State
    received: int = 0
    whole: RangeSet | None = None
    """Pieces that have arrived and been written."""
    connections: int = 0
    code: int = 0
    """aria2's number for what went wrong."""
    text: str = ""
    speeds: Mapping[str, int] | None = None
    """Bytes a second by URL, where that was asked for."""

    @property
    def status(self) -> int | None:
        """The HTTP status that aria2 names for its failure."""
        named = _STATUS.search(self.text)
        return int(named[1]) if named else None


class Downloads:
    """The downloads of one fetch in one aria2. ``options`` hold for each of them. Raises Lost as ``Rpc``."""

    def __init__(self, rpc: Rpc, options: Mapping[str, str]) -> None:
        self._rpc = rpc
        self._options = dict(options)

    def check(self) -> None:
        """Raises Lost where this aria2 is none that we can use."""
        version = self._rpc.call("getVersion")
        features = version.get("enabledFeatures") if isinstance(version, dict) else None
        if not isinstance(features, list) or "Metalink" not in features:
            raise Lost(phrase("without-metalink"))

    def add(self, orders: Sequence[Order]) -> list[str | Refused]:
        """Hand orders over; aria2's name (gid) of each, in order."""
        results = self._rpc.many([Call("addMetalink", (_metalink(order), self._options_of(order))) for order in orders])
        return [str(result[0]) if isinstance(result, list) and result else _refusal(result) for result in results]

    def look(self, sizes: Mapping[str, int], shared: Iterable[str]) -> dict[str, Look]:
        """How far the downloads are whose sizes are given by gid; ``shared`` have several sources."""
        gids, several = list(sizes), list(shared)
        calls = [Call("tellStatus", (gid, _KEYS)) for gid in gids] + [Call("getServers", (gid,)) for gid in several]
        if not calls:
            return {}
        results = self._rpc.many(calls)
        speeds = dict(zip(several, map(_speeds, results[len(gids) :]), strict=True))
        rows = zip(gids, results[: len(gids)], strict=True)
        return {gid: _look(row, sizes[gid], speeds.get(gid)) for gid, row in rows}

    def forget(self, gids: Iterable[str]) -> None:
        """What has ended need not be remembered."""
        calls = [Call("removeDownloadResult", (gid,)) for gid in gids]
        if calls:
            self._rpc.many(calls)

    def stop(self, gids: Iterable[str]) -> None:
        """End downloads at once; returns when what has arrived is in their control files, or after half a second."""
        named = list(gids)
        if not named:
            return
        self._rpc.many([Call("forceRemove", (gid,)) for gid in named])
        deadline = time.monotonic() + STOP_SECONDS
        while time.monotonic() < deadline:
            looks = self.look(dict.fromkeys(named, 0), ())
            if all(look.state not in (State.ACTIVE, State.WAITING) for look in looks.values()):
                return

    def replace(self, gid: str, old: Sequence[str], new: Sequence[str]) -> None:
        """Use ``new`` URLs from now on. aria2 holds a URL once for each connection."""
        self._rpc.many([Call("changeUri", (gid, 1, [url for url in old for _ in range(4 * PER_SERVER)], list(new)))])

    def run_at_once(self, count: int) -> None:
        """Let so many downloads run; for an aria2 of our own."""
        self._rpc.many([Call("changeGlobalOption", ({"max-concurrent-downloads": str(count)},))])

    def limit(self, gids: Iterable[str], rate: int) -> None:
        """Let each download bring ``rate`` bytes a second at most."""
        calls = [Call("changeOption", (gid, {"max-download-limit": str(rate)})) for gid in gids]
        if calls:
            self._rpc.many(calls)

    def of_directory(self, directory: Path) -> list[str]:
        """Downloads into ``directory`` that an earlier run left behind."""
        keys = ("gid", "dir")
        rows = self._rpc.many([Call("tellActive", (keys,)), Call("tellWaiting", (0, 1000, keys))])
        found = [row for part in rows if isinstance(part, list) for row in part if isinstance(row, dict)]
        return [str(row.get("gid")) for row in found if row.get("dir") == str(directory)]

    def _options_of(self, order: Order) -> dict[str, str]:
        piece = piece_length_for(order.pointer.size)
        return {
            **self._options,
            "dir": str(order.path.parent),
            "out": order.path.name,
            "piece-length": str(piece),
            "min-split-size": str(max(1024 * 1024, piece)),
            "split": str(order.split),
            "timeout": str(max(1, int(order.silence))),
            "max-connection-per-server": str(min(PER_SERVER, order.split)),
        }


def is_plain(url: str) -> bool:
    """Whether aria2 and we read the same out of ``url``."""
    return url.isascii() and url.isprintable() and " " not in url and url.startswith(("http://", "https://"))


def _refusal(result: Any) -> Refused:
    return result if isinstance(result, Refused) else Refused(phrase("not-as-aria2"))


def _metalink(order: Order) -> str:
    """The object as a metalink (RFC 5854), in base64."""
    urls = "".join(f"<url>{escape(url)}</url>" for url in order.urls)
    text = (
        '<?xml version="1.0" encoding="UTF-8"?><metalink xmlns="urn:ietf:params:xml:ns:metalink">'
        f'<file name="{order.path.name}"><size>{order.pointer.size}</size>{urls}</file></metalink>'
    )
    return base64.b64encode(text.encode("ascii")).decode("ascii")


def _look(row: Any, size: int, speeds: Mapping[str, int] | None) -> Look:
    """What a status says; it may say anything."""
    if not isinstance(row, dict):
        return Look(State.ENDED, text=row.reason if isinstance(row, Refused) else "")
    try:
        status = str(row["status"])
        state = _STATES.get(status, State.ENDED)
        whole = bitfield_ranges(bytes.fromhex(row.get("bitfield", "")), int(row.get("pieceLength", 1)), size)
        received = max(0, min(size, int(row.get("completedLength", 0))))
        code, text = int(row.get("errorCode", 0)), str(row.get("errorMessage", ""))[:200]
        return Look(state, received, whole, int(row.get("connections", 0)), code, text, speeds)
    except (KeyError, ValueError, TypeError) as error:
        raise Lost(phrase("not-as-aria2")) from error


def _speeds(answer: Any) -> dict[str, int]:
    """Bytes a second by URL as it was handed over."""
    speeds: dict[str, int] = {}
    try:
        for file in answer if isinstance(answer, list) else ():
            for server in file.get("servers", ()):
                url = str(server.get("uri", ""))
                speeds[url] = speeds.get(url, 0) + int(server.get("downloadSpeed", 0))
    except (AttributeError, ValueError, TypeError) as error:
        raise Lost(phrase("not-as-aria2")) from error
    return speeds
