"""The rules in force over HTTP, and a municipality's own numbers."""

from datetime import UTC, date, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field

from kompetensnav_chassis.codes import Day, Name
from kompetensnav_chassis.paging import Listed
from kompetensnav_registry.ground.api.views import Coordinator, Reader
from kompetensnav_registry.rules import actions as rules
from kompetensnav_registry.rules.domain.pack import Decides, Rule, in_force

router = APIRouter(prefix="/{municipality}/rules")


class RuleView(BaseModel):
    """A rule as it holds on a day, with the municipality's own numbers in it."""

    id: str
    kind: str = Field(description="H refuses, S advises, C refuses as configured.")
    decides: Decides = Field(
        description="Who goes by it: the registry (here), its ledger, matching, a count; or nobody yet."
    )
    when: list[str] = Field(description="When the registry asks it: request, seat, start.")
    placement_types: list[str]
    valid_from: date
    valid_to: date | None
    law: str
    sv: str
    en: str
    parameters: dict[str, Any]

    @classmethod
    def of(cls, rule: Rule) -> "RuleView":
        """From the rule."""
        values = {name: getattr(rule, name) for name in cls.model_fields if name != "placement_types"}
        return cls(placement_types=sorted(rule.placement_types), **values)


class OwnNumbers(BaseModel):
    """The municipality's own numbers for a rule."""

    valid_from: Day
    valid_to: Day | None = None
    parameters: dict[str, Any] = Field(default={}, max_length=20)
    switched_off: bool = False
    decided_by: Name = Field(description="The decision's reference in the municipality's register.")


@router.get("")
async def list_rules(caller: Reader, on: Annotated[Day | None, Query()] = None) -> Listed[RuleView]:
    """The rules that hold on a day (today when none is given)."""
    async with caller.begin() as session:
        settings = await rules.settings_of(session, [caller.municipality])
    own = settings.get(caller.municipality, [])
    found = in_force(rules.pack(), on or datetime.now(UTC).date(), own).values()
    return Listed(items=[RuleView.of(rule) for rule in found], total=len(found))


@router.put("/{rule}", status_code=204)
async def configure_rule(
    caller: Coordinator, rule: Annotated[str, Path(pattern=r"^R\d{1,2}$")], own: OwnNumbers
) -> None:
    """Decide the municipality's own numbers for a rule that may be configured, from a day."""
    async with caller.begin() as session:
        await rules.configure(session, municipality=caller.municipality, rule_id=rule, **own.model_dump())
