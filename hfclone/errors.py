"""Every error hfclone raises, and every word of it that a user reads.

::

    HfcloneError
    ├── UsageError        the request itself cannot be meant          exit 2
    │   └── BadRepoSpec · BadOption · BadSettings · BadLockfile · QuantNotFound · NotImported
    ├── RemoteError       the far side answered, and the answer is no exit 3
    │   └── RepoNotFound · RepoDisabled · RevisionNotFound · PathNotFound · RevisionAmbiguous
    │       · AccessDenied · BadToken · ObjectMissing · NotServed
    ├── TransferError     the bytes did not arrive                    exit 4
    │   └── Unreachable · BadRedirect · Truncated · Stalled · RangeRefused · RateLimited
    │       · ServerFault · NotTheObject (OtherFile) · UrlExpired
    ├── IntegrityError    the bytes arrived and are wrong             exit 5
    │   └── HashMismatch · WrongBytes · BadPointer · UnsafePath · BadTree · NotAsLocked
    │       · NotAsCommitted
    ├── LocalError        this machine cannot                         exit 6
    │   └── DiskFull · CheckoutBusy · NotACheckout · OtherCheckout · Conflicts
    │       · OwnCommits · ForeignOrigin · NoReflink · CannotRead · CannotWrite · GitFailed · ToolMissing
    └── Incomplete        patience ran out; carries every failure     exit 4

Why so: an error is a value with fields, made where it happens; its text and its hint stand
here, beside its name, so that a translator finds all of them in one file. Policy (who is asked
next, how long we wait) is decided from the class in ``patience.py``, never from a text.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

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
    "CannotRead",
    "CannotWrite",
    "CheckoutBusy",
    "Conflicts",
    "DiskFull",
    "ForeignOrigin",
    "GitFailed",
    "HashMismatch",
    "HfcloneError",
    "Incomplete",
    "IntegrityError",
    "LocalError",
    "NoReflink",
    "NotACheckout",
    "NotAsCommitted",
    "NotAsLocked",
    "NotImported",
    "NotServed",
    "NotTheObject",
    "ObjectMissing",
    "OtherCheckout",
    "OtherFile",
    "OwnCommits",
    "PathNotFound",
    "QuantNotFound",
    "RangeRefused",
    "RateLimited",
    "RemoteError",
    "RepoDisabled",
    "RepoNotFound",
    "RevisionAmbiguous",
    "RevisionNotFound",
    "ServerFault",
    "Stalled",
    "ToolMissing",
    "TransferError",
    "Truncated",
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
    text: ClassVar[str] = "hfclone failed"
    advice: ClassVar[str] = ""

    def __post_init__(self) -> None:
        # Exception pickles by its args, and these errors cross process borders.
        self.args = tuple(getattr(self, field.name) for field in dataclasses.fields(self))

    def fields(self) -> dict[str, object]:
        """The data of this error by field name."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    def __str__(self) -> str:
        return self.text.format(**self._words())

    def _words(self) -> dict[str, object]:
        """The fields as a sentence wants them: no tuple's brackets."""
        return {k: ", ".join(map(str, v)) if isinstance(v, tuple) else v for k, v in self.fields().items()}

    @property
    def hint(self) -> str:
        """What the user can do about it, in one line; empty where there is nothing to say."""
        return self.advice.format(**self._words())


# --- the request -------------------------------------------------------------------------------


class UsageError(HfcloneError):
    """The request itself cannot be meant."""

    code = "usage"


@dataclass(eq=False)
class BadRepoSpec(UsageError):
    given: str
    reason: str
    code = "bad-repo-spec"
    text = "{given!r} does not name a repo: {reason}"
    advice = "write org/name, datasets/org/name, org/name@revision, or paste the page's URL"


@dataclass(eq=False)
class BadOption(UsageError):
    """An option, a variable or a line of a settings file says what cannot be meant."""

    option: str
    given: str
    reason: str
    code = "bad-option"
    advice = "see hfclone --help"

    @property
    def text(self) -> str:  # type: ignore[override]  # a switch has no value to show
        return "{option} {given!r}: {reason}" if self.given else "{option}: {reason}"


@dataclass(eq=False)
class BadSettings(UsageError):
    """A file of settings cannot be read, or says what cannot be meant."""

    path: str
    key: str
    reason: str
    suggestion: str = "put the file right, or name another with HFCLONE_CONFIG"
    code = "bad-settings"

    @property
    def text(self) -> str:  # type: ignore[override]  # what is wrong may be the file as a whole
        return "{path}: {key}: {reason}" if self.key else "{path}: {reason}"

    @property
    def hint(self) -> str:
        return self.suggestion


