"""The pages of a package: its templates and texts over the shared ones."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any
from urllib.parse import urlencode

from fastapi import Request
from jinja2 import ChoiceLoader, Environment, PackageLoader, select_autoescape
from jinja2_fragments import render_block
from markupsafe import Markup
from starlette.responses import HTMLResponse

from kompetensnav_chassis import texts as catalogues
from kompetensnav_chassis.codes import occupation_name
from kompetensnav_pages import assets
from kompetensnav_pages.languages import COOKIE, languages, preferred, spoken_in
from kompetensnav_pages.values import FILTERS

SHARED = "kompetensnav_pages"
YEAR = 365 * 86_400
POLICY = (
    "default-src 'none'; style-src {style}; script-src {script}; connect-src {script}; img-src 'self' data:;"
    " form-action 'self' {form_action}; base-uri 'none'; frame-ancestors 'none'"
)
"""Content security policy; icons of the design system are `data:` in its style sheet."""


class Pages:
    """Templates and texts of a package; `layout.html` and the macros `ui` are shared by all."""

    def __init__(self, package: str) -> None:
        """`package` has `templates/` and `locales/`."""
        self.package = package

    @cached_property
    def _templates(self) -> Environment:
        made = Environment(
            loader=ChoiceLoader([PackageLoader(self.package), PackageLoader(SHARED)]),
            autoescape=select_autoescape(),
            trim_blocks=True,
            lstrip_blocks=True,
        )
        made.filters |= FILTERS | {"occupation": occupation_name}
        made.globals["ui"] = made.get_template("parts.html").module
        return made

    def language(self, request: Request) -> str:
        """What a reader gets: one that the package has texts in."""
        return preferred(request, catalogues.languages_of(self.package))

    def texts(self, language: str) -> dict[str, Any]:
        """All texts of the package, and the shared ones; these in English where they are in no other."""
        shared = language if language in catalogues.languages_of(SHARED) else "en"
        return {**catalogues.texts(SHARED, shared), **catalogues.texts(self.package, language)}

    def render(
        self,
        request: Request,
        template: str,
        status: int = 200,
        *,
        municipality: str = "",
        form_action: str = "",
        live: bool = False,
        alone: bool = False,
        **values: Any,
    ) -> HTMLResponse:
        """A page. `municipality` decides which languages it is offered in, `form_action` names another site
        that its forms lead to, `live` has it follow what happens, `alone` has it hold its own styles, so that
        it can be kept as a file."""
        language = self.language(request)
        text, style = assets.inlined() if alone else ("", "'self'")
        html = self._templates.get_template(template).render(
            self._shared(request, language, municipality),
            live=live, styles=Markup(text), hrefs=assets.STYLES, **values,
        )  # fmt: skip
        script = "'self'" if live else "'none'"
        policy = POLICY.format(style=style, script=script, form_action=form_action)
        answer = HTMLResponse(html, status, headers={"content-security-policy": policy})
        if request.query_params.get("lang") == language:
            answer.set_cookie(COOKIE, language, max_age=YEAR, secure=True, httponly=True, samesite="lax")
        return answer

    def fragment(self, request: Request, template: str, block: str, **values: Any) -> str:
        """One block of a page, as it stands in the whole."""
        shared = self._shared(request, self.language(request), "")
        return render_block(self._templates, template, block, {**shared, **values})

    def _shared(self, request: Request, language: str, municipality: str) -> dict[str, Any]:
        offered = [code for code in spoken_in(municipality) if code in catalogues.languages_of(self.package)]
        others = [languages()[code] for code in offered if code != language]
        return {
            "t": self.texts(language),
            "language": languages()[language],
            "other_languages": [(each, _address(request.query_params, each.code)) for each in others],
        }


def said(refused: Any, language: str) -> str:
    """A refusal in a reader's language; in English where it is not said in theirs."""
    return str(refused.sv if language == "sv" else refused.en)


def _address(query: Mapping[str, str], language: str) -> str:
    """This page's in another language."""
    return "?" + urlencode({**query, "lang": language})
