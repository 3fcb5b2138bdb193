"""What is still right in a file that is to be replaced becomes the beginning of its replacement.

Why so: the journal that was kept of an object (``vouchers``) knows its ranges by digest. With a
damaged file in the part's place and that journal beside it, the object is one that has not quite
arrived: the fetch brings what the journal cannot prove, and the sha256 of the whole decides, as
ever. Killed at any point, the next run finds a part, or the file where it was.
"""

from __future__ import annotations

import contextlib
import os
import stat as modes
from collections.abc import Callable, Iterable

from hfclone.checkout.ground import Ground
from hfclone.checkout.vouchers import Vouchers
from hfclone.files.ondisk import clone_file
from hfclone.partials import Partials
from hfclone.pointer import Pointer
from hfclone.worktree import Standing

__all__ = ["salvage"]


def salvage(
    ground: Ground,
    vouchers: Vouchers,
    partials: Partials,
    pointer: Pointer,
    paths: Iterable[bytes],
    on_bytes: Callable[[int], None],
) -> bool:
    """Begin ``pointer``'s partial with a damaged file at one of ``paths``, or one that was set aside; whether it did.

    A damaged file is moved where nobody else has it; the user's own is copied, without taking disk where
    the file system can; ``on_bytes`` hears how many bytes more that were.
    """
    for path in paths:
        source = path if path in ground.damaged else ground.aside.get(path)
        if source is None:
            continue
        try:
            if vouchers.lay_out(pointer, partials):
                _begin(ground, partials, pointer, path, source, on_bytes)
                return True
        except OSError:  # a disk that is too full or cannot read it: then all is fetched
            partials.discard(pointer)
    return False


def _begin(
    ground: Ground,
    partials: Partials,
    pointer: Pointer,
    path: bytes,
    source: bytes,
    on_bytes: Callable[[int], None],
) -> None:
    part, standing = partials.part_path(pointer), ground.tree.look(source)
    if ground.is_damaged(path, standing) and _is_alone(standing, os.stat(partials.directory)):
        ground.tree.take(source, part, standing)
        ground.damaged.pop(path)
        with contextlib.suppress(OSError):  # whoever opens the part tells that it cannot be written
            os.chmod(part, modes.S_IMODE(os.stat(part).st_mode) | modes.S_IWUSR)
        return
    descriptor = ground.tree.open_file(source)
    try:
        part.unlink(missing_ok=True)  # a file of its own: nobody who has the old one open writes into this
        clone_file(descriptor, part, on_bytes)
    finally:
        os.close(descriptor)


def _is_alone(standing: Standing, beside: os.stat_result) -> bool:
    """Whether a file may be written to: it has no other name, and moves by a rename."""
    found = standing.stat
    return found is not None and found.st_nlink == 1 and found.st_dev == beside.st_dev
