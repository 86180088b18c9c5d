"""facts: views for operators' checks, which depend on these and on no table"""

from kompetensnav_chassis.migrate import drop_facts, facts

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

VIEWS = {
    "message": """
        select message_id, municipality, administration, kind, cause_id, party, recipient_id, channel,
        state, attempts, made_at, settled_at, reason from message
    """,
}


def upgrade() -> None:
    facts(VIEWS)


def downgrade() -> None:
    drop_facts()
