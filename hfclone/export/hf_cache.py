"""A checkout's files in the Hub cache, so that ``from_pretrained("org/name")`` finds them offline.

Large files by ``sharing``; small ones are git's own bytes, written there. All that is named by its
digest is put in place by a rename, whole and right, or not at all; the ref comes last, and so does
whoever asks by branch. Of huggingface_hub's locks none is needed, since its own rule is the same: a
lock saves it a download, never correctness.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from hfclone.checkout.existing import Existing, state_directory
from hfclone.checkout.overview import State
from hfclone.checkout.owner import owned
from hfclone.checkout.stamps import Stamps
from hfclone.errors import BadOption, CannotWrite, DiskFull
from hfclone.events import ByteCount, OnEvent, Shared, Warned, Working, ignore
from hfclone.export.halfdone import HalfDone
from hfclone.export.holdings import Holding, read_holdings, refuse_edits
from hfclone.export.hub_layout import CACHEDIR_TAG, CacheLayout, tree_text
from hfclone.export.sharing import Sharer, way_between
from hfclone.files.folders import make_folders
from hfclone.files.hashing import sha256_of
from hfclone.files.ondisk import free_bytes, sync_file
from hfclone.files.refusals import refused
from hfclone.git import in_batches, run_lock_of
from hfclone.lock.model import git_id
from hfclone.names import CacheLink, Repo, is_revision
from hfclone.plan import SPARE_BYTES, Plan
from hfclone.selection.select import select
from hfclone.settings import Settings, has_cache_links, hub_cache
from hfclone.wording import phrase
from hfclone.worktree import Kind, WorkTree

__all__ = ["fill_cache", "foretell"]


def fill_cache(
    here: Existing, repo: Repo, revision: str | None, settings: Settings, on_event: OnEvent = ignore
) -> Shared:
    """Put what the checkout has of its commit into the Hub cache, as ``revision`` of ``repo``.

    Objects that were not fetched, or that the settings' patterns leave out, are left out; huggingface_hub
    knows of them. What the cache has already is kept where it is right, and put right where it is not.

    Raises:
        Conflicts: a large file was edited. Nothing was touched.
        CheckoutBusy: another run works on the checkout.
        DiskFull: copies would not fit; told before the first.
        BadOption: the file system cannot do what ``--cache-link`` asks for, or ``revision`` cannot be one.
        CannotWrite, NotAsCommitted: as they say.
    """
    if revision is not None and not is_revision(revision):  # it becomes a file's path
        raise BadOption("--revision", revision, phrase("it-cannot-be-revision"))
    layout = CacheLayout(hub_cache(settings), repo)
    _make_folders(here, layout)
    with (
        owned(run_lock_of(here.path), here.path, here.repo.access),
        closing(WorkTree(here.path)) as tree,
        closing(WorkTree(layout.snapshot(here.commit))) as snapshot,
    ):
        found = read_holdings(here, tree, on_event)
        chosen = _chosen(here, found, settings)
        half_done = HalfDone(layout.blobs)
        try:
            done = _Filling(here, layout, tree, snapshot, half_done, settings, on_event).fill(found, chosen, revision)
        except OSError as error:
            raise refused(error, folder=layout.blobs) from error
        finally:
            half_done.clear()
    on_event(done)
    return done


def foretell(plan: Plan, state: Path, repo: Repo, settings: Settings, on_event: OnEvent) -> None:
    """Say before the first large byte is fetched what the cache will take of the disk. ``state`` is the checkout's.

    Raises:
        DiskFull: it would not fit. BadOption: ``--cache-link`` asks for what cannot be done.
    """
    layout = CacheLayout(hub_cache(settings), repo)
    pointers = (*plan.missing, *plan.copies, *plan.present)
    lacking = [one.size for one in pointers if not _has_size(layout.blobs / one.oid, one.size)]
    try:
        make_folders(layout.blobs)
    except OSError as error:
        raise refused(error, folder=layout.root) from error
    _told(state, layout, settings.cache_link, sum(lacking), 0, on_event)


def _make_folders(here: Existing, layout: CacheLayout) -> None:
    try:
        here.repo.access.make_folder(state_directory(here.repo))
        for folder in (layout.blobs, layout.snapshot(here.commit)):
            make_folders(folder)
    except OSError as error:
        raise refused(error, str(error.filename or layout.folder)) from error


def _chosen(here: Existing, found: Collection[Holding], settings: Settings) -> list[Holding]:
    """What goes into the cache: the small files, and the large ones that are wanted and here.

    Raises:
        Conflicts: one of these was edited.
    """
    large = {one.path: one.size for one in found if one.pointer is not None}
    wanted = select(large, settings)
    refuse_edits(here, (one for one in found if one.path in wanted))
    return [one for one in found if one.path not in large or (one.path in wanted and one.state is State.PRESENT)]


def _told(
    state: Path, layout: CacheLayout, choice: CacheLink, large: int, small: int, on_event: OnEvent
) -> tuple[CacheLink, int]:
    """How ``large`` bytes of large files come, and how many bytes of disk that takes; what it costs is said.

    Raises:
        DiskFull: it does not fit.
    """
    way = way_between(state, layout.blobs, choice)
    need = small + (large if way is CacheLink.COPY else 0)
    if large and way is CacheLink.HARDLINK:
        on_event(Warned("cache-hardlink", {"need": large}))
    if large and way is CacheLink.COPY and choice is CacheLink.AUTO:
        on_event(Warned("cache-copies", {"folder": layout.folder, "need": large}))
    free = free_bytes(layout.blobs)
    if need and free is not None and need + SPARE_BYTES > free:
        raise DiskFull(str(layout.folder), need + SPARE_BYTES, free)
    return way, need


@dataclass(frozen=True, slots=True)
class _Place:
    """Where bytes have to come: a blob, or without links a ``path`` of the snapshot."""

    one: Holding
    target: Path
    path: bytes | None


class _Filling:
    """One cache's folder of a repo, being filled. Raises ``OSError`` besides our own."""

    def __init__(
        self,
        here: Existing,
        layout: CacheLayout,
        tree: WorkTree,
        snapshot: WorkTree,
        half_done: HalfDone,
        settings: Settings,
        on_event: OnEvent,
    ) -> None:
        self._here, self._layout, self._tree, self._snapshot = here, layout, tree, snapshot
        self._choice = settings.cache_link
        self._on_event = on_event
        self._seen = Stamps(state_directory(here.repo) / "cache-stamps", here.repo.access)
        self._half_done = half_done
        self._with_links = has_cache_links(settings) and half_done.can_link()

    def fill(self, files: Collection[Holding], here: Collection[Holding], revision: str | None) -> Shared:
        """Put those of ``files`` there that are ``here``.

        The listing comes first, since by it a snapshot that is cut short is known; the ref last.
        """
        todo = list(self._wrong(self._places(here)))
        way, need = self._way(todo)
        self._write_once(self._layout.root / "CACHEDIR.TAG", CACHEDIR_TAG)
        self._write_once(self._layout.tree(self._here.commit), tree_text(files))
        self._put_small([place for place in todo if place.one.pointer is None])
        self._put_large([place for place in todo if place.one.pointer is not None], way)
        if self._with_links:
            self._link(here)
        self._seen.save([os.fsencode(place.target) for place in self._places(here)])
        if revision not in (None, self._here.commit):
            self._write_ref(str(revision))
        return Shared(
            "hf-cache", self._layout.snapshot(self._here.commit), len(here), len(files) - len(here), need, way.value
        )

    # --- what is to be done --------------------------------------------------------------------

    def _places(self, here: Iterable[Holding]) -> list[_Place]:
        if self._with_links:
            once = {one.etag: one for one in here}
            return [_Place(one, self._layout.blobs / etag, None) for etag, one in once.items()]
        root = self._snapshot.root
        return [_Place(one, root / os.fsdecode(one.path), one.path) for one in here]

    def _wrong(self, places: Iterable[_Place]) -> Iterator[_Place]:
        """Those where nothing stands, or something else."""
        standing = [(place, _stat(place.target)) for place in places]
        to_read = sum(place.one.size for place, stat in standing if stat and self._has_to_read(place, stat))
        steps = ByteCount(phrase("cache-verifying"), to_read, self._on_event)
        for place, stat in standing:
            if stat is None:
                yield place
            elif not self._is_right(place, stat, steps):
                self._on_event(Warned("cache-damaged", {"path": place.target}))
                yield place

    def _has_to_read(self, place: _Place, stat: os.stat_result) -> bool:
        one, stamp = place.one, self._seen.get(os.fsencode(place.target))
        if stat.st_size != one.size or one.pointer is None:
            return False
        shared = one.stat is not None and os.path.samestat(stat, one.stat)
        return not shared and not (stamp is not None and stamp.fits(one.pointer, stat))

    def _is_right(self, place: _Place, stat: os.stat_result, steps: ByteCount) -> bool:
        one = place.one
        if stat.st_size != one.size:
            return False
        if one.pointer is None:
            return git_id("blob", place.target.read_bytes()) == one.blob_id
        if not self._has_to_read(place, stat):
            return True
        if sha256_of(place.target.resolve(), steps.advance) != one.etag:
            return False
        self._seen.add(os.fsencode(place.target), one.pointer, stat)
        return True

    def _way(self, todo: Iterable[_Place]) -> tuple[CacheLink, int]:
        """How large files come, and how many bytes of disk all that takes."""
        large = sum(place.one.size for place in todo if place.one.pointer is not None)
        small = sum(place.one.size for place in todo if place.one.pointer is None)
        return _told(state_directory(self._here.repo), self._layout, self._choice, large, small, self._on_event)

    # --- and done ------------------------------------------------------------------------------

    def _put_small(self, places: Iterable[_Place]) -> None:
        wanted: dict[str, list[_Place]] = {}
        for place in places:
            wanted.setdefault(place.one.blob_id, []).append(place)
        sizes: Mapping[str, int] = {oid: rows[0].one.size for oid, rows in wanted.items()}
        done = 0
        for batch in in_batches(sizes):
            written = [
                (place, self._half_done.written(data))
                for oid, data in self._here.repo.read_blobs(batch)
                for place in wanted[oid]
            ]
            for place, fresh in written:  # one sync takes the others with it, if all is written before
                sync_file(fresh)
                self._put(place, fresh)
            done += len(batch)
            self._on_event(Working(phrase("small-files"), done, len(sizes)))

    def _put_large(self, places: Iterable[_Place], way: CacheLink) -> None:
        listed = list(places)
        sharer = Sharer(self._tree, self._here.commit, way, may_copy=self._choice is CacheLink.AUTO)
        total = sum(place.one.size for place in listed)
        steps = ByteCount(phrase("cache-filling"), total if way is CacheLink.COPY else 0, self._on_event)
        for place in listed:
            fresh = self._half_done.name()
            sharer.bring(place.one, fresh, steps)
            self._put(place, fresh)
            stat = _stat(place.target)
            if stat is not None and place.one.pointer is not None:
                self._seen.add(os.fsencode(place.target), place.one.pointer, stat)

    def _put(self, place: _Place, fresh: Path) -> None:
        if place.path is None:
            fresh.replace(place.target)
            return
        try:
            self._snapshot.place(fresh, place.path, self._snapshot.look(place.path))
        except CannotWrite:
            if not _has_size(place.target, place.one.size):
                raise  # else somebody else was quicker

    def _link(self, here: Iterable[Holding]) -> None:
        """Links into ``blobs``, relative, so that the cache may be moved as a whole."""
        for one in here:
            text = "../" * (one.path.count(b"/") + 2) + f"blobs/{one.etag}"
            if self._is_link(one.path, text):
                continue
            fresh = self._half_done.linked(text)
            try:
                self._snapshot.place(fresh, one.path, self._snapshot.look(one.path))
            except CannotWrite:
                if not self._is_link(one.path, text):
                    raise  # else somebody else was quicker

    def _is_link(self, path: bytes, text: str) -> bool:
        return self._snapshot.look(path).kind is Kind.LINK and self._snapshot.read_link(path) == text.encode()

    def _write_once(self, file: Path, data: bytes) -> None:
        """What is there already may know more (a tree's Xet hashes), and is not worse."""
        if not file.exists():
            make_folders(file.parent)
            self._half_done.written(data).replace(file)

    def _write_ref(self, revision: str) -> None:
        file, commit = self._layout.ref(revision), self._here.commit.encode()
        make_folders(file.parent)
        if not file.is_file() or file.read_bytes() != commit:
            self._half_done.written(commit).replace(file)


def _has_size(file: Path, size: int) -> bool:
    stat = _stat(file)
    return stat is not None and stat.st_size == size


def _stat(file: Path) -> os.stat_result | None:
    """Of what stands there, behind whatever links; ``None`` where nothing does."""
    try:
        return file.stat()
    except OSError:
        return None
