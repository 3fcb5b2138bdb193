"""Every error hfclone raises. What each says stands in ``wording/errors.py``, by its code.

::

    HfcloneError
    ├── UsageError        the request itself cannot be meant          exit 2
    │   └── BadRepoSpec · BadOption · BadSettings · BadLockfile · QuantNotFound · NotImported
    ├── RemoteError       the far side answered, and the answer is no exit 3
    │   └── RepoNotFound · RepoDisabled · RepoEmpty · RevisionNotFound · PathNotFound · RevisionAmbiguous
    │       · AccessDenied · BadToken · ObjectRefused (ObjectMissing) · NotInOrigin · NotServed
    │       · LfsRefused
    ├── TransferError     the bytes did not arrive                    exit 4
    │   └── Unreachable · BadRedirect · Truncated · Stalled (TooSlow) · RangeRefused · RateLimited
    │       · ServerFault · NotTheObject (OtherFile) · UrlExpired · Unforeseen
    ├── IntegrityError    the bytes arrived and are wrong             exit 5
    │   └── HashMismatch · WrongBytes · BadPointer · UnsafePath · BadTree · PackTooLarge
    │       · NotAsLocked · NotAsCommitted
    ├── LocalError        this machine cannot                         exit 6
    │   └── DiskFull · CheckoutBusy · CheckoutMoved · NotACheckout · OtherCheckout · Conflicts
    │       · OwnCommits · BranchElsewhere · ForeignOrigin · NoReflink · CannotRead · CannotWrite · LimitReached
    │       · GitFailed (GitEnded, GitUnconnected) · ToolMissing
    └── Incomplete        patience ran out; carries every failure     exit 4

Why so: an error is a value with fields, made where it happens. Policy (who is asked next, how long we
wait) is decided from the class in ``retry.py``, never from a text.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar

from hfclone.wording import error_hint, error_text, phrase

__all__ = [
    "AccessDenied",
    "BadLockfile",
    "BadOption",
    "BadPointer",
    "BadRedirect",
    "BadRepoSpec",
    "BadSettings",
    "BadToken",
    "BadTree",
    "BranchElsewhere",
    "CannotRead",
    "CannotWrite",
    "CheckoutBusy",
    "CheckoutMoved",
    "Conflicts",
    "DiskFull",
    "ForeignOrigin",
    "GitEnded",
    "GitFailed",
    "GitUnconnected",
    "HashMismatch",
    "HfcloneError",
    "Incomplete",
    "IntegrityError",
    "LfsRefused",
    "LimitReached",
    "LocalError",
    "NoReflink",
    "NotACheckout",
    "NotAsCommitted",
    "NotAsLocked",
    "NotImported",
    "NotInOrigin",
    "NotServed",
    "NotTheObject",
    "ObjectMissing",
    "ObjectRefused",
    "OtherCheckout",
    "OtherFile",
    "OwnCommits",
    "PackTooLarge",
    "PathNotFound",
    "QuantNotFound",
    "RangeRefused",
    "RateLimited",
    "RemoteError",
    "RepoDisabled",
    "RepoEmpty",
    "RepoNotFound",
    "RevisionAmbiguous",
    "RevisionNotFound",
    "ServerFault",
    "Stalled",
    "TooSlow",
    "ToolMissing",
    "TransferError",
    "Truncated",
    "Unforeseen",
    "Unreachable",
    "UnsafePath",
    "UrlExpired",
    "UsageError",
    "WrongBytes",
]


@dataclass(eq=False)
class HfcloneError(Exception):
    """Root of all errors. ``str(error)`` is one line: what happened, to which path and endpoint."""

    code: ClassVar[str] = "hfclone-error"
    """Stable, kebab-case name of the kind; what scripts and ``--progress json`` see."""
    said = ""
    """The far side's own words on it, in one short line; kinds that have them make it a field."""

    def __post_init__(self) -> None:
        # Exception pickles by its args, and these errors cross process borders.
        self.args = tuple(self.fields().values())

    def fields(self) -> dict[str, object]:
        """The data of this error by field name."""
        return {each.name: getattr(self, each.name) for each in dataclasses.fields(self)}

    @property
    def variant(self) -> str:
        """Which sentence of its kind fits these fields, where there are several."""
        return ""

    def words(self) -> dict[str, object]:
        """What its sentences may name: the fields, a tuple without its brackets."""
        return {k: ", ".join(map(str, v)) if isinstance(v, tuple) else v for k, v in self.fields().items()}

    def __str__(self) -> str:
        text = error_text(self.code, self.variant, self.words())
        return phrase("with-words", text=text, words=self.said) if self.said else text

    @property
    def hint(self) -> str:
        """What the user can do about it, in one line; empty where there is nothing to say."""
        return error_hint(self.code, self.variant, self.words())


