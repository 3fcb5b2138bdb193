"""Where a URL leads, and what is asked for there."""

from __future__ import annotations

import pytest

from hfclone.http import SHARED, Route
from hfclone.http.request import Place, place_of, target_of
from hfclone.http.ways import Ways


@pytest.mark.parametrize(
    ("scheme", "netloc", "place"),
    [
        ("https", "huggingface.co", Place("huggingface.co", 443, "huggingface.co:443", "huggingface.co")),
        ("https", "HuggingFace.co.:443", Place("huggingface.co", 443, "huggingface.co:443", "huggingface.co")),
        ("http", "hub.test:443", Place("hub.test", 443, "hub.test:443", "hub.test:443")),
        ("http", "me:secret@hub.test", Place("hub.test", 80, "hub.test:80", "hub.test")),
        ("http", "DOMAIN\\me:a:b@c@hub.test:8080", Place("hub.test", 8080, "hub.test:8080", "hub.test:8080")),
        ("http", "evil.test\\@hub.test", Place("hub.test", 80, "hub.test:80", "hub.test")),
        ("https", "b\u00fccher.example", Place("xn--bcher-kva.example", 443, "xn--bcher-kva.example:443",
                                            "xn--bcher-kva.example")),
        ("https", "stra\u00dfe.example", Place("xn--strae-oqa.example", 443, "xn--strae-oqa.example:443",
                                             "xn--strae-oqa.example")),
        ("http", "127.0.0.1:80", Place("127.0.0.1", 80, "127.0.0.1:80", "127.0.0.1")),
        ("http", "[::1]:5000", Place("::1", 5000, "[::1]:5000", "[::1]:5000")),
        ("https", "[2001:DB8::1]", Place("2001:db8::1", 443, "[2001:db8::1]:443", "[2001:db8::1]")),
        ("http", "[fe80::1%25eth0]", Place("fe80::1%eth0", 80, "[fe80::1]:80", "[fe80::1]")),
        ("http", "host:0", Place("host", 0, "host:0", "host:0")),
    ],
)  # fmt: skip
def test_places(scheme: str, netloc: str, place: Place) -> None:
    assert place_of(scheme, netloc) == place


def test_zones_are_hosts_of_their_own() -> None:
    """Though they go without saying in a Host header, and one address may be there in each."""
    ways = Ways(Route({}), SHARED, 1.0)
    assert ways.to("http://[fe80::1%25eth0]/").key != ways.to("http://[fe80::1%25eth1]/").key


@pytest.mark.parametrize(
    "netloc",
    [
        "",
        ":80",
        "a b",
        "host:99999",
        "host:x",
        "[::1",
        "::1",
        "a\r\nb",
        "a\u3002\0",
        "\u00fc" * 70,
        ".",
        "evil.test\\@hub.test:x",
        "evil.test\\.hub.test",
        "me@evil.test\\",
        "hub%2etest",
        "hub.test%zone",
    ],
)
def test_nowhere(netloc: str) -> None:
    with pytest.raises(ValueError):  # of any kind
        place_of("http", netloc)


def test_other_schemes_lead_nowhere() -> None:
    with pytest.raises(ValueError):  # of any kind
        place_of("ftp", "host")


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("http://host", "/"),
        ("http://host?a=b", "/?a=b"),
        ("http://host/a/../b//c;d#e", "/a/../b//c;d"),
        ("http://host/%2f%2F?X-Amz-Signature=a%2Bb+c&d=~", "/%2f%2F?X-Amz-Signature=a%2Bb+c&d=~"),
        ('http://host/a b"<>\\^`{|}[]', "/a%20b%22%3C%3E%5C%5E%60%7B%7C%7D%5B%5D"),
        ("http://host/\u00fc?\u4e2d", "/%C3%BC?%E4%B8%AD"),
        ("http://host/100%?a%zz%41", "/100%25?a%25zz%41"),
    ],
)
def test_targets(url: str, target: str) -> None:
    assert target_of(url) == target
