"""Which hfclone this is. Imports nothing that takes time."""

from __future__ import annotations

__all__ = ["version", "version_line"]


def version_line() -> str:
    """What ``--version`` prints."""
    return f"hfclone {version()}"


def version() -> str:
    """The installed version; a checkout that was never installed has none."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    try:
        return installed("hfclone")
    except PackageNotFoundError:
        return "0+unknown"
