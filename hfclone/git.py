"""Git itself: every command of it that hfclone runs, always as plumbing and in batch (only user of GitPython).

Why so: GitPython's ``Git.execute`` starts the process; all above it (its ``Repo``, ``clone_from``,
``index.add``) prompts, leaves processes behind on Ctrl-C, or ignores filters. Each call gets an
environment of ours: no foreign ``GIT_*``, no prompt, no hook, no redirect, no other protocol; the
token goes in one variable that a credential helper hands out to one origin.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, TYPE_CHECKING
from urllib.parse import urlsplit

from hfclone.errors import BadPointer, GitFailed, ToolMissing
from hfclone.names import Token
from hfclone.pointer import MAX_POINTER_BYTES, Pointer, parse_pointer
from hfclone.treepaths import show_path

if TYPE_CHECKING:
    from git.cmd import Git as GitPython

__all__ = ["Fetch", "Git", "GitCredential", "GitRepo", "OnProgress", "TreeEntry"]

OnProgress = Callable[[int, int], None]
"""Objects received so far, and in all."""

_KEPT = frozenset({
    "GIT_SSL_CAINFO", "GIT_SSL_CAPATH", "GIT_SSL_NO_VERIFY", "GIT_SSL_CERT", "GIT_SSL_KEY", "GIT_EXEC_PATH",
    "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM", "GIT_PYTHON_REFRESH",
})  # fmt: skip
"""What of the caller's ``GIT_*`` says where this machine keeps things, and not what git should do."""

