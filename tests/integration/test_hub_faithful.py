"""The test hub is faithful: real clients work against it, and each of its services answers as the facts say."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from tests.e2e.command import Command
from tests.hub import Executable, Hub, Lfs, LfsBytes, LivingRepo, Lost, Manners, Symlink, answers, mirror, nginx
from tests.hub.fixtures import make_tiny
from tests.hub.repos import git_env

TOKEN = "hf_good"
SNAPSHOT = """
import json, sys
from huggingface_hub import snapshot_download
try:
    print(json.dumps({"path": snapshot_download(**json.loads(sys.argv[1]))}))
except Exception as error:
    told = error.__cause__ if type(error).__name__ == "LocalEntryNotFoundError" and error.__cause__ else error
    print(json.dumps({"error": type(told).__name__}))
"""


@dataclass(frozen=True)
class Snapshot:
    """What snapshot_download gave: a folder, or the name of the error."""

    path: Path
    error: str


Download = Callable[..., Snapshot]


@pytest.fixture
def download(hub: Hub, tmp_path: Path) -> Download:
    """Run snapshot_download in a process of its own."""

    def run(repo_id: str, **more: object) -> Snapshot:
        endpoint = str(more.pop("endpoint", hub.url))
        env = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING"))}
        env |= {"HF_ENDPOINT": endpoint, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_DISABLE_XET": "1"}
        env |= {"HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
        command = [sys.executable, "-c", SNAPSHOT, json.dumps({"repo_id": repo_id, **more})]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
        said = json.loads(done.stdout)
        return Snapshot(Path(said.get("path", "")), said.get("error", ""))

    return run


Git = Callable[..., str]


@pytest.fixture
def git(tmp_path: Path) -> Git:
    """Run git with a private home in which git-lfs is installed."""
    home = tmp_path / "home"
    home.mkdir()
    env = {**git_env(), "HOME": str(home), "GIT_CONFIG_GLOBAL": str(home / "gitconfig"), "GIT_TERMINAL_PROMPT": "0"}
    subprocess.run(["git", "lfs", "install", "--skip-repo"], env=env, cwd=home, capture_output=True, check=True)

    def run(*args: str, cwd: Path = tmp_path) -> str:
        done = subprocess.run(["git", *args], env=env, cwd=cwd, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(done.stderr)
        return done.stdout

    return run


def expected(repo: LivingRepo, commit: str) -> dict[str, str]:
    """Return the sha256 of the content of every regular file."""
    rows = [row for row in repo.rows(commit) if not row.is_tree and row.mode != "120000"]
    return {row.name: row.lfs[0] if row.lfs else sha256(repo.blobs.read(row.oid)) for row in rows}


def found(folder: Path, names: set[str]) -> dict[str, str]:
    """Return the sha256 of those files below a folder."""
    return {name: sha256((folder / name).read_bytes()) for name in names}


def sha256(content: bytes) -> str:
    """Hash some bytes."""
    return hashlib.sha256(content).hexdigest()


def bearer(token: str) -> dict[str, str]:
    """Return the header that carries a token."""
    return {"Authorization": f"Bearer {token}"}


class TestHuggingfaceHub:
    """huggingface_hub's own client."""

    @pytest.mark.parametrize("revision", ["main", "v1.0", "feat/slash", "refs/pr/1"])
    def test_downloads_every_revision(self, hub: Hub, tiny_repo: LivingRepo, download: Download, revision: str) -> None:
        """All files come with the right content, over several pages of the tree."""
        hub.manners.page_size = 3
        ref = {"v1.0": "refs/tags/v1.0", "refs/pr/1": "refs/pr/1"}.get(revision, f"refs/heads/{revision}")
        commit = tiny_repo.commit_of(ref)
        assert commit is not None
        wanted = expected(tiny_repo, commit)
        got = download("acme/tiny", revision=revision)
        assert got.path.name == commit
        assert found(got.path, set(wanted)) == wanted
        assert len(hub.log.of(kind="api", path="/tree/")) > 3

    @pytest.mark.parametrize("repo_type", ["dataset", "space"])
    def test_other_types(self, hub: Hub, download: Download, repo_type: str) -> None:
        """Datasets and spaces have their own paths."""
        repo = hub.repo("acme/data", {"a.bin": Lfs(1000), "b.txt": "b"}, repo_type=repo_type)  # type: ignore[arg-type]
        got = download("acme/data", repo_type=repo_type)
        assert found(got.path, {"a.bin", "b.txt"}).items() <= expected(repo, repo.commit).items()

    def test_one_part_and_renamed_ids(self, hub: Hub, download: Download) -> None:
        """A bare id works, and an old id leads to the new one."""
        repo = hub.repo("gpt2", {"a.bin": Lfs(1000), "b.txt": "b"})
        wanted = expected(repo, repo.commit)
        assert found(download("gpt2").path, set(wanted)) == wanted
        hub.site.rename("gpt2", "openai-community/gpt2")
        got = download("gpt2", force_download=True)
        assert found(got.path, set(wanted)) == wanted
        assert hub.log.of(status=307, path="/api/models/gpt2")

    @pytest.mark.parametrize(
        ("repo_id", "more", "error"),
        [
            ("acme/none", {}, "RepositoryNotFoundError"),
            ("acme/none", {"token": TOKEN}, "RepositoryNotFoundError"),
            ("acme/tiny", {"revision": "none"}, "RevisionNotFoundError"),
            ("acme/tiny", {"revision": "0" * 40}, "RevisionNotFoundError"),
            ("acme/tiny", {"token": "hf_bad"}, "HfHubHTTPError"),
            ("acme/gated", {}, "GatedRepoError"),
            ("acme/gated", {"token": TOKEN}, "GatedRepoError"),
            ("acme/disabled", {}, "DisabledRepoError"),
        ],
    )
    def test_errors(
        self, hub: Hub, tiny_repo: LivingRepo, download: Download, repo_id: str, more: dict[str, str], error: str
    ) -> None:
        """Each refusal is told apart by the client."""
        hub.tokens.add(TOKEN)
        hub.add("acme/gated", tiny_repo, gated="manual")
        hub.add("acme/disabled", tiny_repo).disabled = True
        assert download(repo_id, **more).error == error

    def test_gated_and_private_with_token(self, hub: Hub, tiny_repo: LivingRepo, download: Download) -> None:
        """The right token opens; it never reaches the CDN."""
        hub.tokens.add(TOKEN)
        hub.add("acme/gated", tiny_repo, gated="auto").approved.add(TOKEN)
        hub.add("acme/private", tiny_repo, private=True).members.add(TOKEN)
        wanted = expected(tiny_repo, tiny_repo.commit)
        assert download("acme/private").error == "RepositoryNotFoundError"
        for repo_id in ("acme/gated", "acme/private"):
            assert found(download(repo_id, token=TOKEN).path, set(wanted)) == wanted
        assert hub.log.of(kind="cdn")
        assert hub.log.saw_token(TOKEN, listener="hub")
        assert not hub.log.saw_token(TOKEN, listener="cdn")

    @pytest.mark.parametrize("manners", [mirror.files_only, mirror.olah_proxy, mirror.reverse_proxy])
    def test_mirrors(self, hub: Hub, tiny_repo: LivingRepo, download: Download, manners: Callable[[], Manners]) -> None:
        """The client is content with mirrors of several manners."""
        front = hub.mirror("mirror", manners())
        wanted = expected(tiny_repo, tiny_repo.commit)
        got = download("acme/tiny", endpoint=front.url)
        assert found(got.path, set(wanted)) == wanted
        assert bool(hub.log.of(listener="cdn")) == (manners is mirror.files_only)

    def test_what_is_had_by_ranges_alone(
        self, hub: Hub, tiny_repo: LivingRepo, download: Download, git: Git, tmp_path: Path
    ) -> None:
        """A very large file, over a mirror: neither ``hf download`` nor git-lfs brings it, and hfclone does."""
        front = hub.mirror("reverse", mirror.reverse_proxy())
        front.faults.add(answers.NeedsRange(100_000), kind="cdn")
        wanted = {"endpoint": front.url, "allow_patterns": "model.safetensors"}
        assert download("acme/tiny", **wanted).error == "BadRequestError"
        git("clone", "-q", "--no-checkout", f"{front.url}/acme/tiny", "lfs")
        once = ("-c", "lfs.transfer.maxretries=1")
        with pytest.raises(RuntimeError, match="Client error"):
            git(*once, "lfs", "fetch", "--include", "model.safetensors", cwd=tmp_path / "lfs")
        assert {entry.status for entry in hub.log.of(kind="cdn")} == {400}
        user = Command(tmp_path / "user", front.url)
        assert user("acme/tiny", "--include", "model.safetensors").code == 0
        assert sha256((user.cwd / "tiny/model.safetensors").read_bytes()) in tiny_repo.objects

    def test_mirror_leaks_the_next_page(self, hub: Hub, tiny_repo: LivingRepo, download: Download) -> None:
        """A Link that a mirror leaves alone leads the client away from it."""
        front = hub.mirror("mirror", mirror.files_only())
        front.manners.page_size = 3
        assert not download(repo_id="acme/tiny", endpoint=front.url).error
        assert tiny_repo.objects
        assert hub.log.of(listener="hub", path="/tree/")


