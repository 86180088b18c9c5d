"""What the registry's API has in common: pages of a list, and who may do what."""

from typing import Annotated, Generic, TypeVar

from fastapi import Depends, Query
from pydantic import BaseModel, ConfigDict

from kompetensnav_chassis.identity import Caller, May

T = TypeVar("T")

Coordinator = Annotated[Caller, Depends(May("coordinator"))]
Staff = Annotated[Caller, Depends(May("coordinator", "guidance_counsellor", "case_worker"))]
CaseWorker = Annotated[Caller, Depends(May("case_worker"))]
"""May see and place learners with protected identity."""
Following = Annotated[Caller, Depends(May("coordinator", "case_worker"))]
"""Follows placements; a case worker also those of protected learners."""
Reader = Annotated[Caller, Depends(May("coordinator", "guidance_counsellor", "operator", "admin"))]
Limit = Annotated[int, Query(ge=1, le=500, description="Rows per page.")]
Offset = Annotated[int, Query(ge=0, le=1_000_000_000, description="Rows to skip.")]


def sees_protected(caller: Caller) -> bool:
    """Whether the caller may see rows of protected learners."""
    return "case_worker" in caller.identity.roles


class View(BaseModel):
    """Read from a row."""

    model_config = ConfigDict(from_attributes=True)


class Listed(BaseModel, Generic[T]):
    """One page of a list, always in the same order."""

    items: list[T]
    total: int
