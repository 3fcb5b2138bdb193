"""Settings: parsers by tables, precedence, who may see the token."""

import dataclasses
import os
import sys
from pathlib import Path

import pytest

from hfclone.errors import BadOption
from hfclone.hub.endpoint import HUB_URL, EndpointKind, TokenRule
from hfclone.names import History, Repo, RepoSpec, Token
from hfclone.settings import (
    VARIABLES,
    Fetcher,
    Progress,
    Proxies,
    Settings,
    Verbosity,
    endpoints_of,
    narrowed,
    read_settings,
)
from hfclone.settings.measures import Window, parse_duration, parse_size, parse_window

MIRROR = "https://hf-mirror.com"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("90", 90),
        ("90s", 90),
        ("1.5", 1.5),
        ("0.5s", 0.5),
        ("15m", 900),
        ("24h", 86400),
        ("2d", 172800),
        ("1h30m", 5400),
        ("1H30M5S", 5405),
        (" 5m ", 300),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text, "--x") == seconds


@pytest.mark.parametrize(
    "text", ["", " ", "s", "-5", "5x", "1.5h", "30m1h", "1h 30m", "inf", "nan", "1e9", "٣", "9" * 20]
)
def test_no_durations(text: str) -> None:
    with pytest.raises(BadOption, match=r"--x.*write a duration"):
        parse_duration(text, "--x")


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("500", 500),
        ("500k", 500_000),
        ("500K", 500_000),
        ("2M", 2_000_000),
        ("2MB", 2_000_000),
        ("2 MB/s", 2_000_000),
        ("1.5MiB", 1_572_864),
        ("1g", 10**9),
        ("1TiB", 2**40),
        ("10 bytes", 10),
    ],
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text, "--x") == size


@pytest.mark.parametrize("text", ["", "k", "-1", "1.k", "1x", "1ib", "1e6", "2M/h", "٣k", "9" * 20])
def test_no_sizes(text: str) -> None:
    with pytest.raises(BadOption, match=r"--x.*write a number of bytes"):
        parse_size(text, "--x")


@pytest.mark.parametrize(
    ("text", "window"),
    [
        ("23:00-07:00", Window(1380, 420)),
        ("8:30 - 9:00", Window(510, 540)),
        ("00:00-24:00", None),
        ("20:00-24:00", Window(1200, 0)),
        ("7:00-7:00", None),
        ("25:00-07:00", None),
        ("23:60-07:00", None),
        ("24:01-07:00", None),
        ("23-7", None),
        ("", None),
    ],
)
def test_windows(text: str, window: Window | None) -> None:
    if window is not None:
        assert parse_window(text, "--x") == window
        assert parse_window(str(window), "--x") == window
        return
    with pytest.raises(BadOption):
        parse_window(text, "--x")


@pytest.mark.parametrize(
    ("window", "clock", "wait"),
    [
        (Window(1380, 420), 23 * 3600, 0),
        (Window(1380, 420), 3 * 3600, 0),
        (Window(1380, 420), 7 * 3600, 16 * 3600),
        (Window(1380, 420), 23 * 3600 - 1, 1),
        (Window(60, 120), 0, 3600),
        (Window(60, 120), 7199, 0),
        (Window(60, 120), 7200, 86400 - 3600),
        (Window(1200, 0), 86399, 0),
        (Window(1200, 0), 0, 72000),
    ],
)
def test_how_long_a_window_stays_closed(window: Window, clock: float, wait: float) -> None:
    assert window.seconds_until_open(clock) == wait


def test_defaults() -> None:
    settings = read_settings({}, environ={})
    assert settings == Settings()
    assert settings.endpoint == HUB_URL
    assert settings.give_up_after == 86400
    assert settings.first_answer_within == 120


def test_flags_win_over_the_environment() -> None:
    environ = {"HFCLONE_CONNECTIONS": "4", "HFCLONE_FETCHER": "ARIA2C", "HFCLONE_MIRROR": "a.example, b.example"}
    settings = read_settings({"--connections": ("8",), "--mirror": (), "--fetcher": ()}, environ=environ)
    assert settings.connections == 8
    assert settings.fetcher is Fetcher.ARIA2C
    assert settings.mirrors == ("https://a.example", "https://b.example")
    assert read_settings({"--mirror": ["c.example"]}, environ=environ).mirrors == ("https://c.example",)


