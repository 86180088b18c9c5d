"""The theme's colours, for what cannot read a style sheet: mails."""

import re
from functools import cache
from importlib.resources import files


@cache
def colours() -> dict[str, str]:
    """Name (`neutral-text-default`) -> `#rrggbb`, of the light scheme."""
    theme = (files("kompetensnav_pages") / "static/theme.css").read_text()
    light = theme.partition("color-scheme.light")[2].partition("}")[0]
    return dict(re.findall(r"--ds-color-([\w-]+): (#[0-9a-f]{6})", light))
