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

from hfclone.partials.aria2control import bitfield_ranges, piece_length_for
from hfclone.ranges import RangeSet
from hfclone.transfer.aria2.rpc import Call, Refused, Rpc
from hfclone.transfer.carrier import LEAST_SPLIT_BYTES, Load, Lost
from hfclone.wording import phrase

__all__ = ["PER_SERVER", "DownloadState", "DownloadStatus", "Downloads"]

PER_SERVER = 16
"""Connections that aria2 opens to one server for one object at most."""
STOP_SECONDS = 0.5
_KEYS = (
    "status",
    "completedLength",
    "connections",
    "downloadSpeed",
    "bitfield",
    "pieceLength",
    "errorCode",
    "errorMessage",
)
_STATUS = re.compile(r"status=([0-9]{3})")


class DownloadState(Enum):
    """What became of a download."""

    WAITING = "waiting"
    """Its turn has not come."""
    ACTIVE = "active"
    COMPLETE = "complete"
    ENDED = "ended"
    """It failed, was removed, or aria2 does not know it (any more)."""


_STATES = {
    "active": DownloadState.ACTIVE,
    "waiting": DownloadState.WAITING,
    "paused": DownloadState.WAITING,
    "complete": DownloadState.COMPLETE,
}


@dataclass(frozen=True, slots=True)
class DownloadStatus:
    """How far a download is."""

    state: DownloadState
    received: int = 0
    whole: RangeSet | None = None
    """Pieces that have arrived and been written."""
    connections: int = 0
    speed: int = 0
    """Bytes a second of the last ten seconds."""
    code: int = 0
    """aria2's number for what went wrong."""
    text: str = ""

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

    def add(self, loads: Sequence[Load]) -> list[str | Refused]:
        """Hand loads over; aria2's name (gid) of each, in order."""
        results = self._many([Call("addMetalink", (_metalink(load), self._options_of(load))) for load in loads])
        return [str(result[0]) if isinstance(result, list) and result else _refusal(result) for result in results]

    def look(self, sizes: Mapping[str, int]) -> dict[str, DownloadStatus]:
        """How far the downloads are whose sizes are given by gid."""
        rows = self._many([Call("tellStatus", (gid, _KEYS)) for gid in sizes])
        return {gid: _look(row, sizes[gid]) for gid, row in zip(sizes, rows, strict=True)}

    def forget(self, gids: Iterable[str]) -> None:
        """What has ended need not be remembered."""
        self._many([Call("removeDownloadResult", (gid,)) for gid in gids])

    def remove(self, gids: Iterable[str]) -> None:
        """End downloads soon; what has arrived is in their control files then."""
        self._many([Call("forceRemove", (gid,)) for gid in gids])

    def stop(self, gids: Iterable[str]) -> None:
        """The same; returns when they have ended, or after half a second."""
        named = list(gids)
        self.remove(named)
        deadline = time.monotonic() + STOP_SECONDS
        while time.monotonic() < deadline:
            looks = self.look(dict.fromkeys(named, 0))
            if all(look.state not in (DownloadState.ACTIVE, DownloadState.WAITING) for look in looks.values()):
                return

    def add_url(self, gid: str, url: str) -> None:
        """Use ``url``, which it may have given up."""
        self._many([Call("changeUri", (gid, 1, [], [url]))])

    def limit(self, gids: Iterable[str], rate: int) -> None:
        """Let each download bring ``rate`` bytes a second at most."""
        self._many([Call("changeOption", (gid, {"max-download-limit": str(rate)})) for gid in gids])

    def _many(self, calls: Sequence[Call]) -> list[Any]:
        return self._rpc.many(calls) if calls else []

    def of_directory(self, directory: Path) -> list[str]:
        """Downloads into ``directory`` that an earlier run left behind."""
        keys = ("gid", "dir")
        rows = self._rpc.many([Call("tellActive", (keys,)), Call("tellWaiting", (0, 1000, keys))])
        found = [row for part in rows if isinstance(part, list) for row in part if isinstance(row, dict)]
        return [str(row.get("gid")) for row in found if row.get("dir") == str(directory)]

    def _options_of(self, load: Load) -> dict[str, str]:
        piece = piece_length_for(load.pointer.size)
        return {
            **self._options,
            "dir": str(load.path.parent),
            "out": load.path.name,
            "piece-length": str(piece),
            "min-split-size": str(max(LEAST_SPLIT_BYTES, piece)),
            "split": str(load.connections),
            "timeout": str(max(1, int(load.silence))),
            "max-connection-per-server": str(min(PER_SERVER, load.connections)),
        }


def _refusal(result: Any) -> Refused:
    return result if isinstance(result, Refused) else Refused(phrase("not-as-aria2"))


def _metalink(load: Load) -> str:
    """The object as a metalink (RFC 5854), in base64."""
    text = (
        '<?xml version="1.0" encoding="UTF-8"?><metalink xmlns="urn:ietf:params:xml:ns:metalink">'
        f'<file name="{load.path.name}"><size>{load.pointer.size}</size><url>{escape(load.url)}</url></file></metalink>'
    )
    return base64.b64encode(text.encode("ascii")).decode("ascii")


def _look(row: Any, size: int) -> DownloadStatus:
    """What a status says; it may say anything."""
    if not isinstance(row, dict):
        return DownloadStatus(DownloadState.ENDED, text=row.reason if isinstance(row, Refused) else "")
    try:
        state = _STATES.get(str(row["status"]), DownloadState.ENDED)
        whole = bitfield_ranges(bytes.fromhex(row.get("bitfield", "")), int(row.get("pieceLength", 1)), size)
        received = max(0, min(size, int(row.get("completedLength", 0))))
        connections, speed = int(row.get("connections", 0)), int(row.get("downloadSpeed", 0))
        code, text = int(row.get("errorCode", 0)), str(row.get("errorMessage", ""))[:200]
        return DownloadStatus(state, received, whole, connections, speed, code, text)
    except (KeyError, ValueError, TypeError) as error:
        raise Lost(phrase("not-as-aria2")) from error
