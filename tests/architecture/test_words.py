"""What people read uses the field's words: none of our own, in either language (docs/glossary.md)."""

import ast
import io
import re
import tokenize
import tomllib
from pathlib import Path

import pytest

from kompetensnav_chassis.texts import LANGUAGES, Plural, texts

ROOT = Path(__file__).parents[2]
PACKAGES = [path.parent.parent for path in sorted(ROOT.glob("*/*/kompetensnav_*/locales/sv.po"))]
RULES = ROOT / "services/registry/kompetensnav_registry/data/rules.toml"
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


def leaves(tree, path=()):
    """Id -> text or plural, of every text of a catalogue."""
    for name, each in tree.items():
        if isinstance(each, dict):
            yield from leaves(each, (*path, name))
        else:
            yield ".".join((*path, name)), each


def forms(text):
    return text.forms if isinstance(text, Plural) else (text,)


REFUSALS = {"Problem", "NotFound", "Conflict", "Forbidden", "BadRows", "Unauthorised", "Unavailable"}


def refusals(language):
    """(where, text) of every refusal that is raised with its words: English first, then Swedish."""
    for path in sorted(ROOT.glob("[sd]*/*/kompetensnav_*/**/*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in REFUSALS and len(node.args) > 1:
                said = node.args[("en", "sv").index(language)]
                words = [n.value for n in ast.walk(said) if isinstance(n, ast.Constant)]
                yield f"{path.relative_to(ROOT)}:{node.lineno}", "".join(map(str, words))


def sentences(language):
    """(where, text) of every text of a language, of the rules of placements, and of refusals."""
    yield from refusals(language)
    for package in PACKAGES:
        for name, text in leaves(texts(package.name, language)):
            yield from ((f"{package.name}: {name}", form) for form in forms(text))
    for rule in tomllib.loads(RULES.read_text())["rule"]:
        yield rule["id"], rule[language]


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_everything_is_said_in_both_languages_with_the_same_values_and_plurals(package):
    swedish, english = (dict(leaves(texts(package.name, language))) for language in LANGUAGES)
    assert swedish.keys() == english.keys()
    for name, text in swedish.items():
        assert isinstance(text, Plural) == isinstance(english[name], Plural), name
        said, meant = forms(text), forms(english[name])
        assert all((*said, *meant)), name
        values = [set(re.findall(r"\{(\w+)", form)) - {"n"} for form in (*said, *meant)]
        if not isinstance(text, Plural):
            assert values[0] == values[1], name


def test_no_text_is_kept_beside_the_catalogues():
    """Not in Python, nor in data; rules of placements are data, each with its law and its dates."""
    both = re.compile(r"""^\s*(?:"sv"|sv)\s*[:=].*["'].*[a-zåäö]{3}""", re.MULTILINE)
    beside = [
        str(path.relative_to(ROOT))
        for path in ROOT.glob("[sd]e*/*/kompetensnav_*/**/*")
        if path.suffix in {".py", ".toml"} and path != RULES and both.search(path.read_text())
    ]
    assert beside == []


@pytest.mark.parametrize("language", NEVER)
def test_no_text_has_a_word_of_our_own(language):
    found = list(sentences(language))
    assert len(found) > 800
    never = re.compile(NEVER[language], re.IGNORECASE)
    assert [f"{name}: {text}" for name, text in found if never.search(text)] == []


@pytest.mark.parametrize("language", NEVER)
def test_the_rule_would_see_such_a_word(language):
    never = re.compile(NEVER[language], re.IGNORECASE)
    was = {
        "sv": ["Döda brev", "Spela om", "Låt gå vidare", "Lottens frö: 7", "Form", "Läge"],
        "en": ["Letters of the canary", "Miss it no more", "At most a second", "Let it go on"],
    }
    assert [text for text in was[language] if not never.search(text)] == []
    assert not never.search({"sv": "Länken gäller inte", "en": "12 dead letters"}[language])


FOR_EVERYONE = ("kompetensnav_registry", "kompetensnav_notifications")
"""Packages whose pages and mails anybody may be sent."""


def spoken_sentences(package):
    """The Swedish sentences of a package; a label of few words is none."""
    for _, text in leaves(texts(package, "sv")):
        for form in forms(text):
            if len(form.split()) > 3:
                yield from re.split(r"(?<=[.!?:])\s+", re.sub(r"\{\w+\}", "x", form))


@pytest.mark.parametrize("package", FOR_EVERYONE)
def test_swedish_that_anybody_is_sent_is_easy_to_read(package):
    """LIX: words a sentence, and long words (over six letters) in a hundred (Björnsson, 1968); below 40 is
    easy. No sentence has more than twenty words."""
    sentences = list(spoken_sentences(package))
    assert len(sentences) > 50
    assert [each for each in sentences if len(each.split()) > 20] == []
    words = [word for each in sentences for word in re.findall(r"[\w-]+", each)]
    lix = len(words) / len(sentences) + 100 * sum(len(word) > 6 for word in words) / len(words)
    print(f"LIX of {package}: {lix:.0f}")
    assert lix <= 40


@pytest.mark.parametrize("language", NEVER)
def test_the_subject_of_a_mail_never_says_what_kind_of_placement_it_is(language):
    """Whoever sees a list of mails must not read there that somebody is in work training."""
    words = dict(leaves(texts("kompetensnav_notifications", language)))
    subjects = {name: text for name, text in words.items() if name.endswith(".subject")}
    assert len(subjects) > 10
    types = [form for name, text in words.items() if name.startswith("types.") for form in forms(text)]
    telling = re.compile("|".join([r"\{type\}", *map(re.escape, types)]))
    assert [name for name, text in subjects.items() if any(map(telling.search, forms(text)))] == []


NAMES = {"letter", "letters", "told", "boomerang", "boomerangs", "door", "doors", "aside", "unfit"}
VIEWS = {"chassis/migrate.py", "care/world.py", "care/invariants.py"}
"""Who makes and who reads the SQL views `facts`: elsewhere it is a payload, data or rows."""
PUBLISHED = {"LetterReplayed", "LetterDiscarded", "letters", "are_told", "told_at"}
"""Names of published events and their fields, and of the outbox's column, which stay as they are: whoever
reads them need not change."""


def parts(name):
    """The words of a name in snake or camel case."""
    return [part.lower() for part in re.findall(r"[A-Z]?[a-z]+|[A-Z]+", name)]


def is_ours(name):
    """Whether a word of our own is in a name; a dead letter is everybody's."""
    words = parts(name)
    return any(
        word in NAMES and not (word.startswith("letter") and "dead" in words[max(0, at - 1) : at])
        for at, word in enumerate(words)
    )


def test_no_name_in_the_code_is_a_word_of_our_own():
    found = []
    for path in sorted(ROOT.glob("[sd]*/*/kompetensnav_*/**/*.py")):
        if "versions" in path.parts:
            continue  # a migration says what was
        for token in tokenize.generate_tokens(io.StringIO(path.read_text()).readline):
            if token.type != tokenize.NAME or token.string in PUBLISHED:
                continue
            is_view = any(str(path).endswith(f"kompetensnav_{view}") for view in VIEWS)
            if is_ours(token.string) or ("facts" in parts(token.string) and not is_view):
                found.append(f"{path.relative_to(ROOT)}:{token.start[0]}: {token.string}")
    assert found == []


@pytest.mark.parametrize("name", ["letter_id", "replay_letters", "Told", "told_before", "Unfit", "BOOMERANG"])
def test_the_rule_would_see_such_a_name(name):
    assert is_ours(name)
    assert not is_ours("dead_letter_id")
    assert not is_ours("DeadLetter")


FIRST_LINES = re.compile(
    r"(?<!dead )(?<!Dead )\bletters\b|boomerang|\bdoors?\b|\baside\b|\bunfit\b|\blimbo\b|\bputs? away\b"
    r"|miss(?:es)? (?:it )?no more|what needs me"
)


def test_no_module_class_or_function_is_introduced_by_a_word_of_our_own():
    found = []
    for path in sorted(ROOT.glob("[sd]*/*/kompetensnav_*/**/*.py")):
        if "versions" in path.parts or "contracts" in path.parts:  # what is published stays as it is
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                first = (ast.get_docstring(node) or "").partition("\n")[0]
                if FIRST_LINES.search(first):
                    found.append(f"{path.relative_to(ROOT)}: {first}")
    assert found == []
