"""What views and commands say; see ``hfclone.wording``."""

from __future__ import annotations

__all__ = ["COUNTS", "LINES", "UNITS", "WARNINGS"]

LINES = {
    # a run, as it goes
    "pinned": "{repo} at commit {commit} ({revision}, says {endpoint})",
    "pinned default": "{repo} at commit {commit} (the default branch, says {endpoint})",
    "pinned given": "{repo} at commit {commit} (as given)",
    "renamed": "{before} is called {after} now",
    "plan": "{objects}, {size}",
    "plan partly": "{objects}, {size} ({unselected:,} more stay as pointers)",
    "plan fetch": "to fetch: {size} in {objects}; here: {here}",
    "plan disk": "disk: {need} needed, {free} free",
    "plan disk unknown": "disk: {need} needed; how much is free it does not say",
    "plan missing": "{objects}, {size}; missing: {missing} in {lacking}",
    "reused": "reused {objects}, {size}, from {place}",
    "working": "{what} {done:,}",
    "working of": "{what} {done:,} of {total:,}",
    "waiting": "waiting {time}: {reason}; never gives up; Ctrl-C is safe",
    "waiting until": "waiting {time}: {reason}; gives up in {end}; Ctrl-C is safe",
    "warning": "warning: {text}",
    "failed": "gave up {name}: {error}",
    "faulted": "{endpoint}: {error}",
    "demoted": "{endpoint} is not asked for {what} for a while: {reason}",
    "verified": "verified {name} ({size})",
    "shared": "{form}: {files} in {path}; took {disk}",
    "shared files": "{files} ({lacking:,} are not here)",
    "shared disk": "{size} of disk",
    "shared disk by": "{size} of disk, large files by {way}",
    # how far it is
    "summary": "{done} of {total}  {rate}  {left}",
    "left": "{time} left",
    "left unknown": "time left unknown",
    "progress": "{summary}  {done:,} of {objects:,} objects",
    "bar": "{summary}  {done:,}/{objects:,}",
    "bar object": "{done:>7} of {size:>7}",
    # how it ended
    "done": "done: {repo} at commit {commit}",
    "done objects": "{objects} verified and in place",
    "done objects unread": "{objects} in place, unchanged since verified",
    "done objects some unread": "{objects} in place: {verified:,} verified now, {unread:,} unchanged since verified",
    "done objects partly": "{objects}; {unselected:,} stay as pointers",
    "done kept": "kept your changes to {files}: {paths}",
    "done kept many": "kept your changes to {files}: {paths} and {more:,} more",
    "done bytes": "fetched {fetched}, reused {reused}, in {time}",
    "done endpoint": "  {endpoint}: {size}, {failures}",
    "done checkout": "checkout: {path}",
    "error": "hfclone: error: {error}",
    "hint": "hint: {hint}",
    "cause": "  cause: {cause}",
    "failures": "  {code}: {error}",
    "failures many": "  {code}, {number} times: {error}",
    "failures at": "  {code} ({endpoint}): {error}",
    "failures at many": "  {code} ({endpoint}), {number} times: {error}",
    "failures more": "    and {number:,} more",
    "interrupted": "hfclone: interrupted: everything that arrived is kept; run the same command again to go on",
    "interrupted by": "hfclone: {signal}: everything that arrived is kept; run the same command again to go on",
    "bug": "{what} (this is a bug in hfclone; nothing that arrived is lost)",
    "bug hint": "run it again with -v for the details, and report them",
    "usage hint": "see {command} --help",
    # verify
    "right": "all as commit {commit} has it: {files}, {objects} among them; {size} read",
    "choice held": "of the large files, as when the checkout was made: {choice}",
    "right aside": "{files} of yours was moved aside: {first}",
    "right aside many": "{files} of yours were moved aside: {first} and others",
    "finding": "{problem:<10}  {path}",
    "finding why": "{problem:<10}  {path}  ({why})",
    "finding found": "{found}, not {expected}",
    # status
    "status checkout": "checkout  {path}",
    "status origin": "origin    {origin}",
    "status origin none": "origin    none",
    "status commit": "commit    {commit} (detached)",
    "status commit branch": "commit    {commit} on branch {branch}",
    "status objects": "objects   {counts}",
    "status files": "files     {counts}",
    "status counts": "{total:,}: {counts}",
    "status counts none": "none",
    "status present": "{number:,} present",
    "status pointer": "{number:,} pointer",
    "status missing": "{number:,} missing",
    "status edited": "{number:,} edited",
    "status unverified": "{number:,} unverified",
    "status removed": "{number:,} removed (staged)",
    "status skipped": "{number:,} skipped (sparse checkout)",
    "status choice": "choice    {choice} ({pointers} left by it)",
    "status partials": "partials  {size} of objects that are not whole yet",
    "status unfinished": "a move to another commit was interrupted: run the same command again to finish it",
    # lock, export, import
    "locked": "{file}: {repos} and {files} are locked",
    "exported": "{objects} of {size} missing in {path}",
    "exported expiring": "the addresses are good until {expires}, for whoever has them",
    "exported large": "{objects} of more than {size}: the hub's CDN refuses such a one to a program that begins"
    " without a range, as most do; with --format metalink aria2c has one",
    "exported large curl": "{objects} of more than {size}: curl begins such a one anew when it is cut;"
    " with --format metalink aria2c goes on",
    "exported how": "in a directory of its own: {how}",
    "exported how idm": "import {file} in IDM (Tasks, Import)",
    "exported how urls": "give {file} to any program",
    "exported then": "then: hfclone import THAT_DIRECTORY --into {path}",
    "imported object": "object    {path}  (from {source})",
    "imported partial": "partial   {path}  ({size} from {source})",
    "imported unused": "unused    {path}  ({reason})",
    "imported all": "no object is missing",
    "imported lacking": "{objects} of {size} missing still: 'hfclone fetch {path}' gets the rest",
    # config
    "config only": "# the only file: {path} (HFCLONE_CONFIG)",
    "config project": "# the project's file: {path}",
    "config project ignored": "# the project's file: {path} (not read: {reason})",
    "config own": "# your file: {path}",
    "config own none": "# your file: {path} (there is none)",
}
"""Lines of views, and parts of them."""

