"""CSV imports: all rows checked before any is written; the same file twice changes nothing."""

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, model_validator
from sqlalchemy import select

from kompetensnav_chassis.codes import (
    LAST,
    Administration,
    Code,
    Day,
    Email,
    Municipality,
    Name,
    Phone,
    PostalCode,
)
from kompetensnav_chassis.db import Session
from kompetensnav_contracts.vocabulary import LanguageLevel, Need, PlacementType, Sharing
from kompetensnav_registry.actions import employers, learners, ledger, rules, slots, workplaces
from kompetensnav_registry.edges.numbers import legal_person
from kompetensnav_registry.edges.rows import Faults, read
from kompetensnav_registry.tables import Contact, Employer, Learner, Request, School, Slot, Workplace

Ref = Annotated[Name, Field(max_length=100)]
Occupation = Annotated[str, Field(pattern=r"^\d{4}$")]
OrgNumber = Annotated[str, AfterValidator(legal_person)]
Sector = Literal["private", "municipal", "regional", "state", "association"]


def _list(value: Any) -> Any:
    return [part.strip() for part in value.split(";") if part.strip()] if isinstance(value, str) else value


Many = BeforeValidator(_list)


DAYS = ("born_on", "finishes_on")


class Period(BaseModel):
    """First and last day."""

    starts_on: Day
    ends_on: Day

    @model_validator(mode="after")
    def _ends_after_it_starts(self) -> "Period":
        if self.ends_on < self.starts_on:
            raise ValueError("ends_on is before starts_on")
        return self


class EmployerRow(BaseModel):
    """A row of employers.csv."""

    org_number: OrgNumber
    name: Name
    sector: Sector = "private"


class WorkplaceRow(BaseModel):
    """A row of workplaces.csv."""

    ref: Ref
    org_number: OrgNumber
    name: Name
    locality: Code
    reception_capacity: Annotated[int, Field(ge=0, le=10_000)]
    contact_name: Name
    contact_email: Email
    contact_speaks: Literal["sv", "en"] = "sv"


class SlotRow(Period):
    """A row of slots.csv."""

    ref: Ref
    workplace: Ref
    placement_type: PlacementType
    occupation: Occupation
    seats: Annotated[int, Field(ge=1, le=10_000)]
    min_language: LanguageLevel = LanguageLevel.NONE
    offers_needs: Annotated[list[Need], Many] = []
    shared_with: Sharing = Sharing.MUNICIPALITY
    named_municipalities: Annotated[list[Municipality], Many] = []
    administration: Administration | None = None

    @model_validator(mode="after")
    def _kept_to_somebody(self) -> "SlotRow":
        if self.shared_with == Sharing.ADMINISTRATION and not self.administration:
            raise ValueError("name the administration it is kept to")
        return self


class LearnerRow(BaseModel):
    """A row of learners.csv."""

    ref: Ref
    administration: Administration
    school: Code
    given_name: Annotated[Name, Field(max_length=100)]
    family_name: Annotated[Name, Field(max_length=100)]
    email: Email | None = None
    guardian_email: Email | None = None
    phone: Phone | None = None
    address: Name | None = None
    postal_code: PostalCode | None = None
    born_on: Annotated[date, Field(ge=date(1900, 1, 1), le=LAST)]
    programme: Code | None = None
    study_year: Annotated[int, Field(ge=0, le=13)] | None = None
    aims_at: Occupation | None = None
    finishes_on: Day | None = None
    locality: Code
    language: LanguageLevel = LanguageLevel.FLUENT
    speaks: Literal["sv", "en"] = "sv"
    security_marking: Literal["none", "confidentiality_marked", "protected_registration"] = "none"


class RequestRow(Period):
    """A row of requests.csv; wishes are ranked and separated by `;`.

    A wish is an occupation (`5321`) or a slot (`slot:REF`), if need be with the learner's preference and the
    employer's, 0 to 1: `slot:7=0.5/0.66`. A plus before it says that the learner would like to try
    something new: `+7111`.
    """

    ref: Ref
    learner: Ref
    administration: Administration
    placement_type: PlacementType
    wishes: Annotated[list[str], Many] = []
    needs: Annotated[list[Need], Many] = []
    max_travel_minutes: Annotated[int, Field(ge=0, le=600)] = 60


