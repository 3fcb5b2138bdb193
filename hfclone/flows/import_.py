"""Files that anything fetched, taken into a checkout: whole objects into place, beginnings into partials."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from hfclone.checkout import Checkout
from hfclone.checkout.existing import find_existing
from hfclone.errors import BadOption
from hfclone.events import ByteCount, OnEvent, Planned, Verified, ignore
from hfclone.files.hashing import sha256_of
from hfclone.flows.planning import plan_of
from hfclone.flows.pull import offline_git, opened_where_it_is
from hfclone.names import Taking
from hfclone.plan import Plan
from hfclone.pointer import Oid, Pointer
from hfclone.reuse.adopting import Adopted, Adopter, Unlike, Unused, finish_move
from hfclone.reuse.leftovers import Contradiction, find_leftovers, keep_leftover
from hfclone.reuse.moves import Moves
from hfclone.reuse.searching import walk
from hfclone.selection.select import wanting_all
from hfclone.settings import Settings
from hfclone.wording import phrase

__all__ = ["Imported", "Taken", "import_files"]


@dataclass(frozen=True, slots=True)
class Taken:
    """``size`` bytes of the object at ``path`` of the checkout, from the file ``source``."""

    path: bytes
    source: Path
    size: int


@dataclass(slots=True)
class Imported:
    """What came of it."""

    path: Path
    objects: list[Taken] = field(default_factory=list)
    """Verified, and in place."""
    partials: list[Taken] = field(default_factory=list)
    """Kept unverified: the next run fetches what is missing of them."""
    unused: list[Unused] = field(default_factory=list)
    useless: list[Path] = field(default_factory=list)
    """What was named and brought nothing that was not here already."""
    missing: tuple[Pointer, ...] = ()
    """Objects that are not here yet."""


def import_files(
    places: Sequence[Path], directory: Path | None, taking: Taking, settings: Settings, on_event: OnEvent = ignore
) -> Imported:
    """Take what the checkout at ``directory`` lacks from ``places``, files or folders, whatever things are called.

    Raises:
        BadOption: there is nothing at one of ``places``.
        LocalError: this machine cannot, or the checkout cannot be used.
    """
    for place in places:
        try:
            place.stat()
        except OSError as error:
            raise BadOption("PATH", str(place), error.strerror or str(error)) from error
    settings = wanting_all(settings)
    here = find_existing(directory, offline_git(settings))
    with opened_where_it_is(here, settings, on_event, needs_host=False) as (checkout, tools):
        todo = plan_of(checkout, tools, _without_fetching(on_event))
        for pointer in todo.copies:
            checkout.copy(pointer, todo.paths[pointer.oid])
        return _Importing(checkout, todo, taking, on_event).done(places)


def _without_fetching(on_event: OnEvent) -> OnEvent:
    return lambda event: on_event(replace(event, fetching=False) if isinstance(event, Planned) else event)


class _Importing:
    def __init__(self, checkout: Checkout, todo: Plan, taking: Taking, on_event: OnEvent) -> None:
        self._checkout = checkout
        self._todo = todo
        self._on_event = on_event
        self._partials = checkout.partials()
        self._adopter = Adopter(self._partials, taking, on_event)
        self._left: dict[Oid, Pointer] = {pointer.oid: pointer for pointer in todo.missing}
        self._made = Imported(checkout.path)
        self._moves = Moves(checkout.state / "moves", checkout.access)

    def done(self, places: Sequence[Path]) -> Imported:
        """Look at one place after the other.

        What an earlier run, killed or not, has taken from a place counts as taken from it now.
        """
        before = self._moves.finish(self._checkout.inodes)
        for place in map(Path.absolute, places):
            taken = len(self._made.objects) + len(self._made.partials)
            unused = self._take_objects(place)
            held = self._keep_leftovers(place, unused)
            self._made.unused += unused.values()
            is_used = len(self._made.objects) + len(self._made.partials) > taken or held
            if not (is_used or any(source.is_relative_to(place) for source in before) or self._is_spare(place)):
                self._made.useless.append(place)
                if not unused:
                    self._made.unused.append(Unused(place, _nothing(place)))
        self._checkout.settle()
        self._moves.keep(places)
        self._made.missing = tuple(self._left.values())
        return self._made

    def _take_objects(self, place: Path) -> dict[Path, Unused]:
        unused: dict[Path, Unused] = {}
        for found in self._adopter.adopt(place, self._left):
            match found:
                case Adopted(arrived, source, shared):
                    pointer = arrived.pointer
                    paths = self._todo.paths[pointer.oid]
                    finish = None
                    if shared is not None:
                        self._moves.begin(source, shared)
                        finish = partial(finish_move, source, shared)
                    self._checkout.place(pointer, arrived.part, paths, finish=finish)
                    self._partials.discard(pointer)
                    self._made.objects.append(Taken(paths[0], source, pointer.size))
                    self._on_event(Verified(pointer))
                case Unlike(path, sha256):
                    unused[path] = Unused(path, phrase("sha256-of-none", sha256=sha256))
                case Unused(path):
                    unused[path] = found
        return unused

    def _keep_leftovers(self, place: Path, unused: dict[Path, Unused]) -> bool:
        """Whether something of ``place`` was kept before, all of it."""
        held = False
        for leftover in list(find_leftovers(place, self._left, self._todo.paths)):
            progress = ByteCount(phrase("keeping"), leftover.here.size, self._on_event)
            pointer = leftover.pointer
            try:
                kept = keep_leftover(leftover, self._partials, progress.advance)
            except Contradiction:
                reason = phrase("differs")
                unused[leftover.path] = Unused(leftover.path, reason)
                continue
            except OSError as error:
                unused[leftover.path] = Unused(leftover.path, error.strerror or str(error))
                continue
            if kept:
                self._made.partials.append(Taken(self._todo.paths[pointer.oid][0], leftover.path, kept))
            else:
                held = True
                unused[leftover.path] = Unused(leftover.path, phrase("more-is-here"))
        return held

    def _is_spare(self, place: Path) -> bool:
        """Whether it is a file whose object is in place already, or there is one in it."""
        here = {pointer.oid: pointer for pointer in (*self._todo.present, *self._todo.copies, *self._todo.missing)}
        for oid in self._left:
            del here[oid]
        sizes = {pointer.size for pointer in here.values() if pointer.size}
        return any(self._is_object(file, here, sizes) for file in walk(place))

    def _is_object(self, file: Path, here: Mapping[Oid, Pointer], sizes: Collection[int]) -> bool:
        try:
            size = file.stat().st_size
            if size not in sizes or not file.is_file():
                return False
            return sha256_of(file.resolve(), ByteCount(phrase("verifying"), size, self._on_event).advance) in here
        except OSError:
            return False


def _nothing(place: Path) -> str:
    if place.is_dir():
        return phrase("nothing-in-it")
    return phrase("size-of-none", size=place.stat().st_size)
