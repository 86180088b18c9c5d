"""Codes that several services use: kinds, parties, reasons."""

from enum import StrEnum


class PlacementType(StrEnum):
    """Forms of placement (praktikform); legal Swedish terms are kept as values."""

    PRAO = "prao"
    APL = "apl"
    APPRENTICESHIP = "apprenticeship"
    LIA = "lia"
    VFU = "vfu"
    INTERNSHIP = "internship"
    WORK_PRACTICE = "work_practice"
    WORK_TRAINING = "work_training"
    LANGUAGE_PRACTICE = "language_practice"
    HOLIDAY_PRACTICE = "holiday_practice"


class Party(StrEnum):
    """Who answers an offer or is told of it."""

    EMPLOYER = "employer"
    LEARNER = "learner"
    GUARDIAN = "guardian"
    PROVIDER = "provider"
    AUTHORITY = "authority"
    COORDINATOR = "coordinator"


class Sharing(StrEnum):
    """How far a slot is shared."""

    ADMINISTRATION = "administration"
    MUNICIPALITY = "municipality"
    NAMED = "named"
    PUBLIC = "public"


class AgeClass(StrEnum):
    """Age classes of the rules on minors' work (AFS 2012:3): never a birth date."""

    YOUNGER_CHILD = "younger_child"
    OLDER_CHILD = "older_child"
    YOUTH = "youth"
    ADULT = "adult"


class LanguageLevel(StrEnum):
    """Swedish level by SFI course, lowest first; `none` asks for nothing."""

    NONE = "none"
    A = "A"
    B = "B"
    C = "C"
    D = "D"
    FLUENT = "fluent"


class Need(StrEnum):
    """Requirement codes: what a learner needs and a workplace offers. Never a diagnosis."""

    STEP_FREE = "step_free"
    QUIET = "quiet"
    EXTRA_SUPERVISOR = "extra_supervisor"
    FLEXIBLE_HOURS = "flexible_hours"
    OWN_LANGUAGE = "own_language"


class Refusal(StrEnum):
    """Why the ledger refused a seat."""

    SLOT_IS_FULL = "slot_is_full"
    WORKPLACE_IS_FULL = "workplace_is_full"
    SUPERVISOR_IS_FULL = "supervisor_is_full"
    SLOT_IS_WITHDRAWN = "slot_is_withdrawn"
    LEARNER_IS_PLACED = "learner_is_placed"
    REQUEST_IS_CLOSED = "request_is_closed"
    NOT_SHARED = "not_shared"
    RULE = "rule"
    NO_ANSWER = "no_answer"


class Reason(StrEnum):
    """Why a seat was released, an offer declined or a placement interrupted."""

    DECLINED = "declined"
    EXPIRED = "expired"
    SLOT_WITHDRAWN = "slot_withdrawn"
    REQUEST_CLOSED = "request_closed"
    OTHER_PLACE = "other_place"
    ILLNESS = "illness"
    UNSUITABLE = "unsuitable"
    OTHER = "other"


class ErasureOutcome(StrEnum):
    """What a service answers when it is asked to forget a learner."""

    ERASED = "erased"
    RETAINED = "retained"
    NOTHING = "nothing"


LEVELS = tuple(LanguageLevel)
"""Language levels, lowest first: a level is met by itself and every later one."""