class TestGit:
    """git and git-lfs."""

    @pytest.mark.parametrize("version", ["0", "2"])
    @pytest.mark.parametrize("suffix", ["", ".git"])
    def test_clone_and_lfs(
        self, hub: Hub, tiny_repo: LivingRepo, git: Git, tmp_path: Path, version: str, suffix: str
    ) -> None:
        """A clone has every file; git's protocol is the one asked for."""
        url = f"{hub.url}/acme/tiny{suffix}"
        git("-c", f"protocol.version={version}", "clone", url, "clone")
        wanted = expected(tiny_repo, tiny_repo.commit)
        assert found(tmp_path / "clone", set(wanted)) == wanted
        assert git("status", "--porcelain", cwd=tmp_path / "clone") == ""
        assert git("lfs", "fsck", cwd=tmp_path / "clone").strip().endswith("OK")
        posts = hub.log.of(kind="git", method="POST")
        assert len(posts) == (1 if version == "0" else 2)
        refs = git("ls-remote", url)
        assert all(ref in refs for ref in ("refs/pr/1", "refs/heads/feat/slash", "refs/tags/v1.0"))

    def test_switches(self, hub: Hub, tiny_repo: LivingRepo, git: Git, tmp_path: Path) -> None:
        """Filters, wants by id and protocol v2 can be taken away."""
        hidden = tiny_repo.add_commit({"big.txt": "x" * 5000})
        tiny_repo.add_commit({"big.txt": "y" * 5000})
        sparse = ("-c", "filter.lfs.smudge=", "-c", "filter.lfs.process=", "clone", "-n", "--filter=blob:none")
        git(*sparse, f"{hub.url}/acme/tiny", "with")
        assert "\n?" in git("rev-list", "--objects", "--missing=print", "HEAD", cwd=tmp_path / "with")
        git("init", "by-id")
        git("fetch", "--depth", "1", f"{hub.url}/acme/tiny", hidden, cwd=tmp_path / "by-id")
        hub.manners.protocol_v2 = hub.manners.allow_filter = hub.manners.allow_any_sha = False
        git(*sparse, f"{hub.url}/acme/tiny", "without")
        assert "\n?" not in git("rev-list", "--objects", "--missing=print", "HEAD", cwd=tmp_path / "without")
        git("init", "not-by-id")
        with pytest.raises(RuntimeError, match="unadvertised"):
            git("fetch", "--depth", "1", f"{hub.url}/acme/tiny", hidden, cwd=tmp_path / "not-by-id")

    def test_large_negotiation(self, hub: Hub, git: Git, tmp_path: Path) -> None:
        """A long list of haves comes gzipped, or chunked, and is understood."""
        repo = hub.repo("acme/long", {"a": "0"})
        for number in range(150):
            repo.add_commit({"a": str(number)}, branch=f"b{number}", start="refs/heads/main")
        git("clone", f"{hub.url}/acme/long", "clone")
        commit = repo.add_commit({"a": "new"})
        git("fetch", cwd=tmp_path / "clone")
        assert git("rev-parse", "origin/main", cwd=tmp_path / "clone").strip() == commit
        posts = [entry.headers for entry in hub.log.of(kind="git", method="POST")]
        assert any(headers.get("content-encoding") == "gzip" for headers in posts)
        chunks = iter([b"0014command=ls-refs\n", b"0001", b"0009peel\n", b"0000"])
        headers = {"Content-Type": "application/x-git-upload-pack-request", "Git-Protocol": "version=2"}
        reply = requests.post(f"{hub.url}/acme/long/git-upload-pack", chunks, headers=headers, timeout=30)
        assert f"{commit} refs/heads/main".encode() in reply.content

    def test_credentials(self, hub: Hub, tiny_repo: LivingRepo, git: Git, tmp_path: Path) -> None:
        """A private repo asks for a password, which is the token; renames redirect."""
        hub.tokens.add(TOKEN)
        hub.add("acme/private", tiny_repo, private=True).members.add(TOKEN)
        with pytest.raises(RuntimeError, match="could not read Username"):
            git("clone", f"{hub.url}/acme/private", "clone")
        helper = f"!f() {{ echo username=user; echo password={TOKEN}; }}; f"
        hub.site.rename("acme/old", "acme/private")
        git("-c", f"credential.helper={helper}", "clone", f"{hub.url}/acme/old", "clone")
        wanted = expected(tiny_repo, tiny_repo.commit)
        assert found(tmp_path / "clone", set(wanted)) == wanted
        assert not hub.log.saw_token(TOKEN, listener="cdn")


