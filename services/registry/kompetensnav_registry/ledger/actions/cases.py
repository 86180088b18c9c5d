"""What is known of requests and slots, as the rules need it, and whom a change of the rules touches."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from uuid import UUID

from sqlalchemy import ARRAY, String, Uuid, bindparam, func, select, text

from kompetensnav_chassis.db import Session
from kompetensnav_contracts.vocabulary import Party
from kompetensnav_registry.ground.actions.scopes import reaching
from kompetensnav_registry.ground.domain.ages import age
from kompetensnav_registry.ledger.tables.offers import Offer, Placement, Request
from kompetensnav_registry.ledger.tables.slots import Slot
from kompetensnav_registry.ledger.tables.workplaces import Supervisor
from kompetensnav_registry.rules.actions import RuleBroken, answer_rules, pack, settings_of, standing
from kompetensnav_registry.rules.domain import broken
from kompetensnav_registry.rules.domain.answers import answer_rule
from kompetensnav_registry.rules.domain.case import Case
from kompetensnav_registry.rules.domain.pack import Change, Rule, Setting, When, changes, in_force
from kompetensnav_registry.rules.edges import clock


@dataclass(frozen=True)
class LearnerData:
    """What the rules need of a learner; `school_forms` of the school, `shown_on` of a background check."""

    born_on: date
    programme: str | None
    study_year: int | None
    security_marking: str
    school_forms: Sequence[str] | None
    shown_on: date | None


@dataclass(frozen=True)
class Known:
    """What the rules need of learners and supervisors, read once for many cases."""

    settings: Mapping[str, Sequence[Setting]]
    learners: Mapping[UUID, LearnerData]
    supervisors: Mapping[UUID, bool]
    """Supervisor -> whether of age."""
    today: date

    def is_hidden(self, request: Request) -> bool:
        """Whether nobody outside hears of it: its learner is marked now, or was when it was opened, or is
        there no more."""
        learner = self.learners.get(request.learner_id)
        return request.by_hand or learner is None or learner.security_marking != "none"

    def rules(self, municipality: str, on: date) -> Iterable[Rule]:
        """The rules in force for a placement of the municipality that starts on a day."""
        own = self.settings.get(municipality)
        return in_force(pack(), on, own).values() if own else standing(on)

    def case(
        self,
        request: Request,
        slot: Slot | None,
        *,
        is_automatic: bool = False,
        authority_answers: bool = False,
        declared: frozenset[str] = frozenset(),
    ) -> Case:
        """What the rules are asked of a request, and of the slot if there is one."""
        starts_on, said = slot.starts_on if slot else request.starts_on, request.terms
        case = Case(
            placement_type=request.placement_type,
            starts_on=starts_on,
            ends_on=slot.ends_on if slot else request.ends_on,
            today=self.today,
            age_class=request.age_class,
            needs=frozenset(request.needs),
            max_travel_minutes=request.max_travel_minutes,
            school_hours_per_week=said.get("school_hours_per_week"),
            decision=said.get("decision"),
            guardian_consents=said.get("guardian_consents"),
            school_form=said.get("school_form"),
            is_school_week=said.get("in_school_weeks"),
            is_automatic=is_automatic,
            authority_answers=authority_answers,
            declared=declared,
        )
        if learner := self.learners.get(request.learner_id):
            case = replace(
                case,
                age=age(learner.born_on, starts_on),
                programme=learner.programme,
                study_year=learner.study_year,
                check_shown_on=learner.shown_on,
                school_form=case.school_form or sole_form(learner.school_forms),
                is_protected=learner.security_marking != "none",
            )
        return self._offered(case, slot) if slot else case

    def _offered(self, case: Case, slot: Slot) -> Case:
        terms, adult = slot.terms, None
        if slot.supervisor_id:
            adult = self.supervisors.get(slot.supervisor_id)
        return replace(
            case,
            weekdays=frozenset(slot.weekdays),
            offers_needs=frozenset(slot.offers_needs),
            hazards=frozenset(terms.get("hazards", ())),
            programmes=frozenset(terms.get("programmes", ())),
            study_years=frozenset(terms.get("study_years", ())),
            starts_at=clock(terms.get("starts_at")),
            ends_at=clock(terms.get("ends_at")),
            hours_per_day=terms.get("hours_per_day"),
            hours_per_week=terms.get("hours_per_week"),
            break_minutes=terms.get("break_minutes"),
            break_after=terms.get("break_after"),
            setting=terms.get("setting"),
            needs_licence=terms.get("needs_licence", False),
            supervisor_is_adult=adult,
        )


def sole_form(school_forms: Sequence[str] | None) -> str | None:
    """The form of a school that has one."""
    return school_forms[0] if school_forms and len(school_forms) == 1 else None


_LEARNERS = text(
    """
    select learner_id, born_on, programme, study_year, security_marking,
    (select s.school_forms from school s where s.municipality = l.municipality and s.code = l.school)
    as school_forms,
    (select max(c.shown_on) from vault.background_check c where c.learner_id = l.learner_id) as shown_on
    from vault.learner l where learner_id = any(:ids) and municipality = any(:homes)
    """
).bindparams(bindparam("ids", type_=ARRAY(Uuid)), bindparam("homes", type_=ARRAY(String)))


async def known(session: Session, requests: Iterable[Request], slots: Iterable[Slot | None] = ()) -> Known:
    """Reads what the rules need, for cases of these requests and slots."""
    asked = list(requests)
    homes, ids = {r.municipality for r in asked}, {r.learner_id for r in asked}
    await session.flush()
    learners = await session.execute(_LEARNERS, {"ids": list(ids), "homes": list(homes)})
    people = {s.supervisor_id for s in slots if s and s.supervisor_id}
    supervisors = (
        await session.execute(
            select(Supervisor.supervisor_id, Supervisor.is_adult).where(  # of the slots' own municipalities
                Supervisor.supervisor_id.in_(people)
            )
        )
        if people
        else ()
    )
    return Known(
        await settings_of(session, homes),
        {id: LearnerData(*about) for id, *about in learners},
        {id: is_adult for id, is_adult in supervisors},
        datetime.now(UTC).date(),
    )


def check_request(known: Known, request: Request) -> None:
    """Raises RuleBroken with every rule that refuses a request."""
    _raise(known, request, known.case(request, None), "request")


def seat_broken(known: Known, request: Request, slot: Slot, *, is_automatic: bool = False) -> list[Rule]:
    """The rules that refuse the learner a seat in the slot; those of the ledger itself (R12, R13, R21) are
    the ledger's to ask."""
    rule = answer_rule(answer_rules(), slot.placement_type, slot.starts_on)
    case = known.case(
        request, slot, is_automatic=is_automatic, authority_answers=Party.AUTHORITY in rule.must_answer
    )
    return broken(case, known.rules(request.municipality, slot.starts_on), "seat")


