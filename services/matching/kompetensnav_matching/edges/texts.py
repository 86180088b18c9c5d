"""The words for reasons and on pages, in Swedish and English."""

from typing import Any

from kompetensnav_chassis import texts as catalogues


def texts(language: str) -> dict[str, Any]:
    """All words of a language: `reason`s of a proposal, `hindrance`s between a learner and a slot, and those
    of the `page` of a round."""
    return catalogues.texts("kompetensnav_matching", language)


def reason(rule: str, value: int, language: str) -> str:
    """A reason in words. Raises KeyError for a rule without words."""
    words = texts(language)
    text = words["reason"][rule.removeprefix("only_")].format(m=f"{value / 10:g}", n=value)
    return str(words["only"].format(text=text) if rule.startswith("only_") else text)


def hindrance(rule: str) -> dict[str, str]:
    """Why one learner cannot have one slot, by language."""
    return {language: texts(language)["hindrance"][rule] for language in catalogues.LANGUAGES}


def both(rule: str, value: int) -> dict[str, str]:
    """A reason in words, by language."""
    return {language: reason(rule, value, language) for language in catalogues.LANGUAGES}