# --- the request -------------------------------------------------------------------------------


class UsageError(HfcloneError):
    """The request itself cannot be meant."""

    code = "usage"


@dataclass(eq=False)
class BadRepoSpec(UsageError):
    given: str
    reason: str
    code = "bad-repo-spec"


@dataclass(eq=False)
class BadOption(UsageError):
    """An option, a variable or a line of a settings file says what cannot be meant."""

    option: str
    given: str
    reason: str
    code = "bad-option"

    @property
    def variant(self) -> str:  # a switch has no value to show
        return "" if self.given else "switch"


@dataclass(eq=False)
class BadSettings(UsageError):
    """A file of settings cannot be read, or says what cannot be meant."""

    path: str
    key: str
    reason: str
    suggestion: str = field(default_factory=partial(phrase, "put-right"))
    code = "bad-settings"

    @property
    def variant(self) -> str:  # what is wrong may be the file as a whole
        return "" if self.key else "whole"


@dataclass(eq=False)
class BadLockfile(UsageError):
    file: str
    where: str
    """A line, or a field as ``repos[0].files[2].mode``."""
    reason: str
    code = "bad-lockfile"


@dataclass(eq=False)
class NotImported(UsageError):
    path: str
    files: tuple[str, ...]
    code = "not-imported"


# --- the far side says no ----------------------------------------------------------------------


@dataclass(eq=False)
class QuantNotFound(UsageError):
    """``--quant`` names what no GGUF file of the repo is."""

    quants: tuple[str, ...]
    there: tuple[str, ...]
    code = "quant-not-found"

    @property
    def variant(self) -> str:
        return "" if self.there else "none"


class RemoteError(HfcloneError):
    """The far side answered, and the answer is no."""

    code = "remote"


@dataclass(eq=False)
class RepoNotFound(RemoteError):
    repo: str
    endpoint: str
    page: str
    request_id: str = ""
    code = "repo-not-found"


@dataclass(eq=False)
class RepoDisabled(RemoteError):
    repo: str
    endpoint: str
    page: str
    code = "repo-disabled"


@dataclass(eq=False)
class RevisionNotFound(RemoteError):
    repo: str
    revision: str
    endpoint: str
    page: str
    code = "revision-not-found"


@dataclass(eq=False)
class RepoEmpty(RemoteError):
    """The repo is there, and has no commit yet."""

    repo: str
    endpoint: str
    code = "repo-empty"


@dataclass(eq=False)
class PathNotFound(RemoteError):
    """The one file or folder that was asked for is not in the commit."""

    repo: str
    path: str
    commit: str
    page: str
    code = "path-not-found"


@dataclass(eq=False)
class RevisionAmbiguous(RemoteError):
    repo: str
    revision: str
    candidates: tuple[str, ...]
    code = "revision-ambiguous"


@dataclass(eq=False)
class AccessDenied(RemoteError):
    """Gated: a token is needed, or the one given is not on the repo's list."""

    repo: str
    endpoint: str
    page: str
    with_token: bool
    request_id: str = ""
    code = "access-denied"

    @property
    def variant(self) -> str:  # two situations, one class: callers act alike
        return "with-token" if self.with_token else ""


@dataclass(eq=False)
class BadToken(RemoteError):
    endpoint: str
    code = "bad-token"


@dataclass(eq=False)
class ObjectRefused(RemoteError):
    """A no for one object; says nothing against the endpoint."""

    oid: str
    endpoint: str
    status: int = 0
    said: str = ""
    of_hub: bool = True
    """Whether mirrors of the endpoint are asked, too; a git host has none."""
    code = "object-refused"

    @property
    def variant(self) -> str:
        return "" if self.of_hub else "host"