class TestBatch:
    """The LFS batch API."""

    def ask(self, hub: Hub, body: object, **headers: str) -> requests.Response:
        """Send a batch request."""
        kinds = {"Accept": "application/vnd.git-lfs+json", "Content-Type": "application/vnd.git-lfs+json"}
        url = f"{hub.url}/acme/tiny.git/info/lfs/objects/batch"
        return requests.post(url, json.dumps(body), headers={**kinds, **headers}, timeout=30)

    def test_actions_and_errors_side_by_side(self, hub: Hub, tiny_repo: LivingRepo) -> None:
        """Each object has a URL with an expiry or an error of its own."""
        (here, size), (lost, _), *_ = tiny_repo.objects.items()
        tiny_repo.lose(lost)
        hub.manners.batch_expires_in = 77
        body = {"operation": "download", "objects": [{"oid": lost, "size": 1}, {"oid": here, "size": size}]}
        missing, good = self.ask(hub, body).json()["objects"]
        assert missing["error"]["code"] == 404
        action = good["actions"]["download"]
        assert action["expires_in"] == 77
        assert sha256(requests.get(action["href"], timeout=30).content) == here

    def test_header_must_be_sent(self, hub: Hub, tiny_repo: LivingRepo) -> None:
        """Headers given with an action are insisted on."""
        hub.manners.batch_header = {"X-Ticket": "1"}
        oid, size = next(iter(tiny_repo.objects.items()))
        body = {"operation": "download", "objects": [{"oid": oid, "size": size}]}
        action = self.ask(hub, body).json()["objects"][0]["actions"]["download"]
        assert requests.get(action["href"], timeout=30).status_code == 403
        assert requests.get(action["href"], headers=action["header"], timeout=30).status_code == 200

    def test_refusals(self, hub: Hub, tiny_repo: LivingRepo) -> None:
        """Too many, another operation, nonsense, no token where one is needed."""
        oid, size = next(iter(tiny_repo.objects.items()))
        hub.manners.batch_limit = 1
        one = {"oid": oid, "size": size}
        assert self.ask(hub, {"operation": "download", "objects": [one, one]}).status_code == 413
        assert self.ask(hub, {"operation": "upload", "objects": [one]}).status_code == 403
        assert self.ask(hub, {"operation": "download"}).status_code == 422
        hub.add("acme/tiny", tiny_repo, gated="auto")
        refused = self.ask(hub, {"operation": "download", "objects": [one]})
        assert refused.status_code == 401
        assert "LFS-Authenticate" in refused.headers


