"""Who may see what, and the hub's way of refusing."""

from __future__ import annotations

from urllib.parse import quote

from .messages import Request, Response, as_json, redirect, text
from .routes import Route
from .site import PREFIX, Hosted, Site

REALM = 'Basic realm="Authentication required", charset="UTF-8"'
PAGE = "Sorry, we can't find the page you are looking for."
BAD_TOKEN = "Invalid credentials in Authorization header"


def admit(site: Site, request: Request, route: Route) -> Hosted | Response:
    """Return the repo that a request may use, or the answer that refuses or redirects it."""
    token = request.token
    if token and token not in site.tokens:
        return refuse(route, 401, "", BAD_TOKEN)
    new = site.renamed(route.repo_type, route.repo_id)
    if new is not None:
        return redirect(307, request.target.replace(quote(route.repo_id), quote(new), 1))
    hosted = site.find(route.repo_type, route.repo_id)
    if hosted is None or (hosted.private and token not in hosted.members):
        return refuse(route, 404 if token else 401, "RepoNotFound", "Repository not found")
    if hosted.disabled:
        return refuse(route, 403, "", "Access to this resource is disabled.")
    if hosted.gated and (route.kind != "api" or route.verb == "auth-check"):
        return _gate(hosted, token, route) or hosted
    return hosted


def bad_token(site: Site, request: Request) -> Response | None:
    """Return the 401 for a token that is not valid, which even public pages give."""
    if request.token and request.token not in site.tokens:
        return error(401, "", BAD_TOKEN)
    return None


def error(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> Response:
    """Answer as the hub's API does: a JSON error, with code and message in headers too."""
    named = {"X-Error-Code": code} if code else {}
    return as_json({"error": message}, {**named, "X-Error-Message": message, **(headers or {})}, status=status)


def page_not_found() -> Response:
    """Answer for a path that means nothing."""
    return text(404, f"<!doctype html><title>404</title><p>{PAGE}</p>", {"Content-Type": "text/html; charset=utf-8"})


def refuse(route: Route, status: int, code: str, message: str) -> Response:
    """Refuse in the tongue of the service: git and LFS clients need a challenge to send what they have."""
    headers = {"WWW-Authenticate": REALM} if status == 401 and route.kind in ("git", "batch") else {}
    if route.kind == "batch":
        challenge = {"LFS-Authenticate": 'Basic realm="Git LFS"'} if status == 401 else {}
        named = {"X-Error-Code": code} if code else {}
        kind = {"Content-Type": "application/vnd.git-lfs+json; charset=utf-8"}
        return as_json(
            {"message": message}, {**headers, **challenge, **named, "X-Error-Message": message, **kind}, status=status
        )
    if route.kind == "git":
        return text(status, message, {**headers, "X-Error-Code": code or "None", "X-Error-Message": message})
    return error(status, code, message, headers)


def _gate(hosted: Hosted, token: str, route: Route) -> Response | None:
    if token in hosted.approved:
        return None
    start = f"Access to {hosted.repo_type} {hosted.repo_id} is restricted"
    if not token:
        return refuse(route, 401, "GatedRepo", f"{start}. You must have access to it and be authenticated to "
                      "access it. Please log in.")  # fmt: skip
    page = f"https://huggingface.co/{PREFIX[hosted.repo_type]}{hosted.repo_id}"
    return refuse(route, 403, "GatedRepo", f"{start} and you are not in the authorized list. Visit {page} to ask for "
                  "access.")  # fmt: skip
