"""From what was said to ``Settings``: parsed once, checked. The only reader of ``os.environ``."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from hfclone.measures import parse_duration, parse_size, parse_window
from hfclone.names import History, LfsStore, Token
from hfclone.settings.chosen import FIRST_ANSWER_SECONDS, Fetcher, Progress, Proxies, Settings, Verbosity
from hfclone.settings.layers import Layer, Said, environment_layer, first_said
from hfclone.settings.table import variable
from hfclone.settings.values import ca_bundle, choice, connections, positive_duration, switch
from hfclone.settings.whom import endpoints, hub_and_mirrors

__all__ = ["read_settings"]

_TOKEN_VARIABLES = (
    "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_OIDC_RESOURCE", "HUGGINGFACE_CO_STAGING", "COLAB_RELEASE_TAG",
)  # fmt: skip
"""What makes huggingface_hub find a token elsewhere than in its file, or that file elsewhere."""


def read_settings(
    flags: Mapping[str, Sequence[str]],
    *,
    verbosity: Verbosity = Verbosity.NORMAL,
    environ: Mapping[str, str] | None = None,
    user_agent: str = "hfclone",
) -> Settings:
    """Settings from ``flags`` (texts by option; absent or empty is "not given") and the environment.

    Raises:
        BadOption: a value cannot be meant; names the flag or the variable that said it.
    """
    environment = dict(os.environ if environ is None else environ)
    given = {option: tuple(values) for option, values in flags.items() if values}
    said = first_said((Layer(given), environment_layer(environment)))
    settings = _checked(said)
    secrets = variable("token").name.split()
    children = {name: value for name, value in environment.items() if name not in secrets}
    return replace(
        settings,
        verbosity=verbosity,
        environment=children,
        user_agent=user_agent,
        may_find_token=_may_find_token(environment),
    )


def _checked(said: Callable[[str], Said]) -> Settings:
    endpoint, mirrors = hub_and_mirrors(said("--endpoint"), said("--mirror"))
    give_up = said("--give-up-after")
    give_up_after = parse_duration(give_up.last, give_up.name) or None
    return Settings(
        mirrors=mirrors,
        endpoint=endpoint,
        only_mirrors=switch(said("--only-mirrors")),
        trusted=endpoints(said("--trust-mirror")),
        fetcher=choice(Fetcher, said("--fetcher")),
        connections=connections(said("--connections")),
        give_up_after=give_up_after,
        first_answer_within=give_up_after if give_up.name else FIRST_ANSWER_SECONDS,
        stall_after=positive_duration(said("--stall-after")),
        limit_rate=parse_size(said("--limit-rate").last, said("--limit-rate").name) or None,
        window=parse_window(said("--window").last, said("--window").name) if said("--window").values else None,
        history=choice(History, said("--history")),
        lfs_store=choice(LfsStore, said("--lfs-store")),
        backup=switch(said("--backup")),
        include=said("--include").values,
        exclude=said("--exclude").values,
        progress=choice(Progress, said("--progress")),
        token=Token(said("token").last) if said("token").values else None,
        proxies=Proxies(
            said("http-proxy").last or None,
            said("https-proxy").last or None,
            said("all-proxy").last or None,
            said("no-proxy").values,
        ),
        ca_bundle=ca_bundle(said("ca-bundle")),
    )


def _may_find_token(environ: Mapping[str, str]) -> bool:
    """Whether there is anything of what ``huggingface_hub.get_token`` looks at; in doubt there is.

    A variable, even an empty one; the file, where its constants place it; a notebook's secrets.
    """
    if "IPython" in sys.modules or any(name in environ for name in _TOKEN_VARIABLES):
        return True
    try:
        caches = environ.get("XDG_CACHE_HOME", str(Path("~/.cache").expanduser()))
        home = environ.get("HF_HOME", str(Path(caches, "huggingface")))
        file = environ.get("HF_TOKEN_PATH", str(Path(home, "token")))
        return "$" in file or "%" in file or Path(file).expanduser().exists()
    except (OSError, RuntimeError, ValueError):
        return True
