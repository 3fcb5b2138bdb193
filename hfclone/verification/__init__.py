"""Whether the files of a checkout are what they must be, every byte of them. Offline, and reads only."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from hfclone.checkout.existing import Existing
from hfclone.checkout.looking import as_git_has_it
from hfclone.checkout.stamps import Stamps, looks_placed
from hfclone.errors import CannotWrite
from hfclone.events import OnEvent, Working, ignore
from hfclone.files.folders import temporary_folder
from hfclone.git import Git, GitRepo, Staged, TreeEntry, scratch_repo
from hfclone.git.index import Recorded, recorded_files
from hfclone.lock.model import LINK_MODE, SUBMODULE_MODE, LockedRepo
from hfclone.paths import is_aside
from hfclone.pointer import Pointer
from hfclone.selection.choices import ALL, Choice
from hfclone.verification.inspection import Looked
from hfclone.verification.reader import Reading
from hfclone.verification.targets import Finding, Problem, TargetFile, committed_targets, locked_targets
from hfclone.wording import phrase
from hfclone.worktree import Abilities, FileMode, Kind, Standing, WorkTree

__all__ = ["Audit", "Reading", "Select", "Trust", "audit_checkout", "audit_directory"]

Select = Callable[[Mapping[bytes, int]], Collection[bytes]]
"""Picks the paths whose objects are wanted; it is given each path's size, 0 for what is no object."""

_HEAD = b".git/HEAD"


class Trust(Enum):
    """What is believed of a large file that looks as when it was verified."""

    STAMPS = "stamps"
    NOTHING = "nothing"
    """It is read all the same."""


@dataclass(frozen=True, slots=True)
class Audit:
    """What was looked at, and what was found, sorted by path. ``read_bytes`` were hashed."""

    path: Path
    commit: str
    files: int
    objects: int
    read_bytes: int
    findings: tuple[Finding, ...]
    aside: tuple[bytes, ...] = ()
    """Files of the user's that ``--backup`` moved aside, by their names. They are nobody's fault."""
    choice: Choice = ALL
    """What the checkout was made with, where that was asked instead of the user: pointers that it leaves stay."""


def audit_checkout(
    here: Existing,
    locked: LockedRepo | None = None,
    *,
    select: Select = frozenset,
    trust: Trust = Trust.NOTHING,
    on_event: OnEvent = ignore,
    reading: Reading | None = None,
) -> Audit:
    """Read the files of a checkout: those of its HEAD, or those that ``locked`` says.

    Objects at other paths than those that ``select`` picks may be pointers. With ``Trust.STAMPS``
    large files that look as when they were verified are not read again. ``reading`` is of the same
    checkout, and may have begun.
    """
    flaws: list[Finding] = []
    if locked is None:
        targets = committed_targets(here, flaws)
    else:
        targets = locked_targets(locked)
        if here.commit != locked.pin.commit:
            flaws.append(Finding(_HEAD, Problem.COMMIT, locked.pin.commit, here.commit))
    if not targets:  # git's objects are unreadable: nothing can be compared
        return _sum(here.path, here.commit, targets, flaws, _Compared())
    with ExitStack() as stack:
        reading = reading or stack.enter_context(Reading.of_checkout(here.path))
        recorded, staged = recorded_files(here.repo.git_dir / "index"), Staged.read(here.repo)
        run = _Run(here.path, reading, recorded, staged, trust, select, on_event, here.repo.abilities)
        found = run.compare(targets, here.repo)
    commit = here.commit if locked is None else locked.pin.commit
    return _sum(here.path, commit, targets, flaws, found)


def audit_directory(
    path: Path, git: Git, locked: LockedRepo, *, select: Select = frozenset, on_event: OnEvent = ignore
) -> Audit:
    """The same for a copy without ``.git``: the lock alone says what must be there."""
    targets = locked_targets(locked)
    with scratch_repo(git) as empty:
        repo = GitRepo(git, path, empty.git_dir)
        with Reading(path, Stamps(empty.path / "none")) as reading:
            run = _Run(path, reading, {}, Staged(), Trust.NOTHING, select, on_event, Abilities())
            found = run.compare(targets, repo)
    return _sum(path, locked.pin.commit, targets, (), found)


@dataclass(frozen=True, slots=True)
class _Compared:
    """What one comparison came to."""

    findings: tuple[Finding, ...] = ()
    aside: tuple[bytes, ...] = ()
    read: int = 0


def _sum(path: Path, commit: str, targets: Sequence[TargetFile], flaws: Sequence[Finding], found: _Compared) -> Audit:
    objects = sum(target.pointer is not None for target in targets)
    findings = sorted([*flaws, *found.findings], key=lambda finding: (finding.path, finding.problem.value))
    return Audit(path, commit, len(targets), objects, found.read, tuple(findings), found.aside)


# --- what is -----------------------------------------------------------------------------------


