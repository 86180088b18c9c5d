"""What the pages have in common: the link, the refusals, the frame around them."""

from fastapi import Request
from fastapi.responses import HTMLResponse

from kompetensnav_chassis.errors import Forbidden, Problem
from kompetensnav_pages.pages import Pages, said
from kompetensnav_registry.ground.edges.links import Links

PAGES = Pages("kompetensnav_registry")


def gone(request: Request, why: Problem | None = None) -> HTMLResponse:
    """The page of a link behind which there is nothing, or nothing any more."""
    language = PAGES.language(request)
    text = PAGES.texts(language)["gone_why"] if why is None else said(why, language)
    return PAGES.render(request, "gone.html", 404, why=text)


def fault_of(request: Request, wrong: Problem) -> dict[str, str]:
    """What is wrong as a page says it, and in which field; `where` is empty when it is not just one."""
    where = str(wrong.errors[0]["where"]) if wrong.errors else ""
    return {"said": said(wrong, PAGES.language(request)), "where": where}


def links_of(request: Request) -> Links:
    """The reader of signed links."""
    links: Links = request.app.state.links
    return links


def from_our_own_page(request: Request) -> None:
    """Raises Forbidden for a form that another site sent."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise Forbidden("Answers are sent from our own page.", "Svar skickas från vår egen sida.")
