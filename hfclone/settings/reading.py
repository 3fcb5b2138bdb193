"""From what was said to ``Settings``: parsed once, checked. The only reader of ``os.environ``."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from hfclone.endpoints import parse_endpoint
from hfclone.names import CacheLink, History, LfsStore, Token
from hfclone.settings.chosen import FIRST_ANSWER_SECONDS, Fetcher, Progress, Settings, Verbosity
from hfclone.settings.files import file_layer, user_file
from hfclone.settings.hf_paths import cache_at
from hfclone.settings.layers import Layer, Origin, Said, environment_layer, first_said
from hfclone.settings.measures import parse_duration, parse_size, parse_window
from hfclone.settings.proxies import proxies_of, with_certificates, with_proxies
from hfclone.settings.reuse import reused_places
from hfclone.settings.table import SECRETS, VARIABLES, Variable, variable
from hfclone.settings.values import ca_bundle, choice, connections, named, positive_duration, reuse_by, switch
from hfclone.settings.whom import endpoints, hub_and_mirrors

__all__ = ["FindProject", "inherited_names", "read_settings", "secret_names", "untraced", "what_was_said"]

FindProject = Callable[[Mapping[str, str]], Path | None]
"""The project's file of settings, found with an environment for git."""

_TOKEN_VARIABLES = (
    "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_OIDC_RESOURCE", "HUGGINGFACE_CO_STAGING", "COLAB_RELEASE_TAG",
)  # fmt: skip
"""What makes huggingface_hub find a token elsewhere than in its file, or that file elsewhere."""


def secret_names() -> AbstractSet[str]:
    """Variables that hold a secret of the user's: for no child of ours."""
    return frozenset(name for option in SECRETS for name in variable(option).name.split())


@contextmanager
def untraced() -> Iterator[None]:
    """Within, a git that is started in the process's own environment traces nothing.

    Why not for good: the environment may be a library's user's. Nothing is removed, since another thread of theirs may
    be reading.
    """
    before = {name: value for name, value in os.environ.items() if name.startswith("GIT_TRACE")}
    os.environ.update(dict.fromkeys(before, ""))
    try:
        yield
    finally:
        os.environ.update(before)


def inherited_names() -> AbstractSet[str]:
    """Names of the process's own environment: a child is born with them, whatever it is given."""
    return os.environ.keys()


def read_settings(
    flags: Mapping[str, Sequence[str]],
    *,
    verbosity: Verbosity = Verbosity.NORMAL,
    environ: Mapping[str, str] | None = None,
    project: FindProject = lambda _environ: None,
    user_agent: str = "hfclone",
) -> Settings:
    """Settings from ``flags`` (texts by option; absent or empty is "not given"), the environment and files.

    ``project`` finds the project's file, if there is one that may be read.

    Raises:
        BadOption: a value cannot be meant; names the flag, the variable or the key that said it.
        BadSettings: a file cannot be meant.
    """
    environment = dict(os.environ if environ is None else environ)
    said = first_said(_layers(flags, environment, project))
    settings = _checked(said)
    secrets = secret_names()
    children = {name: value for name, value in environment.items() if name not in secrets}
    return replace(
        settings,
        reuse=reused_places(said("--reuse"), cache_at(settings.cache_dir, environment)),
        verbosity=verbosity,
        environment=with_certificates(with_proxies(children, settings.proxies), settings.ca_bundle),
        user_agent=user_agent,
        may_find_token=_may_find_token(environment),
    )


def what_was_said(
    flags: Mapping[str, Sequence[str]],
    *,
    environ: Mapping[str, str] | None = None,
    project: FindProject = lambda _environ: None,
) -> tuple[tuple[Variable, Said], ...]:
    """Each setting as its source has it, unchecked; arguments and errors of files as ``read_settings``."""
    said = first_said(_layers(flags, os.environ if environ is None else environ, project))
    return tuple((row, said(row.option)) for row in VARIABLES)


def _layers(flags: Mapping[str, Sequence[str]], environ: Mapping[str, str], project: FindProject) -> tuple[Layer, ...]:
    """All sources, the strongest first. A file that was named stands for both of the others, and must be there."""
    given = {option: tuple(values) for option, values in flags.items() if values}
    said = (Layer(given), environment_layer(environ))
    named = first_said(said)("config-file").last
    if named:
        return (*said, file_layer(Path(named), Origin.USER))
    found, own = project(environ), user_file(environ)
    files = [(found, Origin.PROJECT)] if found is not None else []
    if own is not None and _is_there(own):
        files.append((own, Origin.USER))
    return (*said, *(file_layer(path, origin) for path, origin in files))


def _is_there(path: Path) -> bool:
    """Whether there is such a file, as far as we may know: the home may be another user's."""
    try:
        return path.exists()
    except OSError:
        return False


def _checked(said: Callable[[str], Said]) -> Settings:
    endpoint, mirrors = hub_and_mirrors(said("--endpoint"), said("--mirror"))
    give_up = said("--give-up-after")
    give_up_after = parse_duration(give_up.last, give_up.name) or None
    rpc, secret = said("--aria2-rpc"), said("aria2-rpc-secret")
    return Settings(
        mirrors=mirrors,
        endpoint=endpoint,
        only_mirrors=switch(said("--only-mirrors")),
        spare_hub=switch(said("--spare-hub")),
        trusted=endpoints(said("--trust-mirror")),
        fetcher=choice(Fetcher, said("--fetcher")),
        aria2_rpc=parse_endpoint(rpc.last, rpc.name) if rpc.values else "",
        aria2_secret=Token(secret.last) if secret.values else None,
        connections=connections(said("--connections")),
        give_up_after=give_up_after,
        first_answer_within=give_up_after if give_up.name else FIRST_ANSWER_SECONDS,
        stall_after=positive_duration(said("--stall-after")),
        limit_rate=parse_size(said("--limit-rate").last, said("--limit-rate").name) or None,
        window=parse_window(said("--window").last, said("--window").name) if said("--window").values else None,
        history=choice(History, said("--history")),
        lfs_store=choice(LfsStore, said("--lfs-store")),
        reuse_by=reuse_by(said("--reuse-by")),
        cache_dir=said("--cache-dir").last,
        cache_link=choice(CacheLink, said("--cache-link")),
        backup=switch(said("--backup")),
        include=said("--include").values,
        exclude=said("--exclude").values,
        quants=named(said("--quant")),
        max_size=parse_size(said("--max-size").last, said("--max-size").name) if said("--max-size").values else None,
        progress=choice(Progress, said("--progress")),
        token=Token(said("token").last) if said("token").values else None,
        proxies=proxies_of(said),
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
        return "$" in file or "%" in file or _may_say_something(Path(file).expanduser())
    except (OSError, RuntimeError, ValueError):
        return True


def _may_say_something(file: Path) -> bool:
    """Not where it is absent, empty, or the null device, by which a user says that there is none."""
    if not file.exists() or file.samefile(os.devnull):
        return False
    return not file.is_file() or file.stat().st_size > 0
