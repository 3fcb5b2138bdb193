"""Files of settings: where they are, what they may say, and who wins."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hfclone.errors import BadOption, BadSettings
from hfclone.names import History
from hfclone.settings import (
    VARIABLES,
    Origin,
    Proxies,
    Settings,
    Where,
    read_settings,
    user_file,
    what_was_said,
    without_password,
)
from hfclone.settings.files import file_layer
from hfclone.settings.measures import Window


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """An environment with a home of its own."""
    return {"HOME": str(tmp_path)}


def own(home: dict[str, str], text: str) -> Path:
    return write(Path(home["HOME"], ".config/hfclone/config.toml"), text)


def test_everything_can_be_said(home: dict[str, str]) -> None:
    own(
        home,
        """
        mirror = ["a.example", "https://b.example"]
        endpoint = "https://hub.example"
        only-mirrors = true
        trust-mirror = "a.example"
        connections = 8
        limit-rate = "5M"
        window = "23:00-07:00"
        give-up-after = 60
        stall-after = 1.5
        history = "full"
        backup = false
        max-size = "8G"
        quant = ["Q4_K_M"]
        exclude = ["*.onnx"]
        proxy = "socks5h://127.0.0.1:1080"
        """,
    )
    settings = read_settings({}, environ=home)
    assert settings == Settings(
        mirrors=("https://a.example", "https://b.example"),
        endpoint="https://hub.example",
        only_mirrors=True,
        trusted=("https://a.example",),
        connections=8,
        limit_rate=5_000_000,
        window=Window(1380, 420),
        give_up_after=60,
        first_answer_within=60,
        stall_after=1.5,
        history=History.FULL,
        max_size=8_000_000_000,
        quants=("Q4_K_M",),
        exclude=("*.onnx",),
        proxies=Proxies(named="socks5h://127.0.0.1:1080"),
        environment=settings.environment,
    )
    assert settings.environment == {**home, "all_proxy": "socks5h://127.0.0.1:1080"}


def test_who_wins(home: dict[str, str], tmp_path: Path) -> None:
    project = write(tmp_path / "hfclone.toml", 'connections = 2\nmirror = []\nwindow = ""\nlimit-rate = 3')
    path = own(home, 'connections = 1\nmirror = "user.example"\nlimit-rate = 2\nwindow = "1:00-2:00"')
    environ = {**home, "HFCLONE_CONNECTIONS": "3", "HFCLONE_LIMIT_RATE": ""}
    rows = {
        row.key: said
        for row, said in what_was_said({"--connections": ["4"]}, environ=environ, project=lambda _: project)
    }
    found = {key: (said.values, said.origin) for key, said in rows.items()}
    assert found["connections"] == (("4",), Origin.FLAG)
    assert found["limit-rate"] == (("3",), Origin.PROJECT)
    assert found["mirror"] == ((), Origin.PROJECT)
    assert found["window"] == (("1:00-2:00",), Origin.USER)
    assert found["fetcher"] == (("auto",), Origin.DEFAULT)
    assert rows["window"].name == f"window in {path}"
    assert read_settings({}, environ=environ, project=lambda _: project).connections == 3
    assert read_settings({}, environ=home, project=lambda _: project).connections == 2
    assert read_settings({}, environ=home).connections == 1
    assert read_settings({}, environ={}).connections == 64


def test_a_named_file_stands_for_all(home: dict[str, str], tmp_path: Path) -> None:
    own(home, "connections = 1")
    project = write(tmp_path / "hfclone.toml", "fetcher = 'aria2c'")
    named = write(tmp_path / "named", 'limit-rate = "1k"\nendpoint = "https://hub.example"')
    environ = {**home, "HFCLONE_CONFIG": str(named)}
    settings = read_settings({}, environ=environ, project=lambda _: project)
    assert settings == Settings(limit_rate=1000, endpoint="https://hub.example", environment=settings.environment)
    assert read_settings({}, environ={**home, "HFCLONE_CONFIG": os.devnull}).connections == 64
    with pytest.raises(BadSettings, match="No such file"):
        read_settings({}, environ={**home, "HFCLONE_CONFIG": str(tmp_path / "none")})


@pytest.mark.parametrize(
    ("text", "words", "hint"),
    [
        ("conections = 3", "conections: there is no such setting", "did you mean connections?"),
        ("only_mirrors = true", "only_mirrors: there is no such setting", "did you mean only-mirrors?"),
        ("HFCLONE_MIRROR = 'x'", "HFCLONE_MIRROR: there is no such", "did you mean mirror?"),
        ("colour = 'red'", "colour: there is no such setting", "hfclone config"),
        ("token = 'hf_x'", "token: a token does not belong", "HF_TOKEN"),
        ("HF_TOKEN = 'hf_x'", "HF_TOKEN: a token does not belong", "hf auth login"),
        ("[auth]\nx = 1", "auth: there is no such setting", ""),
        ("[mirror]\nx = 1", "mirror: write a text or a number", ""),
        ("http-proxy = 'http://x'", "http-proxy: no file says this", "environment"),
        ("config-file = 'x'", "config-file: no file says this", ""),
        ("connections = [1]", "connections: write one value, not a list", ""),
        ("mirror = [1]", "mirror: write texts", ""),
        ("window = 07:00:00", "window: write a text or a number", ""),
        ("mirror = ", "it is no TOML", ""),
        ("mirror = 'a'\nmirror = 'b'", "it is no TOML", ""),
    ],
)
def test_what_cannot_be_meant(home: dict[str, str], text: str, words: str, hint: str) -> None:
    path = own(home, text)
    with pytest.raises(BadSettings) as caught:
        read_settings({}, environ=home)
    assert str(caught.value).startswith(f"{path}: {words}")
    assert hint in caught.value.hint
    assert "hf_x" not in f"{caught.value} {caught.value.hint} {caught.value.fields()}"


def test_a_bad_value_names_file_and_key(home: dict[str, str]) -> None:
    path = own(home, "connections = 0")
    with pytest.raises(BadOption) as caught:
        read_settings({}, environ=home)
    assert caught.value.option == f"connections in {path}"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs here")
def test_a_fifo_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "hfclone.toml")
    with pytest.raises(BadSettings, match="no file"):
        file_layer(tmp_path / "hfclone.toml", Origin.PROJECT)


def test_no_text_at_all(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    raw.write_bytes(b"\xff = 1")
    with pytest.raises(BadSettings, match="it is no TOML"):
        file_layer(raw, Origin.USER)
    with pytest.raises(BadSettings, match=r"[Dd]irectory"):
        file_layer(tmp_path, Origin.USER)
    with pytest.raises(BadSettings, match="too long"):
        file_layer(Path("/dev/zero"), Origin.USER)
    assert not file_layer(write(tmp_path / "empty", "\n"), Origin.USER).values


@pytest.mark.parametrize("row", [row for row in VARIABLES if row.where is not Where.ANY], ids=lambda row: row.key)
def test_a_project_does_not_say_whom_to_believe(row: object, tmp_path: Path) -> None:
    key = row.key  # type: ignore[attr-defined]  # a Variable
    with pytest.raises(BadSettings):
        file_layer(write(tmp_path / "hfclone.toml", f"{key} = 'x'"), Origin.PROJECT)


def test_what_only_the_user_says() -> None:
    users = {row.key for row in VARIABLES if row.where is Where.USER}
    names = {"endpoint", "only-mirrors", "trust-mirror", "proxy", "reuse", "reuse-by", "cache-dir", "aria2-rpc"}
    assert users == names


def test_where_the_users_file_is() -> None:
    assert user_file({}) is None
    assert user_file({"HOME": "/h"}) == Path("/h/.config/hfclone/config.toml")
    assert user_file({"HOME": "/h", "XDG_CONFIG_HOME": "/x"}) == Path("/x/hfclone/config.toml")
    assert user_file({"HOME": "/h", "XDG_CONFIG_HOME": "x"}) == Path("/h/.config/hfclone/config.toml")


# --- proxies -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("proxy.example:3128", "http://proxy.example:3128"),
        ("https://proxy.example/", "https://proxy.example"),
        ("socks5://me:p%40ss@[::1]:1080", "socks5://me:p%40ss@[::1]:1080"),
        ("socks5h://h", "socks5h://h"),
    ],
)
def test_a_proxy(given: str, meant: str) -> None:
    environ = {"HTTPS_PROXY": "http://other", "no_proxy": "a,b", "HFCLONE_PROXY": "http://third"}
    settings = read_settings({"--proxy": [given]}, environ=environ)
    assert settings.proxies == Proxies(named=meant, no_proxy=("a", "b"))
    assert settings.proxies.by_scheme() == {"all": meant}
    assert settings.environment == {"all_proxy": meant, "no_proxy": "a,b"}


@pytest.mark.parametrize(
    "given", ["ftp://me:secret@x", "socks4://x", "http://", "http://me:secret@x:port", "http://x/path", "http://x y"]
)
def test_no_proxy_at_all(given: str) -> None:
    with pytest.raises(BadOption) as caught:
        read_settings({}, environ={"HFCLONE_PROXY": given})
    assert caught.value.option == "HFCLONE_PROXY"
    assert "secret" not in f"{caught.value} {caught.value.fields()}"


def test_what_a_caller_says_wins() -> None:
    flags = {"http-proxy": ["http://caller"]}
    settings = read_settings(flags, environ={"HFCLONE_PROXY": "http://named", "ALL_PROXY": "http://all"})
    assert settings.proxies == Proxies(http="http://caller", all="http://all")


@pytest.mark.parametrize("name", ["https_proxy", "ALL_PROXY", "HFCLONE_PROXY"])
@pytest.mark.parametrize("password", ["s3c/ret", "1#s3c", "1?s3c", "1/s3c", "s3c#ret"])
def test_a_password_that_is_not_escaped(name: str, password: str) -> None:
    with pytest.raises(BadOption, match="%2F") as caught:
        read_settings({}, environ={name: f"http://me:{password}@proxy:3128"})
    assert caught.value.option == name
    assert "s3c" not in f"{caught.value} {caught.value.fields()}"


def test_children_are_told_the_same() -> None:
    environ = {"HTTP_PROXY": "http://a", "http_proxy": "http://b", "ALL_PROXY": "socks://d", "NO_PROXY": "x", "A": "1"}
    settings = read_settings({}, environ=environ)
    assert settings.environment == {
        "A": "1", "http_proxy": "http://b", "all_proxy": "socks5://d", "no_proxy": "x",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://me:p@ss@host:1", "http://***@host:1"),
        ("http://host:1", "http://host:1"),
        ("me:pass@host", "host"),
        ("http://me:p/a#s?s@host:1", "http://***@host:1"),
        ("http://me:p://s@host", "http://***@host"),
        ("host:1", "host:1"),
    ],
)
def test_a_password_is_not_shown(url: str, shown: str) -> None:
    assert without_password(url) == shown
