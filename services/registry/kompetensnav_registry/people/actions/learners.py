"""Learners and their placement requests. A protected learner's request is told to no one."""

from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, date, datetime
from uuid import UUID

import uuid_utils.compat as uuids
from sqlalchemy import ARRAY, Uuid, any_, literal, select, update

from kompetensnav_chassis.db import Session
from kompetensnav_chassis.errors import Conflict, NotFound, Problem
from kompetensnav_chassis.outbox import tell
from kompetensnav_contracts.events.registry import RequestChanged, RequestClosed, RequestOpened
from kompetensnav_contracts.vocabulary import Reason
from kompetensnav_registry.ground.actions import protected
from kompetensnav_registry.ground.actions.locks import Lock, locked
from kompetensnav_registry.ground.actions.organisations import school_of
from kompetensnav_registry.ground.domain.ages import age_class, in_compulsory_school
from kompetensnav_registry.ground.domain.editing import ChangedMeanwhile, change
from kompetensnav_registry.ground.edges.numbers import IdentityNumber
from kompetensnav_registry.ground.edges.seal import Seal
from kompetensnav_registry.ground.tables.learners import Learner
from kompetensnav_registry.ground.tables.organisations import School
from kompetensnav_registry.ledger.actions import cases, offers
from kompetensnav_registry.ledger.domain.offers import WrongStep
from kompetensnav_registry.ledger.domain.requests import RequestValues, ranked
from kompetensnav_registry.ledger.tables.offers import Offer, Placement, Request
from kompetensnav_registry.people.actions import marking
from kompetensnav_registry.people.actions.forgetting import OTHERS, ask
from kompetensnav_registry.people.domain.learners import LearnerValues
from kompetensnav_registry.people.tables.vault import BackgroundCheck
from kompetensnav_registry.rules.domain.terms import KeptRequestTerms


async def register_learner(
    session: Session,
    *,
    municipality: str,
    administration: str,
    seal: Seal,
    identity_number: IdentityNumber | None = None,
    person: LearnerValues,
    by: str,
    case_worker: str | None,
) -> Learner:
    """A new learner in the vault; tells nothing. Raises Conflict for a number that is there already. When it
    is a protected learner's, whom the caller must not know of, nobody is registered and the case worker can
    see that it was tried."""
    await school_of(session, municipality=municipality, code=person["school"])
    row = new_learner(municipality, administration, person)
    if identity_number:
        seal_number(seal, row, identity_number)
        there = await by_number(
            session,
            municipality=municipality,
            administrations=[administration],
            number=identity_number,
            seal=seal,
        )
        if any(protected.is_shown(learner, case_worker) for learner in there):
            raise Conflict("A learner with that number is registered.", "Personen är redan registrerad.")
        first = [await protected.note_attempt(session, learner=learner, by=by) for learner in there]
        if not all(first):
            raise Conflict("A learner with that number is registered.", "Personen är redan registrerad.")
        if there:
            return row
    session.add(row)
    return row


async def change_learner(session: Session, *, learner: Learner, seen: int, changes: LearnerValues) -> Learner:
    """Corrects a learner, whom the caller has locked, and what is asked for. Raises ChangedMeanwhile,
    NotFound for a school that is not there, or Problem for a protected learner without a case worker."""
    if "school" in changes:
        await school_of(session, municipality=learner.municipality, code=changes["school"])
    marking = changes.get("security_marking", learner.security_marking)
    if marking == "none":
        changes = changes | LearnerValues(case_worker=None)
    elif not changes.get("case_worker", learner.case_worker):
        raise Problem(
            "Name the case worker who is to place the learner.",
            "Ange den handläggare som ska placera personen.",
        )
    if change(learner, seen, changes):
        await session.flush()
        await follow(session, [learner])
    return learner


def new_learner(municipality: str, administration: str, person: LearnerValues) -> Learner:
    """The row of a learner whose school is registered."""
    return Learner(
        learner_id=uuids.uuid4(),
        municipality=municipality,
        administration=administration,
        revision=1,
        **person,
    )


def seal_number(seal: Seal, row: Learner, number: IdentityNumber) -> bool:
    """Puts the number into the vault; False when it was there already."""
    index = seal.index(row.municipality, number.text)
    if row.blind_index == index:
        return False
    sealed = seal.seal(row.municipality, str(row.learner_id), number.text)
    row.sealed, row.wrapped_key = sealed.sealed, sealed.wrapped_key
    row.blind_index, row.number_kind = sealed.blind_index, number.kind
    return True


async def by_number(
    session: Session,
    *,
    municipality: str,
    administrations: Sequence[str],
    number: IdentityNumber,
    seal: Seal,
) -> Sequence[Learner]:
    """The learners of these administrations with a number, found by its blind index."""
    found = await session.scalars(
        select(Learner).where(
            Learner.municipality == municipality,
            Learner.administration.in_(administrations),
            Learner.blind_index == seal.index(municipality, number.text),
        )
    )
    return found.all()


