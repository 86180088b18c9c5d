"""The listing that is searched: kept up to date in the transaction that changes a slot, free of row-level
security (text and distance cannot use an index under a policy), and holding shareable facts only."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from math import cos, radians
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Float,
    Select,
    Text,
    and_,
    cast,
    event,
    func,
    literal,
    or_,
    select,
    text,
    true,
)
from sqlalchemy.dialects.postgresql import TSQUERY
from sqlalchemy.orm import Session as SyncSession
from sqlalchemy.orm import aliased

from kompetensnav_chassis.codes import occupation_name
from kompetensnav_chassis.db import Session
from kompetensnav_registry.ground.tables.reference import Locality, Occupation, Substitution
from kompetensnav_registry.ledger.tables.listing import Listing
from kompetensnav_registry.ledger.tables.slots import Slot
from kompetensnav_registry.ledger.tables.workplaces import Workplace

_KEPT = (
    "slot_id", "home", "workplace_id", "employer_id", "workplace", "placement_type", "occupation", "locality",
    "starts_on", "ends_on", "seats_left", "shared_with", "named_municipalities", "owner", "description",
)  # fmt: skip

_CAST = {"employer_id": "uuid", "occupation": "varchar", "locality": "varchar"}
"""Parameters that stand more than once, whose type must be said."""

_HERE = "from locality where code = cast(:locality as varchar)"

_LOOKED_UP = {
    "employer": "(select name from employer where employer_id = cast(:employer_id as uuid))",
    "occupation_name": "coalesce((select name from occupation_group where code ="
    " cast(:occupation as varchar)), :fallback_name)",
    "latitude": f"coalesce(cast(:latitude as float), (select latitude {_HERE}))",
    "longitude": f"coalesce(cast(:longitude as float), (select longitude {_HERE}))",
}

_VALUES = {n: f"cast(:{n} as {_CAST[n]})" if n in _CAST else f":{n}" for n in _KEPT} | _LOOKED_UP

_WRITE = text(
    f"insert into listing ({', '.join(_VALUES)}) values ({', '.join(_VALUES.values())})"
    " on conflict (slot_id) do update set "
    + ", ".join(f"{name} = excluded.{name}" for name in _VALUES if name != "slot_id")
)

_LEFT = text("update listing set seats_left = :seats_left where slot_id = :slot_id")

_GONE = text("delete from listing where slot_id = any(:gone)")

EARTH_KM = 6371.0

NEAR_ENOUGH = 25
"""Least percentage of substitutability for an occupation to be a related one."""


def show(session: Session, slot: Slot, workplace: Workplace) -> None:
    """The slot is found from now on, as it is now (when the transaction commits)."""
    if slot.own_found or slot.withdrawn_at:
        hide(session, slot.slot_id)
        return
    values = {
        "slot_id": slot.slot_id,
        "home": slot.municipality,
        "workplace_id": slot.workplace_id,
        "employer_id": slot.employer_id,
        "workplace": workplace.name,
        "placement_type": slot.placement_type,
        "occupation": slot.occupation,
        "locality": slot.locality,
        "starts_on": slot.starts_on,
        "ends_on": slot.ends_on,
        "seats_left": slot.seats_left,
        "shared_with": slot.shared_with,
        "named_municipalities": slot.named_municipalities,
        "owner": slot.administration,
        "description": slot.description,
        "fallback_name": occupation_name(slot.occupation),
        "latitude": workplace.latitude,
        "longitude": workplace.longitude,
    }
    session.info.setdefault("listing", {})[slot.slot_id] = values


def is_left(session: Session, slot_id: UUID, seats_left: int) -> bool:
    """So many seats are left in a slot that is to be shown when the transaction commits; whether it is."""
    waiting = session.info.get("listing", {}).get(slot_id)
    if waiting:
        waiting["seats_left"] = seats_left
    return bool(waiting)


def left(session: Session, slot_id: UUID, seats_left: int) -> None:
    """So many seats are left."""
    if not is_left(session, slot_id, seats_left):
        session.info.setdefault("listing_left", {})[slot_id] = seats_left


def hide(session: Session, slot_id: UUID) -> None:
    """The slot is found no more."""
    session.info.get("listing", {}).pop(slot_id, None)
    session.info.setdefault("listing_gone", set()).add(slot_id)


@event.listens_for(SyncSession, "before_commit")
def _write(session: SyncSession) -> None:
    shown = session.info.pop("listing", None)
    seats = session.info.pop("listing_left", None)
    gone = session.info.pop("listing_gone", None)
    if not (shown or seats or gone):
        return
    session.flush()
    if shown:
        session.execute(_WRITE, list(shown.values()))
    if seats:
        session.execute(_LEFT, [{"slot_id": id, "seats_left": n} for id, n in sorted(seats.items())])
    if gone:
        session.execute(_GONE, {"gone": list(gone)})


@dataclass(frozen=True)
class Wanted:
    """What is looked for; what is left out does not matter."""

    words: str = ""
    occupation: str | None = None
    related: bool = False
    placement_type: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    km: float | None = None
    week: date | None = None
    seats: int = 1


async def related_to(session: Session, occupation: str) -> dict[str, int]:
    """Occupation group -> how nearly (percent) somebody in it may stand in for the wanted one."""
    wanted, substitute = aliased(Occupation), aliased(Occupation)
    rows = await session.execute(
        select(substitute.occupation_group, func.max(Substitution.percentage))
        .join(wanted, wanted.concept_id == Substitution.wanted)
        .join(substitute, substitute.concept_id == Substitution.substitute)
        .where(wanted.occupation_group == occupation, Substitution.percentage >= NEAR_ENOUGH)
        .group_by(substitute.occupation_group)
    )
    return {group: percentage for group, percentage in rows} | {occupation: 100}


async def place_of(session: Session, locality: str) -> tuple[float, float] | None:
    """Where a locality lies."""
    row = await session.get(Locality, locality)
    return (row.latitude, row.longitude) if row else None


async def names_of(session: Session, localities: Iterable[str]) -> dict[str, str]:
    """What localities are called, as far as they are known."""
    rows = await session.execute(
        select(Locality.code, Locality.name).where(Locality.code.in_(list(localities)))
    )
    return {code: name for code, name in rows}


def may_see(municipalities: Sequence[str], administrations: Sequence[str]) -> ColumnElement[bool]:
    """Listings that a caller may find: open to everyone, shared with a municipality of theirs, or of their
    own municipality and not kept to another administration."""
    own = Listing.home.in_(list(municipalities))
    kept = Listing.shared_with == "administration"
    return or_(
        Listing.shared_with == "public",
        and_(own, or_(~kept, Listing.owner.in_(list(administrations)))),
        and_(
            Listing.shared_with == "named",
            Listing.named_municipalities.overlap(list(municipalities)),
        ),
    )


def query_of(words: str) -> ColumnElement[Any]:
    """The words as they are looked for: stemmed in Swedish, and each also as the beginning of a longer
    one, as compound words are written (`bageri` finds `bageriet` and `bageributik`)."""
    plain = cast(func.websearch_to_tsquery("swedish", words), Text)
    return cast(func.regexp_replace(plain, "'([^']+)'", r"'\1':*", "g"), TSQUERY)


async def find(
    session: Session,
    wanted: Wanted,
    seen: ColumnElement[bool],
    related: dict[str, int],
    *,
    limit: int,
    offset: int,
) -> tuple[list[tuple[Listing, float | None]], int]:
    """A page of the slots that fit, with their distance in kilometres, and how many fit in all; the nearest
    first (by distance, then words, then relatedness, then day)."""
    # Looked through once, for the count and for the page, in every municipality that `seen` lets in.
    hits = _fitting(wanted, seen, related).cte("hits")
    page = select(hits).order_by(*_order(wanted, hits.c)).limit(limit).offset(offset).subquery("page")
    counted = select(func.count().label("total")).select_from(hits).subquery("counted")
    # every municipality that `seen` lets in; a page beyond the last still says how many there are
    rows = await session.execute(
        select(counted.c.total, Listing, page.c.km)
        .select_from(counted)
        .outerjoin(page, true())
        .outerjoin(Listing, Listing.slot_id == page.c.slot_id)
        .order_by(*_order(wanted, page.c))
    )
    found = rows.all()
    return [(row, km) for _, row, km in found if row is not None], found[0].total


def _order(wanted: Wanted, hit: Any) -> list[Any]:
    order: list[Any] = []
    if wanted.latitude is not None:
        order.append(hit.km.asc().nulls_last())
    if wanted.words:
        order.append(hit.rank.desc())
    if wanted.occupation:
        order.append((hit.occupation == wanted.occupation).desc())
    return [*order, hit.starts_on, hit.slot_id]


def _fitting(wanted: Wanted, seen: ColumnElement[bool], related: dict[str, int]) -> Select[Any]:
    distance = _distance(wanted)
    query = query_of(wanted.words)
    rank = func.ts_rank(Listing.words, query) if wanted.words else literal(0.0)
    # every municipality that `seen` lets in
    found = select(
        Listing.slot_id, Listing.occupation, Listing.starts_on, distance.label("km"), rank.label("rank")
    ).where(seen, Listing.seats_left >= wanted.seats)
    if wanted.words:
        found = found.where(Listing.words.op("@@")(query))
    if related:
        found = found.where(Listing.occupation.in_(list(related)))
    if wanted.placement_type:
        found = found.where(Listing.placement_type == wanted.placement_type)
    if wanted.week:
        sunday = wanted.week + timedelta(days=6)
        found = found.where(Listing.starts_on <= sunday, Listing.ends_on >= wanted.week)
    if wanted.km is not None and wanted.latitude is not None and wanted.longitude is not None:
        north = wanted.km / 111.0
        east = north / max(0.2, cos(radians(wanted.latitude)))
        found = found.where(
            Listing.latitude.between(wanted.latitude - north, wanted.latitude + north),
            Listing.longitude.between(wanted.longitude - east, wanted.longitude + east),
            distance <= wanted.km,
        )
    return found


def _distance(wanted: Wanted) -> ColumnElement[float]:
    """Kilometres as the crow flies (haversine formula); null when nothing is asked about."""
    if wanted.latitude is None or wanted.longitude is None:
        return cast(literal(None), Float)
    north = func.radians(Listing.latitude - wanted.latitude) / 2
    east = func.radians(Listing.longitude - wanted.longitude) / 2
    part = func.power(func.sin(north), 2) + func.cos(func.radians(wanted.latitude)) * func.cos(
        func.radians(Listing.latitude)
    ) * func.power(func.sin(east), 2)
    return 2 * EARTH_KM * func.asin(func.sqrt(part))


async def show_again(session: Session, *, municipality: str, slot_ids: Iterable[UUID]) -> None:
    """Slots whose workplace or employer has changed."""
    rows = await session.execute(
        select(Slot, Workplace)
        .join(Workplace, Workplace.workplace_id == Slot.workplace_id)
        .where(Slot.slot_id.in_(list(slot_ids)), Slot.municipality == municipality)
    )
    for slot, workplace in rows:
        show(session, slot, workplace)