@dataclass
class Batch:
    """One import on its way: where it writes, and what did not fit."""

    session: Session
    municipality: str
    administrations: frozenset[str]
    faults: Faults
    counts: Counter[str]

    def once(self, rows: list[tuple[int, Any]], *keys: str) -> None:
        """Each key (the last column, within those before it) stands on one row only."""
        seen: dict[Any, int] = {}
        for line, row in rows:
            value = tuple(getattr(row, key) for key in keys)
            if value in seen:
                self.faults.add(line, keys[-1], value[-1], f"stands on line {seen[value]} already")
            seen.setdefault(value, line)

    def stays(self, line: int, column: str, value: str, before: Any, now: Any) -> None:
        """What another row hangs on is not moved by an import."""
        if before != now:
            self.faults.add(line, column, value, "is another one than before; it cannot be changed here")

    def mine(self, line: int, row: Any) -> None:
        """A learner's row may only be written for an administration of the token."""
        if row.administration not in self.administrations:
            self.faults.add(line, "administration", row.administration, "the token does not act for it")


async def import_rows(
    session: Session, *, kind: str, text: str, municipality: str, administrations: frozenset[str]
) -> dict[str, int]:
    """Imports a file; returns how many rows were created, changed and unchanged.

    `kind` is a key of KINDS. Raises BadRows with every fault, and then nothing is written.
    """
    batch = Batch(
        session, municipality, administrations, Faults(), Counter(created=0, changed=0, unchanged=0)
    )
    row, work = KINDS[kind]
    rows = read(text, row, batch.faults)
    await work(batch, rows)
    batch.faults.raise_any()
    return dict(batch.counts)


async def _employers(batch: Batch, rows: list[tuple[int, EmployerRow]]) -> None:
    batch.once(rows, "org_number")
    there = {
        e.org_number: e
        for e in await batch.session.scalars(
            select(Employer).where(Employer.org_number.in_([r.org_number for _, r in rows]))
        )
    }
    batch.faults.raise_any()
    for _, row in rows:
        old = there.get(row.org_number)
        if old is None:
            employers.add_employer(batch.session, municipality=batch.municipality, **row.model_dump())
            batch.counts["created"] += 1
        else:
            batch.counts[_update(old, row.model_dump(exclude={"org_number"}))] += 1


async def _workplaces(batch: Batch, rows: list[tuple[int, WorkplaceRow]]) -> None:
    batch.once(rows, "ref")
    employer_ids = {
        number: id
        for number, id in (
            await batch.session.execute(
                select(Employer.org_number, Employer.employer_id).where(
                    Employer.org_number.in_([r.org_number for _, r in rows])
                )
            )
        ).all()
    }
    for line, row in rows:
        if row.org_number not in employer_ids:
            batch.faults.add(line, "org_number", row.org_number, "no such employer; import employers first")
    there = await _by_ref(batch, Workplace)
    accounts = await _accounts(batch, rows, there)
    for line, row in rows:
        if (old := there.get(row.ref)) and row.org_number in employer_ids:
            batch.stays(line, "org_number", row.org_number, old.employer_id, employer_ids[row.org_number])
            if old.workplace_id in accounts.ledgers:
                held = accounts.ledgers[old.workplace_id].busiest
                if row.reception_capacity < held:
                    reason = f"{held} seats are held in one week"
                    batch.faults.add(line, "reception_capacity", row.reception_capacity, reason)
    contacts = {
        c.workplace_id: c
        for c in await batch.session.scalars(
            select(Contact).where(Contact.municipality == batch.municipality, Contact.role == "employer")
        )
    }
    batch.faults.raise_any()
    for _, row in rows:
        old = there.get(row.ref)
        values = row.model_dump(exclude={"org_number"})
        if old is None:
            contact = {
                k.removeprefix("contact_"): values.pop(k) for k in list(values) if k.startswith("contact_")
            }
            workplaces.add_workplace(
                batch.session,
                municipality=batch.municipality,
                employer_id=employer_ids[row.org_number],
                contact=contact,
                **values,
            )
            batch.counts["created"] += 1
            continue
        changed = _update(old, {k: values[k] for k in ("name", "locality", "reception_capacity")})
        contact = {k.removeprefix("contact_"): v for k, v in values.items() if k.startswith("contact_")}
        also = _update(contacts[old.workplace_id], contact)
        batch.counts["changed" if "changed" in (changed, also) else "unchanged"] += 1
        if old.workplace_id in accounts.ledgers:
            accounts.ledgers[old.workplace_id].capacity = row.reception_capacity
    accounts.settle(batch.session)


