"""What aria2's own words for a failure mean. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from hfclone import errors
from hfclone.errors import TransferError
from hfclone.ranges import format_range
from hfclone.transfer.aria2.downloads import DownloadStatus
from hfclone.transfer.carrier import Load, Unfit
from hfclone.wording import phrase

__all__ = ["failure_of"]

_MISMATCH = "mismatch"
"""aria2 knows the length by heart; where an answer has none, or another, no second try helps."""
_OF_THIS_MACHINE = (9, 10, 11, 13, 15, 16, 17, 18)
"""aria2's numbers for what it cannot do here: our own connections find out what it is."""
_BY_NUMBER: Mapping[int, Callable[[DownloadStatus, Load], TransferError]] = {
    2: lambda _look, load: errors.Stalled(load.sender, load.silence),
    6: lambda look, load: errors.Truncated(load.sender, look.received, load.pointer.size),
    8: lambda look, load: errors.RangeRefused(load.sender, format_range(0, load.pointer.size), look.text),
}


def failure_of(look: DownloadStatus, load: Load) -> TransferError | Unfit:
    """Why ``load`` has ended before it was whole."""
    said = look.text or phrase("aria2c-error", number=look.code)
    if look.status is not None:
        return errors.ServerFault(load.sender, look.status)
    if look.code in _OF_THIS_MACHINE or _MISMATCH in look.text:
        return Unfit(said)
    known = _BY_NUMBER.get(look.code)
    return known(look, load) if known else errors.Unreachable(load.sender, phrase("aria2c-says", reason=said))
