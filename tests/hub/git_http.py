"""Git over smart HTTP, by ``git upload-pack --stateless-rpc``."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from .messages import PIECE, Request, Response, text
from .repos import git_env
from .routes import Route
from .site import Hosted, Manners

NO_CACHE = {"Cache-Control": "no-cache, max-age=0, must-revalidate", "Pragma": "no-cache"}


def serve_git(request: Request, route: Route, hosted: Hosted, manners: Manners) -> Response:
    """Answer a reference advertisement or a fetch; pushes are refused."""
    service = request.arg("service") if route.verb == "info/refs" else route.verb
    if service == "git-receive-pack":
        return text(403, "this hub is for reading", NO_CACHE)
    if service != "git-upload-pack":
        return text(400, "please upgrade your git client", NO_CACHE)
    protocol = request.headers.get("git-protocol", "") if manners.protocol_v2 else ""
    command = _command(manners)
    if route.verb == "info/refs":
        out = _pieces([*command, "--http-backend-info-refs", str(hosted.repo.git_dir)], protocol, b"")
        first = b"" if "version=2" in protocol else b"001e# service=git-upload-pack\n0000"
        return _reply("advertisement", first + b"".join(out))
    if request.headers.get("content-type") != "application/x-git-upload-pack-request":
        return text(415, "unsupported media type", NO_CACHE)
    return _reply("result", _pieces([*command, str(hosted.repo.git_dir)], protocol, request.body))


def _reply(what: str, body: bytes | Iterator[bytes]) -> Response:
    return Response(200, body, {"Content-Type": f"application/x-git-upload-pack-{what}", **NO_CACHE})


def _command(manners: Manners) -> list[str]:
    return [
        "git",
        *("-c", f"uploadpack.allowFilter={str(manners.allow_filter).lower()}"),
        *("-c", f"uploadpack.allowAnySHA1InWant={str(manners.allow_any_sha).lower()}"),
        *("upload-pack", "--stateless-rpc"),
    ]


def _pieces(command: list[str], protocol: str, stdin: bytes) -> Iterator[bytes]:
    env = git_env()
    if protocol:
        env["GIT_PROTOCOL"] = protocol
    with tempfile.TemporaryFile() as wants:  # a file, not a pipe: nothing can wait for anything
        wants.write(stdin)
        wants.seek(0)
        process = subprocess.Popen(
            command, stdin=wants, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=env, cwd=Path(command[-1])
        )
    try:
        while process.stdout is not None and (piece := process.stdout.read1(PIECE)):  # type: ignore[attr-defined]
            yield piece
    finally:
        process.kill()
        process.communicate()
