"""A sample hub on this machine with a poor mirror before it, and a real run of hfclone against them.

What ``scripts/try`` does without arguments. The exit code is hfclone's.
"""

from __future__ import annotations

import json
import math
import os
import random
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.hub import Hub, LfsBytes, mirror
from tests.hub.server import Front
from tests.hub.streams import ResetAfter, Throttle

REPO = "acme/tiny-llm"
MB = 1_000_000
HIDDEN, INNER, LAYERS, VOCAB, SHARDS = 512, 1408, 6, 8000, 3
MIRROR_RATE, HUB_RATE = 7 * MB, 2 * MB
"""Bytes a second, so that a run takes long enough to be watched, and to be stopped with Ctrl-C."""


def main(dest: Path) -> int:
    """Clone from the sample hub into ``dest``; returns hfclone's exit code."""
    print(f"Making a sample hub on 127.0.0.1 with {REPO} ...", flush=True)
    with sample_hub() as (hub, front):
        keep_origin(dest, hub)
        args = [REPO, os.fspath(dest), "--mirror", front.url, "--endpoint", hub.url]
        print(
            f"  hub     {hub.url}: git, API, LFS, files from a CDN; {HUB_RATE // MB} MB/s\n"
            f"  mirror  {front.url}: files alone, no git; {MIRROR_RATE // MB} MB/s, and it cuts connections\n"
            f"\n$ {shlex.join([shown(program()[0]), *program()[1:], *args])}",
            flush=True,
        )
        code = run([*program(), *args])
        print(f"\nhfclone ended with exit code {code}. {told_by_log(hub)}")
    print_ending(dest, code)
    return code


def program() -> list[str]:
    """The command ``hfclone`` of this environment; through Python where it is not installed as one."""
    command = Path(sys.executable).with_name("hfclone")
    return [os.fspath(command)] if command.exists() else [sys.executable, "-m", "hfclone"]


def run(command: list[str]) -> int:
    """Run ``command`` here; Ctrl-C is for it alone, SIGTERM is passed on."""
    process = subprocess.Popen(command, env=environment())
    signal.signal(signal.SIGINT, lambda *_: None)
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    code = process.wait()
    return code if code >= 0 else 128 - code


def environment() -> dict[str, str]:
    """This environment without what is meant for the real hub: its token must not come here, a proxy cannot."""
    left_out = ("http_proxy", "https_proxy", "all_proxy", "hf_endpoint", "hf_token", "hugging_face_hub_token")
    kept = {
        name: value
        for name, value in os.environ.items()
        if name.lower() not in left_out and not name.startswith("HFCLONE_")
    }
    return {**kept, "HF_TOKEN_PATH": os.devnull}


def keep_origin(dest: Path, hub: Hub) -> None:
    """A hub keeps its address; the sample hub gets a new port each time, so a checkout of it is told."""
    git = ["git", "-C", os.fspath(dest)]
    get_url = [*git, "remote", "get-url", "origin"]
    if (dest / ".git").is_dir() and subprocess.run(get_url, capture_output=True, check=False).stdout:
        subprocess.run([*git, "remote", "set-url", "origin", f"{hub.url}/{REPO}"], check=True)


def told_by_log(hub: Hub) -> str:
    """What the servers saw: the other side of the report."""
    by_mirror = hub.log.bytes_sent(listener="mirror") / MB
    by_hub = (hub.log.bytes_sent(listener="hub") + hub.log.bytes_sent(listener="cdn")) / MB
    return f"By the servers' logs, the mirror sent {by_mirror:.1f} MB, the hub and its CDN {by_hub:.1f} MB."


def print_ending(dest: Path, code: int) -> None:
    """Where the checkout is, what git says of it, and how to go on."""
    print(f"The checkout: {dest.resolve()}")
    if code == 0:
        print(f"\n$ git -C {dest} status", flush=True)
        subprocess.run(["git", "-C", os.fspath(dest), "status"], check=False)
    print(
        "\nRun scripts/try again: it goes on from what is on disk (stop it with Ctrl-C, or delete a file).\n"
        f"Begin anew: rm -rf {dest}\n"
        "A real repo: scripts/try ORG/NAME [DIR] [--mirror hf-mirror.com]"
    )