def test_everything_can_be_said() -> None:
    flags = {
        "--only-mirrors": ("1",),
        "--spare-hub": ("1",),
        "--trust-mirror": ("hf-mirror.com",),
        "--give-up-after": ("0",),
        "--stall-after": ("5s",),
        "--limit-rate": ("500k",),
        "--window": ("23:00-07:00",),
        "--history": ("full",),
        "--include": ("*.bin", "a,b"),
        "--exclude": ("*.txt",),
        "--progress": ("json",),
    }
    settings = read_settings(flags, environ={}, verbosity=Verbosity.QUIET, user_agent="me/1")
    assert settings == Settings(
        only_mirrors=True,
        spare_hub=True,
        trusted=(MIRROR,),
        give_up_after=None,
        first_answer_within=None,
        stall_after=5,
        limit_rate=500_000,
        window=Window(1380, 420),
        history=History.FULL,
        include=("*.bin", "a,b"),
        exclude=("*.txt",),
        progress=Progress.JSON,
        verbosity=Verbosity.QUIET,
        user_agent="me/1",
    )


@pytest.mark.parametrize(
    ("environ", "name"),
    [
        ({"HFCLONE_CONNECTIONS": "0"}, "HFCLONE_CONNECTIONS"),
        ({"HFCLONE_CONNECTIONS": "257"}, "HFCLONE_CONNECTIONS"),
        ({"HFCLONE_CONNECTIONS": "many"}, "HFCLONE_CONNECTIONS"),
        ({"HFCLONE_FETCHER": "wget"}, "HFCLONE_FETCHER"),
        ({"HFCLONE_PROGRESS": "x"}, "HFCLONE_PROGRESS"),
        ({"HFCLONE_ONLY_MIRRORS": "maybe"}, "HFCLONE_ONLY_MIRRORS"),
        ({"HFCLONE_STALL_AFTER": "0"}, "HFCLONE_STALL_AFTER"),
        ({"HFCLONE_WINDOW": "night"}, "HFCLONE_WINDOW"),
        ({"HFCLONE_MIRROR": "ftp://x"}, "HFCLONE_MIRROR"),
        ({"HF_ENDPOINT": "https://user:pw@x"}, "HF_ENDPOINT"),
        ({"HF_ENDPOINT": "http://[x"}, "HF_ENDPOINT"),
        ({"SSL_CERT_FILE": "/does/not/exist"}, "SSL_CERT_FILE"),
    ],
)
def test_errors_name_the_variable(environ: dict[str, str], name: str) -> None:
    with pytest.raises(BadOption) as caught:
        read_settings({}, environ=environ)
    assert caught.value.option == name
    assert "pw" not in str(caught.value)


def test_an_empty_variable_says_nothing() -> None:
    empty = {name: " " for variable in VARIABLES for name in variable.name.split()}
    assert read_settings({}, environ=empty) == Settings(environment=read_settings({}, environ=empty).environment)


def test_a_known_mirror_as_endpoint_is_a_mirror() -> None:
    settings = read_settings({"--mirror": ("a.example",)}, environ={"HF_ENDPOINT": f"{MIRROR}/"})
    assert settings.endpoint == HUB_URL
    assert settings.mirrors == ("https://a.example", MIRROR)
    mirror = endpoints_of(settings)[1]
    assert (mirror.kind, mirror.token_rule) == (EndpointKind.MIRROR, TokenRule.NEVER)


def test_another_hub_is_a_hub() -> None:
    settings = read_settings({}, environ={"HF_ENDPOINT": "http://127.0.0.1:8080/hub/"})
    assert settings.endpoint == "http://127.0.0.1:8080/hub"
    (hub,) = endpoints_of(settings, "https://huggingface.co")
    assert (hub.kind, hub.token_rule) == (EndpointKind.HUB, TokenRule.SEND)