class TestResolve:
    """Files by URL, and the CDN."""

    def test_regular_file(self, hub: Hub, tiny_repo: LivingRepo) -> None:
        """A relative 307 with a query that must be kept; the answer has the git id as its ETag."""
        first = requests.get(
            f"{hub.url}/acme/tiny/resolve/main/sub/100%25%20%231%3F.txt", timeout=30, allow_redirects=False
        )
        location = first.headers["Location"]
        assert first.status_code == 307
        assert location.startswith("/api/resolve-cache/models/acme/tiny/")
        reply = requests.get(hub.url + location, timeout=30)
        assert reply.content == b"odd\n"
        row = tiny_repo.file(tiny_repo.commit, b"sub/100% #1?.txt")
        assert row is not None
        assert reply.headers["ETag"] == f'"{row.oid}"'
        assert reply.headers["X-Repo-Commit"] == tiny_repo.commit
        assert requests.get(hub.url + location.partition("?")[0], timeout=30).status_code == 404

    def test_lfs_file(self, hub: Hub, tiny_repo: LivingRepo) -> None:
        """A 302 whose Content-Length is its own, with the true size and sha256 beside."""
        reply = requests.head(f"{hub.url}/acme/tiny/resolve/main/model.safetensors", timeout=30)
        assert reply.status_code == 302
        assert reply.headers["Location"].startswith(hub.cdn_url)
        assert reply.headers["X-Linked-Size"] == "300000"
        assert reply.headers["X-Linked-ETag"].strip('"') in tiny_repo.objects
        assert int(reply.headers["Content-Length"]) < 1000

    @pytest.mark.parametrize(
        ("asked", "status", "span"),
        [
            ("bytes=0-9", 206, (0, 10)),
            ("bytes=299999-300005", 206, (299999, 300000)),
            ("bytes=1000-", 206, (1000, 300000)),
            ("bytes=-5", 206, (299995, 300000)),
            ("bytes=300000-", 416, None),
            ("bytes=5-1", 200, (0, 300000)),
            ("bytes=0-1,5-6", 200, (0, 300000)),
        ],
    )
    def test_ranges(
        self, hub: Hub, tiny_repo: LivingRepo, asked: str, status: int, span: tuple[int, int] | None
    ) -> None:
        """Single ranges of all forms."""
        content = Lfs(300_000, seed=1).content
        url = f"{hub.url}/acme/tiny/resolve/main/model.safetensors"
        reply = requests.get(url, headers={"Range": asked}, timeout=30)
        assert reply.status_code == status
        if span is None:
            assert reply.headers["Content-Range"] == "bytes */300000"
        else:
            assert reply.content == content[slice(*span)]
        assert sha256(content) in tiny_repo.objects

    def test_cdn_refusals(self, hub: Hub, tiny_repo: LivingRepo) -> None:
        """A token, a changed query, a late client, a HEAD, a lost object."""
        url = requests.head(f"{hub.url}/acme/tiny/resolve/main/model.safetensors", timeout=30).headers["Location"]
        assert requests.get(url, headers=bearer("any"), timeout=30).status_code == 400
        assert requests.get(url + "&x=1", timeout=30).status_code == 403
        assert requests.head(url, timeout=30).status_code == 200
        hub.site.cdn_head = False
        assert requests.head(url, timeout=30).status_code == 403
        hub.site.clock.advance(3700)
        assert requests.get(url, timeout=30).status_code == 403
        hub.site.clock.advance(-3700)
        assert requests.get(url, timeout=30).status_code == 200
        tiny_repo.lose(url.partition("?")[0].rpartition("/")[2])
        assert requests.get(url, timeout=30).status_code == 404

    @pytest.mark.parametrize(
        ("path", "status", "code"),
        [
            ("/acme/tiny/resolve/main/none", 404, "EntryNotFound"),
            ("/acme/tiny/resolve/none/README.md", 404, "RevisionNotFound"),
            ("/acme/none/resolve/main/README.md", 401, "RepoNotFound"),
            ("/api/models/acme/tiny/tree/main/none", 404, "EntryNotFound"),
            ("/api/models/acme/tiny/revision/none", 404, "RevisionNotFound"),
            ("/api/models/none", 401, "RepoNotFound"),
            ("/api/agent-harnesses", 404, None),
            ("/some/page/of/theirs", 404, None),
        ],
    )
    def test_error_codes(self, hub: Hub, tiny_repo: LivingRepo, path: str, status: int, code: str | None) -> None:
        """Errors carry the hub's codes."""
        reply = requests.get(hub.url + path, timeout=30)
        assert (reply.status_code, reply.headers.get("X-Error-Code")) == (status, code)
        assert ("X-Repo-Commit" in reply.headers) == (code == "EntryNotFound")
        assert tiny_repo.commit

    def test_raw_is_what_git_has(self, hub: Hub, tiny_repo: LivingRepo) -> None:
        """The raw file of an object is its pointer."""
        reply = requests.get(f"{hub.url}/acme/tiny/raw/main/model.safetensors", timeout=30)
        assert reply.content.startswith(b"version https://git-lfs")
        assert tiny_repo.objects

    def test_bad_token_on_a_public_repo(self, hub: Hub, tiny_repo: LivingRepo) -> None:
        """A token that is not valid is refused everywhere, Basic or Bearer."""
        basic = base64.b64encode(b"user:hf_bad").decode()
        for path in (
            "/api/models/acme/tiny",
            "/acme/tiny/resolve/main/README.md",
            "/acme/tiny/info/refs",
            "/api/whoami-v2",
        ):
            for header in (bearer("hf_bad"), {"Authorization": f"Basic {basic}"}):
                reply = requests.get(hub.url + path, headers=header, timeout=30)
                assert reply.status_code == 401
                assert reply.headers["X-Error-Message"] == "Invalid credentials in Authorization header"
        assert tiny_repo.commit

    def test_conditional_request(self, hub: Hub, tiny_repo: LivingRepo) -> None:
        """If-None-Match gives 304, If-Range with another ETag gives the whole."""
        url = f"{hub.url}/acme/tiny/resolve/main/README.md"
        etag = requests.get(url, timeout=30).headers["ETag"]
        assert requests.get(url, headers={"If-None-Match": etag}, timeout=30).status_code == 304
        ranged = {"Range": "bytes=0-1", "If-Range": '"other"'}
        assert requests.get(url, headers=ranged, timeout=30).status_code == 200
        assert tiny_repo.commit


