"""Quantisations: whatever a model is called, its quantisation is found, and all of its shards."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hfclone.selection.quants import choose_quants, missing_quants, quant_of, quants_among

QUANTS = ["Q2_K", "Q4_K_M", "Q4_K_S", "Q8_0", "IQ1_S", "IQ3_XXS", "IQ4_NL", "BF16", "F16", "UD-Q4_K_XL", "TQ2_0"]
quants = st.sampled_from(QUANTS)
names = st.from_regex(r"[A-Za-z]{1,8}(-[0-9]{1,2}[Bb])?", fullmatch=True).filter(
    lambda name: "mmproj" not in name.lower() and "imatrix" not in name.lower()
)


def spelled(quant: str, lower: bool) -> str:
    return quant.lower() if lower else quant


@given(names, quants, st.sampled_from("-._"), st.booleans(), st.integers(1, 20))
def test_every_shard_is_found(name: str, quant: str, separator: str, lower: bool, shards: int) -> None:
    end = [f"-{n:05}-of-{shards:05}" for n in range(1, shards + 1)] if shards > 1 else [""]
    paths = [f"{name}{separator}{spelled(quant, lower)}{each}.gguf".encode() for each in end]
    others = [f"{name}{separator}{other}.gguf".encode() for other in QUANTS if other != quant]
    assert {quant_of(path) for path in paths} == {quant}
    assert choose_quants([*others, *paths], [spelled(quant, not lower)]) == set(paths)


@given(st.lists(st.binary(max_size=40)), st.lists(st.text(max_size=10)))
def test_nothing_is_invented(paths: list[bytes], wanted: list[str]) -> None:
    paths += [path + b".gguf" for path in paths]
    chosen = choose_quants(paths, wanted)
    assert chosen <= set(paths)
    assert set(missing_quants(paths, wanted)) <= set(wanted)
    if set(missing_quants(paths, wanted)) == set(wanted):
        assert not chosen


@given(st.lists(quants, min_size=1, unique=True), st.data())
def test_what_is_listed_can_be_asked_for(there: list[str], data: st.DataObject) -> None:
    paths = [f"m-{quant}.gguf".encode() for quant in there]
    listed = quants_among(paths)
    assert set(listed) == set(there)
    one = data.draw(st.sampled_from(listed))
    assert not missing_quants(paths, [one])
    assert {quant_of(path) for path in choose_quants(paths, [one])} == {one}
