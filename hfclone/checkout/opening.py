"""How a directory becomes a checkout of ours, or is refused."""

from __future__ import annotations

import itertools
import os
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from stat import S_IMODE, S_ISREG
from urllib.parse import urlsplit

from hfclone.errors import (
    BranchElsewhere,
    CannotWrite,
    CheckoutBusy,
    GitFailed,
    NotACheckout,
    OtherCheckout,
    OwnCommits,
)
from hfclone.events import OnEvent, Warned
from hfclone.files.access import change_mode, made_mode
from hfclone.files.folders import files_below, make_folders
from hfclone.files.refusals import refused
from hfclone.git import (
    Git,
    GitRepo,
    Remote,
    TreeEntry,
    address_of,
    drop_promisor,
    git_dir_of,
    is_partial_clone,
    remote_of,
    remotes_of,
    run_lock_of,
    state_dir_of,
)
from hfclone.git.index import Wholeness, wholeness_of
from hfclone.hub.site import DEFAULT_BRANCH
from hfclone.lock.model import LINK_MODE
from hfclone.names import Pin
from hfclone.paths import LONGEST_PATH, Folding, Platform, check_link, check_tree, show_beginning
from hfclone.wording import phrase

__all__ = [
    "Target",
    "check_paths",
    "inspect",
    "prepare_directory",
    "ready_repo",
    "refuse_branch_elsewhere",
    "refuse_own_commits",
    "replace_torn_index",
    "warn_of_lfsconfig",
]

_LOCAL_CONFIG = (
    # Without these a copied checkout (other inodes, other ctimes) would be read whole by git status.
    ("core.checkStat", "minimal"),
    ("core.trustctime", "false"),
    # The files are to be the commit's, byte for byte, whatever its user has for repos of their own.
    ("core.autocrlf", "false"),
)
"""Of checkouts that hfclone makes. One that git made stays as its user has configured it."""
_BRANCHES = "+refs/heads/*:refs/remotes/origin/*"
_UNFINISHED = {
    "MERGE_HEAD": "merge",
    "rebase-merge": "rebase",
    "rebase-apply": "rebase",
    "CHERRY_PICK_HEAD": "cherry-pick",
    "REVERT_HEAD": "revert",
    "BISECT_LOG": "bisect",
}


@dataclass(frozen=True, slots=True)
class Target:
    """What a directory is to be a checkout of."""

    pin: Pin
    dest: Path
    branch: str | None
    """What HEAD is to be on; without one it is detached."""
    origin: str | None
    """The repo's canonical URL; ``None`` for a checkout that is completed wherever it comes from."""
    mirrors: tuple[str, ...] = ()
    """Other URLs of the same repo that a clone made by git may have as its origin."""

    @property
    def state(self) -> Path:
        """Our own directory in it."""
        return state_dir_of(self.dest)


def prepare_directory(target: Target) -> None:
    """Make the directory and our own in it.

    Raises:
        CannotWrite: the system refuses.
    """
    dest, state = target.dest, target.state
    try:
        make_folders(dest)
        for folder in (git_dir_of(dest), state, state / "parts"):
            folder.mkdir(exist_ok=True)
    except OSError as error:
        raise refused(error, str(error.filename or dest)) from error
    if not os.access(dest, os.W_OK | os.X_OK):
        raise CannotWrite(str(dest), phrase("permission-denied"))


def inspect(target: Target, git: Git) -> str | None:
    """The name of the remote by which the directory is a checkout of ``target``; ``None``: a new one is to be made.

    Reads only. New is what is not there, empty, or holds nothing but an unfinished ``.git`` of ours.

    Raises:
        NotACheckout, OtherCheckout: it must not be touched.
        CannotWrite: it cannot even be read.
    """
    dest = target.dest
    try:
        names = {entry.name for entry in os.scandir(dest)}
    except FileNotFoundError:
        return None
    except NotADirectoryError:
        raise NotACheckout(str(dest), phrase("no-directory")) from None
    except OSError as error:
        raise CannotWrite(str(dest), error.strerror or str(error)) from error
    if not names:
        return None
    if ".git" not in names:
        raise NotACheckout(str(dest), phrase("other-files"))
    repo = GitRepo(git, dest)
    remotes = list(remotes_of(repo)) if (repo.git_dir / "HEAD").exists() else []
    if remotes or target.origin is None:
        repo.check_ids()
        return _fitting(repo, remotes, target)
    if names == {".git"} and stat.S_ISDIR(os.lstat(dest / ".git").st_mode) and _is_blank(repo.git_dir):
        return None
    raise NotACheckout(str(dest), phrase("no-origin"))


