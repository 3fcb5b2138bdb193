"""Properties of the path check."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hfclone.errors import UnsafePath
from hfclone.paths import Folding, Platform, check_tree, show_path

parts = st.sampled_from([b"a", b"A", b"..", b".", b"", b".git", b".GiT", b"git~1", b"b", b"\xff", b"a\0"]) | st.binary(
    max_size=4
)
paths = st.lists(parts, min_size=1, max_size=4).map(b"/".join)


@given(st.lists(paths, max_size=6), st.sampled_from(Platform), st.sampled_from(Folding))
def test_what_passes_is_harmless(tree: list[bytes], platform: Platform, folding: Folding) -> None:
    try:
        check_tree(tree, platform=platform, folding=folding)
    except UnsafePath as error:
        assert error.path.isprintable()  # most trees are refused
        return
    assert len(set(tree)) == len(tree)
    for path in tree:
        for part in path.split(b"/"):
            assert part not in (b"", b".", b"..")
            assert part.lower() not in (b".git", b"git~1")
        assert not any(other.startswith(path + b"/") for other in tree)


@given(st.binary())
def test_shown_paths_are_printable(path: bytes) -> None:
    assert show_path(path).isprintable()
