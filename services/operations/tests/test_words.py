"""The console knows no word of the domain, and says all it says in both languages."""

import re
from pathlib import Path

import kompetensnav_operations
from kompetensnav_operations.domain.alerts import RULES
from kompetensnav_operations.edges.texts import texts
from kompetensnav_operations.pages.shown import PAGES

PACKAGE = Path(kompetensnav_operations.__file__).parent
DOMAIN = ("learner", "employer", "workplace", "placement", "offer", "slot", "municipality", "prao", "apl",
          "elev", "arbetsgiv", "praktik", "kommun", "esf")  # fmt: skip
ALLOWED = re.compile(r"municipality=who\.stack")
"""The event's envelope says so; the console itself is no municipality."""


def test_no_word_of_the_domain_is_in_the_package():
    for path in PACKAGE.rglob("*"):
        if path.suffix in {".py", ".html", ".po", ".toml", ".css"} and "vendor" not in path.parts:
            text = ALLOWED.sub("", path.read_text()).lower()
            found = [word for word in DOMAIN if re.search(rf"\b{word}", text)]
            assert not found, f"{path.name}: {found}"


def leaves(value, path=()):
    for name, each in value.items():
        if isinstance(each, dict):
            yield from leaves(each, (*path, name))
        else:
            yield ".".join((*path, name))


def test_every_rule_has_its_runbook():
    for language in ("sv", "en"):
        words = texts(language)["rules"]
        assert list(words) == list(RULES)
        assert all(each.keys() == {"name", "means", "look", "do"} for each in words.values())


USED = re.compile(r"\bt\.([a-z_]+(?:\.[a-z0-9_]+)*)")


def test_every_word_that_a_page_asks_for_is_there():
    known = set(leaves(PAGES.texts("sv")))
    tables = {name.rpartition(".")[0] for name in known} | {name.partition(".")[0] for name in known}
    for path in (PACKAGE / "templates").glob("*.html"):
        for asked in USED.findall(path.read_text()):
            name = asked.removesuffix(".format").removesuffix(".items").removesuffix(".of")
            assert name in known | tables, f"{path.name}: {name}"
