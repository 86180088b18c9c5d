"""The registry's rules: the capacity ledger, who answers an offer, ages. Values in, values out."""

from kompetensnav_registry.domain import (
    ages,
    agreements,
    editing,
    esf,
    finishing,
    ledger,
    offers,
    rules,
    texts,
)
from kompetensnav_registry.domain.ages import age, age_class
from kompetensnav_registry.domain.editing import ChangedMeanwhile, change
from kompetensnav_registry.domain.ledger import (
    Days,
    LearnerIsPlaced,
    Ledger,
    Room,
    SeatsAreTaken,
    SlotIsFull,
    SlotIsWithdrawn,
    SupervisorIsFull,
    WorkplaceIsFull,
    is_busy,
    monday_of,
    refused,
    weeks,
)
from kompetensnav_registry.domain.offers import (
    STEPS,
    AnswerRule,
    NotYours,
    OfferIsSettled,
    Outcome,
    WrongStep,
    answer_rule,
    may_answer,
    outcome,
    parties,
    step,
)

MODULES = (agreements, ages, editing, esf, finishing, ledger, offers, texts)
"""Where refusals are declared."""

__all__ = [
    "MODULES",
    "STEPS",
    "AnswerRule",
    "ChangedMeanwhile",
    "Days",
    "LearnerIsPlaced",
    "Ledger",
    "NotYours",
    "OfferIsSettled",
    "Outcome",
    "Room",
    "SeatsAreTaken",
    "SlotIsFull",
    "SlotIsWithdrawn",
    "SupervisorIsFull",
    "WorkplaceIsFull",
    "WrongStep",
    "age",
    "age_class",
    "agreements",
    "answer_rule",
    "change",
    "finishing",
    "is_busy",
    "may_answer",
    "monday_of",
    "outcome",
    "parties",
    "refused",
    "rules",
    "step",
    "texts",
    "weeks",
]
