"""Lists come in pages, always in the same order, with how many there are in all."""

from collections.abc import Sequence
from typing import Annotated, Any, Generic, TypeVar

from fastapi import Query
from pydantic import BaseModel
from sqlalchemy import Select, func, select

from kompetensnav_chassis.db import Session

T = TypeVar("T")
Limit = Annotated[int, Query(ge=1, le=500, description="Rows per page.")]
Offset = Annotated[int, Query(ge=0, le=1_000_000_000, description="Rows to skip.")]


class Listed(BaseModel, Generic[T]):
    """One page of a list, always in the same order."""

    items: list[T]
    total: int


async def page(
    session: Session, shown: Select[Any], order: Any, limit: int, offset: int
) -> tuple[Sequence[Any], int]:
    """The rows of one page, and how many there are. `order`: a column, or several, that tell every row from
    all others; () when what is shown is in such an order already."""
    columns = order if isinstance(order, tuple) else (order,)
    rows = (await session.scalars(shown.order_by(*columns).limit(limit).offset(offset))).all()
    total = await session.scalar(select(func.count()).select_from(shown.order_by(None).subquery()))
    return rows, total or 0
