"""What this service does when something has happened elsewhere."""

import uuid_utils.compat as uuids
from sqlalchemy import func, select

from kompetensnav_chassis.broker.listener import Listener
from kompetensnav_chassis.db import Session
from kompetensnav_chassis.outbox import tell
from kompetensnav_contracts.events.registry import PlacementConfirmed
from pitea_introduktion.domain import PLACES, day_before, has_room
from pitea_introduktion.events import DayAnnounced, PlaceBooked
from pitea_introduktion.tables import Day, Place

listener = Listener("introduktion")


@listener.on(PlacementConfirmed)
async def on_placement_confirmed(event: PlacementConfirmed, session: Session) -> None:
    """Books a place the week before; announces a new day when there is none with room."""
    held_on = day_before(event.starts_on)
    municipality = event.envelope.municipality
    # Two placements at once must not announce two days: there is no row to lock before the first.
    of_the_day = func.hashtext(f"{municipality} {held_on}")
    await session.execute(select(func.pg_advisory_xact_lock(of_the_day)))
    days = await session.scalars(
        select(Day).where(Day.municipality == municipality, Day.held_on == held_on).order_by(Day.day_id)
    )
    day = next((day for day in days if has_room(day.booked)), None)
    if day is None:
        day = Day(day_id=uuids.uuid7(), municipality=municipality, held_on=held_on, booked=0)
        session.add(day)
        announced = DayAnnounced(day_id=day.day_id, held_on=held_on, places=PLACES)
        tell(session, announced, municipality=municipality, revision=1)
    day.booked += 1
    administration = event.envelope.administration
    session.add(
        Place(
            placement_id=event.placement_id,
            municipality=municipality,
            administration=administration,
            day_id=day.day_id,
        )
    )
    booked = PlaceBooked(placement_id=event.placement_id, day_id=day.day_id, held_on=held_on)
    tell(session, booked, municipality=municipality, administration=administration, revision=1)
