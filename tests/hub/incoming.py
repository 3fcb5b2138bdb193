"""Reading the parts of an HTTP/1.1 request."""

from __future__ import annotations

import gzip
import io
import zlib

BODY_LIMIT = 64 * 1024 * 1024  # bytes of a request body; git's want lists stay far below
LINE_LIMIT = 64 * 1024


def read_headers(reader: io.BufferedReader) -> dict[str, str]:
    """Read up to the empty line; names come out in lower case, of repeated ones the last."""
    headers: dict[str, str] = {}
    while line := reader.readline(LINE_LIMIT).strip():
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.strip().lower()] = value.strip()
    return headers


def read_body(reader: io.BufferedReader, headers: dict[str, str]) -> bytes:
    """Read a body that has a length or is chunked, and unpack gzip (git packs long requests)."""
    if "chunked" in headers.get("transfer-encoding", "").lower():
        body = _read_chunks(reader)
    else:
        length = int(headers.get("content-length", "0"))
        if length > BODY_LIMIT:
            raise ValueError(length)
        body = reader.read(length)
    if body and headers.get("content-encoding", "").lower() in ("gzip", "x-gzip"):
        try:
            return gzip.decompress(body)
        except (OSError, EOFError, zlib.error) as error:
            raise ValueError(error) from error
    return body


def _read_chunks(reader: io.BufferedReader) -> bytes:
    parts: list[bytes] = []
    while size := int(reader.readline(LINE_LIMIT).split(b";")[0], 16):
        parts.append(reader.read(size))
        reader.readline(LINE_LIMIT)
    read_headers(reader)  # trailers
    return b"".join(parts)
