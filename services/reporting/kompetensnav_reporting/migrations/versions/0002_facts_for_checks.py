"""facts: views for operators' checks, which depend on these and on no table"""

from kompetensnav_chassis.migrate import drop_facts, facts

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

VIEWS = {
    "fact": """
        select event_id, municipality, administration, name, thing_id, revision, placement_type,
        occupation, week, number from fact
    """,
}


def upgrade() -> None:
    facts(VIEWS)


def downgrade() -> None:
    drop_facts()
