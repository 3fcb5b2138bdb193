"""Quantisations by the names that people give files."""

import pytest

from hfclone.errors import QuantNotFound
from hfclone.selection.quants import choose_quants, missing_quants, quant_of, quants_among
from hfclone.selection.select import select
from hfclone.settings import Settings


@pytest.mark.parametrize(
    ("path", "quant"),
    [
        ("Llama-3.2-1B-Instruct-Q4_K_M.gguf", "Q4_K_M"),
        ("mistral-7b-instruct-v0.2.Q4_K_M.gguf", "Q4_K_M"),
        ("qwen2.5-7b-instruct-q4_k_m.gguf", "Q4_K_M"),
        ("qwen2.5-7b-instruct-q4_k_m-00001-of-00002.gguf", "Q4_K_M"),
        ("BF16/DeepSeek-R1-BF16-00001-of-00030.gguf", "BF16"),
        ("DeepSeek-R1-UD-IQ1_S/DeepSeek-R1-UD-IQ1_S-00001-of-00003.gguf", "UD-IQ1_S"),
        ("UD-Q4_K_XL/model-00001-of-00003.gguf", "UD-Q4_K_XL"),
        ("ggml-model-f16.gguf", "F16"),
        ("qwen-fp16.gguf", "F16"),
        ("model-F32.gguf", "F32"),
        ("gpt-oss-20b-mxfp4.gguf", "MXFP4"),
        ("gpt-oss-20b-MXFP4_MOE.gguf", "MXFP4_MOE"),
        ("model.IQ4_NL.gguf", "IQ4_NL"),
        ("model-IQ3_XXS.gguf", "IQ3_XXS"),
        ("model-Q6_K.gguf", "Q6_K"),
        ("model-Q6_K_L.gguf", "Q6_K_L"),
        ("model-Q2_K_S.gguf", "Q2_K_S"),
        ("model-Q4_0_8_8.gguf", "Q4_0_8_8"),
        ("model-Q5_1.gguf", "Q5_1"),
        ("model-TQ1_0.gguf", "TQ1_0"),
        ("model-Q8_0.GGUF", "Q8_0"),
        ("f16-as-q8_0.gguf", "Q8_0"),
        ("Q8_0/Q4_K_M.gguf", "Q4_K_M"),
        ("Qwen3-Q4_K_Mx.gguf", None),
        ("model.gguf", None),
        ("Qwen3-8B.gguf", None),
        ("mmproj-model-F16.gguf", None),
        ("model.imatrix.gguf", None),
        ("Model-Q4_K_M.safetensors", None),
        ("Q4_K_M/readme.md", None),
    ],
)
def test_what_a_name_says(path: str, quant: str | None) -> None:
    assert quant_of(path.encode()) == quant


FILES = [
    b"m-Q4_K_M-00001-of-00002.gguf",
    b"m-Q4_K_M-00002-of-00002.gguf",
    b"m-Q4_K_S.gguf",
    b"m-UD-Q4_K_XL.gguf",
    b"m-Q8_0.gguf",
    b"mmproj-BF16.gguf",
    b"mmproj-F16.gguf",
    b"mmproj-Q8_0.gguf",
    b"imatrix.gguf",
    b"model.safetensors",
    b"README.md",
]


@pytest.mark.parametrize(
    ("wanted", "chosen"),
    [
        (["q4_k_m"], {FILES[0], FILES[1], b"mmproj-F16.gguf"}),
        (["Q4-K-M"], {FILES[0], FILES[1], b"mmproj-F16.gguf"}),
        (["Q4_K_XL"], {b"m-UD-Q4_K_XL.gguf", b"mmproj-F16.gguf"}),
        (["ud-q4_k_xl"], {b"m-UD-Q4_K_XL.gguf", b"mmproj-F16.gguf"}),
        (["Q8_0"], {b"m-Q8_0.gguf", b"mmproj-Q8_0.gguf"}),
        (["Q4_K_S", "Q4_K_M"], {FILES[0], FILES[1], b"m-Q4_K_S.gguf", b"mmproj-F16.gguf"}),
        (["Q4_K"], set()),
        (["BF16"], set()),
    ],
)
def test_what_is_chosen(wanted: list[str], chosen: set[bytes]) -> None:
    assert choose_quants(FILES, wanted) == chosen
    assert bool(missing_quants(FILES, wanted)) == (not chosen)


def test_projectors_of_unknown_precision_all_come() -> None:
    paths = [b"a-Q8_0.gguf", b"mmproj-model.gguf", b"other/mmproj.gguf"]
    assert choose_quants(paths, ["Q8_0"]) == set(paths)


def test_a_wrong_name_lists_what_there_is() -> None:
    sizes = dict.fromkeys(FILES, 1)
    with pytest.raises(QuantNotFound, match="no GGUF file is Q5_K_M, q2_k") as caught:
        select(sizes, Settings(quants=("Q5_K_M", "Q8_0", "q2_k")))
    assert caught.value.hint == "there are Q4_K_M, Q4_K_S, Q8_0, UD-Q4_K_XL"
    with pytest.raises(QuantNotFound) as caught:
        select({b"model.safetensors": 1}, Settings(quants=("Q4_K_M",)))
    assert "no GGUF files" in caught.value.hint


def test_every_rule_has_to_agree() -> None:
    sizes = {b"a/m-Q8_0.gguf": 10, b"b/m-Q8_0.gguf": 11, b"a/m-Q4_0.gguf": 5, b"c/m-Q8_0.gguf": 10}
    assert select(sizes, Settings(quants=("q8_0",), max_size=10, exclude=("c/*",))) == {b"a/m-Q8_0.gguf"}
    assert select(sizes, Settings(max_size=0)) == frozenset()
    assert select(sizes, Settings()) == frozenset(sizes)


def test_quants_among() -> None:
    assert quants_among(FILES) == ("Q4_K_M", "Q4_K_S", "Q8_0", "UD-Q4_K_XL")
