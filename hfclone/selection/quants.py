"""Quantisations of GGUF files: which one a name means, and which files make one up. Pure.

Nothing but the name of a file tells; the names are those of llama.cpp, with dots, hyphens or
underscores before them, in either case, in the file's name or its folder's. A projector (``mmproj``)
is no quantisation of the model but goes with each: a model that sees is blind without it. An
importance matrix (``imatrix``) served to make the quantisation, and running it needs none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

__all__ = ["WIDEST", "choose_quants", "missing_quants", "quant_of", "quants_among"]

_NAME = re.compile(
    rb"(?<![A-Z0-9])"
    rb"(?=((?:UD[-_])?I?Q[1-9](?:_(?:[0-9]{1,2}|K|NL|X{0,3}[SML]|P))*"
    rb"|TQ[1-9]_[0-9]|(?:BF|FP?)(?:8|16|32|64)|MXFP4(?:_MOE)?|NVFP4))\1"  # the look-ahead takes all or nothing
    rb"(?![A-Z0-9])"
)
_SHARD = re.compile(rb"-[0-9]{5}-of-[0-9]{5}(?=\.gguf$)", re.IGNORECASE)
WIDEST = ("F16", "BF16", "F32")
"""What a projector comes in; the first that there is will do."""


def quant_of(path: bytes) -> str | None:
    """The quantisation of the model that the file at ``path`` is (a part of); ``None`` where it is none."""
    return None if _is_beside(path) else _named(path)


def quants_among(paths: Iterable[bytes]) -> tuple[str, ...]:
    """Every quantisation there is, sorted."""
    return tuple(sorted({quant for path in paths if (quant := quant_of(path))}))


def missing_quants(paths: Iterable[bytes], wanted: Sequence[str]) -> tuple[str, ...]:
    """Those of ``wanted``, as the user wrote them, that no file has."""
    there = quants_among(paths)
    return tuple(name for name in wanted if _meant(name, there) is None)


def choose_quants(paths: Iterable[bytes], wanted: Sequence[str]) -> frozenset[bytes]:
    """The files of these quantisations, every shard of them, and the projectors that go with them."""
    listed = list(paths)
    there = quants_among(listed)
    meant = {_meant(name, there) for name in wanted} - {None}
    models = {path for path in listed if quant_of(path) in meant}
    return frozenset(models | (_projectors(listed, meant) if models else set()))


def _meant(name: str, there: Sequence[str]) -> str | None:
    """What of ``there`` a user means; a dynamic one (``UD-``) only where no plain one has the name."""
    key = _key(name)
    return next((quant for want in (key, f"UD_{key}") for quant in there if _key(quant) == want), None)


def _key(name: str) -> str:
    return name.strip().upper().replace("-", "_").replace("FP16", "F16").replace("FP32", "F32")


def _named(path: bytes) -> str | None:
    """The last name in the file's own name, else in its folder's."""
    if not path.lower().endswith(b".gguf"):
        return None
    folders, _, file = _SHARD.sub(b"", path).rpartition(b"/")
    for part in (file[: -len(b".gguf")], folders.rpartition(b"/")[2]):
        found = _NAME.findall(part.upper())
        if found:
            return _spelled(found[-1].decode("ascii"))
    return None


def _spelled(name: str) -> str:
    """One name for each: ``FP16`` is ``F16``, ``UD_`` is ``UD-``."""
    plain = re.sub(r"^FP(?=16|32)", "F", name)
    return re.sub(r"^UD_", "UD-", plain)


def _is_beside(path: bytes) -> bool:
    """Whether a GGUF file is not the model itself."""
    file = path.rpartition(b"/")[2].lower()
    return b"mmproj" in file or b"imatrix" in file


def _projectors(paths: Sequence[bytes], meant: set[str | None]) -> set[bytes]:
    """Of each folder's projectors, those in one precision: a quantisation that was asked for, or the widest."""
    folders: dict[bytes, list[bytes]] = {}
    for path in paths:
        folder, _, file = path.rpartition(b"/")
        if b"mmproj" in file.lower() and file.lower().endswith(b".gguf"):
            folders.setdefault(folder, []).append(path)
    return {path for listed in folders.values() for path in _one_precision(listed, meant)}


def _one_precision(projectors: Sequence[bytes], meant: set[str | None]) -> Iterable[bytes]:
    precisions = {_named(path) for path in projectors}
    preferred = [*sorted(quant for quant in meant & precisions if quant), *(q for q in WIDEST if q in precisions)]
    return [path for path in projectors if not preferred or _named(path) == preferred[0]]
