"""What the pages have in common: the language, the link, the frame around them."""

from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, select_autoescape

from kompetensnav_chassis.codes import occupation_name
from kompetensnav_chassis.errors import Forbidden, Problem
from kompetensnav_chassis.texts import texts
from kompetensnav_registry.ground.edges.links import Links

PACKAGE = "kompetensnav_registry"
_templates = Environment(
    loader=PackageLoader(PACKAGE),
    autoescape=select_autoescape(),
    trim_blocks=True,
)

_templates.filters["occupation"] = occupation_name


def render(template: str, language: str, status: int, **values: Any) -> HTMLResponse:
    """A page in a language."""
    page = _templates.get_template(template)
    return HTMLResponse(page.render(t=texts(PACKAGE, language), language=language, **values), status)


def gone(language: str, why: Problem | None = None) -> HTMLResponse:
    """The page of a link behind which there is nothing, or nothing any more."""
    text = (
        str(texts(PACKAGE, language)["gone_why"]) if why is None else why.sv if language == "sv" else why.en
    )
    return render("gone.html", language, 404, why=text)


def where_of(wrong: Problem) -> str:
    """The field that is wrong; empty when it is not just one."""
    return str(wrong.errors[0]["where"]) if wrong.errors else ""


def language_of(request: Request) -> str:
    """`sv` unless English is asked for."""
    wanted = request.query_params.get("lang") or request.headers.get("accept-language", "sv")
    return "en" if wanted.lower().startswith("en") else "sv"


def links_of(request: Request) -> Links:
    """The reader of signed links."""
    links: Links = request.app.state.links
    return links


def from_our_own_page(request: Request) -> None:
    """Raises Forbidden for a form that another site sent."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise Forbidden("Answers are sent from our own page.", "Svar skickas från vår egen sida.")