@pytest.mark.parametrize("name", ["hf.co", "https://www.huggingface.co/", "http://huggingface.co"])
def test_the_hubs_other_names(name: str) -> None:
    assert read_settings({"--endpoint": (name,)}, environ={}).endpoint == HUB_URL


@pytest.mark.parametrize(
    ("hub", "rule"),
    [
        ("https://hub.example", TokenRule.SEND),
        ("http://localhost:1", TokenRule.SEND),
        ("http://[::1]:1", TokenRule.SEND),
        ("http://hub.example", TokenRule.NEVER),
        ("http://192.168.0.1", TokenRule.NEVER),
    ],
)
def test_a_token_needs_https_or_loopback(hub: str, rule: TokenRule) -> None:
    assert endpoints_of(Settings(endpoint=hub))[-1].token_rule is rule
    mirrored = Settings(mirrors=(hub,), trusted=(hub,))
    assert endpoints_of(mirrored)[0].token_rule is rule


def test_order_of_endpoints_and_trust() -> None:
    settings = Settings(mirrors=("https://b.example", "https://a.example"), trusted=("https://a.example:443",))
    endpoints = endpoints_of(settings, "https://c.example")
    assert [str(endpoint) for endpoint in endpoints] == ["b.example", "a.example", "c.example", "huggingface.co"]
    assert [endpoint.token_rule for endpoint in endpoints] == [
        TokenRule.NEVER,
        TokenRule.SEND,
        TokenRule.NEVER,
        TokenRule.SEND,
    ]


def test_a_site_that_is_known_adds_nobody() -> None:
    assert len(endpoints_of(Settings(mirrors=(MIRROR,)), MIRROR)) == 2
    assert len(endpoints_of(Settings(), "https://hf.co")) == 1
    assert len(endpoints_of(Settings(endpoint="https://own.example"), "https://own.example")) == 1


def test_only_mirrors() -> None:
    (mirror,) = endpoints_of(Settings(mirrors=(MIRROR,), only_mirrors=True))
    assert mirror.url == MIRROR
    (page,) = endpoints_of(Settings(only_mirrors=True), MIRROR)
    assert page.url == MIRROR
    with pytest.raises(BadOption, match="no --mirror is given"):
        endpoints_of(Settings(only_mirrors=True), HUB_URL)


def test_the_token_is_hidden_everywhere() -> None:
    environ = {"HF_TOKEN": "hf_secret", "HTTPS_PROXY": "http://me:secret@proxy", "PATH": "/bin"}
    settings = read_settings({}, environ=environ)
    assert settings.token == Token("hf_secret")
    assert settings.environment == {"https_proxy": "http://me:secret@proxy", "PATH": "/bin"}
    assert "secret" not in repr(settings)
    assert "hf_secret" not in repr(dataclasses.asdict(settings))
    assert read_settings({}, environ={"HUGGING_FACE_HUB_TOKEN": "x"}).token == Token("x")


def test_proxies_and_certificates(tmp_path: Path) -> None:
    environ = {
        "HTTP_PROXY": "http://a",
        "http_proxy": "http://b",
        "HTTPS_PROXY": "http://c",
        "all_proxy": "socks5h://d",
        "NO_PROXY": "localhost, .example",
        "SSL_CERT_FILE": str(tmp_path),
    }
    settings = read_settings({}, environ=environ)
    assert settings.proxies == Proxies("http://b", "http://c", "socks5h://d", ("localhost", ".example"))
    assert settings.ca_bundle == str(tmp_path)


def test_a_named_file_narrows_the_choice() -> None:
    spec = RepoSpec(Repo("org/name"), file="a[1]/b*.bin")
    assert narrowed(Settings(), spec).include == ("a[[]1]/b[*].bin",)
    assert narrowed(Settings(), RepoSpec(Repo("org/name"))) == Settings()
    chosen = Settings(quants=("Q8_0",), max_size=1)
    assert narrowed(chosen, spec) == Settings(include=("a[[]1]/b[*].bin",))
    assert narrowed(chosen, RepoSpec(Repo("org/name"), file="a/")).max_size == 1
    with pytest.raises(BadOption, match="REPO names"):
        narrowed(Settings(include=("*",)), spec)


