"""facts: views for operators' checks, which depend on these and on no table"""

from kompetensnav_chassis.migrate import drop_facts, facts

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

VIEWS = {
    "slot": """
        select slot_id, municipality, ref, workplace_id, placement_type, seats, taken, seats_left,
        own_found, withdrawn_at is not null as withdrawn, revision from slot
    """,
    "seat": """
        select seat_id, municipality, workplace_id, slot_id, starts_on, ends_on, reserved_at,
        released_at, told from seat
    """,
    "workplace": """
        select workplace_id, municipality, reception_capacity from workplace
    """,
    "request": """
        select request_id, municipality, administration, learner_id, state, by_hand, revision from
        request
    """,
    "offer": """
        select offer_id, municipality, administration, match_id, seat_id, slot_id, request_id,
        learner_id, starts_on, ends_on, state, by_hand, revision from offer
    """,
    "placement": """
        select placement_id, municipality, administration, offer_id, learner_id, slot_id, starts_on,
        ends_on, state, by_hand, revision from placement
    """,
}


def upgrade() -> None:
    facts(VIEWS)


def downgrade() -> None:
    drop_facts()
