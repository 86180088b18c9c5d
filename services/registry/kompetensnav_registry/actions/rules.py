"""The rule pack at work: what it says of a request, a seat or a start, with a municipality's own numbers."""

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import ARRAY, String, Uuid, bindparam, func, select, text

from kompetensnav_chassis.db import Session
from kompetensnav_chassis.errors import Problem
from kompetensnav_contracts.vocabulary import Party
from kompetensnav_registry import domain
from kompetensnav_registry.actions.ledger import reaching
from kompetensnav_registry.domain.rules import Case, Change, Rule, Setting, When, broken, changes, in_force
from kompetensnav_registry.edges.terms import Clock, clock
from kompetensnav_registry.tables import (
    Offer,
    Placement,
    Request,
    RuleSetting,
    Slot,
    Supervisor,
)

MOST = 10_000
"""No number of a rule is as large."""


class RuleBroken(Problem):
    """One or more rules refuse it; each is named."""

    type, status = "rule-broken", 409

    def __init__(self, rules: Sequence[Rule]) -> None:
        names = ", ".join(rule.id for rule in rules)
        super().__init__(
            f"It breaks {names}: {' '.join(rule.en for rule in rules)}",
            f"Det bryter mot {names}: {' '.join(rule.sv for rule in rules)}",
            errors=[{"rule": r.id, "law": r.law, "reason": r.en, "reason_sv": r.sv} for r in rules],
        )
        self.rules = rules


@cache
def pack() -> tuple[Rule, ...]:
    """Every version of every rule, from the package's data."""
    text = (files("kompetensnav_registry") / "data/rules.toml").read_text()
    return tuple(Rule.read(row) for row in tomllib.loads(text)["rule"])


@lru_cache(maxsize=1_000)
def _standing(on: date) -> tuple[Rule, ...]:
    """The rules in force on a day where a municipality has no numbers of its own."""
    return tuple(in_force(pack(), on).values())


async def settings_of(session: Session, municipalities: Iterable[str]) -> dict[str, list[Setting]]:
    """Municipality -> its own numbers."""
    rows = await session.scalars(
        select(RuleSetting)
        .where(RuleSetting.municipality.in_(set(municipalities)))
        .order_by(RuleSetting.rule, RuleSetting.valid_from)
    )
    found: dict[str, list[Setting]] = {}
    for row in rows:
        setting = Setting(row.rule, row.valid_from, row.valid_to, row.parameters, row.switched_off)
        found.setdefault(row.municipality, []).append(setting)
    return found


@dataclass(frozen=True)
class LearnerFacts:
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
    learners: Mapping[UUID, LearnerFacts]
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
        return in_force(pack(), on, own).values() if own else _standing(on)

    def case(self, request: Request, slot: Slot | None, **more: Any) -> Case:
        """The facts of a request, and of the slot if there is one."""
        learner = self.learners.get(request.learner_id)
        starts_on = slot.starts_on if slot else request.starts_on
        terms, said = (slot.terms if slot else {}), request.terms
        about: dict[str, Any] = {
            "placement_type": request.placement_type,
            "starts_on": starts_on,
            "ends_on": slot.ends_on if slot else request.ends_on,
            "today": self.today,
            "age_class": request.age_class,
            "needs": frozenset(request.needs),
            "max_travel_minutes": request.max_travel_minutes,
            "school_hours_per_week": said.get("school_hours_per_week"),
            "decision": said.get("decision"),
            "guardian_consents": said.get("guardian_consents"),
            "school_form": said.get("school_form"),
            "is_school_week": said.get("in_school_weeks"),
        }
        if learner:
            about |= {
                "age": domain.age(learner.born_on, starts_on),
                "programme": learner.programme,
                "study_year": learner.study_year,
                "check_shown_on": learner.shown_on,
                "school_form": about["school_form"] or sole_form(learner.school_forms),
                "is_protected": learner.security_marking != "none",
            }
        if slot:
            about |= {
                "weekdays": frozenset(slot.weekdays),
                "offers_needs": frozenset(slot.offers_needs),
                "hazards": frozenset(terms.get("hazards", ())),
                "programmes": frozenset(terms.get("programmes", ())),
                "study_years": frozenset(terms.get("study_years", ())),
                "starts_at": clock(terms.get("starts_at")),
                "ends_at": clock(terms.get("ends_at")),
                "setting": terms.get("setting"),
                "needs_licence": terms.get("needs_licence", False),
            }
            for name in ("hours_per_day", "hours_per_week", "break_minutes", "break_after"):
                about[name] = terms.get(name)
            if slot.supervisor_id and slot.supervisor_id in self.supervisors:
                about["supervisor_is_adult"] = self.supervisors[slot.supervisor_id]
        return Case(**about | more)


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
        {id: LearnerFacts(*about) for id, *about in learners},
        {id: is_adult for id, is_adult in supervisors},
        datetime.now(UTC).date(),
    )


def check_request(facts: Known, request: Request) -> None:
    """Raises RuleBroken with every rule that refuses a request."""
    _raise(facts, request, facts.case(request, None), "request")


