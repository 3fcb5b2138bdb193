"""Choosing among large objects: ``--quant`` and ``--max-size``, with the commands that take them."""

from __future__ import annotations

import json

import pytest

from tests.e2e.command import Command, placed
from tests.hub import Hub, Lfs, LivingRepo

Q4 = {"m-Q4_K_M-00001-of-00002.gguf", "m-Q4_K_M-00002-of-00002.gguf"}
SIZES = {
    "m-Q4_K_M-00001-of-00002.gguf": 20_000,
    "m-Q4_K_M-00002-of-00002.gguf": 10_000,
    "sub/m-UD-Q2_K_XL.gguf": 9_000,
    "m-f16.gguf": 60_000,
    "mmproj-f16.gguf": 8_000,
    "mmproj-f32.gguf": 16_000,
    "imatrix.gguf": 3_000,
    "model.safetensors": 70_000,
}


@pytest.fixture
def zoo(hub: Hub) -> LivingRepo:
    """``acme/zoo``: a model in several quantisations."""
    files = {name: Lfs(size, seed=seed) for seed, (name, size) in enumerate(SIZES.items(), 20)}
    return hub.repo("acme/zoo", {"config.json": "{}\n", **files})


def test_one_quantisation(hub: Hub, zoo: LivingRepo, hfclone: Command) -> None:
    """Its shards and a projector are fetched, nothing else is asked for; another one later, by fetch and pull."""
    done = hfclone("acme/zoo", "--quant", "q4_k_m", "--progress", "json")
    assert done.code == 0, done.stderr
    dest = hfclone.cwd / "zoo"
    wanted = Q4 | {"mmproj-f16.gguf"}
    assert placed(dest) == wanted
    assert hub.log.bytes_sent(listener="cdn") == sum(SIZES[name] for name in wanted)
    assert done.event("report")["unselected"] == len(SIZES) - 3
    assert hfclone("verify", "zoo", "--quant", "q4_k_m").code == 0
    assert hfclone("verify", "zoo", "--quant", "f16").code == 5
    assert hfclone("fetch", "zoo", "--quant", "Q2_K_XL").code == 0
    assert placed(dest) == wanted | {"sub/m-UD-Q2_K_XL.gguf"}
    zoo.add_commit({"m-Q8_0.gguf": Lfs(30_000, seed=50)}, message="q8")
    assert hfclone("pull", "zoo", "--quant", "q8_0", "--max-size", "40k").code == 0
    assert placed(dest) >= {"m-Q8_0.gguf", *wanted}
    assert "m-f16.gguf" not in placed(dest)


def test_what_matches_nothing_is_said(hub: Hub, zoo: LivingRepo, hfclone: Command) -> None:
    done = hfclone("acme/zoo", "--include", "*.safetensor", "--progress", "json")
    assert done.code == 0
    assert done.event("warning")["code"] == "nothing-selected"
    assert placed(hfclone.cwd / "zoo") == set()
    assert hfclone("acme/zoo", "--quant", "").code == 2


def test_the_plan_and_the_list(hub: Hub, zoo: LivingRepo, hfclone: Command) -> None:
    """Say the same, and fetch no large object."""
    rules = ("--quant", "Q4_K_M", "--quant", "f16", "--max-size", "60k", "--exclude", "*00002-of*")
    plan = hfclone("acme/zoo", "--dry-run", "--progress", "json", *rules)
    paths = {path for part in plan.event("plan")["missing"] for path in part["paths"]}
    assert paths == {"m-Q4_K_M-00001-of-00002.gguf", "m-f16.gguf", "mmproj-f16.gguf"}
    listed = hfclone("ls", "acme/zoo", "--json", *rules)
    rows = [json.loads(line) for line in listed.stdout.splitlines()]
    assert {row["path"] for row in rows} == paths
    every = [json.loads(line) for line in hfclone("ls", "acme/zoo", "--json").stdout.splitlines()]
    assert {row["path"]: row["quant"] for row in every if row["quant"]} == {
        **dict.fromkeys(Q4, "Q4_K_M"),
        "sub/m-UD-Q2_K_XL.gguf": "UD-Q2_K_XL",
        "m-f16.gguf": "F16",
    }
    assert not hub.log.of(listener="cdn")
    assert zoo.commit


@pytest.mark.parametrize("command", [(), ("lock", "-o", "-")])
def test_a_wrong_name(hub: Hub, zoo: LivingRepo, hfclone: Command, command: tuple[str, ...]) -> None:
    """Is told with what there is, before anything large moves; nothing stands where a checkout would."""
    done = hfclone(*command, "acme/zoo", "--quant", "Q5_K_M", "--quant", "f16")
    assert (done.code, done.stdout) == (2, "")
    assert done.error == "no GGUF file is Q5_K_M"
    assert done.hint == "there are F16, Q4_K_M, UD-Q2_K_XL"
    assert not hub.log.of(listener="cdn")
    assert not (hfclone.cwd / "zoo" / "config.json").exists()
    assert zoo.commit


def test_max_size(hub: Hub, zoo: LivingRepo, hfclone: Command) -> None:
    """Also from the environment; a lock has chosen already, so that sync brings all of it."""
    env = {"HFCLONE_MAX_SIZE": "16k"}
    done = hfclone("acme/zoo", env=env)
    assert done.code == 0, done.stderr
    assert placed(hfclone.cwd / "zoo") == {name for name, size in SIZES.items() if size <= 16_000}
    assert hfclone("lock", "acme/zoo", "--max-size", "20k").code == 0
    assert hfclone("sync", "made", "--locked", env=env).code == 0
    assert placed(hfclone.cwd / "made" / "zoo") == {name for name, size in SIZES.items() if size <= 20_000}
    named = hfclone(f"{hub.url}/acme/zoo/blob/main/m-f16.gguf", "named", env=env)
    assert named.code == 0, named.stderr
    assert placed(hfclone.cwd / "named") == {"m-f16.gguf"}
    assert zoo.commit
