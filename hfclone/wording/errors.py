"""What each error says, by its code, and behind ``CODE hint`` what the user can do about it.

A variant has the name that the error's ``variant`` gives: ``CODE VARIANT``, ``CODE VARIANT hint``; where it
changes but one of the two, the other is the code's own. Fields are the error's, and what its ``words`` adds.
"""

from __future__ import annotations

__all__ = ["ERRORS"]

_MEMORY = "free some memory or raise its limit (ulimit -v, or the container's); fewer --connections need less"
_FILES = "raise the limit (ulimit -n 1024) and run the same command again; fewer --connections need less"
_TASKS = "raise the limit (ulimit -u, or the container's pids), or end other programs; fewer --connections need less"
_KILLED = "the system may be short of memory (its log says so: dmesg): free some, and run the same command again"

ERRORS = {
    "hfclone-error": "hfclone failed",
    # the request
    "bad-repo-spec": "{given!r} does not name a repo: {reason}",
    "bad-repo-spec hint": "write org/name, datasets/org/name, org/name@revision, or paste the page's URL",
    "bad-option": "{option} {given!r}: {reason}",
    "bad-option switch": "{option}: {reason}",
    "bad-option hint": "see hfclone --help",
    "bad-settings": "{path}: {key}: {reason}",
    "bad-settings whole": "{path}: {reason}",
    "bad-settings hint": "{suggestion}",
    "bad-lockfile": "{file} is no lockfile of hfclone's: {where}: {reason}",
    "bad-lockfile hint": "take an unchanged copy of it, or make it anew with 'hfclone lock'",
    "not-imported": "nothing that {path} lacks is in {files}",
    "not-imported hint": "'hfclone ls' lists the sizes and sums of what is wanted; the files were left as they are",
    "quant-not-found": "no GGUF file is {quants}",
    "quant-not-found hint": "there are {there}",
    "quant-not-found none hint": (
        "the repo has no GGUF files with a quantisation in their names; choose with --include"
    ),
    # the far side says no
    "repo-not-found": "{endpoint} knows no {repo}, or it is private",
    "repo-not-found hint": ("check the name at {page}; for a private repo log in with 'hf auth login' or set HF_TOKEN"),
    "repo-disabled": "{endpoint} has disabled {repo}",
    "repo-disabled hint": "see {page}; only the hub or the repo's owner can lift this",
    "repo-empty": "{repo} is empty at {endpoint}: it has no commit yet",
    "repo-empty hint": "run the same command again when its first commit is there",
    "revision-not-found": "{repo} has no revision {revision!r} at {endpoint}",
    "revision-not-found hint": "its branches and tags are listed at {page}/refs",
    "path-not-found": "{repo} has no {path!r} at commit {commit}",
    "path-not-found hint": "its files are listed at {page}/tree/{commit}",
    "revision-ambiguous": "{revision!r} names more than one commit of {repo}: {candidates}",
    "revision-ambiguous hint": "write more digits of the commit",
    "access-denied": "{repo} is gated at {endpoint}, and no token was sent",
    "access-denied hint": "ask for access at {page}, then log in with 'hf auth login' or set HF_TOKEN",
    "access-denied with-token": "{repo} is gated at {endpoint}, and your account is not on its list",
    "access-denied with-token hint": "ask for access at {page}, then run the same command again",
    "bad-token": "{endpoint} does not accept the token: it is wrong or has expired",
    "bad-token hint": "log in again with 'hf auth login', or unset HF_TOKEN to go without a token",
    "object-missing": "{endpoint} does not have object {oid}",
    "object-missing hint": "another --mirror may have it",
    "object-missing host hint": "'hfclone import' takes in a copy from anywhere",
    "object-refused": "{endpoint} refuses object {oid} (HTTP {status})",
    "object-refused hint": "another --mirror may send it",
    "object-refused host hint": "'hfclone import' takes in a copy from anywhere",
    "not-in-origin": "object {oid} is not in {folder}, from which this was cloned",
    "not-in-origin hint": "complete {folder} first ('hfclone fetch {folder}'), or name another folder with --reuse",
    "not-served": "{endpoint} does not serve {service} (HTTP {status})",
    "lfs-refused": "{endpoint} refuses to list LFS objects (HTTP {status})",
    "lfs-refused hint": "ask who runs it; 'hfclone import' takes in copies from anywhere",
    "lfs-refused login": "{endpoint} wants a login for LFS objects (HTTP {status})",
    "lfs-refused login hint": ("hfclone does not ask git for credentials; 'git lfs pull' in the checkout does"),
    "lfs-refused forbidden": "{endpoint} forbids access to its LFS objects (HTTP {status})",
    "lfs-refused forbidden hint": (
        "hfclone does not ask git for credentials; if yours may have the objects, 'git lfs pull' fetches them"
    ),
    "lfs-refused absent": "{endpoint} does not serve LFS objects of this repo (HTTP {status})",
    "lfs-refused absent hint": (
        "LFS may be off there, at another address ('git config lfs.url'), or for those alone who log in: "
        "hfclone does not ask git for credentials, 'git lfs pull' does"
    ),
    "lfs-refused page": "{endpoint} has no LFS API for this repo: {page} answers with something else",
    "lfs-refused page hint": (
        "open it in a browser: LFS may be off there, at another address ('git config lfs.url'), or for those alone "
        "who log in: hfclone does not ask git for credentials, 'git lfs pull' does"
    ),
    # the bytes did not arrive
    "unreachable": "cannot reach {endpoint}: {reason}",
    "unreachable hint": "check the network and the name; --mirror adds another source",
    "unreachable proxy": "cannot reach {endpoint} through the proxy {proxy}: {reason}",
    "unreachable proxy hint": "check the proxy, the network and the name; --mirror adds another source",
    "unreachable certificate hint": "name the certificates to trust with SSL_CERT_FILE; --mirror adds another source",
    "unreachable proxy-certificate": "cannot reach {endpoint} through the proxy {proxy}: {reason}",
    "unreachable proxy-certificate hint": "name the certificates to trust, the proxy's too, with SSL_CERT_FILE",
    "bad-redirect": "{endpoint} redirects to {target}: {reason}",
    "bad-redirect address": "{endpoint} names {target} as the address of object {oid}: {reason}",
    "truncated": "{endpoint} closed the connection after {got} of {want} bytes",
    "stalled": "{endpoint} sent nothing for {seconds:.0f} s",
    "too-slow": "{endpoint} answers too slowly: {got:,} bytes in {seconds:.0f} s",
    "range-refused": "{endpoint} was asked for bytes {asked} and answered {answered}",
    "rate-limited": "{endpoint} asks us to slow down (HTTP 429)",
    "rate-limited hint": "a token raises the hub's limits; hfclone waits and goes on by itself",
    "server-fault": "{endpoint} answered HTTP {status}",
    "server-fault login hint": ("a proxy or a captive portal may want you to log in: open {endpoint} in a browser"),
    "not-the-object": "{endpoint} sent something else in place of the file: {reason}",
    "not-the-object hint": "a captive portal or a proxy may want you to log in: open the URL in a browser",
    "other-file": "{endpoint} sent something else in place of the file: {reason}",
    "other-file hint": "another --mirror may have the right one",
    "url-expired": "a signed URL of {endpoint} has expired (HTTP {status})",
    "unforeseen": "what {endpoint} sent led to something unforeseen: {reason}",
    "unforeseen hint": "this is a flaw in hfclone: please report it; another --mirror may bring the files meanwhile",
    # the bytes arrived and are wrong
    "hash-mismatch": "object {oid} arrived with sha256 {actual} (from {endpoints})",
    "hash-mismatch hint": "the bytes were not kept; try another --mirror, or none",
    "wrong-bytes": "{endpoint} sent wrong bytes of object {oid}; they were replaced",
    "wrong-bytes hint": "leave this endpoint out if it happens again",
    "bad-pointer": "{path} claims to be a git LFS pointer and is not one: {reason}",
    "bad-pointer hint": "tell the repo's owner; nothing of it was fetched",
    "unsafe-path": "the repo holds a path that must not be written here: {path!r} ({reason})",
    "unsafe-path hint": "nothing was written; tell the repo's owner",
    "bad-tree": "git refuses what {endpoint} sent for commit {commit}: {reason}",
    "bad-tree hint": ("leave this endpoint out; if others send the same, the repo itself is unsafe: tell its owner"),
    "pack-too-large": "git was stopped after {size:,} bytes from {endpoint}: no commit takes up so much",
    "pack-too-large hint": "what had come was removed; leave this endpoint out",
    "not-as-locked": "{path} is not what the lockfile pins: {endpoint} {reason}",
    "not-as-locked hint": "it was not kept; leave this endpoint out, or name another --mirror",
    "not-as-committed": "{wrong} file(s) of {path} are not those of commit {commit}",
    "not-as-committed hint": (
        "'hfclone verify --repair' fetches what is damaged or missing, and keeps edits; "
        "with --backup it moves them aside, and fetches what they were"
    ),
    # this machine cannot
    "disk-full": "{path} needs {need:,} bytes and has {free:,} bytes free",
    "disk-full hint": "free {short:,} bytes or choose another directory, then run the same command again",
    "disk-full refused": "the disk of {path} takes no more, with {free:,} bytes free",
    "disk-full refused hint": (
        "free some space (a quota or its inodes may be used up) or choose another directory, "
        "then run the same command again"
    ),
    "checkout-busy": "{path} is in use by {owner}",
    "checkout-busy hint": "wait for it to end, or stop it",
    "checkout-moved": "{path} was moved, removed or replaced while hfclone worked in it",
    "checkout-moved hint": "nothing was written elsewhere; run the command again where the checkout is now",
    "not-a-checkout": "{path} is not a checkout of hfclone's: {reason}",
    "not-a-checkout hint": "{suggestion}",
    "other-checkout": "{path} is a checkout of {holds}, not of {asked}",
    "other-checkout hint": "name another directory",
    "conflicts": "{path} holds changes that are not the repo's: {paths}",
    "conflicts many": "{path} holds changes that are not the repo's: {paths} and {more} more",
    "conflicts hint": (
        "nothing of yours was touched; move these files away or undo your changes ('git status' shows them), "
        "and run the command again"
    ),
    "own-commits": "branch {branch!r} of {path} holds commits that are not the repo's",
    "own-commits hint": "nothing was touched; check out another branch, or name another directory",
    "branch-elsewhere": "branch {branch!r} of {path} is checked out at {elsewhere}, too",
    "branch-elsewhere hint": "{suggestion}",
    "foreign-origin": "{path} comes from {origin}: {reason}",
    "foreign-origin hint": "{suggestion}",
    "cannot-write": "cannot write {path}: {reason}",
    "cannot-write hint": "check the directory's owner and rights, or name another one",
    "cannot-read": "cannot read {path}: {reason}",
    "cannot-read hint": "its disk may fail: see what the system's log says, and name a directory on another one",
    "limit-reached": "this machine gives hfclone no more {what}: {reason}",
    "limit-reached memory": "this machine gives hfclone no more memory: {reason}",
    "limit-reached memory hint": _MEMORY,
    "limit-reached files": "this machine gives hfclone no more open files: {reason}",
    "limit-reached files hint": _FILES,
    "limit-reached tasks": "this machine gives hfclone no more threads or processes: {reason}",
    "limit-reached tasks hint": _TASKS,
    "no-reflink": "the file system of {path} cannot share blocks between files: {reason}",
    "no-reflink hint": ("choose --lfs-store none (content in the work tree alone), copy (twice the disk) or hardlink"),
    "git-failed": "git {command} failed ({status}): {stderr}",
    "git-failed proxy": "git {command} does not get through the proxy {proxy}: {stderr}",
    "git-ended": "git {command} was stopped: {why}",
    "git-unconnected": "git {command} was not started: {stderr}",
    "git-failed signal": "git {command} was ended by signal {signal}",
    "git-failed signal hint": _KILLED,
    "git-failed killed hint": _KILLED,
    "git-failed memory hint": _MEMORY,
    "git-failed files hint": _FILES,
    "git-failed tasks hint": _TASKS,
    "git-failed links hint": (
        "there can be no symbolic links here: run 'git config core.symlinks false' in it, and this command again"
    ),
    "git-failed modes hint": (
        "the file system lets nobody change modes: mount it so that it does (drvfs: option metadata; vfat, ntfs, "
        "cifs: options uid and gid, or as their owner), or name a directory on another one"
    ),
    "tool-missing": "{name} is not installed: {why}",
    "tool-missing hint": "install {name} (on Debian and Ubuntu: apt install {name}) and run the command again",
    # patience ran out
    "incomplete": "{missing} object(s) of {path} could not be fetched",
    "incomplete hint": "everything that arrived is kept: run the same command again to go on",
    "incomplete final hint": "everything else is in place; {hints}",
}
