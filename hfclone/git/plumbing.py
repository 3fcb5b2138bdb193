"""Git's commands on one repo, always plumbing and in batch."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from time import time
from types import MappingProxyType

from hfclone.errors import GitFailed, NotACheckout
from hfclone.files.access import Access
from hfclone.files.folders import files_below, make_folders, remove_folder, temporary_folder
from hfclone.files.refusals import refused
from hfclone.git.config import Config, as_file
from hfclone.git.places import common_dir_of, git_dir_of
from hfclone.git.running import Git, OnProgress
from hfclone.git.watching import Watch, held
from hfclone.names import is_full_sha
from hfclone.paths import show_path
from hfclone.wording import phrase
from hfclone.worktree import Abilities

__all__ = ["GitRepo", "IndexFlag", "StagedEntry", "TreeEntry", "in_batches", "scratch_repo"]

_KNOWN_MODES = {mode: mode for mode in ("100644", "100755", "120000", "160000")}
_BATCH = 20_000
"""Blobs read at once: of fewer than 1,024 bytes each, so 20 MB of memory at most."""
_ABANDONED_SECONDS = 3600.0
_BATCH_BYTES = 32 * 1024 * 1024
"""Small files read at once."""


@dataclass(frozen=True, slots=True)
class TreeEntry:
    """A file (100644, 100755), link (120000) or submodule (160000) of a commit; ``oid`` is git's id."""

    mode: str
    oid: str
    path: bytes

    @property
    def is_file(self) -> bool:
        """Whether it is a regular file: the only thing that may be a pointer."""
        return self.mode.startswith("100")


class IndexFlag(Enum):
    """What git may be told of a path of its index, named as ``git update-index`` names it."""

    SKIP_WORKTREE = "skip-worktree"
    ASSUME_UNCHANGED = "assume-unchanged"


@dataclass(frozen=True, slots=True)
class StagedEntry:
    """What git's index has for a path, and whether git was told to leave the file alone."""

    mode: str
    """As ``TreeEntry`` has it; ``unmerged`` while a conflict is not resolved."""
    oid: str
    skip_worktree: bool = False
    """Outside of a sparse checkout, or set by hand: git neither writes nor reads the file."""
    assume_unchanged: bool = False
    """Git does not look whether the file was edited."""


def in_batches(sizes: Mapping[str, int]) -> Iterator[list[str]]:
    """The ids of ``sizes`` (bytes by id) in lists that ``read_blobs`` may read without much memory."""
    batch: list[str] = []
    taken = 0
    for oid, size in sizes.items():
        if batch and taken + size > _BATCH_BYTES:
            yield batch
            batch, taken = [], 0
        batch.append(oid)
        taken += size
    if batch:
        yield batch


@contextmanager
def scratch_repo(git: Git) -> Iterator[GitRepo]:
    """An empty repo in a folder that goes: for what is only to be looked at."""
    with temporary_folder() as folder:
        repo = GitRepo(git, folder)
        repo.init("main", {"core.autocrlf": "false"})
        yield repo


