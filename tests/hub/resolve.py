"""Files by URL: resolve, raw, resolve-cache, and the CDN that LFS files are redirected to."""

from __future__ import annotations

import hashlib
from urllib.parse import quote, unquote, unquote_to_bytes

from .access import error, page_not_found
from .blobs import Row
from .messages import FileBody, Request, Response, redirect, text, with_ranges
from .revisions import commit_for, file_at, no_entry
from .routes import PLURAL, Route
from .site import PREFIX, Hosted, Manners, Site

TYPES = {single: plural for plural, single in PLURAL.items()}


def serve_file(request: Request, route: Route, hosted: Hosted, site: Site, manners: Manners, cdn_url: str) -> Response:
    """Answer resolve and raw: 307 for a regular file, 302 for an LFS file, bytes for raw."""
    if request.method not in ("GET", "HEAD"):
        return error(405, "", "Method not allowed")
    commit = commit_for(hosted, route.args[0], manners)
    if isinstance(commit, Response):
        return commit
    row = file_at(hosted.repo, commit, route.args[1:])
    if row is None:
        return no_entry(commit)
    if route.kind == "raw":
        content = hosted.repo.blobs.read(row.oid)
        return Response(200, content, {"X-Repo-Commit": commit, "Content-Type": "text/plain; charset=utf-8"})
    if row.lfs:
        request.oid = row.lfs[0]
        if manners.resolve_bytes:
            return _direct(request, hosted, row, commit, manners)
        return _elsewhere(hosted, row, commit, site, cdn_url)
    if not manners.resolve_cache:
        return _plain(request, hosted, row, commit, manners)
    return redirect(307, _cache_url(route, hosted, row, commit), {"X-Repo-Commit": commit, **_linked(row)})


def serve_cache(request: Request, route: Route, hosted: Hosted, manners: Manners) -> Response:
    """Answer the URL that a regular file was redirected to; its query must be as it was given."""
    if not route.args:
        return page_not_found()
    commit, path = route.args[0], route.args[1:]
    row = file_at(hosted.repo, commit, path) if hosted.repo.commit_of(commit) == commit else None
    if row is None or not request.query.endswith(f"&etag={quote(_etag(row.oid), safe='')}"):
        return page_not_found()
    origin = unquote(request.query.partition("=")[0])
    if not origin.startswith("/") or not origin.endswith(unquote("/".join(path))):
        return page_not_found()
    return _plain(request, hosted, row, commit, manners)


def serve_cdn(request: Request, site: Site) -> Response:
    """Answer as the CDN does: signature or nothing, and no second way of proving oneself."""
    if "authorization" in request.headers:
        why = "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string "
        body = (
            f"<Error><Code>InvalidArgument</Code><Message>{why}parameter or the Authorization header</Message></Error>"
        )
        return text(400, body, {"Content-Type": "application/xml"})
    if request.method == "HEAD" and not site.cdn_head:
        return text(403, "", {"Content-Type": "application/xml"})
    if request.method not in ("GET", "HEAD"):
        return text(405, "method not allowed")
    refused = site.refusal(request)
    if refused is not None:
        return refused
    _, key, oid = request.path.strip("/").split("/")[-3:]
    hosted = site.by_key(key)
    if hosted is None or not hosted.repo.has(oid):
        return text(404, "<Error><Code>NoSuchKey</Code></Error>", {"Content-Type": "application/xml"})
    opaque = hashlib.md5(oid.encode(), usedforsecurity=False).hexdigest()  # the ETag of a store, not of the content
    return with_ranges(request, _object(hosted, oid), {"ETag": _etag(f"{opaque}-3")})


def _direct(request: Request, hosted: Hosted, row: Row, commit: str, manners: Manners) -> Response:
    oid = request.oid
    if not hosted.repo.has(oid):
        return no_entry(commit)
    headers = {"X-Repo-Commit": commit, **_linked(row), "ETag": _etag(oid) if manners.quoted_etag else oid}
    return _framed(with_ranges(request, _object(hosted, oid), headers), manners)


def _elsewhere(hosted: Hosted, row: Row, commit: str, site: Site, cdn_url: str) -> Response:
    oid = row.lfs[0] if row.lfs else ""
    name = row.name.rpartition("/")[2]
    api = f"{site.hub_url}/api/{TYPES[hosted.repo_type]}/{hosted.repo_id}/xet-read-token/{commit}"
    extra = {"Accept-Ranges": "bytes", "Link": f'<{api}>; rel="xet-auth"', "Vary": "Origin, Accept"}
    location = site.sign(hosted, oid, origin=cdn_url, filename=name)
    return redirect(302, location, {"X-Repo-Commit": commit, **_linked(row), **extra})


def _linked(row: Row) -> dict[str, str]:
    if row.lfs is None:
        return {}
    return {"X-Linked-Size": str(row.lfs[1]), "X-Linked-ETag": _etag(row.lfs[0])}


def _plain(request: Request, hosted: Hosted, row: Row, commit: str, manners: Manners) -> Response:
    name = quote(row.path.rpartition(b"/")[2])
    headers = {
        "X-Repo-Commit": commit,
        "ETag": _etag(row.oid) if manners.quoted_etag else row.oid,
        "Content-Disposition": f"inline; filename*=UTF-8''{name}",
        "Content-Security-Policy": "default-src none; sandbox",
    }
    return _framed(with_ranges(request, hosted.repo.blobs.read(row.oid), headers), manners)


def _framed(response: Response, manners: Manners) -> Response:
    if not manners.content_length:
        response.length = None
    return response


def _cache_url(route: Route, hosted: Hosted, row: Row, commit: str) -> str:
    path = "/".join(quote(unquote_to_bytes(segment), safe="") for segment in route.args[1:])
    origin = f"/{PREFIX[hosted.repo_type]}{hosted.repo_id}/resolve/{unquote(route.args[0])}/".encode() + row.path
    query = f"{quote(origin, safe='')}=&etag={quote(_etag(row.oid), safe='')}"
    return f"/api/resolve-cache/{TYPES[hosted.repo_type]}/{hosted.repo_id}/{commit}/{path}?{query}"


def _object(hosted: Hosted, oid: str) -> FileBody:
    path = hosted.repo.object_path(oid)
    return FileBody(path, 0, path.stat().st_size)


def _etag(value: str) -> str:
    return f'"{value}"'
