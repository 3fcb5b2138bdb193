"""The lists for other programs: what they say, and what cannot get into them."""

from __future__ import annotations

import hashlib
from xml.etree import ElementTree as ET

import pytest

from hfclone.export import Format, ListedObject, Listing, formatted
from hfclone.export.listing import safe_name
from hfclone.pointer import Oid, Pointer

URLS = ("https://mirror.example/a/b/resolve/c/m.bin", "https://hub.example/a/b/resolve/c/m.bin?x=1&y=2")
METALINK = "{urn:ietf:params:xml:ns:metalink}"


def item(path: bytes, size: int = 7) -> ListedObject:
    return ListedObject(path, Pointer(Oid(hashlib.sha256(path).hexdigest()), size), URLS)


def listing(*paths: bytes, expires: str = "") -> Listing:
    return Listing("a/b", "c" * 40, tuple(map(item, paths)), expires)


def test_aria2() -> None:
    made = formatted(listing(b"sub/m.bin"), Format.ARIA2).decode()
    assert made.splitlines() == [
        f"# a/b at commit {'c' * 40}",
        "\t".join(URLS),
        "  out=sub/m.bin",
        f"  checksum=sha-256={item(b'sub/m.bin').pointer.oid}",
        "  auto-file-renaming=false",
    ]


def test_metalink() -> None:
    root = ET.fromstring(formatted(listing(b"sub/m & n.bin", b"'.bin"), Format.METALINK))
    first, second = root.findall(f"{METALINK}file")
    assert (first.get("name"), second.get("name")) == ("sub/m & n.bin", "'.bin")
    assert first.findtext(f"{METALINK}size") == "7"
    digest = first.find(f"{METALINK}hash")
    assert digest is not None
    assert (digest.get("type"), digest.text) == ("sha-256", item(b"sub/m & n.bin").pointer.oid)
    assert [(url.get("priority"), url.text) for url in first.findall(f"{METALINK}url")] == [
        ("1", URLS[0]),
        ("2", URLS[1]),
    ]


@pytest.mark.parametrize("made_for", [Format.URLS, Format.WGET])
def test_urls(made_for: Format) -> None:
    assert formatted(listing(b"m", b"n"), made_for) == f"{URLS[0]}\n{URLS[0]}\n".encode()


def test_idm_ends_every_line_as_it_wants() -> None:
    assert formatted(listing(b"m"), Format.IDM) == f"<\r\n{URLS[0]}\r\n>\r\n".encode()


def test_curl() -> None:
    lines = formatted(listing(b"sub/m #1.bin"), Format.CURL).decode().splitlines()
    assert lines[-2:] == [f'url = "{URLS[0]}"', 'output = "sub/m #1.bin"']
    assert {"fail", "location", "globoff", "create-dirs"} < set(lines)


def test_curl_asks_for_what_is_very_large_by_a_range() -> None:
    """Beside ``continue-at`` it takes none."""
    large = ListedObject(b"large.bin", Pointer(Oid("1" * 64), 411 * 10**9), URLS)
    usual = [f'url = "{URLS[0]}"', 'output = "m.bin"']
    ranged = ['range = "0-"', f'url = "{URLS[0]}"', 'output = "large.bin"']
    both = formatted(Listing("a/b", "c" * 40, (large, item(b"m.bin"))), Format.CURL).decode()
    first, second = both.split("\nnext\n")
    assert 'continue-at = "-"' in first
    assert first.splitlines()[-2:] == usual
    assert "continue-at" not in second
    assert second.splitlines()[-3:] == ranged
    alone = formatted(Listing("a/b", "c" * 40, (large,)), Format.CURL).decode()
    assert "next" not in alone
    assert alone.splitlines()[-3:] == ranged


def test_the_end_of_the_addresses_is_said_where_there_is_room() -> None:
    for made_for in (Format.ARIA2, Format.CURL, Format.METALINK):
        assert b"good until 2026-01-02T03:04:05Z" in formatted(listing(b"m", expires="2026-01-02T03:04:05Z"), made_for)


@pytest.mark.parametrize("made_for", Format)
def test_nothing_to_fetch(made_for: Format) -> None:
    assert b"http" not in formatted(listing(), made_for).replace(b"xmlns", b"")


OID = Oid("0" * 64)


@pytest.mark.parametrize(
    "path",
    [
        b"", b"/etc/passwd", b"../up", b"a/../b", b"a//b", b"a/", b"-o", b"~/x", b" a", b"a ", b"a /b", b"a\nout=b",
        b"a\tb", b"a\rb", b"a\0b", b"a\x1b[2J", b"\xff", b'a"b', b"a\\b", b"..\\b", b"C:x", b"a:b", b"nul", b"con.bin",
        b".git/config", b"a|b", b"a?b", b"a*b", b"<a>", "a\u202eb".encode(), "a\u2028b".encode(), b"a.", b"a./b",
    ],
)  # fmt: skip
def test_names_that_mean_something_to_somebody_become_the_oid(path: bytes) -> None:
    assert safe_name(path, OID) == OID


@pytest.mark.parametrize(
    "path",
    [b"m.bin", b"sub/dir/m.bin", b"a b", b"100% #1.bin", "ünï 文".encode(), b"a'b;$(x) &c", b".hidden", b"[1-3]{a}"],
)
def test_names_that_are_harmless_stay(path: bytes) -> None:
    assert safe_name(path, OID) == path.decode()