class TestApi:
    """The JSON API."""

    def test_paging_by_absolute_links(self, hub: Hub, tiny_repo: LivingRepo) -> None:
        """Pages join to the whole tree; the link may name another host."""
        hub.manners.page_size = 2
        url: str | None = f"{hub.url}/api/models/acme/tiny/tree/main?recursive=true"
        names: list[str] = []
        while url:
            reply = requests.get(url, timeout=30)
            names += [entry["path"] for entry in reply.json()]
            url = reply.links.get("next", {}).get("url")
        assert names == [row.name for row in tiny_repo.rows(tiny_repo.commit)]
        hub.manners.link_origin = "http://elsewhere.invalid"
        reply = requests.get(f"{hub.url}/api/models/acme/tiny/tree/main", timeout=30)
        assert reply.links["next"]["url"].startswith("http://elsewhere.invalid/api/models/acme/tiny/tree/main?")

    def test_refs_paths_commits(self, hub: Hub, tiny_repo: LivingRepo) -> None:
        """The smaller services."""
        base = f"{hub.url}/api/models/acme/tiny"
        refs = requests.get(f"{base}/refs?include_prs=1", timeout=30).json()
        assert [ref["name"] for ref in refs["branches"]] == ["feat/slash", "main"]
        info = requests.get(f"{base}?expand=sha", timeout=30).json()
        assert {**info, "_id": ""} == {"_id": "", "id": "acme/tiny", "sha": tiny_repo.commit}
        assert [ref["ref"] for ref in refs["pullRequests"]] == ["refs/pr/1"]
        infos = requests.post(f"{base}/paths-info/main", data={"paths": ["model.safetensors", "no"]}, timeout=30).json()
        assert [(info["path"], info["size"]) for info in infos] == [("model.safetensors", 300000)]
        many = {"paths": [str(number) for number in range(1001)]}
        assert requests.post(f"{base}/paths-info/main", data=many, timeout=30).status_code == 413
        commits = requests.get(f"{base}/commits/feat%2Fslash", timeout=30).json()
        assert [commit["title"] for commit in commits] == ["b", "initial commit"]
        assert commits[1]["id"] == tiny_repo.commit

    def test_revisions(self, hub: Hub, tiny_repo: LivingRepo) -> None:
        """Full ids work; short ones only if switched on."""
        base = f"{hub.url}/api/models/acme/tiny/revision"
        assert requests.get(f"{base}/{tiny_repo.commit}", timeout=30).json()["sha"] == tiny_repo.commit
        assert requests.get(f"{base}/{tiny_repo.commit[:8]}", timeout=30).status_code == 404
        hub.manners.short_shas = True
        assert requests.get(f"{base}/{tiny_repo.commit[:8]}", timeout=30).json()["sha"] == tiny_repo.commit

    def test_rate_limits(self, hub: Hub, tiny_repo: LivingRepo) -> None:
        """The headers are on every reply; the window really counts if it is told to."""
        hub.limits.enforced = True
        hub.limits.quota["resolvers"] = 2
        url = f"{hub.url}/acme/tiny/resolve/main/model.safetensors"
        replies = [requests.head(url, timeout=30) for _ in range(3)]
        assert [reply.status_code for reply in replies] == [302, 302, 429]
        assert [reply.headers["RateLimit"].split(";")[1] for reply in replies] == ["r=1", "r=0", "r=0"]
        hub.site.clock.advance(300)
        assert requests.head(url, timeout=30).status_code == 302
        assert tiny_repo.commit


