"""What passes over the line before the first byte of a large object: on a long line each round trip is felt."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.command import Command
from tests.hub import Hub, Lfs

CONTENT = {"config.json": b"{}", "README.md": b"of a model\n" * 200, "w.bin": Lfs(5_000_000)}


def test_five_requests_lead_to_the_first_byte(hub: Hub, hfclone: Command, tmp_path: Path) -> None:
    """With a new connection for the API, for git and for the CDN: eight round trips over http."""
    hub.repo("acme/one", CONTENT)
    assert hfclone("clone", "acme/one", tmp_path / "one").code == 0
    asked = [f"{entry.kind} {entry.method} {entry.path.rpartition('/')[2]}" for entry in hub.log.entries]
    assert asked[:4] == ["api GET one", "git GET refs", "git POST git-upload-pack", "batch POST batch"]
    assert {entry.kind for entry in hub.log.entries[4:]} == {"cdn"}
