"""Employers' competence needs, learners who finish an education, and the invitations in between."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date
from uuid import UUID

import uuid_utils.compat as uuids
from sqlalchemy import func, select

from kompetensnav_chassis.db import EVERYONE, Session, rescope
from kompetensnav_chassis.errors import NotFound, Problem
from kompetensnav_chassis.outbox import tell
from kompetensnav_contracts.events.registry import InvitationMade
from kompetensnav_registry.actors.actions.employers import find_employer
from kompetensnav_registry.actors.domain.values import DemandValues
from kompetensnav_registry.actors.tables import Demand, Invitation
from kompetensnav_registry.ground.domain.editing import change
from kompetensnav_registry.ground.domain.finishing import HORIZON, Group, TooFew, half_year, shown
from kompetensnav_registry.ground.tables.learners import Learner
from kompetensnav_registry.ground.tables.organisations import SharingAgreement
from kompetensnav_registry.ledger.actions.places import find_workplace
from kompetensnav_registry.ledger.tables.workplaces import Workplace


async def state_demand(
    session: Session,
    *,
    municipality: str,
    employer_id: UUID,
    workplace_id: UUID | None,
    today: date,
    about: DemandValues,
) -> Demand:
    """What an employer needs. Raises NotFound, or Problem for a workplace of somebody else."""
    employer = await find_employer(session, employer_id=employer_id)
    if workplace_id:
        place = await find_workplace(session, municipality=municipality, workplace_id=workplace_id)
        if place.employer_id != employer.employer_id:
            raise Problem(
                "The workplace is another employer's.", "Arbetsstället tillhör en annan arbetsgivare."
            )
    row = Demand(
        demand_id=uuids.uuid7(),
        municipality=municipality,
        employer_id=employer.employer_id,
        workplace_id=workplace_id,
        stated_on=today,
        revision=1,
        **about,
    )
    session.add(row)
    return row


async def change_demand(
    session: Session, *, municipality: str, demand_id: UUID, seen: int, changes: DemandValues
) -> Demand:
    """Corrects or ends a need. Raises NotFound or ChangedMeanwhile."""
    row = await session.scalar(
        select(Demand)
        .where(Demand.demand_id == demand_id, Demand.municipality == municipality)
        .with_for_update()
    )
    if row is None:
        raise NotFound("There is no such need.", "Det finns inget sådant behov.")
    change(row, seen, changes)
    return row


async def needs_and_learners(
    session: Session, *, municipality: str, today: date
) -> list[tuple[str, str, int, int]]:
    """(occupation, half-year, how many employers need by then, how many learners finish by then).

    Of the learners only those that the caller's administrations are responsible for, so exact numbers.
    """
    wanted: dict[tuple[str, str], int] = defaultdict(int)
    demands = await session.execute(
        select(Demand.occupation, Demand.needed_by, func.sum(Demand.number))
        .where(Demand.municipality == municipality, Demand.ended_on.is_(None), Demand.needed_by >= today)
        .group_by(Demand.occupation, Demand.needed_by)
    )
    for occupation, needed_by, number in demands:
        wanted[occupation, half_year(needed_by)] += number
    finishing: dict[tuple[str, str], int] = defaultdict(int)
    learners = await session.execute(
        select(Learner.aims_at, Learner.finishes_on).where(
            Learner.municipality == municipality,
            Learner.aims_at.is_not(None),
            Learner.finishes_on >= today,
            Learner.security_marking == "none",
            Learner.left_on.is_(None),
        )
    )
    for aims_at, finishes_on in learners:
        finishing[str(aims_at), half_year(finishes_on or today)] += 1
    keys = sorted(wanted.keys() | finishing.keys())
    return [(o, when, wanted.get((o, when), 0), finishing.get((o, when), 0)) for o, when in keys]


async def finishing(session: Session, *, workplace_id: UUID, today: date) -> dict[Group, int]:
    """How many adult learners finish, by occupation, town and half-year: in the workplace's municipality and
    those it has a sharing agreement with. Groups of fewer than five are not shown.

    The counting sees every administration; what comes out is only numbers.
    """
    await rescope(session, EVERYONE)
    home = await session.scalar(
        select(Workplace.municipality).where(
            Workplace.workplace_id == workplace_id
        )  # whose municipality is asked
    )
    if home is None:
        raise NotFound("There is no such workplace.", "Det finns inget sådant arbetsställe.")
    together = {home}
    agreements = await session.scalars(
        select(SharingAgreement).where(
            SharingAgreement.municipalities.any(home),  # type: ignore[arg-type]
            SharingAgreement.valid_from <= today,
            SharingAgreement.valid_to.is_(None) | (SharingAgreement.valid_to >= today),
        )
    )
    for agreement in agreements:
        together |= set(agreement.municipalities)
    adult_if_born_by = today.replace(year=today.year - 18, day=min(today.day, 28))
    rows = await session.execute(
        select(Learner.aims_at, Learner.locality, Learner.finishes_on).where(
            Learner.municipality.in_(together),
            Learner.aims_at.is_not(None),
            Learner.finishes_on.between(today, today + HORIZON),
            Learner.born_on <= adult_if_born_by,
            Learner.security_marking == "none",
            Learner.left_on.is_(None),
        )
    )
    return shown(Group(str(aims_at), town, half_year(on or today)) for aims_at, town, on in rows)


async def invite(
    session: Session, *, workplace_id: UUID, groups: Iterable[Group], today: date
) -> Sequence[Invitation]:
    """An employer invites groups to a visit; the municipality's coordinators are told. Raises TooFew for a
    group that is not shown."""
    there = await finishing(session, workplace_id=workplace_id, today=today)
    chosen = sorted(set(groups))
    if any(group not in there for group in chosen):
        raise TooFew
    place = await session.get_one(Workplace, workplace_id)
    made = []
    for group in chosen:
        row = Invitation(
            invitation_id=uuids.uuid7(),
            municipality=place.municipality,
            workplace_id=workplace_id,
            occupation=group.occupation,
            locality=group.locality,
            finishing=group.finishing,
        )
        session.add(row)
        made.append(row)
        event = InvitationMade(
            invitation_id=row.invitation_id,
            workplace_id=workplace_id,
            occupation=group.occupation,
            locality=group.locality,
            finishing=group.finishing,
        )
        tell(session, event, municipality=place.municipality, revision=1)
    return made
