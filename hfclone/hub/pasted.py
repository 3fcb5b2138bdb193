"""What people paste for a repo: its name, or the URL of a page. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from urllib.parse import urlsplit

from hfclone.errors import BadRepoSpec
from hfclone.hub.huggingface import read_hf_uri
from hfclone.hub.known import KNOWN_HUBS, KnownHub, site_at
from hfclone.names import RepoSpec, RepoType, check_revision, parse_name
from hfclone.wording import phrase

__all__ = ["parse_repo_spec"]


def parse_repo_spec(
    text: str, *, repo_type: RepoType | None = None, revision: str | None = None, hubs: Iterable[KnownHub] = KNOWN_HUBS
) -> RepoSpec:
    """Read what people paste: ``gpt2``, ``org/name@rev``, ``datasets/org/name``, ``hf://...``, a page's URL.

    ``repo_type`` and ``revision`` are what was said beside it; they must not contradict it.

    Raises:
        BadRepoSpec: it names no repo.
    """
    given = text.strip()
    if _begins_with_host(given, hubs):
        given = f"https://{given}"
    spec = _from_url(given, hubs) if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", given) else parse_name(given)
    if repo_type is not None and repo_type is not spec.repo.repo_type:
        if spec.repo.repo_type is not RepoType.MODEL or spec.site:
            raise BadRepoSpec(given, phrase("other-repo-type", kind=spec.repo.repo_type.value, said=repo_type.value))
        spec = replace(spec, repo=replace(spec.repo, repo_type=repo_type))
    if revision is not None:
        if spec.revision not in (None, revision):
            raise BadRepoSpec(given, phrase("other-revision", revision=spec.revision, said=revision))
        spec = replace(spec, revision=check_revision(revision, given))
    return spec


def _begins_with_host(given: str, hubs: Iterable[KnownHub]) -> bool:
    """Whether it is a page that was copied without the scheme; no account is called as a hub's host is."""
    host, slash, _ = given.partition("/")
    return bool(slash) and any(host.removeprefix("www.") in (*hub.names, *hub.mirrors) for hub in hubs)


def _from_url(given: str, hubs: Iterable[KnownHub]) -> RepoSpec:
    """``hf://...``, ``https://host/...`` or ``http://host/...``."""
    try:
        url = urlsplit(given)
    except ValueError:  # brackets that hold no IPv6 address, and the like
        raise BadRepoSpec(given, phrase("no-url")) from None
    if url.scheme.lower() == "hf":
        return read_hf_uri(given)
    if url.scheme.lower() not in ("http", "https") or not url.hostname:
        raise BadRepoSpec(given, phrase("no-scheme-of-hubs", scheme=url.scheme))
    if "@" in url.netloc:
        raise BadRepoSpec(phrase("the-url"), phrase("holds-secret"))
    site = f"{url.scheme.lower()}://{url.netloc}"
    return replace(site_at(site, hubs).read_page(url.path, given), site=site)