_CONFIG = (
    ("core.hooksPath", os.devnull),
    ("core.fsmonitor", "false"),
    ("core.protectHFS", "true"),
    ("core.protectNTFS", "true"),
    ("core.autocrlf", "false"),
    ("core.attributesFile", os.devnull),
    ("core.splitIndex", "false"),
    ("index.sparse", "false"),
    ("transfer.fsckObjects", "true"),
    ("fetch.fsckObjects", "true"),
    ("fetch.recurseSubmodules", "false"),
    ("fetch.writeCommitGraph", "false"),
    ("submodule.recurse", "false"),
    ("protocol.version", "2"),
    ("http.followRedirects", "false"),
    ("http.lowSpeedLimit", "1000"),
    ("http.lowSpeedTime", "30"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
)
_REMOTE = "hfclone-fetch"
"""A remote that exists in the environment of one command: no URL of a mirror gets into a file."""
_HELPER = (
    '!f() { test "$1" = get || exit 0; p=; h=; '
    'while IFS= read -r l && test -n "$l"; do case "$l" in '
    'protocol=*) p="${l#protocol=}";; host=*) h="${l#host=}";; esac; done; '
    'case " $HFCLONE_GIT_ORIGINS " in *" $p://$h "*) '
    "printf 'username=hfclone\\npassword=%s\\n' \"$HFCLONE_GIT_TOKEN\";; esac; }; f"
)
"""A credential helper. ``printf`` is the shell's own: the token is in no process's arguments."""
_PROGRESS = re.compile(rb"Receiving objects:\s+\d+% \((\d+)/(\d+)\)")
_STDERR_LINES = 6
_GRACE_SECONDS = 3.0
_BATCH = 20_000
"""Blobs read at once: of fewer than 1,024 bytes each, so 20 MB of memory at most."""


@dataclass(frozen=True, slots=True)
class GitCredential:
    """A token, and the only endpoints that it is for."""

    urls: tuple[str, ...]
    token: Token

    @property
    def origins(self) -> str:
        """As git asks for them, ``https://host[:port]``, with blanks between."""
        return " ".join(f"{url.scheme}://{url.netloc}" for url in map(urlsplit, self.urls))


class Git:
    """Runs git. ``environ`` is the user's environment; ``protocols`` what git may speak."""

    def __init__(
        self,
        environ: Mapping[str, str],
        *,
        credential: GitCredential | None = None,
        proxy: str | None = None,
        protocols: tuple[str, ...] = ("http", "https"),
    ) -> None:
        self._environ = environ
        self._credential = credential
        self._proxy = proxy
        self._protocols = protocols

    def run(
        self,
        args: Sequence[str],
        *,
        stdin: bytes = b"",
        extra: Mapping[str, str] | None = None,
        config: Sequence[tuple[str, str]] = (),
        on_progress: OnProgress | None = None,
    ) -> bytes:
        """Run git to its end and return its stdout; its processes end with us, whatever happens here.

        ``extra`` adds to the environment, ``config`` to the configuration, for this call alone. With
        ``on_progress``, which is called on this thread, stdout is dropped.

        Raises:
            ToolMissing: there is no git.
            GitFailed: it ended with another status than 0.
        """
        process = self._start(args, self._environment(extra or {}, config), with_stdout=on_progress is None)
        try:
            if on_progress is None:
                stdout, stderr = process.communicate(stdin)
            else:
                stdout, stderr = b"", _follow(process, stdin, on_progress)
            status = process.wait()
        except BaseException:
            _end(process)
            raise
        if status:
            raise GitFailed(_command_name(args), status, self._last_lines(stderr))
        return stdout or b""

    @cached_property
    def version(self) -> tuple[int, ...]:
        """Of the installed git: ``(2, 39, 5)``."""
        found = re.search(rb"(\d+)\.(\d+)(?:\.(\d+))?", self.run(["version"]))
        return tuple(int(part or 0) for part in found.groups()) if found else (0,)

    def _start(self, args: Sequence[str], env: dict[str, str], *, with_stdout: bool) -> subprocess.Popen[bytes]:
        path = self._environ.get("PATH")
        program = shutil.which("git", path=path)
        if program is None:
            raise ToolMissing("git", "hfclone needs it to make a checkout")
        command = [*_wrapping(path, self._environ.keys(), env.keys()), program, *args]
        auto = _gitpython().execute(
            command, as_process=True, env=env, istream=subprocess.PIPE, with_stdout=with_stdout,
            start_new_session=True,
        )  # fmt: skip
        process: subprocess.Popen[bytes] | None = auto.proc
        assert process is not None  # it is set where as_process is true
        # GitPython's wrapper would kill the process when it is collected; ours are waited for.
        auto.proc = None
        return process

    def _environment(self, extra: Mapping[str, str], config: Sequence[tuple[str, str]]) -> dict[str, str]:
        kept = {k: v for k, v in self._environ.items() if not k.startswith("GIT_") or k in _KEPT}
        settings = [*_CONFIG, *config]
        if self._proxy:
            settings.append(("http.proxy", self._proxy))
        secret: dict[str, str] = {}
        if self._credential:
            settings += [("credential.helper", ""), ("credential.helper", _HELPER)]
            secret = {
                "HFCLONE_GIT_ORIGINS": self._credential.origins,
                "HFCLONE_GIT_TOKEN": self._credential.token.reveal(),
            }
        block = {"GIT_CONFIG_COUNT": str(len(settings))}
        for number, (key, value) in enumerate(settings):
            block |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
        fixed = {
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ASKPASS": "true",
            "GIT_LFS_SKIP_SMUDGE": "1",
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_NO_LAZY_FETCH": "1",
            "GIT_OPTIONAL_LOCKS": "0",
            "GIT_ALLOW_PROTOCOL": ":".join(self._protocols),
            "LC_ALL": "C",
        }
        return {**kept, **fixed, **block, **secret, **extra}

    def _last_lines(self, stderr: bytes) -> str:
        """The end of what git said, fit for a terminal and without the secret."""
        pieces = re.split(rb"[\r\n]+", stderr.strip())
        said = [line for line in pieces if line.strip() and not re.match(rb"(remote: )?[A-Z][a-z ]+:\s+\d+%", line)]
        text = "; ".join(show_path(line.strip()) for line in said[-_STDERR_LINES:])
        return text.replace(self._credential.token.reveal(), "***") if self._credential else text


_FOREIGN = frozenset({
    "GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_CONFIG",
    "GIT_CONFIG_PARAMETERS", "GIT_OBJECT_DIRECTORY", "GIT_IMPLICIT_WORK_TREE", "GIT_GRAFT_FILE", "GIT_REPLACE_REF_BASE",
    "GIT_PREFIX", "GIT_SHALLOW_FILE", "GIT_COMMON_DIR", "GIT_INTERNAL_SUPER_PREFIX", "GIT_NAMESPACE",
    "GIT_CEILING_DIRECTORIES",
    "GIT_TRACE_REDACT", "GIT_TRACE2_CONFIG_PARAMS", "GIT_TRACE2_ENV_VARS", "GIT_TRACE", "GIT_TRACE_CURL",
    "GIT_CURL_VERBOSE", "GIT_TRACE_PACKET", "GIT_TRACE2", "GIT_TRACE2_EVENT", "GIT_TRACE2_PERF", "GIT_PROXY_COMMAND",
    "GIT_SSH", "GIT_SSH_COMMAND", "GIT_EXTERNAL_DIFF", "GIT_ATTR_SOURCE", "GIT_PROTOCOL", "GIT_PROTOCOL_FROM_USER",
})  # fmt: skip
"""``git rev-parse --local-env-vars`` and what traces, whether or not our mapping holds them."""


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


@dataclass(frozen=True, slots=True)
class Fetch:
    """What one ``git fetch`` asks for. ``depth`` and ``deepen`` in commits; ``oids`` are blobs."""

    refspecs: tuple[str, ...] = ()
    oids: tuple[str, ...] = ()
    depth: int | None = None
    deepen: int | None = None
    unshallow: bool = False
    filter_spec: str | None = None

    def options(self) -> list[str]:
        """The command's options for it."""
        named = [("depth", self.depth), ("deepen", self.deepen), ("filter", self.filter_spec)]
        words = [f"--{name}={value}" for name, value in named if value is not None]
        return words + ["--unshallow"] * self.unshallow + ["--stdin"] * bool(self.oids)


class GitRepo:
    """The git repo of a work tree at ``path``. Paths of the tree go by stdin, as bytes, NUL behind each.

    Every method raises ``GitFailed`` where git fails and says nothing else.
    """

    def __init__(self, git: Git, path: Path) -> None:
        self.git = git
        self.path = path.absolute()
        self.git_dir = self.path / ".git"

    def run(
        self,
        *args: str,
        stdin: bytes = b"",
        index: Path | None = None,
        work_tree: Path | None = None,
        config: Sequence[tuple[str, str]] = (),
    ) -> bytes:
        """Run a command that speaks to nobody. ``index`` and ``work_tree`` take the place of the repo's."""
        # The -C matters: GitPython quietly stays where it is if it cannot change directory.
        extra = self._extra(work_tree) | {"GIT_INDEX_FILE": str(index or self.git_dir / "index")}
        extra["GIT_ALLOW_PROTOCOL"] = "none"
        return self.git.run(["-C", str(work_tree or self.path), *args], stdin=stdin, extra=extra, config=config)

    def init(self, branch: str) -> None:
        """Make the repo, or complete what a killed run left of it; no template, ``HEAD`` on ``branch``."""
        self.git.run(["init", "--quiet", "--template=", f"--initial-branch={branch}", "--", str(self.path)])

    def config_get(self, key: str) -> str | None:
        """The local value of ``key``, the last one if there are several."""
        values = self._maybe("config", "--local", "-z", "--get-all", key).split(b"\0")
        return values[-2].decode("utf-8", "replace") if len(values) > 1 else None

    def config_set(self, key: str, value: str) -> None:
        """Set ``key`` in the repo's own configuration, where it is not so already."""
        if self.config_get(key) != value:
            self.run("config", "--local", "--replace-all", key, value)

    def fetch(self, url: str, what: Fetch, on_progress: OnProgress = lambda _done, _total: None) -> None:
        """Ask ``url`` for ``what``. Leaves no trace of it but objects and refs, and no promisor."""
        config = [(f"remote.{_REMOTE}.url", url)]
        if what.oids:
            # As git's own lazy fetch has it: what we have says nothing about single blobs.
            config.append(("fetch.negotiationAlgorithm", "noop"))
        args = [
            "-C",
            str(self.path),
            "fetch",
            "--progress",
            "--no-tags",
            "--no-write-fetch-head",
            "--no-recurse-submodules",
            "--force",
        ]
        args += [*what.options(), _REMOTE, *what.refspecs]
        stdin = "".join(f"{oid}\n" for oid in what.oids).encode()
        try:
            self.git.run(args, stdin=stdin, extra=self._extra(), config=config, on_progress=on_progress)
        finally:
            self.drop_promisor()

    def drop_promisor(self) -> None:
        """Make the repo an ordinary one again after a fetch with a filter; never touches a user's promisor."""
        for pack in (self.git_dir / "objects" / "pack").glob("*.promisor"):
            pack.unlink(missing_ok=True)
        text = (self.git_dir / "config").read_bytes() if (self.git_dir / "config").exists() else b""
        if _REMOTE.encode() not in text:
            return
        self._maybe("config", "--local", "--remove-section", f"remote.{_REMOTE}")
        if self.config_get("extensions.partialclone") == _REMOTE:
            self._maybe("config", "--local", "--remove-section", "extensions")
            self.config_set("core.repositoryformatversion", "0")

    def ls_remote(self, url: str) -> dict[str, str]:
        """What ``url`` advertises: ref to id; a peeled tag's commit under ``<ref>^{}``."""
        config = [(f"remote.{_REMOTE}.url", url)]
        lines = self.git.run(["ls-remote", "--quiet", _REMOTE], extra=self._extra(), config=config).split(b"\n")
        pairs = (line.decode("utf-8", "replace").split("\t", 1) for line in lines if b"\t" in line)
        return {name: oid for oid, name in pairs}

    def resolve(self, name: str) -> str | None:
        """The commit that ``name`` is, if it and its root tree are here."""
        found = self._maybe("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}").decode().strip()
        return found if found and self._maybe("cat-file", "-t", f"{found}^{{tree}}") else None

    def has_commit(self, commit: str) -> bool:
        """Whether the commit and its root tree are here; says nothing about its blobs."""
        return self.resolve(commit) is not None

    def commits_beginning(self, digits: str) -> set[str]:
        """Commits that any ref leads to and whose id begins with ``digits``; needs no trees."""
        listed = self.run("rev-list", "--all").decode("ascii").split()
        return {commit for commit in listed if commit.startswith(digits)}

    def refs(self, prefix: str) -> dict[str, str]:
        """Refs under ``prefix`` with what they name."""
        out = self.run("for-each-ref", "--format=%(refname) %(objectname)", prefix)
        return dict(line.split(" ", 1) for line in out.decode("utf-8", "surrogateescape").splitlines())

    def tree_entries(self, commit: str) -> list[TreeEntry]:
        """Everything that ``commit`` holds, in the tree's order; reads no blob."""
        rows = self.run("ls-tree", "-r", "-z", "--full-tree", commit).split(b"\0")
        entries = []
        for row in rows[:-1]:
            meta, _, path = row.partition(b"\t")
            mode, _kind, oid = meta.decode("ascii").split(" ")
            entries.append(TreeEntry(_plain_mode(mode), oid, path))
        return entries

    def blob_sizes(self, oids: Iterable[str]) -> dict[str, int | None]:
        """Sizes in bytes; ``None`` for what is not here."""
        wanted = list(dict.fromkeys(oids))
        out = self.run("cat-file", "--batch-check=%(objectsize)", stdin="".join(f"{oid}\n" for oid in wanted).encode())
        lines = out.split(b"\n")
        return {oid: int(line) if line.isdigit() else None for oid, line in zip(wanted, lines, strict=False)}

    def read_blobs(self, oids: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        """Content of blobs that are here; meant for small ones."""
        for start in range(0, len(oids), _BATCH):
            batch = oids[start : start + _BATCH]
            data = self.run("cat-file", "--batch=%(objectsize)", stdin="".join(f"{oid}\n" for oid in batch).encode())
            at = 0
            for oid in batch:
                stop = data.index(b"\n", at)
                size = int(data[at:stop])
                yield oid, data[stop + 1 : stop + 1 + size]
                at = stop + size + 2

    def pointers(self, commit: str) -> tuple[dict[bytes, Pointer], list[BadPointer]]:
        """The LFS pointers of ``commit`` by path, found by content, and those that claim to be one and are not."""
        return self.pointers_among(self.tree_entries(commit))

    def pointers_among(self, entries: Iterable[TreeEntry]) -> tuple[dict[bytes, Pointer], list[BadPointer]]:
        """``pointers`` of some entries of a tree. Links and submodules are never pointers."""
        files = [entry for entry in entries if entry.is_file]
        sizes = self.blob_sizes(entry.oid for entry in files)
        small = [oid for oid, size in sizes.items() if size is not None and 0 < size < MAX_POINTER_BYTES]
        texts = {oid: text for oid, text in self.read_blobs(small) if b"version http" in text}
        found: dict[bytes, Pointer] = {}
        bad: list[BadPointer] = []
        for entry in files:
            text = texts.get(entry.oid)
            if text is None:
                continue
            try:
                pointer = parse_pointer(text, show_path(entry.path))
            except BadPointer as error:
                bad.append(error)
                continue
            if pointer is not None:
                found[entry.path] = pointer
        return found, bad

    def missing_blobs(self, commit: str) -> dict[str, bytes]:
        """Ids of blobs of ``commit`` that are not here, each with one of its paths."""
        paths = {entry.oid: entry.path for entry in self.tree_entries(commit) if entry.mode != "160000"}
        return {oid: paths[oid] for oid, size in self.blob_sizes(paths).items() if size is None}

    def write_blob(self, data: bytes) -> str:
        """Store ``data`` and return its id. Git's own sha1 sees the known collision attacks; hashlib's does not."""
        return self.run("hash-object", "-w", "--no-filters", "--stdin", stdin=data).decode().strip()

    def read_tree(self, commit: str, index: Path) -> None:
        """Make ``index`` that of ``commit``; touches no file."""
        self.run("read-tree", "--reset", "-i", commit, index=index)

    def update_index(self, index: Path, changes: Iterable[TreeEntry], gone: Iterable[bytes]) -> None:
        """Put entries into ``index`` and take paths out of it; touches no file."""
        rows = [b"0 %s\t%s\0" % (b"0" * 40, path) for path in gone]
        rows += [b"%s %s\t%s\0" % (e.mode.encode(), e.oid.encode(), e.path) for e in changes]
        self.run("update-index", "-z", "--index-info", stdin=b"".join(rows), index=index)

    def write_plain_index(self) -> None:
        """Rewrite the index in full: neither split nor sparse."""
        self.run("update-index", "--no-split-index", "--force-write-index")

    def staged(self) -> dict[bytes, tuple[str, str]]:
        """Mode and id of every entry of the index by path; an unmerged path has mode ``unmerged``."""
        found: dict[bytes, tuple[str, str]] = {}
        for row in self.run("ls-files", "-s", "-z", "--full-name").split(b"\0")[:-1]:
            meta, _, path = row.partition(b"\t")
            mode, oid, stage = meta.decode("ascii").split(" ")
            found[path] = (mode if stage == "0" else "unmerged", oid)
        return found

    def checkout_files(self, index: Path, directory: Path, paths: Iterable[bytes]) -> None:
        """Write files of ``index`` as git would check them out (line ends, links), below ``directory``.

        Attributes are the index's own. Filters are off, whichever the user configured: pointers stay
        pointers, and no program of theirs runs.
        """
        listed = b"".join(path + b"\0" for path in paths)
        self.run(
            "checkout-index", "--force", "--quiet", "-z", "--stdin",
            stdin=listed, index=index, work_tree=directory, config=self._no_filters,
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

    def head_to_branch(self, ref: str) -> None:
        """Put ``HEAD`` on the branch ``ref``."""
        self.run("symbolic-ref", "-m", "hfclone", "HEAD", ref)

    def head_to_commit(self, commit: str) -> None:
        """Detach ``HEAD`` at ``commit``."""
        self.run("update-ref", "--no-deref", "-m", "hfclone", "HEAD", commit)

    def clear_stale(self) -> None:
        """Remove what a killed git leaves and every later one trips over. Only under our own lock."""
        for name in ("shallow.lock", "index.lock", "config.lock", "HEAD.lock", "packed-refs.lock"):
            (self.git_dir / name).unlink(missing_ok=True)
        for folder, pattern in (("objects/pack", "tmp_*"), ("objects", "tmp_*"), ("refs/hfclone", "*.lock")):
            for left in (self.git_dir / folder).glob(pattern):
                if left.is_file():
                    left.unlink(missing_ok=True)
        for branch_lock in (self.git_dir / "refs").rglob("*.lock"):
            branch_lock.unlink(missing_ok=True)

    @cached_property
    def _no_filters(self) -> tuple[tuple[str, str], ...]:
        """Configuration that takes every filter driver the user has out of force."""
        names = self._maybe("config", "-z", "--name-only", "--get-regexp", r"^filter\.").decode("utf-8", "replace")
        drivers = {name[len("filter.") :].rpartition(".")[0] for name in names.split("\0") if name} | {"lfs"}
        values = (("process", ""), ("smudge", ""), ("clean", ""), ("required", "false"))
        return tuple((f"filter.{driver}.{key}", value) for driver in sorted(drivers) for key, value in values)

    def _extra(self, work_tree: Path | None = None) -> dict[str, str]:
        # Named, not found: a broken .git must not let git go up to a repo around it.
        return {"GIT_DIR": str(self.git_dir), "GIT_WORK_TREE": str(work_tree or self.path)}

    def _maybe(self, *args: str) -> bytes:
        """Stdout of a question that git answers with status 1 or 128 for no."""
        try:
            return self.run(*args)
        except GitFailed:
            return b""


def _wrapping(path: str | None, inherited: Iterable[str], ours: Iterable[str]) -> list[str]:
    """What takes foreign ``GIT_*`` away, and has the kernel end git when we are killed.

    GitPython adds to the environment, but cannot remove. Both replace themselves: the process is git's.
    """
    words: list[str] = []
    env = shutil.which("env", path=path) or shutil.which("env", path=os.defpath)
    if env and os.name == "posix":
        foreign = {name for name in inherited if name.startswith("GIT_")} | _FOREIGN
        words += [env, *(f"--unset={name}" for name in sorted(foreign - set(ours)))]
    setpriv = shutil.which("setpriv", path=path)
    if setpriv and os.name == "posix":
        words += [setpriv, "--pdeathsig", "TERM"]
    return words


def _plain_mode(mode: str) -> str:
    """Old trees hold 100664 and the like; git takes them for 100644 everywhere else."""
    if not mode.startswith("100"):
        return mode
    return "100755" if int(mode, 8) & 0o100 else "100644"


def _gitpython() -> GitPython:
    try:
        from git.cmd import Git as GitPython
    except ImportError as error:
        raise ToolMissing("git", "hfclone needs it to make a checkout") from error
    return GitPython()


def _command_name(args: Sequence[str]) -> str:
    return args[2] if args[0] == "-C" else args[0]


def _follow(process: subprocess.Popen[bytes], stdin: bytes, on_progress: OnProgress) -> bytes:
    """Feed ``stdin``, then read stderr to its end, telling of progress; the last 64 KiB of it are returned."""
    writer, reader = process.stdin, process.stderr
    assert writer is not None  # both are pipes: _start asks for them
    assert reader is not None
    _feed(writer, stdin)
    tail = b""
    while block := os.read(reader.fileno(), 65536):
        tail = (tail + block)[-65536:]
        for done, total in _PROGRESS.findall(block)[-1:]:
            on_progress(int(done), int(total))
    reader.close()
    return tail


def _feed(writer: IO[bytes], data: bytes) -> None:
    try:
        writer.write(data)
        writer.close()
    except BrokenPipeError:
        return  # git ended before it read all; its status tells why


def _end(process: subprocess.Popen[bytes]) -> None:
    """End git and its children: politely first, since then it removes its own lock files."""
    for kind in ("SIGTERM", "SIGKILL"):
        try:
            if os.name == "posix":
                os.killpg(process.pid, getattr(signal, kind))
            else:
                process.kill()
            process.wait(_GRACE_SECONDS)
        except (ProcessLookupError, PermissionError):
            break
        except subprocess.TimeoutExpired:
            continue
        break
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            try:
                pipe.close()
            except BrokenPipeError:
                continue
    process.wait()
