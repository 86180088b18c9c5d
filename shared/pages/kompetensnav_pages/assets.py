"""Styles and scripts of pages over HTTP."""

import base64
import hashlib
from functools import cache
from importlib.resources import files

from starlette.applications import Starlette
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

STYLES = ("vendor/designsystemet.css", "theme.css", "pages.css")
"""In the order of their layers; the last one goes before the others."""


class Assets(StaticFiles):
    """Files that a browser may keep, and asks about before it uses them again."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Starlette's."""
        response = await super().get_response(path, scope)
        response.headers["cache-control"] = "no-cache"
        return response


def mount(app: Starlette) -> None:
    """Serves them under `/static`, compressed."""
    there = Assets(packages=[("kompetensnav_pages", "static")])
    app.mount("/static", GZipMiddleware(there, minimum_size=1000), name="static")


@cache
def inlined() -> tuple[str, str]:
    """All styles as one text, for a page that is kept as a file of its own; and its hash as a content
    security policy wants it."""
    folder = files("kompetensnav_pages") / "static"
    text = "".join((folder / name).read_text().removeprefix('@charset "UTF-8";') for name in STYLES)
    return text, "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"
