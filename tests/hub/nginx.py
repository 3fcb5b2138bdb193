"""A private nginx that serves a folder of objects with ranges, for benches that ask for more than Python can send."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.proxies import certificate

START_SECONDS = 10.0

CONFIG = """
daemon off;
master_process on;
worker_processes 2;
pid {folder}/pid;
error_log {folder}/error.log warn;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 100000;
    default_type application/octet-stream;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    ssl_certificate {folder}/cert.pem;
    ssl_certificate_key {folder}/key.pem;
    server {{
        listen 127.0.0.1:{plain};
        listen 127.0.0.1:{secure} ssl;
        root {root};
        {extra}
    }}
}}
"""


@dataclass(frozen=True, slots=True)
class Served:
    """Where a folder is served; ``certificate`` is the CA to trust for ``https``."""

    http: str
    https: str
    certificate: Path


def available() -> bool:
    """Whether nginx and openssl are installed."""
    return shutil.which("nginx") is not None and shutil.which("openssl") is not None


@contextlib.contextmanager
def serve_folder(root: Path, *, extra: str = "") -> Iterator[Served]:
    """Serve the files of ``root`` over http and https until the block ends; ``extra`` are directives of nginx's."""
    with tempfile.TemporaryDirectory(prefix="nginx-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # workers may run as another user when started by root
        trusted, _context = certificate(folder, "localhost")
        plain, secure = _free_ports(2)
        user = "user root;\n" if os.geteuid() == 0 else ""
        text = CONFIG.format(folder=folder, root=root, plain=plain, secure=secure, extra=extra)
        (folder / "conf").write_text(user + text)
        command = ["nginx", "-p", name, "-c", str(folder / "conf"), "-e", str(folder / "error.log")]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            _wait_for(plain, process)
            yield Served(f"http://127.0.0.1:{plain}", f"https://127.0.0.1:{secure}", trusted)
        finally:
            process.terminate()
            process.wait()


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    pause = threading.Event()
    for _ in range(int(START_SECONDS / 0.02)):
        if process.poll() is not None:
            raise RuntimeError("nginx did not start")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        pause.wait(0.02)  # nginx does not tell when it is ready
    raise TimeoutError("nginx does not listen")
