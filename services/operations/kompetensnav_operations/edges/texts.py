"""What pages and alerts say, in Swedish and English."""

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any


@cache
def texts(language: str) -> dict[str, Any]:
    """All words of a language."""
    read = (files("kompetensnav_operations") / "data/texts.toml").read_text()
    return {name: _in(language, value) for name, value in tomllib.loads(read).items()}


def _in(language: str, value: Any) -> Any:
    if isinstance(value, dict) and {"sv", "en"} == value.keys():
        return value[language]
    return {name: _in(language, each) for name, each in value.items()} if isinstance(value, dict) else value


def alert_title(event: str, stack: str, rule: str, target: str) -> str:
    """One line in both languages; the name of a queue or server is no personal data."""
    both = (texts(language) for language in ("sv", "en"))
    said = " / ".join(f"{t['alert'][event]}: {t['rules'][rule]['name']}" for t in both)
    return f"{said} – {target} ({stack})"
