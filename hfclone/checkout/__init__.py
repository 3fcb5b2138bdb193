"""A checkout: what stands in its work tree, and placing objects there so that git finds it clean.

Why so: git records for each file how it looked when git wrote it. An object that takes its
pointer's place is a change to git, and looking closer costs a hash of everything. So each placed
file is given a past mtime, and its stat is written into git's index (``gitindex``): git then sees
nothing to look at. See git-facts, section 2, for what else was tried.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import Enum
from pathlib import Path

from hfclone.checkout.looking import digest_of, holds_pointer
from hfclone.checkout.moving import Journal, Move, Side, held_objects, read_side
from hfclone.checkout.opening import (
    Found,
    configure,
    inspect,
    prepare_directory,
    refuse_own_commits,
    refuse_unfinished,
)
from hfclone.checkout.owner import LastRun, owned
from hfclone.checkout.stamps import Stamps
from hfclone.errors import BadPointer, CannotWrite, Conflicts, HfcloneError
from hfclone.events import OnEvent, Working, ignore
from hfclone.git import Git, GitRepo
from hfclone.gitindex import Fresh, SizeRule, Unpatched, patch_index
from hfclone.hashing import sha256_of
from hfclone.names import Pin
from hfclone.plan import Presence
from hfclone.pointer import Oid, Pointer
from hfclone.treepaths import Folding, Platform, check_tree, show_path
from hfclone.worktree import FileMode, Kind, Standing, WorkTree, clone_file, settle_mtime, with_mode

__all__ = ["Checkout", "Trust", "open_checkout"]

_MUNGING_GIT = (2, 43)
_RECENT_NS = 2 * 10**9
_DEFAULT_BRANCH = "main"
"""Where HEAD points while there is no commit yet."""


class Trust(Enum):
    """What is believed of a file that looks like one we verified."""

    STAMPS = "stamps"
    NOTHING = "nothing"
    """Everything is read and hashed again."""


@contextmanager
def open_checkout(
    pin: Pin,
    dest: Path,
    git: Git,
    *,
    branch: str | None,
    origin: str,
    bring: Callable[[GitRepo], None],
    mirrors: Collection[str] = (),
    on_event: OnEvent = ignore,
) -> Iterator[Checkout]:
    """Make ``dest`` a checkout of ``pin`` with pointers in place of what is not here, and hold it.

    ``bring`` has to get the commit and all its blobs into the repo it is given. ``branch`` is the
    branch that HEAD is to be on; without one it is detached. ``origin`` is the repo's canonical URL;
    ``mirrors`` are other URLs of the same repo that a clone made by git may have as its origin.

    Raises:
        NotACheckout, OtherCheckout, CheckoutBusy, OwnCommits, CannotWrite: ``dest`` cannot be used.
        UnsafePath: the commit holds what must not be written here.
        Conflicts: files of the user's are in the way. Nothing of the work tree was touched.
        HfcloneError: whatever ``bring`` raises.
    """
    dest = dest.absolute()
    inspect(pin, dest, git, origin=origin, mirrors=mirrors)
    prepare_directory(dest)
    state = dest / ".git" / "hfclone"
    with owned(state / "lock", dest) as last_run, contextlib.closing(WorkTree(dest)) as tree:
        found = inspect(pin, dest, git, origin=origin, mirrors=mirrors)
        repo = GitRepo(git, dest)
        if last_run is LastRun.KILLED:
            repo.clear_stale()
        if found is Found.FRESH:
            repo.init(branch or _DEFAULT_BRANCH)
        repo.drop_promisor()
        refuse_unfinished(repo)
        configure(repo, origin)
        bring(repo)
        (repo.git_dir / "FETCH_HEAD").unlink(missing_ok=True)
        checkout = _moved(pin, repo, tree, branch, on_event)
        try:
            yield checkout
        except BaseException:
            # What was placed is to be clean; why the run ends is more important than that.
            with contextlib.suppress(HfcloneError):
                checkout.settle()
            raise
        checkout.settle()


class Checkout:
    """A checkout at ``pin``, held by us. For one thread."""

    def __init__(
        self, pin: Pin, repo: GitRepo, tree: WorkTree, side: Side, bad: Sequence[BadPointer], stamps: Stamps
    ) -> None:
        self.pin = pin
        self.path = repo.path
        self.parts_dir = repo.git_dir / "hfclone" / "parts"
        self._repo = repo
        self._tree = tree
        self._side = side
        self._bad = tuple(bad)
        self._stamps = stamps
        self._fresh: dict[bytes, Fresh] = {}
        self._damaged: dict[bytes, Standing] = {}
        self._objects: dict[Oid, bytes] = {}

    def files(self) -> Mapping[bytes, Pointer]:
        """The commit's pointers by path, in the tree's order."""
        return self._side.pointers

    def bad_pointers(self) -> tuple[BadPointer, ...]:
        """Files that claim to be pointers and are not; they stay as git has them."""
        return self._bad

    def free_bytes(self) -> int:
        """Room on the checkout's file system, in bytes."""
        return self._tree.free_bytes()

    def inventory(self, trust: Trust, on_event: OnEvent = ignore) -> Mapping[bytes, Presence]:
        """What stands at the path of every pointer.

        A file of the right size without a stamp (a browser may have put it there) is hashed, and
        adopted if it is the object. With ``Trust.NOTHING`` a file that has changed under an
        untouched mtime is damage and not an edit: it counts as absent.
        """
        standing = {path: self._tree.look(path) for path in self.files()}
        progress = _Progress(on_event, sum(self._to_hash(p, standing[p], trust) for p in standing))
        return {path: self._presence(path, standing[path], trust, progress) for path in standing}

    def place(self, pointer: Pointer, part: Path, paths: Sequence[bytes]) -> None:
        """Put the object in ``part``, which the caller has verified, to all ``paths``; ``part`` is gone then.

        The first is a rename, the others are copies (never links: an edit would change them all).

        Raises:
            Conflicts: something stands there that is neither the pointer nor nothing.
            CannotWrite, DiskFull: this machine cannot.
        """
        free = self._placeable(pointer, paths)
        if not free:
            return
        try:
            with open(part, "rb") as file:
                os.fsync(file.fileno())
            self._put(pointer, part, free[0])
        except OSError as error:
            raise CannotWrite(str(part), error.strerror or str(error)) from error
        self._copy_to(pointer, free[0], free[1:])

    def copy(self, pointer: Pointer, paths: Sequence[bytes]) -> None:
        """Put an object that is in place at another path (``inventory`` has found it) to ``paths``, too.

        Raises as ``place`` does.
        """
        self._copy_to(pointer, self._objects[pointer.oid], self._placeable(pointer, paths))

    def settle(self) -> None:
        """Tell git and our stamps what was placed. Cheap if that was nothing; may be called often.

        Raises:
            CheckoutBusy: a git command is changing the index just now.
        """
        for path, pointer in self.files().items():
            stamp = self._stamps.get(path)
            if stamp is not None and stamp.oid == pointer.oid and path not in self._fresh:
                stat = self._tree.look(path).stat
                if stat is not None and stamp.fits(pointer, stat):
                    self._fresh[path] = Fresh(self._side.entries[path].oid, stat)
        rule = SizeRule.MUNGED if self._repo.git.version >= _MUNGING_GIT else SizeRule.ZERO
        index = self._repo.git_dir / "index"
        if isinstance(patch_index(index, self._fresh, rule), Unpatched):
            self._repo.write_plain_index()
            patch_index(index, self._fresh, rule)
        self._stamps.save(self.files())
        self._fresh.clear()

    # --- beneath -----------------------------------------------------------------------------

    def note_written(self, fresh: Mapping[bytes, Fresh]) -> None:
        """Files of git's own that were just written; ``settle`` tells the index."""
        self._fresh.update(fresh)

    def adopt_held(self) -> None:
        """Place objects that the move from another commit set aside; drop what is of no use."""
        wanted: dict[Oid, list[bytes]] = {}
        for path, pointer in self.files().items():
            wanted.setdefault(pointer.oid, []).append(path)
        for oid, part in held_objects(self._repo.git_dir / "hfclone").items():
            if oid in wanted and sha256_of(part) == oid:
                with contextlib.suppress(Conflicts):
                    self.place(self.files()[wanted[oid][0]], part, wanted[oid])
            part.unlink(missing_ok=True)

    def _to_hash(self, path: bytes, standing: Standing, trust: Trust) -> int:
        """Bytes that the inventory has to read of a file."""
        pointer, stat = self.files()[path], standing.stat
        if standing.kind is not Kind.FILE or stat is None or stat.st_size != pointer.size:
            return 0
        stamp = self._stamps.get(path)
        trusted = trust is Trust.STAMPS and stamp is not None and stamp.fits(pointer, stat)
        return 0 if trusted else pointer.size

    def _presence(self, path: bytes, standing: Standing, trust: Trust, progress: _Progress) -> Presence:
        pointer, stat = self.files()[path], standing.stat
        if standing.kind is Kind.ABSENT:
            return Presence.ABSENT
        if standing.kind is not Kind.FILE or stat is None:
            return Presence.FOREIGN
        if stat.st_size == pointer.size:
            if not self._to_hash(path, standing, trust) and pointer.size:
                self._objects[pointer.oid] = path
                return Presence.CONTENT
            if digest_of(self._tree, path, progress.advance) == pointer.oid:
                self._adopt(path, pointer, stat)
                return Presence.CONTENT
        if holds_pointer(self._tree, path, stat.st_size, pointer):
            return Presence.POINTER
        stamp = self._stamps.get(path)
        if trust is Trust.NOTHING and stamp is not None and stamp.oid == pointer.oid and stamp.is_untouched(stat):
            self._damaged[path] = standing
            return Presence.ABSENT
        return Presence.FOREIGN

    def _adopt(self, path: bytes, pointer: Pointer, stat: os.stat_result) -> None:
        """Take a file whose content is right for the object's; old enough that git need not read it."""
        recent = os.stat(self._repo.git_dir / "hfclone" / "lock").st_mtime_ns - _RECENT_NS
        if stat.st_mtime_ns > recent:
            with contextlib.suppress(OSError):  # another user's file: git will read it once
                self._tree.set_mtime(path, recent - 8 * 10**9)
        now = self._tree.look(path).stat
        if now is not None:
            self._stamps.add(path, pointer, now)
            self._objects[pointer.oid] = path

    def _placeable(self, pointer: Pointer, paths: Sequence[bytes]) -> list[bytes]:
        """Those of ``paths`` that do not hold the object yet."""
        free: list[bytes] = []
        conflicts: list[str] = []
        for path in paths:
            standing = self._tree.look(path)
            stat = standing.stat
            stamp = self._stamps.get(path)
            if standing.kind is Kind.ABSENT or self._is_damaged(path, standing):
                free.append(path)
            elif standing.kind is not Kind.FILE or stat is None:
                conflicts.append(show_path(path))
            elif stamp is not None and stamp.fits(pointer, stat):
                continue
            elif holds_pointer(self._tree, path, stat.st_size, pointer) or (stat.st_size == 0 and pointer.size == 0):
                free.append(path)
            else:
                conflicts.append(show_path(path))
        if conflicts:
            raise Conflicts(str(self.path), tuple(conflicts))
        return free

    def _is_damaged(self, path: bytes, standing: Standing) -> bool:
        return path in self._damaged and self._damaged[path].is_same(standing)

    def _put(self, pointer: Pointer, source: Path, path: bytes) -> None:
        """Rename ``source`` to ``path`` with git's mode and a past mtime, and stamp it."""
        mode = FileMode(self._side.entries[path].mode)
        if os.name == "posix":
            os.chmod(source, with_mode(os.stat(source).st_mode, mode))
        settle_mtime(source)
        stat = self._tree.place(source, path, self._tree.look(path))
        self._tree.sync_directory(path)
        self._damaged.pop(path, None)
        self._stamps.add(path, pointer, stat)
        self._objects[pointer.oid] = path
        self._fresh[path] = Fresh(self._side.entries[path].oid, stat)

    def _copy_to(self, pointer: Pointer, source: bytes, paths: Sequence[bytes]) -> None:
        for path in paths:
            target = self.parts_dir / f"{pointer.oid}.copy"
            try:
                descriptor = self._tree.open_file(source)
                try:
                    clone_file(descriptor, target)
                finally:
                    os.close(descriptor)
                stat = self._tree.look(source).stat
                if stat is None or not self._stamps[source].fits(pointer, stat):
                    raise Conflicts(str(self.path), (show_path(source),))
                self._put(pointer, target, path)
            except OSError as error:
                raise CannotWrite(show_path(path), error.strerror or str(error)) from error
            finally:
                target.unlink(missing_ok=True)


