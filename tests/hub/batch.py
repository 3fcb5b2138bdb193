"""The LFS batch API."""

from __future__ import annotations

import json
import re
from typing import Any

from .messages import Request, Response, as_json
from .site import Hosted, Manners, Site

MEDIA_TYPE = "application/vnd.git-lfs+json"
OID = re.compile(r"[0-9a-f]{64}")


def serve_batch(request: Request, hosted: Hosted, site: Site, manners: Manners, origin: str) -> Response:
    """Answer a request for many objects; each has a signed URL or an error of its own."""
    if request.method != "POST":
        return _error(404, "Not found")
    if MEDIA_TYPE not in request.headers.get("accept", ""):
        return _error(406, f"the response is {MEDIA_TYPE}")
    try:
        asked = json.loads(request.body)
        wanted = [(str(each["oid"]), int(each["size"])) for each in asked["objects"]]
    except (ValueError, KeyError, TypeError):
        return _error(422, "not a batch request")
    if asked.get("operation") != "download":
        return _error(403, "this hub is for reading")
    if asked.get("hash_algo", "sha256") != "sha256":
        return _error(409, "only sha256")
    if len(wanted) > manners.batch_limit:
        return _error(413, f"at most {manners.batch_limit} objects")
    rows = [_object(hosted, oid, size, site, manners, origin) for oid, size in wanted]
    return as_json({"transfer": "basic", "objects": rows}, {"Content-Type": f"{MEDIA_TYPE}; charset=utf-8"})


def _object(hosted: Hosted, oid: str, size: int, site: Site, manners: Manners, origin: str) -> dict[str, Any]:
    row: dict[str, Any] = {"oid": oid, "size": size}
    if not OID.fullmatch(oid) or size < 0:
        return {**row, "error": {"code": 422, "message": "not an object id or not a size"}}
    if not hosted.repo.has(oid):
        return {**row, "error": {"code": 404, "message": "Object does not exist"}}
    need = " ".join(name.lower() for name in manners.batch_header)
    action: dict[str, Any] = {"href": site.sign(hosted, oid, origin=origin, headers=need)}
    if manners.batch_header:
        action["header"] = dict(manners.batch_header)
    if manners.batch_expires_in is not None:
        action["expires_in"] = manners.batch_expires_in
    return {**row, "authenticated": True, "actions": {"download": action}}


def _error(status: int, message: str) -> Response:
    headers = {"Content-Type": f"{MEDIA_TYPE}; charset=utf-8", "X-Error-Message": message}
    return as_json({"message": message}, headers, status=status)
