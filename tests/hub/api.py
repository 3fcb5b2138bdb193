"""The JSON API: repo info, tree, refs, paths-info, commits."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import parse_qs, unquote_to_bytes, urlencode

from .access import bad_token, error, page_not_found
from .blobs import Row
from .messages import Request, Response, as_json
from .revisions import commit_for, no_entry
from .routes import Route
from .site import Hosted, Manners, Site

PATHS_LIMIT = 1000


def serve_general(request: Request, route: Route, site: Site) -> Response:
    """Answer what is about no repo: whoami, and 404 for the rest."""
    if refused := bad_token(site, request):
        return refused
    if route.verb != "whoami-v2":
        return page_not_found()
    if not request.token:
        return error(401, "", "Invalid username or password.")
    return as_json({"type": "user", "name": "tester", "auth": {"type": "access_token"}, "orgs": []})


def serve_api(request: Request, route: Route, hosted: Hosted, site: Site, manners: Manners) -> Response:
    """Answer about a repo."""
    match route.verb:
        case "refs":
            return as_json(_refs(hosted, prs=request.arg("include_prs") == "1"))
        case "auth-check":
            return as_json({"ok": True})
        case "info" | "revision" | "tree" | "paths-info" | "commits":
            commit = commit_for(hosted, route.args[0] if route.args else "main", manners)
        case _:
            return page_not_found()
    if isinstance(commit, Response):
        return commit
    match route.verb:
        case "tree":
            return _tree(request, route, hosted, commit, site, manners)
        case "paths-info":
            return _paths_info(request, hosted, commit)
        case "commits":
            return _paged(request, _commits(hosted, commit), site, manners)
        case _:
            return as_json(_info(request, hosted, commit, manners))


def _info(request: Request, hosted: Hosted, commit: str, manners: Manners) -> dict[str, Any]:
    blobs = manners.blobs and request.arg("blobs").lower() in ("true", "1")
    asked = {value for name, value in request.args() if name in ("expand", "expand[]")}
    rows = hosted.repo.rows(commit) if not asked or "siblings" in asked else []
    info = {
        "_id": hosted.key,
        "id": hosted.repo_id,
        **({"modelId": hosted.repo_id} if hosted.repo_type == "model" else {}),
        "author": hosted.repo_id.partition("/")[0] if "/" in hosted.repo_id else None,
        "sha": commit,
        "private": hosted.private,
        "gated": hosted.gated or False,
        "disabled": hosted.disabled,
        "lastModified": "2023-11-14T22:13:20.000Z",
        "createdAt": "2023-11-14T22:13:20.000Z",
        "tags": [],
        "downloads": 0,
        "likes": 0,
        "siblings": [_sibling(row, blobs=blobs) for row in rows if not row.is_tree],
    }
    return {name: value for name, value in info.items() if not asked or name in asked | {"_id", "id"}}


def _sibling(row: Row, *, blobs: bool) -> dict[str, Any]:
    sibling: dict[str, Any] = {"rfilename": row.name}
    if blobs:
        sibling |= {"size": row.real_size, "blobId": row.oid}
        if row.lfs:
            sibling["lfs"] = {"sha256": row.lfs[0], "size": row.lfs[1], "pointerSize": row.size}
    return sibling


def _tree(request: Request, route: Route, hosted: Hosted, commit: str, site: Site, manners: Manners) -> Response:
    folder = unquote_to_bytes("/".join(route.args[1:])).strip(b"/")
    rows = hosted.repo.rows(commit)
    if folder and not any(row.is_tree and row.path == folder for row in rows):
        return no_entry(commit)
    inside = [row for row in rows if not folder or row.path.startswith(folder + b"/")]
    if request.arg("recursive").lower() not in ("true", "1"):
        depth = folder.count(b"/") + 1 if folder else 0
        inside = [row for row in inside if row.path.count(b"/") == depth]
    expand = request.arg("expand").lower() in ("true", "1")
    response = _paged(request, [_entry(row, expand=expand) for row in inside], site, manners)
    response.headers["X-Repo-Commit"] = commit
    return response


def _entry(row: Row, *, expand: bool = False) -> dict[str, Any]:
    kind = "directory" if row.is_tree else "file"
    entry: dict[str, Any] = {"type": kind, "oid": row.oid, "size": row.real_size, "path": row.name}
    if row.lfs:
        entry["lfs"] = {"oid": row.lfs[0], "size": row.lfs[1], "pointerSize": row.size}
    if expand:
        entry["lastCommit"] = {"id": "0" * 40, "title": "update", "date": "2023-11-14T22:13:20.000Z"}
    return entry


def _paged(request: Request, items: list[dict[str, Any]], site: Site, manners: Manners) -> Response:
    fields = dict(request.args())
    limit = min(int(fields.get("limit") or manners.page_size), manners.page_size)
    try:
        start = int(json.loads(base64.urlsafe_b64decode(fields["cursor"]))["at"]) if "cursor" in fields else 0
    except (ValueError, KeyError, TypeError):
        return error(400, "", "Invalid cursor")
    headers = {"X-Total-Count": str(len(items))} if "/commits/" in request.path else {}
    if start + limit < len(items):
        cursor = base64.urlsafe_b64encode(json.dumps({"at": start + limit}).encode()).decode()
        fields |= {"limit": str(limit), "cursor": cursor}
        origin = manners.link_origin or site.hub_url
        headers["Link"] = f'<{origin}{request.path}?{urlencode(fields)}>; rel="next"'
    return as_json(items[start : start + limit], headers)


def _refs(hosted: Hosted, *, prs: bool) -> dict[str, Any]:
    found: dict[str, list[dict[str, str]]] = {"branches": [], "converts": [], "tags": []}
    prefixes = {"refs/heads/": "branches", "refs/convert/": "converts", "refs/tags/": "tags"}
    if prs:
        found["pullRequests"] = []
        prefixes["refs/pr/"] = "pullRequests"
    for ref, commit in hosted.repo.refs().items():
        for prefix, key in prefixes.items():
            if ref.startswith(prefix):
                name = ref if key == "pullRequests" else ref.removeprefix(prefix)
                found[key].append({"name": name, "ref": ref, "targetCommit": commit})
    return found


def _paths_info(request: Request, hosted: Hosted, commit: str) -> Response:
    if request.headers.get("content-type", "").startswith("application/json"):
        paths = list(json.loads(request.body or b"{}").get("paths", []))
    else:
        paths = parse_qs(request.body.decode(), keep_blank_values=True).get("paths", [])
    if len(paths) > PATHS_LIMIT:
        return error(413, "", f"at most {PATHS_LIMIT} paths")
    wanted = {path.strip("/").encode() for path in paths}
    return as_json([_entry(row) for row in hosted.repo.rows(commit) if row.path in wanted])


def _commits(hosted: Hosted, commit: str) -> list[dict[str, Any]]:
    out = hosted.repo.git("log", "--format=%H%x00%s%x00%cI", commit).decode()
    rows = (line.split("\0") for line in out.splitlines())
    return [
        {"id": row[0], "title": row[1], "message": "", "authors": [{"user": "tester"}], "date": row[2]} for row in rows
    ]
