"""Generated documentation: OpenAPI documents and the tables in the services' READMEs. Tests compare them."""

import json
import re
from importlib import import_module
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from fastapi.openapi.utils import get_openapi

from kompetensnav_chassis.settings import table

PROBLEM: dict[str, Any] = {
    "title": "Problem",
    "description": "A refusal (RFC 9457), in English and Swedish.",
    "type": "object",
    "required": ["type", "title", "status", "detail", "detail_en", "detail_sv"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "In the language that is asked for."},
        "detail_en": {"type": "string"},
        "detail_sv": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {"type": "object"},
            "description": "Each thing that is wrong: where, why, and the rule's id when there is one.",
        },
    },
}
GENERATED = re.compile(r"(<!-- (settings|listens|tells) -->\n).*?(<!-- /\2 -->)", re.DOTALL)


def services() -> list[str]:
    """The installed services: distributions that publish a `kompetensnav-<service>` script with a `serve`."""
    names = [
        d.metadata["Name"].removeprefix("kompetensnav-")
        for d in distributions()
        if any(p.group == "console_scripts" and p.value.endswith(".commands:run") for p in d.entry_points)
    ]
    return sorted(set(names) - {"chassis"})


def files(root: Path) -> dict[Path, str]:
    """Path -> text of every generated page."""
    made = {}
    for service in services():
        module = import_module(f"kompetensnav_{service}.main")
        made[root / f"docs/openapi/{service}.json"] = dumps(openapi(service, module))
        readme = root / f"services/{service}/README.md"
        if readme.exists():
            made[readme] = fill(readme.read_text(), service, module)
    return made


def openapi(service: str, module: Any) -> dict[str, Any]:
    """The OpenAPI 3.1 document of a service."""
    routes = [route for router in module.ROUTERS for route in router.routes]
    document = get_openapi(title=f"Kompetensnav {service}", version="1", routes=routes)
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas["Problem"] = PROBLEM
    body = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for operations in document["paths"].values():
        for operation in operations.values():
            operation["responses"].pop("422", None)
            operation["responses"]["default"] = {"description": "Refused; says why.", "content": body}
    return document


def fill(text: str, service: str, module: Any) -> str:
    """A README with its generated tables filled in."""
    from kompetensnav_contracts.catalogue import catalogue

    events = catalogue()

    def rows(names: list[str]) -> str:
        about = [(n, (events[n].__doc__ or "").strip().splitlines()[0]) for n in sorted(set(names))]
        return "\n".join(
            ["| Event | What has happened |", "|---|---|", *(f"| `{n}` | {d} |" for n, d in about)]
        )

    tables = {
        "settings": lambda: table(module.Settings),
        "listens": lambda: rows([e.name for consumer in module.LISTENER.consumers for e in consumer.events]),
        "tells": lambda: rows([n for n in events if n.split(".")[0] == service]),
    }
    return GENERATED.sub(lambda m: f"{m[1]}{tables[m[2]]()}\n{m[3]}", text)


def dumps(value: Any) -> str:
    """JSON as it is committed."""
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
