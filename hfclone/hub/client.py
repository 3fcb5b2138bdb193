"""What hubs are asked of revisions, and what their errors mean.

In which words they are asked and answer is their site's (``site``); here is who is believed, and what HTTP says.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from http import HTTPStatus

from hfclone import errors
from hfclone.errors import HfcloneError
from hfclone.http import Answer, Authority, Web, wall_clock
from hfclone.hub.endpoint import Endpoint, EndpointKind, hub_first
from hfclone.hub.pasted import parse_repo_spec
from hfclone.hub.site import Asked, Files
from hfclone.names import Pin, Repo, RepoSpec, is_full_sha
from hfclone.retry import wait_asked
from hfclone.wording import phrase

__all__ = ["authority_for", "branches", "explain", "resolve", "why"]


def branches(
    repo: Repo, endpoints: Sequence[Endpoint], web: Web, authorities: Sequence[Authority]
) -> frozenset[str] | None:
    """The repo's branches, by the first endpoint that lists them; ``None`` where nobody does."""
    for endpoint in hub_first(endpoints):
        try:
            listed = web.exchange(str(endpoint), partial(_ask_branches, repo, endpoint, web, authorities))
        except HfcloneError:
            continue
        if listed is not None:
            return listed
    return None


def _ask_branches(repo: Repo, endpoint: Endpoint, web: Web, authorities: Sequence[Authority]) -> frozenset[str] | None:
    """What one endpoint says; ``None`` where it says nothing of branches."""
    api = endpoint.site.api
    if api is None:
        return None
    authority, url = authority_for(endpoint, authorities), api.branches_url(endpoint.url, repo)
    with web.ask(url, label=str(endpoint), authority=authority) as answer:
        return api.read_branches(answer.json()) if answer.status == 200 else None


def resolve(
    spec: RepoSpec, endpoints: Sequence[Endpoint], web: Web, authorities: Sequence[Authority]
) -> tuple[Pin, str]:
    """The commit that ``spec``'s revision is now, and who said so; a full commit need not be asked for.

    The hub is asked first: a mirror may be behind, or lie. One pass; trying again is patience's.

    Raises:
        RemoteError: the hub's answer is no; without a hub, that of a mirror.
        TransferError: the hub could not be reached, and no mirror told the commit; what a mirror said
            in place of that is the error's cause.
    """
    failures: list[HfcloneError] = []
    ordered = hub_first(endpoints)
    with_hub = ordered[0].kind is EndpointKind.HUB
    for endpoint in ordered:
        try:
            ask = partial(_ask_revision, spec, endpoint, web, authority_for(endpoint, authorities))
            return web.exchange(str(endpoint), ask), str(endpoint)
        except HfcloneError as error:
            failures.append(error)
            if endpoint.kind is EndpointKind.HUB and _is_final(error):
                break
    said_no = next((error for error in failures if _is_final(error)), None)
    if with_hub and isinstance(failures[0], errors.TransferError):
        raise failures[0] from said_no  # a mirror that says no may be behind: the hub's word is waited for
    silent = [error for error in failures if isinstance(error, errors.TransferError)]
    # Who asks for an hour's wait does not ask for those of others.
    raise said_no or min(silent, key=lambda error: wait_asked(error) or 0.0, default=failures[-1])


def _is_final(error: HfcloneError) -> bool:
    """Whether it is an answer about the repo. That somebody has no API says nothing, and a line comes back."""
    return isinstance(error, errors.RemoteError) and not isinstance(error, errors.NotServed)


def authority_for(endpoint: Endpoint, authorities: Sequence[Authority]) -> Authority | None:
    """The token for an endpoint, if the user named it as one to be trusted with it."""
    return next((a for a in authorities if a.url == endpoint.url), None)


def _ask_revision(spec: RepoSpec, endpoint: Endpoint, web: Web, authority: Authority | None) -> Pin:
    api = endpoint.site.api
    if api is None:
        raise errors.NotServed(phrase("this-service"), str(endpoint), HTTPStatus.NOT_FOUND)
    url = api.revision_url(endpoint.url, spec.repo, spec.revision)
    with web.ask(url, label=str(endpoint), authority=authority) as answer:
        if answer.status != 200:
            raise _in_its_own_words(explain(answer, endpoint, spec.repo, spec.revision, authority), endpoint)
        commit, repo_id = api.read_revision(answer.json())
    if not isinstance(commit, str) or not is_full_sha(commit):
        raise errors.NotTheObject(str(endpoint), phrase("no-commit-named"))
    is_hub = endpoint.kind is EndpointKind.HUB  # what a mirror calls it decides nothing
    return Pin(_name_now(spec.repo, repo_id) if is_hub else spec.repo, commit)


def _name_now(repo: Repo, repo_id: object) -> Repo:
    """The repo under the name that the API gives it: it may have been renamed or moved."""
    if not isinstance(repo_id, str) or repo_id == repo.repo_id:
        return repo
    try:
        named = parse_repo_spec(repo_id, repo_type=repo.repo_type)
    except errors.BadRepoSpec:
        return repo
    return named.repo if named.revision is None else repo


def why(pin: Pin, endpoint: Endpoint, files: Files, web: Web, authorities: Sequence[Authority]) -> HfcloneError | None:
    """Why ``endpoint``, which has ``files``, refuses those of ``pin``; ``None`` where it does not.

    Git tells no more than a status; a request for a file that every repo has tells gated from missing.
    """
    authority = authority_for(endpoint, authorities)
    url = files.url(endpoint.url, pin, b".gitattributes")

    def ask() -> HfcloneError | None:
        with web.ask(url, label=str(endpoint), authority=authority) as answer:
            if answer.status < 400:
                return None
            return _in_its_own_words(explain(answer, endpoint, pin.repo, pin.commit, authority), endpoint)

    return web.exchange(str(endpoint), ask)


def _in_its_own_words(error: HfcloneError, endpoint: Endpoint) -> HfcloneError:
    """The hub has an API: a no without its own words is a proxy's or a portal's on the way, and may pass."""
    if isinstance(error, errors.NotServed) and endpoint.kind is EndpointKind.HUB:
        return errors.ServerFault(str(endpoint), error.status)
    return error


def explain(
    answer: Answer, endpoint: Endpoint, repo: Repo, revision: str | None, authority: Authority | None
) -> HfcloneError:
    """What a status other than 200 means: in the hub's own words, else by the status alone."""
    label, status = str(endpoint), answer.status
    if status == 429:
        return errors.RateLimited(label, answer.retry_after(wall_clock()))
    asked = Asked(label, repo, revision, endpoint.page(repo), authority is not None)
    said = endpoint.site.explain(answer, asked)
    if said is not None:
        return said
    if status in (404, 405, 410, 501, 401, 403, 451):
        return errors.NotServed(phrase("this-service"), label, status)
    return errors.ServerFault(label, status, answer.retry_after(wall_clock()))