def _fitting(repo: GitRepo, remotes: Sequence[Remote], target: Target) -> str:
    """The remote that is what ``target`` is to be of. Raises OtherCheckout where none is."""
    if target.origin is None:
        followed = remote_of(repo, repo.head_branch())
        return followed.name if followed else repo.remote
    wanted = {_plain(url) for url in (target.origin, *target.mirrors)}
    first = remote_of(repo, repo.head_branch()) or remotes[0]
    ordered = [first, *(remote for remote in remotes if remote != first)]
    for url_of in (lambda remote: remote.url, lambda remote: address_of(repo, remote.url)):
        for remote in ordered:
            if _plain(url_of(remote)) in wanted:
                return remote.name
    raise OtherCheckout(str(repo.path), _without_secrets(first.url), str(target.pin.repo))


def ready_repo(target: Target, git: Git, *, after_kill: bool) -> GitRepo:
    """The repo, made where there is none, without what a killed run (``after_kill``) left of it. Under our own lock.

    Raises:
        NotACheckout, OtherCheckout, CheckoutBusy: it is not ours to change, or not now.
    """
    remote = inspect(target, git)
    repo = GitRepo(git, target.dest)
    repo.remote = remote or repo.remote
    if remote is not None and is_partial_clone(repo):
        # Git would fetch behind our back, and servers leave out of a pack what it should have.
        raise NotACheckout(str(repo.path), phrase("partial-clone"))
    if after_kill:
        repo.clear_stale()
    if remote is None:  # HEAD has to point somewhere while there is no commit yet
        repo.init(target.branch or DEFAULT_BRANCH, dict(_LOCAL_CONFIG) | _following(target.branch))
    drop_promisor(repo)
    repo.clear_abandoned()
    _refuse_unfinished(repo)
    _configure(repo, target)
    _share(target.state, repo)
    return repo


def _share(state: Path, repo: GitRepo) -> None:
    """Give what is ours in ``.git`` the rights that git's own has.

    Earlier versions kept it to their user: it gets at least what ``.git`` has, and the umask leaves.

    Raises:
        CannotWrite: this machine cannot.
    """
    lock = run_lock_of(repo.path)
    ours = (state, state / "parts", state / "journals", lock.parent, lock)
    try:
        git = S_IMODE(os.stat(repo.git_dir).st_mode)
        found = {path: os.stat(path) for path in ours if path.exists()}
        if any(S_IMODE(one.st_mode) & 0o066 != git & 0o066 for one in found.values()):
            made = made_mode(state)
            for path, one in found.items():
                wanted = git & (made if S_ISREG(one.st_mode) else made | (made & 0o444) >> 2)
                change_mode(path, S_IMODE(one.st_mode) | wanted)
        for path in found:
            repo.access.give(path)
    except OSError as error:
        raise refused(error, state) from error


def _following(branch: str | None) -> dict[str, str]:
    """What git says of a branch's clone."""
    own = {"remote": "origin", "merge": f"refs/heads/{branch}"} if branch is not None else {}
    return {"remote.origin.fetch": _BRANCHES} | {f"branch.{branch}.{name}": value for name, value in own.items()}


def _configure(repo: GitRepo, target: Target) -> None:
    """Have the remote be the repo's own address; nothing else of a user's configuration is changed."""
    if target.origin is None:
        return
    key = f"remote.{repo.remote}.url"
    url = repo.config.first(key)
    if url is None and repo.config.get(f"remote.{repo.remote}.fetch") is None:
        repo.config.set(f"remote.{repo.remote}.fetch", _BRANCHES)
    # Last, since it tells the next run that all before is done.
    if url is None or _plain(url) in {_plain(mirror) for mirror in target.mirrors} - {_plain(target.origin)}:
        repo.config.set(key, target.origin)


def _refuse_unfinished(repo: GitRepo) -> None:
    """Refuse a checkout in which git waits for its user.

    Raises:
        CheckoutBusy: a merge, rebase or the like is under way, or a git command runs.
    """
    for name, what in _UNFINISHED.items():
        if (repo.git_dir / name).exists():
            raise CheckoutBusy(str(repo.path), phrase("unfinished-of-git", what=what))
    if (repo.git_dir / "index.lock").exists():
        raise CheckoutBusy(str(repo.path), phrase("git-command"))


def replace_torn_index(repo: GitRepo, on_event: OnEvent) -> None:
    """Move an index aside that a crash has torn; the next that is written is a new one.

    Why not end the run: there is nothing that its user could do with that file but this, git has every content that
    was staged among its objects still, and a run may be unattended. Why only then: what can be read says what was
    staged, and an index of a newer git's form is that git's to read. Git alone is no judge: of a file that was cut
    short it makes entries of nothing.
    """
    index = repo.git_dir / "index"
    if not index.exists():
        return
    found = wholeness_of(index)
    if found is Wholeness.WHOLE or (found is Wholeness.DOUBTFUL and _is_readable(repo)):
        return
    aside = next(free for n in itertools.count(1) if not (free := index.with_name(f"index.hfclone-orig-{n}")).exists())
    try:
        index.rename(aside)
    except OSError as error:
        raise refused(error, index) from error
    on_event(Warned("index-torn", {"path": str(index), "aside": str(aside)}))


