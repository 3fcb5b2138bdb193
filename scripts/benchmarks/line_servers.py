"""The far side of a line: a hub, its CDN and a mirror with a CDN of its own, on addresses of their own.

``python -m scripts.benchmarks.line_servers FOLDER MB``: says on stdout where they are, as JSON, and ends with stdin.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.hub import Hub, Lfs
from tests.hub.site import Manners

from .line import CDN, HUB, MIRROR, MIRROR_CDN

REPO = "bench/repo"
SMALL = 20
SMALL_BYTES = 20_000
MB = 1_000_000


def main(folder: Path, megabytes: int) -> None:
    """20 objects of 20 kB and three large ones, ``megabytes`` in all."""
    left = megabytes * MB - SMALL * SMALL_BYTES
    sizes = (left // 2, left // 3, left - left // 2 - left // 3)
    files = {f"data/{n:02}.bin": Lfs(SMALL_BYTES, seed=100 + n) for n in range(SMALL)}
    files |= {f"model-{n}.safetensors": Lfs(size, seed=n) for n, size in enumerate(sizes, 1)}
    with Hub(folder, send_buffer=None, addresses=(HUB, CDN)) as hub:
        hub.limits.quota = dict.fromkeys(hub.limits.quota, 10**9)
        repo = hub.repo(REPO, {**files, "config.json": '{"a": 1}\n', "README.md": "# bench\n"})
        mirror = hub.mirror("mirror", Manners(own_cdn=True), (MIRROR, MIRROR_CDN))
        mirror.limits.quota = dict.fromkeys(mirror.limits.quota, 10**9)
        sums = {path: repo.put(content) for path, content in files.items()}
        said = {"hub": hub.url, "mirror": mirror.url, "commit": repo.commit, "sums": sums, "bytes": megabytes * MB}
        print(json.dumps(said), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
