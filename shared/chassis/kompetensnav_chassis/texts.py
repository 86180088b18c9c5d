"""What people read, in both languages: the gettext catalogues `locales/<language>.po` of a package.

A message's id says where it stands (`letters.title`), not what it says; a text with a number in it may have
plural forms. Catalogues are read when a text is first asked for.
"""

from collections.abc import Callable, Iterable
from functools import cache
from gettext import c2py
from importlib.resources import files
from typing import Any

LANGUAGES = ("sv", "en")


class Plural:
    """A text with a form for each number, by the rule of its language."""

    def __init__(self, forms: Iterable[str], form_of: Callable[[int], int]) -> None:
        self._forms, self._form_of = tuple(forms), form_of

    def of(self, n: int) -> str:
        """The form for a number, with that number in place of `{n}`."""
        return self._forms[self._form_of(n)].replace("{n}", str(n))

    @property
    def forms(self) -> tuple[str, ...]:
        """Every form."""
        return self._forms


@cache
def languages_of(package: str) -> tuple[str, ...]:
    """The languages that a package has a catalogue in, Swedish first."""
    there = [path.name.removesuffix(".po") for path in (files(package) / "locales").iterdir()]
    return tuple(sorted(there, key=lambda code: (code not in LANGUAGES, code != LANGUAGES[0], code)))


@cache
def texts(package: str, language: str) -> dict[str, Any]:
    """All texts of a package in a language, as a tree by the parts of their ids, in the file's order. Raises
    FileNotFoundError for a language that the package has not."""
    from babel.messages.pofile import read_po  # no service waits for it when it starts

    with (files(package) / f"locales/{language}.po").open("rb") as file:
        catalogue = read_po(file, locale=language)
    form_of = c2py(catalogue.plural_expr)
    tree: dict[str, Any] = {}
    for message in catalogue:
        if not message.id:
            continue
        plural = isinstance(message.id, (list, tuple))
        *way, last = str(message.id[0] if plural else message.id).split(".")
        branch = tree
        for part in way:
            branch = branch.setdefault(part, {})
        branch[last] = Plural(message.string or (), form_of) if plural else message.string
    return tree


def spoken(text: str | Plural, n: int) -> str:
    """A text that may have plural forms, for a number."""
    return text.of(n) if isinstance(text, Plural) else text
