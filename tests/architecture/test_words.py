"""What people read uses the field's words: none of our own, in either language (docs/glossary.md)."""

import re
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CATALOGUES = {
    "operations": ROOT / "services/operations/kompetensnav_operations/data/texts.toml",
    "registry": ROOT / "services/registry/kompetensnav_registry/templates/texts.toml",
    "notifications": ROOT / "services/notifications/kompetensnav_notifications/templates/texts.toml",
    "rules": ROOT / "services/registry/kompetensnav_registry/data/rules.toml",
}
MODULES = ("kompetensnav_matching.edges.texts", "kompetensnav_registry.ground.edges.texts")
NEVER = {
    "sv": r"behöver mig|\bbrev(?:et|en)?\b|omspel|spelas? om\b|omhändertag|bumerang|lägg undan|undanlag"
    r"|\bta tillbaka\b|\bomtag|\blimbo\b|\bdörr|låt gå vidare|sakna inte|\bfrö\b|alla former"
    r"|^(?:Läge|Gäller|Värd|Huvuden|Stack|Form|Hör|Svenska)$"
    r"|Behöver på platsen|sedan fyllt|hellre ha bytt|snart är färdiga",
    "en": r"what needs me|\bletters?\b(?<!dead letter)(?<!dead letters)|boomerang|miss (?:it )?no more"
    r"|let (?:it )?go on|\bat most a second\b|\bfor want of\b|has it before|\blimbo\b|\bdoor\b"
    r"|\ba week, all forms\b|\bput aside\b|\bput away\b",
}
"""Words of our own that were once in use, and what they looked like in a sentence."""


def sentences(value, language):
    """Every text of a language in a catalogue of either layout."""
    if isinstance(value, dict):
        for key, each in value.items():
            if key in NEVER:
                if key == language:
                    yield from sentences(each, language) if isinstance(each, dict) else [each]
            else:
                yield from sentences(each, language)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from sentences(each, language)
    elif isinstance(value, str):
        yield value


def catalogues():
    yield from ((name, tomllib.loads(path.read_text())) for name, path in CATALOGUES.items())
    for name in MODULES:
        found = {n: v for n, v in vars(import_module(name)).items() if n.isupper() and isinstance(v, dict)}
        yield from ((f"{name}.{each}", value) for each, value in found.items())


@pytest.mark.parametrize("language", NEVER)
def test_no_text_has_a_word_of_our_own(language):
    texts = [(name, text) for name, catalogue in catalogues() for text in sentences(catalogue, language)]
    assert len(texts) > 400
    never = re.compile(NEVER[language], re.IGNORECASE)
    assert [f"{name}: {text}" for name, text in texts if never.search(text)] == []


@pytest.mark.parametrize("language", NEVER)
def test_the_rule_would_see_such_a_word(language):
    never = re.compile(NEVER[language], re.IGNORECASE)
    was = {
        "sv": ["Döda brev", "Spela om", "Låt gå vidare", "Lottens frö: 7", "Form", "Läge"],
        "en": ["Letters of the canary", "Miss it no more", "At most a second", "Let it go on"],
    }
    assert [text for text in was[language] if not never.search(text)] == []
    assert not never.search({"sv": "Länken gäller inte", "en": "12 dead letters"}[language])