def seat_broken(facts: Known, request: Request, slot: Slot, *, is_automatic: bool = False) -> list[Rule]:
    """The rules that refuse the learner a seat in the slot; those of the ledger itself (R12, R13, R21) are
    the ledger's to ask."""
    rule = domain.answer_rule(answer_rules(), slot.placement_type, slot.starts_on)
    case = facts.case(
        request, slot, is_automatic=is_automatic, authority_answers=Party.AUTHORITY in rule.must_answer
    )
    return broken(case, facts.rules(request.municipality, slot.starts_on), "seat")


async def check_start(session: Session, *, placement: Placement, offer: Offer) -> None:
    """Raises RuleBroken with every rule that must be met before the start and is not."""
    request = await session.get_one(Request, offer.request_id)
    host = offer.workplace_municipality
    async with reaching(session, [host]):
        slot = await session.scalar(
            select(Slot).where(Slot.slot_id == offer.slot_id, Slot.municipality == host)
        )
        facts = await known(session, [request], [slot])
    case = facts.case(request, slot, declared=frozenset(offer.declared))
    _raise(facts, request, case, "start")


def _raise(facts: Known, request: Request, case: Case, *when: When) -> None:
    found = broken(case, facts.rules(request.municipality, case.starts_on), *when)
    if found:
        raise RuleBroken(found)


@cache
def answer_rules() -> tuple[domain.AnswerRule, ...]:
    """The dated rules of who answers, from the package's data."""
    text = (files("kompetensnav_registry") / "data/answers.toml").read_text()
    return tuple(domain.AnswerRule.read(row) for row in tomllib.loads(text)["rule"])


async def configure(
    session: Session,
    *,
    municipality: str,
    rule_id: str,
    valid_from: date,
    valid_to: date | None,
    parameters: dict[str, Any],
    switched_off: bool,
    decided_by: str,
) -> RuleSetting:
    """A municipality's own numbers for a rule. Raises Problem for one that may not be configured, or a value
    the rule does not have or cannot read."""
    versions = [rule for rule in pack() if rule.id == rule_id]
    if not versions:
        raise Problem(f"There is no rule {rule_id}.", f"Det finns ingen regel {rule_id}.")
    own = {name for rule in versions for name in rule.configurable}
    if versions[0].decides == "not yet":
        raise Problem(
            f"Nothing is decided by {rule_id} yet: it has no numbers to set.",
            f"Inget avgörs ännu av {rule_id}: den har inga tal att ställa in.",
        )
    if versions[0].kind == "H" and (switched_off or not own):
        raise Problem(f"{rule_id} is law and is not configured.", f"{rule_id} är lag och ställs inte in.")
    unknown = parameters.keys() - own
    wrong = [
        name
        for name, value in parameters.items()
        for rule in versions
        if name in rule.parameters and not _fits(rule, name, value)
    ]
    if unknown or wrong:
        names = ", ".join(sorted({*unknown, *wrong}))
        raise Problem(f"{rule_id} does not take: {names}.", f"{rule_id} tar inte: {names}.")
    row = await session.get(RuleSetting, (municipality, rule_id, valid_from), with_for_update=True)
    if row is None:
        row = RuleSetting(municipality=municipality, rule=rule_id, valid_from=valid_from)
        session.add(row)
    row.valid_to, row.parameters, row.switched_off = valid_to, parameters, switched_off
    row.decided_by = decided_by
    return row


def _fits(rule: Rule, name: str, value: Any) -> bool:
    """Whether a value may stand for a parameter: of its kind, and within its bounds where it has any."""
    most = rule.parameters.get(f"{name}_at_most")
    alike = _alike(rule.parameters[name], value)
    return alike and (most is None or most[0] <= value[0] <= value[1] <= most[1])


_CLOCK = TypeAdapter[str](Clock)


def _alike(own: Any, given: Any) -> bool:
    """Whether a value is of the kind that the rule reads: a number, a time of day, a list of such."""
    numbers = (int, float)
    if isinstance(own, numbers) and not isinstance(own, bool):
        return isinstance(given, numbers) and not isinstance(given, bool) and 0 <= given <= MOST
    if isinstance(own, list):
        alike = isinstance(given, list) and all(_alike(own[0], each) for each in given)
        is_period = _is_day(own[0])
        return alike and (not is_period or (len(given) == len(own) and given == sorted(given)))
    if _is_day(own):
        return _is_day(given)
    if _is_clock(own):
        return _is_clock(given)
    return type(own) is type(given)


def _is_day(value: Any) -> bool:
    """Whether it is a day of any year, `MM-DD`."""
    if not (isinstance(value, str) and re.fullmatch(r"[01][0-9]-[0-3][0-9]", value)):
        return False
    try:
        return bool(date.fromisoformat(f"2024-{value}"))
    except ValueError:
        return False


def _is_clock(value: Any) -> bool:
    try:
        _CLOCK.validate_python(value, strict=True)
    except ValidationError:
        return False
    return True


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