@dataclass(eq=False)
class BadLockfile(UsageError):
    file: str
    where: str
    """A line, or a field as ``repos[0].files[2].mode``."""
    reason: str
    code = "bad-lockfile"
    text = "{file} is no lockfile of hfclone's: {where}: {reason}"
    advice = "take an unchanged copy of it, or make it anew with 'hfclone lock'"


@dataclass(eq=False)
class NotImported(UsageError):
    path: str
    files: tuple[str, ...]
    code = "not-imported"
    text = "nothing that {path} lacks is in {files}"
    advice = "'hfclone ls' lists the sizes and sums of what is wanted; the files were left as they are"


# --- the far side says no ----------------------------------------------------------------------


@dataclass(eq=False)
class QuantNotFound(UsageError):
    """``--quant`` names what no GGUF file of the repo is."""

    quants: tuple[str, ...]
    there: tuple[str, ...]
    code = "quant-not-found"
    text = "no GGUF file is {quants}"

    @property
    def hint(self) -> str:
        if not self.there:
            return "the repo has no GGUF files with a quantisation in their names; choose with --include"
        return f"there are {', '.join(self.there)}"


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
    text = "{endpoint} knows no {repo}, or it is private"
    advice = "check the name at {page}; for a private repo log in with 'hf auth login' or set HF_TOKEN"


@dataclass(eq=False)
class RepoDisabled(RemoteError):
    repo: str
    endpoint: str
    page: str
    code = "repo-disabled"
    text = "{endpoint} has disabled {repo}"
    advice = "see {page}; only the hub or the repo's owner can lift this"


@dataclass(eq=False)
class RevisionNotFound(RemoteError):
    repo: str
    revision: str
    endpoint: str
    page: str
    code = "revision-not-found"
    text = "{repo} has no revision {revision!r} at {endpoint}"
    advice = "its branches and tags are listed at {page}/refs"


@dataclass(eq=False)
class PathNotFound(RemoteError):
    """The one file or folder that was asked for is not in the commit."""

    repo: str
    path: str
    commit: str
    page: str
    code = "path-not-found"
    text = "{repo} has no {path!r} at commit {commit}"
    advice = "its files are listed at {page}/tree/{commit}"


@dataclass(eq=False)
class RevisionAmbiguous(RemoteError):
    repo: str
    revision: str
    candidates: tuple[str, ...]
    code = "revision-ambiguous"
    text = "{revision!r} names more than one commit of {repo}: {candidates}"
    advice = "write more digits of the commit"


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
    def text(self) -> str:  # type: ignore[override]  # two situations, one class: callers act alike
        if self.with_token:
            return "{repo} is gated at {endpoint}, and your account is not on its list"
        return "{repo} is gated at {endpoint}, and no token was sent"

    @property
    def advice(self) -> str:  # type: ignore[override]
        if self.with_token:
            return "ask for access at {page}, then run the same command again"
        return "ask for access at {page}, then log in with 'hf auth login' or set HF_TOKEN"


@dataclass(eq=False)
class BadToken(RemoteError):
    endpoint: str
    code = "bad-token"
    text = "{endpoint} does not accept the token: it is wrong or has expired"
    advice = "log in again with 'hf auth login', or unset HF_TOKEN to go without a token"


@dataclass(eq=False)
class ObjectMissing(RemoteError):
    """404 or 410 for one object; says nothing against the endpoint."""

    oid: str
    endpoint: str
    code = "object-missing"
    text = "{endpoint} does not have object {oid}"
    advice = "another --mirror may have it"


@dataclass(eq=False)
class NotServed(RemoteError):
    """The endpoint does not offer this service at all (git, LFS batch, API)."""

    service: str
    endpoint: str
    status: int
    code = "not-served"
    text = "{endpoint} does not serve {service} (HTTP {status})"


# --- the bytes did not arrive ------------------------------------------------------------------


class TransferError(HfcloneError):
    """The bytes did not arrive; another try may bring them."""

    code = "transfer"


@dataclass(eq=False)
class Unreachable(TransferError):
    """No connection to an endpoint, or none that TLS accepts."""

    endpoint: str
    reason: str
    proxy: str = ""
    """What it would have gone through."""
    code = "unreachable"

    @property
    def text(self) -> str:  # type: ignore[override]  # most go through none
        return "cannot reach {endpoint}" + (" through the proxy {proxy}" if self.proxy else "") + ": {reason}"

    @property
    def hint(self) -> str:
        what = "the proxy, the network and the name" if self.proxy else "the network and the name"
        return f"check {what}; --mirror adds another source"