class _Progress:
    """Bytes hashed of those to hash, told at most once in 16 MiB."""

    _STEP = 16 * 1024 * 1024

    def __init__(self, on_event: OnEvent, total: int) -> None:
        self._on_event, self._total, self._done, self._told = on_event, total, 0, 0

    def advance(self, count: int) -> None:
        self._done += count
        if self._done - self._told >= self._STEP or self._done == self._total:
            self._told = self._done
            self._on_event(Working("verifying", self._done, self._total))


def _moved(pin: Pin, repo: GitRepo, tree: WorkTree, branch: str | None, on_event: OnEvent) -> Checkout:
    """Move work tree, index and HEAD to ``pin``'s commit, whose objects are all here."""
    state = repo.git_dir / "hfclone"
    entries = repo.tree_entries(pin.commit)
    folded = repo.config_get("core.ignorecase") == "true"
    check_tree(
        (entry.path for entry in entries),
        platform=Platform.WINDOWS if os.name == "nt" else Platform.POSIX,
        folding=Folding.FOLDED if folded else Folding.DISTINCT,
    )
    pointers, bad = repo.pointers_among(entries)
    after = Side({entry.path: entry for entry in entries}, pointers)
    journal, stamps = Journal(state / "journal"), Stamps(state / "stamps")
    came_from = journal.read()
    before = came_from if came_from is not None else repo.resolve("HEAD") or ""
    refuse_own_commits(repo, branch, pin.commit)
    on_event(Working("files", 0, len(entries)))
    move = Move(repo, tree, stamps, state, after if before == pin.commit else read_side(repo, before), after)
    move.judge()
    checkout = Checkout(pin, repo, tree, after, bad, stamps)
    if not move.is_nothing or before != pin.commit or came_from is not None or not (repo.git_dir / "index").exists():
        journal.write(before, pin.commit)
        move.apply(pin.commit)
        checkout.note_written(move.fresh)
    checkout.adopt_held()
    checkout.settle()
    _set_refs(repo, pin.commit, branch)
    journal.drop()
    on_event(Working("files", len(entries), len(entries)))
    return checkout


def _set_refs(repo: GitRepo, commit: str, branch: str | None) -> None:
    """Let refs and HEAD say what the work tree is; HEAD after all that it leads to."""
    repo.update_ref(f"refs/hfclone/{commit}", commit)
    if branch is not None:
        repo.update_ref(f"refs/remotes/origin/{branch}", commit)
        repo.config_set(f"branch.{branch}.remote", "origin")
        repo.config_set(f"branch.{branch}.merge", f"refs/heads/{branch}")
        repo.update_ref(f"refs/heads/{branch}", commit)
        if repo.head_branch() != f"refs/heads/{branch}":
            repo.head_to_branch(f"refs/heads/{branch}")
    elif repo.resolve("HEAD") != commit:
        repo.head_to_commit(commit)
    # Only now: until its branch has moved, a ref of ours tells that the old tip is no commit of the user's.
    for ref in repo.refs("refs/hfclone"):
        if ref != f"refs/hfclone/{commit}":
            repo.delete_ref(ref)
