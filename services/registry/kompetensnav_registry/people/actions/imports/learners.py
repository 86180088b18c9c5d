"""Learners and placement requests of a file."""

import re
from typing import cast
from uuid import UUID

from sqlalchemy import ARRAY, LargeBinary, any_, literal, select

from kompetensnav_registry.ground.actions import organisations, protected
from kompetensnav_registry.ground.edges.numbers import IdentityNumber, identity_number
from kompetensnav_registry.ground.edges.rows import Faults
from kompetensnav_registry.ground.tables.learners import Learner
from kompetensnav_registry.ground.tables.organisations import School
from kompetensnav_registry.ledger.actions import cases
from kompetensnav_registry.ledger.domain.requests import RequestValues, Wished, ranked
from kompetensnav_registry.ledger.tables.offers import Request
from kompetensnav_registry.ledger.tables.slots import Slot
from kompetensnav_registry.people.actions import learners
from kompetensnav_registry.people.actions.imports.batch import Batch, by_ref, write_changes
from kompetensnav_registry.people.actions.imports.rows import DAYS, LearnerRow, RequestRow
from kompetensnav_registry.people.domain.learners import LearnerValues
from kompetensnav_registry.rules import actions as rules
from kompetensnav_registry.rules.edges import kept, merged

WISHED_SLOT = re.compile(r"slot:([^=;]+)")


async def take_learners(batch: Batch, rows: list[tuple[int, LearnerRow]]) -> None:
    """Learners of a file, into the vault."""
    for line, row in rows:
        batch.mine(line, row)
    there = await by_ref(batch, Learner, (row.ref for _, row in rows), lock="update")
    numbers, hidden = await _numbers(batch, rows)
    batch.faults.raise_any()
    for code in sorted({row.school for _, row in rows}):
        await organisations.school_of(batch.session, municipality=batch.municipality, code=code)
    changed = []
    for line, row in rows:
        old = there.get((row.administration, row.ref))
        if line in hidden:
            is_first = await protected.note_attempt(batch.session, learner=hidden[line], by=batch.by)
            if old is None:  # as for somebody who is not there
                batch.counts["created" if is_first else "unchanged"] += 1
                continue
            del numbers[line]  # what else the file says, a marking above all, is taken in
        apart = {"administration", "identity_number"}
        # Of a learner who is there, only what the file says is written.
        values = row.model_dump(mode="json", exclude={*apart, *DAYS}, exclude_unset=old is not None)
        said = row.model_fields_set if old else set(DAYS)
        values |= {name: getattr(row, name) for name in DAYS if name in said}
        if old is not None and old.security_marking != "none":
            batch.counts["unchanged"] += 1  # the case worker's alone; a file takes no protection away
            continue
        if old is None:
            made = learners.new_learner(batch.municipality, row.administration, cast(LearnerValues, values))
            if line in numbers:
                learners.seal_number(batch.seal, made, numbers[line])
            batch.session.add(made)
            batch.counts["created"] += 1
            continue
        what = write_changes(old, values)
        if line in numbers and learners.seal_number(batch.seal, old, numbers[line]):
            what = "changed"
        batch.counts[what] += 1
        if what == "changed":
            changed.append(old)
    await batch.session.flush()
    await learners.follow(batch.session, changed)


async def _numbers(
    batch: Batch, rows: list[tuple[int, LearnerRow]]
) -> tuple[dict[int, IdentityNumber], dict[int, Learner]]:
    """Line -> number, and line -> the protected learner who has it by another reference. A number that any
    other learner of the administration has is a fault; it is not repeated."""
    numbers = {line: identity_number(row.identity_number) for line, row in rows if row.identity_number}
    index = {line: batch.seal.index(batch.municipality, number.text) for line, number in numbers.items()}
    held = await batch.session.scalars(
        select(Learner).where(
            Learner.municipality == batch.municipality,
            Learner.blind_index == any_(literal(list(index.values()), ARRAY(LargeBinary))),
        )
    )
    whose: dict[tuple[str, bytes | None], str | None] = {}
    marked: dict[tuple[str, bytes | None], Learner] = {}
    for learner in held:
        which = (learner.administration, learner.blind_index)
        if learner.security_marking == "none":
            whose[which] = learner.ref
        else:
            marked[which] = learner
    hidden = {}
    for line, row in rows:
        owner = marked.get((row.administration, index[line])) if line in index else None
        if owner is not None and owner.ref != row.ref:
            hidden[line] = owner
        if line in index and whose.setdefault((row.administration, index[line]), row.ref) != row.ref:
            batch.faults.add(line, "identity_number", "", "another learner has that number")
    return numbers, hidden


async def take_requests(batch: Batch, rows: list[tuple[int, RequestRow]]) -> None:
    """Placement requests of a file, held against the rules."""
    people = {
        key: learner
        for key, learner in (
            await by_ref(batch, Learner, {row.learner for _, row in rows}, lock="share")
        ).items()
        if protected.is_shown(learner, None)
    }
    there = await by_ref(batch, Request, (row.ref for _, row in rows), lock="update")
    wished = {m for _, row in rows for m in WISHED_SLOT.findall(";".join(row.wishes))}
    slot_ids = {slot.ref: slot.slot_id for slot in (await by_ref(batch, Slot, wished)).values()}
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
            about = _values(row) | RequestValues(wishes=wishes, terms=kept(row.terms))
            new = learners.new_request(learner, schools[learner.school], about, row.ref)
        ready.append((line, row, wishes, new))
    known = await cases.known(batch.session, [new for _, _, _, new in ready if new])
    for line, _, _, new in ready:
        try:
            if new:
                cases.check_request(known, new)
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


def _values(row: RequestRow) -> RequestValues:
    return RequestValues(
        placement_type=row.placement_type.value,
        starts_on=row.starts_on,
        ends_on=row.ends_on,
        needs=[need.value for need in row.needs],
        max_travel_minutes=row.max_travel_minutes,
    )


def _changes(row: RequestRow, wishes: list[Wished], old: Request) -> RequestValues:
    values = _values(row) | RequestValues(terms=merged(old.terms, row.terms))
    changes = {name: value for name, value in values.items() if getattr(old, name) != value}
    if ranked(wishes) != old.wishes:
        changes["wishes"] = wishes
    return cast(RequestValues, changes)


def _wishes(faults: Faults, line: int, texts: list[str], slot_ids: dict[str | None, UUID]) -> list[Wished]:
    wishes: list[Wished] = []
    for text in texts:
        what, _, weights = text.removeprefix("+").partition("=")
        wish = Wished(new_field=True) if text.startswith("+") else Wished()
        if what.startswith("slot:"):
            wish["slot_id"] = slot_ids.get(what.removeprefix("slot:"))
            if wish["slot_id"] is None:
                faults.add(line, "wishes", text, "no such slot")
        elif what.isdigit() and len(what) == 4:
            wish["occupation"] = what
        else:
            faults.add(line, "wishes", text, "neither an occupation (four digits) nor slot:REF")
        try:
            own, _, hosts = weights.partition("/")
            if own:
                wish["preference"] = float(own)
            if hosts:
                wish["host_preference"] = float(hosts)
            given = (wish.get("preference"), wish.get("host_preference"))
            if any(weight is not None and not 0 <= weight <= 1 for weight in given):
                faults.add(line, "wishes", text, "a preference lies between 0 and 1")
        except ValueError:
            faults.add(line, "wishes", text, "a preference is a number between 0 and 1")
        wishes.append(wish)
    return wishes