def shown(path: str) -> str:
    """A path as one types it here."""
    here = f"{Path.cwd()}{os.sep}"
    return path.removeprefix(here)


# --- the hub -----------------------------------------------------------------------------------


@contextmanager
def sample_hub() -> Iterator[tuple[Hub, Front]]:
    """The hub with its repo, and a mirror that has no git, sends bytes in place of redirects, and cuts connections."""
    with Hub() as hub:
        hub.repo(REPO, files())
        hub.faults.add(Throttle(total=HUB_RATE), on="cdn")
        front = hub.mirror("mirror", mirror.olah_proxy())
        front.faults.add(Throttle(total=MIRROR_RATE), kind="resolve")
        front.faults.add(ResetAfter(2 * MB, 9 * MB, seed=1), kind="resolve", probability=0.5, times=6)
        yield hub, front


def files() -> dict[str, str | LfsBytes]:
    """A small language model as such repos look; the same bytes on every run."""
    shapes = tensors()
    shards = [dict(list(shapes.items())[start::SHARDS]) for start in range(SHARDS)]
    names = [f"model-{number:05}-of-{SHARDS:05}.safetensors" for number in range(1, SHARDS + 1)]
    weight_map = {tensor: name for name, shard in zip(names, shards, strict=True) for tensor in shard}
    size = sum(2 * math.prod(shape) for shape in shapes.values())
    return {
        "README.md": f"---\nlicense: apache-2.0\nlibrary_name: transformers\n---\n\n# {REPO}\n\nRandom weights.\n",
        "config.json": to_json(config()),
        "generation_config.json": to_json({"bos_token_id": 1, "eos_token_id": 2}),
        "model.safetensors.index.json": to_json({"metadata": {"total_size": size}, "weight_map": weight_map}),
        "tokenizer.json": to_json(tokenizer()),
        "tokenizer_config.json": to_json({"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 2048}),
        **{name: LfsBytes(safetensors(shard, int(name[6:11]))) for name, shard in zip(names, shards, strict=True)},
    }


def config() -> dict[str, object]:
    """What transformers would read."""
    return {
        "architectures": ["LlamaForCausalLM"],
        "hidden_size": HIDDEN,
        "intermediate_size": INNER,
        "model_type": "llama",
        "num_attention_heads": 8,
        "num_hidden_layers": LAYERS,
        "torch_dtype": "float16",
        "vocab_size": VOCAB,
    }


def tensors() -> dict[str, tuple[int, ...]]:
    """Names and shapes of the weights."""
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (VOCAB, HIDDEN)}
    for layer in range(LAYERS):
        at = f"model.layers.{layer}"
        shapes |= {f"{at}.self_attn.{name}_proj.weight": (HIDDEN, HIDDEN) for name in "qkvo"}
        shapes |= {f"{at}.mlp.{name}_proj.weight": (INNER, HIDDEN) for name in ("gate", "up")}
        shapes |= {f"{at}.mlp.down_proj.weight": (HIDDEN, INNER), f"{at}.input_layernorm.weight": (HIDDEN,)}
    return {**shapes, "model.norm.weight": (HIDDEN,), "lm_head.weight": (VOCAB, HIDDEN)}


def safetensors(shapes: Mapping[str, tuple[int, ...]], seed: int) -> bytes:
    """A file in the format safetensors: length of the header, header (JSON), the tensors' bytes (F16)."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    at = 0
    for name, shape in shapes.items():
        length = 2 * math.prod(shape)
        header[name] = {"dtype": "F16", "shape": shape, "data_offsets": [at, at + length]}
        at += length
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + random.Random(seed).randbytes(at)


def tokenizer() -> dict[str, object]:
    """A vocabulary of made-up syllables."""
    syllables = [a + b + c for a in "bcdfghjklmnpqrstvwxz" for b in "aeiou" for c in "bcdfghjklmnpqrstvwxz"]
    words = [f"{mark}{syllable}" for mark in ("", "▁", "##", "@@") for syllable in syllables]
    return {"version": "1.0", "model": {"type": "BPE", "vocab": {word: at for at, word in enumerate(words)}}}


def to_json(data: object) -> str:
    """Text as the hub's own tools write it."""
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
