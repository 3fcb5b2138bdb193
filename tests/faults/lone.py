"""A fetch in a process of its own, to be killed: ``python -m tests.faults.lone URL COMMIT DIRECTORY < pointers``.

Reads a line ``oid size path`` for each object; prints the code of each outcome. ``--bare`` takes away
what some platforms do not have. ``--connections N`` and ``--memory`` (prints the peak) are for measuring.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path


def main(url: str, commit: str, directory: str, *options: str) -> None:
    """Fetch."""
    if "--bare" in options:
        for name in ("pwrite", "preadv", "pread", "O_NOFOLLOW", "posix_fallocate"):
            if hasattr(os, name):
                delattr(os, name)
    from random import Random

    from hfclone.events import Failed
    from hfclone.files import hashing
    from hfclone.http import Web
    from hfclone.hub.endpoint import Endpoint, EndpointKind
    from hfclone.names import Pin, Repo
    from hfclone.partials import Partials
    from hfclone.pointer import Oid, Pointer
    from hfclone.retry import Clock, Patience
    from hfclone.transfer import Transfer, Wanted
    from hfclone.transfer.aria2 import Aria2
    from hfclone.transfer.health import EndpointHealth
    from hfclone.transfer.threads import ThreadTransfer

    assert "--bare" not in options or hashing._pwrite is None
    rows = [line.rstrip("\n").split(" ", 2) for line in sys.stdin]
    objects = [Pointer(Oid(oid), int(size)) for oid, size, _ in rows]
    paths = {Oid(oid): (path.encode(),) for oid, _, path in rows}
    clock = Clock(time.monotonic, time.sleep)
    health = EndpointHealth([Endpoint(url, EndpointKind.HUB)], clock.now, Random(1))
    many = int(options[options.index("--connections") + 1]) if "--connections" in options else 16
    transfer: Transfer = ThreadTransfer(
        lambda: Web(user_agent="lone"), health, Patience(60, 60, clock), (), clock, many,
        carrier=Aria2({"PATH": os.environ["PATH"]}) if "--aria2c" in options else None,
    )  # fmt: skip
    wanted = Wanted(Pin(Repo("acme/model"), commit), objects, paths, Partials(Path(directory)))
    failures = 0
    for outcome in transfer.fetch(wanted, lambda _event: None):
        if isinstance(outcome, Failed):
            failures += 1
            sys.stdout.write(f"{outcome.error.code} {outcome.error}\n")
        elif "--drop" in options:
            outcome.part.unlink()
    if "--memory" in options:
        import resource

        sys.stdout.write(f"peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6:.0f} MB\n")
    raise SystemExit(1 if failures else 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
