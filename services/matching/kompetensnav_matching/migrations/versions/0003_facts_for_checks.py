"""facts: views for operators' checks, which depend on these and on no table"""

from kompetensnav_chassis.migrate import drop_facts, facts

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

VIEWS = {
    "slot": """
        select slot_id, municipality, placement_type, seats, withdrawn, revision from open_slot
    """,
    "request": """
        select request_id, municipality, administration, learner_id, placement_type, state, revision
        from open_request
    """,
    "match": """
        select proposal_id as match_id, round_id, municipality, administration, request_id, learner_id,
        slot_id, state from proposal where state not in ('draft', 'left_out')
    """,
}


def upgrade() -> None:
    facts(VIEWS)


def downgrade() -> None:
    drop_facts()
