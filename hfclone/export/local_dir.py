"""A checkout as a ``local_dir`` of huggingface_hub: its notes on each file, so that it fetches none of them again.

The notes lie below ``.cache/huggingface``, which ignores itself in git's eyes. A note is good while the
file's mtime is not younger than it; a file that was edited gets none, and neither does what is not here.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from stat import S_ISLNK

from hfclone.checkout.existing import Existing, state_directory
from hfclone.checkout.overview import State
from hfclone.checkout.owner import owned
from hfclone.events import OnEvent, Shared, Warned, Working, ignore
from hfclone.export.holdings import Holding, read_holdings, refuse_edits
from hfclone.export.hub_layout import CACHEDIR_TAG, LOCAL_STATE, metadata_text, tree_text
from hfclone.files.refusals import refused
from hfclone.git import run_lock_of
from hfclone.paths import show_path
from hfclone.wording import phrase
from hfclone.worktree import WorkTree

__all__ = ["note_local_dir"]

_TELL_EVERY = 256
"""Notes between two words of progress."""


def note_local_dir(here: Existing, on_event: OnEvent = ignore) -> Shared:
    """Write huggingface_hub's notes for all of the commit that stands in the checkout.

    Raises:
        Conflicts: a file was edited: huggingface_hub would write over it. Nothing was touched.
        CheckoutBusy: another run works on the checkout.
        CannotWrite: this machine cannot.
    """
    state = state_directory(here.repo)
    try:
        here.repo.access.make_folder(state)
    except OSError as error:
        raise refused(error, state) from error
    with owned(run_lock_of(here.path), here.path, here.repo.access), closing(WorkTree(here.path)) as tree:
        found = read_holdings(here, tree, on_event)
        refuse_edits(here, found)
        present = [one for one in found if one.state is State.PRESENT]
        try:
            taken = _Notes(here, tree, {one.path for one in found}, state / "note").write(found, present, on_event)
        except OSError as error:
            raise refused(error, folder=here.path) from error
    done = Shared("local-dir", here.path, len(present), len(found) - len(present), taken, "")
    on_event(done)
    return done


class _Notes:
    """Files below ``.cache/huggingface``, unless the commit has a file of that name."""

    def __init__(self, here: Existing, tree: WorkTree, committed: set[bytes], fresh: Path) -> None:
        self._here, self._tree, self._committed, self._fresh = here, tree, committed, fresh
        self._taken = 0
        self._left: list[bytes] = []

    def write(self, found: Iterable[Holding], present: list[Holding], on_event: OnEvent) -> int:
        """All of them; the bytes that they take."""
        commit = self._here.commit
        self._put(b".gitignore", b"*")
        self._put(b"CACHEDIR.TAG", CACHEDIR_TAG)
        self._put(f"trees/{commit}.json".encode(), tree_text(found), once=True)
        for number, one in enumerate(present, start=1):
            text = metadata_text(commit, one.etag, _good_until(one))
            self._put(b"download/" + one.path + b".metadata", text)
            if number % _TELL_EVERY == 0 or number == len(present):
                on_event(Working(phrase("notes"), number, len(present)))
        if self._left:
            names = ", ".join(map(show_path, self._left[:3]))
            on_event(Warned("local-dir-committed", {"number": len(self._left), "names": names}))
        return self._taken

    def _put(self, name: bytes, data: bytes, *, once: bool = False) -> None:
        path = LOCAL_STATE + b"/" + name
        standing = self._tree.look(path)
        if path in self._committed:
            self._left.append(path)
        elif not (once and standing.stat):
            self._fresh.write_bytes(data)
            self._tree.place(self._fresh, path, standing)
            self._taken += len(data)


def _good_until(one: Holding) -> float:
    """The file's own mtime, so that the next edit is seen at once. What a link leads to has one of its own: now."""
    return time.time() if one.stat is None or S_ISLNK(one.stat.st_mode) else one.stat.st_mtime
