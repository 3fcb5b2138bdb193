"""What stands inside of a sentence: reasons, suggestions, work that is being done; see ``hfclone.wording``."""

from __future__ import annotations

__all__ = ["PHRASES"]

PHRASES = {
    # names
    "current-directory": "the current directory",
    "default": "default",
    "some-file": "FILE",
    # suggestions
    "name-another": "name an empty or a new directory",
    "put-right": "put the file right, or name another with HFCLONE_CONFIG",
    # work, of which a number stands behind
    "adopting": "taking what is here",
    "cache-filling": "filling the cache",
    "cache-verifying": "verifying the cache",
    "copying": "copying",
    "copying-for-lfs": "copying for git-lfs",
    "files": "files",
    "git": "git",
    "keeping": "keeping what is begun",
    "lfs-objects": "objects for git-lfs",
    "looking": "looking through {place}: files",
    "notes": "notes",
    "signed-addresses": "signed addresses",
    "small-files": "small files",
    "verifying": "verifying",
    # what is not asked of an endpoint for a while
    "object": "object {oid}",
    "these-files": "these files",
    # why nothing moves
    "not-yet": "{endpoint} allows no further request until then",
    "waiting-for": "waiting for {endpoint}",
    "window": "fetching only in the window {window}",
    # why an option or an argument cannot be meant
    "contradicts": "it contradicts {option}",
    "empty": "it is empty",
    "for-lists": "it is for lists, and {form} is none",
    "for-one-form": "it is for {form} alone",
    "no-regular-file": "it is no regular file; '-' is stdout",
    "stdout-is-taken": "stdout is for the file; name one with -o",
    "whole-repos": "a lockfile pins whole repos; choose files with --include",
    # why a file that lies here is not used
    "changed-just-now": "it was changed just now",
    "its-sha256": "its sha256 is {sha256}",
    # why an endpoint does not send
    "no-answer-so-far": "no answer so far",
    # aria2c
    "aria2c-cannot": "aria2c cannot: {reason}",
    "aria2c-error": "error {number}",
    "aria2c-only-fails": "it fails where others would not ({reason})",
    "left-to-built-in": "{reason}; the built-in fetcher fetches it",
}
"""By a name that only this code uses."""
