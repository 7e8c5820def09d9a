"""Serves the page's files, under a policy that lets the browser load nothing else."""

from importlib.resources import files

from fastapi import APIRouter, Response

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_TYPES = {"index.html": "text/html", "page.js": "text/javascript", "page.css": "text/css"}


def page_router() -> APIRouter:
    """Return the routes of the page."""
    router = APIRouter(include_in_schema=False)

    @router.get("/")
    def index() -> Response:
        return _file("index.html")

    @router.get("/page.js")
    def script() -> Response:
        return _file("page.js")

    @router.get("/page.css")
    def style() -> Response:
        return _file("page.css")

    _ = (index, script, style)
    return router


def _file(name: str) -> Response:
    content = files(__package__ or "").joinpath(name).read_text(encoding="utf-8")
    return Response(content, media_type=_TYPES[name], headers={"Content-Security-Policy": _POLICY})