WARNINGS = {
    "aria2c-lost": "aria2c: {reason}; the built-in fetcher goes on from what arrived",
    "cache-copies": "large files cannot be shared with {folder}; copies take {need:,} bytes",
    "cache-damaged": "{path} was in the Hub cache with other bytes than its name says; it is replaced",
    "cache-hardlink": (
        "each large file is one file with two names, in the checkout and in the Hub cache, and read-only: "
        "a program that edits it in place all the same spoils both; --cache-link copy takes {need:,} bytes more"
    ),
    "index-torn": (
        "{path} was torn by a crash: it was moved to {aside}, and git has a new one; "
        "files are as they were, and what was staged is among git's objects: 'git fsck --lost-found' finds it"
    ),
    "lfs-store-hardlink": (
        "--lfs-store hardlink: each large file is one inode in the work tree and in .git/lfs/objects, read-only; "
        "a program that edits it in place all the same spoils both"
    ),
    "lfsconfig": (
        "the repo's .lfsconfig names {urls} as its LFS server: hfclone does not ask it, "
        "but git-lfs would, if it is run in this checkout"
    ),
    "local-dir-committed": "the repo has {number} file(s) of huggingface_hub's own names, which stay: {names}",
    "no-aria2c": "aria2c: {reason}; the built-in fetcher does the work",
    "not-reused": "{path} was not used: {reason}",
    "nothing-selected": "no large file matches {patterns}",
    "origin-moved": "the origin of {path} was {before}, which is called otherwise now: it is {after} from here on",
    "set-aside": "{path} was moved to {aside}",
    "unforeseen": (
        "what {endpoint} sent led to something unforeseen: {reason}; the run goes on, and others are asked: "
        "this is a flaw in hfclone, please report it"
    ),
}
"""By the code of the event ``Warned``."""

COUNTS = {
    "failure one": "{number:,} failure",
    "failure many": "{number:,} failures",
    "file one": "{number:,} file",
    "file many": "{number:,} files",
    "large object one": "{number:,} large object",
    "large object many": "{number:,} large objects",
    "object one": "{number:,} object",
    "object many": "{number:,} objects",
    "pointer one": "{number:,} pointer",
    "pointer many": "{number:,} pointers",
    "repo one": "{number:,} repo",
    "repo many": "{number:,} repos",
}
"""Things with their number; ``hfclone.wording.counted`` chooses the form."""

UNITS = {
    "B": "{number} B",
    "kB": "{number} kB",
    "MB": "{number} MB",
    "GB": "{number} GB",
    "TB": "{number} TB",
    "PB": "{number} PB",
    "rate": "{number}/s",
    "s": "{number} s",
    "min": "{number} min",
    "h": "{number} h",
    "d": "{number} d",
}
"""Sizes (``rate``: a second) and times."""