@dataclass(eq=False)
class ObjectMissing(ObjectRefused):
    """404 or 410 for one object, or no address of it."""

    status: int = 404
    code = "object-missing"


@dataclass(eq=False)
class NotInOrigin(RemoteError):
    """The checkout was cloned from a folder of this machine, and the object is not there."""

    oid: str
    folder: str
    code = "not-in-origin"


@dataclass(eq=False)
class NotServed(RemoteError):
    """The endpoint does not offer this service at all (git, LFS batch, API)."""

    service: str
    endpoint: str
    status: int
    code = "not-served"


@dataclass(eq=False)
class LfsRefused(RemoteError):
    """A git host answers the LFS batch request as a whole with a no, or with a page."""

    endpoint: str
    status: int
    said: str = ""
    page: str = ""
    """The URL of what it sent in place of an answer."""
    code = "lfs-refused"

    @property
    def variant(self) -> str:
        if self.page:
            return "page"
        return {401: "login", 403: "forbidden"}.get(self.status, "absent" if self.status in _ABSENT else "")


_ABSENT = (404, 405, 410, 501)
"""What a host answers where it has no such repo for us, or no LFS."""


# --- the bytes did not arrive ------------------------------------------------------------------


class TransferError(HfcloneError):
    """The bytes did not arrive; another try may bring them."""

    code = "transfer"


_BAD_CERTIFICATE = "certificate verif"
"""As OpenSSL says it (verify failed), and git's curl (verification failed)."""


@dataclass(eq=False)
class Unreachable(TransferError):
    """No connection to an endpoint, or none that TLS accepts."""

    endpoint: str
    reason: str
    proxy: str = ""
    """What it would have gone through."""
    code = "unreachable"

    @property
    def variant(self) -> str:
        if _BAD_CERTIFICATE in self.reason:
            return "proxy-certificate" if self.proxy else "certificate"
        return "proxy" if self.proxy else ""


@dataclass(eq=False)
class BadRedirect(TransferError):
    """An endpoint leads to where we do not follow, by a redirect or by the address it names for an object."""

    endpoint: str
    target: str
    reason: str
    oid: str = ""
    """The object whose address it is."""
    code = "bad-redirect"

    @property
    def variant(self) -> str:
        return "address" if self.oid else ""


@dataclass(eq=False)
class Truncated(TransferError):
    endpoint: str
    got: int
    want: int
    code = "truncated"


@dataclass(eq=False)
class Stalled(TransferError):
    endpoint: str
    seconds: float
    code = "stalled"


@dataclass(eq=False)
class TooSlow(Stalled):
    """Bytes come, and too few of them where others may send them: ``got`` of a body in so many seconds."""

    got: int
    code = "too-slow"


@dataclass(eq=False)
class RangeRefused(TransferError):
    """The answer's status or Content-Range is not what was asked for."""

    endpoint: str
    asked: str
    answered: str
    code = "range-refused"


@dataclass(eq=False)
class RateLimited(TransferError):
    endpoint: str
    retry_after: float | None
    """Seconds the endpoint asked us to wait; ``None`` if it did not say."""
    code = "rate-limited"


@dataclass(eq=False)
class ServerFault(TransferError):
    endpoint: str
    status: int
    retry_after: float | None = None
    said: str = ""
    code = "server-fault"

    @property
    def variant(self) -> str:  # most statuses speak for themselves
        return "login" if self.status in (401, 403, 407, 511) else ""


@dataclass(eq=False)
class NotTheObject(TransferError):
    """A 200 that is not the object: an HTML page, a compressed body, another length."""

    endpoint: str
    reason: str
    code = "not-the-object"


@dataclass(eq=False)
class OtherFile(NotTheObject):
    """A file of another length than the pointer's: an endpoint that says so again and again has another file."""

    code = "other-file"


@dataclass(eq=False)
class UrlExpired(TransferError):
    """A signed URL that is too old; asking for a new one is not a failure."""

    endpoint: str
    status: int
    code = "url-expired"


@dataclass(eq=False)
class Unforeseen(TransferError):
    """An exchange ended in an exception that nobody foresaw: a flaw of hfclone's, found by what the endpoint said."""

    endpoint: str
    reason: str
    """The exception and the line that raised it, without secrets."""
    code = "unforeseen"