class TestRepos:
    """Repos as git and the file system see them."""

    def test_all_kinds_of_path_and_mode(self, tmp_path: Path) -> None:
        """Bytes that are no UTF-8, quotes, tabs, executables, links; a removed path."""
        repo = LivingRepo(
            tmp_path / "a", {b"\xff\xfe.bin": Lfs(10), 'q"u\to.txt': "q", "x": Executable(b"x"), "gone": "g"}
        )
        repo.add_commit(
            {"gone": None, "l": Symlink(b"x"), "lost.bin": Lost("0" * 64, 5), "bytes.bin": LfsBytes(b"abc")}
        )
        rows = {row.path: row for row in repo.rows(repo.commit)}
        assert set(rows) >= {b"\xff\xfe.bin", b'q"u\to.txt', b"l"}
        assert b"gone" not in rows
        assert (rows[b"x"].mode, rows[b"l"].mode) == ("100755", "120000")
        assert rows[b"lost.bin"].lfs == ("0" * 64, 5)
        assert sha256(b"abc") in repo.objects
        repo.git("fsck", "--full")
        repo.close()

    def test_ids_are_the_same_on_every_run(self, tmp_path: Path) -> None:
        """Two repos of the same history are the same."""
        one, two = (LivingRepo(tmp_path / name, {"a.bin": Lfs(3_000_000, seed=5), "b": "b"}) for name in "ab")
        assert one.commit == two.commit
        assert one.objects == two.objects == {sha256(Lfs(3_000_000, seed=5).content): 3_000_000}
        one.close()
        two.close()

    def test_large_and_many(self, tmp_path: Path) -> None:
        """A sparse object takes no room; thousands of pointers are made in one go."""
        files = {f"d{number % 50}/{number}.bin": Lfs(20, seed=number) for number in range(2000)}
        repo = LivingRepo(tmp_path / "a", {**files, "big": Lfs(100_000_000, sparse=True)})
        assert len(repo.objects) == 2001
        big = next(oid for oid, size in repo.objects.items() if size == 100_000_000)
        assert repo.object_path(big).stat().st_blocks * 512 < 10_000_000
        assert sum(row.lfs is not None for row in repo.rows(repo.commit)) == 2001
        repo.close()


@pytest.mark.skipif(not nginx.available(), reason="needs nginx and openssl")
def test_nginx_serves_objects(hub: Hub) -> None:
    """The helper for benches serves by oid, with ranges, over both schemes."""
    repo = make_tiny(hub)
    oid = next(iter(repo.objects))
    with nginx.serve_folder(repo.object_dir) as served:
        assert sha256(requests.get(f"{served.http}/{oid}", timeout=30).content) == oid
        reply = requests.get(
            f"{served.https}/{oid}", headers={"Range": "bytes=0-9"}, verify=str(served.certificate), timeout=30
        )
        assert (reply.status_code, len(reply.content)) == (206, 10)
