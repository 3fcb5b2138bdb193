"""Faults of git's own protocol: a fetch that talks and brings nothing, one that trickles, and one without end."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from .faults import Serve
from .messages import Request, Response
from .streams import Waiting

PACK, MESSAGE = b"\x01", b"\x02"
"""Bands of the side-band protocol (gitprotocol-pack)."""
TICK = 0.1
CHATTER = b"Counting objects: 7%% (%d/1000000)" + b" " * 400 + b"\r"


def packet(data: bytes) -> bytes:
    """A pkt-line."""
    return b"%04x%s" % (len(data) + 4, data)


def is_fetch(request: Request) -> bool:
    """Whether it asks for a pack, by protocol 2, and for no list of refs."""
    return b"command=fetch" in request.body


@dataclass
class _Fetch(Waiting):
    """Base: in place of a pack, packets for as long as somebody listens; four kilobytes a second at least."""

    def answer(self, request: Request, serve: Serve) -> Response:
        """Take the place of the answer to a fetch."""
        if not is_fetch(request):
            return serve(request)
        headers = {"Content-Type": "application/x-git-upload-pack-result"}
        return Response(200, self._packets(lambda: serve(request)), headers)

    def _packets(self, honest: Callable[[], Response]) -> Iterator[bytes]:
        raise NotImplementedError

    def _chatter(self, each: Iterator[bytes]) -> Iterator[bytes]:
        for number, piece in enumerate(each):
            yield packet(MESSAGE + CHATTER % number) + piece
            if self._free.wait(TICK):
                return


@dataclass
class TalkOnly(_Fetch):
    """Progress messages, and never a pack."""

    def _packets(self, honest: Callable[[], Response]) -> Iterator[bytes]:  # none comes
        yield packet(b"packfile\n")
        yield from self._chatter(iter(lambda: b"", None))


@dataclass
class TalkFirst(_Fetch):
    """Progress messages for ``seconds``, and then the honest pack; next to none where that ``is_terse``."""

    seconds: float = 0.0
    is_terse: bool = False

    def _packets(self, honest: Callable[[], Response]) -> Iterator[bytes]:
        yield packet(b"packfile\n")
        if self.is_terse:
            yield packet(MESSAGE + b"Enumerating objects: 5\r")
            if self._free.wait(self.seconds):
                return
        else:
            yield from self._chatter(iter([b""] * int(self.seconds / TICK)))
        yield b"".join(honest().pieces()).partition(packet(b"packfile\n"))[2]


@dataclass
class EmptyPackets(_Fetch):
    """Packets of the pack's band that hold nothing: what servers send to keep a line alive."""

    def _packets(self, honest: Callable[[], Response]) -> Iterator[bytes]:  # none comes
        yield packet(b"packfile\n")
        while not self._free.wait(TICK):
            yield packet(PACK) * 100


@dataclass
class TricklePack(_Fetch):
    """The honest pack a byte at a time, between progress messages."""

    def _packets(self, honest: Callable[[], Response]) -> Iterator[bytes]:
        data = b"".join(honest().pieces())
        start = data.index(b"PACK") - 1
        yield packet(b"packfile\n")
        yield from self._chatter(packet(PACK + data[at : at + 1]) for at in range(start + 1, len(data)))


@dataclass
class HoldAfterPack(_Fetch):
    """The honest pack, and then empty packets in place of the end."""

    def _packets(self, honest: Callable[[], Response]) -> Iterator[bytes]:
        data = b"".join(honest().pieces())
        yield data.removesuffix(b"0000")
        while not self._free.wait(TICK):
            yield packet(PACK) * 100


@dataclass
class EndlessPack(_Fetch):
    """A pack of one blob that goes on for ever, as fast as it is read."""

    seed: int = 0

    def _packets(self, honest: Callable[[], Response]) -> Iterator[bytes]:  # none comes
        yield packet(b"packfile\n")
        yield packet(PACK + b"PACK" + struct.pack(">LL", 2, 1) + _blob_of(1 << 40))
        deflate, noise = zlib.compressobj(0), random.Random(self.seed).randbytes(60_000)
        while not self._free.is_set():
            yield b"".join(packet(PACK + piece) for piece in _pieces(deflate.compress(noise)))


def _blob_of(size: int) -> bytes:
    """How a pack names a blob of so many bytes (gitformat-pack)."""
    first, size = 0x30 | (size & 0xF), size >> 4
    found = bytearray()
    while size:
        found.append(first | 0x80)
        first, size = size & 0x7F, size >> 7
    return bytes(found + bytes([first]))


def _pieces(data: bytes) -> Iterator[bytes]:
    return (data[at : at + 60_000] for at in range(0, len(data), 60_000))


@dataclass
class DrippedRefs(Waiting):
    """An advertisement of refs that goes on for ever, two kilobytes a second."""

    def answer(self, request: Request, serve: Serve) -> Response:
        """Take the place of the advertisement."""
        if not request.path.endswith("/info/refs"):
            return serve(request)
        return Response(200, self._rows(), {"Content-Type": "application/x-git-upload-pack-advertisement"})

    def _rows(self) -> Iterator[bytes]:
        yield packet(b"# service=git-upload-pack\n") + b"0000"
        number = 0
        while not self._free.wait(TICK):
            number += 1
            yield packet(b"%040x refs/heads/%d-%s\n" % (number, number, b"x" * 150))
