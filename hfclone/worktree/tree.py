"""A work tree: looking at a path of it, and placing, moving and removing what stands there."""

from __future__ import annotations

import errno
import itertools
import os
from collections.abc import Iterable
from pathlib import Path

from hfclone.errors import CannotWrite, DiskFull, HfcloneError
from hfclone.files.ondisk import free_bytes, replace_across, sync_directory, take_across
from hfclone.files.refusals import refused
from hfclone.paths import aside_of, show_path
from hfclone.wording import phrase
from hfclone.worktree.standing import FileMode, Kind, Standing, kind_of, with_mode
from hfclone.worktree.walking import Walk

__all__ = ["WorkTree"]

_NOFOLLOW: int = getattr(os, "O_NOFOLLOW", 0)


class WorkTree:
    """The tree below ``root``. Paths are those of git: bytes, ``/`` between parts, checked by ``check_tree``.

    Not for several threads at once.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._walk = Walk(root)

    def close(self) -> None:
        """Let the handles go."""
        self._walk.close()

    def look(self, path: bytes) -> Standing:
        """What stands at ``path``."""
        try:
            name, handle = self._walk.leaf(path)
            found = os.stat(name, dir_fd=handle, follow_symlinks=False)
        except FileNotFoundError:
            return Standing(Kind.ABSENT)
        except OSError as error:
            if error.errno in (errno.ENOTDIR, errno.ELOOP):
                return Standing(Kind.BLOCKED)
            raise CannotWrite(show_path(path), error.strerror or str(error)) from error
        return Standing(kind_of(found.st_mode), found)

    def absent(self, paths: Iterable[bytes]) -> list[bytes]:
        """Those of ``paths`` at which nothing stands. A directory is asked once for all that it holds."""
        names: dict[bytes, frozenset[bytes]] = {}
        doubtful = []
        for path in paths:
            folder, _, name = path.rpartition(b"/")
            if folder not in names:
                names[folder] = self._held(folder)
            if name not in names[folder]:
                doubtful.append(path)
        # It may stand there by a name that the file system takes for the same, or behind what is no directory.
        return [path for path in doubtful if self.look(path).kind is Kind.ABSENT]

    def _held(self, folder: bytes) -> frozenset[bytes]:
        try:
            return frozenset(self._walk.names(folder))
        except OSError:
            return frozenset()

    def open_file(self, path: bytes) -> int:
        """A descriptor of the regular file at ``path``, for reading. The caller closes it.

        Raises:
            OSError: it cannot be opened, or is a link.
        """
        name, handle = self._walk.leaf(path)
        return os.open(name, os.O_RDONLY | _NOFOLLOW | getattr(os, "O_BINARY", 0), dir_fd=handle)

    def read_link(self, path: bytes) -> bytes:
        """Where the link at ``path`` leads."""
        name, handle = self._walk.leaf(path)
        return os.fsencode(os.readlink(name, dir_fd=handle))

    def list_files(self, path: bytes) -> list[bytes]:
        """Everything below the directory ``path`` that is no directory itself."""
        found: list[bytes] = []
        folders = [path]
        while folders:
            folder = folders.pop()
            for entry in self._walk.names(folder):
                below = folder + b"/" + entry
                (folders if self.look(below).kind is Kind.DIRECTORY else found).append(below)
        return found

    def place(self, source: Path | str, path: bytes, expected: Standing) -> os.stat_result:
        """Rename ``source`` to ``path``, making its directories, and return the stat it has there.

        ``expected`` is what the caller saw there last. Across file systems it is copied beside
        ``path``, synced, and renamed.

        Raises:
            CannotWrite: something else stands there by now, or the system refuses.
            DiskFull: no room.
        """
        self._expect(path, expected)
        try:
            name, handle = self._walk.leaf(path, make=True)
            if expected.kind is Kind.DIRECTORY:
                os.rmdir(name, dir_fd=handle)
            try:
                os.replace(source, name, dst_dir_fd=handle)
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                replace_across(Path(source), name, handle)
            return os.stat(name, dir_fd=handle, follow_symlinks=False)
        except OSError as error:
            raise self._translated(error, path) from error

    def sync_directory(self, path: bytes) -> None:
        """Have the directory of ``path`` on the disk."""
        _, handle = self._walk.leaf(path)
        if handle is not None:
            sync_directory(handle)

    def set_mtime(self, path: bytes, mtime_ns: int) -> None:
        """Set the mtime of the regular file at ``path``."""
        descriptor = self.open_file(path)
        try:
            os.utime(descriptor if os.utime in os.supports_fd else self.root / os.fsdecode(path), ns=(mtime_ns,) * 2)
        finally:
            os.close(descriptor)

    def set_executable(self, path: bytes, mode: FileMode) -> None:
        """Give or take the regular file's executable bits, following who may read it.

        Raises:
            CannotWrite: the system refuses.
        """
        try:
            descriptor = self.open_file(path)
            try:
                if hasattr(os, "fchmod"):
                    os.fchmod(descriptor, with_mode(os.fstat(descriptor).st_mode, mode))
            finally:
                os.close(descriptor)
        except OSError as error:
            raise self._translated(error, path) from error

    def make_directory(self, path: bytes) -> None:
        """Make an (empty) directory: what git has for a submodule."""
        try:
            name, handle = self._walk.leaf(path, make=True)
            os.mkdir(name, dir_fd=handle)
        except FileExistsError:
            return
        except OSError as error:
            raise self._translated(error, path) from error

    def remove(self, path: bytes, expected: Standing) -> None:
        """Remove the file, link or directory without files at ``path``, and the directories that are empty then.

        ``expected`` is what the caller saw there last.

        Raises:
            CannotWrite: another file stands there by now, or the system refuses.
        """
        if expected.kind is not Kind.DIRECTORY:  # of one, only what is empty goes
            self._expect(path, expected)
        try:
            if expected.kind is Kind.DIRECTORY:
                self._remove_directories(path)
            else:
                name, handle = self._walk.leaf(path)
                os.unlink(name, dir_fd=handle)
        except FileNotFoundError:
            pass  # its directories may have to go all the same
        except OSError as error:
            raise self._translated(error, path) from error
        self.prune(path)

    def _remove_directories(self, path: bytes) -> None:
        """Remove the directory ``path`` and those below it, as far as they hold nothing else. Raises ``OSError``."""
        folders = [path]
        for folder in folders:
            below = (folder + b"/" + name for name in self._walk.names(folder))
            folders += [one for one in below if self.look(one).kind is Kind.DIRECTORY]
        for folder in reversed(folders):
            self._walk.forget()
            name, handle = self._walk.leaf(folder)
            os.rmdir(name, dir_fd=handle)

    def prune(self, path: bytes) -> None:
        """Remove the directories on the way to ``path`` that are empty."""
        self._walk.forget()
        while b"/" in path:
            path = path.rpartition(b"/")[0]
            try:
                name, handle = self._walk.leaf(path)
                os.rmdir(name, dir_fd=handle)
            except FileNotFoundError:
                continue
            except OSError:
                return  # not empty, or not ours to remove

    def take(self, path: bytes, target: Path, expected: Standing) -> bool:
        """Rename the file or link at ``path`` to ``target``, out of the tree; returns whether it is there now.

        To another file system it is copied. Where that has no room for it, it is removed for good. ``expected`` is
        what the caller saw there last. Raises as ``remove``.
        """
        self._expect(path, expected)
        name, handle = self._walk.leaf(path)
        try:
            os.replace(name, target, src_dir_fd=handle)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise self._translated(error, path) from error
            return self._take_across(path, target, expected)
        return True

    def _take_across(self, path: bytes, target: Path, expected: Standing) -> bool:
        name, handle = self._walk.leaf(path)
        try:
            take_across(name, handle, target)
        except OSError as error:
            failure = refused(error, show_path(path), folder=target.parent)
            if not isinstance(failure, DiskFull):
                raise failure from error
            self.remove(path, expected)
            return False
        return True

    def link_to(self, path: bytes, target: Path) -> None:
        """Make ``target``, out of the tree, another name of the regular file at ``path``. Raises ``OSError``."""
        name, handle = self._walk.leaf(path)
        os.link(name, target, src_dir_fd=handle, follow_symlinks=False)

    def set_aside(self, path: bytes) -> bytes:
        """Rename what stands at ``path`` (a directory with all below it) to a free name beside it, and return that."""
        self._walk.forget()
        for number in itertools.count(1):
            aside = aside_of(path, number)
            if self.look(aside).kind in (Kind.ABSENT, Kind.BLOCKED):
                break
        try:
            name, handle = self._walk.leaf(path)
            new = os.path.join(os.path.dirname(name), os.fsdecode(aside.rpartition(b"/")[2]))
            os.rename(name, new, src_dir_fd=handle, dst_dir_fd=handle)
        except OSError as error:
            raise self._translated(error, path) from error
        self._walk.forget()  # what was open may be what has moved
        return aside

    def free_bytes(self) -> int | None:
        """Room on the tree's file system, in bytes; ``None`` where that does not say."""
        try:
            return free_bytes(self.root)
        except OSError as error:
            raise refused(error, self.root) from error

    def _translated(self, error: OSError, path: bytes) -> HfcloneError:
        return refused(error, show_path(path), folder=(self.root / os.fsdecode(path)).parent)

    def _expect(self, path: bytes, expected: Standing) -> None:
        """Make sure that what the caller saw at ``path`` still stands there, and its directories, too."""
        self._walk.renew(path)
        if not self.look(path).is_same(expected):
            raise CannotWrite(show_path(path), phrase("changed-meanwhile"))
