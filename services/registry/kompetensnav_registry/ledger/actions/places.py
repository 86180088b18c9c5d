"""Finding the workplace whose account it is, and its supervisors."""

from uuid import UUID

from sqlalchemy import select

from kompetensnav_chassis.db import Session
from kompetensnav_chassis.errors import NotFound
from kompetensnav_registry.ledger.tables.workplaces import Supervisor, Workplace


async def find_workplace(
    session: Session, *, municipality: str, workplace_id: UUID, lock: bool = False
) -> Workplace:
    """The workplace. Raises NotFound."""
    found = select(Workplace).where(
        Workplace.workplace_id == workplace_id, Workplace.municipality == municipality
    )
    row = await session.scalar(found.with_for_update() if lock else found)
    if row is None:
        raise NotFound("There is no such workplace.", "Det finns inget sådant arbetsställe.")
    return row


async def find_supervisor(session: Session, *, municipality: str, supervisor_id: UUID) -> Supervisor:
    """The supervisor. Raises NotFound."""
    row = await session.scalar(
        select(Supervisor).where(
            Supervisor.supervisor_id == supervisor_id, Supervisor.municipality == municipality
        )
    )
    if row is None:
        raise NotFound("There is no such supervisor.", "Det finns ingen sådan handledare.")
    return row


async def supervisor_at(session: Session, *, workplace: Workplace, supervisor_id: UUID) -> Supervisor:
    """A supervisor of that workplace. Raises NotFound, also for another workplace's."""
    row = await find_supervisor(session, municipality=workplace.municipality, supervisor_id=supervisor_id)
    if row.workplace_id != workplace.workplace_id or row.left_on:
        raise NotFound("The workplace has no such supervisor.", "Arbetsstället har ingen sådan handledare.")
    return row
