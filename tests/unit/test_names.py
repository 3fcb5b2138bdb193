"""How repos are named: what people paste, and what is refused."""

import dataclasses
import pickle

import pytest

from hfclone.errors import BadRepoSpec
from hfclone.hub.pasted import parse_repo_spec
from hfclone.names import Pin, Repo, RepoSpec, RepoType, Token, is_full_sha, is_short_sha

HUB = "https://huggingface.co"
DATASET = Repo("org/name", RepoType.DATASET)
MODEL = Repo("org/name")


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("gpt2", RepoSpec(Repo("gpt2"))),
        (" org/name\n", RepoSpec(MODEL)),
        ("org/name/", RepoSpec(MODEL)),
        ("models/org/name", RepoSpec(MODEL)),
        ("datasets/squad", RepoSpec(Repo("squad", RepoType.DATASET))),
        ("spaces/org/name@v1", RepoSpec(Repo("org/name", RepoType.SPACE), "v1")),
        ("org/name@feature/x", RepoSpec(MODEL, "feature/x")),
        ("org/name@refs/pr/3", RepoSpec(MODEL, "refs/pr/3")),
        (f"{HUB}/gpt2", RepoSpec(Repo("gpt2"), site=HUB)),
        (f"{HUB}/gpt2.git", RepoSpec(Repo("gpt2"), site=HUB)),
        (f"{HUB}/org/name.git", RepoSpec(MODEL, site=HUB)),
        (f"{HUB}/gpt2/tree/main", RepoSpec(Repo("gpt2"), "main", site=HUB)),
        (f"{HUB}/org/name/tree/main/a%20dir", RepoSpec(MODEL, "main", "a dir/", HUB)),
        (f"{HUB}/org/name/tree/feature%2Fx", RepoSpec(MODEL, "feature/x", site=HUB)),
        (f"{HUB}/org/name/tree/refs%2Fpr%2F1/sub", RepoSpec(MODEL, "refs/pr/1", "sub/", HUB)),
        (f"{HUB}/org/name/tree/refs/pr/1/sub", RepoSpec(MODEL, "refs/pr/1", "sub/", HUB)),
        (f"{HUB}/datasets/org/name/resolve/v1/a/b.bin?download=true", RepoSpec(DATASET, "v1", "a/b.bin", HUB)),
        (f"{HUB}/org/name/blob/main/100%25.bin#L3", RepoSpec(MODEL, "main", "100%.bin", HUB)),
        (f"{HUB}/org/name/blob/main/%ff.bin", RepoSpec(MODEL, "main", "\udcff.bin", HUB)),
        (f"{HUB}/org/name/discussions/4", RepoSpec(MODEL, site=HUB)),
        ("HTTPS://hf-mirror.com/org/name", RepoSpec(MODEL, site="https://hf-mirror.com")),
        ("http://127.0.0.1:8080/org/name", RepoSpec(MODEL, site="http://127.0.0.1:8080")),
        ("huggingface.co/org/name", RepoSpec(MODEL, site=HUB)),
        ("hf-mirror.com/gpt2", RepoSpec(Repo("gpt2"), site="https://hf-mirror.com")),
        ("hf://org/name", RepoSpec(MODEL)),
        ("hf://datasets/org/name/a/b.txt", RepoSpec(DATASET, None, "a/b.txt")),
        ("hf://datasets/org/name@v1/a%20b.txt", RepoSpec(DATASET, "v1", "a%20b.txt")),
        ("hf://org/name@feature%2Fx/a.txt", RepoSpec(MODEL, "feature/x", "a.txt")),
        ("hf://org/name@refs/convert/parquet/a.txt", RepoSpec(MODEL, "refs/convert/parquet", "a.txt")),
    ],
)
def test_what_people_paste(text: str, spec: RepoSpec) -> None:
    assert parse_repo_spec(text) == spec


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "/",
        "/name",
        "org//name",
        "a/b/c",
        "org/name@",
        "org/name@-x",
        "org/name@a..b",
        "org/name@a b",
        "org/name@.",
        "org/name@a/.b",
        "org/name@x.lock",
        "org/name@a@{1}",
        "org/na--me",
        "org/.name",
        "org/name.",
        "org/na me",
        "org/" + "x" * 97,
        "../../etc/passwd",
        "-x",
        "org/nämé",
        "file:///etc/passwd",
        "ftp://huggingface.co/org/name",
        "ssh://git@hf.co/org/name",
        "git@hf.co:org/name",
        "https://user:secret@huggingface.co/org/name",
        "https://huggingface.co/",
        "https://huggingface.co/org/name/nonsense/main",
        "https://huggingface.co/org/name/tree",
        "https://huggingface.co/org/name/tree/%00",
        "hf://org/name/file@v1",
        "hf://",
    ],
)
def test_what_names_no_repo(text: str) -> None:
    with pytest.raises(BadRepoSpec) as caught:
        parse_repo_spec(text)
    assert "secret" not in str(caught.value)


def test_what_is_said_beside_it() -> None:
    assert parse_repo_spec("org/name", repo_type=RepoType.DATASET).repo == DATASET
    assert parse_repo_spec("org/name", revision="v1").revision == "v1"
    assert parse_repo_spec("org/name@v1", revision="v1").revision == "v1"
    assert parse_repo_spec("datasets/org/name", repo_type=RepoType.DATASET).repo == DATASET


@pytest.mark.parametrize(
    ("text", "repo_type", "revision"),
    [
        ("datasets/org/name", RepoType.MODEL, None),
        (f"{HUB}/org/name", RepoType.DATASET, None),
        ("org/name@v1", None, "v2"),
        ("org/name", None, ""),
        ("org/name", None, "-x"),
    ],
)
def test_contradictions(text: str, repo_type: RepoType | None, revision: str | None) -> None:
    with pytest.raises(BadRepoSpec):
        parse_repo_spec(text, repo_type=repo_type, revision=revision)


def test_shas() -> None:
    assert is_full_sha("a" * 40)
    assert not is_full_sha("A" * 40)
    assert not is_full_sha("a" * 39)
    assert is_short_sha("abcd")
    assert not is_short_sha("abc")
    assert not is_short_sha("a" * 40)


def test_names_of_a_repo() -> None:
    assert (DATASET.path, DATASET.name, str(DATASET)) == ("datasets/org/name", "name", "datasets/org/name")
    assert Repo("gpt2").name == "gpt2"
    assert str(Pin(MODEL, "a" * 40)) == f"org/name@{'a' * 40}"


def test_a_token_shows_itself_only_when_asked() -> None:
    token = Token("hf_secret")
    holder = dataclasses.make_dataclass("Holder", [("token", Token)])(token)
    shown = [repr(token), str(token), f"{token}", f"{token!r}", repr(holder), repr(dataclasses.asdict(holder))]
    assert not any("secret" in text for text in shown)
    assert token.reveal() == "hf_secret"
    assert token == Token("hf_secret")
    assert token != Token("other")
    assert hash(token) == hash(pickle.loads(pickle.dumps(token)))