async def follow(session: Session, learners: Iterable[Learner]) -> None:
    """Takes what has changed of learners into the requests.

    Learners who are protected from now on disappear from everywhere outside: open offers and requests are
    told as ended, the other services are asked to forget, and a case worker goes on by hand.
    """
    changed = {learner.learner_id: learner for learner in learners}
    if not changed:
        return
    marked = {id: learner for id, learner in changed.items() if learner.security_marking != "none"}
    homes = {learner.municipality for learner in changed.values()}
    for learner in marked.values():
        await marking.follow_case_worker(session, learner)
    await offers.lock_workplaces_of(session, learners=marked, municipalities=homes)
    for offer in await offers.open_offers_of(session, learners=marked, municipalities=homes):
        await offers.decline(session, offer=offer, party="coordinator", reason=Reason.REQUEST_CLOSED)
    schools = {
        (school.municipality, school.code): school
        for school in await session.scalars(select(School).where(School.municipality.in_(homes)))
    }
    found = await session.scalars(
        select(Request)
        .where(
            Request.learner_id == any_(literal(list(changed), ARRAY(Uuid))),
            Request.municipality.in_(homes),
            Request.by_hand.is_(False),
        )
        .order_by(Request.request_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    rows = found.all()
    if await offers.open_offers_of(session, learners=marked, municipalities=homes):
        raise ChangedMeanwhile  # a seat was given in between
    for row in rows:
        learner = changed[row.learner_id]
        if learner.security_marking != "none":
            if row.state == "open":
                row.revision += 1
                _tell_closed(session, row)
            row.by_hand, row.ref = True, None  # a file of requests finds it no more
        elif row.state == "open":
            _renew(session, row, learner, schools[learner.municipality, learner.school])
    for id in sorted({row.learner_id for row in rows} & marked.keys()):
        await _hide(session, marked[id])


def _renew(session: Session, row: Request, learner: Learner, school: School) -> None:
    """Takes what is said of a learner into an open request. No rule refuses that here: it is held against
    the rules at the seat."""
    data = {
        "locality": learner.locality,
        "language": learner.language,
        "cohort_id": school.cohort_id,
        "age_class": _age_class(learner, school, row.placement_type, row.starts_on, row.terms),
    }
    if any(getattr(row, name) != value for name, value in data.items()):
        for name, value in data.items():
            setattr(row, name, value)
        row.revision += 1
        _tell(session, RequestChanged, row)


async def _hide(session: Session, learner: Learner) -> None:
    """What was told of the learner is told no more, and forgotten outside."""
    offered = await session.scalars(
        select(Offer).where(
            Offer.learner_id == learner.learner_id,
            Offer.municipality == learner.municipality,
            Offer.by_hand.is_(False),
        )
    )
    for offer in await offers.lock_offers(session, offered.all()):
        offer.by_hand, offer.published_state = True, offer.state
    await session.execute(
        update(Placement)
        .where(
            Placement.learner_id == learner.learner_id,
            Placement.municipality == learner.municipality,
            Placement.by_hand.is_(False),
        )
        .values(by_hand=True, published_state=Placement.state)
    )
    ask(
        session,
        learner=learner,
        services=OTHERS,
        requested_by=learner.case_worker or "",
        now=datetime.now(UTC),
    )


async def open_request(
    session: Session, *, learner: Learner, school: School, about: RequestValues
) -> Request:
    """A learner needs a placement in a period. Raises RuleBroken with every rule that refuses it."""
    row = new_request(learner, school, about)
    cases.check_request(await cases.known(session, [row]), row)
    return tell_of_request(session, row)


def new_request(learner: Learner, school: School, about: RequestValues, ref: str | None = None) -> Request:
    """The row of a placement request that is not opened yet; type, period and wishes are said."""
    terms, kind, first = about.get("terms", KeptRequestTerms()), about["placement_type"], about["starts_on"]
    return Request(
        request_id=uuids.uuid4(),
        municipality=learner.municipality,
        administration=learner.administration,
        ref=ref,
        learner_id=learner.learner_id,
        placement_type=kind,
        starts_on=first,
        ends_on=about["ends_on"],
        cohort_id=school.cohort_id,
        locality=learner.locality,
        age_class=_age_class(learner, school, kind, first, terms),
        language=learner.language,
        needs=list(about.get("needs", ())),
        max_travel_minutes=about.get("max_travel_minutes", 60),
        wishes=ranked(about["wishes"]),
        terms=terms,
        by_hand=learner.security_marking != "none",
        state="open",
        revision=1,
    )


def _age_class(
    learner: Learner, school: School, placement_type: str, on: date, terms: KeptRequestTerms
) -> str:
    school_form = terms.get("school_form") or cases.sole_form(school.school_forms)
    return age_class(
        learner.born_on,
        on,
        in_compulsory_school=in_compulsory_school(placement_type, school_form, learner.study_year, on),
    )


def tell_of_request(session: Session, row: Request) -> Request:
    """Opens a request that no rule refuses."""
    session.add(row)
    _tell(session, RequestOpened, row)
    return row


async def change_request(
    session: Session, *, row: Request, learner: Learner, changes: RequestValues
) -> Request:
    """New wishes or limits. Raises WrongStep for a request that is not open, or RuleBroken."""
    if row.state != "open":
        raise WrongStep(row.state)
    for name, value in changes.items():
        if name != "wishes":
            setattr(row, name, value)
    if "wishes" in changes:
        row.wishes = ranked(changes["wishes"])
    school = await school_of(session, municipality=learner.municipality, code=learner.school)
    row.age_class = _age_class(learner, school, row.placement_type, row.starts_on, row.terms)
    cases.check_request(await cases.known(session, [row]), row)
    row.revision += 1
    _tell(session, RequestChanged, row)
    return row


async def close_all(session: Session, *, learners: Collection[UUID], municipality: str) -> None:
    """Closes and tells all that these learners still ask for; the caller has locked them."""
    await offers.lock_workplaces_of(session, learners=learners, municipalities=[municipality])
    found = await session.scalars(
        select(Request)
        .where(
            Request.learner_id.in_(learners),
            Request.municipality == municipality,
            Request.state == "open",
        )
        .order_by(Request.request_id)
    )
    for row in found.all():
        await close(session, row)


async def close_request(
    session: Session, *, municipality: str, request_id: UUID, case_worker: str | None = None
) -> Request:
    """The learner needs no placement any more; an open offer is declined. Raises NotFound."""
    row = await find_request(
        session, municipality=municipality, request_id=request_id, case_worker=case_worker
    )
    await close(session, row)
    return row


async def close(session: Session, row: Request) -> None:
    """Closes a request and tells it, unless it is closed already."""
    if row.state == "closed":
        return
    await _end_offers(session, row)
    row.state = "closed"
    row.revision += 1
    if not row.by_hand:
        _tell_closed(session, row)


async def _end_offers(session: Session, row: Request) -> None:
    """Declines the request's open offers. Their workplaces are locked before the request is written; a seat
    that is given in between is seen once the request is locked too. Raises ChangedMeanwhile when it was."""
    opened = select(Offer).where(
        Offer.request_id == row.request_id, Offer.municipality == row.municipality, Offer.state == "open"
    )
    found, state = await session.scalars(opened), row.state
    for offer in await offers.lock_offers(session, found.all()):
        if offer.state == "open":
            await offers.decline(session, offer=offer, party="coordinator", reason=Reason.REQUEST_CLOSED)
    await session.flush()
    await session.refresh(row, with_for_update=True)
    if row.state != state or await session.scalar(opened.limit(1)):
        raise ChangedMeanwhile


async def find_request(
    session: Session, *, municipality: str, request_id: UUID, case_worker: str | None = None
) -> Request:
    """The request; a protected learner's for the named case worker only. Raises NotFound."""
    row = await session.scalar(
        select(Request).where(
            Request.request_id == request_id,
            Request.municipality == municipality,
            protected.shown(Request, case_worker),
        )
    )
    if row is None:
        raise NotFound("There is no such request.", "Det finns inget sådant önskemål.")
    return row


async def note_background_check(
    session: Session, *, learner: Learner, kind: str, shown_on: date, checked_by: str
) -> BackgroundCheck:
    """An extract was shown and given back."""
    row = BackgroundCheck(
        check_id=uuids.uuid7(),
        municipality=learner.municipality,
        administration=learner.administration,
        learner_id=learner.learner_id,
        kind=kind,
        shown_on=shown_on,
        checked_by=checked_by,
    )
    session.add(row)
    return row


async def find_learner(
    session: Session,
    *,
    municipality: str,
    learner_id: UUID,
    case_worker: str | None = None,
    lock: Lock = None,
) -> Learner:
    """The learner, locked if need be; a protected one for the named case worker only, whose view is logged.
    Raises NotFound, also for another administration's."""
    wanted = select(Learner).where(
        Learner.learner_id == learner_id,
        Learner.municipality == municipality,
        protected.shown_learner(case_worker),
    )
    row = await session.scalar(locked(wanted, lock))
    if row is not None and case_worker:
        await protected.log_views(session, learners=[row], viewed_by=case_worker, what="learner")
    if row is None:
        raise NotFound("There is no such learner.", "Det finns ingen sådan elev eller deltagare.")
    return row


def _tell_closed(session: Session, row: Request) -> None:
    tell(
        session,
        RequestClosed(
            request_id=row.request_id, learner_id=row.learner_id, placement_type=row.placement_type
        ),
        municipality=row.municipality,
        administration=row.administration,
        revision=row.revision,
    )


def _tell(session: Session, event: type[RequestOpened] | type[RequestChanged], row: Request) -> None:
    if row.by_hand:
        return
    tell(
        session,
        event(
            request_id=row.request_id,
            learner_id=row.learner_id,
            placement_type=row.placement_type,
            starts_on=row.starts_on,
            ends_on=row.ends_on,
            cohort_id=row.cohort_id,
            locality=row.locality,
            age_class=row.age_class,
            language=row.language,
            needs=tuple(row.needs),
            max_travel_minutes=row.max_travel_minutes,
            wishes=tuple(row.wishes),
        ),
        municipality=row.municipality,
        administration=row.administration,
        revision=row.revision,
    )
