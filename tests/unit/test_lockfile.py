"""The lockfile's form: golden text, and every way of being wrong is named by its place."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from hfclone.errors import BadLockfile
from hfclone.lock.format import format_lock, parse_lock
from hfclone.lock.model import Lock, LockedFile, LockedRepo, directory_names, flaw_of, git_id, trees_of
from hfclone.names import Pin, Repo, RepoType
from hfclone.pointer import Oid, Pointer, format_pointer

ODD_POINTER = b"version https://git-lfs.github.com/spec/v1\r\noid sha256:%s\r\nsize 7\r\n"


def plain(path: bytes, content: bytes, mode: str = "100644") -> LockedFile:
    return LockedFile(path, mode, git_id("blob", content), len(content), Oid(hashlib.sha256(content).hexdigest()))


def large(path: bytes, content: bytes, text: bytes | None = None, *, selected: bool = True) -> LockedFile:
    oid = Oid(hashlib.sha256(content).hexdigest())
    text = format_pointer(Pointer(oid, len(content))) if text is None else text % oid.encode()
    return LockedFile(path, "100644", git_id("blob", text), len(content), oid, text, selected)


def locked(repo: Repo, files: list[LockedFile], revision: str = "main") -> LockedRepo:
    files = sorted(files, key=lambda file: file.path)
    tree = git_id("tree", trees_of(files)[b""])
    raw = f"tree {tree}\nauthor A <a@b> 0 +0000\ncommitter A <a@b> 0 +0000\n\nm\n".encode()
    return LockedRepo(Pin(repo, git_id("commit", raw)), revision, raw, tuple(files))


FILES = [
    plain(b"config.json", b"{}\n"),
    plain(b"a/run.sh", b"echo\n", "100755"),
    plain(b"a.b", b""),
    plain(b"link", b"config.json", "120000"),
    plain("sub/ünï.txt".encode(), b"u"),
    plain(b"caf\xe9.bin", b"x"),
    plain(b'tab\t"\\.txt', b"odd"),
    large(b"model.bin", b"1234567"),
    large(b"odd.bin", b"7654321", ODD_POINTER, selected=False),
    LockedFile(b"module", "160000", "a" * 40, 0, Oid("")),
]
LOCK = Lock(
    (
        locked(Repo("acme/data", RepoType.DATASET), [plain(b"r", b"r")], "v1"),
        locked(Repo("acme/tiny"), FILES),
    )
)


def test_there_and_back() -> None:
    assert parse_lock(format_lock(LOCK).encode()) == LOCK


def test_the_text() -> None:
    text = format_lock(Lock((locked(Repo("acme/tiny"), [plain(b"caf\xe9", b"x"), large(b"m", b"1234567")]),)))
    digest = hashlib.sha256(text.rpartition('\n"digest')[0].encode()).hexdigest()
    lines = text.splitlines()
    assert lines[0] == '{"version":1,"repos":['
    assert re.fullmatch(
        r' \{"repo_type":"model","repo_id":"acme/tiny","revision":"main","commit":"[0-9a-f]{40}",'
        r'"tree":"[0-9a-f]{40}","commit_object":"[A-Za-z0-9+/=]+","files":\[',
        lines[1],
    )
    assert lines[2] == (
        '  {"path_b64":"Y2Fm6Q==","mode":"100644","oid":"c1b0730e013af6b6b1a2c5d8e0c0ee4c3ea1bd64","size":1,'
        '"sha256":"2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"},'
    ).replace("c1b0730e013af6b6b1a2c5d8e0c0ee4c3ea1bd64", git_id("blob", b"x"))
    assert '"lfs":{"sha256":' in lines[3]
    assert "pointer_b64" not in text
    assert lines[4:] == [" ]}],", f'"digest":"sha256:{digest}"}}']
    assert text.endswith("\n")
    assert text.isascii()


def test_the_same_lock_in_another_order_is_the_same_text() -> None:
    turned = Lock(tuple(LockedRepo(r.pin, r.revision, r.commit_object, r.files[::-1]) for r in LOCK.repos[::-1]))
    assert format_lock(turned) == format_lock(LOCK)


def test_a_formatter_of_json_does_no_harm() -> None:
    pretty = json.dumps(json.loads(format_lock(LOCK)), indent=4, ensure_ascii=False).replace("\n", "\r\n")
    assert parse_lock(pretty.encode()) == LOCK


def test_git_agrees_on_trees() -> None:
    repo = locked(Repo("a/b"), FILES)
    assert flaw_of(repo) is None
    assert list(trees_of(repo.files)[b""].split(b"\0")[0:1]) == [b"100644 a.b"]  # before the folder a


def test_directories_are_told_apart() -> None:
    repos = [Repo("x/base"), Repo("y/base"), Repo("x/base", RepoType.DATASET), Repo("x/other"), Repo("gpt2")]
    names = directory_names(Lock(tuple(locked(repo, []) for repo in repos)))
    assert list(names.values()) == ["x--base", "y--base", "datasets--x--base", "other", "gpt2"]


def changed(change: Callable[[Any], object]) -> bytes:
    data = json.loads(format_lock(LOCK))
    change(data)
    return json.dumps(data).encode()


def row(data: Any, path: str) -> Any:
    return next(row for row in data["repos"][1]["files"] if row.get("path") == path)


@pytest.mark.parametrize(
    ("change", "where", "reason"),
    [
        (lambda d: d.update(version=2), "version", "newer"),
        (lambda d: d.update(version=True), "version", "no number"),
        (lambda d: d.update(version=1.0), "version", "no number"),
        (lambda d: d.pop("digest"), "digest", "missing"),
        (lambda d: d.update(digest="sha256:" + "0" * 64), "digest", "changed"),
        (lambda d: d.update(more=1), "more", "no such field"),
        (lambda d: d.update(repos={}), "repos", "no list"),
        (lambda d: d["repos"].reverse(), "repos", "not sorted"),
        (lambda d: d["repos"].append(d["repos"][1]), "repos", "twice"),
        (lambda d: d["repos"].__setitem__(0, 5), "repos[0]", "no JSON object"),
        (lambda d: d["repos"][0].update(repo_type="thing"), "repos[0].repo_type", "no such type"),
        (lambda d: d["repos"][0].update(repo_id="../x"), "repos[0].repo_id", ""),
        (lambda d: d["repos"][0].update(repo_id="a/b@c"), "repos[0].repo_id", ""),
        (lambda d: d["repos"][0].update(commit="main"), "repos[0].commit", "form"),
        (lambda d: d["repos"][0].update(commit="0" * 40), "repos[0].commit_object", "not the commit"),
        (lambda d: d["repos"][0].update(commit_object="%%"), "repos[0].commit_object", "base64"),
        (lambda d: d["repos"][0].update(tree="0" * 40), "repos[0].tree", "not the commit's"),
        (lambda d: d["repos"][1]["files"].reverse(), "repos[1].files[1].path", "behind"),
        (lambda d: d["repos"][1]["files"].pop(), "repos[1].files", "make tree"),
        (lambda d: row(d, "config.json").update(mode="100755"), "repos[1].files", "make tree"),
        (lambda d: row(d, "config.json").update(mode="040000"), "repos[1].files[3].mode", "none of"),
        (lambda d: row(d, "config.json").update(oid="0" * 40), "repos[1].files", "make tree"),
        (lambda d: row(d, "config.json").update(size=-1), "repos[1].files[3].size", "no number"),
        (lambda d: row(d, "config.json").update(size=4), "digest", "changed"),
        (lambda d: row(d, "config.json").update(sha256="0" * 64), "digest", "changed"),
        (lambda d: row(d, "config.json").update(selected=False), "repos[1].files[3].selected", "only"),
        (lambda d: row(d, "config.json").update(path="/etc/passwd"), "repos[1].files[3].path", "behind"),
        (lambda d: row(d, "config.json").update(path="config/../x"), "repos[1].files", "leaves"),
        (lambda d: row(d, "config.json").update(path="config/.git/x"), "repos[1].files", "git's own"),
        (lambda d: row(d, "config.json").update(path="c\ud800"), "repos[1].files[3].path", "half"),
        (lambda d: row(d, "model.bin")["lfs"].update(size=8), "repos[1].files[5]", "not git's blob"),
        (lambda d: row(d, "model.bin")["lfs"].update(url="x"), "repos[1].files[5].lfs.url", "no such"),
        (
            lambda d: row(d, "config.json").update(path_b64=base64.b64encode(b"config.json").decode()),
            "repos[1].files[3].path_b64",
            "belongs into path",
        ),
    ],
)
def test_refused_by_its_place(change: Callable[[Any], object], where: str, reason: str) -> None:
    with pytest.raises(BadLockfile) as caught:
        parse_lock(changed(change), "my.lock")
    assert (caught.value.file, caught.value.where) == ("my.lock", where)
    assert reason in caught.value.reason


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (b"", "line 1"),
        (b'{\n"version": 1,\n oops', "line 3"),
        (b'{"version":1,\n"x":"\xff"}', "line 2"),
        (b'{"version":1,"version":1}', "the whole"),
        (b'{"version":NaN}', "the whole"),
        (b"[" * 100_000, "the whole"),
        (b"[]", "the whole"),
        (b"5", "the whole"),
        (b'{"version":1' + b"0" * 5000 + b"}", "the whole"),
    ],
)
def test_no_json(text: bytes, where: str) -> None:
    with pytest.raises(BadLockfile) as caught:
        parse_lock(text)
    assert caught.value.where == where