# --- the bytes arrived and are wrong -----------------------------------------------------------


class IntegrityError(HfcloneError):
    """The bytes arrived and are wrong."""

    code = "integrity"


@dataclass(eq=False)
class HashMismatch(IntegrityError):
    oid: str
    actual: str
    endpoints: tuple[str, ...]
    """Whoever sent a part of it."""
    code = "hash-mismatch"


@dataclass(eq=False)
class WrongBytes(IntegrityError):
    """Proven: the object came out right with other bytes than these."""

    endpoint: str
    oid: str
    code = "wrong-bytes"


@dataclass(eq=False)
class BadPointer(IntegrityError):
    path: str
    reason: str
    code = "bad-pointer"


@dataclass(eq=False)
class UnsafePath(IntegrityError):
    path: str
    reason: str
    code = "unsafe-path"


@dataclass(eq=False)
class BadTree(IntegrityError):
    commit: str
    endpoint: str
    reason: str
    code = "bad-tree"


@dataclass(eq=False)
class PackTooLarge(IntegrityError):
    """A pack without end, or one that this disk has no room for: git was stopped, and what had come is removed."""

    endpoint: str
    size: int
    """Bytes that had come."""
    free: int
    """Bytes that were free before."""
    code = "pack-too-large"


@dataclass(eq=False)
class NotAsLocked(IntegrityError):
    path: str
    endpoint: str
    reason: str
    code = "not-as-locked"


@dataclass(eq=False)
class NotAsCommitted(IntegrityError):
    """A checkout's files are not its commit's; which and how is told beside it."""

    path: str
    commit: str
    wrong: int
    code = "not-as-committed"


# --- this machine cannot -----------------------------------------------------------------------


class LocalError(HfcloneError):
    """This machine cannot."""

    code = "local"


@dataclass(eq=False)
class DiskFull(LocalError):
    """The disk of PATH, a directory, has no room for what is to be written."""

    path: str
    need: int
    free: int
    code = "disk-full"

    @property
    def variant(
        self,
    ) -> str:  # there may seem to be room: a quota, inodes, what is kept for root
        return "" if self.need > self.free else "refused"

    def words(self) -> dict[str, object]:
        return {**super().words(), "short": max(0, self.need - self.free)}


@dataclass(eq=False)
class CheckoutBusy(LocalError):
    path: str
    owner: str
    code = "checkout-busy"


@dataclass(eq=False)
class CheckoutMoved(LocalError):
    path: str
    code = "checkout-moved"


@dataclass(eq=False)
class NotACheckout(LocalError):
    path: str
    reason: str
    suggestion: str = field(default_factory=partial(phrase, "name-another"))
    code = "not-a-checkout"


@dataclass(eq=False)
class OtherCheckout(LocalError):
    path: str
    holds: str
    asked: str
    code = "other-checkout"


@dataclass(eq=False)
class Conflicts(LocalError):
    """PATH holds files that are not the repo's, and are in the way."""

    path: str
    paths: tuple[str, ...]
    code = "conflicts"
    _SHOWN: ClassVar[int] = 10
    """Paths in its text: the list is cut for reading, not for callers."""

    @property
    def variant(self) -> str:
        return "many" if len(self.paths) > self._SHOWN else ""

    def words(self) -> dict[str, object]:
        shown = ", ".join(self.paths[: self._SHOWN])
        return {**super().words(), "paths": shown, "more": len(self.paths) - self._SHOWN}


@dataclass(eq=False)
class OwnCommits(LocalError):
    path: str
    branch: str
    code = "own-commits"


@dataclass(eq=False)
class BranchElsewhere(LocalError):
    path: str
    branch: str
    elsewhere: str
    suggestion: str
    code = "branch-elsewhere"


@dataclass(eq=False)
class ForeignOrigin(LocalError):
    path: str
    origin: str
    reason: str
    suggestion: str = field(default_factory=partial(phrase, "name-its-host"))
    code = "foreign-origin"


@dataclass(eq=False)
class CannotWrite(LocalError):
    path: str
    reason: str
    code = "cannot-write"


@dataclass(eq=False)
class CannotRead(LocalError):
    path: str
    reason: str
    code = "cannot-read"