def test_the_table_is_complete() -> None:
    options = [variable.option for variable in VARIABLES]
    names = [name for variable in VARIABLES for name in variable.name.split()]
    assert len(set(options)) == len(options)
    assert len(set(names)) == len(names)
    assert all(variable.help for variable in VARIABLES)


def _may_find(**environ: str) -> bool:
    return read_settings({}, environ=environ).may_find_token


@pytest.mark.parametrize("name", ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_OIDC_RESOURCE"])
def test_huggingface_hub_looks_where_a_variable_speaks_of_a_token(name: str, tmp_path: Path) -> None:
    assert not _may_find(HF_HOME=str(tmp_path))
    assert _may_find(HF_HOME=str(tmp_path), **{name: ""})


def test_huggingface_hub_looks_where_its_file_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    places: list[tuple[str, dict[str, str]]] = [
        (".cache/huggingface/token", {}),
        ("xdg/huggingface/token", {"XDG_CACHE_HOME": str(tmp_path / "xdg")}),
        ("hf/token", {"XDG_CACHE_HOME": "/nowhere", "HF_HOME": "~/hf"}),
        ("mine", {"HF_HOME": "/nowhere", "HF_TOKEN_PATH": "~/mine"}),
    ]
    for place, environ in places:
        assert not _may_find(**environ), place
        file = tmp_path / place
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("hf_x")
        assert _may_find(**environ), place
        file.unlink()


def test_a_file_that_says_nothing_is_none(tmp_path: Path) -> None:
    """huggingface_hub takes long to import."""
    assert not _may_find(HF_TOKEN_PATH=os.devnull)
    (tmp_path / "empty").touch()
    assert not _may_find(HF_TOKEN_PATH=str(tmp_path / "empty"))
    os.mkfifo(tmp_path / "pipe")
    assert _may_find(HF_TOKEN_PATH=str(tmp_path / "pipe"))
    assert _may_find(HF_TOKEN_PATH=str(tmp_path))


def test_in_doubt_huggingface_hub_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings().may_find_token
    assert _may_find(HF_TOKEN_PATH="$SOMEWHERE/token")
    monkeypatch.setitem(sys.modules, "IPython", sys)
    assert _may_find(HF_HOME=str(tmp_path))


@pytest.mark.parametrize(
    ("environ", "cache"),
    [
        ({"HF_HUB_CACHE": "{base}/a", "HF_HOME": "{base}/b"}, "a"),
        ({"HUGGINGFACE_HUB_CACHE": "{base}/a", "HF_HOME": "{base}/b"}, "a"),
        ({"HF_HOME": "{base}/b", "XDG_CACHE_HOME": "{base}/c"}, "b/hub"),
        ({"HF_HOME": "$PLACE/b"}, "b/hub"),
        ({"XDG_CACHE_HOME": "{base}/c"}, "c/huggingface/hub"),
        ({}, "home/.cache/huggingface/hub"),
    ],
)
def test_the_hubs_cache_is_where_its_own_library_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], cache: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PLACE", str(tmp_path))
    said = {name: value.format(base=tmp_path) for name, value in environ.items()}
    assert read_settings({}, environ=said).reuse == ()
    (tmp_path / cache).mkdir(parents=True)
    assert read_settings({}, environ=said).reuse == (tmp_path / cache,)
    assert read_settings({"--reuse": ("none",)}, environ=said).reuse == ()
    other = tmp_path / "other"
    other.mkdir()
    assert read_settings({"--reuse": (str(other),)}, environ=said).reuse == (other, tmp_path / cache)
    assert read_settings({}, environ={**said, "HFCLONE_REUSE": f"{other},none"}).reuse == (other,)


@pytest.mark.parametrize("flags", [{"--reuse": ("nowhere",)}, {"--reuse-by": ("move",)}, {"--reuse-by": ("x",)}])
def test_what_cannot_be_reused(flags: dict[str, tuple[str, ...]]) -> None:
    with pytest.raises(BadOption, match=next(iter(flags))):
        read_settings(flags, environ={})
