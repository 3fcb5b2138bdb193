"""A checkout: what stands in its work tree, and placing objects there so that git finds it clean.

Why so: git records for each file how it looked when git wrote it. An object that takes its
pointer's place is a change to git, and looking closer costs a hash of everything. So each placed
file is given a past mtime, and its stat is written into git's index (``git.index``): git then sees
nothing to look at. What else there is was tried: ``git add`` reads all of it again and stores a copy
(without git-lfs, as a blob of git's own); assume-unchanged and skip-worktree hide a user's edits, too.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import Enum

from hfclone.checkout.filtering import install_filter
from hfclone.checkout.ground import Ground
from hfclone.checkout.moving import Journal, Move, Side, Unfinished, read_side
from hfclone.checkout.opening import (
    Target,
    check_paths,
    inspect,
    prepare_directory,
    ready_repo,
    refuse_branch_elsewhere,
    refuse_own_commits,
    replace_torn_index,
    warn_of_lfsconfig,
)
from hfclone.checkout.owner import LastRun, owned
from hfclone.checkout.placing import Checkout
from hfclone.checkout.pointer_cache import read_known, write_known
from hfclone.checkout.stamps import Stamps
from hfclone.checkout.store import Store, open_store
from hfclone.errors import Conflicts, HfcloneError, LocalError
from hfclone.events import ByteCount, OnEvent, Warned, Working, ignore
from hfclone.files.folders import FixedFolders
from hfclone.files.refusals import refused
from hfclone.git import Git, GitRepo, Staged, git_dir_of, pointers_among, run_lock_of
from hfclone.git.index import Fresh
from hfclone.names import LfsStore
from hfclone.paths import show_path
from hfclone.wording import phrase
from hfclone.worktree import WorkTree

__all__ = ["Checkout", "Edits", "Target", "open_checkout"]


class Edits(Enum):
    """What becomes of a user's files that are in the way."""

    KEPT = "kept"
    """They end the run before anything is touched."""
    ASIDE = "aside"
    """Each is renamed to a free ``NAME.hfclone-orig-N``."""


@contextmanager
def open_checkout(
    target: Target,
    git: Git,
    bring: Callable[[GitRepo], None],
    *,
    lfs_store: LfsStore = LfsStore.AUTO,
    edits: Edits = Edits.KEPT,
    on_event: OnEvent = ignore,
) -> Iterator[Checkout]:
    """Make a checkout of ``target``, with pointers in place of what is not here, and hold it.

    ``bring`` has to get the commit and all its blobs into the repo it is given. ``lfs_store`` says
    how git-lfs's store is filled, ``edits`` what becomes of files in the way.

    Raises:
        NotACheckout, OtherCheckout, CheckoutBusy, OwnCommits, CannotWrite: the directory cannot be used.
        NoReflink: the file system cannot do what ``lfs_store`` asks for.
        UnsafePath: the commit holds what must not be written here.
        Conflicts: files of the user's are in the way. Nothing of the work tree was touched.
        CheckoutMoved: the directory was moved, removed or replaced meanwhile.
        HfcloneError: whatever ``bring`` raises.
    """
    target = replace(target, dest=target.dest.absolute())
    inspect(target, git)
    prepare_directory(target)
    with (
        owned(run_lock_of(target.dest), target.dest) as last_run,
        contextlib.closing(WorkTree(target.dest)) as tree,
        _fixed(target) as folders,
    ):
        repo = ready_repo(target, git, after_kill=last_run is LastRun.KILLED)
        repo.check_place = folders.check
        replace_torn_index(repo, on_event)
        store = open_store(repo, lfs_store, on_event)
        bring(repo)
        (repo.git_dir / "FETCH_HEAD").unlink(missing_ok=True)
        checkout = _Opening(target, repo, tree, store, edits, on_event).moved()
        try:
            yield checkout
        except BaseException:
            # What was placed is to be clean; why the run ends is more important than that.
            with contextlib.suppress(HfcloneError, OSError):
                checkout.settle()
            raise
        checkout.settle()


@contextmanager
def _fixed(target: Target) -> Iterator[FixedFolders]:
    """What has to stay where it is; whatever fails where it has not is called so.

    Raises:
        CheckoutMoved: a directory of the checkout is another by now, or is there no more.
    """
    try:
        folders = FixedFolders(target.dest, git_dir_of(target.dest), target.state, target.state / "parts")
    except OSError as error:
        raise refused(error, target.dest) from error
    with contextlib.closing(folders):
        try:
            yield folders
        except (LocalError, OSError):
            folders.check()
            raise


