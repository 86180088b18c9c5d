"""What messages say, in Swedish and English. No name, school or need: the page behind the link shows what it
may."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, select_autoescape

FOLDER = Path(__file__).parent.parent / "templates"
TEXTS: Mapping[str, Mapping[str, Any]] = tomllib.loads((FOLDER / "texts.toml").read_text())
_templates = Environment(
    loader=FileSystemLoader(FOLDER), autoescape=select_autoescape(["html"]), trim_blocks=True
)


def compose(
    kind: str, party: str, language: str, link: str | None, facts: Mapping[str, object], n: int = 1
) -> tuple[str, str, str]:
    """(subject, plain text, HTML) of a message."""
    words = TEXTS[language]
    many = "_many" if n > 1 else ""
    chosen = words.get(f"{kind}_{party}{many}", words.get(f"{kind}_{party}", words.get(kind)))
    assert isinstance(chosen, dict)
    values = {**facts, "n": n, "type": words["types"].get(facts.get("placement_type"), "")}
    subject = chosen["subject"].format(**values)
    lines = [line.format(**values) for line in chosen["lines"]]
    label = chosen.get("link") if link else None
    page = {
        "subject": subject,
        "lines": lines,
        "label": label,
        "link": link,
        "language": language,
        "t": words,
    }
    return (
        subject,
        _templates.get_template("message.txt").render(page),
        _templates.get_template("message.html").render(page),
    )