@dataclass(eq=False)
class BadRedirect(TransferError):
    endpoint: str
    target: str
    reason: str
    code = "bad-redirect"
    text = "{endpoint} redirects to {target}: {reason}"


@dataclass(eq=False)
class Truncated(TransferError):
    endpoint: str
    got: int
    want: int
    code = "truncated"
    text = "{endpoint} closed the connection after {got} of {want} bytes"


@dataclass(eq=False)
class Stalled(TransferError):
    endpoint: str
    seconds: float
    code = "stalled"
    text = "{endpoint} sent nothing for {seconds:.0f} s"


@dataclass(eq=False)
class RangeRefused(TransferError):
    """The answer's status or Content-Range is not what was asked for."""

    endpoint: str
    asked: str
    answered: str
    code = "range-refused"
    text = "{endpoint} was asked for bytes {asked} and answered {answered}"


@dataclass(eq=False)
class RateLimited(TransferError):
    endpoint: str
    retry_after: float | None
    """Seconds the endpoint asked us to wait; ``None`` if it did not say."""
    code = "rate-limited"
    text = "{endpoint} asks us to slow down (HTTP 429)"
    advice = "a token raises the hub's limits; hfclone waits and goes on by itself"


@dataclass(eq=False)
class ServerFault(TransferError):
    endpoint: str
    status: int
    retry_after: float | None = None
    code = "server-fault"
    text = "{endpoint} answered HTTP {status}"

    @property
    def advice(self) -> str:  # type: ignore[override]  # most statuses speak for themselves
        if self.status in (401, 403, 407, 511):
            return "a proxy or a captive portal may want you to log in: open {endpoint} in a browser"
        return ""


@dataclass(eq=False)
class NotTheObject(TransferError):
    """A 200 that is not the object: an HTML page, a compressed body, another length."""

    endpoint: str
    reason: str
    code = "not-the-object"
    text = "{endpoint} sent something else in place of the file: {reason}"
    advice = "a captive portal or a proxy may want you to log in: open the URL in a browser"


@dataclass(eq=False)
class OtherFile(NotTheObject):
    """A file of another length than the pointer's: an endpoint that says so again and again has another file."""

    code = "other-file"
    advice = "another --mirror may have the right one"


@dataclass(eq=False)
class UrlExpired(TransferError):
    """A signed URL that is too old; asking for a new one is not a failure."""

    endpoint: str
    status: int
    code = "url-expired"
    text = "a signed URL of {endpoint} has expired (HTTP {status})"


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
    text = "object {oid} arrived with sha256 {actual} (from {endpoints})"
    advice = "the bytes were not kept; try another --mirror, or none"


@dataclass(eq=False)
class WrongBytes(IntegrityError):
    """Proven: the object came out right with other bytes than these."""

    endpoint: str
    oid: str
    code = "wrong-bytes"
    text = "{endpoint} sent wrong bytes of object {oid}; they were replaced"
    advice = "leave this endpoint out if it happens again"


@dataclass(eq=False)
class BadPointer(IntegrityError):
    path: str
    reason: str
    code = "bad-pointer"
    text = "{path} claims to be a git LFS pointer and is not one: {reason}"
    advice = "tell the repo's owner; nothing of it was fetched"


@dataclass(eq=False)
class UnsafePath(IntegrityError):
    path: str
    reason: str
    code = "unsafe-path"
    text = "the repo holds a path that must not be written here: {path!r} ({reason})"
    advice = "nothing was written; tell the repo's owner"


@dataclass(eq=False)
class BadTree(IntegrityError):
    commit: str
    endpoint: str
    reason: str
    code = "bad-tree"
    text = "git refuses what {endpoint} sent for commit {commit}: {reason}"
    advice = "leave this endpoint out; if others send the same, the repo itself is unsafe: tell its owner"


@dataclass(eq=False)
class NotAsLocked(IntegrityError):
    path: str
    endpoint: str
    reason: str
    code = "not-as-locked"
    text = "{path} is not what the lockfile pins: {endpoint} {reason}"
    advice = "it was not kept; leave this endpoint out, or name another --mirror"


