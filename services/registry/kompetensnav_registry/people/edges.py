"""SS 12000:2020, the part that is read: organisations, persons, deleted entities, page by page.

Source: Skolverket's reference API (`/organisations`, `/persons`, `/deletedEntities`; `meta.modified.after`,
`limit`, `pageToken`). Our own models: what is not read is not modelled.
"""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any, Self
from uuid import UUID

import httpx
from pydantic import AliasPath, BaseModel, Field, ValidationError

from kompetensnav_chassis.errors import Problem
from kompetensnav_chassis.outgoing import Guarded, Network

Json = dict[str, Any]
"""What the source answers, as SS 12000 (2:2020) says."""

PAGE = 500
"""Entities asked for a page."""

MARKINGS = {
    "Ingen": "none",
    "Sekretessmarkering": "confidentiality_marked",
    "Skyddad folkbokföring": "protected_registration",
}
"""Their security marking -> ours."""


class SourceFailed(Problem):
    """The school administrative system does not answer as SS 12000 says."""

    type, status = "source-failed", 424


class Organisation(BaseModel):
    """A school unit."""

    id: UUID
    display_name: str = Field(validation_alias="displayName", max_length=200)
    school_unit_code: str = Field(validation_alias="schoolUnitCode", pattern=r"^[0-9A-Za-z_-]{1,40}$")


class Enrolment(BaseModel):
    """Where a person goes to school."""

    school: UUID = Field(validation_alias=AliasPath("enroledAt", "id"))
    school_year: int | None = Field(None, validation_alias="schoolYear", ge=0, le=13)
    school_type: str = Field(validation_alias="schoolType")
    education_code: str | None = Field(None, validation_alias="educationCode", max_length=40)
    cancelled: bool = False


class Email(BaseModel):
    """An address of a person."""

    value: str
    type: str


class Person(BaseModel):
    """A learner, as their school knows them."""

    id: UUID
    given_name: str = Field(validation_alias="givenName", min_length=1, max_length=100)
    family_name: str = Field(validation_alias="familyName", min_length=1, max_length=100)
    civic_no: str = Field(validation_alias=AliasPath("civicNo", "value"))
    emails: list[Email] = []
    enrolments: list[Enrolment] = []
    security_marking: str | None = Field(None, validation_alias="securityMarking")
    """Absent: not said. Nobody is unmarked by a pull: that is the case worker's to do."""
    modified: datetime | None = Field(None, validation_alias=AliasPath("meta", "modified"))

    @property
    def enrolment(self) -> Enrolment | None:
        """The one that is not cancelled; the last when there are several."""
        valid = [e for e in self.enrolments if not e.cancelled]
        return valid[-1] if valid else None

    @property
    def email(self) -> str | None:
        """The school's address for the pupil before a private one."""
        by_type = {e.type: e.value for e in reversed(self.emails)}
        return by_type.get("Skola elev") or by_type.get("Privat")


class Bad(BaseModel):
    """An entity that does not fit: its id and fields, never its values."""

    id: str
    field: str
    reason: str


class Client:
    """Reads a source. Use as an async context manager."""

    def __init__(self, url: str, token: str, inside: Sequence[Network]) -> None:
        """`inside`: networks that are not public and may be asked."""
        self._http = httpx.AsyncClient(
            base_url=url.rstrip("/") + "/",
            headers={"authorization": f"Bearer {token}"},
            timeout=30,
            follow_redirects=False,
            transport=Guarded(inside),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def organisations(self, after: datetime | None) -> AsyncIterator[list[Organisation | Bad]]:
        """Pages of school units that have changed since an instant."""
        async for page in self._pages("organisations", _since(after), ("organisations", "data")):
            yield [_read(Organisation, entity) for entity in page]

    async def persons(self, after: datetime | None) -> AsyncIterator[list[Person | Bad]]:
        """Pages of persons that have changed since an instant; one that does not fit is a Bad."""
        async for page in self._pages("persons", _since(after), ("data",)):
            yield [_read(Person, entity) for entity in page]

    async def person(self, id: str) -> Person | Bad | None:
        """One person; None when they are gone."""
        answered = await self._get(f"persons/{id}", {})
        return None if answered is None else _read(Person, answered)

    async def deleted_persons(self, after: datetime) -> AsyncIterator[list[str]]:
        """Pages of ids of persons that were deleted since an instant."""
        asked = {"after": after.isoformat(), "entities": "Person"}
        async for page in self._pages("deletedEntities", asked, ("data",)):
            yield [str(id) for id in page]

    async def _pages(self, path: str, query: Json, keys: tuple[str, ...]) -> AsyncIterator[list[Any]]:
        token: str | None = None
        seen: set[str] = set()
        while True:
            asked = {"pageToken": token} if token else query | {"limit": PAGE}
            answered = await self._get(path, asked) or {}
            found: Any = next((answered[key] for key in keys if key in answered), [])
            if isinstance(found, dict):  # deletedEntities: by kind
                found = found.get("persons") or found.get("Person") or []
            yield list(found)
            token = answered.get("pageToken")
            if not token or token in seen:
                return
            seen.add(token)

    async def _get(self, path: str, query: Json) -> Json | None:
        try:
            answered = await self._http.get(path, params=query)
            if answered.status_code == 404 and "/" in path:
                return None
            answered.raise_for_status()
            body: Json = answered.json()
            return body
        except httpx.HTTPStatusError as refused:
            status = refused.response.status_code
            raise SourceFailed(
                f"The school system answered {status} to {path.split('/')[0]}.",
                f"Skolans system svarade {status} på {path.split('/')[0]}.",
            ) from None
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as down:  # ValueError: not JSON
            raise SourceFailed(
                f"The school system does not answer ({type(down).__name__}).",
                f"Skolans system svarar inte ({type(down).__name__}).",
            ) from None


def _since(after: datetime | None) -> Json:
    return {"meta.modified.after": after.isoformat()} if after else {}


def _read(model: Any, entity: Any) -> Any:
    try:
        return model.model_validate(entity)
    except ValidationError as bad:
        error = bad.errors()[0]
        id = str(entity.get("id", "")) if isinstance(entity, dict) else ""
        return Bad(id=id[:40], field=".".join(str(p) for p in error["loc"]), reason=error["type"])