def _is_readable(repo: GitRepo) -> bool:
    try:
        repo.staged()
    except GitFailed as error:
        if error.is_killed:
            raise
        return False
    return True


def refuse_own_commits(repo: GitRepo, branch: str | None, commit: str) -> None:
    """Refuse to move a branch that its user has committed to: its commits would be lost from it.

    Raises:
        OwnCommits: its tip is no commit that came from the repo's hub.
    """
    if branch is None:
        return
    refs = repo.refs("refs/hfclone", f"refs/remotes/{repo.remote}", f"refs/heads/{branch}")
    tip = refs.get(f"refs/heads/{branch}")
    theirs = {commit} | {oid for ref, oid in refs.items() if not ref.startswith("refs/heads/")}
    if tip is not None and tip not in theirs and not _leads_to(repo, tip, commit):
        raise OwnCommits(str(repo.path), branch)


def refuse_branch_elsewhere(repo: GitRepo, branch: str | None) -> None:
    """Refuse to move a branch that is checked out in another work tree, too: what stands there would be left behind.

    Raises:
        BranchElsewhere: it is.
    """
    elsewhere = None if branch is None else repo.work_tree_of(f"refs/heads/{branch}")
    if elsewhere is None:
        return
    hint = phrase("run-it-there") if os.path.lexists(elsewhere) else phrase("prune-work-trees")
    raise BranchElsewhere(str(repo.path), str(branch), elsewhere, hint)


def _leads_to(repo: GitRepo, tip: str, commit: str) -> bool:
    """Whether ``tip`` is in the past of ``commit``, as far as that is here: nothing is lost then."""
    try:
        repo.run("merge-base", "--is-ancestor", tip, commit)
    except GitFailed as error:
        if error.is_killed:
            raise
        return False
    return True


def check_paths(repo: GitRepo, entries: Iterable[TreeEntry]) -> None:
    """Refuse a commit that holds what must not be written here, or cannot.

    Raises:
        UnsafePath: it does.
        CannotWrite: in a directory with a shorter name it could.
    """
    entries = list(entries)
    folded = repo.config.get("core.ignorecase") == "true"
    check_tree(
        (entry.path for entry in entries),
        platform=Platform.WINDOWS if os.name == "nt" else Platform.POSIX,
        folding=Folding.FOLDED if folded else Folding.DISTINCT,
    )
    _check_lengths(repo, entries)
    _check_links(repo, entries)


def _check_lengths(repo: GitRepo, entries: Iterable[TreeEntry]) -> None:
    """Of full paths, as most programs name files; also of where git writes files before they get their place."""
    if not hasattr(os, "pathconf"):
        return
    limit = os.pathconf(repo.path, "PC_PATH_MAX") - 1
    room = limit - len(os.fsencode(repo.git_dir / "hfclone" / "compare0")) - 1
    longest = max((entry.path for entry in entries), key=len, default=b"")
    if len(longest) > room:
        raise CannotWrite(show_beginning(longest), phrase("path-too-long-here", limit=limit))


def _check_links(repo: GitRepo, entries: Iterable[TreeEntry]) -> None:
    """Where links can be made: elsewhere any target fits into the file that stands for one."""
    links = {entry.path: entry.oid for entry in entries if entry.mode == LINK_MODE}
    if not links or not repo.abilities.links:
        return
    sizes = repo.blob_sizes(links.values())
    small = [oid for oid, size in sizes.items() if size is not None and size <= LONGEST_PATH]
    targets = dict(repo.read_blobs(small))
    for path, oid in links.items():
        if sizes[oid] is not None:
            check_link(path, targets.get(oid, b"-" * (LONGEST_PATH + 1)))


def warn_of_lfsconfig(repo: GitRepo, entries: Iterable[TreeEntry], on_event: OnEvent) -> None:
    """Tell of a ``.lfsconfig`` that sends git-lfs elsewhere: hfclone does not read it, git-lfs here would."""
    oid = next((entry.oid for entry in entries if entry.path == b".lfsconfig" and entry.is_file), None)
    urls = repo.config.urls_in_blob(oid) if oid else ()
    if urls:
        on_event(Warned("lfsconfig", {"urls": ", ".join(map(_without_secrets, urls))}))


def _is_blank(git_dir: Path) -> bool:
    """Whether nobody has committed or fetched anything of their own here."""
    refs = git_dir / "refs"
    heads = [path for path in files_below(refs) if "hfclone" not in path.parts]
    return not heads and not (git_dir / "packed-refs").exists()


def _plain(url: str) -> str:
    """A URL as far as it says which repo it is."""
    return _without_secrets(url).rstrip("/").removesuffix(".git")


def _without_secrets(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl() if parts.scheme else url
