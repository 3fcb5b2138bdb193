"""Whatever a batch answer names: what is sent are a few lines of plain headers."""

from __future__ import annotations

import http.client
import io
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from hfclone.transfer.action_headers import action_headers

names = st.one_of(
    st.text(max_size=20),
    st.sampled_from(["Authorization", "accept", "X-Amz-Date", "Content-Length", "X-Forwarded-Host"]),
    st.text(max_size=10).map(lambda end: f"X-Amz-{end}"),
)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(names, anything, max_size=30) | anything)
def test_what_is_sent_reads_back_as_it_was_meant(named: Any) -> None:
    sent = action_headers(named)
    text = "".join(f"{name}: {value}\r\n" for name, value in sent.items()) + "\r\n"
    read = http.client.parse_headers(io.BytesIO(text.encode("ascii")))
    assert dict(read) == sent
    assert len(text) < 20_000
    for name in sent:
        assert name in ("accept", "authorization") or name.startswith("x-")
        assert not name.startswith(("x-forwarded", "x-http", "x-original", "x-rewrite"))
