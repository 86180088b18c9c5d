"""What pages and alerts say, in Swedish and English."""

from typing import Any

from kompetensnav_chassis import texts as catalogues


def texts(language: str) -> dict[str, Any]:
    """All words of a language."""
    return catalogues.texts("kompetensnav_operations", language)


def alert_title(event: str, stack: str, rule: str, target: str) -> str:
    """One line in both languages; the name of a queue or server is no personal data."""
    both = (texts(language) for language in catalogues.LANGUAGES)
    said = " / ".join(f"{t['alert'][event]}: {t['rules'][rule]['name']}" for t in both)
    return f"{said} – {target} ({stack})"
