"""What messages say, in Swedish and English. No name, school or need: the page behind the link shows what it
may."""

from collections.abc import Mapping

from jinja2 import Environment, PackageLoader, select_autoescape

from kompetensnav_chassis.texts import spoken, texts
from kompetensnav_pages.colours import colours

PACKAGE = "kompetensnav_notifications"
_templates = Environment(
    loader=PackageLoader(PACKAGE), autoescape=select_autoescape(["html"]), trim_blocks=True
)


def compose(
    kind: str, party: str, language: str, link: str | None, data: Mapping[str, object], n: int = 1
) -> tuple[str, str, str]:
    """(subject, plain text, HTML) of a message; `n` is the number that its texts may be about."""
    words = texts(PACKAGE, language)
    chosen = words[f"{kind}_{party}"] if f"{kind}_{party}" in words else words[kind]
    values = {**data, "n": n, "type": words["types"].get(data.get("placement_type"), "")}
    subject = spoken(chosen["subject"], n).format(**values)
    page = {
        "subject": subject,
        "lines": [spoken(line, n).format(**values) for line in chosen["lines"].values()],
        "label": chosen.get("link") if link else None,
        "link": link,
        "language": language,
        "t": words,
        "colours": colours(),
    }
    return (
        subject,
        _templates.get_template("message.txt").render(page),
        _templates.get_template("message.html").render(page),
    )
