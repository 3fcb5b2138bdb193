"""The Hugging Face Hub, and whoever speaks as it does (only user of huggingface_hub).

From huggingface_hub come the token's look-up and the rule of patterns, which users know from there; it is imported
when they are needed, since that takes long. Its HTTP client is not used, since it sends the token wherever
``HF_ENDPOINT`` points and follows redirects by its own list of hosts; one GET is all that hfclone needs of the API.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from hfclone import errors
from hfclone.errors import HfcloneError
from hfclone.hub.site import DEFAULT_BRANCH, Asked
from hfclone.names import Pin, Repo, RepoSpec, check_revision, parse_name, split_repo
from hfclone.wording import phrase

if TYPE_CHECKING:
    from hfclone.http import Answer

__all__ = ["HUGGING_FACE", "HuggingFaceSite", "find_token", "read_hf_uri", "select"]

MOST_OF_AN_ID = 100
"""Characters of a request's id that are shown; the hub's have half of it."""
_VERBATIM_REF = re.compile(r"(refs/(?:pr/[0-9]+|convert/[^/]+))(?:/(.*))?")
_PAGES = ("tree", "blob", "resolve", "raw", "commit", "blame", "edit")
_TABS = ("discussions", "commits", "settings", "viewer", "refs")


@dataclass(frozen=True, slots=True)
class HuggingFaceFiles:
    """Its files: ``/resolve/`` and ``/raw/``."""

    def url(self, base: str, pin: Pin, path: bytes) -> str:
        """The content of a file at a commit."""
        return f"{base}/{pin.repo.path}/resolve/{pin.commit}/{quote(path)}"

    def blob_urls(self, base: str, pin: Pin, path: bytes) -> Sequence[str]:
        """/raw/ is what git stores, also for a pointer; not every mirror has it."""
        return f"{base}/{pin.repo.path}/raw/{pin.commit}/{quote(path)}", self.url(base, pin, path)


@dataclass(frozen=True, slots=True)
class HuggingFaceApi:
    """Its API: ``/api/models/...``."""

    def revision_url(self, base: str, repo: Repo, revision: str | None) -> str:
        """The API's answer about a revision; ``None`` asks for the default branch.

        Of that the hub is asked to tell the commit alone: 20,000 files' names are a megabyte. Who does not know
        ``expand`` tells all.
        """
        named = f"/revision/{quote(revision, safe='')}" if revision is not None else "?expand=sha"
        return f"{_api(base, repo)}{named}"

    def read_revision(self, told: Any) -> tuple[object, object]:
        """``sha`` and ``id``: a repo may have been renamed or moved."""
        return (told.get("sha"), told.get("id")) if isinstance(told, dict) else (None, None)

    def branches_url(self, base: str, repo: Repo) -> str:
        """The API's list of branches and tags."""
        return f"{_api(base, repo)}/refs"

    def read_branches(self, told: Any) -> frozenset[str] | None:
        """The names among ``branches``."""
        rows = told.get("branches") if isinstance(told, dict) else None
        if not isinstance(rows, list):
            return None
        names = (row.get("name") for row in rows if isinstance(row, dict))
        return frozenset(name for name in names if isinstance(name, str))


