"""What git's words mean when it speaks to a far side, as errors of ours."""

from __future__ import annotations

import errno
import os
import re

from hfclone.errors import (
    AccessDenied,
    BadTree,
    GitEnded,
    GitFailed,
    GitUnconnected,
    HfcloneError,
    NotServed,
    NotTheObject,
    PackTooLarge,
    RateLimited,
    RepoNotFound,
    RevisionNotFound,
    ServerFault,
    Stalled,
    Unreachable,
)
from hfclone.git.watching import Ending
from hfclone.hub.endpoint import Endpoint, TokenRule
from hfclone.names import Pin
from hfclone.wording import phrase

__all__ = ["is_of_full_disk", "is_stall", "is_unconnected", "redirects", "translate"]

_UNREACHABLE = re.compile(
    r"Could not resolve|Failed to connect|Couldn't connect|[Cc]onnection (?:timed out|refused|reset|was reset)"
    r"|timed out|Operation too slow|curl (?:5|6|7|16|18|28|35|52|55|56|92) |early EOF|unexpected disconnect"
    r"|hung up unexpectedly|transfer closed|Empty reply|SSL|TLS|GnuTLS|Recv failure|Send failure|index-pack failed"
    r"|unpack-objects failed|bad pack header|flush packet|bad band|protocol error|Proxy CONNECT"
)
_TOO_SLOW = re.compile(r"Operation too slow")
"""What libcurl says after ``http.lowSpeedTime``."""
_UNCONNECTED = re.compile(r"Could not resolve|Failed to connect|Couldn't connect|[Cc]onnection (?:timed out|refused)")
_STATUS = re.compile(r"(?:returned error: |HTTP |HTTP status code: |code[ =])(\d{3})")
_REDIRECT = re.compile(r"returned error: 30[12378]|unable to update url base from redirection")
_RAW_REFUSED = re.compile(
    r"not our ref|unadvertised object|upload-pack: not our ref|couldn't find remote ref|no such ref"
)
_BAD_TREE = re.compile(
    r"did not send all necessary objects|fsck error|bad object|SHA1 COLLISION|invalid sha1|pack has bad object"
    r"|is corrupt|hash mismatch|fatal: object .* is"
)
_FAR = re.compile(
    r"remote: |(?:fatal|error): (?:remote error|unable to access|RPC failed|protocol error|(?:un)?expected )"
)
"""How a line begins in which the far side speaks, or curl, of the way there."""
_LOCAL = re.compile(
    r"(?:(?:fatal|error|warning): )?(?:\S+: )?(?:[Uu]nable to (?:write|create|open|fork)|couldn't set"
    r"|not a git repository|cannot (?:lock ref|create|open|store|fork)|[Oo]ut of memory"
    r"|[Tt]oo many open files|fsync error)"
)
"""How a line begins in which git says that this machine cannot."""
_REASONS = (
    errno.EPERM, errno.ENOENT, errno.EIO, errno.EAGAIN, errno.ENOMEM, errno.EACCES, errno.EXDEV, errno.ENODEV,
    errno.ENOTDIR, errno.EISDIR, errno.EINVAL, errno.ENFILE, errno.EMFILE, errno.EFBIG, errno.ENOSPC, errno.EROFS,
    errno.EMLINK, errno.ENAMETOOLONG, errno.ENOSYS, errno.ENOTSUP, errno.EDQUOT, errno.ESTALE,
)  # fmt: skip
"""What a file system, the memory or a limit refuses with. What a network does is not among them."""
_REFUSED = re.compile(f": (?:{'|'.join(map(os.strerror, _REASONS))})$")
"""How a line ends in which git hands on what the system said."""
_NO_ROOM = re.compile("No space left|Disk quota|Out of diskspace")
_NOT_GIT = re.compile(
    r"not valid: is this a git repository|invalid server response|dumb http transport|repository .* not found"
)


def redirects(error: GitFailed) -> bool:
    """Whether it failed since the far side leads elsewhere, which git is not let follow."""
    return _REDIRECT.search(error.stderr) is not None


def is_stall(error: GitFailed) -> bool:
    """Whether it was ended, by us or by git itself, since the far side brought next to nothing."""
    if isinstance(error, GitEnded):
        return error.why == Ending.STALLED.value
    return _TOO_SLOW.search(error.stderr) is not None


def is_unconnected(error: GitFailed) -> bool:
    """Whether there was no connection to the far side."""
    return isinstance(error, GitUnconnected) or _UNCONNECTED.search(error.stderr) is not None


def is_of_full_disk(error: GitFailed) -> bool:
    """Whether it failed for want of room here."""
    return any(map(_NO_ROOM.search, _ours(error)))


def translate(error: GitFailed, endpoint: Endpoint, pin: Pin) -> HfcloneError:
    """What git's words to the far side mean, as one of our errors; ``error`` itself if this machine cannot.

    What is not known is the far side's: its own words (``remote error:``) are without number.
    """
    said, name = error.stderr, str(endpoint)
    if isinstance(error, GitEnded):
        return Stalled(name, error.amount) if is_stall(error) else PackTooLarge(name, int(error.amount), error.free)
    if error.proxy or isinstance(error, GitUnconnected):
        return Unreachable(name, said, error.proxy)
    if _is_of_this_machine(error):  # before all that follows from it: index-pack fails, the far side hangs up
        return error
    status = _STATUS.search(said)
    if _BAD_TREE.search(said):
        return BadTree(pin.commit, name, said)
    if "Authentication failed" in said or "could not read Username" in said or "could not read Password" in said:
        return RepoNotFound(str(pin.repo), name, endpoint.page(pin.repo))
    if status:
        return _by_status(int(status[1]), endpoint, pin)
    if _RAW_REFUSED.search(said):
        return RevisionNotFound(str(pin.repo), pin.commit, name, endpoint.page(pin.repo))
    if _NOT_GIT.search(said):
        if "not found" in said:
            return NotServed("git", name, 404)
        return NotTheObject(name, phrase("page-for-git"))
    if _UNREACHABLE.search(said):
        return Unreachable(name, error.lines[-1] if len(said) > 300 else said)
    return Unreachable(name, error.lines[-1][:300])


def _is_of_this_machine(error: GitFailed) -> bool:
    """Whether git was killed or crashed, or the system refused it something: the far side has no part in that."""
    reasons = (_LOCAL.match, _REFUSED.search, _NO_ROOM.search)
    return error.is_killed or any(has(line) for line in _ours(error) for has in reasons)


def _ours(error: GitFailed) -> list[str]:
    """What git said of this machine, or may have."""
    return [line for line in error.lines if not _FAR.match(line)]


def _by_status(status: int, endpoint: Endpoint, pin: Pin) -> HfcloneError:
    name, repo, page = str(endpoint), str(pin.repo), endpoint.page(pin.repo)
    if status == 401:
        return RepoNotFound(repo, name, page)
    if status == 403:
        return AccessDenied(repo, name, page, endpoint.token_rule is TokenRule.SEND)
    if status == 429:
        return RateLimited(name, None)
    return ServerFault(name, status) if status >= 500 else NotServed("git", name, status)
