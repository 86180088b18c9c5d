"""What the registry's API has in common: pages of a list, changes to what one has seen, who may do what."""

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar, cast

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Select

from kompetensnav_chassis.identity import Caller, May
from kompetensnav_chassis.paging import Listed, page
from kompetensnav_registry.ground.edges.links import Links
from kompetensnav_registry.ground.edges.seal import Seal

router = APIRouter(prefix="/{municipality}")


class LinkMade(BaseModel):
    """A signed link to hand over."""

    link: str


V = TypeVar("V", bound="View")
T = TypeVar("T", bound=Mapping[str, object])

Coordinator = Annotated[Caller, Depends(May("coordinator"))]

Staff = Annotated[Caller, Depends(May("coordinator", "guidance_counsellor", "case_worker"))]

CaseWorker = Annotated[Caller, Depends(May("case_worker"))]
"""May see and place learners with protected identity."""

Following = Annotated[Caller, Depends(May("coordinator", "case_worker"))]
"""Follows placements; a case worker also those of protected learners."""

Reader = Annotated[Caller, Depends(May("coordinator", "guidance_counsellor", "operator", "admin"))]


def case_worker_of(caller: Caller) -> str | None:
    """The caller's name as a case worker, who sees the protected learners named to them; None for others."""
    return caller.identity.subject if "case_worker" in caller.identity.roles else None


def seal_of(request: Request) -> Seal:
    """The vault's seal."""
    seal: Seal = request.app.state.seal
    return seal


def links_of(request: Request) -> Links:
    """The maker of signed links."""
    links: Links = request.app.state.links
    return links


class View(BaseModel):
    """Read from a row."""

    model_config = ConfigDict(from_attributes=True)


class Seen(BaseModel):
    """A change to something one has looked at; refused when someone else has changed it since."""

    revision: int = Field(ge=1, le=2**31 - 1, description="The revision that was shown.")

    def given(self, kind: type[T], *but: str) -> T:
        """What was said, and nothing that was left out, as values of a kind (a TypedDict)."""
        return cast(T, self.model_dump(exclude={"revision", *but}, exclude_unset=True, exclude_none=True))


def said(new: BaseModel, kind: type[T], *but: str) -> T:
    """All that a body says but some of it, as values of a kind (a TypedDict)."""
    return cast(T, new.model_dump(exclude={*but}))


async def page_of(
    caller: Caller, view: type[V], shown: Select[Any], order: Any, limit: int, offset: int
) -> Listed[V]:
    """One page of what is shown, in an order."""
    async with caller.begin() as session:
        rows, total = await page(session, shown, order, limit, offset)
        return Listed(items=[view.model_validate(row) for row in rows], total=total)