@dataclass(eq=False)
class LimitReached(LocalError):
    """The system gives hfclone no more memory, open files, threads or processes."""

    what: str
    """``memory``, ``files`` or ``tasks``."""
    reason: str
    code = "limit-reached"

    @property
    def variant(self) -> str:
        return self.what if self.what in ("memory", "files", "tasks") else ""


@dataclass(eq=False)
class NoReflink(LocalError):
    path: str
    reason: str
    code = "no-reflink"


_SIGNALLED = re.compile(r"(?:error|fatal): \S+ died of signal (?:4|6|7|8|9|11)\b")
"""SIGILL, SIGABRT, SIGBUS, SIGFPE, SIGKILL, SIGSEGV: the others are ours, or come of a connection that broke."""
_NO_MEMORY = re.compile("[Oo]ut of memory|Cannot allocate memory")
_NO_FILES = re.compile("Too many open files")
_NO_TASKS = re.compile("Resource temporarily unavailable")
_NO_MODES = re.compile("chmod on .* failed")
_NO_LINKS = re.compile("unable to create symlink .*: (?:Operation not |Function not )")


@dataclass(eq=False)
class GitFailed(LocalError):
    """Git ended with an error that is this machine's: its own words say which."""

    command: str
    status: int
    """Of its exit; ``-9`` where signal 9 ended it."""
    stderr: str
    """Its last lines, with ``LINE_BREAK`` between them and nowhere else."""
    proxy: str = ""
    """What let it not through; ``stderr`` is then the reason."""
    code = "git-failed"
    LINE_BREAK: ClassVar[str] = "; "

    @property
    def variant(self) -> str:
        if self.proxy:
            return "proxy"
        if self.status < 0:
            return "signal"
        if self.is_killed:
            return "killed"
        troubles = {
            "memory": _NO_MEMORY, "files": _NO_FILES, "tasks": _NO_TASKS, "modes": _NO_MODES, "links": _NO_LINKS,
        }  # fmt: skip
        return next((name for name, words in troubles.items() if words.search(self.stderr)), "")

    @property
    def lines(self) -> list[str]:
        """What it said; what the far side said begins with ``remote:``."""
        return self.stderr.split(self.LINE_BREAK)

    @property
    def is_killed(self) -> bool:
        """Whether it, or a part of it, was ended from outside or crashed: then it has answered nothing."""
        return self.status < 0 or any(map(_SIGNALLED.match, self.lines))

    def words(self) -> dict[str, object]:
        return {**super().words(), "signal": -self.status}


@dataclass(eq=False)
class GitEnded(GitFailed):
    """A git that was stopped, since its far side brought nothing, or too much: translated before anybody sees it."""

    why: str = ""
    """``stalled`` or ``too-large``."""
    amount: float = 0.0
    """Seconds, or bytes."""
    free: int = 0
    """Bytes of disk that were free before."""
    code = "git-ended"

    @property
    def variant(self) -> str:
        return ""


@dataclass(eq=False)
class GitUnconnected(GitFailed):
    """A git that was not begun with, since its far side does not connect: translated before anybody sees it.

    ``stderr`` is the reason.
    """

    code = "git-unconnected"

    @property
    def variant(self) -> str:
        return ""


@dataclass(eq=False)
class ToolMissing(LocalError):
    name: str
    why: str
    code = "tool-missing"


# --- patience ran out --------------------------------------------------------------------------


@dataclass(eq=False)
class Incomplete(HfcloneError):
    """Some objects could not be had; everything else is in place."""

    path: str
    missing: int
    """Objects that are not in place."""
    failures: tuple[HfcloneError, ...]
    """One error for each object or call that was given up."""
    code = "incomplete"

    @property
    def variant(self) -> str:
        return "final" if self._final_hints() else ""

    def words(self) -> dict[str, object]:
        return {**super().words(), "hints": "; ".join(self._final_hints()[:2])}

    def _final_hints(self) -> list[str]:
        """Where another run would end as this one did, what would change it instead."""
        final = all(isinstance(each, RemoteError | BadPointer) for each in self.failures)
        return list(dict.fromkeys(each.hint for each in self.failures if each.hint)) if final else []
