"""The travel table of the stack."""

from collections.abc import Mapping

from sqlalchemy.dialects.postgresql import insert as upsert

from kompetensnav_chassis.db import Session
from kompetensnav_matching.tables import TravelTime


async def put_times(session: Session, times: Mapping[tuple[str, str], int]) -> None:
    """Minutes by (home, work); those there already are replaced."""
    if not times:
        return
    new = upsert(TravelTime)
    columns = [TravelTime.home, TravelTime.work]
    rows = [{"home": home, "work": work, "minutes": m} for (home, work), m in sorted(times.items())]
    await session.execute(
        new.on_conflict_do_update(index_elements=columns, set_={"minutes": new.excluded.minutes}), rows
    )
