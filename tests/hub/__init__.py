"""A faithful Hugging Face hub for tests, with a CDN, mirrors, faults and a request log; standard library and git only.

Faults to give to ``hub.faults.add`` are in `answers` and `streams`, manners for ``hub.mirror`` in `mirror`.
"""

from .log import Entry, Log
from .repos import Executable, Lfs, LfsBytes, LivingRepo, Lost, Submodule, Symlink, pointer_text
from .server import Front, Hub
from .site import Hosted, Manners
from .wire import Outage

__all__ = [
    "Entry",
    "Executable",
    "Front",
    "Hosted",
    "Hub",
    "Lfs",
    "LfsBytes",
    "LivingRepo",
    "Log",
    "Lost",
    "Manners",
    "Outage",
    "Submodule",
    "Symlink",
    "pointer_text",
]
