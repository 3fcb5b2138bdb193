"""Repos on disk to be served: a bare git repo, and a flat folder of LFS objects named by their sha256."""

from __future__ import annotations

import hashlib
import itertools
import os
import random
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .blobs import Blobs, Row, read_tree

EPOCH = 1_700_000_000  # seconds; commit n is dated n minutes later, so that ids are the same on every run
AUTHOR = b"Hub Tester <tester@hub.invalid>"
BLOCK = 1024 * 1024  # bytes; each block of seeded content differs in its first 16

LFS_ATTRIBUTES = b"filter=lfs diff=lfs merge=lfs -text"
LFS_SUFFIXES = (
    b"7z arrow bin bz2 ckpt ftz gz h5 joblib lfs.* mlmodel model msgpack npy npz onnx ot parquet pb pickle pkl pt pth "
    b"rar safetensors"
).split()
LFS_SUFFIXES_2 = b"tar.* tar tflite tgz wasm xz zip zst".split()


def default_attributes() -> bytes:
    """The .gitattributes that the hub writes into every new repo."""
    lines = [b"*." + suffix for suffix in LFS_SUFFIXES]
    lines += [b"saved_model/**/*", *(b"*." + suffix for suffix in LFS_SUFFIXES_2), b"*tfevents*"]
    return b"".join(line + b" " + LFS_ATTRIBUTES + b"\n" for line in lines)


@dataclass(frozen=True, slots=True)
class Lfs:
    """An LFS object of ``size`` bytes that ``seed`` determines; ``sparse`` is all zeros but for its first 16 bytes."""

    size: int
    seed: int = 0
    sparse: bool = False

    def blocks(self) -> Iterator[bytes]:
        """Yield the content in blocks."""
        length = min(BLOCK, self.size)
        base = bytes(length) if self.sparse else random.Random(self.seed).randbytes(length)
        for at in range(0, self.size, BLOCK):
            mark = b"" if self.sparse and at else at.to_bytes(8, "big") + self.seed.to_bytes(8, "big")
            yield (mark + base[len(mark) :])[: self.size - at]

    @property
    def content(self) -> bytes:
        """All of it, for small ones."""
        return b"".join(self.blocks())


@dataclass(frozen=True, slots=True)
class LfsBytes:
    """An LFS object with this very content."""

    content: bytes

    def blocks(self) -> Iterator[bytes]:
        """Yield the content."""
        yield self.content

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self.content)


@dataclass(frozen=True, slots=True)
class Lost:
    """A pointer to an object that nobody has."""

    oid: str
    size: int


@dataclass(frozen=True, slots=True)
class Executable:
    """A plain blob with mode 100755."""

    content: bytes


@dataclass(frozen=True, slots=True)
class Symlink:
    """A symbolic link (mode 120000)."""

    target: bytes


@dataclass(frozen=True, slots=True)
class Submodule:
    """A commit of another repo (mode 160000)."""

    commit: str = "1" * 40


Content = bytes | str | Lfs | LfsBytes | Lost | Executable | Symlink | Submodule
Files = Mapping[Any, Content | None]  # keys are str or bytes (mappings are invariant in them); None removes the path


def pointer_text(oid: str, size: int) -> bytes:
    """Write a canonical LFS pointer; empty content is its own pointer."""
    if size == 0:
        return b""
    return b"version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize %d\n" % (oid.encode(), size)


