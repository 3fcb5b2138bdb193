"""Settings: whatever stands in a file or a proxy's URL, it is read or refused in our words, and no secret is shown."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from hfclone.errors import BadOption, BadSettings
from hfclone.settings import VARIABLES, Origin, Where, read_settings, without_password
from hfclone.settings.files import file_layer

words = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12)
values = st.one_of(words, st.integers(-5, 1000), st.booleans(), st.lists(words, max_size=3))
keys = st.one_of(st.sampled_from([row.key for row in VARIABLES]), words)


@given(st.binary(max_size=60))
def test_any_bytes(data: bytes) -> None:
    with tempfile.NamedTemporaryFile() as file:
        Path(file.name).write_bytes(data)
        try:
            layer = file_layer(Path(file.name), Origin.USER)
        except BadSettings as error:
            assert file.name in str(error)
        else:
            assert layer.values.keys() <= {row.option for row in VARIABLES if row.where is not Where.NONE}


@given(st.dictionaries(keys, values, max_size=4), st.sampled_from([Origin.USER, Origin.PROJECT]))
def test_any_values(said: dict[str, object], origin: Origin) -> None:
    text = "".join(f"{json.dumps(key)} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in said.items())
    with tempfile.NamedTemporaryFile() as file:
        Path(file.name).write_text(text, encoding="utf-8")
        try:
            layer = file_layer(Path(file.name), origin)
            read_settings({}, environ={"HFCLONE_CONFIG": file.name})
        except (BadSettings, BadOption) as error:
            assert str(error)
        else:
            assert layer.values.keys() <= {f"--{key}" for key in said}


@given(words, words, st.sampled_from(["http", "socks5h", "ftp", ""]), st.sampled_from(["HFCLONE_PROXY", "all_proxy"]))
def test_no_password_is_shown(user: str, password: str, scheme: str, name: str) -> None:
    url = f"{scheme}://{user}:S3C{password}T@host:1" if scheme else f"{user}:S3C{password}T@host:1"
    assert "S3C" not in without_password(url)
    try:
        assert "S3C" not in repr(read_settings({}, environ={name: url}))
    except BadOption as error:
        assert "S3C" not in f"{error} {error.hint} {error.fields()}"
