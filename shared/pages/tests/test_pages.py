"""A page and its block come from one template, in the languages that its municipality offers."""

import re
import sys
from importlib.resources import files

import pytest
from starlette.requests import Request

from kompetensnav_pages.colours import colours
from kompetensnav_pages.languages import languages, preferred, spoken_in
from kompetensnav_pages.pages import Pages

CATALOGUE = 'msgid ""\nmsgstr "Plural-Forms: nplurals=2; plural=(n != 1);\\n"\n\nmsgid "hello"\nmsgstr "{}"\n'
WORDS = {"sv": "Hej", "en": "Hello", "fi": "Hei", "ar": "مرحبا"}
LAYOUT = """{% extends "layout.html" %}
{% block title %}{{ t.hello }}{% endblock %}
{% block main %}<h1>{{ t.hello }}</h1>{% block live %}<p>{{ n | number }} {{ name }}</p>{% endblock %}
{% endblock %}"""


def request(query="", **headers):
    listed = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": "GET", "path": "/", "query_string": query.encode(), "headers": listed}
    return Request(scope)


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """The pages of a package in four languages, of which the shared texts have two."""
    folder = tmp_path_factory.mktemp("package")
    package = folder / "four_languages"
    (package / "locales").mkdir(parents=True)
    (package / "templates").mkdir()
    (package / "__init__.py").touch()
    for language, word in WORDS.items():
        (package / "locales" / f"{language}.po").write_text(CATALOGUE.format(word))
    (package / "templates/hello.html").write_text(LAYOUT)
    sys.path.insert(0, str(folder))
    yield Pages("four_languages")
    sys.path.remove(str(folder))


def shown(pages, query="", *, municipality="", **headers):
    values = {"n": 12_345, "name": "<b>Åsa</b>"}
    return pages.render(request(query, **headers), "hello.html", municipality=municipality, **values)


def test_a_municipality_offers_its_own_languages_and_no_others(pages):
    def offered(code):
        return re.findall(r'hreflang="(\w+)"', shown(pages, municipality=code).body.decode())

    assert offered("") == offered("2581") == ["en"], "Swedish is the page's own"
    assert offered("2580") == ["en", "fi"], "Luleå is in the administrative area of Finnish"


def test_a_page_is_in_the_readers_language_and_direction(pages):
    page = shown(pages, "lang=ar").body.decode()
    assert '<html lang="ar" dir="rtl"' in page
    assert "<h1>مرحبا</h1>" in page
    assert "Skip to content" in page, "a shared text that is not in that language yet is English"
    assert '<html lang="fi" dir="ltr"' in shown(pages, accept_language="fi-FI,fi;q=0.9").body.decode()


def test_a_language_that_is_chosen_is_remembered_and_comes_before_the_browsers(pages):
    chosen = shown(pages, "lang=en&page=2")
    assert "language=en" in chosen.headers["set-cookie"]
    assert 'href="?lang=sv&amp;page=2"' in chosen.body.decode() or (
        'href="?page=2&amp;lang=sv"' in chosen.body.decode()
    )
    later = shown(pages, cookie="language=en", accept_language="sv")
    assert "<h1>Hello</h1>" in later.body.decode()
    assert "set-cookie" not in shown(pages, "lang=xx").headers


@pytest.mark.parametrize(
    ("accepted", "language"),
    [("", "sv"), ("de, en;q=0.5", "en"), ("en;q=0.2, sv;q=0.8", "sv"), ("EN-gb", "en"), ("sv;q=x", "sv"),
     ("en;q=0", "sv"), ("*", "sv")],
)  # fmt: skip
def test_the_browsers_wishes_are_weighed(accepted, language):
    assert preferred(request(accept_language=accepted), ("sv", "en")) == language


def test_a_block_is_what_stands_in_the_whole_page(pages):
    values = {"n": 12_345, "name": "<b>Åsa</b>"}
    block = pages.fragment(request(), "hello.html", "live", **values)
    assert block == "<p>12\N{NO-BREAK SPACE}345 &lt;b&gt;Åsa&lt;/b&gt;</p>"
    assert block in shown(pages).body.decode()


def test_a_page_that_stands_alone_holds_its_styles_and_says_their_hash(pages):
    answer = pages.render(request(), "hello.html", alone=True, n=1, name="")
    page = answer.body.decode()
    assert "<link" not in page
    assert ".ds-button" in page
    assert "'sha256-" in answer.headers["content-security-policy"]


def test_every_language_that_a_municipality_offers_is_named():
    data = spoken_in("")
    assert data[0] == "sv"
    assert set(data) <= set(languages())
    for code in ("2580", "2514", "2584"):
        assert set(spoken_in(code)) <= set(languages())


def test_the_theme_has_every_variable_that_the_design_system_asks_for():
    folder = files("kompetensnav_pages") / "static"
    system, theme = ((folder / name).read_text() for name in ("vendor/designsystemet.css", "theme.css"))
    ours = (folder / "pages.css").read_text()
    asked = set(re.findall(r"var\((--ds-[\w-]+)\)", system + ours))
    assert len(asked) > 100
    assert asked - set(re.findall(r"(--ds-[\w-]+):", theme + system)) == set()


def test_mails_have_the_themes_colours():
    assert {"neutral-text-default", "accent-text-subtle", "neutral-background-default"} <= set(colours())
