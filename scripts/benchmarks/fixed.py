"""Fetches a repo's objects by plain ranges over a fixed number of connections: what the line gives to a simple tool.

``python fixed.py HUB REPO DEST CONNECTIONS [MIRROR]``: one request to the tree API, one batch request, then ranges of
2 MB from a queue, each over a connection that is kept; what fails is asked for again. Nothing is ever cut short. With a
mirror, each of the two has so many connections.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import queue
import sys
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

STEP = 2_000_000
MEDIA_TYPE = "application/vnd.git-lfs+json"
PATIENCE = 15.0
ENOUGH = 2000


def main(hub: str, repo: str, dest: Path, connections: int, mirror: str = "") -> None:
    """Fetch all, and check it."""
    with urlopen(f"{hub}/api/models/{repo}/tree/main?recursive=true", timeout=60) as answer:
        rows = {row["lfs"]["oid"]: row for row in json.load(answer) if "lfs" in row}
    work: queue.Queue[tuple[str, int, int]] = queue.Queue()
    files = {}
    for oid, row in rows.items():
        path = dest / row["path"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
        files[oid] = path.open("r+b", buffering=0)
        for start in range(0, row["size"], STEP):
            work.put((oid, start, min(start + STEP, row["size"])))
    lock = threading.Lock()
    threads = []
    for base in filter(None, (hub, mirror)):
        hrefs = _hrefs(base, repo, rows)
        threads += [threading.Thread(target=_serve, args=(work, hrefs, files, lock)) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for oid, row in rows.items():
        if hashlib.sha256((dest / row["path"]).read_bytes()).hexdigest() != oid:
            sys.exit(f"{row['path']} is wrong")


def _hrefs(base: str, repo: str, rows: dict[str, dict[str, int]]) -> dict[str, str]:
    objects = [{"oid": oid, "size": row["size"]} for oid, row in rows.items()]
    body = json.dumps({"operation": "download", "transfers": ["basic"], "objects": objects}).encode()
    asked = Request(
        f"{base}/{repo}.git/info/lfs/objects/batch", body, {"Accept": MEDIA_TYPE, "Content-Type": MEDIA_TYPE}
    )
    with urlopen(asked, timeout=60) as answer:
        return {row["oid"]: row["actions"]["download"]["href"] for row in json.load(answer)["objects"]}


def _serve(work: queue.Queue, hrefs: dict[str, str], files: dict, lock: threading.Lock) -> None:  # type: ignore[type-arg]
    connection: http.client.HTTPConnection | None = None
    for _ in range(ENOUGH):
        try:
            oid, start, stop = work.get_nowait()
        except queue.Empty:
            return
        parts = urlsplit(hrefs[oid])
        try:
            if connection is None:
                connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=PATIENCE)
            connection.request("GET", f"{parts.path}?{parts.query}", headers={"Range": f"bytes={start}-{stop - 1}"})
            answer = connection.getresponse()
            if answer.status != 206:
                raise OSError(answer.status)
            while start < stop:
                piece = answer.read1(1 << 18)
                if not piece:
                    raise OSError("short")
                with lock:
                    files[oid].seek(start)
                    files[oid].write(piece)
                start += len(piece)
            answer.read()
        except (OSError, http.client.HTTPException):
            if connection is not None:
                connection.close()
            connection = None
            work.put((oid, start, stop))
            time.sleep(0.2)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]), *sys.argv[5:])
