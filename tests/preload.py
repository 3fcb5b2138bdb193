"""Libraries in C that stand before the system's own in a program under test (``LD_PRELOAD``)."""

from __future__ import annotations

import subprocess
from pathlib import Path

__all__ = ["compiled"]


def compiled(name: str, folder: Path) -> Path:
    """``tests/NAME.c``, as a library in ``folder``."""
    library = folder / f"{name}.so"
    source = Path(__file__).with_name(f"{name}.c")
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)
    return library