@dataclass(frozen=True, slots=True)
class HuggingFaceSite:
    """huggingface.co, its mirrors, and what people run in their own networks that speaks as it does."""

    default_branch = DEFAULT_BRANCH
    has_mirrors = True
    files = HuggingFaceFiles()
    api = HuggingFaceApi()

    def page(self, base: str, repo: Repo) -> str:
        """The page a person opens."""
        return f"{base}/{repo.path}"

    def git_url(self, base: str, repo: Repo) -> str:
        """What git clones."""
        return f"{base}/{repo.path}"

    def repo_of(self, path: str) -> Repo | None:
        """As a user would name it."""
        try:
            spec = parse_name(path)
        except errors.BadRepoSpec:
            return None
        return spec.repo if spec.revision is None else None

    def read_page(self, path: str, given: str) -> RepoSpec:
        """One-part names (``gpt2``), too, which huggingface_hub's own reader of URLs does not know."""
        parts = [part for part in path.split("/") if part]
        repo, rest = split_repo([unquote(part) for part in parts[:1]] + parts[1:], given, _PAGES)
        if not rest or rest[0] in _TABS:
            return RepoSpec(repo)
        if rest[0] not in _PAGES or len(rest) < 2:
            raise errors.BadRepoSpec(given, phrase("unknown-page", name=rest[0]))
        revision, file = _split_revision(rest[1:])
        file = unquote(file, errors="surrogateescape")
        folder = rest[0] == "tree" and file
        return RepoSpec(repo, check_revision(revision, given), (file + "/" if folder else file) or None)

    def git_probe_url(self, base: str, repo: Repo) -> str:
        """What git asks first."""
        return f"{self.git_url(base, repo)}/info/refs?service=git-upload-pack"

    def batch_url(self, base: str, repo: Repo) -> str:
        """The LFS batch API of ``repo``; here the hub insists on ``.git``."""
        return f"{base}/{repo.path}.git/info/lfs/objects/batch"

    def explain(self, answer: Answer, asked: Asked) -> HfcloneError | None:
        """The hub's table of errors, which are words in headers.

        A 401 or 403 without them is a mirror's or a proxy's, and says nothing of the repo.
        """
        code = answer.headers.get("X-Error-Code", "")
        message = answer.headers.get("X-Error-Message", "")
        request_id = (answer.headers.get("X-Request-Id") or answer.headers.get("X-Amzn-Trace-Id", ""))[:MOST_OF_AN_ID]
        label, name, page = asked.endpoint, str(asked.repo), asked.page
        if code == "GatedRepo":
            return errors.AccessDenied(name, label, page, asked.with_token, request_id)
        if "credentials in Authorization header" in message:
            return errors.BadToken(label)
        if answer.status == 403 and "disabled" in message:
            return errors.RepoDisabled(name, label, page)
        if code == "RevisionNotFound":
            return errors.RevisionNotFound(name, asked.revision or phrase("default-branch"), label, page)
        if code == "RepoNotFound":
            return errors.RepoNotFound(name, label, page, request_id)
        return None

    def names_error(self, answer: Answer) -> bool:
        """Whether it has a code of the hub's."""
        return bool(answer.headers.get("X-Error-Code"))


HUGGING_FACE = HuggingFaceSite()


def read_hf_uri(given: str) -> RepoSpec:
    """``hf://[datasets/|spaces/]org/name[@revision][/path]``, as fsspec and huggingface_hub write it.

    Raises:
        BadRepoSpec: it names no repo.
    """
    body = given[5:]
    head, at, tail = body.partition("@")
    repo, rest = split_repo([part for part in head.split("/") if part], given, _PAGES)
    if not at:
        return RepoSpec(repo, file="/".join(rest) or None)
    if rest:
        raise errors.BadRepoSpec(given, phrase("revision-misplaced"))
    revision, path = _split_revision(tail.split("/"))
    return RepoSpec(repo, check_revision(revision, given), file=path or None)


def _split_revision(parts: list[str]) -> tuple[str, str]:
    """Revision and (still quoted) path of a page's URL; a slash inside a branch stands there as ``%2F``."""
    joined = "/".join(parts)
    verbatim = _VERBATIM_REF.fullmatch(joined)
    if verbatim:
        return verbatim[1], verbatim[2] or ""
    return unquote(parts[0]), "/".join(parts[1:])


def _api(base: str, repo: Repo) -> str:
    return f"{base}/api/{repo.repo_type.value}s/{repo.repo_id}"


def find_token() -> str | None:
    """The user's token, from wherever huggingface_hub looks for one, unless it was told to send none."""
    from huggingface_hub import constants, get_token

    try:
        return None if constants.HF_HUB_DISABLE_IMPLICIT_TOKEN else get_token()
    except OSError:  # a file that may not be read is another's
        return None


def select(paths: Iterable[bytes], *, include: Sequence[str], exclude: Sequence[str]) -> frozenset[bytes]:
    """The paths that are wanted, by huggingface_hub's rule of patterns (``*`` crosses ``/``)."""
    from huggingface_hub.utils import filter_repo_objects  # type: ignore[attr-defined]  # exported late

    chosen = filter_repo_objects(
        list(paths), allow_patterns=list(include) or None, ignore_patterns=list(exclude) or None, key=os.fsdecode
    )
    return frozenset(chosen)
