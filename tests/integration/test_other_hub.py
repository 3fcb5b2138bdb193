"""A hub that nobody has heard of: what it says for itself stands in this file, and hfclone does its whole job there.

It has other addresses below a path of its own, another default branch, its errors in an answer's body,
files by query, and no LFS batch API.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_from_bytes

import pytest

from hfclone import errors
from hfclone.errors import HfcloneError, RepoNotFound, RevisionNotFound
from hfclone.flows import clone as clone_flow
from hfclone.flows import pull as pull_flow
from hfclone.hub.known import KNOWN_HUBS, KnownHub
from hfclone.hub.pasted import parse_repo_spec
from hfclone.hub.site import Asked
from hfclone.names import Pin, Repo, RepoSpec, parse_name
from hfclone.settings import Settings, read_settings
from tests.e2e.command import assert_checkout, git, placed
from tests.hub import Hub, Lfs, LivingRepo
from tests.hub.messages import Request, Response, as_json
from tests.hub.server import LOCAL, Front
from tests.hub.site import Manners

if TYPE_CHECKING:
    from hfclone.http import Answer

# --- all that hfclone has to be told -----------------------------------------------------------

MISSING_REPO, MISSING_REVISION = 4401, 4402


@dataclass(frozen=True)
class ForgeFiles:
    def url(self, base: str, pin: Pin, path: bytes) -> str:
        return f"{base}/file/{pin.repo.repo_id}?at={pin.commit}&name={quote_from_bytes(path, safe='')}"

    def blob_urls(self, base: str, pin: Pin, path: bytes) -> Sequence[str]:
        return (f"{self.url(base, pin, path)}&as=stored",)


@dataclass(frozen=True)
class ForgeApi:
    def revision_url(self, base: str, repo: Repo, revision: str | None) -> str:
        return f"{base}/v1/commit/{repo.repo_id}?at={quote(revision or FORGE.default_branch, safe='')}"

    def read_revision(self, told: Any) -> tuple[object, object]:
        return _data(told, "Commit"), _data(told, "Name")

    def branches_url(self, base: str, repo: Repo) -> str:
        return f"{base}/v1/branches/{repo.repo_id}"

    def read_branches(self, told: Any) -> frozenset[str] | None:
        names = _data(told, "Branches")
        return frozenset(name for name in names if isinstance(name, str)) if isinstance(names, list) else None


@dataclass(frozen=True)
class ForgeSite:
    default_branch = "master"
    has_mirrors = True
    files = ForgeFiles()
    api = ForgeApi()

    def page(self, base: str, repo: Repo) -> str:
        return f"{base}/see/{repo.repo_id}"

    def git_url(self, base: str, repo: Repo) -> str:
        return f"{base}/scm/{repo.repo_id}.git"

    def repo_of(self, path: str) -> Repo | None:
        return Repo(path.removeprefix("scm/")) if path.startswith("scm/") else None

    def read_page(self, path: str, given: str) -> RepoSpec:
        before, see, name = path.partition("/see/")
        if (before, see) != ("/hub", "/see/"):
            raise errors.BadRepoSpec(given, "no such page")
        return parse_name(name)

    def git_probe_url(self, base: str, repo: Repo) -> str | None:
        return None

    def batch_url(self, base: str, repo: Repo) -> str | None:
        return None

    def explain(self, answer: Answer, asked: Asked) -> HfcloneError | None:
        if not answer.content_type.endswith("json"):
            return None
        told = answer.json()
        code, name = told.get("Code") if isinstance(told, dict) else None, str(asked.repo)
        if code == MISSING_REPO:
            return errors.RepoNotFound(name, asked.endpoint, asked.page)
        if code == MISSING_REVISION:
            return errors.RevisionNotFound(name, asked.revision or self.default_branch, asked.endpoint, asked.page)
        return None

    def names_error(self, answer: Answer) -> bool:
        return False


def _data(told: Any, name: str) -> object:
    data = told.get("Data") if isinstance(told, dict) else None
    return data.get(name) if isinstance(data, dict) else None


FORGE = ForgeSite()


# --- the hub itself ----------------------------------------------------------------------------


class ForgeFront(Front):
    """Translates what it is asked into what our own hub knows, and that one's answers back."""

    def _serve(self, request: Request) -> Response:
        assert request.path.startswith("/hub/"), "its path is part of its URL"
        service, _, rest = request.path.removeprefix("/hub/").partition("/")
        if service == "scm":
            return super()._serve(replace(request, path=f"/{rest}"))
        if service == "file":
            verb = "raw" if request.arg("as") == "stored" else "resolve"
            name = quote(request.arg("name"), errors="surrogateescape")
            return super()._serve(replace(request, path=f"/{rest}/{verb}/{request.arg('at')}/{name}", query=""))
        verb, _, repo_id = rest.partition("/")
        asked = "/refs" if verb == "branches" else f"/revision/{quote(request.arg('at'), safe='')}"
        return _reworded(super()._serve(replace(request, path=f"/api/models/{repo_id}{asked}", query="")))