class GitRepo:
    """The git repo of a work tree at ``path``. Paths of the tree go by stdin, as bytes, NUL behind each.

    ``git_dir`` has HEAD and index, ``common_dir`` the rest: they differ in a linked work tree. ``remote`` is the name
    of the remote whose branches the checkout follows. Every method raises ``GitFailed`` where git fails and says
    nothing else.
    """

    def __init__(self, git: Git, path: Path, git_dir: Path | None = None) -> None:
        """``git_dir`` where that is not what the work tree says."""
        self.git = git
        self.path = path.absolute()
        self.git_dir = git_dir or git_dir_of(self.path)
        self.common_dir = common_dir_of(self.git_dir)
        self.remote = "origin"
        self.config = Config(self.run)
        self.check_place: Callable[[], None] = lambda: None
        """Called before each command: whoever works here for long says whether this is still the place."""
        self._commits: set[str] = set()
        """Commits that were found here with their root trees; what is here stays."""
        self._entries: dict[str, list[TreeEntry]] = {}
        self._sizes: dict[str, int] = {}
        """Sizes of blobs that are here; what is here stays."""

    def run(
        self,
        *args: str,
        stdin: bytes = b"",
        index: Path | None = None,
        work_tree: Path | None = None,
        config: Sequence[tuple[str, str]] = (),
    ) -> bytes:
        """Run a command that speaks to nobody. ``index`` and ``work_tree`` take the place of the repo's."""
        self.check_place()
        # The -C matters: GitPython quietly stays where it is if it cannot change directory.
        extra = self._extra(work_tree) | {"GIT_INDEX_FILE": str(index or self.git_dir / "index")}
        return self.git.run(["-C", str(work_tree or self.path), *args], stdin=stdin, extra=extra, config=config)

    def speak(
        self,
        *args: str,
        stdin: bytes = b"",
        config: Sequence[tuple[str, str]] = (),
        on_progress: OnProgress | None = None,
        watch: Watch | None = None,
        timeout: float | None = None,
    ) -> bytes:
        """Run a command that speaks to a far side."""
        self.check_place()
        args, extra = ("-C", str(self.path), *args), self._extra()
        if self.git_dir == self.path / ".git":  # it stays with the directory then, should that be moved meanwhile
            extra = {"GIT_DIR": ".git", "GIT_WORK_TREE": "."}
        return self.git.run(
            args, stdin=stdin, extra=extra, speaks=True, config=config, on_progress=on_progress, watch=watch,
            timeout=timeout,
        )  # fmt: skip

    @property
    def abilities(self) -> Abilities:
        """What git says of the work tree's file system."""
        on = self.config.is_on
        return Abilities(links=on("core.symlinks", default=True), modes=on("core.filemode", default=True))

    @property
    def access(self) -> Access:
        """Who else may read and write what lies in it."""
        return Access.said(self.config.value("core.sharedrepository"))

    def init(self, branch: str, values: Mapping[str, str] = MappingProxyType({})) -> None:
        """Make the repo, or complete what a killed run left of it; ``HEAD`` on ``branch``, no template of a user's.

        A new one has ``values`` in its configuration: as a template, at once, where each would be a run of git.
        """
        with self._template(values) as template:
            words = ["--quiet", f"--template={template}", f"--initial-branch={branch}"]
            self.git.run(["init", *words, "--", str(self.path)])
        self.config.forget()

    @contextmanager
    def _template(self, values: Mapping[str, str]) -> Iterator[str]:
        """A folder with a configuration, beside what is made of it: elsewhere there may be no room. Empty for none."""
        if not values:
            yield ""
            return
        folder = self.git_dir / "hfclone" / "template"
        try:
            make_folders(folder)
            (folder / "config").write_text(as_file(values), "utf-8")
        except OSError as error:
            raise refused(error, folder) from error
        try:
            yield str(folder)
        finally:
            remove_folder(folder)

    def check_ids(self) -> None:
        """Refuse a repo whose ids are sha256: nothing here would know a file by them.

        Raises:
            NotACheckout: they are.
        """
        ids = self.config.get("extensions.objectformat")
        if ids not in (None, "sha1"):
            raise NotACheckout(str(self.path), phrase("other-ids", ids=ids), phrase("go-with-lfs"))

    def with_attribute(self, name: str, value: str, paths: Collection[bytes]) -> set[bytes]:
        """Those of ``paths`` to which the index's attributes (and the user's) give ``value``."""
        fields = self.run("check-attr", "-z", "--stdin", "--cached", name, stdin=_listed(paths)).split(b"\0")[:-1]
        return {path for path, said in zip(fields[::3], fields[2::3], strict=True) if said == value.encode()}

    def resolve(self, name: str) -> str | None:
        """The commit that ``name`` is, if it and its root tree are here."""
        if not self._has_objects():
            return None
        out = self._cat_file("--batch-check=%(objectname)", (f"{name}^{{commit}}", f"{name}^{{tree}}"))
        found, *more = out.split()  # of what is not here more is said than an id
        return found.decode("ascii") if len(more) == 1 else None

    def _has_objects(self) -> bool:
        """Whether anything may be here: in a repo just made nothing is, and git need not be asked."""
        try:
            folders = list((self.common_dir / "objects").iterdir())
            return any(folder.name not in ("info", "pack") or any(folder.iterdir()) for folder in folders)
        except OSError:
            return True  # git will say

    def has_commit(self, commit: str) -> bool:
        """Whether the commit and its root tree are here; says nothing about its blobs."""
        found = commit in self._commits or self.resolve(commit) is not None
        if found and is_full_sha(commit):
            self._commits.add(commit)
        return found

    def commits_beginning(self, digits: str) -> set[str]:
        """Commits that any ref leads to and whose id begins with ``digits``; needs no trees."""
        listed = self.run("rev-list", "--all").decode("ascii").split()
        return {commit for commit in listed if commit.startswith(digits)}

    def refs(self, *prefixes: str) -> dict[str, str]:
        """Refs under any of ``prefixes`` with what they name."""
        out = self.run("for-each-ref", "--format=%(refname) %(objectname)", *prefixes)
        return dict(line.split(" ", 1) for line in out.decode("utf-8", "surrogateescape").splitlines())

    def tree_entries(self, commit: str) -> list[TreeEntry]:
        """Everything that ``commit`` holds, in the tree's order; reads no blob. An id is asked for once."""
        if commit in self._entries:
            return list(self._entries[commit])
        entries = self._list_tree(commit)
        if is_full_sha(commit):
            self._entries[commit] = list(entries)
        return entries

    def _list_tree(self, commit: str) -> list[TreeEntry]:
        listed = self.run("ls-tree", "-r", "-z", "--full-tree", commit)
        entries, at = [], 0
        while at < len(listed):  # row by row: a list of all of them would be most of what a run needs
            tab = listed.index(b"\t", at)
            stop = listed.index(b"\0", tab)
            mode, _, oid = listed[at:tab].decode("ascii").split(" ")
            entries.append(TreeEntry(_plain_mode(mode), oid, listed[tab + 1 : stop]))
            at = stop + 1
        return entries

    def blob_sizes(self, oids: Iterable[str]) -> dict[str, int | None]:
        """Sizes in bytes; ``None`` for what is not here."""
        found: dict[str, int | None] = dict.fromkeys(oids)
        wanted = [oid for oid in found if oid not in self._sizes]
        if wanted:
            lines = self._cat_file("--batch-check=%(objectsize)", wanted).split(b"\n")
            self._sizes.update((oid, int(line)) for oid, line in zip(wanted, lines, strict=False) if line.isdigit())
        for oid in found:
            found[oid] = self._sizes.get(oid)
        return found

    def read_blobs(self, oids: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        """Content of blobs that are here; meant for small ones.

        Raises:
            GitFailed: one is not here, or not any more.
        """
        for start in range(0, len(oids), _BATCH):
            batch = oids[start : start + _BATCH]
            data = self._cat_file("--batch=%(objectsize)", batch)
            at = 0
            for oid in batch:
                stop = data.index(b"\n", at)
                if not data[at:stop].isdigit():
                    self._sizes.clear()  # they were asked of a repo that has changed since
                    raise GitFailed("cat-file", 0, show_path(data[at:stop]))
                size = int(data[at:stop])
                yield oid, data[stop + 1 : stop + 1 + size]
                at = stop + size + 2

    def _cat_file(self, how: str, oids: Iterable[str]) -> bytes:
        return self.run("cat-file", "--buffer", how, stdin="".join(f"{oid}\n" for oid in oids).encode())

    def missing_blobs(self, commit: str) -> dict[str, bytes]:
        """Ids of blobs of ``commit`` that are not here, each with one of its paths."""
        paths = {entry.oid: entry.path for entry in self.tree_entries(commit) if entry.mode != "160000"}
        return {oid: paths[oid] for oid, size in self.blob_sizes(paths).items() if size is None}

    def has_trees(self, commit: str) -> bool:
        """Whether all trees are here: a killed fetch may have left some of them."""
        try:
            self.tree_entries(commit)
        except GitFailed:
            return False
        return True

    def is_whole(self, commit: str) -> bool:
        """Whether the commit, its trees and its blobs are here."""
        return self.has_commit(commit) and self.has_trees(commit) and not self.missing_blobs(commit)

    def write_blob(self, data: bytes) -> str:
        """Store ``data`` and return its id. Git's own sha1 sees the known collision attacks; hashlib's does not."""
        return self.run("hash-object", "-w", "--no-filters", "--stdin", stdin=data).decode().strip()

    def hash_files(self, paths: Sequence[bytes]) -> dict[bytes, str]:
        """What git would store for files of the work tree, line ends as its user has them; filters are off."""
        listed = b"".join(b'"%s"\n' % b"".join(b"\\%03o" % byte for byte in path) for path in paths)
        out = self.run("hash-object", "--stdin-paths", stdin=listed, config=self.config.no_filters)
        return dict(zip(paths, out.decode("ascii").split(), strict=True))

    def read_tree(self, commit: str, index: Path) -> None:
        """Make ``index`` that of ``commit``; touches no file."""
        self._clear_lock(index)
        self.run("read-tree", "--reset", "-i", commit, index=index)

    def update_index(self, index: Path, changes: Iterable[TreeEntry], gone: Iterable[bytes]) -> None:
        """Put entries into ``index`` and take paths out of it; touches no file."""
        rows = [b"0 %s\t%s\0" % (b"0" * 40, path) for path in gone]
        self._clear_lock(index)
        rows += [b"%s %s\t%s\0" % (e.mode.encode(), e.oid.encode(), e.path) for e in changes]
        self.run("update-index", "-z", "--index-info", stdin=b"".join(rows), index=index)

    def outside_sparse(self, entries: Collection[TreeEntry], scratch: Path) -> set[bytes]:
        """The paths of ``entries``, which no index has yet, that lie outside of the user's sparse checkout, if any.

        Git itself judges, since its patterns are not those of ``.gitignore``; ``scratch`` is a directory for it, empty
        or not there.

        Raises:
            CannotWrite, DiskFull: the system refuses.
        """
        if self.config.in_force("core.").get("core.sparsecheckout") != "true" or not entries:
            return set()
        index = scratch.with_name(scratch.name + ".index")
        try:
            self.access.make_folder(scratch)
            index.unlink(missing_ok=True)
        except OSError as error:
            raise refused(error, scratch) from error
        try:
            self.update_index(index, entries, ())
            self.run("sparse-checkout", "reapply", index=index, work_tree=scratch)
            return {path for path, entry in self.staged(index).items() if entry.skip_worktree}
        finally:
            index.unlink(missing_ok=True)

    def _clear_lock(self, index: Path) -> None:
        """Of an index of our own a killed git leaves its lock, and nobody but us has one there."""
        if index != self.git_dir / "index":
            index.with_name(f"{index.name}.lock").unlink(missing_ok=True)

    def write_plain_index(self) -> None:
        """Rewrite the index in full: neither split nor sparse."""
        self.run("update-index", "--no-split-index", "--force-write-index")

    def staged(self, index: Path | None = None) -> dict[bytes, StagedEntry]:
        """Every entry of the index (the repo's, unless another is named) by path."""
        found: dict[bytes, StagedEntry] = {}
        for row in self.run("ls-files", "-s", "-v", "-z", "--full-name", index=index).split(b"\0")[:-1]:
            meta, _, path = row.partition(b"\t")
            tag, mode, oid, stage = meta.decode("ascii").split(" ")
            known = mode if stage == "0" else "unmerged"
            found[path] = StagedEntry(known, oid, tag in ("S", "s"), tag.islower())
        return found

    def set_flag(self, index: Path, flag: IndexFlag, paths: Collection[bytes]) -> None:
        """Have git leave ``paths``, which are in ``index``, alone."""
        if paths:
            self.run("update-index", "-z", f"--{flag.value}", "--stdin", stdin=_listed(paths), index=index)

    def checkout_files(self, index: Path, directory: Path, paths: Iterable[bytes]) -> None:
        """Write files of ``index`` as git would check them out (line ends, links), below ``directory``.

        Line ends are those of the repo's configuration and of the index's own attributes. Filters are off,
        whichever the user configured: pointers stay pointers, and no program of theirs runs.
        """
        self.run(
            "checkout-index", "--force", "-z", "--stdin", stdin=_listed(paths), index=index, work_tree=directory,
            config=[*self.config.no_filters, ("core.attributesFile", os.devnull)],
        )  # fmt: skip

    def update_ref(self, ref: str, commit: str, message: str = "hfclone") -> None:
        """Let ``ref`` name ``commit``."""
        self.run("update-ref", "-m", message, ref, commit)

    def delete_ref(self, ref: str) -> None:
        """Remove a ref of ours."""
        self.run("update-ref", "-d", ref)

    def head_branch(self) -> str | None:
        """The full name of the branch that ``HEAD`` is on; ``None`` if it is detached."""
        return self._maybe("symbolic-ref", "--quiet", "HEAD").decode("utf-8", "surrogateescape").strip() or None

    def work_tree_of(self, ref: str) -> str | None:
        """Where ``ref`` is checked out, if that is another of the repo's work trees; it may have been removed."""
        if not (self.common_dir / "worktrees").is_dir():
            return None
        for row in self.run("worktree", "list", "--porcelain").decode("utf-8", "surrogateescape").split("\n\n"):
            facts = dict(line.partition(" ")[::2] for line in row.splitlines())
            if facts.get("branch") == ref and not _is_same(Path(facts["worktree"]), self.path):
                return facts["worktree"]
        return None

    def head_to_branch(self, ref: str) -> None:
        """Put ``HEAD`` on the branch ``ref``."""
        self.run("symbolic-ref", "-m", "hfclone", "HEAD", ref)

    def head_to_commit(self, commit: str) -> None:
        """Detach ``HEAD`` at ``commit``."""
        self.run("update-ref", "--no-deref", "-m", "hfclone", "HEAD", commit)

    def clear_stale(self) -> None:
        """Remove what a killed git leaves and every later one trips over. Only under our own lock."""
        for name in ("index.lock", "HEAD.lock"):
            (self.git_dir / name).unlink(missing_ok=True)
        for name in ("shallow.lock", "config.lock", "packed-refs.lock"):
            (self.common_dir / name).unlink(missing_ok=True)
        folders = (("objects/pack", "tmp_*"), ("objects", "tmp_*"), ("refs/hfclone", "*.lock"))
        left = [path for name, pattern in folders for path in (self.common_dir / name).glob(pattern) if path.is_file()]
        for path in set(left) - held(left):  # a user's own git may be at work
            path.unlink(missing_ok=True)
        for ref in files_below(self.common_dir / "refs"):
            if ref.suffix == ".lock":
                ref.unlink(missing_ok=True)

    def clear_abandoned(self) -> None:
        """Remove packs that nobody has written to for an hour, and nobody has ended: they may fill the disk."""
        for left in (self.common_dir / "objects" / "pack").glob("tmp_*"):
            with suppress(OSError):
                if left.stat().st_mtime < time() - _ABANDONED_SECONDS:
                    left.unlink()

    def _extra(self, work_tree: Path | None = None) -> dict[str, str]:
        # Named, not found: a broken .git must not let git go up to a repo around it.
        return {"GIT_DIR": str(self.git_dir), "GIT_WORK_TREE": str(work_tree or self.path)}

    def _maybe(self, *args: str) -> bytes:
        """Stdout of a question that git answers with status 1 or 128 for no."""
        try:
            return self.run(*args)
        except GitFailed as error:
            if error.is_killed:
                raise
            return b""


def _listed(paths: Iterable[bytes]) -> bytes:
    """``paths`` as git reads them with ``-z``."""
    return b"".join(path + b"\0" for path in paths)


def _plain_mode(mode: str) -> str:
    """Old trees hold 100664 and the like; git takes them for 100644 everywhere else."""
    if mode in _KNOWN_MODES or not mode.startswith("100"):
        return _KNOWN_MODES.get(mode, mode)  # one text for all that are the same
    return "100755" if int(mode, 8) & 0o100 else "100644"


def _is_same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:  # one of them is gone
        return False