@dataclass(frozen=True)
class _Opening:
    """Moving work tree, index and HEAD to the target's commit, whose objects are all here."""

    target: Target
    repo: GitRepo
    tree: WorkTree
    store: Store
    edits: Edits
    on_event: OnEvent

    def moved(self) -> Checkout:
        """The checkout, at the commit."""
        repo, commit, state = self.repo, self.target.pin.commit, self.target.state
        entries = repo.tree_entries(commit)
        check_paths(repo, entries)
        known = read_known(state / "pointers")
        pointers, bad = pointers_among(repo, entries, known)
        write_known(state / "pointers", known, entries, pointers, repo.access)
        warn_of_lfsconfig(repo, entries, self.on_event)
        after = Side({entry.path: entry for entry in entries}, pointers)
        journal, stamps = Journal(state / "journal", repo.access), Stamps(state / "stamps", repo.access)
        refuse_own_commits(repo, self.target.branch, commit)
        refuse_branch_elsewhere(repo, self.target.branch)
        self.on_event(Working(phrase("files"), 0, len(entries)))
        head, unfinished = repo.resolve("HEAD") or "", journal.read()
        if unfinished is not None and not unfinished.is_from(head):
            unfinished = None
        before = head if unfinished is None else unfinished.before
        fresh: dict[bytes, Fresh] = {}
        if unfinished is not None and unfinished.after not in (before, commit) and repo.is_whole(unfinished.after):
            # What that move has placed already is no commit's of this one: it would be taken for the user's.
            fresh, before = self._finished(stamps, unfinished), unfinished.after
            journal.write(Unfinished(before, commit, head))
        move = self._judged(stamps, after if before == commit else read_side(repo, before), after)
        ground = Ground(repo, self.tree, after, stamps, self.store)
        checkout = Checkout(self.target.pin, ground, bad, self.on_event)
        if not move.is_nothing or before != commit or unfinished is not None or not (repo.git_dir / "index").exists():
            try:
                journal.write(Unfinished(before, commit, head))
                move.apply(commit, lambda: _set_refs(repo, commit, self.target.branch))
            except BaseException:
                if move.is_as_before and unfinished is None:
                    journal.drop()
                raise
            checkout.note_written(fresh | move.fresh)
        else:
            _set_refs(repo, commit, self.target.branch)
        ground.note_staged(Staged.read(repo))
        install_filter(repo, after, has_store=self.store.is_filled)
        checkout.adopt_held()
        checkout.settle()
        _drop_refs(repo, commit)
        journal.drop()
        self.on_event(Working(phrase("files"), len(entries), len(entries)))
        return checkout

    def _finished(self, stamps: Stamps, unfinished: Unfinished) -> dict[bytes, Fresh]:
        """Make work tree and index those of the commit that a killed run was going to; returns what was written."""
        sides = (read_side(self.repo, commit) for commit in (unfinished.before, unfinished.after))
        move = self._judged(stamps, *sides)
        move.apply(unfinished.after, lambda: None)
        return move.fresh

    def _judged(self, stamps: Stamps, before: Side, after: Side) -> Move:
        """A move in whose way nothing is (any more).

        Raises:
            Conflicts: a user's files are.
        """
        move = self._move(stamps, before, after)
        conflicts = move.judge()
        if conflicts and self.edits is Edits.ASIDE:
            for path, aside in move.set_aside(conflicts):
                self.on_event(Warned("set-aside", {"path": show_path(path), "aside": show_path(aside)}))
            move = self._move(stamps, before, after)
            conflicts = move.judge()
        if conflicts:
            raise Conflicts(str(self.repo.path), tuple(map(show_path, conflicts)))
        return move

    def _move(self, stamps: Stamps, before: Side, after: Side) -> Move:
        progress = ByteCount(phrase("verifying"), 0, self.on_event)
        state, staged = self.target.state, Staged.read(self.repo)
        return Move(self.repo, self.tree, stamps, state, before, after, staged, progress.advance)


def _set_refs(repo: GitRepo, commit: str, branch: str | None) -> None:
    """Let refs and HEAD say what the work tree is; HEAD last, after all that it leads to."""
    own = () if branch is None else (f"refs/remotes/{repo.remote}/{branch}", f"refs/heads/{branch}")
    there = repo.refs(f"refs/hfclone/{commit}", *own)

    def let(ref: str) -> None:
        if there.get(ref) != commit:
            repo.update_ref(ref, commit)

    let(f"refs/hfclone/{commit}")
    if branch is not None:
        let(f"refs/remotes/{repo.remote}/{branch}")
        repo.config.set(f"branch.{branch}.remote", repo.remote)
        repo.config.set(f"branch.{branch}.merge", f"refs/heads/{branch}")
        let(f"refs/heads/{branch}")
        if repo.head_branch() != f"refs/heads/{branch}":
            repo.head_to_branch(f"refs/heads/{branch}")
    elif repo.resolve("HEAD") != commit:
        repo.head_to_commit(commit)


def _drop_refs(repo: GitRepo, commit: str) -> None:
    """Forget other commits.

    Not before the branch has moved: until then these refs tell that its old tip is no commit of the user's.
    """
    for ref in repo.refs("refs/hfclone"):
        if ref != f"refs/hfclone/{commit}":
            repo.delete_ref(ref)