async def _accounts(
    batch: Batch, rows: list[tuple[int, WorkplaceRow]], there: dict[Any, Workplace]
) -> ledger.Accounts:
    """The accounts of the workplaces whose capacity changes."""
    moved = {
        old.workplace_id: old.municipality
        for _, row in rows
        if (old := there.get(row.ref)) and old.reception_capacity != row.reception_capacity
    }
    return await ledger.open_accounts(batch.session, moved)


async def _slots(batch: Batch, rows: list[tuple[int, SlotRow]]) -> None:
    batch.once(rows, "ref")
    workplaces = await _by_ref(batch, Workplace)
    there = await _by_ref(batch, Slot)
    for line, row in rows:
        if row.workplace not in workplaces:
            batch.faults.add(line, "workplace", row.workplace, "no such workplace; import workplaces first")
        old = there.get(row.ref)
        if old is not None and row.seats < old.taken:
            batch.faults.add(line, "seats", row.seats, f"{old.taken} seats are taken")
        if old is not None and old.taken:
            for column in sorted(slots.AGREED):
                if getattr(row, column) != getattr(old, column):
                    batch.faults.add(line, column, getattr(row, column), f"{old.taken} seats are taken")
        if old is not None and row.workplace in workplaces:
            here = workplaces[row.workplace].workplace_id
            batch.stays(line, "workplace", row.workplace, old.workplace_id, here)
        if old is not None and old.withdrawn_at:
            batch.faults.add(line, "ref", row.ref, "the slot has been withdrawn")
    batch.faults.raise_any()
    for _, row in rows:
        old = there.get(row.ref)
        values = row.model_dump(mode="json", exclude={"workplace", "ref", "starts_on", "ends_on"})
        values |= {"starts_on": row.starts_on, "ends_on": row.ends_on}
        if old is None:
            slots.post_slot(batch.session, workplace=workplaces[row.workplace], ref=row.ref, **values)
            batch.counts["created"] += 1
            continue
        changes = {name: value for name, value in values.items() if getattr(old, name) != value}
        if changes:
            await slots.change_slot(
                batch.session, municipality=batch.municipality, slot_id=old.slot_id, changes=changes
            )
        batch.counts["changed" if changes else "unchanged"] += 1


async def _learners(batch: Batch, rows: list[tuple[int, LearnerRow]]) -> None:
    batch.once(rows, "administration", "ref")
    for line, row in rows:
        batch.mine(line, row)
    there = await _by_ref(batch, Learner)
    batch.faults.raise_any()
    for _, row in rows:
        values = row.model_dump(mode="json", exclude={"administration", *DAYS})
        values |= {name: getattr(row, name) for name in DAYS}
        old = there.get((row.administration, row.ref))
        if old is None:
            await learners.register_learner(
                batch.session, municipality=batch.municipality, administration=row.administration, **values
            )
            batch.counts["created"] += 1
            continue
        what = _update(old, values)
        batch.counts[what] += 1
        if what == "changed":
            await learners.follow(batch.session, old)


