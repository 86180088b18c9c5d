"""What matching tells: rounds, matches, and those it could not place."""

from datetime import date
from typing import Literal
from uuid import UUID

from kompetensnav_contracts.event import Event, Fact, fact
from kompetensnav_contracts.events.registry import ErasurePayload
from kompetensnav_contracts.vocabulary import PlacementType


class RoundPayload(Event):
    """A matching round in numbers."""

    round_id: UUID = fact("reference", "The round.")
    repairs: UUID | None = fact("reference", "The round it repairs; empty for a first round.", None)
    agreement_id: UUID | None = fact("reference", "The sharing agreement of a joint round.", None)
    placement_type: PlacementType = fact("public", "Placement type.")
    starts_on: date = fact("public", "First day of the period (ISO 8601).")
    ends_on: date = fact("public", "Last day of the period (ISO 8601).")
    learners: int = fact("internal", "Open requests in the round.", ge=0)
    seats: int = fact("internal", "Free seats in the round.", ge=0)
    matched: int = fact("internal", "Learners with a proposed or approved place.", ge=0)
    mode: Literal["most_placed", "stable", "stable_filled"] = fact(
        "internal", "How it places.", "most_placed"
    )
    new_field_minutes: int = fact(
        "internal", "How much travel a learner's wish to try a new field outweighs, minutes.", 0, ge=0, le=30
    )


class RoundDrafted(RoundPayload):
    """A round has been solved into a draft that people decide on."""

    name = "matching.round.drafted.v1"
    about = "round_id"
    summaries = {
        "sv": "Utkast: {matched} av {learners} får plats",
        "en": "Draft: {matched} of {learners} placed",
    }


class RoundApproved(RoundPayload):
    """A coordinator, or the municipality's standing rule, has approved all or some of a draft."""

    name = "matching.round.approved.v1"
    about = "round_id"
    summaries = {"sv": "Omgång godkänd: {matched} matchade", "en": "Round approved: {matched} matched"}

    approved_by: Literal["person", "standing_rule"] = fact("internal", "Who approved.")


class MatchReason(Fact):
    """One part of why: a rule id, and the minutes it added to the cost (or the number it speaks of)."""

    rule: str = fact("internal", "Rule id, e.g. `wish_rank`, `travel`, `too_far`.")
    value: int = fact("internal", "Minutes of cost, or how many slots the rule took away.", 0)


class LearnerMatched(Event):
    """A proposal has been approved: the registry is asked to reserve a seat."""

    name = "matching.learner.matched.v1"
    about = "match_id"
    summaries = {"sv": "Match {match_id} godkänd", "en": "Match {match_id} approved"}

    match_id: UUID = fact("reference", "The match.")
    round_id: UUID = fact("reference", "The round.")
    request_id: UUID = fact("reference", "The placement request.")
    learner_id: UUID = fact("pseudonymous", "Random reference of the learner.")
    slot_id: UUID = fact("reference", "The slot.")
    slot_municipality: str = fact("internal", "SCB code of the slot's municipality.")
    workplace_id: UUID = fact("reference", "The workplace.")
    placement_type: PlacementType = fact("pseudonymous", "Placement type.")
    occupation: str = fact("pseudonymous", "Occupation, SSYK 2012, four digits.")
    starts_on: date = fact("pseudonymous", "First day (ISO 8601).")
    wish_rank: int | None = fact("pseudonymous", "Which wish it met; empty = none.", None)
    cost: int = fact("internal", "Cost in the round's unit; lower is better.")
    reasons: tuple[MatchReason, ...] = fact("pseudonymous", "Why this slot.", ())
    by: Literal["solver", "person"] = fact("internal", "Placed by the solver or by hand.", "solver")
    at_workplace: int = fact("internal", "Matches approved together at this workplace.", 1, ge=1)


class BottleneckFound(Event):
    """Where more seats would have placed more learners in an approved round. Told from five learners on."""

    name = "matching.bottleneck.found.v1"
    visibility = "pub"
    about = "bottleneck_id"
    summaries = {
        "sv": "Fler platser i {occupation} skulle ge {learners} till en plats",
        "en": "More seats in {occupation} would place {learners} more",
    }

    bottleneck_id: UUID = fact("reference", "The finding.")
    placement_type: PlacementType = fact("public", "Placement type.")
    occupation: str = fact("public", "Occupation of the slots, SSYK 2012, four digits.")
    week: date = fact("public", "Monday of the week in which the slots start (ISO 8601).")
    learners: int = fact("public", "So many seats more would each place one learner more.", ge=5)


class LearnerUnmatched(Event):
    """The round had no place for the learner; the reasons say why."""

    name = "matching.learner.unmatched.v1"
    about = "proposal_id"
    summaries = {"sv": "Önskemål {request_id} utan plats", "en": "Request {request_id} without a place"}

    proposal_id: UUID = fact("reference", "The draft's row about the learner.")
    round_id: UUID = fact("reference", "The round.")
    request_id: UUID = fact("reference", "The placement request.")
    learner_id: UUID = fact("pseudonymous", "Random reference of the learner.")
    placement_type: PlacementType = fact("pseudonymous", "Placement type.")
    starts_on: date = fact("pseudonymous", "First day (ISO 8601).")
    reasons: tuple[MatchReason, ...] = fact("pseudonymous", "Why not, the weightiest first.", ())


class ErasureAnswered(ErasurePayload):
    """Matching has forgotten a learner, or says why not."""

    name = "matching.erasure.answered.v1"
    about = "erasure_id"
    summaries = {"sv": "Radering {erasure_id}: {answer}", "en": "Erasure {erasure_id}: {answer}"}
