"""Whatever a repo's paths are: each program reads just the names and addresses that were meant."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from hfclone.export import Format, ListedObject, Listing, formatted
from hfclone.hub.endpoint import Endpoint
from hfclone.names import Pin, Repo
from hfclone.pointer import Oid, Pointer

ENDPOINTS = (Endpoint("https://mirror.example"), Endpoint("http://127.0.0.1:8080/base"))
PIN = Pin(Repo("acme/odd"), "0123456789abcdef0123456789abcdef01234567")
PIECES = (
    b"..", b".", b"", b"\n", b"\r\n", b"/", b"-o", b'"', b"\\", b"#1", b"%2e", b"  out=", b"a", b"<", b"&", b"\t",
)  # fmt: skip
nasty = st.one_of(
    st.binary(min_size=1, max_size=20),
    st.text(max_size=20).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.lists(st.sampled_from(PIECES), max_size=6).map(b"".join),
)


def listing_of(paths: list[bytes]) -> Listing:
    items = [
        ListedObject(
            path,
            Pointer(Oid(f"{number:064x}"), number + 1),
            tuple(each.site.files.url(each.url, PIN, path) for each in ENDPOINTS if each.site.files),
        )
        for number, path in enumerate(paths)
    ]
    return Listing(PIN.repo.path, PIN.commit, tuple(items))


def is_inside(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return bool(parts) and not name.startswith(("/", "-", "~")) and ".." not in parts and "\\" not in name


@given(st.lists(nasty, max_size=5))
def test_aria2_reads_what_was_meant(paths: list[bytes]) -> None:
    listing = listing_of(paths)
    text = formatted(listing, Format.ARIA2).decode()
    lines = re.split(r"\r\n|\n|\r", text)[1:-1]
    assert len(lines) == 4 * len(paths)
    for item, at in zip(listing.items, range(0, len(lines), 4), strict=True):
        assert tuple(lines[at].split("\t")) == item.urls
        name = lines[at + 1].removeprefix("  out=")
        assert name == name.strip() == item.name
        assert is_inside(name)
        assert lines[at + 2] == f"  checksum=sha-256={item.pointer.oid}"


@given(st.lists(nasty, max_size=5))
def test_metalink_is_xml_and_says_what_was_meant(paths: list[bytes]) -> None:
    listing = listing_of(paths)
    files = ET.fromstring(formatted(listing, Format.METALINK))
    names = [file.get("name", "") for file in files]
    assert names == [item.name for item in listing.items]
    assert all(map(is_inside, names))
    assert [tuple(url.text for url in file if url.tag.endswith("url")) for file in files] == [
        item.urls for item in listing.items
    ]


@given(st.lists(nasty, max_size=5))
def test_lists_of_lines_have_a_line_for_each(paths: list[bytes]) -> None:
    listing = listing_of(paths)
    best = [item.urls[0] for item in listing.items]
    assert formatted(listing, Format.WGET).decode().splitlines() == best
    assert formatted(listing, Format.IDM).decode().split("\r\n")[:-1] == [x for url in best for x in ("<", url, ">")]
    curl = formatted(listing, Format.CURL).decode()
    assert re.findall(r'^url = "(.*)"$', curl, re.MULTILINE) == best
    assert re.findall(r'^output = "(.*)"$', curl, re.MULTILINE) == [item.name for item in listing.items]
    assert len(curl.split("\n")) == 9 + 2 * len(paths)