async def _requests(batch: Batch, rows: list[tuple[int, RequestRow]]) -> None:
    batch.once(rows, "administration", "ref")
    people = await _by_ref(batch, Learner)
    there = await _by_ref(batch, Request)
    slot_ids = {slot.ref: slot.slot_id for slot in (await _by_ref(batch, Slot)).values()}
    schools = {
        s.code: s
        for s in await batch.session.scalars(select(School).where(School.municipality == batch.municipality))
    }
    ready = []
    for line, row in rows:
        batch.mine(line, row)
        if (row.administration, row.learner) not in people:
            batch.faults.add(line, "learner", row.learner, "no such learner; import learners first")
        wishes = _wishes(batch.faults, line, row.wishes, slot_ids)
        old = there.get((row.administration, row.ref))
        learner = people.get((row.administration, row.learner))
        if old is not None and learner is not None:
            batch.stays(line, "learner", row.learner, old.learner_id, learner.learner_id)
            if old.state != "open" and _changes(row, wishes, old):
                batch.faults.add(line, "ref", row.ref, f"the request is {old.state} and cannot be changed")
        new = None
        if old is None and learner is not None:
            about = _values(row) | {"wishes": wishes, "ref": row.ref}
            new = learners.new_request(learner=learner, school=schools[learner.school], **about)
        ready.append((line, row, wishes, new))
    facts = await rules.known(batch.session, [new for _, _, _, new in ready if new])
    for line, _, _, new in ready:
        try:
            if new:
                rules.check_request(facts, new)
        except rules.RuleBroken as refused:
            for rule in refused.rules:
                batch.faults.add(line, "", rule.id, f"{rule.id}: {rule.en} | {rule.sv}")
    batch.faults.raise_any()
    for _, row, wishes, new in ready:
        if new:
            learners.tell_of_request(batch.session, new)
            batch.counts["created"] += 1
            continue
        learner = people[row.administration, row.learner]
        old = there[row.administration, row.ref]
        changes = _changes(row, wishes, old)
        if changes:
            await learners.change_request(batch.session, row=old, learner=learner, changes=changes)
        batch.counts["changed" if changes else "unchanged"] += 1


def _values(row: RequestRow) -> dict[str, Any]:
    return {
        "placement_type": row.placement_type.value,
        "starts_on": row.starts_on,
        "ends_on": row.ends_on,
        "needs": [need.value for need in row.needs],
        "max_travel_minutes": row.max_travel_minutes,
    }


def _changes(row: RequestRow, wishes: list[dict[str, Any]], old: Request) -> dict[str, Any]:
    changes = {name: value for name, value in _values(row).items() if getattr(old, name) != value}
    return changes | ({"wishes": wishes} if learners.ranked(wishes) != old.wishes else {})


def _wishes(
    faults: Faults, line: int, texts: list[str], slot_ids: dict[str | None, UUID]
) -> list[dict[str, Any]]:
    wishes = []
    for text in texts:
        what, _, weights = text.removeprefix("+").partition("=")
        wish: dict[str, Any] = {"new_field": True} if text.startswith("+") else {}
        if what.startswith("slot:"):
            wish["slot_id"] = slot_ids.get(what.removeprefix("slot:"))
            if wish["slot_id"] is None:
                faults.add(line, "wishes", text, "no such slot")
        elif what.isdigit() and len(what) == 4:
            wish["occupation"] = what
        else:
            faults.add(line, "wishes", text, "neither an occupation (four digits) nor slot:REF")
        try:
            for name, weight in zip(("preference", "host_preference"), weights.split("/"), strict=False):
                if weight:
                    wish[name] = float(weight)
                    if not 0 <= wish[name] <= 1:
                        faults.add(line, "wishes", text, "a preference lies between 0 and 1")
        except ValueError:
            faults.add(line, "wishes", text, "a preference is a number between 0 and 1")
        wishes.append(wish)
    return wishes


async def _by_ref(batch: Batch, table: Any) -> dict[Any, Any]:
    rows = await batch.session.scalars(
        select(table).where(table.municipality == batch.municipality, table.ref.is_not(None))
    )
    per_administration = table in (Learner, Request)
    return {((row.administration, row.ref) if per_administration else row.ref): row for row in rows}


def _update(row: Any, values: dict[str, Any]) -> str:
    changed = False
    for name, value in values.items():
        if getattr(row, name) != value:
            setattr(row, name, value)
            changed = True
    return "changed" if changed else "unchanged"


Work = Callable[[Batch, Any], Awaitable[None]]
KINDS: dict[str, tuple[type[BaseModel], Work]] = {
    "employers": (EmployerRow, _employers),
    "workplaces": (WorkplaceRow, _workplaces),
    "slots": (SlotRow, _slots),
    "learners": (LearnerRow, _learners),
    "requests": (RequestRow, _requests),
}
