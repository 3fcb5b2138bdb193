"""What an origin says."""

from pathlib import Path

import pytest

from hfclone.hub.endpoint import Endpoint
from hfclone.hub.githost import GitHostSite
from hfclone.hub.origins import folder_of, git_host_of, hub_repo_of, without_login
from hfclone.names import Repo, RepoType


@pytest.mark.parametrize(
    ("origin", "repo"),
    [
        ("https://huggingface.co/org/name", Repo("org/name")),
        ("https://huggingface.co/org/name.git", Repo("org/name")),
        ("https://HuggingFace.co/datasets/org/name/", Repo("org/name", RepoType.DATASET)),
        ("https://user:secret@huggingface.co/gpt2", Repo("gpt2")),
        ("git@hf.co:spaces/org/name", Repo("org/name", RepoType.SPACE)),
        ("ssh://git@hf.co/org/name.git", Repo("org/name")),
        ("https://hf-mirror.com/org/name", Repo("org/name")),
        ("https://my.hub/prefix/org/name", Repo("org/name")),
        ("https://my.hub/other/org/name", None),
        ("http://127.0.0.1:99/org/name", Repo("org/name")),
        ("http://127.0.0.1:98/org/name", None),
        ("https://github.com/org/name", None),
        ("https://huggingface.co/", None),
        ("https://huggingface.co/a/b/c/d", None),
        ("/srv/org/name", None),
        ("file:///srv/org/name", None),
    ],
)
def test_of_the_hub(origin: str, repo: Repo | None) -> None:
    assert hub_repo_of(origin, [Endpoint("https://my.hub/prefix"), Endpoint("http://127.0.0.1:99")]) == repo


@pytest.mark.parametrize(
    ("origin", "batch"),
    [
        ("https://github.com/org/name", "https://github.com/org/name.git/info/lfs/objects/batch"),
        ("https://github.com/org/name.git", "https://github.com/org/name.git/info/lfs/objects/batch"),
        ("https://u:p@gitlab.com/a/b/c.git", "https://gitlab.com/a/b/c.git/info/lfs/objects/batch"),
        ("git@github.com:org/name.git", "https://github.com/org/name.git/info/lfs/objects/batch"),
        ("ssh://git@host:2222/org/name", "https://host/org/name.git/info/lfs/objects/batch"),
        ("http://host:8080/name", "http://host:8080/name.git/info/lfs/objects/batch"),
        ("../name", None),
        ("/srv/name", None),
        ("file:///srv/name", None),
        ("https://host", None),
        ("https://", None),
        ("ssh:///name", None),
        ("http://[::1", None),
        ("http://host:x/y", None),
    ],
)
def test_of_any_host(origin: str, batch: str | None) -> None:
    found = git_host_of(origin, None)
    assert (found and found[0].site.batch_url(found[0].url, found[1])) == batch


@pytest.mark.parametrize(
    ("origin", "lfs_url", "batch", "label", "git"),
    [
        ("https://github.com/o/n", "https://lfs.corp/x/", "https://lfs.corp/x/objects/batch", "lfs.corp", True),
        ("https://u:p@git.corp/o/n", None, "https://git.corp/o/n.git/info/lfs/objects/batch", "git.corp", True),
        (
            "https://git.corp/n",
            "http://u:p@lfs.corp:81/x",
            "http://u:p@lfs.corp:81/x/objects/batch",
            "lfs.corp:81",
            True,
        ),
        ("git@github.com:o/n", "https://lfs.corp/x", "https://lfs.corp/x/objects/batch", "lfs.corp", False),
        ("/srv/o/n", "https://lfs.corp/x", "https://lfs.corp/x/objects/batch", "lfs.corp", False),
        ("../n", "https://lfs.corp/x", "https://lfs.corp/x/objects/batch", "lfs.corp", False),
        ("file:///srv/n", "https://lfs.corp/x", "https://lfs.corp/x/objects/batch", "lfs.corp", False),
    ],
)
def test_the_users_own_address(origin: str, lfs_url: str | None, batch: str, label: str, git: bool) -> None:
    """It names who is asked, and errors name the same; a secret in it or in the origin is not shown."""
    found = git_host_of(origin, lfs_url)
    assert found is not None
    host, repo = found
    assert host.site.batch_url(host.url, repo) == batch
    assert str(host) == label
    probe = f"{origin.replace('u:p@', '')}/info/refs?service=git-upload-pack" if git else None
    assert host.site.git_probe_url(host.url, repo) == probe
    assert host.site.files is None


@pytest.mark.parametrize("origin", ["http://[::1", "ftp://host/x"])
def test_an_origin_that_is_none_has_no_objects(origin: str) -> None:
    assert git_host_of(origin, "https://lfs.corp/x") is None


@pytest.mark.parametrize(
    ("origin", "folder"),
    [
        ("../a b#c", "/base/../a b#c"),
        ("file:///srv/a%20b", "/srv/a b"),
        ("file://localhost/srv/a", "/srv/a"),
        ("file:///srv/a#b", "/srv/a#b"),
        ("file:///srv/a?b=c", "/srv/a?b=c"),
        ("file:///srv/a+b\n", "/srv/a+b\n"),
        ("file:///srv/a%FF", "/srv/a\udcff"),
        ("git@host:srv", None),
        ("https://host/srv", None),
    ],
)
def test_a_folder_by_git_s_rule(origin: str, folder: str | None) -> None:
    found = folder_of(origin, Path("/base"))
    assert found == (None if folder is None else Path(folder))


@pytest.mark.parametrize(
    ("origin", "shown"),
    [
        ("https://me:hf_secret@huggingface.co/a/b", "https://huggingface.co/a/b"),
        ("https://hf_secret@huggingface.co", "https://huggingface.co"),
        ("ftp://me:p@ss@host/a@b", "ftp://host/a@b"),
        ("ssh://git@host:22/a", "ssh://git@host:22/a"),
        ("ssh://git:pass@[::1]/a", "ssh://git@[::1]/a"),
        ("git@host:a/b", "git@host:a/b"),
        ("/srv/a@b", "/srv/a@b"),
    ],
)
def test_no_login_is_shown(origin: str, shown: str) -> None:
    assert without_login(origin) == shown


def test_a_host_that_is_an_address() -> None:
    found = git_host_of("ssh://git@[::1]:22/a/b", None)
    assert found is not None
    assert found[0].site == GitHostSite("https://[::1]/a/b.git/info/lfs")
