"""What the user chose: flags over environment over files over defaults, parsed once. The only reader of ``os.environ``.

``table`` declares every setting; ``layers`` are the sources, ``values`` reads one value, ``reading``
makes ``Settings`` (``chosen``) of them, ``files`` reads TOML, ``whom`` says who is asked, ``hf_paths``
where huggingface_hub keeps its things.
"""

from hfclone.settings.chosen import Fetcher, Progress, Proxies, Settings, Verbosity
from hfclone.settings.files import PROJECT_FILE, user_file
from hfclone.settings.hf_paths import has_cache_links, hub_cache
from hfclone.settings.layers import Layer, Origin, Said
from hfclone.settings.narrowing import narrowed
from hfclone.settings.proxies import without_password
from hfclone.settings.reading import inherited_names, read_settings, secret_names, untraced, what_was_said
from hfclone.settings.table import SECRETS, VARIABLES, Variable, Where
from hfclone.settings.whom import endpoints_of, hub_of

__all__ = [
    "PROJECT_FILE",
    "SECRETS",
    "VARIABLES",
    "Fetcher",
    "Layer",
    "Origin",
    "Progress",
    "Proxies",
    "Said",
    "Settings",
    "Variable",
    "Verbosity",
    "Where",
    "endpoints_of",
    "has_cache_links",
    "hub_cache",
    "hub_of",
    "inherited_names",
    "narrowed",
    "read_settings",
    "secret_names",
    "untraced",
    "user_file",
    "what_was_said",
    "without_password",
]