def _reworded(response: Response) -> Response:
    code = response.headers.get("X-Error-Code", "")
    if response.status != 200:
        number = {"RepoNotFound": MISSING_REPO, "RevisionNotFound": MISSING_REVISION}.get(code, 0)
        return as_json({"Success": False, "Code": number, "Message": "no such record"}, status=404)
    assert isinstance(response.body, bytes)
    told = json.loads(response.body)
    branches = [row["name"] for row in told.get("branches", ())]
    return as_json({"Success": True, "Data": {"Commit": told.get("sha"), "Name": told.get("id"), "Branches": branches}})


# --- the job -----------------------------------------------------------------------------------


@pytest.fixture
def forge(hub: Hub) -> Iterator[Front]:
    front = ForgeFront("forge", hub.site, hub.log, Manners(own_cdn=False), None, LOCAL)
    yield front
    front.close()


@pytest.fixture
def repo(hub: Hub) -> LivingRepo:
    """What ``main`` has is not meant."""
    repo = hub.repo("acme/tiny", {"README.md": "tiny\n"})
    repo.add_commit(
        {"config.json": "{}\n", "model.safetensors": Lfs(300_000, seed=1), "sub/w #1?.bin": Lfs(70_000, seed=2)},
        branch="master",
        message="master",
    )
    repo.add_commit({"other.bin": Lfs(9_000, seed=9)}, message="main")
    return repo


def settings(hub: Hub, forge: Front, tmp_path: Path, **chosen: str) -> Settings:
    """One row registers the hub; the user says no more than of any other."""
    flags = {f"--{name.replace('_', '-')}": (value,) for name, value in (chosen | {"give_up_after": "5s"}).items()}
    environ = {"HOME": str(tmp_path / "home"), "GIT_CONFIG_NOSYSTEM": "1"}
    row = KnownHub(f"{forge.url}/hub", FORGE, names=(forge.url.removeprefix("http://"),))
    return replace(read_settings(flags, environ=environ), hubs=(row, *KNOWN_HUBS))


def test_the_whole_job(hub: Hub, forge: Front, repo: LivingRepo, tmp_path: Path) -> None:
    base, dest = f"{forge.url}/hub", tmp_path / "x"
    chosen = settings(hub, forge, tmp_path, endpoint=base)
    spec = parse_repo_spec(f"{base}/see/acme/tiny", hubs=chosen.hubs)
    report = clone_flow.clone(spec, dest, chosen)
    assert report.pin.commit == repo.commit_of("refs/heads/master")
    assert report.fetched_bytes == 370_000
    assert_checkout(dest, report.pin.commit, f"{base}/scm/acme/tiny.git")
    assert git(dest, "symbolic-ref", "HEAD") == "refs/heads/master"
    assert placed(dest) == {"model.safetensors", "sub/w #1?.bin"}

    commit = repo.add_commit({"more.bin": Lfs(50_000, seed=3)}, branch="master", message="more")
    assert pull_flow.pull(dest, None, chosen).fetched_bytes == 50_000
    assert_checkout(dest, commit, f"{base}/scm/acme/tiny.git")
    assert {entry.listener for entry in hub.log.entries} == {"forge", "cdn"}
    assert all(entry.path.startswith("/hub/") for entry in hub.log.entries if entry.listener == "forge")


@pytest.mark.parametrize(
    ("name", "error", "page"),
    [("acme/none", RepoNotFound, "acme/none"), ("acme/tiny@none", RevisionNotFound, "acme/tiny")],
)
def test_its_own_words_for_no(
    hub: Hub, forge: Front, repo: LivingRepo, tmp_path: Path, name: str, error: type[Any], page: str
) -> None:
    with pytest.raises(error) as raised:
        clone_flow.clone(
            parse_repo_spec(name), tmp_path / "x", settings(hub, forge, tmp_path, endpoint=f"{forge.url}/hub")
        )
    assert raised.value.page == f"{forge.url}/hub/see/{page}"


def test_a_mirror_may_be_of_another_kind(hub: Hub, forge: Front, tiny_repo: LivingRepo, tmp_path: Path) -> None:
    """The hub decides which commit it is; the bytes come from whoever has them, however that one is asked."""
    chosen = settings(hub, forge, tmp_path, endpoint=hub.url, mirror=f"{forge.url}/hub", spare_hub="true")
    report = clone_flow.clone(parse_repo_spec("acme/tiny"), tmp_path / "x", chosen)
    assert_checkout(tmp_path / "x", tiny_repo.commit, f"{hub.url}/acme/tiny")
    assert {tally.endpoint: tally.sent for tally in report.endpoints if tally.sent} == {
        f"{forge.url}/hub".removeprefix("http://"): 370_000
    }
    assert not [entry for entry in hub.log.entries if entry.listener == "hub" and entry.kind in ("batch", "resolve")]
