"""Where the bytes of objects come from: HTTP endpoints today (``exchange``), one file for each further kind of place.

A source brings bytes and knows no rule: whom to ask, when to go on and whose bytes are wrong is decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Protocol

from hfclone.http import AbortHandle
from hfclone.hub.endpoint import Endpoint
from hfclone.pointer import Pointer
from hfclone.transfer.health import RangeSupport

__all__ = ["ByteSource", "RangeStream"]


class RangeStream(Protocol):
    """Bytes on their way; for one thread, which closes it."""

    @property
    def start(self) -> int:
        """Offset in the object of the first byte to come."""
        ...

    @property
    def stop(self) -> int:
        """Offset behind the last one."""
        ...

    @property
    def ranges(self) -> RangeSupport:
        """What was learned of whether ranges can be had."""
        ...

    @property
    def signed(self) -> bool:
        """Whether it comes from a host that a signed URL or a redirect named, not from the endpoint itself."""
        ...

    def chunks(self, read_bytes: int, gather: float) -> Iterator[bytes | memoryview]:
        """What comes, in pieces of up to ``read_bytes``, each valid until the next.

        Of the first, parts are gathered that come within ``gather`` seconds of each other.

        Raises:
            TransferError: it broke; everything before that has been yielded.
        """
        ...

    def is_quiet(self, seconds: float) -> bool:
        """Whether nothing more comes for ``seconds``; ends as soon as something does."""
        ...

    def __enter__(self) -> RangeStream: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Done with it."""
        ...


class ByteSource(Protocol):
    """A kind of place that has objects. Its method may be called from any thread."""

    def open(  # an object's range, at a place, and how it is watched
        self,
        pointer: Pointer,
        endpoint: Endpoint,
        start: int,
        stop: int,
        *,
        lacking: int,
        begun: Callable[[AbortHandle, bool], None],
    ) -> RangeStream | None:
        """``[start, stop)`` of an object from ``endpoint``; ``None`` where it must not be asked now.

        It may bring more of the object than was asked for, or less. Where the whole is asked for and cannot be had in
        one, it begins at ``lacking``. ``begun`` is called as the request goes out, with what aborts it from any
        thread, and with whether that is ``signed``.

        Raises:
            RemoteError, TransferError: what came in place of the bytes; nothing of it may be written.
        """
        ...
