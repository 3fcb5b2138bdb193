"""The text of a lockfile: ``Lock`` <-> ``hfclone.lock``. Pure.

JSON, since the standard library reads and writes it; one row a line, since people compare versions.
No endpoint is named: the same commits give the same bytes, wherever the lock was made. Reading is
strict, and proves everything: a damaged lockfile is an error, never a smaller lock.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Sequence

from hfclone.errors import BadLockfile, BadRepoSpec, UnsafePath
from hfclone.hub.pasted import parse_repo_spec
from hfclone.lock.model import LINK_MODE, SUBMODULE_MODE, Lock, LockedFile, LockedRepo, flaw_of
from hfclone.names import Pin, Repo, RepoType
from hfclone.paths import check_tree, show_path
from hfclone.pointer import Oid, Pointer, format_pointer
from hfclone.wording import phrase

__all__ = ["format_lock", "parse_lock"]

VERSION = 1
_MODES = ("100644", "100755", LINK_MODE, SUBMODULE_MODE)
_GIT_ID = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_LARGEST = 2**63 - 1


def format_lock(lock: Lock) -> str:
    """The text: ASCII, one row a line, the same for the same lock. The digest is of all lines before its own."""
    lines = [f'{{"version":{VERSION},"repos":[']
    for repo in sorted(lock.repos, key=_order):
        lines += _repo_lines(repo)
        lines[-1] += ","
    lines[-1] = lines[-1].rstrip(",") + "],"
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    return "\n".join([*lines, f'"digest":"sha256:{digest}"}}', ""])


def _order(repo: LockedRepo) -> tuple[str, str]:
    return repo.pin.repo.repo_type.value, repo.pin.repo.repo_id


def _repo_lines(repo: LockedRepo) -> list[str]:
    head = {
        "repo_type": repo.pin.repo.repo_type.value,
        "repo_id": repo.pin.repo.repo_id,
        "revision": repo.revision,
        "commit": repo.pin.commit,
        "tree": repo.tree,
        "commit_object": _b64(repo.commit_object),
    }
    rows = [f"  {_compact(_row(file))}," for file in sorted(repo.files, key=lambda file: file.path)]
    if rows:
        rows[-1] = rows[-1].rstrip(",")
    return [f' {_compact(head)[:-1]},"files":[', *rows, " ]}"]


def _row(file: LockedFile) -> dict[str, object]:
    row: dict[str, object] = {**_path_field(file.path), "mode": file.mode, "oid": file.oid}
    if file.pointer_text is not None:
        row["lfs"] = {"sha256": file.sha256, "size": file.size}
        if file.pointer_text != format_pointer(Pointer(file.sha256, file.size)):
            row["pointer_b64"] = _b64(file.pointer_text)
    elif file.mode != SUBMODULE_MODE:
        row |= {"size": file.size, "sha256": file.sha256}
    if not file.selected:
        row["selected"] = False
    return row


def _path_field(path: bytes) -> dict[str, str]:
    try:
        return {"path": path.decode("utf-8")}
    except UnicodeDecodeError:
        return {"path_b64": _b64(path)}


def _compact(data: object) -> str:
    return json.dumps(data, ensure_ascii=True, separators=(",", ":"))


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


# --- reading -----------------------------------------------------------------------------------


def parse_lock(text: bytes, file: str = "hfclone.lock") -> Lock:
    """Read a lockfile, and prove it; ``file`` names it in errors. How it is spaced does not matter.

    Raises:
        BadLockfile: anything in it is not as ``format_lock`` has it, or not proven by its commits.
    """
    fields = _Fields(_load(text, file), "", file)
    if fields.number("version") != VERSION:
        raise BadLockfile(file, "version", phrase("reads-version", version=VERSION))
    repos = tuple(_read_repo(_Fields(one, f"repos[{i}].", file)) for i, one in enumerate(fields.listed("repos")))
    digest = fields.matching("digest", re.compile(r"sha256:[0-9a-f]{64}"))
    fields.end()
    order = [_order(repo) for repo in repos]
    if order != sorted(set(order)):
        raise BadLockfile(file, "repos", phrase("not-sorted"))
    lock = Lock(repos)
    if f'"digest":"{digest}"' not in format_lock(lock)[-90:]:
        raise BadLockfile(file, "digest", phrase("changed-since-written"))
    return lock


def _load(text: bytes, file: str) -> object:
    try:
        return json.loads(text.decode("utf-8"), object_pairs_hook=_Pairs, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise BadLockfile(
            file, phrase("line", number=error.lineno), phrase("no-json-since", reason=error.msg)
        ) from error
    except UnicodeDecodeError as error:
        line = text.count(b"\n", 0, error.start) + 1
        raise BadLockfile(file, phrase("line", number=line), phrase("no-utf8")) from error
    except (ValueError, RecursionError) as error:
        raise BadLockfile(file, phrase("the-whole"), str(error)) from error


def _no_constant(name: str) -> object:
    raise ValueError(phrase("name-no-json", name=name))


class _Pairs(dict[str, object]):
    """A JSON object that holds no key twice."""

    def __init__(self, pairs: Sequence[tuple[str, object]]) -> None:
        super().__init__(pairs)
        if len(self) != len(pairs):
            raise ValueError(phrase("key-twice"))


class _Fields:
    """The fields of one JSON object, each asked for by what it must be; ``end`` finds what nobody asked for."""

    def __init__(self, data: object, where: str, file: str) -> None:
        self.where = where
        self.file = file
        if not isinstance(data, _Pairs):
            raise BadLockfile(file, where.rstrip(".") or phrase("the-whole"), phrase("no-json-object"))
        self._left = dict(data)

    def bad(self, name: str, reason: str) -> BadLockfile:
        return BadLockfile(self.file, self.where + name, reason)

    def has(self, name: str) -> bool:
        return name in self._left

    def text(self, name: str) -> str:
        value = self._take(name)
        if not isinstance(value, str):
            raise self.bad(name, phrase("no-text"))
        return value

    def matching(self, name: str, pattern: re.Pattern[str]) -> str:
        value = self.text(name)
        if not pattern.fullmatch(value):
            raise self.bad(name, phrase("not-of-form", form=pattern.pattern))
        return value

    def data(self, name: str) -> bytes:
        value = self.text(name)
        try:
            data = base64.b64decode(value, validate=True)
        except ValueError as error:
            raise self.bad(name, phrase("no-base64")) from error
        if _b64(data) != value:
            raise self.bad(name, phrase("no-canonical-base64"))
        return data

    def number(self, name: str) -> int:
        value = self._take(name)
        if type(value) is not int or not 0 <= value <= _LARGEST:  # bool is an int, and 1.0 equals 1
            raise self.bad(name, phrase("no-number"))
        return value

    def listed(self, name: str) -> list[object]:
        value = self._take(name)
        if not isinstance(value, list):
            raise self.bad(name, phrase("no-list"))
        return value

    def below(self, name: str) -> _Fields:
        return _Fields(self._take(name), f"{self.where}{name}.", self.file)

    def end(self) -> None:
        for name in self._left:
            raise self.bad(show_path(name.encode("utf-8", "surrogatepass")), phrase("unknown-field"))

    def _take(self, name: str) -> object:
        if name not in self._left:
            raise self.bad(name, phrase("missing"))
        return self._left.pop(name)


def _read_repo(fields: _Fields) -> LockedRepo:
    repo = _read_name(fields)
    revision = fields.text("revision")
    commit = fields.matching("commit", _GIT_ID)
    tree = fields.matching("tree", _GIT_ID)
    commit_object = fields.data("commit_object")
    files = tuple(_read_files(fields))
    fields.end()
    made = LockedRepo(Pin(repo, commit), revision, commit_object, files)
    flaw = flaw_of(made)
    if flaw is None and tree != made.tree:
        flaw = ("tree", phrase("not-the-commits"))
    if flaw:
        raise fields.bad(*flaw)
    return made


def _read_name(fields: _Fields) -> Repo:
    kind = fields.text("repo_type")
    if kind not in [one.value for one in RepoType]:
        raise fields.bad("repo_type", phrase("no-such-type"))
    repo_id = fields.text("repo_id")
    repo = Repo(repo_id, RepoType(kind))
    try:
        if parse_repo_spec(repo.path).repo == repo:
            return repo
    except BadRepoSpec as error:
        raise fields.bad("repo_id", error.reason) from error
    raise fields.bad("repo_id", phrase("more-than-id"))


def _read_files(fields: _Fields) -> Iterator[LockedFile]:
    before = b""
    paths: list[bytes] = []
    for number, row in enumerate(fields.listed("files")):
        of_row = _Fields(row, f"{fields.where}files[{number}].", fields.file)
        file = _read_file(of_row)
        if file.path <= before:
            raise of_row.bad("path", phrase("out-of-order"))
        before = file.path
        paths.append(file.path)
        yield file
    try:
        check_tree(paths)
    except UnsafePath as error:
        raise fields.bad("files", str(error)) from error


def _read_file(fields: _Fields) -> LockedFile:
    path = _read_path(fields)
    mode = fields.text("mode")
    if mode not in _MODES:
        raise fields.bad("mode", phrase("none-of", names=", ".join(_MODES)))
    oid = fields.matching("oid", _GIT_ID)
    size, sha256, text = 0, "", None
    if fields.has("lfs") and mode not in (LINK_MODE, SUBMODULE_MODE):
        lfs = fields.below("lfs")
        sha256, size = lfs.matching("sha256", _SHA256), lfs.number("size")
        lfs.end()
        text = fields.data("pointer_b64") if fields.has("pointer_b64") else format_pointer(Pointer(Oid(sha256), size))
    elif mode != SUBMODULE_MODE:
        size, sha256 = fields.number("size"), fields.matching("sha256", _SHA256)
    selected = True
    if fields.has("selected"):
        if text is None or fields._take("selected") is not False:
            raise fields.bad("selected", phrase("only-false"))
        selected = False
    fields.end()
    return LockedFile(path, mode, oid, size, Oid(sha256), text, selected)


def _read_path(fields: _Fields) -> bytes:
    if not fields.has("path_b64"):
        try:
            path = fields.text("path").encode("utf-8")
        except UnicodeEncodeError as error:
            raise fields.bad("path", phrase("half-character")) from error
        return path
    path = fields.data("path_b64")
    if "path" in _path_field(path):
        raise fields.bad("path_b64", phrase("belongs-into-path"))
    return path
