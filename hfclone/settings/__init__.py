"""What the user chose: flags over environment over defaults, parsed once. The only reader of ``os.environ``.

``table`` declares every setting; ``layers`` are the sources, ``values`` reads one value, ``reading``
makes ``Settings`` (``chosen``) of them, ``whom`` says who is asked.
"""

from hfclone.settings.chosen import Fetcher, Progress, Proxies, Settings, Verbosity
from hfclone.settings.layers import Layer
from hfclone.settings.narrowing import narrowed
from hfclone.settings.reading import read_settings
from hfclone.settings.table import VARIABLES, Variable
from hfclone.settings.whom import KNOWN_MIRRORS, endpoints_of

__all__ = [
    "KNOWN_MIRRORS",
    "VARIABLES",
    "Fetcher",
    "Layer",
    "Progress",
    "Proxies",
    "Settings",
    "Variable",
    "Verbosity",
    "endpoints_of",
    "narrowed",
    "read_settings",
]