@dataclass(eq=False)
class NotAsCommitted(IntegrityError):
    """A checkout's files are not its commit's; which and how is told beside it."""

    path: str
    commit: str
    wrong: int
    code = "not-as-committed"
    text = "{wrong} file(s) of {path} are not those of commit {commit}"
    advice = (
        "'hfclone verify --repair' fetches what is damaged or missing, and keeps edits; "
        "with --backup it moves them aside, and fetches what they were"
    )


# --- this machine cannot -----------------------------------------------------------------------


class LocalError(HfcloneError):
    """This machine cannot."""

    code = "local"


@dataclass(eq=False)
class DiskFull(LocalError):
    path: str
    need: int
    free: int
    code = "disk-full"
    text = "{path} needs {need:,} bytes and has {free:,} bytes free"
    advice = "free {short:,} bytes or choose another directory, then run the same command again"

    @property
    def hint(self) -> str:
        return self.advice.format(short=max(0, self.need - self.free))


@dataclass(eq=False)
class CheckoutBusy(LocalError):
    path: str
    owner: str
    code = "checkout-busy"
    text = "{path} is in use by {owner}"
    advice = "wait for it to end, or stop it"


@dataclass(eq=False)
class NotACheckout(LocalError):
    path: str
    reason: str
    suggestion: str = "name an empty or a new directory"
    code = "not-a-checkout"
    text = "{path} is not a checkout of hfclone's: {reason}"
    advice = "{suggestion}"


@dataclass(eq=False)
class OtherCheckout(LocalError):
    path: str
    holds: str
    asked: str
    code = "other-checkout"
    text = "{path} is a checkout of {holds}, not of {asked}"
    advice = "name another directory"


@dataclass(eq=False)
class Conflicts(LocalError):
    """PATH holds files that are not the repo's, and are in the way."""

    path: str
    paths: tuple[str, ...]
    code = "conflicts"

    @property
    def text(self) -> str:  # type: ignore[override]  # the list is cut for reading, not for callers
        shown = ", ".join(self.paths[:10]).replace("{", "{{").replace("}", "}}")
        more = f" and {len(self.paths) - 10} more" if len(self.paths) > 10 else ""
        return f"{{path}} holds files that are not the repo's: {shown}{more}"

    advice = "nothing was touched; move them away, or undo your changes, and run the command again"


@dataclass(eq=False)
class OwnCommits(LocalError):
    path: str
    branch: str
    code = "own-commits"
    text = "branch {branch!r} of {path} holds commits that are not the repo's"
    advice = "nothing was touched; check out another branch, or name another directory"


@dataclass(eq=False)
class ForeignOrigin(LocalError):
    path: str
    origin: str
    reason: str
    code = "foreign-origin"
    text = "{path} comes from {origin}: {reason}"
    advice = "name its host with --endpoint or --mirror; 'git pull' and 'hfclone fetch' go with any host"


@dataclass(eq=False)
class CannotWrite(LocalError):
    path: str
    reason: str
    code = "cannot-write"
    text = "cannot write {path}: {reason}"
    advice = "check the directory's owner and rights, or name another one"


@dataclass(eq=False)
class CannotRead(LocalError):
    path: str
    reason: str
    code = "cannot-read"
    text = "cannot read {path}: {reason}"
    advice = "its disk may fail: see what the system's log says, and name a directory on another one"


@dataclass(eq=False)
class NoReflink(LocalError):
    path: str
    reason: str
    code = "no-reflink"
    text = "the file system of {path} cannot share blocks between files: {reason}"
    advice = "choose --lfs-store none (content in the work tree alone), copy (twice the disk) or hardlink"


@dataclass(eq=False)
class GitFailed(LocalError):
    command: str
    status: int
    stderr: str
    code = "git-failed"
    text = "git {command} failed ({status}): {stderr}"


@dataclass(eq=False)
class ToolMissing(LocalError):
    name: str
    why: str
    code = "tool-missing"
    text = "{name} is not installed: {why}"
    advice = "install {name} (on Debian and Ubuntu: apt install {name}) and run the command again"


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
    text = "{missing} object(s) of {path} could not be fetched"
    advice = "everything that arrived is kept: run the same command again to go on"

    @property
    def hint(self) -> str:
        """Where another run would end as this one did, what would change it instead."""
        final = bool(self.failures) and all(isinstance(each, RemoteError | BadPointer) for each in self.failures)
        hints = list(dict.fromkeys(each.hint for each in self.failures if each.hint)) if final else []
        return f"everything else is in place; {'; '.join(hints[:2])}" if hints else self.advice