class LivingRepo:
    """A repo that a test can go on committing to while it is served.

    ``objects`` maps the oid of every LFS object ever committed here to its size; contents are files in ``object_dir``.
    """

    def __init__(self, folder: Path, files: Files | None = None, *, object_dir: Path | None = None) -> None:
        """Make an empty bare repo below ``folder``, and a first commit if ``files`` are given."""
        self.git_dir = folder / "git"
        self.object_dir = object_dir or folder / "objects"
        self.objects: dict[str, int] = {}
        self._trees: dict[str, list[Row]] = {}
        self._files: dict[str, dict[bytes, Row]] = {}
        self._dates = itertools.count(EPOCH, 60)
        self._made: dict[Lfs, str] = {}
        self.object_dir.mkdir(parents=True, exist_ok=True)
        self.git_dir.mkdir(parents=True)
        self.git("init", "--quiet", "--bare", "--initial-branch=main")
        self.blobs = Blobs(self.git_dir)
        if files is not None:
            self.add_commit({".gitattributes": default_attributes(), **files}, message="initial commit")

    @property
    def commit(self) -> str:
        """The commit that ``main`` is at now."""
        return self.commit_of("refs/heads/main") or ""

    def add_commit(
        self, files: Files, *, branch: str = "main", start: str | None = None, message: str = "update"
    ) -> str:
        """Commit on top of a branch (made from ``start``, else from main, if it does not exist) and return the id.

        ``branch`` may also be a full ref name such as ``refs/pr/1``.
        """
        ref = branch if branch.startswith("refs/") else f"refs/heads/{branch}"
        parent = self.commit_of(ref) or (self.commit_of(start) if start else None) or self.commit or None
        script = b"".join(self._script(ref, parent, files, message))
        self.git("fast-import", "--quiet", "--force", "--date-format=raw", stdin=script)
        return self.commit_of(ref) or ""

    def tag(self, name: str, target: str = "refs/heads/main", *, message: str | None = None) -> None:
        """Make a light tag, or with ``message`` an annotated one."""
        extra = [] if message is None else ["-a", "-m", message]
        self.git("tag", *extra, name, target, date=EPOCH)

    def set_ref(self, ref: str, target: str) -> None:
        """Let a full ref name stand for ``target``."""
        self.git("update-ref", ref, target)

    def commit_of(self, ref: str) -> str | None:
        """Resolve a full ref name or a (short) commit id; tags are peeled."""
        done = self._run("rev-parse", "--quiet", "--verify", "--end-of-options", f"{ref}^{{commit}}")
        return done.stdout.decode().strip() if done.returncode == 0 else None

    def refs(self) -> dict[str, str]:
        """All refs, with the commit that each leads to."""
        form = "--format=%(refname) %(objectname) %(*objectname)"
        rows = (line.split() for line in self.git("for-each-ref", form).decode().splitlines())
        return {row[0]: row[-1] for row in rows}

    def rows(self, commit: str) -> list[Row]:
        """Every file and folder of a commit, in git's order."""
        if commit not in self._trees:
            self._trees[commit] = read_tree(self.git_dir, commit, self.blobs)
        return self._trees[commit]

    def file(self, commit: str, path: bytes) -> Row | None:
        """Return a file (not a folder) of a commit."""
        if commit not in self._files:
            self._files[commit] = {row.path: row for row in self.rows(commit) if not row.is_tree}
        return self._files[commit].get(path)

    def object_path(self, oid: str) -> Path:
        """Where an object's content lies (or would lie)."""
        return self.object_dir / oid

    def lose(self, oid: str) -> None:
        """Delete an object from storage, as a Hub user may; its pointers stay."""
        self.object_path(oid).unlink()

    def has(self, oid: str) -> bool:
        """Whether this repo has that object's content."""
        return oid in self.objects and self.object_path(oid).exists()

    def put(self, content: Lfs | LfsBytes) -> str:
        """Store an object without a commit and return its oid."""
        if isinstance(content, Lfs) and content in self._made:
            return self._made[content]
        digest, part = hashlib.sha256(), self.object_dir / "part"
        with part.open("wb") as file:
            for block in content.blocks():
                digest.update(block)
                if isinstance(content, Lfs) and content.sparse and file.tell():
                    file.seek(len(block), os.SEEK_CUR)
                else:
                    file.write(block)
            file.truncate(content.size)
        oid = digest.hexdigest()
        part.rename(self.object_path(oid))
        self.objects[oid] = content.size
        if isinstance(content, Lfs):
            self._made[content] = oid
        return oid

    def git(self, *args: str, stdin: bytes = b"", date: int | None = None) -> bytes:
        """Run git in the bare repo and return its output."""
        done = self._run(*args, stdin=stdin, date=date)
        if done.returncode:
            raise RuntimeError(f"git {args[0]}: {done.stderr.decode('utf-8', 'replace')}")
        return done.stdout

    def close(self) -> None:
        """End the helper process; it comes back when a blob is wanted."""
        self.blobs.close()

    def _script(self, ref: str, parent: str | None, files: Files, message: str) -> Iterator[bytes]:
        stamp = b"%s %d +0000\n" % (AUTHOR, next(self._dates))
        yield b"commit %s\nauthor %scommitter %s%s" % (ref.encode(), stamp, stamp, _data(message.encode()))
        if parent:
            yield b"from %s\n" % parent.encode()
        for path, content in files.items():
            quoted = _quote(path if isinstance(path, bytes) else path.encode())
            if content is None:
                yield b"D %s\n" % quoted
            elif isinstance(content, Submodule):
                yield b"M 160000 %s %s\n" % (content.commit.encode(), quoted)
            else:
                mode, blob = self._blob(content)
                yield b"M %s inline %s\n%s" % (mode, quoted, _data(blob))

    def _blob(self, content: bytes | str | Lfs | LfsBytes | Lost | Executable | Symlink) -> tuple[bytes, bytes]:
        match content:
            case bytes():
                return b"100644", content
            case str():
                return b"100644", content.encode()
            case Executable():
                return b"100755", content.content
            case Symlink():
                return b"120000", content.target
            case Lost():
                return b"100644", pointer_text(content.oid, content.size)
            case Lfs() | LfsBytes():
                return b"100644", pointer_text(self.put(content), content.size)

    def _run(self, *args: str, stdin: bytes = b"", date: int | None = None) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            ["git", *args], cwd=self.git_dir, input=stdin, capture_output=True, env=git_env(date), check=False
        )


def git_env(date: int | None = None) -> dict[str, str]:
    """Environment for git that no configuration of the user reaches."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    env |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C"}
    for who in ("AUTHOR", "COMMITTER"):
        env |= {f"GIT_{who}_NAME": "Hub Tester", f"GIT_{who}_EMAIL": "tester@hub.invalid"}
        env |= {f"GIT_{who}_DATE": f"{EPOCH if date is None else date} +0000"}
    return env


def _data(content: bytes) -> bytes:
    return b"data %d\n%s\n" % (len(content), content)


def _quote(path: bytes) -> bytes:
    plain = b"".join(
        b"\\%03o" % byte if byte < 0x20 or byte > 0x7E or byte in b'"\\' else bytes([byte]) for byte in path
    )
    return b'"' + plain + b'"'
