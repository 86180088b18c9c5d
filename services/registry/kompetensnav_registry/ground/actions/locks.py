"""Rows that others may not change, or not use at all, until the transaction ends."""

from typing import Any, Literal, TypeVar

from sqlalchemy import Select

S = TypeVar("S", bound=Select[Any])

Lock = Literal["share", "update"] | None
"""`share`: nobody changes the rows; `update`: nobody else takes either lock. Rows of a kind are locked in the
order of their ids."""


def locked(wanted: S, lock: Lock) -> S:
    """The statement with a lock, which reads the rows as they are once it has them."""
    if lock is None:
        return wanted
    return wanted.with_for_update(read=lock == "share").execution_options(populate_existing=True)
