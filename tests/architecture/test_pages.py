"""Pages have one look: colours from the theme alone, sides that turn with the language, no style or script of
their own."""

import re
from pathlib import Path

import pytest

from kompetensnav_pages.colours import colours

ROOT = Path(__file__).parents[2]
THEME = ROOT / "shared/pages/kompetensnav_pages/static/theme.css"
ICON = THEME.parent / "icon.svg"
NAMED = "white|black|red|green|blue|gray|grey|yellow|orange|purple|navy"
COLOUR = re.compile(
    r"(?<![&\w])#(?:[0-9a-fA-F]{3,4}|[0-9a-fA-F]{6}|[0-9a-fA-F]{8})\b(?![-\w])"
    r"|\b(?:rgb|hsl|hwb|lab|lch|oklab|oklch|color)a?\("
    rf"|(?:color|background|fill|stroke|border[\w-]*):[^;{{}}\"]*\b(?:{NAMED})\b"
)
SIDE = re.compile(
    r"(?:margin|padding|border|inset)-(?:left|right)|(?<![\w-])(?:left|right)\s*:"
    r"|(?:text-align|float):\s*(?:left|right)"
)
PAGES = [
    path
    for pattern in ("[sd]*/*/kompetensnav_*/**/*.html", "[sd]*/*/kompetensnav_*/**/*.css")
    for path in sorted(ROOT.glob(pattern))
    if "vendor" not in path.parts and path != THEME
]


def found(pattern, texts):
    return [f"{name}: {hit[0]}" for name, text in texts for hit in pattern.finditer(text)]


def read(paths):
    return [(str(path.relative_to(ROOT)), path.read_text()) for path in paths]


def test_every_colour_comes_from_the_theme():
    assert {path.suffix for path in PAGES} == {".html", ".css"}
    code = sorted(ROOT.glob("[sd]*/*/kompetensnav_*/**/*.py"))
    assert found(COLOUR, read(PAGES)) == []
    quoted = re.compile(r"""["'(: ]#[0-9a-fA-F]{6}\b""")
    assert found(quoted, read(code)) == []
    in_the_icon = set(re.findall(r"#[0-9a-f]{6}", ICON.read_text()))
    assert in_the_icon <= set(colours().values())


@pytest.mark.parametrize(
    "text", ["color: #0b4f9e", "a { background:white }", "fill: rgb(1 2 3)", "border: 1px solid red", "#fff"]
)
def test_the_rule_would_see_a_colour(text):
    assert COLOUR.search(text)


@pytest.mark.parametrize("text", ['href="#main"', "color: var(--quiet)", "&#39;", 'href="#act"'])
def test_the_rule_sees_no_colour_where_there_is_none(text):
    assert not COLOUR.search(text)


def test_sides_turn_with_the_direction_of_the_language():
    assert found(SIDE, read(PAGES)) == []
    assert SIDE.search("margin-left: 1rem")


def test_pages_have_no_style_or_script_of_their_own():
    """A mail has styles in its lines: it can read no style sheet."""
    own = re.compile(
        r"<style>(?!\{\{ styles \}\})|style=|\bon[a-z]+=|<script(?! src=\"/static/)|javascript:|\| safe"
    )
    assert found(own, read(p for p in PAGES if p.suffix == ".html" and p.name != "message.html")) == []


def test_one_package_has_the_layout_and_the_styles():
    whole = [str(p.relative_to(ROOT)) for p in PAGES if "<html" in p.read_text() or p.suffix == ".css"]
    assert sorted(whole) == [
        "services/notifications/kompetensnav_notifications/templates/message.html",
        "shared/pages/kompetensnav_pages/static/pages.css",
        "shared/pages/kompetensnav_pages/templates/layout.html",
    ]


def test_every_page_behind_a_link_ends_when_its_learner_is_marked_as_protected():
    registry = ROOT / "services/registry/kompetensnav_registry"
    pages = [p for p in registry.rglob("*.py") if "pages" in (p.stem, p.parent.name)]
    of_learners = re.compile(r"select\([^)]*\b(?:Offer|Placement|PlacementAgreement)\b", re.DOTALL)
    found = {p.name: p.read_text() for p in pages if of_learners.search(p.read_text())}
    assert len(found) >= 3
    assert [name for name, text in found.items() if "protected.open_to_links(" not in text] == []