@dataclass
class _Run:
    """One comparison of a work tree with what must be in it."""

    root: Path
    reading: Reading
    recorded: Mapping[bytes, Recorded]
    staged: Staged
    trust: Trust
    select: Select
    on_event: OnEvent
    able: Abilities
    _selected: Collection[bytes] = ()
    _findings: list[Finding] = field(default_factory=list)
    _other: dict[bytes, tuple[TargetFile, str]] = field(default_factory=dict)
    """Small files whose raw bytes are not git's: line ends may have been converted."""

    def compare(self, targets: Sequence[TargetFile], repo: GitRepo) -> _Compared:
        """All that is wrong, what was moved aside, and how many bytes were read."""
        self._selected = self.select({target.path: _object_size(target) for target in targets if target.selected})
        with _tree(self.root) as tree:
            standing = {target.path: tree.look(target.path) for target in targets}
        todo = [target for target in targets if self._needs_reading(target, standing[target.path])]
        # The largest first, so that both threads end together.
        todo.sort(key=lambda target: -_size(standing[target.path]))
        read, total = 0, sum(_size(standing[target.path]) for target in todo)
        self.reading.ask(todo, standing)
        extra = _extras(repo, targets)
        for looked in self.reading.answers(lambda done: self._tell(min(done, total), total)):
            read += looked.size
            self._judge(looked, standing[looked.target.path])
        self._tell(total, total)
        self._settle_conversions(repo, targets, standing)
        self._findings += [Finding(path, Problem.EXTRA) for path in extra if not is_aside(path)]
        return _Compared(tuple(self._findings), tuple(filter(is_aside, extra)), read)

    def _tell(self, done: int, total: int) -> None:
        self.on_event(Working(phrase("verifying"), done, total))

    def _needs_reading(self, target: TargetFile, standing: Standing) -> bool:
        """Judge by looks alone where they tell enough."""
        match standing.kind, target.mode:
            case (Kind.ABSENT | Kind.BLOCKED, _):
                if not self.staged.is_skipped(target.path):
                    is_users = self.staged.is_changed(target.path, target.mode, target.oid)
                    self._find(target, Problem.REMOVED if is_users else Problem.MISSING)
            case (Kind.DIRECTORY, mode) if mode == SUBMODULE_MODE:
                pass  # its content is another repo's
            case (kind, mode) if mode == LINK_MODE and self.able.can_be(kind, mode):
                return True
            case (Kind.FILE, mode) if mode not in (LINK_MODE, SUBMODULE_MODE):
                self._check_mode(target, standing)
                return not self._is_trusted(target, standing)
            case (kind, mode):
                self._find(target, Problem.KIND, mode, kind.value)
        return False

    def _check_mode(self, target: TargetFile, standing: Standing) -> None:
        if standing.stat is not None and not self.able.has_mode(standing.stat, target.mode):
            self._find(target, Problem.MODE, target.mode, FileMode.of(standing.stat).value)

    def _is_trusted(self, target: TargetFile, standing: Standing) -> bool:
        stamp = self.reading.stamps.get(target.path)
        return (
            self.trust is Trust.STAMPS
            and target.pointer is not None
            and stamp is not None
            and standing.stat is not None
            and stamp.fits(target.pointer, standing.stat)
        )

    def _judge(self, looked: Looked, standing: Standing) -> None:
        target = looked.target
        if not looked.is_read:
            self._find(target, Problem.UNREADABLE)
        elif target.pointer is not None:
            self._judge_object(looked, target.pointer, standing)
        elif target.mode == LINK_MODE or looked.git_id == target.oid:
            if looked.git_id != target.oid:
                self._find(target, Problem.CHANGED, target.oid, looked.git_id)
            elif target.sha256 and looked.sha256 != target.sha256:
                self._find(target, Problem.CHANGED, target.sha256, looked.sha256)
        else:
            self._other[target.path] = target, looked.git_id

    def _judge_object(self, looked: Looked, pointer: Pointer, standing: Standing) -> None:
        if looked.sha256 == pointer.oid:
            return
        if looked.is_pointer:
            if looked.target.path in self._selected:
                self._find(looked.target, Problem.POINTER, pointer.oid)
            return
        damaged = self._looks_placed(looked.target, pointer, standing)
        self._find(looked.target, Problem.DAMAGED if damaged else Problem.CHANGED, pointer.oid, looked.sha256)

    def _looks_placed(self, target: TargetFile, pointer: Pointer, standing: Standing) -> bool:
        stamp, known = self.reading.stamps.get(target.path), self.recorded.get(target.path)
        return standing.stat is not None and looks_placed(pointer, target.oid, standing.stat, stamp, known)

    def _settle_conversions(
        self, repo: GitRepo, targets: Sequence[TargetFile], standing: Mapping[bytes, Standing]
    ) -> None:
        """Ask git of files that it may have written with other line ends, or in another encoding."""
        if not self._other:
            return
        doubtful = [_entry(target) for target, _raw in self._other.values()]
        with temporary_folder() as scratch, _tree(self.root) as tree:
            right = as_git_has_it(repo, tree, doubtful, map(_entry, targets), scratch)
        for path, (target, raw) in self._other.items():
            if path in right:
                continue
            known, stat = self.recorded.get(path), standing[path].stat
            untouched = known is not None and stat is not None and known.fits(stat.st_mtime_ns, stat.st_size)
            damaged = untouched and known is not None and known.oid == target.oid
            self._find(target, Problem.DAMAGED if damaged else Problem.CHANGED, target.oid, raw)

    def _find(self, target: TargetFile, problem: Problem, expected: str = "", found: str = "") -> None:
        self._findings.append(Finding(target.path, problem, expected, found))


def _extras(repo: GitRepo, targets: Sequence[TargetFile]) -> list[bytes]:
    """Files that are nobody's. An index of our own: what the user staged is not the commit's."""
    with temporary_folder() as scratch:
        index = scratch / "index"
        repo.update_index(index, map(_entry, targets), ())
        return repo.run("ls-files", "--others", "--exclude-standard", "-z", index=index).split(b"\0")[:-1]


@contextmanager
def _tree(root: Path) -> Iterator[WorkTree]:
    try:
        tree = WorkTree(root)
    except OSError as error:
        raise CannotWrite(str(root), error.strerror or str(error)) from error
    with closing(tree):
        yield tree


def _entry(target: TargetFile) -> TreeEntry:
    return TreeEntry(target.mode, target.oid, target.path)


def _object_size(target: TargetFile) -> int:
    return 0 if target.pointer is None else target.pointer.size


def _size(standing: Standing) -> int:
    return 0 if standing.stat is None else standing.stat.st_size