async def check_start(session: Session, *, placement: Placement, offer: Offer) -> None:
    """Raises RuleBroken with every rule that must be met before the start and is not."""
    request = await session.get_one(Request, offer.request_id)
    host = offer.workplace_municipality
    async with reaching(session, [host]):
        slot = await session.scalar(
            select(Slot).where(Slot.slot_id == offer.slot_id, Slot.municipality == host)
        )
        given = await known(session, [request], [slot])
    case = given.case(request, slot, declared=frozenset(offer.declared))
    _raise(given, request, case, "start")


def _raise(known: Known, request: Request, case: Case, *when: When) -> None:
    found = broken(case, known.rules(request.municipality, case.starts_on), *when)
    if found:
        raise RuleBroken(found)


async def what_changes(
    session: Session, *, municipality: str, today: date, on: date
) -> list[tuple[Change, dict[str, int]]]:
    """The rules that will be other on a day than today, and whom each touches: open requests, slots and
    placements of its types that begin after it changes (of learners, the caller's administrations')."""
    settings = (await settings_of(session, [municipality])).get(municipality, [])
    found = []
    for change in changes(pack(), today, on, settings):
        rule = change.after or change.before
        assert rule is not None
        since = max(today, change.after.valid_from) if change.after else today
        found.append((change, await _touched(session, municipality, rule.placement_types, since)))
    return found


async def _touched(
    session: Session, municipality: str, placement_types: Iterable[str], since: date
) -> dict[str, int]:
    types = list(placement_types)
    requests = await session.scalar(
        select(func.count()).where(
            Request.municipality == municipality,
            Request.placement_type.in_(types),
            Request.starts_on >= since,
            Request.state == "open",
            Request.by_hand.is_(False),
        )
    )
    slots = await session.scalar(
        select(func.count()).where(
            Slot.municipality == municipality,
            Slot.placement_type.in_(types),
            Slot.starts_on >= since,
            Slot.withdrawn_at.is_(None),
        )
    )
    placements = await session.scalar(
        select(func.count())
        .select_from(Placement)
        .join(Offer, Offer.offer_id == Placement.offer_id)
        .where(
            Placement.municipality == municipality,
            Offer.placement_type.in_(types),
            Placement.starts_on >= since,
            Placement.state == "confirmed",
            Placement.by_hand.is_(False),
        )
    )
    return {"requests": requests or 0, "slots": slots or 0, "placements": placements or 0}
