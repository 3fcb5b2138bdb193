"""Every way of writing a spec reads back as that spec; no text does anything but parse or be refused."""

from urllib.parse import quote

from hypothesis import example, given
from hypothesis import strategies as st

from hfclone.errors import BadRepoSpec
from hfclone.hub.pasted import parse_repo_spec
from hfclone.names import Repo, RepoSpec, RepoType

WORDS = {"models", "datasets", "spaces", "tree", "blob", "resolve", "raw", "commit", "blame", "edit"}
WORDS |= {"discussions", "commits", "settings", "viewer", "refs"}

parts = st.from_regex(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,20}[A-Za-z0-9_])?", fullmatch=True).filter(
    lambda part: "--" not in part and ".." not in part and not part.endswith(".git") and part not in WORDS
)
ids = st.one_of(parts, st.builds("{}/{}".format, parts, parts))
repos = st.builds(Repo, ids, st.sampled_from(RepoType))
words = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,12}", fullmatch=True)
branches = st.lists(words, min_size=1, max_size=3).map("/".join).filter(lambda branch: not branch.startswith("refs/"))
revisions = st.one_of(
    branches,
    st.integers(1, 999).map("refs/pr/{}".format),
    st.just("refs/convert/parquet"),
    st.from_regex(r"[0-9a-f]{40}", fullmatch=True),
)
segments = st.text(st.characters(exclude_characters="/\x00", exclude_categories=("Cs",)), min_size=1, max_size=8)
paths = st.lists(segments, min_size=1, max_size=3).map("/".join)
sites = st.sampled_from(["https://huggingface.co", "https://hf-mirror.com", "http://127.0.0.1:8080"])


@given(repos, revisions)
def test_names(repo: Repo, revision: str) -> None:
    assert parse_repo_spec(repo.path) == RepoSpec(repo)
    assert parse_repo_spec(f"{repo.path}@{revision}") == RepoSpec(repo, revision)
    assert parse_repo_spec(repo.repo_id, repo_type=repo.repo_type, revision=revision) == RepoSpec(repo, revision)


@given(repos, revisions, paths, sites)
@example(Repo("gpt2"), "main", "a?b#c%20", "https://huggingface.co")
def test_pages(repo: Repo, revision: str, path: str, site: str) -> None:
    page = f"{site}/{repo.path}"
    assert parse_repo_spec(page) == RepoSpec(repo, site=site)
    for quoted in {quote(revision, safe=""), revision if revision.startswith("refs/") else quote(revision, safe="")}:
        assert parse_repo_spec(f"{page}/tree/{quoted}") == RepoSpec(repo, revision, site=site)
        for kind in ("blob", "resolve", "raw"):
            spec = parse_repo_spec(f"{page}/{kind}/{quoted}/{quote(path)}?download=true")
            assert spec == RepoSpec(repo, revision, path, site)
        assert parse_repo_spec(f"{page}/tree/{quoted}/{quote(path)}") == RepoSpec(repo, revision, path + "/", site)


@given(repos, revisions, paths)
def test_hf_addresses(repo: Repo, revision: str, path: str) -> None:
    path = path.strip()
    assert parse_repo_spec(f"hf://{repo.path}@{quote(revision, safe='')}") == RepoSpec(repo, revision)
    if path:
        spec = parse_repo_spec(f"hf://{repo.path}@{quote(revision, safe='')}/{path}")
        assert spec == RepoSpec(repo, revision, path)


@given(st.one_of(st.text(), st.text().map("https://h/".__add__), st.text().map("hf://".__add__)))
def test_any_text_parses_or_is_refused(text: str) -> None:
    try:
        spec = parse_repo_spec(text)
    except BadRepoSpec as error:
        assert str(error)
    else:
        assert parse_repo_spec(spec.repo.path).repo == spec.repo
