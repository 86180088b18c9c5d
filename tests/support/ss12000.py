"""A school administrative system that speaks SS 12000, made from Skolverket's OpenAPI document: what it sends
is held against the document's own schemas where that lies beside the checkout."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID, uuid5

import jsonschema
import yaml

SPEC = (
    Path(__file__).parents[3] / "shared/data/schemas/ss12000/skolverket-dnp-reference-api.expose.openapi.yml"
)
NAMES = UUID("8f3c0d9e-0000-4000-8000-000000000000")


@dataclass
class School:
    """What the system holds, and what was asked of it."""

    token: str = "hemlig"
    organisations: list[dict[str, Any]] = field(default_factory=list)
    persons: list[dict[str, Any]] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    page: int = 2
    asked: list[str] = field(default_factory=list)
    breaks: bool = False
    failing: set[str] = field(default_factory=set)
    """Ids of entities that it fails for, asked one by one."""

    def organisation(self, code: str) -> str:
        """A school unit; its id."""
        id = str(uuid5(NAMES, code))
        self.organisations.append({"id": id, "displayName": f"Skolan {code}", "schoolUnitCode": code})
        return id

    def person(self, name: str, number: str, school: str, **more: Any) -> dict[str, Any]:
        """A pupil, put in or put in anew."""
        id = str(uuid5(NAMES, name))
        about = {
            "id": id,
            "meta": {"created": "2026-08-20T08:00:00Z", "modified": "2026-08-20T08:00:00Z"},
            "givenName": name,
            "familyName": "Elev",
            "eduPersonPrincipalNames": [f"{name.lower()}@skola.example.com"],
            "civicNo": {"value": number, "nationality": "SE"},
            "emails": [{"value": f"{name.lower()}@skola.example.com", "type": "Skola elev"}],
            "enrolments": [
                {"enroledAt": {"id": school}, "schoolYear": 2, "schoolType": "GY", "educationCode": "VO"}
            ],
            "securityMarking": "Ingen",
        } | more
        self.persons = [p for p in self.persons if p["id"] != id] + [about]
        return about

    def answer(self, path: str, query: dict[str, list[str]]) -> Any:
        """The body of an answer; None = 404."""
        kind, _, id = path.strip("/").partition("/")
        if id:
            return next((p for p in getattr(self, kind) if p["id"] == id), None)
        start = int(query["pageToken"][0]) if "pageToken" in query else 0
        after = query.get("meta.modified.after", [""])[0]
        if kind == "organisations":
            return {"organisations": self.organisations}
        if kind == "deletedEntities":
            asked = query.get("entities") == ["Person"] and "after" in query
            return {"data": {"persons": self.deleted if asked else []}}
        found = [p for p in self.persons if not after or p["meta"]["modified"] > after[:19]]
        page: dict[str, Any] = {"data": found[start : start + self.page]}
        if start + self.page < len(found):
            page["pageToken"] = str(start + self.page)
        return page


def is_by_the_book(kind: str, body: Any) -> None:
    """Raises ValidationError when an answer is not what the document says (of entities that should be)."""
    if not SPEC.exists():
        return
    document = yaml.safe_load(SPEC.read_text())
    schema = {"$ref": f"#/components/schemas/{kind}", "components": document["components"]}
    jsonschema.Draft4Validator(schema).validate(body)


@contextmanager
def serving(school: School) -> Iterator[str]:
    """The system on a free port of this machine; its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            at = urlsplit(self.path)
            school.asked.append(at.path + ("?" + at.query if at.query else ""))
            if school.breaks:
                return self._send(500, {"code": "x", "message": "x"})
            if self.headers["authorization"] != f"Bearer {school.token}":
                return self._send(403, {"code": "x", "message": "x"})
            if at.path.rpartition("/")[2] in school.failing:
                return self._send(500, {"code": "x", "message": "x"})
            body = school.answer(at.path, parse_qs(at.query))
            self._send(404 if body is None else 200, body)

        def _send(self, status: int, body: Any) -> None:
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
